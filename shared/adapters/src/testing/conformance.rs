//! What a port promises, as a test that its twin and its AWS implementation both pass.
//!
//! Each suite takes a `run` that no other run has used, and touches only names that hold it.

mod images;

use std::collections::{BTreeMap, BTreeSet};

use domain::money::decimal;
use domain::sweep::{SweepKind, SweepState, Window};
use domain::{
    AfterSale, AfterSaleId, AfterSaleState, AppKey, Carrier, Claim, Currency, Event, EventId, Journey, LeaseToken,
    Line, LineId, Link, ListingDigest, LogisticsId, MessageId, Money, MovementKind, Nonce, OrderContent, OrderFacts,
    OrderId, OrderReport, Origin, Outcome, Package, PaymentEvent, PaymentFacts, PaymentKey, Picture, Placed, ProductId,
    ProductName, Rate, RateSource as RateOrigin, RawDetail, RawStatus, Recorded, Refund, RefundId, RefundTotals,
    ReportedStatus, ShopId, Sku, SourceName, StateReport, StoredKey, Trace, TraceStatus, TradeContent, TradeDetail,
    TradeFacts, TradeKey, TradeLine, TradePayment, TradeReport, TradeStatus, TransactionId, UnixMillis, Waybill,
    WaybillReport,
};

use protocols::gateway::paypal::CertificateUrl;
use protocols::gateway::{self, Callback, Item, VerifiedPayment, stripe};
use protocols::{Channel, Content, Credentials, Delivery, VerifiedEvent, cloudevents};
use secrecy::SecretString;

use crate::error::{Disposition, PortError};
use crate::gzip;
use crate::ports::{
    self, CertificateSource, EventQueue, Ledger, Nonces, OrderBook, OrderStore, Quarantine, Quarantined, RateSource,
    RawDetails, Refunded, SecretsSource, SweepKey, Sweeps, TradeDetails, TradeStore,
};

pub use images::{image_bucket, image_queue, manifest, products};

/// What a promise's breach looks like, or an error on the way to it.
pub type Verdict = Result<(), Box<dyn std::error::Error + Send + Sync>>;

fn expect<T: PartialEq + std::fmt::Debug>(promise: &str, found: T, promised: T) -> Verdict {
    if found == promised { Ok(()) } else { Err(format!("{promise}: found {found:?}, promised {promised:?}").into()) }
}

fn origin(source: &str, event: &str) -> Result<Origin, domain::InvalidText> {
    Ok(Origin { source: SourceName::new(source)?, event_id: EventId::new(event)? })
}

/// The promises of [`OrderStore`].
pub async fn orders(store: &impl OrderStore, run: &str) -> Verdict {
    use Outcome::{Applied, Duplicate, Stale};
    let order = OrderId::new(format!("conformance-{run}"))?;
    let report = |status, at, by| OrderReport { status, at, by };
    let at = UnixMillis::new(1_000)?;
    let (earlier, later) = (UnixMillis::new(999)?, UnixMillis::new(1_001)?);
    expect("an unknown order is empty", store.read(&order).await?, OrderFacts::default())?;

    let arrived = report(ReportedStatus::Arrived, at, origin("w", "b")?);
    let packed = report(ReportedStatus::Packed, at, origin("w", "b")?);
    let both = [arrived.clone(), packed.clone()];
    expect("new reports are applied", store.report(&order, &both).await?, vec![Applied; 2])?;
    expect("again they are duplicates", store.report(&order, &both).await?, vec![Duplicate; 2])?;

    let late = report(ReportedStatus::Arrived, later, origin("a", "a")?);
    expect("a later report is stale", store.report(&order, std::slice::from_ref(&late)).await?, vec![Stale])?;
    let shipped = report(ReportedStatus::Shipped, at, origin("w", "c")?);
    let mixed = [late, packed, shipped.clone()];
    expect(
        "a stale one does not hold the others up",
        store.report(&order, &mixed).await?,
        vec![Stale, Duplicate, Applied],
    )?;

    let tie_lost = report(ReportedStatus::Shipped, at, origin("w", "d")?);
    let tie_won = report(ReportedStatus::Shipped, at, origin("a", "z")?);
    expect("of one time the greater origin is stale", store.report(&order, &[tie_lost]).await?, vec![Stale])?;
    expect(
        "of one time the smaller origin is kept",
        store.report(&order, std::slice::from_ref(&tie_won)).await?,
        vec![Applied],
    )?;
    let first = report(ReportedStatus::Arrived, earlier, origin("z", "z")?);
    expect("an earlier report is kept", store.report(&order, std::slice::from_ref(&first)).await?, vec![Applied])?;

    let kept: Vec<OrderReport> = store.read(&order).await?.reports().cloned().collect();
    expect("what is kept reads back", kept, vec![first, both[1].clone(), tie_won])?;
    let listed = store.list().await?.into_iter().find(|known| known.id == order);
    expect("the list has it", listed.map(|known| known.facts), Some(store.read(&order).await?))?;
    links(store, &order, run).await
}

