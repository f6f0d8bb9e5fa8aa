//! The stack's secrets document, and the cache that reads it seldom and soon enough.
//!
//! Invariant: an entry that cannot be read is left out, so that one mistake shuts out one counterpart and
//! not all; what it would have let in is refused (law 5).

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};

use domain::{AppKey, Gateway, Marketplace, ShopId, SourceName, UnixMillis};
use protocols::gateway::{self, PublicKey, adyen, airwallex, alipay, paypal, stripe, wechatpay};
use protocols::marketplace::{Access, Account, Ali1688Access, TaobaoAccess};
use protocols::{Channel, Credentials, Refusal};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::sync::Mutex;

use crate::error::PortError;
use crate::ports::SecretsSource;

/// How long a document is good without another look, in milliseconds.
pub const KEPT_MS_MAX: i64 = 5 * 60 * 1_000;
/// How often an unknown name or a failed signature may cause another look, in milliseconds.
pub const REREAD_MS_MIN: i64 = 60 * 1_000;
/// How old a document may become while it cannot be read again, in milliseconds. Long enough for an
/// outage, short enough that a secret taken away stops working.
pub const STALE_MS_MAX: i64 = 20 * 60 * 1_000;

/// Every secret that is good now.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    ali1688: HashMap<ShopId, Vec<SecretString>>,
    accounts: BTreeMap<(Marketplace, ShopId), Access>,
    sources: HashMap<SourceName, Credentials>,
    gateways: HashMap<Gateway, Arc<GatewaySecrets>>,
    clients: HashMap<AppKey, Vec<SecretString>>,
    unusable: Vec<Unusable>,
}

/// An entry that lets nobody in, because it cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unusable {
    /// Where it stands, in words of ours alone: `clients`, `gateways.stripe`.
    pub section: String,
    /// Its name there, when it has a good one. For whoever has the document: a secret may stand in the place of a name.
    pub name: Option<String>,
}

impl Unusable {
    fn of(section: &str, name: Option<String>) -> Self {
        Self { section: section.to_owned(), name }
    }
}

/// What callbacks of a gateway are checked with, and what of its entry could not be read.
type Reading = (Option<gateway::Credentials>, Vec<Unusable>);

/// Read when it is first needed: keys cost more to read than all the rest, and most functions need none.
type GatewaySecrets = LazyLock<Reading, Box<dyn FnOnce() -> Reading + Send>>;

/// An entry that may be of a form that this version does not know.
#[derive(Deserialize)]
#[serde(untagged)]
enum Entry<T> {
    Usable(T),
    Unusable(IgnoredAny),
}

type Entries<T> = HashMap<String, Entry<T>>;

#[derive(Deserialize, Default)]
#[serde(default, bound = "")]
struct Document {
    marketplaces: MarketplaceEntries,
    sources: Entries<SourceEntry>,
    gateways: GatewayEntries,
    clients: Entries<ClientEntry>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct GatewayEntries {
    stripe: Option<Entry<StripeEntry>>,
    paypal: Option<Entry<PaypalEntry>>,
    adyen: Option<Entry<AdyenEntry>>,
    airwallex: Option<Entry<AirwallexEntry>>,
    alipay: Option<Entry<AlipayEntry>>,
    wechatpay: Option<Entry<WechatpayEntry>>,
}

#[derive(Deserialize)]
struct StripeEntry {
    signing_secrets: Vec<SecretString>,
}

#[derive(Deserialize)]
struct PaypalEntry {
    webhook_id: String,
    #[serde(default)]
    certificates: HashMap<String, String>,
}

#[derive(Deserialize)]
struct AdyenEntry {
    hmac_keys: Vec<SecretString>,
    capture: CaptureWord,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum CaptureWord {
    Manual,
    Automatic,
}

#[derive(Deserialize)]
struct AirwallexEntry {
    secrets: Vec<SecretString>,
}

#[derive(Deserialize)]
struct AlipayEntry {
    app_id: String,
    seller_id: String,
    public_keys: Vec<String>,
}

#[derive(Deserialize)]
struct WechatpayEntry {
    mchid: String,
    api_v3_key: SecretString,
    public_keys: HashMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct MarketplaceEntries {
    #[serde(rename = "1688")]
    ali1688: Entries<Ali1688Entry>,
    taobao: Entries<TaobaoEntry>,
}

/// A shop that only receives pushes needs no more than its secrets.
#[derive(Deserialize)]
struct Ali1688Entry {
    app_key: Option<String>,
    app_secrets: Vec<SecretString>,
    access_token: Option<SecretString>,
    member_id: Option<String>,
}

#[derive(Deserialize)]
struct TaobaoEntry {
    app_key: String,
    app_secrets: Vec<SecretString>,
    session: SecretString,
    seller_nick: String,
}

impl Ali1688Entry {
    /// The entry, when pushes of it can be checked.
    fn usable(self) -> Option<Self> {
        Some(Self { app_secrets: live(self.app_secrets)?, ..self })
    }

