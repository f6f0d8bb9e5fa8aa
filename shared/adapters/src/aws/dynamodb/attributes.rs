//! Attributes of items: how values are written as them, and read back.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::id::InvalidText;
use domain::{Currency, MessageId, Money, UnixMillis};

/// An item, or a part of one.
pub(super) type Item = HashMap<String, AttributeValue>;

/// A string attribute.
pub(super) fn string(name: &str, value: impl Into<String>) -> (String, AttributeValue) {
    (name.to_owned(), AttributeValue::S(value.into()))
}

/// A number attribute.
pub(super) fn number(name: &str, value: impl ToString) -> (String, AttributeValue) {
    (name.to_owned(), AttributeValue::N(value.to_string()))
}

/// A time as a value: in milliseconds since 1970.
pub(super) fn moment(time: UnixMillis) -> AttributeValue {
    AttributeValue::N(time.get().to_string())
}

/// A string attribute that must be there.
pub(super) fn text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

/// A time attribute, where the fact is there.
pub(super) fn time(item: &Item, name: &str) -> Option<UnixMillis> {
    integer(item, name).and_then(|millis| UnixMillis::new(millis).ok())
}

/// What may be absent: `Some(None)` where the item has no such attribute, `None` where it has one that does not read.
pub(super) fn optional<T>(item: &Item, name: &str, read: impl FnOnce(&Item, &str) -> Option<T>) -> Option<Option<T>> {
    match item.contains_key(name) {
        true => read(item, name).map(Some),
        false => Some(None),
    }
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
