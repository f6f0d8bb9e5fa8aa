//! A delivery as its sender makes it: addressed, and signed with the secrets of the stack it goes to.

use adapters::secrets::Secrets;
use anyhow::{Context, bail};
use domain::{ShopId, SourceName, UnixMillis};
use protocols::{Channel, Credentials, ali1688, flat_hmac, standard_webhooks};
use reqwest::Method;
use secrecy::SecretString;
use sha2::{Digest, Sha256};

use crate::http::Request;

/// One message to one channel of the stack.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Who sends it.
    pub channel: Channel,
    /// The `message` of a push, or the body of a source's event.
    pub text: String,
    /// The id that a Standard Webhooks sender gives it. The other schemes have none.
    pub id: String,
}

/// Where a channel's deliveries go.
pub fn path(channel: &Channel) -> String {
    match channel {
        Channel::Ali1688(shop) => format!("/webhooks/1688/{shop}"),
        Channel::Source(source) => format!("/webhooks/events/{source}"),
    }
}

/// The channel that a path is of.
pub fn channel(path: &str) -> anyhow::Result<Channel> {
    if let Some(shop) = path.strip_prefix("/webhooks/1688/") {
        return Ok(Channel::Ali1688(ShopId::new(shop)?));
    }
    if let Some(source) = path.strip_prefix("/webhooks/events/") {
        return Ok(Channel::Source(SourceName::new(source)?));
    }
    bail!("{path} is not /webhooks/1688/SHOP or /webhooks/events/SOURCE")
}

/// The digest of a text: an id that a text sent again has again.
pub fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

impl Delivery {
    /// Signs it with what the stack's secrets say of its channel.
    pub fn sign(&self, secrets: &Secrets, now: UnixMillis) -> anyhow::Result<Request> {
        let credentials = secrets
            .credentials(&self.channel)
            .with_context(|| format!("the secrets of the stack do not know {}", self.channel.sender()))?;
        self.sign_with(&credentials, now)
    }

    /// Signs it with credentials of any kind: also with wrong ones, which the stack must refuse.
    pub fn sign_with(&self, credentials: &Credentials, now: UnixMillis) -> anyhow::Result<Request> {
        let json = || ("Content-Type".into(), "application/json".to_owned());
        let (headers, body) = match credentials {
            Credentials::Ali1688(secrets) => {
                let form = ("Content-Type".into(), "application/x-www-form-urlencoded".to_owned());
                (vec![form], ali1688::push::signed_form(first(secrets)?, &self.text))
            }
            Credentials::StandardWebhooks(secrets) => {
                let seconds = now.seconds();
                let signature = standard_webhooks::sign(first(secrets)?, &self.id, seconds, self.text.as_bytes());
                let headers = vec![
                    json(),
                    ("webhook-id".into(), self.id.clone()),
                    ("webhook-timestamp".into(), seconds.to_string()),
                    ("webhook-signature".into(), signature.context("a whsec_ secret is not base64")?),
                ];
                (headers, self.text.clone())
            }
            Credentials::FlatHmac(secrets) => {
                let signature = flat_hmac::sign(first(secrets)?, self.text.as_bytes());
                (vec![json(), ("X-Signature".into(), signature)], self.text.clone())
            }
        };
        Ok(Request { method: Method::POST, path: path(&self.channel), headers, body: body.into_bytes() })
    }
}

fn first(secrets: &[SecretString]) -> anyhow::Result<&SecretString> {
    secrets.first().context("the channel has no secret")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_and_its_channel_name_each_other() {
        for text in ["/webhooks/1688/demo", "/webhooks/events/warehouse"] {
            assert_eq!(path(&channel(text).unwrap()), text);
        }
        for text in ["/webhooks/1688/", "/webhooks/1688/a/b", "/payments/stripe", "webhooks/1688/demo"] {
            assert!(channel(text).is_err(), "{text}");
        }
    }
}