    /// What 1688 is asked with.
    fn access(&self, access_token: SecretString) -> Option<Access> {
        Some(Access::Ali1688(Ali1688Access {
            app_key: given(self.app_key.clone()?)?,
            app_secret: self.app_secrets.first()?.clone(),
            access_token: live(vec![access_token])?.pop()?,
            member_id: given(self.member_id.clone()?)?,
        }))
    }
}

impl TaobaoEntry {
    fn read(self) -> Option<Access> {
        Some(Access::Taobao(TaobaoAccess {
            app_key: given(self.app_key)?,
            app_secret: live(self.app_secrets)?.into_iter().next()?,
            session: live(vec![self.session])?.pop()?,
            seller_nick: given(self.seller_nick)?,
        }))
    }
}

#[derive(Deserialize)]
struct SourceEntry {
    scheme: Scheme,
    secrets: Vec<SecretString>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Scheme {
    StandardWebhooks,
    HmacSha256,
}

#[derive(Deserialize)]
struct ClientEntry {
    secrets: Vec<SecretString>,
}

impl Secrets {
    /// Reads the document, in the form that the README's section on settings shows. Errors hold no part of it.
    pub fn from_json(text: &str) -> Result<Self, PortError> {
        let document: Document =
            serde_json::from_str(text).map_err(|_| PortError::unreadable("read the secrets document"))?;
        let mut secrets = Self::default();
        secrets.take_ali1688(document.marketplaces.ali1688);
        let taobao = secrets.take("marketplaces.taobao", document.marketplaces.taobao, TaobaoEntry::read).into_iter();
        secrets.accounts.extend(taobao.map(|(shop, access)| ((Marketplace::Taobao, shop), access)));
        secrets.take_gateways(document.gateways);
        secrets.clients = secrets.take("clients", document.clients, |client: ClientEntry| live(client.secrets));
        secrets.sources = secrets.take("sources", document.sources, |source: SourceEntry| {
            let secrets = live(source.secrets)?;
            match source.scheme {
                Scheme::HmacSha256 => Some(Credentials::FlatHmac(secrets)),
                Scheme::StandardWebhooks => {
                    let all_are_keys = secrets.iter().all(protocols::standard_webhooks::is_key);
                    all_are_keys.then_some(Credentials::StandardWebhooks(secrets))
                }
            }
        });
        Ok(secrets)
    }

    /// The pushes of an entry whose token cannot be used stay good.
    fn take_ali1688(&mut self, entries: Entries<Ali1688Entry>) {
        let usable: HashMap<ShopId, Ali1688Entry> = self.take("marketplaces.1688", entries, Ali1688Entry::usable);
        for (shop, mut entry) in usable {
            if let Some(token) = entry.access_token.take() {
                let place = || Unusable::of("marketplaces.1688", Some(format!("{shop}.access_token")));
                let access = noted(entry.access(token), place, &mut self.unusable);
                self.accounts.extend(access.map(|access| ((Marketplace::Alibaba1688, shop.clone()), access)));
            }
            self.ali1688.insert(shop, entry.app_secrets);
        }
    }