async fn links(store: &impl OrderStore, order: &OrderId, run: &str) -> Verdict {
    let trade: TradeKey = format!("1688#conformance#{}", digits(run)).parse()?;
    let link = |at: i64, event: &str| -> Result<Link, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Link { trade: trade.clone(), at: UnixMillis::new(at)?, by: origin("shopfront", event)? })
    };
    expect("a new link is applied", store.link(order, &link(5, "n1")?).await?, Outcome::Applied)?;
    expect("again it is a duplicate", store.link(order, &link(5, "n1")?).await?, Outcome::Duplicate)?;
    expect("a later one is stale", store.link(order, &link(6, "n0")?).await?, Outcome::Stale)?;
    expect("an earlier one is kept", store.link(order, &link(4, "n9")?).await?, Outcome::Applied)?;
    let kept: Vec<Link> = store.read(order).await?.links().cloned().collect();
    expect("the link reads back", kept, vec![link(4, "n9")?])?;
    expect("a trade knows its orders", store.orders_of(&trade).await?, vec![order.clone()])?;
    let stranger: TradeKey = "1688#conformance-stranger#1".parse()?;
    expect("a trade that is not linked has none", store.orders_of(&stranger).await?, Vec::new())
}

/// A trade id of this run: digits only, as marketplaces give them.
fn digits(run: &str) -> String {
    let folded = run.bytes().fold(7_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)));
    folded.to_string()
}

/// The promises of [`OrderBook`], on a store that is read as [`OrderStore`] too.
pub async fn book(store: &(impl OrderBook + OrderStore), run: &str) -> Verdict {
    let order = OrderId::new(format!("book-{run}"))?;
    let placed = placed(16_500)?;
    expect("a new order is created", store.place(&order, &placed).await?, None)?;
    expect("again it is there as it was", store.place(&order, &placed).await?, Some(placed.clone()))?;
    let other = placed_other()?;
    expect("another one changes nothing", store.place(&order, &other).await?, Some(placed.clone()))?;
    let bare = OrderId::new(format!("book-bare-{run}"))?;
    expect("an order without lines is created", store.place(&bare, &other).await?, None)?;
    expect("and reads back", store.read(&bare).await?.placed, Some(other))?;

    let first = refund("r1", 100, 1)?;
    expect("a first refund is granted", store.refund(&order, &first).await?, Refunded::Granted)?;
    let kept = || Refunded::Kept(Box::new(first.clone()));
    expect("again it is kept", store.refund(&order, &first).await?, kept())?;
    let renamed = Refund { id: RefundId::new("r1")?, ..refund("r2", 7, 2)? };
    expect("its id is used", store.refund(&order, &renamed).await?, kept())?;
    expect("none is granted in its place", store.refund(&order, &refund("r2", 7, 1)?).await?, Refunded::Moved)?;
    expect("nor one too early", store.refund(&order, &refund("r2", 7, 3)?).await?, Refunded::Moved)?;
    let second = refund("r2", 7, 2)?;
    expect("the next one is", store.refund(&order, &second).await?, Refunded::Granted)?;

    let mut facts = OrderFacts::default();
    facts.placed = Some(placed);
    facts.refund_totals = second.through;
    facts.refunds = [first, second].map(|refund| (refund.id.clone(), refund)).into();
    expect("all of it reads back", store.read(&order).await?, facts)
}

fn placed(price_minor: i64) -> Result<Placed, Box<dyn std::error::Error + Send + Sync>> {
    let yen = Currency::from_code("JPY")?;
    let sku = Sku::new("\u{4e1d}\u{5dfe} \"<&>\"")?;
    let lines = vec![Line { sku, quantity: 3, unit_price: Money::new(5_500, yen)? }; 2];
    let content = OrderContent { price: Money::new(price_minor, yen)?, charge_currency: Currency::EUR, lines };
    let date = time::Date::from_calendar_date(2026, time::Month::November, 20)?;
    let rate = Rate::kept((yen, Currency::EUR), "0.0062", (RateOrigin::Ecb, date), UnixMillis::new(7)?)?;
    Ok(Placed::new(content, rate, UnixMillis::new(8)?, origin("shopfront", "n1")?)?)
}

fn placed_other() -> Result<Placed, Box<dyn std::error::Error + Send + Sync>> {
    let price = Money::new(1, Currency::EUR)?;
    let content = OrderContent { price, charge_currency: Currency::EUR, lines: Vec::new() };
    let rate = Rate::identity(Currency::EUR, UnixMillis::new(9)?);
    Ok(Placed::new(content, rate, UnixMillis::new(9)?, origin("shopfront", "n2")?)?)
}

