//! The state is a join: every order of arrival, with every repetition, ends in the same items and view.

use std::collections::BTreeMap;

use adapters::ports::OrderStore;
use domain::event::TradeFact;
use domain::{
    Carrier, Event, EventId, Link, LogisticsId, MessageId, OrderChange, OrderFacts, OrderId, OrderKnowledge,
    OrderReport, OrderView, Origin, Package, RawStatus, ReportedStatus, SourceName, Trace, TraceStatus, TradeChange,
    TradeFacts, TradeKey, TradeReport, TradeStatus, TradeStatuses, UnixMillis, Waybill, WaybillReport, view,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::support::{Shop, batch, rounds, seed};

/// One thing that happens to the order `A-1`.
#[derive(Debug, Clone, PartialEq)]
enum Step {
    /// It comes by the queue.
    Event(Event),
    /// It comes by the API.
    Link(Link),
}

fn at(millis: i64) -> UnixMillis {
    UnixMillis::new(millis).unwrap()
}

fn origin(source: u8, id: u8) -> Origin {
    Origin { source: SourceName::new(format!("s{source}")).unwrap(), event_id: EventId::new(format!("e{id}")).unwrap() }
}

fn trade(number: u8) -> TradeKey {
    format!("1688#demo#{number}").parse().unwrap()
}

fn reported(status: ReportedStatus, time: i64, source: u8, id: u8) -> Step {
    let report = OrderReport { status, at: at(time), by: origin(source, id) };
    Step::Event(Event::Order(OrderChange { order: OrderId::new("A-1").unwrap(), report }))
}

fn of_trade(number: u8, fact: TradeFact) -> Step {
    Step::Event(Event::Trade(TradeChange { trade: trade(number), fact }))
}

fn traded(number: u8, status: TradeStatus, time: i64, id: u8, raw: u8) -> Step {
    let report = TradeReport {
        status,
        at: at(time),
        id: MessageId::new(id.to_string()).unwrap(),
        raw: RawStatus::new(format!("raw{raw}")).unwrap(),
    };
    of_trade(number, TradeFact::Status(report))
}

fn shipped(number: u8, time: i64, id: u8, waybill: Option<u8>, trace: Option<u8>) -> Step {
    let id = MessageId::new(id.to_string()).unwrap();
    let waybill = waybill.map(|number| WaybillReport {
        at: at(time),
        id: id.clone(),
        carrier: Carrier::new("ZTO").unwrap(),
        number: Waybill::new(number.to_string()).unwrap(),
    });
    let trace = trace.map(|status| Trace { at: at(time), id, status: TraceStatus::new(format!("T{status}")).unwrap() });
    of_trade(number, TradeFact::Shipping(LogisticsId::new("LP1").unwrap(), Package { waybill, trace, journey: None }))
}

fn linked(number: u8, time: i64, id: u8) -> Step {
    Step::Link(Link { trade: trade(number), at: at(time), by: origin(0, id) })
}

/// Everything that is kept, and the view of it.
#[derive(Debug, PartialEq)]
struct End {
    orders: BTreeMap<OrderId, OrderFacts>,
    trades: BTreeMap<TradeKey, TradeFacts>,
    view: OrderView,
}

/// Runs a history through the writer, in batches of these sizes in turn; links go where they stand.
async fn run(history: &[Step], sizes: &[usize]) -> End {
    let shop = Shop::new();
    let mut sizes = sizes.iter().copied().cycle();
    let mut waiting: Vec<String> = Vec::new();
    let mut size = sizes.next().unwrap_or(10);
    for step in history {
        match step {
            Step::Link(link) => {
                shop.orders.link(&OrderId::new("A-1").unwrap(), link).await.unwrap();
            }
            Step::Event(event) => waiting.push(protocols::cloudevents::write(event).unwrap()),
        }
        if waiting.len() >= size {
            assert_eq!(shop.write(batch(waiting.drain(..))).await, Some(Vec::new()));
            size = sizes.next().unwrap_or(10);
        }
    }
    assert_eq!(shop.write(batch(waiting)).await, Some(Vec::new()));
    let (orders, trades) = (shop.orders.all(), shop.trades.all());
    let statuses: BTreeMap<TradeKey, TradeStatuses> =
        trades.iter().map(|(key, facts)| (key.clone(), facts.statuses.clone())).collect();
    let order = orders.values().next().cloned().unwrap_or_default();
    let known = OrderKnowledge { order, trades: statuses, payments: Vec::new() };
    End { view: view(&OrderId::new("A-1").unwrap(), &known), orders, trades }
}

/// Every order of these, by Heap's algorithm.
fn permutations<T: Clone>(mut items: Vec<T>, mut visit: impl FnMut(&[T])) {
    let mut counters = vec![0; items.len()];
    visit(&items);
    let mut index = 0;
    while index < items.len() {
        if counters[index] < index {
            items.swap(if index % 2 == 0 { 0 } else { counters[index] }, index);
            visit(&items);
            counters[index] += 1;
            index = 0;
        } else {
            counters[index] = 0;
            index += 1;
        }
    }
}

#[test]
fn all_5_040_orders_of_seven_events_end_in_the_same_items_and_view() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let seven = vec![
        linked(1, 10, 1),
        linked(2, 11, 2),
        traded(1, TradeStatus::AwaitingShipment, 20, 1, 1),
        traded(2, TradeStatus::AwaitingPayment, 20, 2, 2),
        traded(2, TradeStatus::AwaitingShipment, 20, 3, 3),
        reported(ReportedStatus::Arrived, 40, 1, 1),
        reported(ReportedStatus::Shipped, 40, 1, 2),
    ];
    let undisturbed = runtime.block_on(run(&seven, &[1]));
    assert_eq!(undisturbed.view.history.len(), 4, "PURCHASING, PURCHASED, ARRIVED, SHIPPED");
    let mut orders = 0;
    permutations(seven, |order| {
        orders += 1;
        // Batches of 1, 2, … 7, so that coalescing is met as well.
        assert_eq!(runtime.block_on(run(order, &[orders % 7 + 1])), undisturbed, "{order:#?}");
    });
    assert_eq!(orders, 5_040);
}

