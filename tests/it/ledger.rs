//! Gateways that retry, duplicate, reorder and contradict themselves, beside a ledger that must come to their truth.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    Currency, Gateway, Money, MovementKind, OrderContent, OrderFacts, OrderId, OrderKnowledge, Origin, PaymentEvent,
    PaymentFacts, PaymentKey, PaymentState, Placed, Rate, TransactionId, UnixMillis, view,
};
use futures::future::join_all;
use lambda::http::Request;

use crate::support::{Dice, NOW, Shop, callback, rounds, seed};

/// Payments of one history.
const PAYMENTS: usize = 1_000;
/// Deliveries of one payment, at most: all its movements, each at least once.
const DELIVERIES_MAX: usize = 20;
/// Callbacks of one history, at least.
const CALLBACKS_MIN: usize = 10_000;
/// Callbacks at once.
const AT_ONCE: usize = 32;

/// What truly happened to one payment, and what is due for its order.
struct Truth {
    order: OrderId,
    due_minor: i64,
    movements: Vec<PaymentEvent>,
}

/// One callback of a history: of which movement, and with which amount.
#[derive(Clone)]
struct Sent {
    movement: PaymentEvent,
    is_contradiction: bool,
}

/// The gateway of a payment. Those that sign with RSA, which takes them long, have a share of each ten.
fn gateway(number: usize) -> Gateway {
    match number % 10 {
        0 => Gateway::Paypal,
        1 => Gateway::Alipay,
        2 => Gateway::Wechatpay,
        rest => [Gateway::Stripe, Gateway::Adyen, Gateway::Airwallex][rest % 3],
    }
}

/// A payment's life: captured, now and then refunded in parts, disputed, or failed.
fn truth(dice: &mut Dice, number: usize) -> Truth {
    let gateway = gateway(number);
    let currency = match gateway {
        Gateway::Alipay | Gateway::Wechatpay => Currency::CNY,
        Gateway::Stripe | Gateway::Paypal | Gateway::Adyen | Gateway::Airwallex => Currency::EUR,
    };
    let payment: PaymentKey = format!("{}#pay-{number}", gateway.as_str()).parse().unwrap();
    let order = OrderId::new(format!("A-{number}")).unwrap();
    let paid = 100 + i64::try_from(dice.below(100_000)).unwrap();
    let movement = |kind, transaction: String, minor, second: usize| PaymentEvent {
        payment: payment.clone(),
        transaction_id: TransactionId::new(transaction).unwrap(),
        kind,
        order: (kind == MovementKind::Captured).then(|| order.clone()),
        money: Money::new(minor, currency).unwrap(),
        occurred_at: UnixMillis::new(NOW - 1_000_000 + i64::try_from(second).unwrap() * 1_000).unwrap(),
    };
    // Stripe and Adyen name a capture apart from its payment, the others by it.
    let is_named = matches!(gateway, Gateway::Stripe | Gateway::Adyen);
    let capture = if is_named { format!("cap-{number}") } else { format!("pay-{number}") };
    let mut movements = vec![movement(MovementKind::Captured, capture, paid, 0)];
    let mut left = paid;
    for part in 0..dice.below(4) {
        let minor = 1 + i64::try_from(dice.below(usize::try_from(left).unwrap())).unwrap();
        left -= minor;
        let refund = format!("ref-{number}-{part}");
        if gateway == Gateway::Alipay {
            movements.push(movement(MovementKind::RefundedInTotal, refund, paid - left, part + 1));
        } else {
            movements.push(movement(MovementKind::Refunded, refund.clone(), minor, part + 1));
            if dice.below(5) == 0 {
                movements.push(movement(MovementKind::RefundFailed, refund, minor, part + 10));
                left += minor;
            }
        }
        if left == 0 {
            break;
        }
    }
    if dice.below(8) == 0 && matches!(gateway, Gateway::Stripe | Gateway::Paypal | Gateway::Airwallex) {
        movements.push(movement(MovementKind::DisputeOpened, format!("dis-{number}"), paid, 20));
        let ends = [None, Some(MovementKind::DisputeWon), Some(MovementKind::DisputeLost)];
        movements.extend(ends[dice.below(3)].map(|kind| movement(kind, format!("dis-{number}"), paid, 30)));
    }
    let due_minor = [paid, paid, paid, paid + 1, paid - 1][dice.below(5)];
    Truth { order, due_minor, movements }
}

