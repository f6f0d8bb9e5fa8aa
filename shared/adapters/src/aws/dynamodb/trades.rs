//! The trades table: the `status` item, and `shipping#<logistics id>` items.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use aws_types::SdkConfig;
use domain::{
    Carrier, LogisticsId, Outcome, Package, RawStatus, Trace, TraceStatus, TradeFacts, TradeKey, TradeReport,
    TradeStatus, TradeStatuses, Waybill, WaybillReport,
};

use super::super::error::classify;
use super::cell::{Address, Cell, Item, Keep, take_in};
use super::items::{checked, message_id, query, text, time};
use crate::error::{Cause, Certainty, PortError};
use crate::ports::TradeStore;

const STATUS: &str = "status";
const SHIPPING_PREFIX: &str = "shipping#";

const REPORT: &str = "trades.report";
const SHIP: &str = "trades.ship";
const READ: &str = "trades.read";
const STATUSES: &str = "trades.statuses";

/// Keys in one batch read. Source: DynamoDB BatchGetItem.
const BATCH_KEYS_MAX: usize = 100;
/// Times that keys which a batch read left out are asked for again.
const LEFT_OUT_ROUNDS_MAX: u32 = 5;
/// The first wait before asking again, in milliseconds; it doubles.
const LEFT_OUT_WAIT_MS: u64 = 25;

/// The trades table.
#[derive(Debug, Clone)]
pub struct DynamoTrades {
    client: Client,
    table: String,
}

impl DynamoTrades {
    /// The table of that name.
    pub fn new(config: &SdkConfig, table: String) -> Self {
        Self { client: Client::new(config), table }
    }

    async fn batch(&self, keys: Vec<Item>) -> Result<Vec<Item>, PortError> {
        let wanted = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build();
        let wanted =
            wanted.map_err(|error| PortError { source: Some(Box::new(error)), ..PortError::unreadable(STATUSES) })?;
        let mut pending = HashMap::from([(self.table.clone(), wanted)]);
        let mut items = Vec::new();
        for round in 0..LEFT_OUT_ROUNDS_MAX {
            let call = self.client.batch_get_item().set_request_items(Some(pending));
            let answer = call.send().await.map_err(|error| classify(STATUSES, error))?;
            items.extend(answer.responses.unwrap_or_default().into_values().flatten());
            pending = answer.unprocessed_keys.unwrap_or_default();
            if pending.is_empty() {
                return Ok(items);
            }
            tokio::time::sleep(std::time::Duration::from_millis(LEFT_OUT_WAIT_MS << round)).await;
        }
        Err(PortError::new(STATUSES, Cause::Throttled, Certainty::Determinate))
    }
}

fn status_cell(report: &TradeReport) -> Cell {
    Cell {
        name: report.status.as_str().to_owned(),
        keep: Keep::Latest,
        at: report.at,
        texts: vec![("id", report.id.to_string()), ("raw", report.raw.to_string())],
    }
}

fn package_cells(package: &Package) -> Vec<Cell> {
    let waybill = package.waybill.as_ref().map(|waybill| Cell {
        name: "waybill".to_owned(),
        keep: Keep::Latest,
        at: waybill.at,
        texts: vec![
            ("id", waybill.id.to_string()),
            ("carrier", waybill.carrier.to_string()),
            ("number", waybill.number.to_string()),
        ],
    });
    let trace = package.trace.as_ref().map(|trace| Cell {
        name: "trace".to_owned(),
        keep: Keep::Latest,
        at: trace.at,
        texts: vec![("id", trace.id.to_string()), ("status", trace.status.to_string())],
    });
    waybill.into_iter().chain(trace).collect()
}

/// The statuses in a `status` item. `None` when it does not read as we wrote it.
fn read_statuses(item: &Item) -> Option<TradeStatuses> {
    let mut statuses = TradeStatuses::default();
    for status in TradeStatus::ALL {
        let name = status.as_str();
        if let Some(at) = time(item, &format!("at_{name}")) {
            let id = message_id(item, &format!("id_{name}"))?;
            let raw = checked(item, &format!("raw_{name}"), RawStatus::try_from)?;
            statuses.report(TradeReport { status, at, id, raw });
        }
    }
    Some(statuses)
}

