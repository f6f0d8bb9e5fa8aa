//! The orders table as its outsiders write it: `status` items, and `trade#<marketplace>#<shop>#<trade_id>` links with
//! the sparse index `by_trade`. What the shop itself writes is in `book.rs`.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::order::KnownOrder;
use domain::{EventId, Link, OrderFacts, OrderId, OrderReport, Origin, Outcome, ReportedStatus, SourceName, TradeKey};

use super::attributes::{Item, text, time};
use super::book;
use super::cell::{Address, Cell, take_in, take_one};
use super::items::{items, pages, query};
use crate::error::PortError;
use crate::ports::OrderStore;

const STATUS: &str = "status";
const TRADE_PREFIX: &str = "trade#";
/// The hash key of the index `by_trade`; only links have it.
const TRADE: &str = "trade";
const LINKED: &str = "linked";

const REPORT: &str = "orders.report";
const LINK: &str = "orders.link";
const READ: &str = "orders.read";
const ORDERS_OF: &str = "orders.orders_of";
const LIST: &str = "orders.list";

/// The orders table.
#[derive(Debug, Clone)]
pub struct DynamoOrders {
    pub(super) client: Client,
    pub(super) table: String,
}

impl DynamoOrders {
    /// The table of that name.
    pub fn new(client: &Client, table: String) -> Self {
        Self { client: client.clone(), table }
    }

    fn address<'a>(&'a self, order: &'a OrderId, sk: &'a str) -> Address<'a> {
        Address { table: &self.table, pk: order.as_str(), sk }
    }
}

/// `source#event id`. No source has a `#`, and `#` sorts before all that a source has, so that the
/// joined texts sort like the pairs.
pub(super) fn by_text(by: &Origin) -> String {
    format!("{}#{}", by.source, by.event_id)
}

pub(super) fn by(text: &str) -> Option<Origin> {
    let (source, event_id) = text.split_once('#')?;
    Some(Origin { source: SourceName::new(source).ok()?, event_id: EventId::new(event_id).ok()? })
}

fn report_cell(report: &OrderReport) -> Cell {
    Cell::earliest(report.status.status().as_str(), report.at, vec![("by", by_text(&report.by))])
}

/// Takes what an item holds into the facts. `None` when it does not read as we wrote it.
fn read_item(item: &Item, facts: &mut OrderFacts) -> Option<()> {
    let sk = text(item, "sk")?;
    if sk == STATUS {
        for status in ReportedStatus::ALL {
            let name = status.status().as_str();
            if let Some(at) = time(item, &format!("at_{name}")) {
                facts.report(OrderReport { status, at, by: by(text(item, &format!("by_{name}"))?)? });
            }
        }
    } else if let Some(trade) = sk.strip_prefix(TRADE_PREFIX) {
        let (at, by) = (time(item, "at_linked")?, by(text(item, "by_linked")?)?);
        facts.link(Link { trade: trade.parse().ok()?, at, by });
    } else {
        book::read_item(sk, item, facts)?;
    }
    Some(())
}

impl OrderStore for DynamoOrders {
    async fn report(&self, order: &OrderId, reports: &[OrderReport]) -> Result<Vec<Outcome>, PortError> {
        let cells = reports.iter().map(report_cell).collect();
        take_in(&self.client, REPORT, self.address(order, STATUS), cells, &[]).await
    }

    async fn link(&self, order: &OrderId, link: &Link) -> Result<Outcome, PortError> {
        let sk = format!("{TRADE_PREFIX}{}", link.trade);
        let cell = Cell::earliest(LINKED, link.at, vec![("by", by_text(&link.by))]);
        let constants = [(TRADE, link.trade.to_string())];
        take_one(&self.client, LINK, self.address(order, &sk), cell, &constants).await
    }

    async fn read(&self, order: &OrderId) -> Result<OrderFacts, PortError> {
        let mut facts = OrderFacts::default();
        for item in query(&self.client, READ, &self.table, order.as_str()).await? {
            read_item(&item, &mut facts).ok_or(PortError::unreadable(READ))?;
        }
        Ok(facts)
    }

    async fn orders_of(&self, trade: &TradeKey) -> Result<Vec<OrderId>, PortError> {
        let by_trade = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("by_trade")
            .key_condition_expression("trade = :trade")
            .expression_attribute_values(":trade", AttributeValue::S(trade.to_string()));
        let linked_from = pages(ORDERS_OF, by_trade).await?;
        let order = |item: &Item| OrderId::new(text(item, "pk")?).ok();
        linked_from.iter().map(order).collect::<Option<Vec<_>>>().ok_or(PortError::unreadable(ORDERS_OF))
    }

    async fn list(&self) -> Result<Vec<KnownOrder>, PortError> {
        let mut orders: BTreeMap<OrderId, OrderFacts> = BTreeMap::new();
        for item in items(&self.client, LIST, &self.table).await? {
            let order = text(&item, "pk").and_then(|pk| OrderId::new(pk).ok());
            let facts = orders.entry(order.ok_or(PortError::unreadable(LIST))?).or_default();
            read_item(&item, facts).ok_or(PortError::unreadable(LIST))?;
        }
        Ok(orders.into_iter().map(|(id, facts)| KnownOrder { id, facts }).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::cell::item_bytes;
    use super::*;
    use domain::UnixMillis;

    #[test]
    fn the_largest_status_item_of_an_order_is_one_write_unit() {
        let longest = |bytes: usize| "x".repeat(bytes);
        let by = Origin {
            source: SourceName::new(longest(SourceName::BYTES_MAX)).unwrap(),
            event_id: EventId::new(longest(EventId::BYTES_MAX)).unwrap(),
        };
        let cells: Vec<Cell> = ReportedStatus::ALL
            .iter()
            .map(|status| report_cell(&OrderReport { status: *status, at: UnixMillis::MAX, by: by.clone() }))
            .collect();
        let order = longest(OrderId::BYTES_MAX);
        let bytes = item_bytes(Address { table: "orders", pk: &order, sk: STATUS }, &cells);
        assert!(bytes <= 1_024, "{bytes} bytes");
    }
}