fn refund(id: &str, charged: i64, count: u32) -> Result<Refund, Box<dyn std::error::Error + Send + Sync>> {
    let through = RefundTotals { count, priced_minor: 11 * i64::from(count), charged_minor: 100 + charged };
    let charged = Money::new(charged, Currency::EUR)?;
    Ok(Refund {
        id: RefundId::new(id)?,
        asked: charged,
        priced: Money::new(11, Currency::from_code("JPY")?)?,
        charged,
        through,
        at: UnixMillis::new(20)?,
        by: origin("shopfront", "n3")?,
    })
}

/// A capture or a refund as Stripe signs it.
pub(crate) fn signed_payment(
    event: &PaymentEvent,
) -> Result<VerifiedPayment, Box<dyn std::error::Error + Send + Sync>> {
    let object = serde_json::json!({
        "id": if event.kind == MovementKind::Captured { event.payment.payment_id.as_str() } else { event.transaction_id.as_str() },
        "payment_intent": event.payment.payment_id, "latest_charge": event.transaction_id, "status": "succeeded",
        "amount": event.money.minor(), "currency": event.money.currency().code().to_ascii_lowercase(),
        "metadata": {"order_id": event.order.as_ref().map(OrderId::as_str)},
    });
    let kind = if event.kind == MovementKind::Captured { "payment_intent.succeeded" } else { "refund.created" };
    let (now, secret) = (event.occurred_at, SecretString::from("conformance"));
    let body = serde_json::json!({"type": kind, "created": now.seconds(), "data": {"object": object}}).to_string();
    let header = stripe::sign(&secret, now.seconds(), body.as_bytes());
    let callback =
        Callback::new(domain::Gateway::Stripe, vec![("stripe-signature".to_owned(), header)], body.into_bytes());
    let credentials = gateway::Credentials::Stripe(stripe::Credentials { signing_secrets: vec![secret] });
    match callback.verify(&credentials, None, now)?.read()?.pop() {
        Some(Item::Movement(payment)) if payment.event() == event => Ok(payment),
        other => Err(format!("{event:?} was read as {other:?}").into()),
    }
}

/// The promises of [`Ledger`].
pub async fn ledger(ledger: &impl Ledger, run: &str) -> Verdict {
    use Recorded::{Applied, Conflict, Duplicate};
    let (order, other) = (OrderId::new(format!("ledger-{run}"))?, OrderId::new(format!("ledger-other-{run}"))?);
    let payment: PaymentKey = format!("stripe#pi_{run}").parse()?;
    expect("an unknown payment is empty", ledger.read(&payment).await?, PaymentFacts::default())?;
    expect("an unknown order has none", ledger.payments_of(&order).await?, Vec::new())?;
    let captured = PaymentEvent {
        payment: payment.clone(),
        transaction_id: TransactionId::new(format!("ch_{run}"))?,
        kind: MovementKind::Captured,
        order: Some(order.clone()),
        money: Money::new(10_230, Currency::EUR)?,
        occurred_at: UnixMillis::from_seconds(1_795_248_000)?,
    };
    let refunded = PaymentEvent {
        transaction_id: TransactionId::new(format!("re_{run}"))?,
        kind: MovementKind::Refunded,
        order: None,
        money: Money::new(30, Currency::EUR)?,
        ..captured.clone()
    };
    let record = async |event: &PaymentEvent| {
        let recorded = ledger.record(&signed_payment(event)?).await?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(recorded)
    };
    expect("a movement without an order is applied", record(&refunded).await?, Applied)?;
    expect("and no order has it", ledger.payments_of(&order).await?, Vec::new())?;
    expect("a new movement is applied", record(&captured).await?, Applied)?;
    expect("again it is a duplicate", record(&captured).await?, Duplicate)?;
    let restamped = PaymentEvent { occurred_at: UnixMillis::from_seconds(1_795_247_990)?, ..captured.clone() };
    expect("at an earlier time it is still one", record(&restamped).await?, Duplicate)?;
    let earlier = captured.occurred_at;
    let captured = PaymentEvent { occurred_at: UnixMillis::from_seconds(1_795_248_001)?, ..captured };
    expect("at a later time too", record(&captured).await?, Duplicate)?;
    expect("and the later time is kept", ledger.read(&payment).await?.entries.contains(&captured), true)?;
    expect("for good", record(&PaymentEvent { occurred_at: earlier, ..captured.clone() }).await?, Duplicate)?;
    let dearer = PaymentEvent { money: Money::new(10_231, Currency::EUR)?, ..captured.clone() };
    expect("another amount is a conflict", record(&dearer).await?, Conflict)?;
    expect("again it is the same conflict", record(&dearer).await?, Conflict)?;
    let elsewhere = PaymentEvent { order: Some(other.clone()), ..captured.clone() };
    expect("another order is a conflict", record(&elsewhere).await?, Conflict)?;
    let mut facts = ledger.read(&payment).await?;
    facts.entries.sort_by_key(|entry| entry.kind);
    facts.conflicts.sort_by_key(|conflict| conflict.money);
    let kept = PaymentFacts { entries: vec![captured, refunded], conflicts: vec![elsewhere, dearer] };
    expect("all of it reads back", &facts, &kept)?;
    expect("the order has the payment", ledger.payments_of(&order).await?, vec![payment.clone()])?;
    expect("so has the order of the conflict", ledger.payments_of(&other).await?, vec![payment.clone()])?;
    for (since, is_there) in [(1_795_248_001, true), (1_795_248_002, false)] {
        let orders = captured_since(ledger, UnixMillis::from_seconds(since)?).await?;
        expect("a capture names its order from its time on", orders.contains(&order), is_there)?;
        expect("and a contradiction none", orders.contains(&other), false)?;
    }
    let mut listed = ledger.list().await?.remove(&payment).unwrap_or_default();
    listed.entries.sort_by_key(|entry| entry.kind);
    listed.conflicts.sort_by_key(|conflict| conflict.money);
    expect("the list has it", listed, kept)
}

