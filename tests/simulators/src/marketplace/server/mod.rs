//! A real HTTP server on the loopback that answers as both marketplaces do, over shops that change while they are read.
//!
//! It checks signatures, sessions, clocks and parameters, throttles and bans, and goes wrong on demand and by chance:
//! see [`Faults`]. `/simulator/…` is for operators: the state, the truth, and letting things happen.

mod admin;
mod ali1688;
mod faults;
mod options;
mod products;
mod taobao;
mod trades;
mod wire;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use adapters::clock::{Clock, SystemClock};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::{Marketplace, UnixMillis};
use fastrand::Rng;
use futures::stream;
use serde_json::Value;

pub use faults::{Fault, Faults, Limits, Refusal};
pub use options::{Offsets, Options, ShopOptions};

use super::assortment::Assortment;
use super::truth::{Disturbance, Market};
use faults::Limiter;

/// The name under which a batch of calls is counted, besides its parts.
pub const BATCH: &str = "router/batch";

const DAY_MS: i64 = 86_400_000;

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A shop that is served.
#[derive(Debug)]
struct Shop {
    options: ShopOptions,
    market: Mutex<Market>,
    assortment: Mutex<Assortment>,
}

impl Shop {
    fn new(options: ShopOptions, all: &Options, now: UnixMillis) -> Self {
        let from = now.saturating_add_ms(-DAY_MS * i64::from(options.days_back));
        let ShopOptions { marketplace, owner, seed, orders, products, .. } = &options;
        let mut market = Market::generate(*marketplace, owner, *seed, *orders, (from, now));
        market.set_ties(all.ties);
        market.lose_notices(all.notices_lost_percent);
        let mut assortment = Assortment::generate(owner, *seed, *products, (from, now));
        assortment.set_ties(all.ties);
        assortment.set_picture_host(&all.picture_host);
        Self { options, market: Mutex::new(market), assortment: Mutex::new(assortment) }
    }

    fn market(&self) -> MutexGuard<'_, Market> {
        lock(&self.market)
    }

    fn assortment(&self) -> MutexGuard<'_, Assortment> {
        lock(&self.assortment)
    }
}

/// What all calls share. Locks are held one at a time, but for a shop's.
#[derive(Debug)]
struct Hub {
    options: Options,
    shops: Vec<Shop>,
    faults: Faults,
    limiter: Mutex<Limiter>,
    calls: Mutex<BTreeMap<String, u64>>,
    disturbance: Mutex<Disturbance>,
    random: Mutex<Rng>,
}

impl Hub {
    fn new(options: Options) -> Self {
        let now = SystemClock.now();
        Self {
            shops: options.shops.iter().map(|shop| Shop::new(shop.clone(), &options, now)).collect(),
            faults: Faults::new(options.seed, options.faults_percent),
            limiter: Mutex::new(Limiter::new(options.limits)),
            calls: Mutex::default(),
            disturbance: Mutex::new(options.disturbance),
            random: Mutex::new(Rng::with_seed(options.seed)),
            options,
        }
    }

    fn now(&self) -> UnixMillis {
        SystemClock.now()
    }

    /// Whether one in so many chances came.
    fn chance(&self, one_in: u32) -> bool {
        lock(&self.random).u32(0..one_in) == 0
    }

    fn shops_of(&self, marketplace: Marketplace, app_key: &str) -> impl Iterator<Item = &Shop> {
        self.shops.iter().filter(move |shop| shop.options.marketplace == marketplace && shop.options.app_key == app_key)
    }

    fn secret(&self, marketplace: Marketplace, app_key: &str) -> Option<&str> {
        self.shops_of(marketplace, app_key).next().map(|shop| shop.options.app_secret.as_str())
    }

    fn shop(&self, marketplace: Marketplace, app_key: &str, token: &str) -> Option<&Shop> {
        self.shops_of(marketplace, app_key).find(|shop| shop.options.token == token)
    }

    fn limited(&self, marketplace: Marketplace, app_key: &str, parts: u64) -> Option<Refusal> {
        let app = format!("{}/{app_key}", marketplace.as_str());
        lock(&self.limiter).count(&app, parts, self.now())
    }

    /// Lets happen to a shop what happens between two calls.
    fn disturb(&self, shop: &Shop) {
        let how = *lock(&self.disturbance);
        self.change(shop, how);
    }

    /// Trades change in every shop, products where there are any.
    fn change(&self, shop: &Shop, how: Disturbance) {
        shop.market().disturb(how, self.now());
        if shop.options.products > 0 {
            shop.assortment().disturb(how, self.now());
        }
    }

    fn count(&self, api: &str) {
        *lock(&self.calls).entry(api.to_owned()).or_default() += 1;
    }

    fn calls(&self) -> BTreeMap<String, u64> {
        lock(&self.calls).clone()
    }

    fn answer(&self, request: &Request) -> Said {
        if request.path.starts_with("/simulator/") {
            return admin::answer(self, request);
        }
        let is_1688 = request.path.starts_with("/openapi/");
        let api = if is_1688 { ali1688::api(&request.path) } else { taobao::api(request) };
        self.count(&api);
        let fault = self.faults.take(&api);
        let answered = || {
            if is_1688 { ali1688::answer(self, request, fault) } else { taobao::answer(self, request, fault) }
        };
        match fault {
            Some(Fault::TooMany { retry_after_s }) => {
                let mut said = Said::page(429);
                said.headers.extend(retry_after_s.map(|seconds| ("retry-after", seconds.to_string())));
                said
            }
            Some(Fault::Status(status)) => Said::page(status),
            Some(Fault::Page) => Said::page(200),
            Some(Fault::Hold { ms }) => Said { hold_ms: ms, ..answered() },
            Some(Fault::BreakOff) => Said { is_broken_off: true, ..answered() },
            Some(Fault::Cut) => {
                let mut said = answered();
                said.body.pop();
                said
            }
            Some(Fault::Refuse(_) | Fault::RefusePart(..)) | None => answered(),
        }
    }
}