/// The consignment in a `shipping#` item.
fn read_package(item: &Item) -> Option<Package> {
    let waybill = match time(item, "at_waybill") {
        Some(at) => Some(WaybillReport {
            at,
            id: message_id(item, "id_waybill")?,
            carrier: checked(item, "carrier_waybill", Carrier::try_from)?,
            number: checked(item, "number_waybill", Waybill::try_from)?,
        }),
        None => None,
    };
    let trace = match time(item, "at_trace") {
        Some(at) => Some(Trace {
            at,
            id: message_id(item, "id_trace")?,
            status: checked(item, "status_trace", TraceStatus::try_from)?,
        }),
        None => None,
    };
    Some(Package { waybill, trace })
}

fn read_item(item: &Item, facts: &mut TradeFacts) -> Option<()> {
    let sk = text(item, "sk")?;
    if sk == STATUS {
        facts.statuses = read_statuses(item)?;
    } else if let Some(id) = sk.strip_prefix(SHIPPING_PREFIX) {
        facts.packages.insert(LogisticsId::new(id).ok()?, read_package(item)?);
    }
    Some(())
}

impl TradeStore for DynamoTrades {
    async fn report(&self, trade: &TradeKey, reports: &[TradeReport]) -> Result<Vec<Outcome>, PortError> {
        let pk = trade.to_string();
        let address = Address { table: &self.table, pk: &pk, sk: STATUS };
        take_in(&self.client, REPORT, address, reports.iter().map(status_cell).collect(), &[]).await
    }

    async fn ship(&self, trade: &TradeKey, package: &LogisticsId, report: &Package) -> Result<Outcome, PortError> {
        let (pk, sk) = (trade.to_string(), format!("{SHIPPING_PREFIX}{package}"));
        let address = Address { table: &self.table, pk: &pk, sk: &sk };
        let outcomes = take_in(&self.client, SHIP, address, package_cells(report), &[]).await?;
        outcomes.into_iter().min().ok_or(PortError::unreadable(SHIP))
    }

    async fn read(&self, trade: &TradeKey) -> Result<TradeFacts, PortError> {
        let mut facts = TradeFacts::default();
        for item in query(&self.client, READ, &self.table, &trade.to_string()).await? {
            read_item(&item, &mut facts).ok_or(PortError::unreadable(READ))?;
        }
        Ok(facts)
    }

    async fn statuses(&self, trades: &[TradeKey]) -> Result<BTreeMap<TradeKey, TradeStatuses>, PortError> {
        let mut found = BTreeMap::new();
        // A batch read refuses a key that is asked for twice.
        let distinct: Vec<&TradeKey> = trades.iter().collect::<BTreeSet<_>>().into_iter().collect();
        for keys in distinct.chunks(BATCH_KEYS_MAX) {
            let key = |trade: &&TradeKey| {
                let part = |name: &str, value: String| (name.to_owned(), AttributeValue::S(value));
                HashMap::from([part("pk", trade.to_string()), part("sk", STATUS.to_owned())])
            };
            for item in self.batch(keys.iter().map(key).collect()).await? {
                let trade = text(&item, "pk").and_then(|pk| pk.parse().ok());
                let read = trade.zip(read_statuses(&item));
                found.extend([read.ok_or(PortError::unreadable(STATUSES))?]);
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::super::cell::item_bytes;
    use super::*;
    use domain::{MessageId, ShopId, TradeId, UnixMillis};

    #[test]
    fn the_largest_status_item_of_a_trade_is_one_write_unit() {
        let longest = |bytes: usize| "x".repeat(bytes);
        let report = |status: &TradeStatus| TradeReport {
            status: *status,
            at: UnixMillis::MAX,
            id: MessageId::new(longest(MessageId::BYTES_MAX)).unwrap(),
            raw: RawStatus::new(longest(RawStatus::BYTES_MAX)).unwrap(),
        };
        let cells: Vec<Cell> = TradeStatus::ALL.iter().map(|status| status_cell(&report(status))).collect();
        let trade = TradeKey {
            marketplace: domain::Marketplace::Taobao,
            shop: ShopId::new(longest(ShopId::BYTES_MAX)).unwrap(),
            trade_id: TradeId::new(longest(TradeId::BYTES_MAX)).unwrap(),
        };
        let bytes = item_bytes(Address { table: "trades", pk: &trade.to_string(), sk: STATUS }, &cells);
        assert!(bytes <= 1_024, "{bytes} bytes");
    }
}
