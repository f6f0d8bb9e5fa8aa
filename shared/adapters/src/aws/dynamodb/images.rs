//! The manifest in the images table: one item a picture, with two facts of their own attributes, what was fetched and
//! when it was last missing. Numbers are numbers; a validator that the host did not give is empty.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    Format, ImageDigest, ImageEntry, ImageKey, ImageRecord, ImageUrl, Original, Outcome, Position, ProductKey,
    UnixMillis, Validator, Validators,
};

use super::super::error::classify;
use super::attributes::{Item, checked, integer, moment, optional, text, time};
use super::cell::{Address, Cell, take_one};
use super::items::{item_key, query};
use super::products::PRODUCT;
use crate::error::PortError;
use crate::ports::Manifest;

const ASKED_AT: &str = "asked_at";
const FETCHED_AT: &str = "fetched_at";
const URL: &str = "url";
const DIGEST: &str = "digest";
const FORMAT: &str = "format";
const BYTES: &str = "bytes";
const WIDTH: &str = "width";
const HEIGHT: &str = "height";
const ETAG: &str = "etag";
const LAST_MODIFIED: &str = "last_modified";
const THUMBNAILS: &str = "thumbnails";
const REMOVED_AT: &str = "removed_at";

const READ: &str = "manifest.read";
const OF_PRODUCT: &str = "manifest.of_product";
const KEEP: &str = "manifest.keep";
const REMOVE: &str = "manifest.remove";
const LIST: &str = "manifest.list";

/// The manifest of the images table.
#[derive(Debug, Clone)]
pub struct DynamoManifest {
    client: Client,
    table: String,
}

/// A record: what decides which one is kept, in the order in which [`ImageRecord`] is compared.
fn record_cell(record: &ImageRecord) -> Cell {
    let ImageRecord { asked_at, fetched_at, url, original, validators, thumbnails } = record;
    let Original { digest, format, bytes, width, height } = original;
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let number = |number: u64| AttributeValue::N(number.to_string());
    let validator = |validator: &Option<Validator>| text(validator.as_ref().map_or("", Validator::as_str));
    Cell::greatest(vec![
        (ASKED_AT, moment(*asked_at)),
        (FETCHED_AT, moment(*fetched_at)),
        (URL, text(url.as_str())),
        (DIGEST, text(digest.as_str())),
        (FORMAT, text(format.extension())),
        (BYTES, number(*bytes)),
        (WIDTH, number(u64::from(*width))),
        (HEIGHT, number(u64::from(*height))),
        (ETAG, validator(&validators.etag)),
        (LAST_MODIFIED, validator(&validators.last_modified)),
        (THUMBNAILS, AttributeValue::S(sorted_sizes(thumbnails))),
    ])
}

/// Sizes as a text that sorts like their list: ten digits each, which every `u32` fits into.
fn sorted_sizes(sizes: &[u32]) -> String {
    let digits: Vec<String> = sizes.iter().map(|size| format!("{size:010}")).collect();
    digits.join(",")
}

fn read_sizes(text: &str) -> Option<Vec<u32>> {
    text.split(',').filter(|digits| !digits.is_empty()).map(|digits| digits.parse().ok()).collect()
}

/// A validator; of one that was not given, `Some(None)`.
fn read_validator(item: &Item, name: &str) -> Option<Option<Validator>> {
    match text(item, name)? {
        "" => Some(None),
        validator => Some(Some(Validator::new(validator).ok()?)),
    }
}

fn read_record(item: &Item) -> Option<ImageRecord> {
    let original = Original {
        digest: ImageDigest::new(text(item, DIGEST)?)?,
        format: Format::from_extension(text(item, FORMAT)?)?,
        bytes: integer(item, BYTES)?,
        width: integer(item, WIDTH)?,
        height: integer(item, HEIGHT)?,
    };
    Some(ImageRecord {
        asked_at: time(item, ASKED_AT)?,
        fetched_at: time(item, FETCHED_AT)?,
        url: checked(item, URL, ImageUrl::try_from)?,
        original,
        validators: Validators {
            etag: read_validator(item, ETAG)?,
            last_modified: read_validator(item, LAST_MODIFIED)?,
        },
        thumbnails: read_sizes(text(item, THUMBNAILS)?)?,
    })
}

/// What an item holds. `None` when it does not read as we wrote it.
fn read_entry(item: &Item) -> Option<ImageEntry> {
    let record = optional(item, ASKED_AT, |item, _| read_record(item))?;
    let removed_at = optional(item, REMOVED_AT, time)?;
    Some(ImageEntry { record, removed_at })
}