    fn take_gateways(&mut self, entries: GatewayEntries) {
        use gateway::Credentials::{Adyen, Airwallex, Alipay, Paypal, Stripe, Wechatpay};
        self.take_gateway(Gateway::Stripe, entries.stripe, |entry, _| {
            Some(Stripe(stripe::Credentials { signing_secrets: live(entry.signing_secrets)? }))
        });
        self.take_gateway(Gateway::Adyen, entries.adyen, |entry, _| {
            let capture = match entry.capture {
                CaptureWord::Manual => adyen::Capture::Manual,
                CaptureWord::Automatic => adyen::Capture::Automatic,
            };
            Some(Adyen(adyen::Credentials { hmac_keys: live(entry.hmac_keys)?, capture }))
        });
        self.take_gateway(Gateway::Airwallex, entries.airwallex, |entry, _| {
            Some(Airwallex(airwallex::Credentials { secrets: live(entry.secrets)? }))
        });
        self.take_gateway(Gateway::Paypal, entries.paypal, |entry, unusable| {
            let place = || Unusable::of("gateways.paypal.certificates", None);
            let key = |(url, pem): (String, String)| (url, noted(PublicKey::from_pem(&pem), place, unusable));
            let certificates = entry.certificates.into_iter().map(key).collect();
            let webhook_id = Some(entry.webhook_id).filter(|id| !id.is_empty())?;
            Some(Paypal(paypal::Credentials { webhook_id, certificates }))
        });
        self.take_gateway(Gateway::Alipay, entries.alipay, |entry, unusable| {
            let place = || Unusable::of("gateways.alipay.public_keys", None);
            let keys = entry.public_keys.iter();
            let public_keys = keys.filter_map(|pem| noted(PublicKey::from_pem(pem), place, unusable)).collect();
            Some(Alipay(alipay::Credentials { app_id: entry.app_id, seller_id: entry.seller_id, public_keys }))
        });
        self.take_gateway(Gateway::Wechatpay, entries.wechatpay, |entry, unusable| {
            let place = || Unusable::of("gateways.wechatpay.public_keys", None);
            let key =
                |(serial, pem): (String, String)| Some((serial, noted(PublicKey::from_pem(&pem), place, unusable)?));
            let public_keys = entry.public_keys.into_iter().filter_map(key).collect();
            let api_v3_key = live(vec![entry.api_v3_key])?.pop()?;
            Some(Wechatpay(wechatpay::Credentials { mchid: entry.mchid, api_v3_key, public_keys }))
        });
    }

    /// A gateway's entry, when it is there. `usable` notes keys of it that cannot be read: they let nobody in, and the
    /// others stay good.
    fn take_gateway<T: Send + 'static>(
        &mut self,
        gateway: Gateway,
        entry: Option<Entry<T>>,
        usable: impl FnOnce(T, &mut Vec<Unusable>) -> Option<gateway::Credentials> + Send + 'static,
    ) {
        let Some(entry) = entry else { return };
        let read = move || {
            let mut unusable = Vec::new();
            let credentials = match entry {
                Entry::Usable(entry) => usable(entry, &mut unusable),
                Entry::Unusable(_) => None,
            };
            let place = || Unusable::of(&format!("gateways.{}", gateway.as_str()), None);
            (noted(credentials, place, &mut unusable), unusable)
        };
        self.gateways.insert(gateway, Arc::new(LazyLock::new(Box::new(read))));
    }

    /// The usable entries under checked names; the others are noted.
    fn take<K, T, V>(&mut self, section: &str, entries: Entries<T>, value: impl Fn(T) -> Option<V>) -> HashMap<K, V>
    where
        K: TryFrom<String> + Eq + std::hash::Hash + std::fmt::Display,
    {
        let mut usable = HashMap::with_capacity(entries.len());
        for (name, entry) in entries {
            let value = match entry {
                Entry::Usable(entry) => value(entry),
                Entry::Unusable(_) => None,
            };
            match (K::try_from(name), value) {
                (Ok(name), Some(value)) => drop(usable.insert(name, value)),
                (Ok(name), None) => self.unusable.push(Unusable::of(section, Some(name.to_string()))),
                (Err(_), _) => self.unusable.push(Unusable::of(section, None)),
            }
        }
        usable
    }