/// Every page of them.
async fn captured_since(ledger: &impl Ledger, since: UnixMillis) -> Result<BTreeSet<OrderId>, PortError> {
    let mut orders = BTreeSet::new();
    let mut page = ledger.captured(since, None).await?;
    loop {
        orders.append(&mut page.orders);
        let Some(next) = page.next else { return Ok(orders) };
        page = ledger.captured(since, Some(&next)).await?;
    }
}

/// The promises of [`RateSource`]: of one that publishes the rates of a day, of one that is away, of one that
/// publishes something else.
pub async fn rates(published: &impl RateSource, away: &impl RateSource, spoilt: &impl RateSource) -> Verdict {
    expect("what is published is read", published.rates().await?.is_empty(), false)?;
    expect("a source that is away is an error", away.rates().await.is_err(), true)?;
    expect("what is not rates is an error", spoilt.rates().await.is_err(), true)
}

/// The promises of [`CertificateSource`]: of one that publishes a certificate at one URL and none at the other.
pub async fn certificates(
    source: &impl CertificateSource,
    there: &CertificateUrl,
    nowhere: &CertificateUrl,
) -> Verdict {
    expect("a certificate is found", source.key(there).await?.is_some(), true)?;
    expect("none is none", source.key(nowhere).await?, None)
}

/// The promises of [`TradeStore`].
pub async fn trades(store: &impl TradeStore, run: &str) -> Verdict {
    use Outcome::{Applied, Duplicate, Stale};
    let trade: TradeKey = format!("taobao#conformance#{}", digits(run)).parse()?;
    expect("an unknown trade is empty", store.read(&trade).await?, TradeFacts::default())?;
    let report = |status, at, id: &str, raw: &str| -> Result<TradeReport, Box<dyn std::error::Error + Send + Sync>> {
        Ok(TradeReport { status, at: UnixMillis::new(at)?, id: MessageId::new(id)?, raw: RawStatus::new(raw)? })
    };
    let paid = report(TradeStatus::AwaitingShipment, 10, "m2", "b")?;
    let shipped = report(TradeStatus::Shipped, 20, "m3", "c")?;
    let both = [paid.clone(), shipped.clone()];
    expect("new reports are applied", store.report(&trade, &both).await?, vec![Applied; 2])?;
    expect("again they are duplicates", store.report(&trade, &both).await?, vec![Duplicate; 2])?;
    let older = report(TradeStatus::AwaitingShipment, 9, "m9", "z")?;
    let newer = report(TradeStatus::Shipped, 21, "m1", "a")?;
    expect(
        "older is stale, newer is kept",
        store.report(&trade, &[older, newer.clone()]).await?,
        vec![Stale, Applied],
    )?;
    for (id, raw, outcome) in [("m1", "z", Stale), ("m2", "a", Stale), ("m2", "c", Applied), ("m3", "a", Applied)] {
        let tie = report(TradeStatus::AwaitingShipment, 10, id, raw)?;
        expect("of one time the greater id, then word, is kept", store.report(&trade, &[tie]).await?, vec![outcome])?;
    }
    let kept = report(TradeStatus::AwaitingShipment, 10, "m3", "a")?;
    let stranger: TradeKey = "taobao#conformance-stranger#1".parse()?;
    let mut facts = TradeFacts::default();
    facts.statuses.report(kept);
    facts.statuses.report(newer);
    let found = store.statuses(&[trade.clone(), stranger]).await?;
    expect("known trades are found", found, BTreeMap::from([(trade.clone(), facts.statuses.clone())]))?;
    expect("what is kept reads back", store.read(&trade).await?, facts.clone())?;
    packages(store, &trade, facts).await?;
    many(store, run).await
}

