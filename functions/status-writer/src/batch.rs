//! A batch, gathered by the item that its records touch: ten reports of one trade are one write.

use std::collections::BTreeMap;

use domain::event::TradeFact;
use domain::{
    AfterSale, AfterSaleId, Event, LogisticsId, OrderId, OrderReport, Outcome, Package, ProductKey, Snapshot,
    TradeDetail, TradeKey, TradeReport, UnixMillis,
};

/// A record's position in its batch.
pub type Position = usize;

/// What records say of one item, each with the position of its record.
pub type Members<R> = Vec<(Position, R)>;

/// What the records of a batch ask for, item by item. A reading of a sweep is in several places, any other record in
/// one.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Reports by order: the orders' `status` items.
    pub orders: BTreeMap<OrderId, Members<OrderReport>>,
    /// Reports by trade: the trades' `status` items.
    pub trades: BTreeMap<TradeKey, Members<TradeReport>>,
    /// Reports by consignment: the trades' `shipping#` items.
    pub packages: BTreeMap<(TradeKey, LogisticsId), Members<Package>>,
    /// Reports by refund case: the trades' `aftersale#` items.
    pub after_sales: BTreeMap<(TradeKey, AfterSaleId), Members<AfterSale>>,
    /// What trades are made of: the trades' `detail` items.
    pub details: BTreeMap<TradeKey, Members<TradeDetail>>,
    /// When products changed: the products' `#product` items.
    pub products: BTreeMap<ProductKey, Members<UnixMillis>>,
}

impl Gathered {
    /// Puts a record's event in its places.
    pub fn add(&mut self, position: Position, event: Event) {
        match event {
            Event::Order(change) => self.orders.entry(change.order).or_default().push((position, change.report)),
            Event::Trade(change) => self.add_fact(position, change.trade, change.fact),
            Event::Product(change) => self.products.entry(change.product).or_default().push((position, change.at)),
        }
    }

    fn add_fact(&mut self, position: Position, trade: TradeKey, fact: TradeFact) {
        match fact {
            TradeFact::Status(report) => self.trades.entry(trade).or_default().push((position, report)),
            TradeFact::Shipping(id, package) => {
                self.packages.entry((trade, id)).or_default().push((position, package));
            }
            TradeFact::AfterSale(id, case) => self.after_sales.entry((trade, id)).or_default().push((position, case)),
            TradeFact::Snapshot(snapshot) => self.add_snapshot(position, trade, *snapshot),
        }
    }

    /// A reading says of some consignments only that they are: of those there is nothing to keep.
    fn add_snapshot(&mut self, position: Position, trade: TradeKey, snapshot: Snapshot) {
        let Snapshot { report, packages, after_sales, detail } = snapshot;
        for (id, package) in packages.into_iter().filter(|(_, package)| *package != Package::default()) {
            self.packages.entry((trade.clone(), id)).or_default().push((position, package));
        }
        for (id, case) in after_sales {
            self.after_sales.entry((trade.clone(), id)).or_default().push((position, case));
        }
        self.trades.entry(trade.clone()).or_default().push((position, report));
        self.details.entry(trade).or_default().push((position, detail));
    }
}

/// What became of each record, when of the kept reports `kept` the store said `outcomes`. The first
/// record with a kept report has its outcome, those that repeat it are duplicates, the others are stale.
pub fn outcomes<R: PartialEq>(members: Members<R>, kept: &[R], outcomes: &[Outcome]) -> Vec<(Position, Outcome)> {
    let mut left: Vec<Option<Outcome>> = outcomes.iter().copied().map(Some).collect();
    members
        .into_iter()
        .map(|(position, report)| {
            let slot = kept.iter().position(|kept| *kept == report).and_then(|index| left.get_mut(index));
            (position, slot.map_or(Outcome::Stale, |slot| slot.take().unwrap_or(Outcome::Duplicate)))
        })
        .collect()
}
