//! The orders table as the shop itself writes it: the `order` item, `refund#<refund_id>` items, and `refunds`, the
//! counter that bounds them.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};
use domain::{
    Currency, Line, Money, OrderContent, OrderFacts, OrderId, Origin, Placed, Rate, RateSource, Refund, RefundId,
    RefundTotals, Sku, UnixMillis,
};
use time::Date;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::super::error::classify;
use super::attributes::{Item, checked, integer, money, number, string, text, time as millis};
use super::orders::{DynamoOrders, by, by_text};
use crate::error::{Cause, Certainty, PortError};
use crate::ports::{OrderBook, Refunded};

const ORDER: &str = "order";
const REFUND_PREFIX: &str = "refund#";
const REFUNDS: &str = "refunds";

const PLACE: &str = "orders.place";
const REFUND: &str = "orders.refund";

const DATE: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");
/// DynamoDB's word for a part of a transaction whose condition was lost. Source: TransactWriteItems, Errors.
const CONDITION_LOST: &str = "ConditionalCheckFailed";

fn amount(name: &str, money: Money) -> [(String, AttributeValue); 2] {
    [number(&format!("{name}_minor"), money.minor()), string(&format!("{name}_currency"), money.currency().code())]
}

/// The key, the time and the witness, which every item of the book has.
fn head(order: &OrderId, sk: String, at: UnixMillis, by: &Origin) -> [(String, AttributeValue); 4] {
    [string("pk", order.as_str()), string("sk", sk), number("at", at.get()), string("by", by_text(by))]
}

fn placed_item(order: &OrderId, placed: &Placed) -> Item {
    let content = &placed.content;
    let line = |line: &Line| {
        let fields = [
            string("sku", line.sku.as_str()),
            number("quantity", line.quantity),
            number("unit_price_minor", line.unit_price.minor()),
        ];
        AttributeValue::M(HashMap::from(fields))
    };
    let lines = ("lines".to_owned(), AttributeValue::L(content.lines.iter().map(line).collect()));
    let rate = placed.rate.iter().flat_map(|rate| {
        [
            string("rate", rate.value().to_string()),
            string("rate_source", rate.source().as_str()),
            string("rate_date", rate.date().format(DATE).unwrap_or_default()),
            number("rate_captured_at", rate.captured_at().get()),
        ]
    });
    let amounts = amount("price", content.price).into_iter().chain(amount("due", placed.due));
    head(order, ORDER.to_owned(), placed.at, &placed.by).into_iter().chain(amounts).chain(rate).chain([lines]).collect()
}

fn read_placed(item: &Item) -> Option<Placed> {
    let price = money(item, "price_minor", "price_currency")?;
    let due = money(item, "due_minor", "due_currency")?;
    let lines = item.get("lines")?.as_l().ok()?;
    let lines: Option<Vec<Line>> = lines.iter().map(|line| read_line(line.as_m().ok()?, price.currency())).collect();
    Some(Placed {
        content: OrderContent { price, charge_currency: due.currency(), lines: lines? },
        // A damaged rate must not hide the order: it is read, and refuses to refund.
        rate: read_rate(item, price.currency(), due.currency()),
        due,
        at: millis(item, "at")?,
        by: by(text(item, "by")?)?,
    })
}

fn read_line(line: &Item, currency: Currency) -> Option<Line> {
    Some(Line {
        sku: checked(line, "sku", Sku::try_from)?,
        quantity: integer(line, "quantity")?,
        unit_price: Money::new(integer(line, "unit_price_minor")?, currency).ok()?,
    })
}

fn read_rate(item: &Item, from: Currency, to: Currency) -> Option<Rate> {
    let source = RateSource::from_name(text(item, "rate_source")?)?;
    let date = Date::parse(text(item, "rate_date")?, DATE).ok()?;
    Rate::kept((from, to), text(item, "rate")?, (source, date), millis(item, "rate_captured_at")?).ok()
}

fn refund_item(order: &OrderId, refund: &Refund) -> Item {
    let amounts = [("asked", refund.asked), ("priced", refund.priced), ("charged", refund.charged)];
    head(order, format!("{REFUND_PREFIX}{}", refund.id), refund.at, &refund.by)
        .into_iter()
        .chain(amounts.into_iter().flat_map(|(name, money)| amount(name, money)))
        .chain(totals(refund.through))
        .collect()
}

