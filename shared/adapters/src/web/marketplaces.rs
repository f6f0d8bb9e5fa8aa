//! The marketplaces' gateways: signed calls, at the marketplace's rate, tried again where that is allowed, each logged.
//!
//! Invariant: a call is tried again only when the marketplace or HTTP says that it may be; an answer is read up to a
//! named size, within a named time; no parameter and no answer is logged.

use std::fmt::Write;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};
use domain::{MessageId, ProductId, TradeId, UnixMillis};
use futures::stream::{self, StreamExt, TryStreamExt};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use protocols::marketplace::{
    Access, Account, Ali1688Access, Answer, ApiRequest, FlowControl, ListPage, ListQuery, Message, NotRead, Refused,
    Role,
};
use protocols::{ali1688, taobao};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};

use super::calls::{CallObserver, Called, MarketplaceUrl};
use super::{NoClient, connect_within};
use crate::clock::{Clock, SystemClock};
use crate::error::{Cause, Certainty, PortError};
use crate::ports::{Catalogue, DetailOf, MarketError, Marketplace, NoDetail, ProductOf};

/// One try of one call, in milliseconds. A page of 50 trades takes a second or two.
const TRY_MS_MAX: u64 = 10_000;
/// Tries of one call.
const TRIES_MAX: usize = 3;
/// The first wait before another try, in milliseconds; it doubles, with jitter.
const BACKOFF_MS_MIN: u64 = 200;
/// The longest wait before another try, in milliseconds. Who asks for a longer one is left alone until then.
const RETRY_AFTER_MS_MAX: u64 = 5_000;
/// How long a marketplace is left alone that throttles and does not say for how long, in seconds.
const THROTTLED_S: u64 = 5;
/// The largest answer that is read, in bytes: 50 trades of some KiB each come to a few hundred KiB.
const ANSWER_BYTES_MAX: usize = 8 * 1_024 * 1_024;
/// Calls a second to one marketplace, of all shops of an instance. Neither vendor documents its limit; this is far
/// below what implementers report as throttled, and bans are heeded besides.
const CALLS_PER_SECOND: NonZeroU32 = match NonZeroU32::new(20) {
    Some(calls) => calls,
    None => NonZeroU32::MIN,
};
/// Details that are asked for side by side where the marketplace has no call for many.
const DETAILS_AT_ONCE_MAX: usize = 4;

/// Both marketplaces, by HTTP.
#[derive(Debug)]
pub struct WebMarketplaces<O> {
    client: Client,
    ali1688: Gateway,
    taobao: Gateway,
    observer: O,
}

#[derive(Debug)]
struct Gateway {
    url: MarketplaceUrl,
    rate: DefaultDirectRateLimiter,
}

impl Gateway {
    fn new(url: MarketplaceUrl) -> Self {
        Self { url, rate: RateLimiter::direct(Quota::per_second(CALLS_PER_SECOND)) }
    }
}

/// Why a try failed.
#[derive(Debug)]
enum Failed {
    /// The marketplace said no.
    Refused(Refused),
    /// No answer, or none that can be read. With the wait that HTTP asks for, where it does.
    Lost { error: PortError, wait: Option<Duration> },
}

impl Failed {
    fn may_be_tried_again(&self) -> bool {
        match self {
            Self::Refused(refused) => refused.flow == FlowControl::Retry,
            Self::Lost { error, .. } => !matches!(error.cause, Cause::Unreadable | Cause::Rejected),
        }
    }

    const fn word(&self) -> &'static str {
        match self {
            Self::Refused(refused) => refused.flow.as_str(),
            Self::Lost { .. } => "lost",
        }
    }
}

impl From<Failed> for MarketError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Refused(refused) => refused.into(),
            Failed::Lost { error, .. } => error.into(),
        }
    }
}

impl<O: CallObserver + Sync + Send> WebMarketplaces<O> {
    /// The gateways at these URLs. Every try is told to `observer`.
    pub fn new(ali1688: MarketplaceUrl, taobao: MarketplaceUrl, observer: O) -> Result<Self, NoClient> {
        let client = connect_within(Duration::from_millis(TRY_MS_MAX))?;
        Ok(Self { client, ali1688: Gateway::new(ali1688), taobao: Gateway::new(taobao), observer })
    }

