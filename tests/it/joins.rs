//! The state is a join: every order of arrival, with every repetition, ends in the same items and view.

use std::collections::BTreeMap;

use adapters::ports::OrderStore;
use domain::event::TradeFact;
use domain::{
    AfterSale, AfterSaleId, AfterSaleState, Carrier, Claim, Currency, Event, EventId, Journey, Link, ListingDigest,
    LogisticsId, MessageId, Money, OrderChange, OrderFacts, OrderId, OrderKnowledge, OrderReport, OrderView, Origin,
    Package, RawDetail, RawStatus, ReportedStatus, Snapshot, SourceName, StateReport, Trace, TraceStatus, TradeChange,
    TradeContent, TradeDetail, TradeFacts, TradeKey, TradeReport, TradeStatus, TradeStatuses, UnixMillis, Waybill,
    WaybillReport, view,
};
use proptest::prelude::*;
use proptest::sample::select;
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

/// What is told of the consignment `LP1`: its waybill, its trace, when it left.
fn package(time: i64, id: u8, waybill: Option<u8>, trace: Option<u8>, left: Option<u8>) -> Package {
    let id = MessageId::new(id.to_string()).unwrap();
    Package {
        waybill: waybill.map(|number| WaybillReport {
            at: at(time),
            id: id.clone(),
            carrier: Carrier::new("ZTO").unwrap(),
            number: Waybill::new(number.to_string()).unwrap(),
        }),
        trace: trace.map(|status| {
            let status = TraceStatus::new(format!("T{status}")).unwrap();
            Trace { at: at(time), id: id.clone(), status }
        }),
        journey: left.map(|left| Journey { at: at(time), id, shipped_at: Some(at(left.into())), signed_at: None }),
    }
}

fn shipped(number: u8, package: Package) -> Step {
    of_trade(number, TradeFact::Shipping(LogisticsId::new("LP1").unwrap(), package))
}

/// What is told of the refund case `TQ1`: where it stands, and how much is asked back.
fn case(time: i64, id: u8, state: Option<AfterSaleState>, minor: Option<u8>) -> AfterSale {
    let id = MessageId::new(id.to_string()).unwrap();
    let yuan = |minor: u8| Money::new(minor.into(), Currency::from_code("CNY").unwrap()).ok();
    AfterSale {
        state: state.map(|state| {
            let raw = RawStatus::new(state.as_str()).unwrap();
            StateReport { at: at(time), id: id.clone(), state, raw }
        }),
        claim: minor.map(|minor| Claim { at: at(time), id, line: None, money: yuan(minor) }),
    }
}

fn asked_back(number: u8, case: AfterSale) -> Step {
    of_trade(number, TradeFact::AfterSale(AfterSaleId::new("TQ1").unwrap(), case))
}

/// All of a trade, as it was read at a time. What it is made of follows from its times and its id, as at a marketplace.
fn swept(number: u8, (time, seen): (i64, i64), id: u8, status: TradeStatus, state: AfterSaleState) -> Step {
    let of = format!("{time}-{seen}-{id}");
    let id_text = MessageId::new(id.to_string()).unwrap();
    let snapshot = Snapshot {
        report: TradeReport { status, at: at(time), id: id_text.clone(), raw: RawStatus::new("swept").unwrap() },
        packages: vec![(LogisticsId::new("LP1").unwrap(), package(time, id, Some(id), None, Some(id)))],
        after_sales: vec![(AfterSaleId::new("TQ1").unwrap(), case(time, id, Some(state), Some(id)))],
        detail: TradeDetail {
            modified_at: at(time),
            seen_at: at(seen),
            id: id_text,
            listed: ListingDigest::new(of.clone()).unwrap(),
            content: TradeContent { created_at: Some(at(seen)), ..TradeContent::default() },
            raw: RawDetail::Inline(of.into_bytes()),
        },
    };
    of_trade(number, TradeFact::Snapshot(Box::new(snapshot)))
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

fn any_status() -> impl Strategy<Value = TradeStatus> {
    select(&TradeStatus::ALL[..])
}

/// One, two or three of three things.
fn any_of_three<T: std::fmt::Debug + Clone>(
    one: impl Strategy<Value = T> + Clone,
) -> impl Strategy<Value = (Option<T>, Option<T>, Option<T>)> {
    (one.clone(), one.clone(), one, 1_u8..8).prop_map(|(first, second, third, which)| {
        let of = |bit: u8, thing: T| Some(thing).filter(|_| which & bit != 0);
        (of(1, first), of(2, second), of(4, third))
    })
}

/// A step of a random history. Few times, ids and trades, so that ties and repetitions are common.
fn any_step() -> impl Strategy<Value = Step> {
    let few = 0_u8..3;
    let time = 0_i64..4;
    prop_oneof![
        (select(&ReportedStatus::ALL[..]), time.clone(), few.clone(), few.clone())
            .prop_map(|(status, time, source, id)| reported(status, time, source, id)),
        (few.clone(), any_status(), time.clone(), few.clone(), few.clone())
            .prop_map(|(number, status, time, id, raw)| traded(number, status, time, id, raw)),
        (few.clone(), time.clone(), few.clone(), any_of_three(few.clone())).prop_map(|(number, time, id, facts)| {
            let (waybill, trace, left) = facts;
            shipped(number, package(time, id, waybill, trace, left))
        }),
        (few.clone(), time.clone(), few.clone(), select(&AfterSaleState::ALL[..]), any_of_three(few.clone())).prop_map(
            |(number, time, id, state, (has_state, minor, _))| {
                let state = Some(state).filter(|_| has_state.is_some() || minor.is_none());
                asked_back(number, case(time, id, state, minor))
            }
        ),
        (few.clone(), (time.clone(), time.clone()), few.clone(), any_status(), select(&AfterSaleState::ALL[..]))
            .prop_map(|(number, times, id, status, state)| swept(number, times, id, status, state)),
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