    /// The entries that cannot be used, in order. To know them, the keys of gateways are read.
    pub fn unusable(&self) -> Vec<&Unusable> {
        let of_gateways = self.gateways.values().flat_map(|secrets| &secrets.1);
        let mut all: Vec<&Unusable> = self.unusable.iter().chain(of_gateways).collect();
        all.sort_unstable();
        all
    }

    /// What a delivery from this channel must be signed with.
    pub fn credentials(&self, channel: &Channel) -> Result<Credentials, Refusal> {
        match channel {
            Channel::Ali1688(shop) => {
                self.ali1688.get(shop).cloned().map(Credentials::Ali1688).ok_or(Refusal::Unknown("shop"))
            }
            Channel::Source(source) => self.sources.get(source).cloned().ok_or(Refusal::Unknown("source")),
        }
    }

    /// The shops at a marketplace that we may ask for, by name.
    pub fn accounts(&self, marketplace: Marketplace) -> Vec<Account> {
        let all = self.accounts.iter().filter(|((of, _), _)| *of == marketplace);
        all.map(|((_, shop), access)| Account { shop: shop.clone(), access: access.clone() }).collect()
    }

    /// One of them.
    pub fn account(&self, marketplace: Marketplace, shop: &ShopId) -> Option<Account> {
        let access = self.accounts.get(&(marketplace, shop.clone()))?.clone();
        Some(Account { shop: shop.clone(), access })
    }

    /// What a callback of this gateway must be signed with.
    pub fn gateway(&self, gateway: Gateway) -> Result<&gateway::Credentials, Refusal> {
        let secrets = self.gateways.get(&gateway).and_then(|secrets| secrets.0.as_ref());
        secrets.ok_or(Refusal::Unknown("gateway"))
    }

    /// The live secrets of a client. An unknown client is refused like a wrong signature.
    pub fn client(&self, client: &AppKey) -> Result<&[SecretString], Refusal> {
        self.clients.get(client).map(Vec::as_slice).ok_or(Refusal::SignatureInvalid)
    }

    /// Any client, for the operator's own requests.
    pub fn first_client(&self) -> Option<(&AppKey, &SecretString)> {
        self.clients.iter().min_by_key(|(key, _)| *key).and_then(|(key, secrets)| Some((key, secrets.first()?)))
    }
}

/// Notes the place of what is not there.
fn noted<T>(usable: Option<T>, place: impl FnOnce() -> Unusable, unusable: &mut Vec<Unusable>) -> Option<T> {
    if usable.is_none() {
        unusable.push(place());
    }
    usable
}

/// The secrets of an entry, when there is one and none is blank: a blank one is a key that everybody has.
fn live(secrets: Vec<SecretString>) -> Option<Vec<SecretString>> {
    let is_live = !secrets.is_empty() && secrets.iter().all(|secret| !secret.expose_secret().trim().is_empty());
    is_live.then_some(secrets)
}

/// A name that is not blank.
fn given(name: String) -> Option<String> {
    Some(name).filter(|name| !name.trim().is_empty())
}

/// The document as it was read last.
#[derive(Debug)]
struct Kept {
    secrets: Arc<Secrets>,
    read_at: UnixMillis,
    tried_at: UnixMillis,
}

/// Keeps the document for a while.
#[derive(Debug, Default)]
pub struct SecretCache(Mutex<Option<Kept>>);

impl SecretCache {
    /// Does something with the secrets. When they know no such name or made no such signature, it is done
    /// once more with a fresh document, so that a new shop or a rotated secret works at once.
    pub async fn try_with<T>(
        &self,
        source: &impl SecretsSource,
        now: UnixMillis,
        attempt: impl Fn(&Secrets) -> Result<T, Refusal>,
    ) -> Result<Result<T, Refusal>, PortError> {
        let kept = self.read(source, now, KEPT_MS_MAX).await?;
        let first = attempt(&kept);
        let Err(Refusal::Unknown(_) | Refusal::SignatureInvalid) = first else { return Ok(first) };
        let fresh = self.read(source, now, REREAD_MS_MIN).await?;
        Ok(if Arc::ptr_eq(&kept, &fresh) { first } else { attempt(&fresh) })
    }

