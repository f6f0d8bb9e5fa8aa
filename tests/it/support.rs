//! A shop with a stack in memory: its functions, its twins, its counterparts' secrets.

use adapters::certificates::CertificateCache;
use adapters::clock::Clock;
use adapters::quotes::QuoteCache;
use adapters::secrets::{SecretCache, Secrets};
use adapters::testing::{
    FaultPlan, Faulty, ManualClock, MemoryCertificates, MemoryEvents, MemoryLedger, MemoryNonces, MemoryOrders,
    MemoryProducts, MemoryQuarantine, MemoryRates, MemorySecrets, MemoryTrades,
};
use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use domain::{
    AfterSaleId, AfterSaleState, Carrier, Currency, Event, LineId, ListingDigest, LogisticsId, Marketplace, Money,
    PaymentEvent, ProductName, RawDetail, RawStatus, ReferenceRates, ShopId, TradeContent, TradeId, TradeLine,
    UnixMillis, Waybill,
};
use lambda::deadline::Deadline;
use lambda::http::{Request, Response};
use lambda::log::MemoryLog;
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use protocols::marketplace::{Answer, Told, ToldCase, ToldPackage};
use secrecy::SecretString;
use simulators::gateway::{CallbackRequest, Keys};

/// What the shop's counterparts sign with.
pub const APP_SECRET: &str = "test_app_secret_0123456789abcdef";
pub const WAREHOUSE_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
pub const SCANNER_SECRET: &str = "scanner-secret-0123456789";
pub const CLIENT_SECRET: &str = "client-secret-0123456789";
/// The simulated Stripe's.
pub const STRIPE_SECRET: &str = "whsec_local_stack_only_stripe";

/// 2026-11-21T08:00:00Z, where the shop's clock starts.
pub const NOW: i64 = 1_795_248_000_000;

pub fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

/// The secrets document of the shop.
pub fn secrets() -> Secrets {
    Secrets::from_json(
        &serde_json::json!({
            "marketplaces": {"1688": {"demo": {"app_key": "1", "app_secrets": [APP_SECRET],
                                               "access_token": "token", "member_id": "b2b-665170100"}}},
            "sources": {"warehouse": {"scheme": "standard-webhooks", "secrets": [WAREHOUSE_SECRET]},
                        "scanner": {"scheme": "hmac-sha256", "secrets": [SCANNER_SECRET]}},
            "gateways": serde_json::from_str::<serde_json::Value>(simulators::gateway::SECTION).unwrap(),
            "clients": {"shopfront": {"secrets": [CLIENT_SECRET]}}
        })
        .to_string(),
    )
    .unwrap()
}

/// The stack in memory.
#[derive(Debug, Clone)]
pub struct Shop {
    pub orders: MemoryOrders,
    pub trades: MemoryTrades,
    pub products: MemoryProducts,
    pub ledger: MemoryLedger,
    pub rates: MemoryRates,
    pub certificates: MemoryCertificates,
    pub events: MemoryEvents,
    pub quarantine: MemoryQuarantine,
    pub secrets: MemorySecrets,
    pub nonces: MemoryNonces,
    pub clock: ManualClock,
    pub log: MemoryLog,
    pub plan: FaultPlan,
    pub cache: std::sync::Arc<SecretCache>,
    pub quotes: std::sync::Arc<QuoteCache>,
    pub certificate_cache: std::sync::Arc<CertificateCache>,
}

impl Shop {
    /// A shop where nothing fails.
    pub fn new() -> Self {
        Self::under(FaultPlan::none())
    }

    /// A shop whose port calls fail by a plan.
    pub fn under(plan: FaultPlan) -> Self {
        Self {
            orders: MemoryOrders::default(),
            trades: MemoryTrades::default(),
            products: MemoryProducts::default(),
            ledger: MemoryLedger::default(),
            rates: MemoryRates::new(rates()),
            certificates: MemoryCertificates::default(),
            events: MemoryEvents::default(),
            quarantine: MemoryQuarantine::default(),
            secrets: MemorySecrets::new(secrets()),
            nonces: MemoryNonces::default(),
            clock: ManualClock::at(UnixMillis::new(NOW).unwrap()),
            log: MemoryLog::default(),
            plan,
            cache: std::sync::Arc::default(),
            quotes: std::sync::Arc::default(),
            certificate_cache: std::sync::Arc::default(),
        }
    }

