//! The trades table: the `status` item, `shipping#<logistics id>` items, `aftersale#<case id>` items and the `detail`
//! item.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    AfterSale, AfterSaleId, AfterSaleState, Carrier, Claim, Currency, Journey, LineId, ListingDigest, LogisticsId,
    Money, Outcome, Package, RawDetail, RawStatus, StateReport, StoredKey, Trace, TraceStatus, TradeDetail, TradeFacts,
    TradeKey, TradeReport, TradeStatus, TradeStatuses, UnixMillis, Waybill, WaybillReport,
};
use protocols::detail;

use super::attributes::{Item, checked, message_id, text, time};
use super::cell::{Address, Cell, take_in};
use super::items::{of_each, query};
use crate::error::{Cause, Certainty, PortError};
use crate::ports::{TradeDetails, TradeStore};

const STATUS: &str = "status";
const DETAIL: &str = "detail";
const SHIPPING_PREFIX: &str = "shipping#";
const AFTER_SALE_PREFIX: &str = "aftersale#";

const REPORT: &str = "trades.report";
const SHIP: &str = "trades.ship";
const READ: &str = "trades.read";
const STATUSES: &str = "trades.statuses";
const DESCRIBE: &str = "trades.detail";
const AFTER_SALE: &str = "trades.after_sale";
const LISTINGS: &str = "trades.listings";

/// The trades table.
#[derive(Debug, Clone)]
pub struct DynamoTrades {
    client: Client,
    table: String,
}

impl DynamoTrades {
    /// The table of that name.
    pub fn new(client: &Client, table: String) -> Self {
        Self { client: client.clone(), table }
    }

    /// Takes the facts of one report in; the better of their outcomes. A report without a fact is invalid.
    async fn take_report(
        &self,
        operation: &'static str,
        trade: &TradeKey,
        sk: &str,
        cells: Vec<Cell>,
    ) -> Result<Outcome, PortError> {
        let pk = trade.to_string();
        let address = Address { table: &self.table, pk: &pk, sk };
        let outcomes = match cells.is_empty() {
            true => Vec::new(),
            false => take_in(&self.client, operation, address, cells, &[]).await?,
        };
        outcomes.into_iter().min().ok_or(PortError::new(operation, Cause::Rejected, Certainty::Determinate))
    }
}

/// A time as a text that sorts like it: the digits of [`UnixMillis::MAX`].
fn sorted_time(time: UnixMillis) -> String {
    format!("{:015}", time.get())
}

/// A time that may be missing. What is missing sorts before every time.
fn sorted_option(time: Option<UnixMillis>) -> String {
    time.map(sorted_time).unwrap_or_default()
}

fn status_cell(report: &TradeReport) -> Cell {
    let texts = vec![("id", report.id.to_string()), ("raw", report.raw.to_string())];
    Cell::latest(report.status.as_str(), report.at, texts)
}

fn package_cells(package: &Package) -> Vec<Cell> {
    let waybill = package.waybill.as_ref().map(|waybill| {
        let (carrier, number) = (waybill.carrier.to_string(), waybill.number.to_string());
        let texts = vec![("id", waybill.id.to_string()), ("carrier", carrier), ("number", number)];
        Cell::latest("waybill", waybill.at, texts)
    });
    let trace = package.trace.as_ref().map(|trace| {
        let texts = vec![("id", trace.id.to_string()), ("status", trace.status.to_string())];
        Cell::latest("trace", trace.at, texts)
    });
    let journey = package.journey.as_ref().map(|journey| {
        let (shipped, signed) = (sorted_option(journey.shipped_at), sorted_option(journey.signed_at));
        let texts = vec![("id", journey.id.to_string()), ("shipped", shipped), ("signed", signed)];
        Cell::latest("journey", journey.at, texts)
    });
    [waybill, trace, journey].into_iter().flatten().collect()
}