    /// The document; read again when it is older than `kept_ms_max` and the last try is a minute ago.
    pub async fn read(
        &self,
        source: &impl SecretsSource,
        now: UnixMillis,
        kept_ms_max: i64,
    ) -> Result<Arc<Secrets>, PortError> {
        let mut slot = self.0.lock().await;
        if let Some(kept) = slot.as_mut() {
            let age_ms = now.ms_since(kept.read_at);
            let is_due = age_ms >= kept_ms_max && now.ms_since(kept.tried_at) >= REREAD_MS_MIN;
            if age_ms < STALE_MS_MAX && !is_due {
                return Ok(Arc::clone(&kept.secrets));
            }
            kept.tried_at = now;
        }
        match (source.read().await, slot.as_ref()) {
            (Ok(secrets), _) => {
                let secrets = Arc::new(secrets);
                *slot = Some(Kept { secrets: Arc::clone(&secrets), read_at: now, tried_at: now });
                Ok(secrets)
            }
            (Err(_), Some(kept)) if now.ms_since(kept.read_at) < STALE_MS_MAX => Ok(Arc::clone(&kept.secrets)),
            (Err(error), _) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(secrets: &Secrets) -> Vec<(&str, Option<&str>)> {
        secrets.unusable().into_iter().map(|one| (one.section.as_str(), one.name.as_deref())).collect()
    }

    #[test]
    fn an_unusable_entry_shuts_out_itself_alone() {
        let secrets = Secrets::from_json(
            r#"{"marketplaces": {"1688": {"demo": {"app_secrets": ["s"]}, "bad#name": {"app_secrets": ["s"]}, "worse": 7}},
                "sources": {"warehouse": {"scheme": "hmac-sha256", "secrets": ["s"]},
                            "future": {"scheme": "ed25519", "secrets": ["s"]}},
                "gateways": {"stripe": {"signing_secrets": ["whsec_x"]}, "adyen": {"hmac_keys": ["00"], "capture": "later"},
                             "paypal": {"webhook_id": "W", "certificates": {"https://api.paypal.com/c": "no PEM !"}},
                             "airwallex": {"secrets": [""]}, "alipay": 7, "elsewhere": {"secrets": ["s"]}},
                "clients": {"shop": {"secrets": ["s"]}}}"#,
        )
        .unwrap();
        let unusable = [
            ("gateways.adyen", None),
            ("gateways.airwallex", None),
            ("gateways.alipay", None),
            ("gateways.paypal.certificates", None),
            ("marketplaces.1688", None),
            ("marketplaces.1688", Some("worse")),
            ("sources", Some("future")),
        ];
        assert_eq!(places(&secrets), unusable);
        assert!(secrets.gateway(Gateway::Stripe).is_ok() && secrets.gateway(Gateway::Paypal).is_ok());
        for gateway in [Gateway::Adyen, Gateway::Airwallex, Gateway::Alipay, Gateway::Wechatpay] {
            assert_eq!(secrets.gateway(gateway).err(), Some(Refusal::Unknown("gateway")), "{gateway:?}");
        }
        assert!(secrets.credentials(&Channel::Ali1688(ShopId::new("demo").unwrap())).is_ok());
        assert!(secrets.credentials(&Channel::Source(SourceName::new("warehouse").unwrap())).is_ok());
        assert!(secrets.credentials(&Channel::Source(SourceName::new("future").unwrap())).is_err());
        assert!(secrets.client(&AppKey::new("shop").unwrap()).is_ok());
    }

    #[test]
    fn a_shop_that_authorised_us_is_an_account_and_one_that_did_not_still_takes_pushes() {
        let secrets = Secrets::from_json(
            r#"{"marketplaces": {
                "1688": {"b": {"app_key": "1", "app_secrets": ["new", "old"], "access_token": "t", "member_id": "b2b-1"},
                         "a": {"app_key": "1", "app_secrets": ["s"], "access_token": "t", "member_id": "b2b-2"},
                         "pushes-only": {"app_secrets": ["s"]}, "no-key": {"app_secrets": ["s"], "access_token": "t", "member_id": "m"},
                         "no-member": {"app_key": "1", "app_secrets": ["s"], "access_token": "t", "member_id": " "}},
                "taobao": {"demo": {"app_key": "2", "app_secrets": ["s"], "session": "t", "seller_nick": "nick"},
                           "blank": {"app_key": "2", "app_secrets": ["s"], "session": "", "seller_nick": "nick"},
                           "no-session": {"app_key": "2", "app_secrets": ["s"], "seller_nick": "nick"}}}}"#,
        )
        .unwrap();
        let unusable = [
            ("marketplaces.1688", Some("no-key.access_token")),
            ("marketplaces.1688", Some("no-member.access_token")),
            ("marketplaces.taobao", Some("blank")),
            ("marketplaces.taobao", Some("no-session")),
        ];
        assert_eq!(places(&secrets), unusable);
        let names = |marketplace| -> Vec<String> {
            secrets.accounts(marketplace).iter().map(|account| account.shop.to_string()).collect()
        };
        assert_eq!(names(Marketplace::Alibaba1688), ["a", "b"]);
        assert_eq!(names(Marketplace::Taobao), ["demo"]);
        let shop = |name: &str| ShopId::new(name).unwrap();
        let account = secrets.account(Marketplace::Alibaba1688, &shop("b")).unwrap();
        assert_eq!((account.owner(), account.marketplace()), ("b2b-1", Marketplace::Alibaba1688));
        let Access::Ali1688(access) = account.access else { panic!("an account of another marketplace") };
        assert_eq!((access.app_key.as_str(), access.app_secret.expose_secret()), ("1", "new"));
        assert!(secrets.account(Marketplace::Alibaba1688, &shop("pushes-only")).is_none());
        assert!(secrets.credentials(&Channel::Ali1688(shop("pushes-only"))).is_ok());
        assert!(secrets.credentials(&Channel::Ali1688(shop("no-member"))).is_ok());
    }