fn read_refund(item: &Item) -> Option<Refund> {
    Some(Refund {
        id: RefundId::new(text(item, "sk")?.strip_prefix(REFUND_PREFIX)?).ok()?,
        asked: money(item, "asked_minor", "asked_currency")?,
        priced: money(item, "priced_minor", "priced_currency")?,
        charged: money(item, "charged_minor", "charged_currency")?,
        through: read_totals(item)?,
        at: millis(item, "at")?,
        by: by(text(item, "by")?)?,
    })
}

fn totals(totals: RefundTotals) -> [(String, AttributeValue); 3] {
    [
        number("refund_count", totals.count),
        number("priced_through_minor", totals.priced_minor),
        number("charged_through_minor", totals.charged_minor),
    ]
}

fn totals_item(order: &OrderId, through: RefundTotals) -> Item {
    [string("pk", order.as_str()), string("sk", REFUNDS)].into_iter().chain(totals(through)).collect()
}

fn read_totals(item: &Item) -> Option<RefundTotals> {
    Some(RefundTotals {
        count: integer(item, "refund_count")?,
        priced_minor: integer(item, "priced_through_minor")?,
        charged_minor: integer(item, "charged_through_minor")?,
    })
}

/// Takes an item of the book into the facts of its order. `None` when it does not read as we wrote it.
pub(super) fn read_item(sk: &str, item: &Item, facts: &mut OrderFacts) -> Option<()> {
    if sk == ORDER {
        facts.placed = Some(read_placed(item)?);
    } else if sk == REFUNDS {
        facts.refund_totals = read_totals(item)?;
    } else if sk.starts_with(REFUND_PREFIX) {
        let refund = read_refund(item)?;
        facts.refunds.insert(refund.id.clone(), refund);
    }
    Some(())
}

impl OrderBook for DynamoOrders {
    async fn place(&self, order: &OrderId, placed: &Placed) -> Result<Option<Placed>, PortError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(placed_item(order, placed)))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = put.send().await else { return Ok(None) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(lost)) => {
                let kept = lost.item().and_then(read_placed);
                kept.map(Some).ok_or(PortError::unreadable(PLACE))
            }
            _ => Err(classify(PLACE, error)),
        }
    }

    async fn refund(&self, order: &OrderId, refund: &Refund) -> Result<Refunded, PortError> {
        let put = |item: Item| Put::builder().table_name(&self.table).set_item(Some(item));
        let refund_put = put(refund_item(order, refund))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let totals = put(totals_item(order, refund.through));
        let totals_put = match refund.through.count.saturating_sub(1) {
            0 => totals.condition_expression("attribute_not_exists(pk)"),
            before => totals
                .condition_expression("refund_count = :before")
                .expression_attribute_values(":before", AttributeValue::N(before.to_string())),
        };
        let mut call = self.client.transact_write_items();
        for put in [refund_put, totals_put] {
            let put = put.build().map_err(|error| PortError {
                source: Some(Box::new(error)),
                ..PortError::new(REFUND, Cause::Rejected, Certainty::Determinate)
            })?;
            call = call.transact_items(TransactWriteItem::builder().put(put).build());
        }
        let Err(error) = call.send().await else { return Ok(Refunded::Granted) };
        let lost = match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(lost)) => lost.cancellation_reasons(),
            _ => return Err(classify(REFUND, error)),
        };
        match lost_condition(lost) {
            Some(refunded) => Ok(refunded),
            None => Err(classify(REFUND, error)),
        }
    }
}

/// What a cancelled transaction says of the refund. `None` when it was cancelled for another reason than a condition.
fn lost_condition(reasons: &[CancellationReason]) -> Option<Refunded> {
    let is_lost = |reason: &CancellationReason| reason.code() == Some(CONDITION_LOST);
    if let Some(reason) = reasons.first().filter(|reason| is_lost(reason)) {
        let kept = reason.item().and_then(read_refund);
        // A service that does not bring the old item makes the caller read it.
        return Some(kept.map_or(Refunded::Moved, |kept| Refunded::Kept(Box::new(kept))));
    }
    // Another refund of the same order is being written at this moment, or was.
    let has_moved = |reason: &CancellationReason| is_lost(reason) || reason.code() == Some("TransactionConflict");
    reasons.iter().any(has_moved).then_some(Refunded::Moved)
}

