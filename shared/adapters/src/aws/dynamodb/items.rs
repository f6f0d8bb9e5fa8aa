//! Reading items: pages of a query, and what of an item is a fact.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::id::InvalidText;
use domain::{Currency, MessageId, Money, UnixMillis};

use super::super::error::classify;
use super::cell::{Item, number, string};
use crate::error::PortError;

/// Pages of one query. A page is 1 MB, and no order or trade has items of half of that.
const PAGES_MAX: usize = 16;

/// Every item under one partition key, by consistent reads.
pub(super) async fn query(
    client: &Client,
    operation: &'static str,
    table: &str,
    pk: &str,
) -> Result<Vec<Item>, PortError> {
    let of_partition = client
        .query()
        .table_name(table)
        .key_condition_expression("pk = :pk")
        .expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()))
        .consistent_read(true);
    pages(operation, of_partition).await
}

/// Every item that a query finds.
pub(super) async fn pages(operation: &'static str, query: QueryFluentBuilder) -> Result<Vec<Item>, PortError> {
    let mut items = Vec::new();
    let mut after: Option<Item> = None;
    for _ in 0..PAGES_MAX {
        let call = query.clone().set_exclusive_start_key(after);
        let page = call.send().await.map_err(|error| classify(operation, error))?;
        after = page.last_evaluated_key;
        items.extend(page.items.unwrap_or_default());
        if after.is_none() {
            return Ok(items);
        }
    }
    Err(PortError::unreadable(operation))
}

/// Items of a whole table, up to about `items_max`.
pub(super) async fn items(
    client: &Client,
    operation: &'static str,
    table: &str,
    items_max: usize,
) -> Result<Vec<Item>, PortError> {
    let mut items = Vec::new();
    let mut after: Option<Item> = None;
    loop {
        let call = client.scan().table_name(table).set_exclusive_start_key(after);
        let page = call.send().await.map_err(|error| classify(operation, error))?;
        items.extend(page.items.unwrap_or_default());
        after = page.last_evaluated_key;
        if after.is_none() || items.len() >= items_max {
            return Ok(items);
        }
    }
}

/// A string attribute that must be there.
pub(super) fn text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name).and_then(string)
}

/// A time attribute, where the fact is there.
pub(super) fn time(item: &Item, name: &str) -> Option<UnixMillis> {
    item.get(name).and_then(number)
}

/// A whole number.
pub(super) fn integer<T: std::str::FromStr>(item: &Item, name: &str) -> Option<T> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

/// An amount: its minor units and its currency.
pub(super) fn money(item: &Item, minor: &str, currency: &str) -> Option<Money> {
    Money::new(integer(item, minor)?, Currency::from_code(text(item, currency)?).ok()?).ok()
}

/// A checked text of an attribute.
pub(super) fn checked<T>(item: &Item, name: &str, new: fn(String) -> Result<T, InvalidText>) -> Option<T> {
    text(item, name).and_then(|text| new(text.to_owned()).ok())
}

/// The marketplace's message of a fact.
pub(super) fn message_id(item: &Item, name: &str) -> Option<MessageId> {
    checked(item, name, MessageId::try_from)
}