/// A step of a random history. Few times, ids and trades, so that ties and repetitions are common.
fn any_step() -> impl Strategy<Value = Step> {
    let few = 0_u8..3;
    let time = 0_i64..4;
    prop_oneof![
        (proptest::sample::select(&ReportedStatus::ALL[..]), time.clone(), few.clone(), few.clone())
            .prop_map(|(status, time, source, id)| reported(status, time, source, id)),
        (few.clone(), proptest::sample::select(&TradeStatus::ALL[..]), time.clone(), few.clone(), few.clone())
            .prop_map(|(number, status, time, id, raw)| traded(number, status, time, id, raw)),
        (few.clone(), time.clone(), few.clone(), few.clone(), proptest::option::of(few.clone()))
            .prop_map(|(number, time, id, waybill, trace)| shipped(number, time, id, Some(waybill), trace)),
        (few.clone(), time.clone(), few.clone(), few.clone()).prop_map(|(number, time, id, trace)| shipped(
            number,
            time,
            id,
            None,
            Some(trace)
        )),
        (few.clone(), time, few).prop_map(|(number, time, id)| linked(number, time, id)),
    ]
}

/// A history, another order of it with repetitions, and two ways to cut them into batches.
fn any_history() -> impl Strategy<Value = (Vec<Step>, Vec<Step>, Vec<usize>, Vec<usize>)> {
    proptest::collection::vec(any_step(), 1..24).prop_flat_map(|history| {
        let repeated = proptest::collection::vec(proptest::sample::select(history.clone()), 0..12);
        let sizes = || proptest::collection::vec(1_usize..=10, 1..4);
        let other = repeated
            .prop_map({
                let history = history.clone();
                move |repeated| history.iter().cloned().chain(repeated).collect::<Vec<_>>()
            })
            .prop_shuffle();
        (Just(history), other, sizes(), sizes())
    })
}

#[test]
fn random_histories_end_in_the_same_items_and_view_in_any_order_with_any_repetition() {
    let histories = rounds(10_000, 100_000);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed("histories").to_le_bytes());
    let config = Config { cases: u32::try_from(histories).unwrap(), failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let outcome = runner.run(&any_history(), |(history, other, sizes, other_sizes)| {
        let end = runtime.block_on(run(&history, &sizes));
        prop_assert_eq!(runtime.block_on(run(&other, &other_sizes)), end);
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    println!("histories: {histories} ended alike");
}
