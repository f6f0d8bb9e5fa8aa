//! Products in the images table: one item `#product` beside the pictures of each, and the sparse index `by_pending`,
//! which has those that wait to be swept.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use domain::{ListingDigest, Marketplace, Outcome, Position, ProductKey, ShopId, UnixMillis};

use super::super::error::classify;
use super::attributes::{Item, checked, moment, text, time};
use super::cell::{Address, Cell, take_one};
use super::items::{item_key, of_each};
use crate::error::PortError;
use crate::ports::{Products, SweptProduct};

/// The sort key of a product's own item. A position has no `#`, so no picture has it.
pub(super) const PRODUCT: &str = "#product";
/// The sparse index of products that wait.
const BY_PENDING: &str = "by_pending";
/// Its hash key, `marketplace#shop`; only a product that waits has it.
const PENDING: &str = "pending";
/// Its range key.
const CHANGED_AT: &str = "changed_at";
const LISTED: &str = "listed";
/// A set of texts: the pictures that were ever asked for. A few dozen, of the 10,000 that an item could hold.
const ASKED: &str = "asked";

const CHANGED: &str = "products.changed";
const READ_PENDING: &str = "products.pending";
const LISTINGS: &str = "products.listings";
const ASK: &str = "products.asked";
const SWEPT: &str = "products.swept";

/// The products of the images table.
#[derive(Debug, Clone)]
pub struct DynamoProducts {
    client: Client,
    table: String,
}

fn queue_of(marketplace: Marketplace, shop: &ShopId) -> String {
    format!("{}#{shop}", marketplace.as_str())
}

/// A product that waits, as the index has it. `None` when it does not read as we wrote it.
fn read_pending(item: &Item) -> Option<(ProductKey, UnixMillis)> {
    Some((text(item, "pk")?.parse().ok()?, time(item, CHANGED_AT)?))
}

/// The pictures that an item says were asked for. `None` when it does not read as we wrote it.
fn read_asked(item: &Item) -> Option<BTreeSet<Position>> {
    let Some(asked) = item.get(ASKED) else { return Some(BTreeSet::new()) };
    asked.as_ss().ok()?.iter().map(|position| Position::new(position.as_str()).ok()).collect()
}

impl DynamoProducts {
    /// The table of that name.
    pub fn new(client: &Client, table: String) -> Self {
        Self { client: client.clone(), table }
    }

    fn update(&self, product: &ProductKey) -> UpdateItemFluentBuilder {
        self.client.update_item().table_name(&self.table).set_key(Some(item_key(product.to_string(), PRODUCT)))
    }

    /// Takes the product out of the index, unless a later report came. `false` when one did, and nothing was written.
    async fn settle(
        &self,
        product: &ProductKey,
        listed: Option<&ListingDigest>,
        changed_at: UnixMillis,
    ) -> Result<bool, PortError> {
        let update = match listed {
            Some(listed) => self
                .update(product)
                .update_expression("SET listed = :listed REMOVE pending")
                .expression_attribute_values(":listed", AttributeValue::S(listed.to_string())),
            None => self.update(product).update_expression("REMOVE pending"),
        };
        let update = update
            .condition_expression("attribute_not_exists(changed_at) OR changed_at <= :changed_at")
            .expression_attribute_values(":changed_at", moment(changed_at));
        match update.send().await {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(false),
                _ => Err(classify(SWEPT, error)),
            },
        }
    }
}

impl Products for DynamoProducts {
    async fn changed(&self, product: &ProductKey, at: UnixMillis) -> Result<Outcome, PortError> {
        let pk = product.to_string();
        let address = Address { table: &self.table, pk: &pk, sk: PRODUCT };
        let cell = Cell::greatest(vec![(CHANGED_AT, moment(at))]);
        let constants = [(PENDING, queue_of(product.marketplace, &product.shop))];
        take_one(&self.client, CHANGED, address, cell, &constants).await
    }

