//! What is pure: signatures, reading, and the join of an order's facts to its view.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::hint::black_box;

use bench::events::SECRETS;
use criterion::{Criterion, criterion_group, criterion_main};
use domain::event::{Event, TradeFact};
use domain::order::{Link, Origin};
use domain::{
    Currency, Gateway, Money, MovementKind, OrderFacts, OrderId, OrderKnowledge, PaymentEvent, PaymentFacts, ShopId,
    TradeKey, TradeStatuses, TransactionId, UnixMillis, view,
};
use protocols::gateway::Callback;
use protocols::{Channel, Delivery, ali1688, cloudevents};
use simulators::gateway::{self, Keys};

const NOW_MS: i64 = 1_795_000_000_000;
/// Trades of the order that is joined.
const TRADES: u64 = 5;

fn now() -> UnixMillis {
    UnixMillis::new(NOW_MS).unwrap()
}

fn push(trade: u64, status: &str) -> String {
    serde_json::json!({"bizKey": trade.to_string(), "data": {"buyerMemberId": "b2b-665170100", "orderId": trade,
        "currentStatus": status, "sellerMemberId": "b2b-1676547900b7bb3"}, "gmtBorn": NOW_MS, "msgId": 7_565_094_250_u64,
        "type": "ORDER_BUYER_VIEW_ORDER_PAY", "userInfo": "b2b-665170100"})
    .to_string()
}

fn signatures(criterion: &mut Criterion) {
    let secrets = adapters::secrets::Secrets::from_json(SECRETS).unwrap();
    let channel = Channel::Ali1688(ShopId::new("demo").unwrap());
    let credentials = secrets.credentials(&channel).unwrap();
    let protocols::Credentials::Ali1688(keys) = &credentials else { return };
    let body = ali1688::push::signed_form(&keys[0], &push(1, "waitsellersend")).into_bytes();
    let delivery = Delivery::new(channel, String::new(), Vec::new(), body);
    criterion.bench_function("signature of a push", |bencher| {
        bencher.iter(|| black_box(&delivery).verify(&credentials, now()).unwrap());
    });

    let keys = Keys::local();
    for gateway in [Gateway::Stripe, Gateway::Paypal, Gateway::Alipay] {
        let sent = gateway::callback(&keys, &captured(gateway), None, now()).unwrap();
        let headers = sent.headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        let callback = Callback::new(gateway, headers, sent.body);
        let credentials = keys.credentials(gateway);
        criterion.bench_function(&format!("signature of a callback of {}", gateway.as_str()), |bencher| {
            bencher.iter(|| black_box(&callback).verify(&credentials, None, now()).unwrap());
        });
    }
}

fn captured(gateway: Gateway) -> PaymentEvent {
    let currency = if gateway == Gateway::Alipay { Currency::CNY } else { Currency::EUR };
    PaymentEvent {
        payment: format!("{}#P1", gateway.as_str()).parse().unwrap(),
        // But for Stripe, a capture is named by its payment.
        transaction_id: TransactionId::new(if gateway == Gateway::Stripe { "ch_1" } else { "P1" }).unwrap(),
        kind: MovementKind::Captured,
        order: Some(OrderId::new("order-1").unwrap()),
        money: Money::new(10_230, currency).unwrap(),
        occurred_at: UnixMillis::from_seconds(now().seconds()).unwrap(),
    }
}

fn parsing(criterion: &mut Criterion) {
    let (shop, message) = (ShopId::new("demo").unwrap(), push(1, "waitsellersend"));
    criterion.bench_function("reading of a push", |bencher| {
        bencher.iter(|| ali1688::push::read(black_box(&message), &shop).unwrap());
    });
    let event = ali1688::push::read(&message, &shop).unwrap().events.remove(0);
    let message = cloudevents::write(&event).unwrap();
    criterion.bench_function("reading of a queue's message", |bencher| {
        bencher.iter(|| cloudevents::read(black_box(&message)).unwrap());
    });
}

/// An order of five trades, each with all its statuses, and a payment.
fn knowledge() -> OrderKnowledge {
    let shop = ShopId::new("demo").unwrap();
    let mut known = OrderKnowledge { order: OrderFacts::default(), trades: BTreeMap::new(), payments: Vec::new() };
    for trade in 1..=TRADES {
        let mut statuses = TradeStatuses::default();
        let mut key: Option<TradeKey> = None;
        for word in ["waitbuyerpay", "waitsellersend", "waitbuyerreceive", "confirm_goods", "success"] {
            for event in ali1688::push::read(&push(trade, word), &shop).unwrap().events {
                let Event::Trade(change) = event else { continue };
                if let TradeFact::Status(report) = change.fact {
                    statuses.report(report);
                }
                key = Some(change.trade);
            }
        }
        let key = key.unwrap();
        let by = Origin {
            source: "shopfront".to_owned().try_into().unwrap(),
            event_id: "link".to_owned().try_into().unwrap(),
        };
        known.order.link(Link { trade: key.clone(), at: now(), by });
        known.trades.insert(key, statuses);
    }
    let captured = captured(Gateway::Stripe);
    known.payments.push(PaymentFacts { entries: vec![captured], ..PaymentFacts::default() });
    known
}

fn joining(criterion: &mut Criterion) {
    let (id, known) = (OrderId::new("order-1").unwrap(), knowledge());
    criterion.bench_function("view of an order of five trades", |bencher| {
        bencher.iter(|| view(black_box(&id), black_box(&known)));
    });
}

criterion_group!(pure, signatures, parsing, joining);
criterion_main!(pure);