    /// One call, with its tries. `read` reads the text of an answer, whatever its HTTP status: both vendors say no with
    /// any.
    async fn call<T>(
        &self,
        account: &Account,
        request: ApiRequest,
        read: impl Fn(&str) -> Result<T, NotRead> + Send + Sync,
    ) -> Result<T, MarketError> {
        let attempts = Mutex::new(0_u32);
        let try_once = async || {
            let attempt = attempts.lock().map_or(0, |mut attempts| {
                *attempts += 1;
                *attempts
            });
            let began = Instant::now();
            let answered = self.try_once(account, &request, &read).await;
            self.observer.called(&Called {
                marketplace: account.marketplace(),
                shop: &account.shop,
                call: request.call,
                attempt,
                duration_ms: i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX),
                outcome: answered.as_ref().map_or_else(Failed::word, |_| "answered"),
            });
            answered
        };
        let backoff = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(BACKOFF_MS_MIN))
            .with_max_delay(Duration::from_millis(RETRY_AFTER_MS_MAX))
            .with_max_times(TRIES_MAX - 1)
            .with_jitter();
        let asked_to_wait = |failed: &Failed, usual: Option<Duration>| match failed {
            Failed::Lost { wait: Some(wait), .. } => usual.map(|usual| usual.max(*wait)),
            Failed::Lost { wait: None, .. } | Failed::Refused(_) => usual,
        };
        let answered = try_once.retry(backoff).when(Failed::may_be_tried_again).adjust(asked_to_wait).await;
        answered.map_err(MarketError::from)
    }

    async fn try_once<T>(
        &self,
        account: &Account,
        request: &ApiRequest,
        read: &(impl Fn(&str) -> Result<T, NotRead> + Sync),
    ) -> Result<T, Failed> {
        let gateway = match account.access {
            Access::Ali1688(_) => &self.ali1688,
            Access::Taobao(_) => &self.taobao,
        };
        gateway.rate.until_ready().await;
        let away = |error: reqwest::Error| Failed::Lost {
            error: PortError {
                operation: request.call,
                cause: Cause::Away,
                certainty: Certainty::Indeterminate,
                source: Some(Box::new(error.without_url())),
            },
            wait: None,
        };
        let url = format!("{}{}{}", gateway.url.as_str(), request.path, query(&request.query));
        let post = self.client.post(url).header(CONTENT_TYPE, request.content_type).body(request.body.clone());
        let answer = post.send().await.map_err(away)?;
        let (status, wait) = (answer.status(), retry_after(&answer));
        let body = body(answer).await.map_err(away)?;
        let text = body.as_deref().and_then(|body| std::str::from_utf8(body).ok());
        let read =
            text.map_or_else(|| Err(NotRead::Unreadable("not a text of the size of an answer".to_owned())), read);
        match (read, status) {
            (Ok(answer), status) if status.is_success() => Ok(answer),
            (Err(NotRead::Refused(refused)), _) => Err(Failed::Refused(refused)),
            (_, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => Err(throttled(request.call, wait)),
            (_, status) if status.is_server_error() => {
                Err(Failed::Lost { error: PortError::new(request.call, Cause::Away, Certainty::Indeterminate), wait })
            }
            (Err(NotRead::Unreadable(why)), status) if status.is_success() => {
                let error = PortError { source: Some(why.into()), ..PortError::unreadable(request.call) };
                Err(Failed::Lost { error, wait: None })
            }
            _ => Err(Failed::Lost {
                error: PortError::new(request.call, Cause::Rejected, Certainty::Determinate),
                wait: None,
            }),
        }
    }

    /// One detail at 1688, which has no call for many.
    async fn buyer_view(
        &self,
        account: &Account,
        access: &Ali1688Access,
        id: TradeId,
    ) -> Result<DetailOf, MarketError> {
        let request = ali1688::api::detail(access, &id, SystemClock.now());
        let told = self.call(account, request, ali1688::orders::read_detail).await;
        match told {
            Ok(told) => Ok((id, told.map_err(NoDetail::Malformed))),
            Err(MarketError::Refused(refused)) if is_of_one(&refused) => Ok((id, Err(NoDetail::Refused(refused)))),
            Err(error) => Err(error),
        }
    }

    /// One product at 1688, which has no call for many.
    async fn product(
        &self,
        account: &Account,
        (access, role): (&Ali1688Access, Role),
        id: ProductId,
    ) -> Result<ProductOf, MarketError> {
        let request = ali1688::api::product(access, role, &id, SystemClock.now());
        match self.call(account, request, |text| ali1688::products::read_detail(text, &id)).await {
            Ok(told) => Ok((id, told.map_err(NoDetail::Malformed))),
            Err(MarketError::Refused(refused)) if is_of_one(&refused) => Ok((id, Err(NoDetail::Refused(refused)))),
            Err(error) => Err(error),
        }
    }
}

/// Whether 1688 refuses this one detail for good. What its gateway says is of every call alike: set aside one by one, the
/// details would fill the quarantine, and the list would be passed without them.
fn is_of_one(refused: &Refused) -> bool {
    refused.flow == FlowControl::GiveUp && !ali1688::error::is_of_gateway(&refused.code)
}

