//! A fact in an item: a time, what stands beside it, and a rule which of two reports is kept.
//!
//! The rule stands in the condition of one `UpdateItem`, so that taking a report in needs no read before
//! it and no lock. A lost condition brings the item as it was, which tells what became of the report.

use std::cmp::Ordering;
#[cfg(test)]
use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use domain::{Outcome, UnixMillis};

use super::super::error::classify;
use super::attributes::{Item, moment};
use crate::error::{Cause, Certainty, PortError};

/// How often a write is tried again because others wrote in between. Each loss means that somebody's
/// better report came in, so that more than a few mean that something is wrong.
const ROUNDS_MAX: usize = 8;

/// Which of two reports is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    /// The smallest of what decides, in turn.
    Earliest,
    /// The greatest of what decides, in turn.
    Latest,
}

/// One report, as it is kept: what decides which one is kept, in turn, of which the first tells whether there is one;
/// and what it carries beside that, which is set with the report and has no say. An attribute is called
/// `<attribute>_<name>`, as an item may have facts of many names, or by itself where the fact has no name.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    name: Option<String>,
    keep: Keep,
    decisive: Vec<(&'static str, AttributeValue)>,
    carried: Vec<(&'static str, AttributeValue)>,
}

/// Where an item is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Address<'a> {
    pub(super) table: &'a str,
    pub(super) pk: &'a str,
    pub(super) sk: &'a str,
}