    fn faulty<P: Clone>(&self, port: &P) -> Faulty<P> {
        Faulty::new(port.clone(), &self.plan)
    }

    /// One delivery through webhook-intake. `None` when its process was gone before it answered.
    pub async fn deliver(&self, request: Request) -> Option<Response> {
        let deadline = Deadline::from_lambda(u64::MAX);
        let (queue, source) = (self.faulty(&self.events), self.faulty(&self.secrets));
        self.plan
            .run(webhook_intake::handler::handle(
                request,
                deadline,
                &queue,
                &source,
                &self.cache,
                &self.clock,
                &self.log,
            ))
            .await
    }

    /// One batch through status-writer: the ids that have to come again. `None` when its process was gone.
    pub async fn write(&self, batch: SqsEvent) -> Option<Vec<String>> {
        self.write_until(batch, Deadline::from_lambda(u64::MAX)).await
    }

    /// The same, with a deadline.
    pub async fn write_until(&self, batch: SqsEvent, deadline: Deadline) -> Option<Vec<String>> {
        let (orders, trades) = (self.faulty(&self.orders), self.faulty(&self.trades));
        let (products, quarantine) = (self.faulty(&self.products), self.faulty(&self.quarantine));
        let invocation = status_writer::handler::handle(
            batch,
            deadline,
            &orders,
            &trades,
            &products,
            &quarantine,
            (&self.clock, &self.log),
        );
        let answer = self.plan.run(invocation).await?.unwrap();
        Some(answer.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect())
    }

    /// One callback through payment-callback.
    pub async fn pay(&self, request: Request) -> Option<Response> {
        let deadline = Deadline::from_lambda(u64::MAX);
        let (ledger, source) = (self.faulty(&self.ledger), self.faulty(&self.secrets));
        let certificates = self.faulty(&self.certificates);
        let keys = (&source, &*self.cache, &certificates, &*self.certificate_cache);
        self.plan.run(payment_callback::handler::handle(request, deadline, &ledger, keys, &self.clock, &self.log)).await
    }

    /// One request through orders-api.
    pub async fn ask(&self, request: Request) -> Option<Response> {
        let deadline = Deadline::from_lambda(u64::MAX);
        let facts = (&self.faulty(&self.orders), &self.faulty(&self.trades), &self.faulty(&self.ledger));
        let rates = (&self.faulty(&self.rates), &*self.quotes, rust_decimal::Decimal::TWO);
        let client = (&self.faulty(&self.nonces), &self.faulty(&self.secrets), &*self.cache);
        self.plan
            .run(orders_api::handler::handle(request, deadline, facts, rates, client, &self.clock, &self.log))
            .await
    }
}

/// The rates of the day before the shop's clock starts: 16,500 yen are 102.30 euros.
pub fn rates() -> ReferenceRates {
    let day = time::macros::date!(2026 - 11 - 20);
    let mut rates = ReferenceRates::default();
    for (code, per_euro) in
        [("USD", "1.0850"), ("JPY", "161.29"), ("CNY", "7.8125"), ("GBP", "0.85"), ("KRW", "1480.5")]
    {
        rates.publish(day, Currency::from_code(code).unwrap(), domain::rate::rate_value(per_euro).unwrap());
    }
    rates
}

/// A batch of messages, with ids `m0`, `m1`, …
pub fn batch(bodies: impl IntoIterator<Item = String>) -> SqsEvent {
    let records = bodies.into_iter().enumerate().map(|(position, body)| {
        let mut message = SqsMessage::default();
        message.message_id = Some(format!("m{position}"));
        message.body = Some(body);
        message
    });
    let mut event = SqsEvent::default();
    event.records = records.collect();
    event
}