/// Every movement at least once and some of them often, some with another amount. Of one movement the true amount
/// comes first: which of two contradicting reports stands is decided by arrival.
fn history(dice: &mut Dice, truths: &[Truth]) -> Vec<Sent> {
    let mut sent = Vec::new();
    for truth in truths {
        let mut left = (1 + dice.below(DELIVERIES_MAX)).max(truth.movements.len());
        for movement in &truth.movements {
            sent.push(Sent { movement: movement.clone(), is_contradiction: false });
            left -= 1;
        }
        for _ in 0..left {
            let movement = truth.movements[dice.below(truth.movements.len())].clone();
            let is_contradiction = dice.below(12) == 0;
            let minor =
                movement.money.minor() + i64::from(is_contradiction) * (1 + i64::try_from(dice.below(3)).unwrap());
            let money = Money::new(minor, movement.money.currency()).unwrap();
            // A gateway that tells of one movement in several events stamps each with its own time.
            let later = if dice.below(6) == 0 { 1_000 * (1 + i64::try_from(dice.below(9)).unwrap()) } else { 0 };
            let occurred_at = movement.occurred_at.saturating_add_ms(later);
            sent.push(Sent { movement: PaymentEvent { money, occurred_at, ..movement }, is_contradiction });
        }
    }
    sent
}

/// Any order, in batches that are sent at once. A contradiction waits until the true amount was answered.
fn batches(dice: &mut Dice, sent: &[Sent]) -> Vec<Vec<Sent>> {
    let mut shuffled = sent.to_vec();
    dice.shuffle(&mut shuffled);
    let mut told: BTreeSet<String> = BTreeSet::new();
    let mut waiting = Vec::new();
    let mut batches = Vec::new();
    for batch in shuffled.chunks(AT_ONCE) {
        let (now, later): (Vec<Sent>, Vec<Sent>) =
            batch.iter().cloned().partition(|sent| !sent.is_contradiction || told.contains(&key(&sent.movement)));
        told.extend(now.iter().map(|sent| key(&sent.movement)));
        batches.push(now);
        waiting.extend(later);
    }
    batches.extend(waiting.chunks(AT_ONCE).map(<[Sent]>::to_vec));
    batches
}

fn key(movement: &PaymentEvent) -> String {
    format!("{}#{}#{}", movement.payment, movement.kind.as_str(), movement.transaction_id)
}

/// The callbacks. A gateway that tries again sends the very same bytes, which is also what makes this quick.
fn requests(batches: &[Vec<Sent>]) -> Vec<Vec<Request>> {
    let mut made: BTreeMap<(String, i64, UnixMillis), Request> = BTreeMap::new();
    let mut one = |sent: &Sent| {
        let claim = (key(&sent.movement), sent.movement.money.minor(), sent.movement.occurred_at);
        made.entry(claim).or_insert_with(|| callback(&sent.movement, NOW)).clone()
    };
    batches.iter().map(|batch| batch.iter().map(&mut one).collect()).collect()
}

/// Sends all of it, many at once; every callback is answered 200 and costs one call to the ledger.
async fn live(batches: &[Vec<Sent>]) -> Shop {
    let shop = Shop::new();
    let requests = requests(batches);
    let mut answers = Vec::new();
    for batch in requests {
        let callbacks = batch.into_iter().map(|request| async { shop.pay(request).await.unwrap().status_code });
        answers.extend(join_all(callbacks).await);
    }
    assert!(answers.iter().all(|answer| *answer == 200), "a callback was refused");
    let calls = shop.plan.calls();
    let records = calls.iter().filter(|call| **call == "ledger.record").count();
    assert_eq!((records, calls.len() - records), (answers.len(), 1), "one call a callback, and the secrets once");
    shop
}

/// What is kept, whatever the order in which it came.
fn sorted(shop: &Shop) -> BTreeMap<PaymentKey, (BTreeSet<String>, BTreeSet<String>)> {
    let told = |events: &[PaymentEvent]| events.iter().map(|event| format!("{event:?}")).collect();
    shop.ledger.all().into_iter().map(|(key, facts)| (key, (told(&facts.entries), told(&facts.conflicts)))).collect()
}

fn placed(truth: &Truth) -> Placed {
    let currency = truth.movements[0].money.currency();
    let price = Money::new(truth.due_minor, currency).unwrap();
    let content = OrderContent { price, charge_currency: currency, lines: Vec::new() };
    let by =
        Origin { source: "shopfront".to_owned().try_into().unwrap(), event_id: "n".to_owned().try_into().unwrap() };
    let at = UnixMillis::new(NOW).unwrap();
    Placed::new(content, Rate::identity(currency, at), at, by).unwrap()
}

