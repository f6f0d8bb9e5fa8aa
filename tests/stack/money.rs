//! Money through the stack: orders with pinned rates, every gateway's callbacks, refunds; and races for one of each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, ensure};
use domain::{
    Currency, Gateway, Money, MovementKind, OrderId, PaymentEvent, PaymentKey, PaymentState, TransactionId, UnixMillis,
};
use futures::{StreamExt, TryStreamExt, stream};
use reqwest::Method;
use serde_json::{Value, json};
use simulators::web::Page;

use crate::stage::{RATES_PATH, Stage, now};

/// Payments of the load, each delivered one to twenty times.
const PAYMENTS: usize = 1_000;
/// Callbacks of the load, at least.
const CALLBACKS_MIN: usize = 10_000;
/// Callbacks at once.
const AT_ONCE: usize = 24;

/// The order of the incident: 16,500 yen, charged as 102.30 euros by the rates of the local stack.
fn incident(id: &str) -> Value {
    json!({"order_id": id, "price": {"amount_minor": 16_500, "currency": "JPY"}, "charge_currency": "EUR",
           "lines": [{"sku": "silk scarf", "quantity": 3, "unit_price_minor": 5_500}]})
}

fn movement(
    (gateway, payment): (Gateway, &str),
    kind: MovementKind,
    transaction: &str,
    minor: i64,
    order: Option<&str>,
) -> anyhow::Result<PaymentEvent> {
    let currency = match gateway {
        Gateway::Alipay | Gateway::Wechatpay => Currency::CNY,
        Gateway::Stripe | Gateway::Paypal | Gateway::Adyen | Gateway::Airwallex => Currency::EUR,
    };
    Ok(PaymentEvent {
        payment: PaymentKey { gateway, payment_id: payment.to_owned().try_into()? },
        transaction_id: TransactionId::new(transaction)?,
        kind,
        order: order.map(OrderId::new).transpose()?,
        money: Money::new(minor, currency)?,
        occurred_at: UnixMillis::from_seconds(now().seconds())?,
    })
}

async fn answered(stage: &Stage, method: Method, path: &str, body: &Value) -> anyhow::Result<(u16, Value)> {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let answer = stage.ask(method, path, &text).await?;
    Ok((answer.status, serde_json::from_slice(&answer.body)?))
}

async fn create(stage: &Stage, body: &Value) -> anyhow::Result<(u16, Value)> {
    answered(stage, Method::POST, "/orders", body).await
}

async fn refund(stage: &Stage, order: &str, id: &str, minor: i64, currency: &str) -> anyhow::Result<(u16, Value)> {
    let body = json!({"refund_id": id, "amount_minor": minor, "currency": currency});
    answered(stage, Method::POST, &format!("/orders/{order}/refunds"), &body).await
}

pub async fn incident_s_refund(stage: Arc<Stage>) -> anyhow::Result<()> {
    let order = format!("incident-{}", stage.run);
    let payment = format!("pi_incident_{}", stage.run);
    let at_stripe = (Gateway::Stripe, payment.as_str());
    let capture = movement(at_stripe, MovementKind::Captured, "ch_1", 10_230, Some(&order))?;
    let (status, created) = create(&stage, &incident(&order)).await?;
    ensure!(status == 201 && created["payment"]["due_minor"] == 10_230, "{created}");
    let rate = created["exchange_rate"].clone();
    ensure!(stage.pay(&capture).await?.status == 200 && stage.pay(&capture).await?.status == 200, "refused");
    let paid = stage.order_when(&order, |order| order["status"] == "PAID").await?;
    ensure!(paid["payment"]["state"] == "paid" && paid["flags"] == json!([]), "{paid}");

    // Whatever the rate of the day: the source is away, and was never asked.
    stage.rates.publish(RATES_PATH, Page::status(503));
    let asked = stage.rates.asked(RATES_PATH);
    let refunded = refund(&stage, &order, "r-1", 16_500, "JPY").await;
    let again = create(&stage, &incident(&order)).await;
    let without = create(&stage, &incident(&format!("{order}-2"))).await;
    let fetched = stage.rates.asked(RATES_PATH) - asked;
    stage.publish_rates();
    let (status, refunded) = refunded?;
    ensure!(status == 201 && refunded["charged"] == json!({"amount_minor": 10_230, "currency": "EUR"}), "{refunded}");
    ensure!(again?.0 == 200, "an order that is there needs no rate");
    ensure!(without?.0 == 503 && fetched == 1, "without a rate there is no order, and one fetch tells");
    let unknown = answered(&stage, Method::GET, &format!("/orders/{order}-2"), &Value::Null).await?;
    ensure!(unknown.0 == 404, "something was written: {}", unknown.1);

    let back = movement(at_stripe, MovementKind::Refunded, "re_1", 10_230, None)?;
    ensure!(stage.pay(&back).await?.status == 200, "the refund was refused");
    let seen = stage.order_when(&order, |order| order["status"] == "REFUNDED").await?;
    ensure!(seen["exchange_rate"] == rate && seen["payment"]["state"] == "refunded", "{seen}");
    Ok(())
}