    async fn pending(
        &self,
        marketplace: Marketplace,
        shop: &ShopId,
        products_max: usize,
    ) -> Result<Vec<(ProductKey, UnixMillis)>, PortError> {
        let waiting = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(BY_PENDING)
            .key_condition_expression("pending = :pending")
            .expression_attribute_values(":pending", AttributeValue::S(queue_of(marketplace, shop)));
        let mut found = Vec::new();
        let mut after: Option<Item> = None;
        while found.len() < products_max {
            let left = i32::try_from(products_max.saturating_sub(found.len())).unwrap_or(i32::MAX);
            let call = waiting.clone().limit(left).set_exclusive_start_key(after);
            let page = call.send().await.map_err(|error| classify(READ_PENDING, error))?;
            let read = page.items().iter().map(read_pending).collect::<Option<Vec<_>>>();
            found.extend(read.ok_or(PortError::unreadable(READ_PENDING))?);
            after = page.last_evaluated_key;
            if after.is_none() {
                break;
            }
        }
        Ok(found)
    }

    async fn listings(&self, products: &[ProductKey]) -> Result<BTreeMap<ProductKey, ListingDigest>, PortError> {
        let wanted = Some("pk, listed");
        let found = of_each(&self.client, LISTINGS, &self.table, (products, PRODUCT), wanted).await?.into_iter();
        // One that was reported and never swept has an item and no digest.
        let listed = found.filter(|(_, item)| item.contains_key(LISTED));
        let listed = listed.map(|(product, item)| Some((product, checked(&item, LISTED, ListingDigest::try_from)?)));
        listed.collect::<Option<_>>().ok_or(PortError::unreadable(LISTINGS))
    }

    async fn asked(
        &self,
        product: &ProductKey,
        positions: &BTreeSet<Position>,
    ) -> Result<BTreeSet<Position>, PortError> {
        // A set of nothing cannot be added.
        let item = if positions.is_empty() {
            let key = item_key(product.to_string(), PRODUCT);
            let call = self.client.get_item().table_name(&self.table).set_key(Some(key)).consistent_read(true);
            let call = call.projection_expression(ASKED);
            call.send().await.map_err(|error| classify(ASK, error))?.item
        } else {
            let asked = positions.iter().map(ToString::to_string).collect();
            let update = self.update(product).update_expression("ADD asked :asked");
            let update = update.expression_attribute_values(":asked", AttributeValue::Ss(asked));
            let update = update.return_values(ReturnValue::AllNew);
            update.send().await.map_err(|error| classify(ASK, error))?.attributes
        };
        read_asked(&item.unwrap_or_default()).ok_or(PortError::unreadable(ASK))
    }

