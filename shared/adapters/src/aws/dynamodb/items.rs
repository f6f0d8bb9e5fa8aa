//! Reading items: pages of a query, of a table, and batches.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};

use super::super::error::classify;
use super::attributes::{Item, string, text};
use crate::error::{Cause, Certainty, PortError};

/// Pages of one query. A page is 1 MB, and no order or trade has items of half of that.
const PAGES_MAX: usize = 16;
/// Keys in one batch read. Source: DynamoDB BatchGetItem.
const BATCH_KEYS_MAX: usize = 100;
/// Times that keys which a batch read left out are asked for again.
const LEFT_OUT_ROUNDS_MAX: u32 = 5;
/// The first wait before asking again, in milliseconds; it doubles.
const LEFT_OUT_WAIT_MS: u64 = 25;

/// The key of an item.
pub(super) fn item_key(pk: String, sk: &str) -> Item {
    HashMap::from([string("pk", pk), string("sk", sk)])
}

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

/// Every item of a table.
pub(super) async fn items(client: &Client, operation: &'static str, table: &str) -> Result<Vec<Item>, PortError> {
    let mut items = Vec::new();
    let mut after: Option<Item> = None;
    loop {
        let call = client.scan().table_name(table).set_exclusive_start_key(after);
        let page = call.send().await.map_err(|error| classify(operation, error))?;
        items.extend(page.items.unwrap_or_default());
        after = page.last_evaluated_key;
        if after.is_none() {
            return Ok(items);
        }
    }
}

/// The item under one sort key of each of many partition keys, as far as they have it, by consistent batch reads; only
/// these attributes, where they are named.
pub(super) async fn of_each<K: Ord + Display + FromStr>(
    client: &Client,
    operation: &'static str,
    table: &str,
    (keys, sk): (&[K], &str),
    attributes: Option<&str>,
) -> Result<Vec<(K, Item)>, PortError> {
    let mut found = Vec::new();
    // A batch read refuses a key that is asked for twice.
    let distinct: Vec<&K> = keys.iter().collect::<BTreeSet<_>>().into_iter().collect();
    for keys in distinct.chunks(BATCH_KEYS_MAX) {
        let keys = keys.iter().map(|key| item_key(key.to_string(), sk)).collect();
        let wanted = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true);
        let wanted = wanted
            .set_projection_expression(attributes.map(str::to_owned))
            .build()
            .map_err(|error| PortError { source: Some(Box::new(error)), ..PortError::unreadable(operation) })?;
        for item in batch(client, operation, HashMap::from([(table.to_owned(), wanted)])).await? {
            let key = text(&item, "pk").and_then(|pk| pk.parse().ok());
            found.push((key.ok_or(PortError::unreadable(operation))?, item));
        }
    }
    Ok(found)
}

/// One batch read, and again for what it left out.
async fn batch(
    client: &Client,
    operation: &'static str,
    mut pending: HashMap<String, KeysAndAttributes>,
) -> Result<Vec<Item>, PortError> {
    let mut items = Vec::new();
    for round in 0..LEFT_OUT_ROUNDS_MAX {
        if let Some(waited) = round.checked_sub(1) {
            tokio::time::sleep(Duration::from_millis(LEFT_OUT_WAIT_MS << waited)).await;
        }
        let call = client.batch_get_item().set_request_items(Some(pending));
        let answer = call.send().await.map_err(|error| classify(operation, error))?;
        items.extend(answer.responses.unwrap_or_default().into_values().flatten());
        pending = answer.unprocessed_keys.unwrap_or_default();
        if pending.is_empty() {
            return Ok(items);
        }
    }
    Err(PortError::new(operation, Cause::Throttled, Certainty::Determinate))
}