async fn packages(store: &impl TradeStore, trade: &TradeKey, mut facts: TradeFacts) -> Verdict {
    use Outcome::{Applied, Duplicate, Stale};
    let id = LogisticsId::new("LP1")?;
    let waybill = |at, number: &str| -> Result<Option<WaybillReport>, Box<dyn std::error::Error + Send + Sync>> {
        let (at, id) = (UnixMillis::new(at)?, MessageId::new("m")?);
        Ok(Some(WaybillReport { at, id, carrier: Carrier::new("\u{4e2d}\u{901a}")?, number: Waybill::new(number)? }))
    };
    let trace = |at, status: &str| -> Result<Option<Trace>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Some(Trace { at: UnixMillis::new(at)?, id: MessageId::new("m")?, status: TraceStatus::new(status)? }))
    };
    let journey = |at, signed_at: Option<i64>| -> Result<Option<Journey>, Box<dyn std::error::Error + Send + Sync>> {
        let (at, id) = (UnixMillis::new(at)?, MessageId::new("m")?);
        let signed_at = signed_at.map(UnixMillis::new).transpose()?;
        Ok(Some(Journey { at, id, shipped_at: Some(UnixMillis::EPOCH), signed_at }))
    };
    let sent = Package { waybill: waybill(5, "1")?, trace: trace(5, "CONSIGN")?, journey: journey(5, None)? };
    expect("a new consignment is applied", store.ship(trade, &id, &sent).await?, Applied)?;
    expect("again it is a duplicate", store.ship(trade, &id, &sent).await?, Duplicate)?;
    let renumbered = Package { waybill: waybill(9, "2")?, trace: None, journey: None };
    expect("a new waybill is applied", store.ship(trade, &id, &renumbered).await?, Applied)?;
    let signed = Package { waybill: waybill(8, "1")?, trace: trace(8, "SIGN")?, journey: None };
    expect("a newer trace is kept beside a newer waybill", store.ship(trade, &id, &signed).await?, Applied)?;
    expect("what lost two of its facts has the third", store.ship(trade, &id, &sent).await?, Duplicate)?;
    let arrived = Package { journey: journey(5, Some(99))?, ..Package::default() };
    expect("of one time a journey that ended is kept", store.ship(trade, &id, &arrived).await?, Applied)?;
    expect("what lost all is stale", store.ship(trade, &id, &sent).await?, Stale)?;
    let nothing = store.ship(trade, &id, &Package::default()).await;
    expect("what says nothing is refused", nothing.map_err(|error| error.disposition()), Err(Disposition::Reject))?;
    let kept = Package { waybill: renumbered.waybill, trace: signed.trace, journey: arrived.journey };
    facts.packages.insert(id, kept);
    expect("the consignment reads back", store.read(trade).await?, facts)
}

/// More trades than one batch read takes.
async fn many(store: &impl TradeStore, run: &str) -> Verdict {
    let keys: Result<Vec<TradeKey>, _> =
        (0..130).map(|number| format!("1688#many-{}#{number}", digits(run)).parse()).collect();
    let keys = keys?;
    for (number, key) in keys.iter().enumerate().filter(|(number, _)| number % 10 == 0) {
        let at = UnixMillis::new(i64::try_from(number)?)?;
        let (id, raw) = (MessageId::new("m")?, RawStatus::new("cancel")?);
        store.report(key, &[TradeReport { status: TradeStatus::Closed, at, id, raw }]).await?;
    }
    expect("many are read in turns", store.statuses(&keys).await?.len(), 13)?;
    let twice: Vec<TradeKey> = keys.iter().chain(&keys).cloned().collect();
    expect("one that is asked for twice is found once", store.statuses(&twice).await?.len(), 13)
}