/// A request with this body.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Request {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        body: Ok(body.into()),
        request_id: "r1".to_owned(),
    }
}

/// A push that 1688 signed, to the shop `demo`.
pub fn push(message: &str) -> Request {
    request("POST", "/webhooks/1688/demo", &[], protocols::ali1688::push::signed_form(&secret(APP_SECRET), message))
}

/// A status push: order, 1688's word, time in ms, message id.
pub fn status_push(trade: u64, word: &str, at: i64, id: u64) -> String {
    serde_json::json!({
        "bizKey": "elsewhere", "gmtBorn": at, "msgId": id, "type": "ORDER_BUYER_VIEW_ORDER_PAY",
        "userInfo": "b2b-665170100",
        "data": {"orderId": trade, "currentStatus": word, "msgSendTime": "2018-05-30 19:34:27"}
    })
    .to_string()
}

/// What a sweep read of a trade of the shop `demo` at `seen_at`: it stood so at `at`, one consignment had left, half of
/// its one line was asked back.
pub fn reading(trade: u64, word: &str, at: i64, seen_at: i64) -> Event {
    let time = |millis| UnixMillis::new(millis).unwrap();
    let yuan = |minor| Money::new(minor, Currency::from_code("CNY").unwrap()).ok();
    let account = secrets().account(Marketplace::Alibaba1688, &ShopId::new("demo").unwrap()).unwrap();
    let line = LineId::new("1").unwrap();
    let told = Told {
        trade_id: TradeId::new(trade.to_string()).unwrap(),
        modified_at: time(at),
        status: protocols::ali1688::status::of_word(word),
        raw_status: RawStatus::new(word).unwrap(),
        content: TradeContent {
            created_at: Some(time(at - 1_000)),
            lines: vec![TradeLine {
                id: line.clone(),
                product: None,
                sku: None,
                name: ProductName::new("\u{4e1d}\u{5dfe}").ok(),
                quantity: domain::money::decimal("2.5").ok(),
                unit_price: None,
                amount: yuan(1_000),
                picture: None,
                status: None,
            }],
            ..TradeContent::default()
        },
        packages: vec![ToldPackage {
            id: LogisticsId::new("LP1").unwrap(),
            waybill: Some((Carrier::new("ZTO").unwrap(), Waybill::new("753").unwrap())),
            shipped_at: Some(time(at)),
            signed_at: None,
        }],
        cases: vec![ToldCase {
            id: AfterSaleId::new("TQ1").unwrap(),
            state: AfterSaleState::Requested,
            raw: RawStatus::new("waitselleragree").unwrap(),
            line: Some(line),
            money: yuan(500),
        }],
        json: "{}".to_owned(),
    };
    let owned = Answer::new(told, [account.owner().to_owned()]).belonging_to(&account).unwrap();
    let (listed, raw) = (ListingDigest::new(at.to_string()).unwrap(), RawDetail::Inline(adapters::gzip::pack("{}")));
    owned.event(&account, listed, time(seen_at), raw).unwrap().event().clone()
}

/// An event that the warehouse signed at `now`.
pub fn warehouse(id: &str, now: i64, body: &str) -> Request {
    let seconds = now / 1_000;
    let signature =
        protocols::standard_webhooks::sign(&secret(WAREHOUSE_SECRET), id, seconds, body.as_bytes()).unwrap();
    let timestamp = seconds.to_string();
    let headers = [("webhook-id", id), ("webhook-timestamp", &timestamp), ("webhook-signature", &signature)];
    request("POST", "/webhooks/events/warehouse", &headers, body)
}

/// A status event in the warehouse's form: time in ms.
pub fn status_event(order: &str, status: &str, at: i64) -> String {
    let timestamp = UnixMillis::new(at).unwrap().to_rfc3339();
    serde_json::json!({"type": "order.status", "timestamp": timestamp, "data": {"order_id": order, "status": status}})
        .to_string()
}