/// A picture with its key.
fn read_item(item: &Item) -> Option<(ImageKey, ImageEntry)> {
    let position = Position::new(text(item, "sk")?).ok()?;
    Some((ImageKey { product: text(item, "pk")?.parse().ok()?, position }, read_entry(item)?))
}

/// The pictures among items, of which the product's own is none.
fn read_items(operation: &'static str, items: &[Item]) -> Result<Vec<(ImageKey, ImageEntry)>, PortError> {
    let images = items.iter().filter(|item| text(item, "sk") != Some(PRODUCT));
    images.map(read_item).collect::<Option<_>>().ok_or(PortError::unreadable(operation))
}

impl DynamoManifest {
    /// The table of that name.
    pub fn new(client: &Client, table: String) -> Self {
        Self { client: client.clone(), table }
    }

    async fn take_in(&self, operation: &'static str, image: &ImageKey, cell: Cell) -> Result<Outcome, PortError> {
        let pk = image.product.to_string();
        let address = Address { table: &self.table, pk: &pk, sk: image.position.as_str() };
        take_one(&self.client, operation, address, cell, &[]).await
    }
}

fn key(image: &ImageKey) -> Item {
    item_key(image.product.to_string(), image.position.as_str())
}

impl Manifest for DynamoManifest {
    async fn read(&self, image: &ImageKey) -> Result<ImageEntry, PortError> {
        let call = self.client.get_item().table_name(&self.table).set_key(Some(key(image))).consistent_read(true);
        let answer = call.send().await.map_err(|error| classify(READ, error))?;
        read_entry(&answer.item.unwrap_or_default()).ok_or(PortError::unreadable(READ))
    }

    async fn of_product(&self, product: &ProductKey) -> Result<BTreeMap<Position, ImageEntry>, PortError> {
        let items = query(&self.client, OF_PRODUCT, &self.table, &product.to_string()).await?;
        let images = read_items(OF_PRODUCT, &items)?.into_iter();
        Ok(images.map(|(image, entry)| (image.position, entry)).collect())
    }

    async fn keep(&self, image: &ImageKey, record: &ImageRecord) -> Result<Outcome, PortError> {
        self.take_in(KEEP, image, record_cell(record)).await
    }

    async fn remove(&self, image: &ImageKey, seen_at: UnixMillis) -> Result<Outcome, PortError> {
        self.take_in(REMOVE, image, Cell::greatest(vec![(REMOVED_AT, moment(seen_at))])).await
    }