/// A request as it came.
#[derive(Debug)]
struct Request {
    method: String,
    path: String,
    query: String,
    content_type: String,
    /// The header `top-api-separator`.
    separator: Option<String>,
    body: String,
}

/// An answer, and how it is given.
#[derive(Debug)]
struct Said {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
    hold_ms: u64,
    is_broken_off: bool,
}

impl Said {
    fn text(status: u16, content_type: &str, body: String) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self { status, headers, body, hold_ms: 0, is_broken_off: false }
    }

    fn json(status: u16, body: &Value) -> Self {
        Self::text(status, "application/json;charset=UTF-8", body.to_string())
    }

    /// A page for people, as a proxy before the gateway gives it.
    fn page(status: u16) -> Self {
        let body = format!("<html><head><title>{status}</title></head><body><center>Tengine</center></body></html>");
        Self::text(status, "text/html", body)
    }

    fn response(self) -> Response {
        let body = if self.is_broken_off {
            let half: Vec<u8> = self.body.bytes().take(self.body.len() / 2).collect();
            let broken = io::Error::new(io::ErrorKind::ConnectionAborted, "broken off");
            Body::from_stream(stream::iter([Ok(half), Err(broken)]))
        } else {
            Body::from(self.body)
        };
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, body).into_response();
        for (name, value) in self.headers {
            if let Ok(value) = value.parse() {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

/// A server, as long as it is held.
#[derive(Debug)]
pub struct Server {
    /// Where it listens, such as `http://127.0.0.1:40123`: the URL of both marketplaces.
    pub url: String,
    hub: Arc<Hub>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Server {
    /// Starts one. An error when the port is taken.
    pub async fn start(options: Options) -> io::Result<Self> {
        let listener = tokio::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, options.port))).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let hub = Arc::new(Hub::new(options));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&hub));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap_or_default() });
        let changing = tokio::spawn(change(Arc::clone(&hub)));
        Ok(Self { url, hub, tasks: vec![serving, changing] })
    }

    /// What it was started with; the port is in the URL.
    pub fn options(&self) -> &Options {
        &self.hub.options
    }

    /// The truth of a shop. While it is held, no call of the shop is answered: do not hold it over one.
    pub fn market(&self, marketplace: Marketplace, shop: &str) -> Option<MutexGuard<'_, Market>> {
        self.shop(marketplace, shop).map(Shop::market)
    }

    /// The truth of a shop's products. While it is held, no call of the shop is answered: do not hold it over one.
    pub fn assortment(&self, marketplace: Marketplace, shop: &str) -> Option<MutexGuard<'_, Assortment>> {
        self.shop(marketplace, shop).map(Shop::assortment)
    }

    /// What a shop is asked with.
    pub fn account(&self, marketplace: Marketplace, shop: &str) -> Option<protocols::marketplace::Account> {
        self.shop(marketplace, shop).map(|shop| shop.options.account())
    }

    fn shop(&self, marketplace: Marketplace, name: &str) -> Option<&Shop> {
        self.hub.shops.iter().find(|shop| shop.options.marketplace == marketplace && shop.options.shop == name)
    }

    /// What goes wrong.
    pub fn faults(&self) -> Faults {
        self.hub.faults.clone()
    }

    /// How many requests there were, by the API's name; a batch is counted as [`BATCH`], and its parts besides.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.hub.calls()
    }

    /// Begins to count requests anew; gives what was counted.
    pub fn take_calls(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut lock(&self.hub.calls))
    }

    /// From now on this changes at each call, in the shop that is asked.
    pub fn set_disturbance(&self, how: Disturbance) {
        *lock(&self.hub.disturbance) = how;
    }

    /// Makes so many changes in a shop, spread evenly over a time; gives how many there were, 0 for an unknown shop.
    pub fn play(
        &self,
        marketplace: Marketplace,
        shop: &str,
        (from, to): (UnixMillis, UnixMillis),
        changes: u64,
    ) -> u64 {
        self.market(marketplace, shop).map_or(0, |mut market| market.play(from, to, changes))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Lets the shops change by themselves, as often a minute as the options say.
async fn change(hub: Arc<Hub>) {
    let mut due = 0;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        due += hub.options.changes_per_minute;
        let how = Disturbance { tenths: due / 60 * 10, ..hub.options.disturbance };
        due %= 60;
        if how.tenths == 0 {
            continue;
        }
        for shop in &hub.shops {
            hub.change(shop, how);
        }
    }
}

async fn answer(
    State(hub): State<Arc<Hub>>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let request = Request {
        method: method.to_string(),
        path: uri.path().to_owned(),
        query: uri.query().unwrap_or_default().to_owned(),
        content_type: header("content-type").unwrap_or_default(),
        separator: header("top-api-separator"),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let said = hub.answer(&request);
    tokio::time::sleep(Duration::from_millis(said.hold_ms)).await;
    said.response()
}

#[cfg(test)]
mod tests;