/// A detail of everything or of nothing: when it was modified, when it was seen, and what the list said.
fn detail(
    at: (i64, i64),
    listed: &str,
    raw: RawDetail,
) -> Result<TradeDetail, Box<dyn std::error::Error + Send + Sync>> {
    let yuan = |minor| Money::new(minor, Currency::from_code("CNY")?);
    let line = TradeLine {
        id: LineId::new("1")?,
        product: Some(ProductId::new("554456348334")?),
        sku: Some(ProductId::new("3623123")?),
        name: Some(ProductName::new("\u{4e1d}\u{5dfe} \"<&>\"")?),
        quantity: Some(decimal("2.5")?),
        unit_price: Some(decimal("12.3456")?),
        amount: Some(yuan(3_086)?),
        picture: Some(Picture::new("img/ibank/1.jpg")?),
        status: Some(RawStatus::new("waitsellersend")?),
    };
    let bare = TradeLine {
        product: None,
        sku: None,
        name: None,
        quantity: None,
        unit_price: None,
        amount: None,
        picture: None,
        status: None,
        ..line.clone()
    };
    let (modified_at, seen_at) = (UnixMillis::new(at.0)?, UnixMillis::new(at.1)?);
    let content = TradeContent {
        created_at: Some(UnixMillis::EPOCH),
        finished_at: Some(UnixMillis::MAX),
        payment: TradePayment { total: Some(yuan(3_086)?), paid_at: Some(modified_at), ..TradePayment::default() },
        lines: vec![line, bare],
        ..TradeContent::default()
    };
    Ok(TradeDetail {
        modified_at,
        seen_at,
        id: MessageId::new("m")?,
        listed: ListingDigest::new(listed)?,
        content,
        raw,
    })
}

/// The promises of [`TradeDetails`], on a store that is read as [`TradeStore`] too.
pub async fn details(store: &(impl TradeDetails + TradeStore), run: &str) -> Verdict {
    use Outcome::{Applied, Duplicate, Stale};
    let trade: TradeKey = format!("1688#details#{}", digits(run)).parse()?;
    let stored = RawDetail::Stored(StoredKey::new("details/1688/demo/1/ab.json.gz")?);
    let inline = RawDetail::Inline(gzip::pack("{}"));
    let first = detail((1_000, 5_000), "a1", stored)?;
    expect("a new detail is applied", store.detail(&trade, &first).await?, Applied)?;
    expect("again it is a duplicate", store.detail(&trade, &first).await?, Duplicate)?;
    expect("it reads back", store.read(&trade).await?.detail.as_ref(), Some(&first))?;
    let older = detail((999, 9_000), "a0", inline.clone())?;
    expect("one that was modified before is stale", store.detail(&trade, &older).await?, Stale)?;
    // Ten digits of milliseconds against thirteen: it is not the text that decides.
    let later = TradeDetail { content: TradeContent::default(), ..detail((1_000, 1_795_248_000_000), "a2", inline)? };
    expect("of one time the one that was seen later is kept", store.detail(&trade, &later).await?, Applied)?;
    expect("and the other is stale", store.detail(&trade, &first).await?, Stale)?;
    let stranger: TradeKey = "1688#details-stranger#1".parse()?;
    let without: TradeKey = format!("1688#details-without#{}", digits(run)).parse()?;
    let status = TradeReport {
        status: TradeStatus::Closed,
        at: UnixMillis::new(1)?,
        id: MessageId::new("m")?,
        raw: RawStatus::new("cancel")?,
    };
    store.report(&without, &[status]).await?;
    let asked = [trade.clone(), stranger, without, trade.clone()];
    let listed = BTreeMap::from([(trade.clone(), later.listed.clone())]);
    expect("what the list said is found, once", store.listings(&asked).await?, listed)?;
    expect("nothing is asked of nobody", store.listings(&[]).await?, BTreeMap::new())?;
    let facts = TradeFacts { detail: Some(later), ..TradeFacts::default() };
    expect("nothing of another detail is left", store.read(&trade).await?, facts.clone())?;
    after_sales(store, &trade, facts).await
}

async fn after_sales(store: &(impl TradeDetails + TradeStore), trade: &TradeKey, mut facts: TradeFacts) -> Verdict {
    use Outcome::{Applied, Duplicate, Stale};
    let id = AfterSaleId::new("TQ7257793022991577")?;
    let state = |at, state, raw: &str| -> Result<Option<StateReport>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Some(StateReport { at: UnixMillis::new(at)?, id: MessageId::new("m")?, state, raw: RawStatus::new(raw)? }))
    };
    let claim = |at,
                 line: Option<&str>,
                 minor: Option<i64>|
     -> Result<Option<Claim>, Box<dyn std::error::Error + Send + Sync>> {
        let money = minor.map(|minor| Money::new(minor, Currency::from_code("CNY")?)).transpose()?;
        let line = line.map(LineId::new).transpose()?;
        Ok(Some(Claim { at: UnixMillis::new(at)?, id: MessageId::new("m")?, line, money }))
    };
    let asked =
        AfterSale { state: state(5, AfterSaleState::Requested, "waitselleragree")?, claim: claim(5, None, None)? };
    expect("a new case is applied", store.after_sale(trade, &id, &asked).await?, Applied)?;
    expect("again it is a duplicate", store.after_sale(trade, &id, &asked).await?, Duplicate)?;
    let pushed = AfterSale { state: state(9, AfterSaleState::Refunded, "refundsuccess")?, claim: None };
    expect("a push of its state is applied", store.after_sale(trade, &id, &pushed).await?, Applied)?;
    let swept = AfterSale { state: state(8, AfterSaleState::Refused, "x")?, claim: claim(8, Some("1"), Some(700))? };
    expect("a newer claim is kept beside a newer state", store.after_sale(trade, &id, &swept).await?, Applied)?;
    expect("what lost both is stale", store.after_sale(trade, &id, &asked).await?, Stale)?;
    // As texts 9,000 would be less than 700.
    for (minor, outcome) in [(Some(9_000), Applied), (Some(800), Stale), (None, Stale), (Some(9_000), Duplicate)] {
        let tie = AfterSale { state: None, claim: claim(8, Some("1"), minor)? };
        expect("of one time the greater amount is kept", store.after_sale(trade, &id, &tie).await?, outcome)?;
    }
    let nothing = store.after_sale(trade, &id, &AfterSale::default()).await;
    expect("what says nothing is refused", nothing.map_err(|error| error.disposition()), Err(Disposition::Reject))?;
    let kept = AfterSale { state: pushed.state, claim: claim(8, Some("1"), Some(9_000))? };
    facts.after_sales.insert(id, kept);
    expect("the case reads back", store.read(trade).await?, facts)
}