/// The entries are the truth, every contradiction is kept and flagged, and the view comes to the gateways' sums.
fn check(shop: &Shop, truths: &[Truth], sent: &[Sent]) {
    let ledger = shop.ledger.all();
    let mut contradicted: BTreeMap<&PaymentKey, BTreeSet<(String, i64)>> = BTreeMap::new();
    for sent in sent.iter().filter(|sent| sent.is_contradiction) {
        let claim = (key(&sent.movement), sent.movement.money.minor());
        contradicted.entry(&sent.movement.payment).or_default().insert(claim);
    }
    let mut latest: BTreeMap<String, UnixMillis> = BTreeMap::new();
    for Sent { movement, .. } in sent.iter().filter(|sent| !sent.is_contradiction) {
        let at = latest.entry(key(movement)).or_insert(movement.occurred_at);
        *at = movement.occurred_at.max(*at);
    }
    for truth in truths {
        let payment = &truth.movements[0].payment;
        let facts = &ledger[payment];
        let told = |events: &[PaymentEvent]| events.iter().map(|event| (key(event), event.money.minor())).collect();
        let entries: BTreeSet<(String, i64)> = told(&facts.entries);
        assert_eq!(facts.entries.len(), truth.movements.len(), "{payment}: not one entry a movement");
        assert_eq!(entries, told(&truth.movements), "{payment}");
        for entry in &facts.entries {
            assert_eq!(entry.occurred_at, latest[&key(entry)], "{payment}: the latest time is kept");
        }
        let conflicts: BTreeSet<(String, i64)> = told(&facts.conflicts);
        assert_eq!(conflicts, contradicted.remove(payment).unwrap_or_default(), "{payment}");
        assert_eq!(facts.conflicts.len(), conflicts.len(), "{payment}: a contradiction is kept twice");
        check_view(truth, facts);
    }
}

fn check_view(truth: &Truth, facts: &PaymentFacts) {
    let total = |kind| -> i64 {
        truth.movements.iter().filter(|movement| movement.kind == kind).map(|movement| movement.money.minor()).sum()
    };
    let captured = total(MovementKind::Captured);
    let in_total = truth.movements.iter().filter(|movement| movement.kind == MovementKind::RefundedInTotal);
    let in_total = in_total.map(|movement| movement.money.minor()).max().unwrap_or(0);
    let refunded = total(MovementKind::Refunded) - total(MovementKind::RefundFailed) + in_total;
    let is_open = total(MovementKind::DisputeOpened) > 0
        && total(MovementKind::DisputeLost) + total(MovementKind::DisputeWon) == 0;
    // A dispute takes what is still there.
    let lost = total(MovementKind::DisputeLost).min(captured - refunded);
    let mut order = OrderFacts::default();
    order.placed = Some(placed(truth));
    let known = OrderKnowledge { order, trades: BTreeMap::new(), payments: vec![facts.clone()] };
    let seen = view(&truth.order, &known);
    let sums = seen.settlement.sums;
    assert_eq!((sums.captured, sums.refunded, sums.lost, sums.is_disputed), (captured, refunded, lost, is_open));
    let state = match captured.cmp(&truth.due_minor) {
        _ if is_open => PaymentState::Disputed,
        _ if refunded + lost >= captured => PaymentState::Refunded,
        _ if refunded + lost > 0 => PaymentState::PartlyRefunded,
        std::cmp::Ordering::Less => PaymentState::PartlyPaid,
        std::cmp::Ordering::Equal => PaymentState::Paid,
        std::cmp::Ordering::Greater => PaymentState::Overpaid,
    };
    assert_eq!(seen.settlement.state, state, "{}", truth.order);
    assert_eq!(seen.settlement.covered.is_some(), captured >= truth.due_minor, "{}", truth.order);
    let is_flagged = seen.flags.contains(&domain::Flag::PaymentConflict);
    assert_eq!(is_flagged, !facts.conflicts.is_empty(), "{}", truth.order);
}

#[tokio::test]
async fn a_thousand_payments_delivered_in_any_way_come_to_the_gateways_truth() {
    let first = seed("payments");
    let mut callbacks = 0;
    for round in 0..rounds(4, 200) {
        let mut dice = Dice::seeded(first.wrapping_add(round));
        let truths: Vec<Truth> = (0..PAYMENTS).map(|number| truth(&mut dice, number)).collect();
        let sent = history(&mut dice, &truths);
        assert!(sent.len() >= CALLBACKS_MIN, "seed {first}+{round}: only {} callbacks", sent.len());
        let shop = live(&batches(&mut dice, &sent)).await;
        check(&shop, &truths, &sent);
        let other = live(&batches(&mut dice, &sent)).await;
        assert_eq!(sorted(&shop), sorted(&other), "seed {first}+{round}: the order of arrival made a difference");
        callbacks += 2 * sent.len();
    }
    println!("payments: {callbacks} callbacks");
}