    async fn list(&self, after: Option<&ImageKey>) -> Result<Vec<(ImageKey, ImageEntry)>, PortError> {
        let mut after = after.map(key);
        loop {
            let call = self.client.scan().table_name(&self.table).set_exclusive_start_key(after);
            let page = call.send().await.map_err(|error| classify(LIST, error))?;
            let images = read_items(LIST, page.items())?;
            after = page.last_evaluated_key;
            // A page may hold nothing but products.
            if !images.is_empty() || after.is_none() {
                return Ok(images);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::{Marketplace, ProductId, ShopId, THUMBNAIL_SIZES};

    use super::super::super::stub::{Answer, Script};
    use super::super::cell::item_bytes;
    use super::*;
    use crate::error::Disposition;

    fn largest_record() -> ImageRecord {
        let longest = |bytes: usize| "x".repeat(bytes);
        let validator = || Some(Validator::new(longest(Validator::BYTES_MAX)).unwrap());
        ImageRecord {
            asked_at: UnixMillis::MAX,
            fetched_at: UnixMillis::MAX,
            url: ImageUrl::new(longest(ImageUrl::BYTES_MAX)).unwrap(),
            original: Original {
                digest: ImageDigest::new("0".repeat(64)).unwrap(),
                format: Format::Webp,
                bytes: u64::MAX,
                width: u32::MAX,
                height: u32::MAX,
            },
            validators: Validators { etag: validator(), last_modified: validator() },
            thumbnails: THUMBNAIL_SIZES.to_vec(),
        }
    }

    fn image() -> ImageKey {
        let longest = |bytes: usize| "x".repeat(bytes);
        let product = ProductKey {
            marketplace: Marketplace::Taobao,
            shop: ShopId::new(longest(ShopId::BYTES_MAX)).unwrap(),
            product_id: ProductId::new(longest(ProductId::BYTES_MAX)).unwrap(),
        };
        ImageKey { product, position: Position::new(longest(Position::BYTES_MAX)).unwrap() }
    }

    fn store(script: &Script) -> DynamoManifest {
        DynamoManifest::new(&script.dynamodb(), "images".to_owned())
    }

    /// DynamoDB's form of the item that this record makes, without its keys.
    fn written(record: &ImageRecord) -> serde_json::Map<String, serde_json::Value> {
        let json = |value: AttributeValue| match value.as_n() {
            Ok(number) => serde_json::json!({ "N": number }),
            Err(text) => serde_json::json!({ "S": text.as_s().unwrap() }),
        };
        record_cell(record).attributes().map(|(name, value)| (name, json(value))).collect()
    }

    #[test]
    fn the_largest_item_of_a_picture_is_two_write_units() {
        let cells = [record_cell(&largest_record()), Cell::greatest(vec![(REMOVED_AT, moment(UnixMillis::MAX))])];
        let image = image();
        let pk = image.product.to_string();
        let bytes = item_bytes(Address { table: "images", pk: &pk, sk: image.position.as_str() }, &cells);
        assert!(bytes <= 2 * 1_024, "{bytes} bytes");
    }

    #[test]
    fn sizes_sort_as_texts_like_their_lists_and_read_back() {
        let lists: [&[u32]; 6] = [&[], &[9], &[200], &[200, 800], &[800], &[u32::MAX]];
        assert!(lists.is_sorted() && lists.map(sorted_sizes).is_sorted());
        for list in lists {
            assert_eq!(read_sizes(&sorted_sizes(list)).unwrap(), list);
        }
    }

    #[tokio::test]
    async fn a_record_and_a_removal_are_one_conditional_write_each_and_share_no_attribute() {
        let script = Script::new([Answer::Text(200, "{}".to_owned()), Answer::Text(200, "{}".to_owned())]);
        store(&script).keep(&image(), &largest_record()).await.unwrap();
        store(&script).remove(&image(), UnixMillis::MAX).await.unwrap();
        let asked = script.asked();
        let names = |index: usize| asked[index].1["ExpressionAttributeNames"].as_object().unwrap();
        assert_eq!((asked.len(), names(0).len(), names(1).len()), (2, 11, 1));
        assert!(names(0).keys().all(|name| !names(1).contains_key(name)));
        assert_eq!(asked[0].0, "UpdateItem");
        assert_eq!(asked[1].0, "UpdateItem");
    }

    #[tokio::test]
    async fn an_item_that_does_not_read_as_it_was_written_is_an_error_and_not_an_unknown_picture() {
        let get = async |item: serde_json::Value| {
            let script = Script::new([Answer::Text(200, serde_json::json!({ "Item": item }).to_string())]);
            store(&script).read(&image()).await
        };
        let whole = written(&largest_record());
        assert_eq!(get(whole.clone().into()).await.unwrap().record.unwrap(), largest_record());
        for (name, value) in [
            (DIGEST, serde_json::json!({"S": "short"})),
            (FORMAT, serde_json::json!({"S": "exe"})),
            (BYTES, serde_json::json!({"N": "1.5"})),
            (ASKED_AT, serde_json::json!({"S": "1"})),
            (THUMBNAILS, serde_json::json!({"S": "many"})),
            (ETAG, serde_json::json!({"N": "1"})),
            (REMOVED_AT, serde_json::json!({"S": "yesterday"})),
        ] {
            let mut item = whole.clone();
            item.insert(name.to_owned(), value);
            let error = get(item.into()).await.unwrap_err();
            assert_eq!((error.operation, error.disposition()), (READ, Disposition::Reject), "{name}");
        }
        for name in whole.keys().filter(|name| *name != ASKED_AT) {
            let mut item = whole.clone();
            item.remove(name);
            assert_eq!(get(item.into()).await.unwrap_err().disposition(), Disposition::Reject, "{name}");
        }
    }

    #[tokio::test]
    async fn the_list_goes_on_over_pages_of_nothing_but_products() {
        let keys = |sk: &str| serde_json::json!({"pk": {"S": "1688#demo#1"}, "sk": {"S": sk}});
        let page = |sk: &str, is_last: bool| {
            let mut page = serde_json::json!({ "Items": [keys(sk)] });
            if !is_last {
                page["LastEvaluatedKey"] = keys(sk);
            }
            Answer::Text(200, page.to_string())
        };
        let script = Script::new([page(PRODUCT, false), page("main-1", false), page(PRODUCT, true)]);
        let first = store(&script).list(None).await.unwrap();
        assert_eq!(first.iter().map(|(image, _)| image.position.as_str()).collect::<Vec<_>>(), ["main-1"]);
        assert_eq!(store(&script).list(Some(&first[0].0)).await.unwrap(), Vec::new());
        let asked = script.asked();
        assert_eq!(asked.len(), 3);
        assert_eq!(asked[2].1["ExclusiveStartKey"], keys("main-1"));
    }
}