/// The promises of [`RawDetails`].
pub async fn raw_details(store: &impl RawDetails, run: &str) -> Verdict {
    let trade: TradeKey = format!("taobao#raw#{}", digits(run)).parse()?;
    let answer = gzip::pack(&format!(r#"{{"run":"{run}","text":"{}"}}"#, "\u{4e1d}".repeat(20_000)));
    let key = store.put(&trade, &answer).await?;
    expect("again it has the same key", store.put(&trade, &answer).await?, key.clone())?;
    expect("what was put comes out", store.get(&key).await?, Some(answer))?;
    let other = store.put(&trade, &gzip::pack("{}")).await?;
    expect("another answer has another key", other == key, false)?;
    let nowhere = StoredKey::new(format!("{key}.none"))?;
    expect("nothing is none", store.get(&nowhere).await?, None)
}

/// The promises of [`Sweeps`].
pub async fn sweeps(store: &impl Sweeps, run: &str) -> Verdict {
    let key = |kind, shop: &str| -> Result<SweepKey, domain::InvalidText> {
        Ok(SweepKey { kind, marketplace: domain::Marketplace::Taobao, shop: ShopId::new(format!("{shop}-{run}"))? })
    };
    let (ours, theirs) = (LeaseToken::new("ours")?, LeaseToken::new("theirs")?);
    let at = UnixMillis::new(1_795_248_000_000)?;
    let backfill = key(SweepKind::Backfill, "s")?;
    expect("a sweep that was never kept is at its default", store.read(&backfill).await?, SweepState::default())?;
    let claimed = SweepState::default().claimed(&ours);
    expect("its first state is kept", store.replace(&backfill, &claimed).await?, None)?;
    expect("again it is there", store.replace(&backfill, &claimed).await?, None)?;
    let rival = SweepState::default().claimed(&theirs);
    expect("another first state finds it", store.replace(&backfill, &rival).await?, Some(claimed.clone()))?;
    let goal = Window::new(UnixMillis::EPOCH, at).ok_or("a goal is a window")?;
    let full = claimed.aimed(goal).advanced(&ours, UnixMillis::new(1_000)?, 7, 3)?;
    let full = SweepState { version: claimed.version + 1, ..full.paused(&ours, at)? };
    expect("the next one takes its place", store.replace(&backfill, &full).await?, None)?;
    expect("and reads back with all it has", store.read(&backfill).await?, full.clone())?;
    expect("one of an old version finds it", store.replace(&backfill, &claimed).await?, Some(full.clone()))?;
    let ahead = SweepState { version: full.version + 2, ..full.clone() };
    expect("so does one that is too far ahead", store.replace(&backfill, &ahead).await?, Some(full.clone()))?;
    let bare = SweepState { version: full.version + 1, ..SweepState::default() };
    expect("what the next one has not is gone", store.replace(&backfill, &bare).await?, None)?;
    expect("for good", store.read(&backfill).await?, bare)?;
    let audit = key(SweepKind::Audit, "s")?;
    expect("another kind has its own state", store.read(&audit).await?, SweepState::default())?;
    let second = SweepState { version: 2, ..SweepState::default() };
    expect(
        "there is no second state without a first",
        store.replace(&audit, &second).await?,
        Some(SweepState::default()),
    )
}

/// What a queue or the quarantine gives to whoever takes everything out of it.
pub type Taken<T> = Result<Vec<T>, Box<dyn std::error::Error + Send + Sync>>;

/// Events of pushes that 1688 signed, one for each order.
fn signed_events(orders: std::ops::Range<u64>) -> Result<Vec<VerifiedEvent>, Box<dyn std::error::Error + Send + Sync>> {
    let (now, secret) = (UnixMillis::new(1_795_248_000_000)?, SecretString::from("conformance"));
    let paid: Vec<String> =
        orders.map(|order| format!(r#"{{"orderId":{order},"status":"\u4ed8\u6b3e <&>"}}"#)).collect();
    let data = format!(r#"{{"batchPay":[{}]}}"#, paid.join(","));
    let message = format!(r#"{{"msgId":1,"type":"ORDER_BATCH_PAY","gmtBorn":{},"data":{data}}}"#, now.get());
    let form = protocols::ali1688::push::signed_form(&secret, &message);
    let channel = Channel::Ali1688(ShopId::new("conformance")?);
    let delivery = Delivery::new(channel, String::new(), Vec::new(), form.into_bytes());
    match delivery.verify(&Credentials::Ali1688(vec![secret]), now)?.read(now)? {
        Content::Events(events) => Ok(events),
        Content::Product { .. } | Content::Other { .. } => Err("a payment run is no event".into()),
    }
}

/// The promises of [`EventQueue`]. `take` takes out all messages, of which there are this many.
pub async fn events(queue: &impl EventQueue, take: impl AsyncFn(usize) -> Taken<String>) -> Verdict {
    queue.send(&[]).await?;
    let events = signed_events(0..25)?;
    queue.send(&events).await?;
    let messages = take(events.len()).await?;
    expect("every event is one message", messages.len(), events.len())?;
    let read: Result<Vec<Event>, _> = messages.iter().map(|message| cloudevents::read(message)).collect();
    let read = read?;
    let all_there = events.iter().all(|event| read.contains(event.event()));
    expect("every message reads back as its event", all_there, true)
}

/// The promises of [`Quarantine`]. `take` takes out all messages, of which there are this many.
pub async fn quarantine(quarantine: &impl Quarantine, take: impl AsyncFn(usize) -> Taken<Quarantined>) -> Verdict {
    let message = |id: &str, body: String| Quarantined {
        message_id: id.to_owned(),
        body,
        reason: "malformed: not JSON at line 1 column 2".to_owned(),
    };
    let kept = [message("m1", "\u{4e2d}\t\r\n<&>\"".to_owned()), message("m2", "x".repeat(200_000))];
    for one in &kept {
        quarantine.put(one).await?;
    }
    let mut taken = take(kept.len()).await?;
    taken.sort_by(|one, other| one.message_id.cmp(&other.message_id));
    expect("what is kept comes out with its reason", taken == kept, true)?;
    let beginning = "x".repeat(100);
    let unholdable =
        [message("m3", format!("{beginning}\u{1}\u{ffff}{}", "y".repeat(2_000_000))), message("m4", String::new())];
    for one in &unholdable {
        quarantine.put(one).await?;
    }
    let mut taken = take(unholdable.len()).await?;
    taken.retain(|taken| unholdable.iter().any(|put| put.message_id == taken.message_id));
    taken.sort_by(|one, other| one.message_id.cmp(&other.message_id));
    let has_reason = taken.iter().zip(&unholdable).all(|(taken, put)| taken.reason.starts_with(&put.reason));
    let begins = taken.first().is_some_and(|taken| taken.body.starts_with(&beginning));
    let all = (taken.len(), has_reason, begins);
    expect("what no queue holds is kept as far as it does, with its reason", all, (unholdable.len(), true, true))
}

/// The promises of [`SecretsSource`]: of one that holds a document with a client, and of one that holds none.
pub async fn secrets(set: &impl SecretsSource, unset: &impl SecretsSource) -> Verdict {
    expect("a document that was set reads back", set.read().await?.first_client().is_some(), true)?;
    expect("a document that was never set is an error", unset.read().await.is_err(), true)
}

/// The promises of [`Nonces`].
pub async fn nonces(nonces: &impl Nonces, run: &str) -> Verdict {
    let forget_at = UnixMillis::new(4_102_444_800_000)?;
    let (client, other) = (AppKey::new("conformance")?, AppKey::new("conformance-2")?);
    let nonce = Nonce::new(run)?;
    expect("a free nonce is ours", nonces.claim(&client, &nonce, "r1", forget_at).await?, ports::Claim::Ours)?;
    expect(
        "a lost answer is asked for again",
        nonces.claim(&client, &nonce, "r1", forget_at).await?,
        ports::Claim::Ours,
    )?;
    expect("another request finds it used", nonces.claim(&client, &nonce, "r2", forget_at).await?, ports::Claim::Used)?;
    expect("another client has its own", nonces.claim(&other, &nonce, "r2", forget_at).await?, ports::Claim::Ours)
}