fn no_detail(no_trade: taobao::trades::NoTrade) -> NoDetail {
    match no_trade {
        taobao::trades::NoTrade::Refused(refused) => NoDetail::Refused(refused),
        taobao::trades::NoTrade::Malformed(malformed) => NoDetail::Malformed(malformed),
    }
}

/// HTTP asks to be left alone: for a short while within this call, for a longer one until a later run.
fn throttled(call: &'static str, wait: Option<Duration>) -> Failed {
    let wait = wait.unwrap_or(Duration::from_secs(THROTTLED_S));
    if wait > Duration::from_millis(RETRY_AFTER_MS_MAX) {
        let flow = FlowControl::WaitSeconds(wait.as_secs().saturating_add(1));
        return Failed::Refused(Refused { flow, code: "http.retry_after".to_owned() });
    }
    let error = PortError::new(call, Cause::Throttled, Certainty::Determinate);
    Failed::Lost { error, wait: Some(wait) }
}

/// The seconds that HTTP asks to wait. Source: RFC 9110, 10.2.3; the form with a date is not in use at either vendor.
fn retry_after(answer: &Response) -> Option<Duration> {
    answer.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

/// The body; `None` when it is larger than any answer.
async fn body(mut answer: Response) -> reqwest::Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// The query of a request, with its `?`.
fn query(parameters: &[(String, String)]) -> String {
    if parameters.is_empty() {
        return String::new();
    }
    let mut query = String::from("?");
    let encoded = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    write!(query, "{encoded}").ok();
    query
}

/// What was asked for that a marketplace does not have for us.
fn unsupported() -> MarketError {
    Refused { flow: FlowControl::GiveUp, code: "catalogue.unsupported".to_owned() }.into()
}

impl<O: CallObserver + Sync + Send> Catalogue for WebMarketplaces<O> {
    async fn list(&self, account: &Account, query: &ListQuery) -> Result<Answer<ListPage<ProductId>>, MarketError> {
        match &account.access {
            Access::Ali1688(access) => {
                let request = ali1688::api::products(access, query, SystemClock.now());
                self.call(account, request, ali1688::products::read_list).await
            }
            Access::Taobao(_) => Err(unsupported()),
        }
    }

    async fn details(
        &self,
        account: &Account,
        role: Role,
        products: &[ProductId],
    ) -> Result<Vec<ProductOf>, MarketError> {
        match &account.access {
            Access::Ali1688(access) => {
                let asked = stream::iter(products.to_vec()).map(|id| self.product(account, (access, role), id));
                asked.buffered(DETAILS_AT_ONCE_MAX).try_collect().await
            }
            Access::Taobao(_) => Err(unsupported()),
        }
    }
}

impl<O: CallObserver + Sync + Send> Marketplace for WebMarketplaces<O> {
    async fn list(&self, account: &Account, query: &ListQuery) -> Result<Answer<ListPage<TradeId>>, MarketError> {
        let now: UnixMillis = SystemClock.now();
        match &account.access {
            Access::Ali1688(access) => {
                self.call(account, ali1688::api::list(access, query, now), ali1688::orders::read_list).await
            }
            Access::Taobao(access) => {
                self.call(account, taobao::call::list(access, query, now), taobao::trades::read_list).await
            }
        }
    }

    async fn details(&self, account: &Account, trades: &[TradeId]) -> Result<Vec<DetailOf>, MarketError> {
        match &account.access {
            Access::Ali1688(access) => {
                let asked = stream::iter(trades.to_vec()).map(|id| self.buyer_view(account, access, id));
                asked.buffered(DETAILS_AT_ONCE_MAX).try_collect().await
            }
            Access::Taobao(access) => {
                let request = taobao::call::details(access, trades, SystemClock.now());
                let told = self.call(account, request, |text| taobao::trades::read_details(text, trades.len())).await?;
                Ok(trades.iter().cloned().zip(told.into_iter().map(|told| told.map_err(no_detail))).collect())
            }
        }
    }

    async fn pull(&self, account: &Account) -> Result<Vec<Answer<Message>>, MarketError> {
        match &account.access {
            Access::Ali1688(_) => Ok(Vec::new()),
            Access::Taobao(access) => {
                self.call(account, taobao::call::pull(access, SystemClock.now()), taobao::messages::read).await
            }
        }
    }

    async fn confirm(&self, account: &Account, messages: &[MessageId]) -> Result<(), MarketError> {
        match &account.access {
            Access::Ali1688(_) => Ok(()),
            Access::Taobao(access) => {
                let request = taobao::call::confirm(access, messages, SystemClock.now());
                self.call(account, request, taobao::messages::read_confirmation).await
            }
        }
    }
}