fn after_sale_cells(case: &AfterSale) -> Vec<Cell> {
    let state = case.state.as_ref().map(|report| {
        let (raw, state) = (report.raw.to_string(), report.state.as_str().to_owned());
        Cell::latest("state", report.at, vec![("id", report.id.to_string()), ("raw", raw), ("state", state)])
    });
    let claim = case.claim.as_ref().map(|claim| {
        let line = claim.line.as_ref().map(ToString::to_string).unwrap_or_default();
        // The digits of the largest amount, so that texts sort like amounts.
        let minor = claim.money.map(|money| format!("{:016}", money.minor())).unwrap_or_default();
        let currency = claim.money.map(|money| money.currency().code().to_owned()).unwrap_or_default();
        let texts = vec![("id", claim.id.to_string()), ("line", line), ("minor", minor), ("currency", currency)];
        Cell::latest("claim", claim.at, texts)
    });
    [state, claim].into_iter().flatten().collect()
}

/// The detail, in attributes of which the answer has two: the one that it is not in is empty.
fn detail_cell(detail: &TradeDetail) -> Result<Cell, PortError> {
    let body = detail::write(&detail.content)
        .map_err(|error| PortError { source: Some(Box::new(error)), ..PortError::unreadable(DESCRIBE) })?;
    let (raw, raw_key) = match &detail.raw {
        RawDetail::Inline(gzip) => (gzip.clone(), String::new()),
        RawDetail::Stored(key) => (Vec::new(), key.to_string()),
    };
    let texts = vec![("seen", sorted_time(detail.seen_at)), ("id", detail.id.to_string())];
    Ok(Cell::latest(DETAIL, detail.modified_at, texts).carrying(vec![
        ("listed", AttributeValue::S(detail.listed.to_string())),
        ("body", AttributeValue::S(body)),
        ("raw", AttributeValue::B(Blob::new(raw))),
        ("raw_key", AttributeValue::S(raw_key)),
    ]))
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

/// A time that was written as a text; of one that is missing, `Some(None)`.
fn read_sorted(item: &Item, name: &str) -> Option<Option<UnixMillis>> {
    let digits = text(item, name)?;
    if digits.is_empty() { Some(None) } else { Some(Some(UnixMillis::new(digits.parse().ok()?).ok()?)) }
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
    let journey = match time(item, "at_journey") {
        Some(at) => Some(Journey {
            at,
            id: message_id(item, "id_journey")?,
            shipped_at: read_sorted(item, "shipped_journey")?,
            signed_at: read_sorted(item, "signed_journey")?,
        }),
        None => None,
    };
    Some(Package { waybill, trace, journey })
}

/// The case in an `aftersale#` item.
fn read_after_sale(item: &Item) -> Option<AfterSale> {
    let state = match time(item, "at_state") {
        Some(at) => Some(StateReport {
            at,
            id: message_id(item, "id_state")?,
            state: AfterSaleState::from_name(text(item, "state_state")?)?,
            raw: checked(item, "raw_state", RawStatus::try_from)?,
        }),
        None => None,
    };
    let claim = match time(item, "at_claim") {
        Some(at) => Some(Claim {
            at,
            id: message_id(item, "id_claim")?,
            line: match text(item, "line_claim")? {
                "" => None,
                line => Some(LineId::new(line).ok()?),
            },
            money: match (text(item, "minor_claim")?, text(item, "currency_claim")?) {
                ("", "") => None,
                (minor, code) => Some(Money::new(minor.parse().ok()?, Currency::from_code(code).ok()?).ok()?),
            },
        }),
        None => None,
    };
    Some(AfterSale { state, claim })
}

/// The detail in a `detail` item.
fn read_detail(item: &Item) -> Option<TradeDetail> {
    let raw = match text(item, "raw_key_detail")? {
        "" => RawDetail::Inline(item.get("raw_detail")?.as_b().ok()?.as_ref().to_vec()),
        key => RawDetail::Stored(StoredKey::new(key).ok()?),
    };
    Some(TradeDetail {
        modified_at: time(item, "at_detail")?,
        seen_at: read_sorted(item, "seen_detail")??,
        id: message_id(item, "id_detail")?,
        listed: checked(item, "listed_detail", ListingDigest::try_from)?,
        content: detail::read(text(item, "body_detail")?).ok()?,
        raw,
    })
}

fn read_item(item: &Item, facts: &mut TradeFacts) -> Option<()> {
    let sk = text(item, "sk")?;
    if sk == STATUS {
        facts.statuses = read_statuses(item)?;
    } else if sk == DETAIL {
        facts.detail = Some(read_detail(item)?);
    } else if let Some(id) = sk.strip_prefix(SHIPPING_PREFIX) {
        facts.packages.insert(LogisticsId::new(id).ok()?, read_package(item)?);
    } else if let Some(id) = sk.strip_prefix(AFTER_SALE_PREFIX) {
        facts.after_sales.insert(AfterSaleId::new(id).ok()?, read_after_sale(item)?);
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
        self.take_report(SHIP, trade, &format!("{SHIPPING_PREFIX}{package}"), package_cells(report)).await
    }

    async fn read(&self, trade: &TradeKey) -> Result<TradeFacts, PortError> {
        let mut facts = TradeFacts::default();
        for item in query(&self.client, READ, &self.table, &trade.to_string()).await? {
            read_item(&item, &mut facts).ok_or(PortError::unreadable(READ))?;
        }
        Ok(facts)
    }

    async fn statuses(&self, trades: &[TradeKey]) -> Result<BTreeMap<TradeKey, TradeStatuses>, PortError> {
        let found = of_each(&self.client, STATUSES, &self.table, (trades, STATUS), None).await?.into_iter();
        let statuses = found.map(|(trade, item)| Some((trade, read_statuses(&item)?)));
        statuses.collect::<Option<_>>().ok_or(PortError::unreadable(STATUSES))
    }
}

impl TradeDetails for DynamoTrades {
    async fn detail(&self, trade: &TradeKey, detail: &TradeDetail) -> Result<Outcome, PortError> {
        self.take_report(DESCRIBE, trade, DETAIL, vec![detail_cell(detail)?]).await
    }

    async fn after_sale(&self, trade: &TradeKey, case: &AfterSaleId, report: &AfterSale) -> Result<Outcome, PortError> {
        self.take_report(AFTER_SALE, trade, &format!("{AFTER_SALE_PREFIX}{case}"), after_sale_cells(report)).await
    }

    async fn listings(&self, trades: &[TradeKey]) -> Result<BTreeMap<TradeKey, ListingDigest>, PortError> {
        let wanted = Some("pk, listed_detail");
        let found = of_each(&self.client, LISTINGS, &self.table, (trades, DETAIL), wanted).await?.into_iter();
        let listed =
            found.map(|(trade, item)| Some((trade, checked(&item, "listed_detail", ListingDigest::try_from)?)));
        listed.collect::<Option<_>>().ok_or(PortError::unreadable(LISTINGS))
    }
}

#[cfg(test)]
mod tests {
    use domain::{MessageId, ShopId, TradeContent, TradeId, TradeLine};

    use super::super::super::stub::{Answer, Script};
    use super::super::cell::item_bytes;
    use super::*;
    use crate::ports::RAW_INLINE_BYTES_MAX;

    fn longest(bytes: usize) -> String {
        "x".repeat(bytes)
    }

    fn trade() -> TradeKey {
        TradeKey {
            marketplace: domain::Marketplace::Taobao,
            shop: ShopId::new(longest(ShopId::BYTES_MAX)).unwrap(),
            trade_id: TradeId::new(longest(TradeId::BYTES_MAX)).unwrap(),
        }
    }

    fn id() -> MessageId {
        MessageId::new(longest(MessageId::BYTES_MAX)).unwrap()
    }

    fn bytes(sk: &str, cells: &[Cell]) -> usize {
        item_bytes(Address { table: "trades", pk: &trade().to_string(), sk }, cells)
    }

    #[test]
    fn the_largest_status_item_of_a_trade_is_one_write_unit() {
        let report = |status: &TradeStatus| TradeReport {
            status: *status,
            at: UnixMillis::MAX,
            id: id(),
            raw: RawStatus::new(longest(RawStatus::BYTES_MAX)).unwrap(),
        };
        let cells: Vec<Cell> = TradeStatus::ALL.iter().map(|status| status_cell(&report(status))).collect();
        let bytes = bytes(STATUS, &cells);
        assert!(bytes <= 1_024, "{bytes} bytes");
    }

    #[test]
    fn the_largest_items_of_a_consignment_and_of_a_case_are_one_write_unit() {
        let at = UnixMillis::MAX;
        let package = Package {
            waybill: Some(WaybillReport {
                at,
                id: id(),
                carrier: Carrier::new(longest(Carrier::BYTES_MAX)).unwrap(),
                number: Waybill::new(longest(Waybill::BYTES_MAX)).unwrap(),
            }),
            trace: Some(Trace { at, id: id(), status: TraceStatus::new(longest(TraceStatus::BYTES_MAX)).unwrap() }),
            journey: Some(Journey { at, id: id(), shipped_at: Some(at), signed_at: Some(at) }),
        };
        let raw = RawStatus::new(longest(RawStatus::BYTES_MAX)).unwrap();
        let money = Money::new(Money::MINOR_MAX, Currency::from_code("CNY").unwrap()).ok();
        let case = AfterSale {
            state: Some(StateReport { at, id: id(), state: AfterSaleState::AwaitingReturn, raw }),
            claim: Some(Claim { at, id: id(), line: LineId::new(longest(LineId::BYTES_MAX)).ok(), money }),
        };
        for (prefix, cells) in
            [(SHIPPING_PREFIX, package_cells(&package)), (AFTER_SALE_PREFIX, after_sale_cells(&case))]
        {
            let bytes = bytes(&format!("{prefix}{}", longest(32)), &cells);
            assert!(bytes <= 1_024, "{prefix}: {bytes} bytes");
        }
    }

    fn detail(lines: usize, raw: RawDetail) -> TradeDetail {
        let line = TradeLine {
            id: LineId::new("1").unwrap(),
            product: None,
            sku: None,
            name: domain::ProductName::new("\\".repeat(512)).ok(),
            quantity: None,
            unit_price: None,
            amount: None,
            picture: None,
            status: None,
        };
        let content = TradeContent { lines: vec![line; lines], ..TradeContent::default() };
        TradeDetail {
            modified_at: UnixMillis::new(5).unwrap(),
            seen_at: UnixMillis::new(1_795_248_000_000).unwrap(),
            id: id(),
            listed: ListingDigest::new(longest(32)).unwrap(),
            content: detail::bounded(content),
            raw,
        }
    }

    #[test]
    fn the_largest_detail_item_is_within_what_an_item_holds() {
        let largest = detail(1_000, RawDetail::Inline(vec![0xff; RAW_INLINE_BYTES_MAX]));
        let bytes = bytes(DETAIL, &[detail_cell(&largest).unwrap()]);
        // Source: DynamoDB, "Quotas": 400 KB an item.
        assert!(bytes <= 400 * 1_024, "{bytes} bytes");
    }

    #[tokio::test]
    async fn a_detail_is_one_conditional_write_and_its_answer_has_no_say_in_it() {
        let stored = RawDetail::Stored(StoredKey::new("details/a").unwrap());
        for (raw, kept) in [(RawDetail::Inline(vec![1]), ("AQ==", "")), (stored, ("", "details/a"))] {
            let script = Script::new([Answer::Text(200, "{}".to_owned())]);
            let trades = DynamoTrades::new(&script.dynamodb(), "trades".to_owned());
            assert_eq!(trades.detail(&trade(), &detail(1, raw)).await.unwrap(), Outcome::Applied);
            let asked = script.asked();
            assert_eq!((asked.len(), asked[0].0.as_str()), (1, "UpdateItem"));
            let condition = asked[0].1["ConditionExpression"].as_str().unwrap();
            assert_eq!(
                condition,
                "(attribute_not_exists(#at_detail) OR (#at_detail < :at_detail OR (#at_detail = :at_detail AND \
                 (#seen_detail < :seen_detail OR (#seen_detail = :seen_detail AND #id_detail < :id_detail)))))"
            );
            let values = &asked[0].1["ExpressionAttributeValues"];
            assert_eq!(values[":seen_detail"]["S"], "001795248000000");
            assert_eq!(
                (&values[":raw_detail"]["B"], &values[":raw_key_detail"]["S"]),
                (&kept.0.into(), &kept.1.into())
            );
        }
    }
}