    async fn swept(&self, product: &ProductKey, swept: &SweptProduct) -> Result<(), PortError> {
        if let Some(changed_at) = swept.changed_at
            && self.settle(product, swept.listed.as_ref(), changed_at).await?
        {
            return Ok(());
        }
        // It still waits, or was not waited for: what the list said holds all the same.
        let Some(listed) = &swept.listed else { return Ok(()) };
        let update = self.update(product).update_expression("SET listed = :listed");
        let update = update.expression_attribute_values(":listed", AttributeValue::S(listed.to_string()));
        update.send().await.map(drop).map_err(|error| classify(SWEPT, error))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::stub::{Answer, Script};
    use super::*;

    fn product() -> ProductKey {
        "1688#demo#548818919805".parse().unwrap()
    }

    fn at(millis: i64) -> UnixMillis {
        UnixMillis::new(millis).unwrap()
    }

    fn done() -> Answer {
        Answer::Text(200, "{}".to_owned())
    }

    fn swept(listed: Option<&str>, changed_at: Option<i64>) -> SweptProduct {
        let listed = listed.map(|listed| ListingDigest::new(listed).unwrap());
        SweptProduct { listed, changed_at: changed_at.map(at) }
    }

    fn store(script: &Script) -> DynamoProducts {
        DynamoProducts::new(&script.dynamodb(), "images".to_owned())
    }

    #[tokio::test]
    async fn a_report_is_one_conditional_write_that_makes_the_product_wait() {
        let script = Script::new([done()]);
        assert_eq!(store(&script).changed(&product(), at(5)).await.unwrap(), Outcome::Applied);
        let asked = script.asked();
        assert_eq!((asked.len(), asked[0].0.as_str()), (1, "UpdateItem"));
        assert_eq!(asked[0].1["Key"]["sk"]["S"], "#product");
        assert_eq!(
            asked[0].1["ConditionExpression"],
            "(attribute_not_exists(#changed_at) OR #changed_at < :changed_at)"
        );
        assert_eq!(asked[0].1["ExpressionAttributeValues"][":pending"]["S"], "1688#demo");
    }

    #[tokio::test]
    async fn the_end_of_a_sweep_is_one_write_unless_a_later_report_came() {
        let kind = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException";
        let lost = || Answer::Text(400, serde_json::json!({"__type": kind, "message": "m"}).to_string());
        let both = "SET listed = :listed REMOVE pending";
        for (swept, answers, written) in [
            (swept(Some("a"), Some(5)), vec![done()], vec![both]),
            (swept(None, Some(5)), vec![done()], vec!["REMOVE pending"]),
            (swept(Some("a"), None), vec![done()], vec!["SET listed = :listed"]),
            (swept(Some("a"), Some(5)), vec![lost(), done()], vec![both, "SET listed = :listed"]),
            (swept(None, Some(5)), vec![lost()], vec!["REMOVE pending"]),
            (swept(None, None), vec![], vec![]),
        ] {
            let script = Script::new(answers);
            store(&script).swept(&product(), &swept).await.unwrap();
            let asked = script.asked();
            let found: Vec<&str> = asked.iter().map(|(_, body)| body["UpdateExpression"].as_str().unwrap()).collect();
            assert_eq!(found, written, "{swept:?}");
        }
    }

    #[tokio::test]
    async fn what_is_asked_for_is_one_write_that_tells_what_ever_was() {
        let known = serde_json::json!({"asked": {"SS": ["main-2", "main-1"]}});
        let answer = |name: &str| Answer::Text(200, serde_json::json!({name: known}).to_string());
        let positions =
            |names: &[&str]| -> BTreeSet<Position> { names.iter().map(|name| Position::new(*name).unwrap()).collect() };
        let script = Script::new([answer("Attributes"), answer("Item"), done()]);
        let store = store(&script);
        let ever = positions(&["main-1", "main-2"]);
        assert_eq!(store.asked(&product(), &positions(&["main-1"])).await.unwrap(), ever);
        assert_eq!(store.asked(&product(), &positions(&[])).await.unwrap(), ever);
        assert_eq!(store.asked(&product(), &positions(&[])).await.unwrap(), positions(&[]));
        let asked = script.asked();
        assert_eq!(
            asked.iter().map(|(verb, _)| verb.as_str()).collect::<Vec<_>>(),
            ["UpdateItem", "GetItem", "GetItem"]
        );
        assert_eq!(asked[0].1["ExpressionAttributeValues"][":asked"]["SS"], serde_json::json!(["main-1"]));
    }

    #[tokio::test]
    async fn no_more_are_read_than_are_wanted() {
        let page = |number: u32, is_last: bool| {
            let key = serde_json::json!({"pk": {"S": format!("1688#demo#{number}")}, "sk": {"S": "#product"},
                "pending": {"S": "1688#demo"}, "changed_at": {"N": number.to_string()}});
            let mut page = serde_json::json!({ "Items": [key] });
            if !is_last {
                page["LastEvaluatedKey"] = key;
            }
            Answer::Text(200, page.to_string())
        };
        for (products_max, calls) in [(0, 0), (1, 1), (2, 2), (3, 3), (9, 3)] {
            let script = Script::new([page(1, false), page(2, false), page(3, true)]);
            let shop = ShopId::new("demo").unwrap();
            let found = store(&script).pending(Marketplace::Alibaba1688, &shop, products_max).await.unwrap();
            assert_eq!((found.len(), script.asked().len()), (calls, calls), "{products_max}");
        }
    }
}
