//! Who asks: a client that signs, at a time near ours, with a nonce that is used once.

use adapters::ports::{Claim, Nonces, SecretsSource};
use adapters::secrets::SecretCache;
use domain::{AppKey, EventId, Origin, SourceName, UnixMillis};
use lambda::http::{NotAnswered, Request};
use protocols::Refusal;
use protocols::client::{NONCE_KEPT_MS, Signable};

/// Checks the client's signature over the raw request, then claims its nonce. Gives who asks, in which
/// request: what a fact from it is witnessed by.
pub async fn authenticate(
    request: &Request,
    now: UnixMillis,
    source: &impl SecretsSource,
    cache: &SecretCache,
    nonces: &impl Nonces,
) -> Result<Origin, NotAnswered> {
    let header = |name: &str| request.header(name).ok_or(Refusal::SignatureMissing);
    let signature = header("x-signature")?;
    let app_key = AppKey::new(header("x-app-key")?).map_err(|_| Refusal::SignatureInvalid)?;
    let path_with_query = request.path_with_query();
    let signable = Signable {
        timestamp: header("x-timestamp")?,
        nonce: header("x-nonce")?,
        method: &request.method,
        path_with_query: &path_with_query,
        body: request.body.as_deref().map_err(|refusal| *refusal)?,
    };
    let check = |secrets: &adapters::secrets::Secrets| signable.verify(signature, secrets.client(&app_key)?, now);
    let nonce = cache.try_with(source, now, check).await??;
    match nonces.claim(&app_key, &nonce, &request.request_id, now.saturating_add_ms(NONCE_KEPT_MS)).await? {
        Claim::Used => Err(Refusal::NonceUsed.into()),
        Claim::Ours => Ok(Origin {
            source: SourceName::new(app_key.as_str()).map_err(|_| Refusal::SignatureInvalid)?,
            event_id: EventId::new(nonce.as_str()).map_err(|_| Refusal::SignatureInvalid)?,
        }),
    }
}