    #[test]
    fn a_blank_secret_and_an_empty_list_let_nobody_in() {
        for (secrets, scheme) in [
            (r#"[]"#, "hmac-sha256"),
            (r#"[""]"#, "hmac-sha256"),
            (r#"["good", " "]"#, "hmac-sha256"),
            (r#"["whsec_"]"#, "standard-webhooks"),
            (r#"["whsec_not base64"]"#, "standard-webhooks"),
        ] {
            let document = format!(
                r#"{{"marketplaces": {{"1688": {{"demo": {{"app_secrets": {}}}}}}},
                    "sources": {{"warehouse": {{"scheme": "{scheme}", "secrets": {secrets}}}}},
                    "clients": {{"shop": {{"secrets": {}}}}}}}"#,
                r#"[""]"#, r#"[]"#
            );
            let secrets = Secrets::from_json(&document).unwrap();
            assert_eq!(secrets.unusable().len(), 3, "{document}");
        }
    }

    #[test]
    fn neither_a_document_nor_its_error_shows_a_secret() {
        let secrets = Secrets::from_json(
            r#"{"marketplaces": {
                "1688": {"a": {"app_key": "1", "app_secrets": ["CANARY"], "access_token": "CANARY", "member_id": "m"}},
                "taobao": {"a": {"app_key": "1", "app_secrets": ["CANARY"], "session": "CANARY", "seller_nick": "n"}}},
                "gateways": {"stripe": {"signing_secrets": ["CANARY"]}},
                "clients": {"shop": {"secrets": ["CANARY"]}}}"#,
        )
        .unwrap();
        assert!(!format!("{secrets:?}").contains("CANARY"));
        assert!(secrets.gateway(Gateway::Stripe).is_ok());
        assert!(secrets.unusable().is_empty());
        assert!(!format!("{secrets:?}").contains("CANARY"), "now that the gateway's are read");
        let error = Secrets::from_json(r#"{"clients": "CANARY"}"#).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("CANARY"));
    }
}