pub async fn every_gateway(stage: Arc<Stage>) -> anyhow::Result<()> {
    for (gateway, words) in [
        (Gateway::Stripe, r#"{"status":"accepted"}"#),
        (Gateway::Paypal, r#"{"status":"accepted"}"#),
        (Gateway::Adyen, "[accepted]"),
        (Gateway::Airwallex, r#"{"status":"accepted"}"#),
        (Gateway::Alipay, "success"),
        (Gateway::Wechatpay, r#"{"code":"SUCCESS"}"#),
    ] {
        let order = format!("{}-{}", gateway.as_str(), stage.run);
        let payment = format!("P-{}", stage.run);
        let capture =
            movement((gateway, &payment), MovementKind::Captured, &transaction(gateway, &payment), 500, Some(&order))?;
        // The callback comes before the order is created, and finds it when it is.
        let answer = stage.pay(&capture).await?;
        ensure!(answer.status == 200 && answer.body == words.as_bytes(), "{gateway:?}: {}", answer.label());
        let currency = capture.money.currency().code();
        let body = json!({"order_id": order, "price": {"amount_minor": 500, "currency": currency},
                          "charge_currency": currency, "lines": [{"sku": "s", "quantity": 1, "unit_price_minor": 500}]});
        let (status, created) = create(&stage, &body).await?;
        ensure!(
            status == 201 && created["status"] == "PAID" && created["flags"] == json!([]),
            "{gateway:?}: {created}"
        );
    }
    Ok(())
}

/// Stripe and Adyen name a capture apart from its payment, the others by it.
fn transaction(gateway: Gateway, payment: &str) -> String {
    match gateway {
        Gateway::Stripe | Gateway::Adyen => format!("cap-{payment}"),
        Gateway::Paypal | Gateway::Airwallex | Gateway::Alipay | Gateway::Wechatpay => payment.to_owned(),
    }
}

pub async fn hundred_refunds(stage: Arc<Stage>) -> anyhow::Result<()> {
    let order = format!("race-refunds-{}", stage.run);
    create(&stage, &incident(&order)).await?;
    let payment = format!("pi_race_{}", stage.run);
    let capture = movement((Gateway::Stripe, &payment), MovementKind::Captured, "ch_1", 10_230, Some(&order))?;
    stage.pay(&capture).await?;
    stage.order_when(&order, |order| order["status"] == "PAID").await?;
    let (granted, again): (i64, usize) = stream::iter(0..100)
        .map(|number| {
            let (stage, order) = (&stage, &order);
            async move {
                let mut again = 0;
                loop {
                    let (status, answer) =
                        refund(stage, order, &format!("r-{number}"), 150 + i64::from(number), "EUR").await?;
                    match status {
                        201 => {
                            return anyhow::Ok((answer["charged"]["amount_minor"].as_i64().unwrap_or(i64::MAX), again));
                        }
                        422 => return Ok((0, again)),
                        // Overtaken too often: asked to try again, under the same id.
                        200 => return Ok((answer["charged"]["amount_minor"].as_i64().unwrap_or(i64::MAX), again)),
                        429 | 503 => again += 1,
                        _ => anyhow::bail!("{status} {answer}"),
                    }
                }
            }
        })
        .buffer_unordered(100)
        .try_fold((0, 0), |(sum, tries), (one, again)| async move { Ok((sum + one, tries + again)) })
        .await?;
    ensure!(granted <= 10_230 && granted > 10_230 - 250, "{granted} of 10230 granted");
    let facts = adapters::ports::OrderStore::read(&stage.session.orders()?, &OrderId::new(order)?).await?;
    let kept: i64 = facts.refunds.values().map(|refund| refund.charged.minor()).sum();
    ensure!((kept, facts.refund_totals.charged_minor) == (granted, granted), "{kept} kept, {granted} granted");
    println!("100 refunds at once: {granted} of 10230 granted, {again} tries again");
    Ok(())
}

pub async fn hundred_creations(stage: Arc<Stage>) -> anyhow::Result<()> {
    let order = format!("race-creations-{}", stage.run);
    let statuses: Vec<u16> = stream::iter(0..100)
        .map(|number| {
            let mut body = incident(&order);
            body["lines"][0]["quantity"] = json!(3 + i64::from(number % 4 == 0));
            let stage = &stage;
            async move { anyhow::Ok(create(stage, &body).await?.0) }
        })
        .buffer_unordered(100)
        .try_collect()
        .await?;
    let count = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    ensure!(count(201) == 1 && count(201) + count(200) + count(409) == 100, "{statuses:?}");
    println!("100 creations of one id: {} created, {} the same, {} refused", count(201), count(200), count(409));
    Ok(())
}

/// One callback of the load.
#[derive(Clone)]
struct Sent {
    event: PaymentEvent,
    is_contradiction: bool,
}

/// What truly happened, by payment; half of the payments have a refund.
fn truths(stage: &Stage) -> anyhow::Result<Vec<Vec<PaymentEvent>>> {
    (0..PAYMENTS)
        .map(|number| {
            let gateway = Gateway::ALL[number % 6];
            let (payment, order) = (format!("load-{}-{number}", stage.run), format!("pay-{}-{number}", stage.run));
            let paid = 1_000 + fastrand::i64(0..100_000);
            let of = (gateway, payment.as_str());
            let mut events =
                vec![movement(of, MovementKind::Captured, &transaction(gateway, &payment), paid, Some(&order))?];
            if number % 2 == 0 {
                let kind =
                    if gateway == Gateway::Alipay { MovementKind::RefundedInTotal } else { MovementKind::Refunded };
                events.push(movement(of, kind, &format!("ref-{payment}"), fastrand::i64(1..paid), None)?);
            }
            Ok(events)
        })
        .collect()
}

/// Each payment one to twenty times, shuffled; contradictions wait for the true amount, which comes in the first half.
fn deliveries(truths: &[Vec<PaymentEvent>]) -> (Vec<Sent>, Vec<Sent>) {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for events in truths {
        first.extend(events.iter().map(|event| Sent { event: event.clone(), is_contradiction: false }));
        for _ in events.len()..fastrand::usize(1..=20).max(events.len()) {
            let event = events[fastrand::usize(..events.len())].clone();
            let is_contradiction = fastrand::usize(..15) == 0;
            let half = if is_contradiction || fastrand::bool() { &mut second } else { &mut first };
            let money = Money::new(event.money.minor() + i64::from(is_contradiction), event.money.currency());
            let event = PaymentEvent { money: money.unwrap_or(event.money), ..event };
            half.push(Sent { event, is_contradiction });
        }
    }
    fastrand::shuffle(&mut first);
    fastrand::shuffle(&mut second);
    (first, second)
}

pub async fn ten_thousand_callbacks(stage: Arc<Stage>) -> anyhow::Result<()> {
    let truths = truths(&stage)?;
    let (first, second) = deliveries(&truths);
    let count = first.len() + second.len();
    ensure!(count >= CALLBACKS_MIN, "only {count} callbacks");
    let began = Instant::now();
    for half in [&first, &second] {
        stream::iter(half.iter().map(Ok))
            .try_for_each_concurrent(AT_ONCE, |sent| async {
                for _ in 0..50 {
                    match stage.pay(&sent.event).await?.status {
                        200 => return Ok(()),
                        429 | 503 => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
                        status => anyhow::bail!("{status}"),
                    }
                }
                anyhow::bail!("a callback was never taken")
            })
            .await?;
    }
    println!("{count} callbacks of {PAYMENTS} payments taken in {:.1?}", began.elapsed());
    check(&stage, &truths, &second).await
}

async fn check(stage: &Stage, truths: &[Vec<PaymentEvent>], second: &[Sent]) -> anyhow::Result<()> {
    let kept = adapters::ports::Ledger::list(&stage.session.ledger()?).await?;
    let mut contradicted: BTreeMap<&PaymentKey, BTreeSet<(MovementKind, i64)>> = BTreeMap::new();
    for sent in second.iter().filter(|sent| sent.is_contradiction) {
        contradicted.entry(&sent.event.payment).or_default().insert((sent.event.kind, sent.event.money.minor()));
    }
    for events in truths {
        let (payment, order) = (&events[0].payment, events[0].order.as_ref().context("no order")?);
        let facts = kept.get(payment).with_context(|| format!("{payment} is not in the ledger"))?;
        let told = |events: &[PaymentEvent]| -> BTreeSet<(MovementKind, i64)> {
            events.iter().map(|event| (event.kind, event.money.minor())).collect()
        };
        ensure!(facts.entries.len() == events.len() && told(&facts.entries) == told(events), "{payment}: {facts:?}");
        ensure!(told(&facts.conflicts) == contradicted.remove(payment).unwrap_or_default(), "{payment}: {facts:?}");
        let settlement = domain::payment::settle(order, None, std::slice::from_ref(facts));
        let refunded = events.get(1).map_or(0, |event| event.money.minor());
        let sums = (settlement.sums.captured, settlement.sums.refunded);
        ensure!(sums == (events[0].money.minor(), refunded), "{payment}: {sums:?}");
        let state = if refunded > 0 { PaymentState::PartlyRefunded } else { PaymentState::PartlyPaid };
        ensure!(settlement.state == state && settlement.is_contradictory != facts.conflicts.is_empty(), "{payment}");
    }
    Ok(())
}