#[cfg(test)]
mod tests {
    use domain::{EventId, SourceName};

    use super::super::super::stub::{Answer, Script};
    use super::*;
    use crate::error::Disposition;

    fn refund() -> Refund {
        let charged = Money::new(230, Currency::EUR).unwrap();
        let by = Origin { source: SourceName::new("s").unwrap(), event_id: EventId::new("n").unwrap() };
        let through = RefundTotals { count: 2, priced_minor: 330, charged_minor: 330 };
        let id = RefundId::new("r-1").unwrap();
        Refund { id, asked: charged, priced: charged, charged, through, at: UnixMillis::EPOCH, by }
    }

    /// A refusal of the transaction with a reason for each part.
    fn cancelled(reasons: serde_json::Value) -> Answer {
        let kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
        Answer::Text(400, serde_json::json!({"__type": kind, "CancellationReasons": reasons}).to_string())
    }

    async fn refunded(script: &Script) -> Result<Refunded, PortError> {
        let orders = DynamoOrders::new(&script.dynamodb(), "orders".to_owned());
        orders.refund(&OrderId::new("A-1").unwrap(), &refund()).await
    }

    #[tokio::test]
    async fn a_refund_and_its_counter_are_one_transaction_of_two_conditional_puts() {
        let script = Script::new([Answer::Text(200, "{}".to_owned())]);
        assert_eq!(refunded(&script).await.unwrap(), Refunded::Granted);
        let asked = script.asked();
        let puts = asked[0].1["TransactItems"].as_array().unwrap();
        let conditions: Vec<_> = puts.iter().map(|put| put["Put"]["ConditionExpression"].as_str().unwrap()).collect();
        assert_eq!((asked.len(), asked[0].0.as_str()), (1, "TransactWriteItems"));
        assert_eq!(conditions, ["attribute_not_exists(pk)", "refund_count = :before"]);
        assert_eq!(puts[1]["Put"]["ExpressionAttributeValues"][":before"]["N"], "1");
    }

    #[tokio::test]
    async fn a_lost_condition_or_a_conflict_is_an_outcome() {
        let lost = serde_json::json!({"Code": "ConditionalCheckFailed"});
        let conflict = serde_json::json!({"Code": "TransactionConflict"});
        let none = serde_json::json!({"Code": "None"});
        for reasons in [[&lost, &none], [&lost, &lost], [&none, &lost], [&none, &conflict], [&conflict, &none]] {
            let script = Script::new([cancelled(serde_json::json!(reasons))]);
            assert_eq!(refunded(&script).await.unwrap(), Refunded::Moved, "{reasons:?}");
        }
        let item = serde_json::json!({"sk": {"S": "refund#r-1"}, "at": {"N": "0"}, "by": {"S": "s#n"},
            "asked_minor": {"N": "230"}, "asked_currency": {"S": "EUR"}, "priced_minor": {"N": "230"},
            "priced_currency": {"S": "EUR"}, "charged_minor": {"N": "230"}, "charged_currency": {"S": "EUR"},
            "refund_count": {"N": "2"}, "priced_through_minor": {"N": "330"}, "charged_through_minor": {"N": "330"}});
        let kept = serde_json::json!([{"Code": "ConditionalCheckFailed", "Item": item}, {"Code": "None"}]);
        let script = Script::new([cancelled(kept)]);
        assert_eq!(refunded(&script).await.unwrap(), Refunded::Kept(Box::new(refund())));
    }

    #[tokio::test]
    async fn every_other_end_of_a_transaction_is_found_out_under_its_id() {
        let throttled = serde_json::json!([{"Code": "ThrottlingError"}, {"Code": "None"}]);
        for answer in [cancelled(throttled), Answer::Lost, Answer::Text(500, String::new())] {
            let error = refunded(&Script::new([answer.clone()])).await.unwrap_err();
            assert_eq!(error.disposition(), Disposition::Reconcile, "{answer:?}");
        }
    }
}
