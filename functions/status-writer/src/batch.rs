//! A batch, gathered by the item that its records touch: ten reports of one trade are one write.

use std::collections::BTreeMap;

use domain::event::TradeFact;
use domain::{Event, LogisticsId, OrderId, OrderReport, Outcome, Package, TradeKey, TradeReport};

/// A record's position in its batch.
pub type Position = usize;

/// What the records of a batch ask for. Each record is in exactly one place.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Reports by order: the orders' `status` items.
    pub orders: BTreeMap<OrderId, Vec<(Position, OrderReport)>>,
    /// Reports by trade: the trades' `status` items.
    pub trades: BTreeMap<TradeKey, Vec<(Position, TradeReport)>>,
    /// Reports by consignment: the trades' `shipping#` items.
    pub packages: BTreeMap<(TradeKey, LogisticsId), Vec<(Position, Package)>>,
}

impl Gathered {
    /// Puts a record's event in its place.
    pub fn add(&mut self, position: Position, event: Event) {
        match event {
            Event::Order(change) => self.orders.entry(change.order).or_default().push((position, change.report)),
            Event::Trade(change) => match change.fact {
                TradeFact::Status(report) => self.trades.entry(change.trade).or_default().push((position, report)),
                TradeFact::Shipping(id, package) => {
                    self.packages.entry((change.trade, id)).or_default().push((position, package));
                }
            },
        }
    }
}

/// What became of each record, when of the kept reports `kept` the store said `outcomes`. The first
/// record with a kept report has its outcome, those that repeat it are duplicates, the others are stale.
pub fn outcomes<R: PartialEq>(
    members: Vec<(Position, R)>,
    kept: &[R],
    outcomes: &[Outcome],
) -> Vec<(Position, Outcome)> {
    let mut left: Vec<Option<Outcome>> = outcomes.iter().copied().map(Some).collect();
    members
        .into_iter()
        .map(|(position, report)| {
            let slot = kept.iter().position(|kept| *kept == report).and_then(|index| left.get_mut(index));
            (position, slot.map_or(Outcome::Stale, |slot| slot.take().unwrap_or(Outcome::Duplicate)))
        })
        .collect()
}