/// An event that the scanner signed.
pub fn scanner(body: &str) -> Request {
    let signature = protocols::flat_hmac::sign(&secret(SCANNER_SECRET), body.as_bytes());
    request("POST", "/webhooks/events/scanner", &[("x-signature", &signature)], body)
}

/// A request that the shop front signed at `now`.
pub fn client(method: &str, path: &str, nonce: &str, now: i64, body: &str) -> Request {
    let timestamp = (now / 1_000).to_string();
    let signable = protocols::client::Signable {
        timestamp: &timestamp,
        nonce,
        method,
        path_with_query: path,
        body: body.as_bytes(),
    };
    let signature = signable.sign(&secret(CLIENT_SECRET));
    let headers =
        [("x-app-key", "shopfront"), ("x-timestamp", &timestamp), ("x-nonce", nonce), ("x-signature", &signature)];
    request(method, path, &headers, body)
}

/// The keys of the simulated gateways.
pub fn keys() -> &'static Keys {
    static KEYS: std::sync::OnceLock<Keys> = std::sync::OnceLock::new();
    KEYS.get_or_init(Keys::local)
}

/// The callback that tells of a movement, as its gateway signs it at `now`.
pub fn callback(event: &PaymentEvent, now: i64) -> Request {
    let sent = simulators::gateway::callback(keys(), event, None, UnixMillis::new(now).unwrap());
    sent_request(sent.unwrap_or_else(|| panic!("{} cannot tell of {event:?}", event.payment.gateway.as_str())))
}

/// A gateway's request as the function gets it.
pub fn sent_request(sent: CallbackRequest) -> Request {
    let headers: Vec<(&str, &str)> = sent.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    request("POST", &sent.path, &headers, sent.body)
}

/// An event that Stripe signed at `now`, about this object.
pub fn stripe(kind: &str, now: i64, object: &serde_json::Value) -> Request {
    let event = serde_json::json!({"id": "evt_1", "type": kind, "created": now / 1_000, "data": {"object": object}});
    let body = event.to_string();
    let signature = protocols::gateway::stripe::sign(&secret(STRIPE_SECRET), now / 1_000, body.as_bytes());
    request("POST", "/payments/stripe", &[("stripe-signature", &signature)], body)
}

/// How many rounds a battery runs: in full under `make soak`, a share of it under `make test`.
#[expect(clippy::disallowed_methods, reason = "tests choose their length by the environment")]
pub fn rounds(share: u64, full: u64) -> u64 {
    if std::env::var("SAMPAN_SOAK").is_ok() { full } else { share }
}

/// The seed of a battery: given by `SAMPAN_SEED`, else fresh. Printed, so that a failure can be replayed.
#[expect(clippy::disallowed_methods, reason = "tests choose their seed by the environment")]
pub fn seed(battery: &str) -> u64 {
    let given = std::env::var("SAMPAN_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| u64::try_from(adapters::clock::SystemClock.now().get()).unwrap());
    println!("{battery}: seed {seed} (replay with SAMPAN_SEED={seed})");
    seed
}

/// Seeded choices.
pub struct Dice(TestRng);

impl Dice {
    /// The same choices for the same seed.
    pub fn seeded(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self(TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// One of the numbers below `count`, 0 when there is none.
    pub fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.0.next_u64() % u64::try_from(count.max(1)).unwrap()).unwrap()
    }

    /// Any order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for place in (1..items.len()).rev() {
            items.swap(place, self.below(place + 1));
        }
    }
}

/// The bytes with each of their bits flipped in turn.
pub fn flips(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    (0..bytes.len() * 8).map(|bit| {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    })
}

/// A text with each of its bits flipped in turn; what is no ASCII then is read as Latin-1.
pub fn text_flips(text: &str) -> impl Iterator<Item = String> + '_ {
    flips(text.as_bytes()).map(|bytes| bytes.into_iter().map(char::from).collect())
}