impl Cell {
    /// A report of which the earliest is kept.
    pub(super) fn earliest(name: impl Into<String>, at: UnixMillis, texts: Vec<(&'static str, String)>) -> Self {
        Self { keep: Keep::Earliest, ..Self::latest(name, at, texts) }
    }

    /// A report of which the latest is kept.
    pub(super) fn latest(name: impl Into<String>, at: UnixMillis, texts: Vec<(&'static str, String)>) -> Self {
        let texts = texts.into_iter().map(|(text, value)| (text, AttributeValue::S(value)));
        let decisive = std::iter::once(("at", moment(at))).chain(texts).collect();
        Self { name: Some(name.into()), ..Self::greatest(decisive) }
    }

    /// A report without a name, of which the greatest is kept, by numbers and texts in turn.
    pub(super) fn greatest(decisive: Vec<(&'static str, AttributeValue)>) -> Self {
        Self { name: None, keep: Keep::Latest, decisive, carried: Vec::new() }
    }

    /// The report with what it carries. Every report of a name carries the same, so that nothing of another is left.
    pub(super) fn carrying(self, carried: Vec<(&'static str, AttributeValue)>) -> Self {
        Self { carried, ..self }
    }

    fn attribute(&self, attribute: &str) -> String {
        self.name.as_ref().map_or_else(|| attribute.to_owned(), |name| format!("{attribute}_{name}"))
    }

    fn decisive(&self) -> impl Iterator<Item = (String, AttributeValue)> + '_ {
        self.decisive.iter().map(|(name, value)| (self.attribute(name), value.clone()))
    }

    /// All that is written: what decides and what is carried.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (String, AttributeValue)> + '_ {
        let carried = self.carried.iter().map(|(name, value)| (self.attribute(name), value.clone()));
        self.decisive().chain(carried)
    }

    /// Holds when the item has no such fact, or one that this is preferred to.
    fn condition(&self) -> String {
        let sign = match self.keep {
            Keep::Earliest => '>',
            Keep::Latest => '<',
        };
        let names: Vec<String> = self.decisive().map(|(name, _)| name).collect();
        let is_better = names.iter().rev().fold(String::new(), |rest, name| match rest.is_empty() {
            true => format!("#{name} {sign} :{name}"),
            false => format!("(#{name} {sign} :{name} OR (#{name} = :{name} AND {rest}))"),
        });
        let first = names.first().map(String::as_str).unwrap_or_default();
        format!("(attribute_not_exists(#{first}) OR {is_better})")
    }

    /// What this report becomes beside the item as it is.
    fn compare(&self, item: &Item) -> Outcome {
        let mut orders = self.decisive().map(|(name, ours)| {
            let kept = item.get(&name);
            (kept.is_some(), ranked(Some(&ours)).cmp(&ranked(kept)))
        });
        let Some((true, first)) = orders.next() else { return Outcome::Applied };
        let order = orders.fold(first, |order, (_, next)| order.then(next));
        match (order, self.keep) {
            (Ordering::Equal, _) => Outcome::Duplicate,
            (Ordering::Less, Keep::Earliest) | (Ordering::Greater, Keep::Latest) => Outcome::Applied,
            (Ordering::Greater, Keep::Earliest) | (Ordering::Less, Keep::Latest) => Outcome::Stale,
        }
    }
}

/// A value as it is compared: a number by its size, a text by its bytes, and what is missing before all.
fn ranked(value: Option<&AttributeValue>) -> (Option<u64>, Option<&str>) {
    let whole = |value: &AttributeValue| value.as_n().ok()?.parse().ok();
    (value.and_then(whole), value.and_then(|value| value.as_s().ok()).map(String::as_str))
}

/// Takes reports of one item in. One conditional write holds them all; when its condition is lost, the
/// ones that lost are dropped and the rest is written by itself. `constants` are set with them.
pub(super) async fn take_in(
    client: &Client,
    operation: &'static str,
    address: Address<'_>,
    cells: Vec<Cell>,
    constants: &[(&'static str, String)],
) -> Result<Vec<Outcome>, PortError> {
    let mut outcomes = vec![Outcome::Applied; cells.len()];
    let mut pending: Vec<(usize, Cell)> = cells.into_iter().enumerate().collect();
    for _ in 0..ROUNDS_MAX {
        let Some(item) = write(client, operation, address, &pending, constants).await? else { return Ok(outcomes) };
        pending.retain(|(index, cell)| {
            let outcome = cell.compare(&item);
            if let Some(slot) = outcomes.get_mut(*index) {
                *slot = outcome;
            }
            outcome == Outcome::Applied
        });
        if pending.is_empty() {
            return Ok(outcomes);
        }
    }
    Err(PortError::new(operation, Cause::Contended, Certainty::Determinate))
}

/// The same of one report.
pub(super) async fn take_one(
    client: &Client,
    operation: &'static str,
    address: Address<'_>,
    cell: Cell,
    constants: &[(&'static str, String)],
) -> Result<Outcome, PortError> {
    let outcomes = take_in(client, operation, address, vec![cell], constants).await?;
    outcomes.first().copied().ok_or(PortError::unreadable(operation))
}

/// One conditional write. `None` when it was done; the item as it is when its condition was lost.
async fn write(
    client: &Client,
    operation: &'static str,
    address: Address<'_>,
    cells: &[(usize, Cell)],
    constants: &[(&'static str, String)],
) -> Result<Option<Item>, PortError> {
    let constants = constants.iter().map(|(name, value)| ((*name).to_owned(), AttributeValue::S(value.clone())));
    let values: Vec<_> = cells.iter().flat_map(|(_, cell)| cell.attributes()).chain(constants).collect();
    // Behind a `#`, because some names are words of DynamoDB's own.
    let sets: Vec<String> = values.iter().map(|(name, _)| format!("#{name} = :{name}")).collect();
    let names = values.iter().map(|(name, _)| (format!("#{name}"), name.clone())).collect();
    let conditions: Vec<String> = cells.iter().map(|(_, cell)| cell.condition()).collect();
    let answer = client
        .update_item()
        .table_name(address.table)
        .key("pk", AttributeValue::S(address.pk.to_owned()))
        .key("sk", AttributeValue::S(address.sk.to_owned()))
        .update_expression(format!("SET {}", sets.join(", ")))
        .condition_expression(conditions.join(" AND "))
        .set_expression_attribute_names(Some(names))
        .set_expression_attribute_values(Some(
            values.into_iter().map(|(name, value)| (format!(":{name}"), value)).collect(),
        ))
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .send()
        .await;
    match answer {
        Ok(_) => Ok(None),
        Err(error) => match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(lost)) => {
                Ok(Some(lost.item().cloned().unwrap_or_default()))
            }
            _ => Err(classify(operation, error)),
        },
    }
}

/// The bytes of an item that holds these cells. Source: DynamoDB developer guide, "DynamoDB item sizes and
/// formats": names and strings by their UTF-8 bytes, a number by half its digits and one, at most two more.
#[cfg(test)]
pub(super) fn item_bytes(address: Address<'_>, cells: &[Cell]) -> usize {
    let value = |value: &AttributeValue| match (value.as_n(), value.as_b()) {
        (Ok(digits), _) => digits.len().div_ceil(2) + 2,
        (_, Ok(bytes)) => bytes.as_ref().len(),
        (Err(text), Err(_)) => text.as_s().unwrap().len(),
    };
    let attributes = cells.iter().flat_map(Cell::attributes).map(|(name, of)| name.len() + value(&of));
    "pk".len() + address.pk.len() + "sk".len() + address.sk.len() + attributes.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::super::super::stub::{Answer, Script};
    use super::*;
    use crate::error::Disposition;

    fn cell(keep: Keep) -> Cell {
        let texts = vec![("id", "m".to_owned()), ("raw", "r".to_owned())];
        Cell { keep, ..Cell::latest("shipped", UnixMillis::new(5).unwrap(), texts) }
    }

    #[test]
    fn the_condition_orders_by_time_and_then_by_each_text() {
        assert_eq!(
            cell(Keep::Latest).condition(),
            "(attribute_not_exists(#at_shipped) OR (#at_shipped < :at_shipped OR (#at_shipped = :at_shipped AND \
             (#id_shipped < :id_shipped OR (#id_shipped = :id_shipped AND #raw_shipped < :raw_shipped)))))"
        );
    }

    #[test]
    fn comparing_follows_the_condition() {
        let item = |at: &str, id: &str| {
            HashMap::from([
                ("at_shipped".to_owned(), AttributeValue::N(at.to_owned())),
                ("id_shipped".to_owned(), AttributeValue::S(id.to_owned())),
                ("raw_shipped".to_owned(), AttributeValue::S("r".to_owned())),
            ])
        };
        for (at, id, latest, earliest) in [
            ("4", "z", Outcome::Applied, Outcome::Stale),
            ("5", "a", Outcome::Applied, Outcome::Stale),
            ("5", "m", Outcome::Duplicate, Outcome::Duplicate),
            ("5", "z", Outcome::Stale, Outcome::Applied),
            ("6", "a", Outcome::Stale, Outcome::Applied),
        ] {
            assert_eq!(cell(Keep::Latest).compare(&item(at, id)), latest, "{at} {id}");
            assert_eq!(cell(Keep::Earliest).compare(&item(at, id)), earliest, "{at} {id}");
        }
        assert_eq!(cell(Keep::Latest).compare(&HashMap::new()), Outcome::Applied);
    }

    #[test]
    fn numbers_are_compared_by_their_size_and_a_missing_text_comes_first() {
        let number = |number: &str| AttributeValue::N(number.to_owned());
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let cell = Cell::greatest(vec![("width", number("90")), ("url", text("b"))]);
        assert_eq!(
            cell.condition(),
            "(attribute_not_exists(#width) OR (#width < :width OR (#width = :width AND #url < :url)))"
        );
        let item = |width: &str, url: Option<&str>| {
            let url = url.map(|url| ("url".to_owned(), text(url)));
            url.into_iter().chain([("width".to_owned(), number(width))]).collect()
        };
        for (width, url, outcome) in [
            ("800", Some("a"), Outcome::Stale),
            ("9", Some("z"), Outcome::Applied),
            ("90", Some("a"), Outcome::Applied),
            ("90", None, Outcome::Applied),
            ("90", Some("b"), Outcome::Duplicate),
            ("90", Some("c"), Outcome::Stale),
        ] {
            assert_eq!(cell.compare(&item(width, url)), outcome, "{width} {url:?}");
        }
    }

    const ADDRESS: Address<'_> = Address { table: "trades", pk: "1688#demo#1", sk: "status" };

    async fn taken_in(script: &Script, cells: Vec<Cell>) -> Result<Vec<Outcome>, PortError> {
        take_in(&script.dynamodb(), "trades.report", ADDRESS, cells, &[]).await
    }

    fn refused(code: &str, item: serde_json::Value) -> Answer {
        let kind = format!("com.amazonaws.dynamodb.v20120810#{code}");
        Answer::Text(400, serde_json::json!({"__type": kind, "message": "m", "Item": item}).to_string())
    }

    fn done() -> Answer {
        Answer::Text(200, "{}".to_owned())
    }

    #[tokio::test]
    async fn reports_of_one_item_are_one_conditional_write_and_no_read() {
        let script = Script::new([done()]);
        let cells = vec![cell(Keep::Latest), Cell { name: Some("signed".to_owned()), ..cell(Keep::Latest) }];
        assert_eq!(taken_in(&script, cells).await.unwrap(), [Outcome::Applied; 2]);
        let asked = script.asked();
        assert_eq!(asked.len(), 1);
        assert_eq!(asked[0].0, "UpdateItem");
        let condition = asked[0].1["ConditionExpression"].as_str().unwrap();
        assert!(condition.contains("at_shipped <") && condition.contains("at_signed <"), "{condition}");
    }

    #[tokio::test]
    async fn a_lost_condition_drops_what_lost_and_writes_the_rest_by_itself() {
        let item = serde_json::json!({"at_shipped": {"N": "9"}, "id_shipped": {"S": "z"}, "raw_shipped": {"S": "r"}});
        let script = Script::new([refused("ConditionalCheckFailedException", item), done()]);
        let cells = vec![cell(Keep::Latest), Cell { name: Some("signed".to_owned()), ..cell(Keep::Latest) }];
        assert_eq!(taken_in(&script, cells).await.unwrap(), [Outcome::Stale, Outcome::Applied]);
        let asked = script.asked();
        assert_eq!(asked.len(), 2);
        let written = asked[1].1["UpdateExpression"].as_str().unwrap();
        assert!(!written.contains("shipped") && written.contains("at_signed"), "{written}");
    }

    #[tokio::test]
    async fn a_repeated_report_costs_one_call_and_is_a_duplicate() {
        let item = serde_json::json!({"at_shipped": {"N": "5"}, "id_shipped": {"S": "m"}, "raw_shipped": {"S": "r"}});
        let script = Script::new([refused("ConditionalCheckFailedException", item)]);
        assert_eq!(taken_in(&script, vec![cell(Keep::Latest)]).await.unwrap(), [Outcome::Duplicate]);
        assert_eq!(script.asked().len(), 1);
    }

    #[tokio::test]
    async fn what_a_report_carries_is_written_with_it_and_has_no_say() {
        let script = Script::new([done()]);
        let carrying = cell(Keep::Latest).carrying(vec![("body", AttributeValue::S("{}".to_owned()))]);
        assert_eq!(taken_in(&script, vec![carrying]).await.unwrap(), [Outcome::Applied]);
        let asked = &script.asked()[0].1;
        assert!(asked["UpdateExpression"].as_str().unwrap().contains("body_shipped = :body_shipped"));
        assert!(!asked["ConditionExpression"].as_str().unwrap().contains("body_shipped"));
    }

    #[tokio::test]
    async fn what_dynamodb_says_decides_what_the_caller_does() {
        for (answer, disposition) in [
            (refused("TransactionConflictException", serde_json::Value::Null), Disposition::Reconcile),
            (refused("ThrottlingException", serde_json::Value::Null), Disposition::Reconcile),
            (refused("ProvisionedThroughputExceededException", serde_json::Value::Null), Disposition::Reconcile),
            (refused("ValidationException", serde_json::Value::Null), Disposition::Reject),
            (refused("ResourceNotFoundException", serde_json::Value::Null), Disposition::Reject),
            (refused("InternalServerError", serde_json::Value::Null), Disposition::Reconcile),
            (Answer::Text(500, "<html>".to_owned()), Disposition::Reconcile),
            (Answer::Lost, Disposition::Reconcile),
        ] {
            let error = taken_in(&Script::new([answer.clone()]), vec![cell(Keep::Latest)]).await.unwrap_err();
            assert_eq!(error.disposition(), disposition, "{answer:?}");
        }
    }

    #[tokio::test]
    async fn a_report_that_others_always_overtake_is_handed_back() {
        // The item that comes back never explains the loss.
        let script = Script::new(vec![refused("ConditionalCheckFailedException", serde_json::json!({})); ROUNDS_MAX]);
        let error = taken_in(&script, vec![cell(Keep::Latest)]).await.unwrap_err();
        assert_eq!((error.disposition(), script.asked().len()), (Disposition::Retry, ROUNDS_MAX));
    }
}
