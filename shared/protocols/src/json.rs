//! Reading JSON that somebody else wrote, without repeating any of it in an error.

use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

/// What is wrong and where, never what was written: serde's own text quotes the value.
pub(crate) fn describe(error: &serde_json::Error) -> String {
    let kind = match error.classify() {
        serde_json::error::Category::Io => "unreadable",
        serde_json::error::Category::Syntax => "not JSON",
        serde_json::error::Category::Data => "JSON of another shape",
        serde_json::error::Category::Eof => "cut off",
    };
    format!("{kind} at line {} column {}", error.line(), error.column())
}

/// An id that some senders write as a number and some as a text. Numbers are read as integers,
/// never through floating point: ids have up to 20 digits and f64 holds 15.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NumberOrText(pub(crate) String);

impl<'de> Deserialize<'de> for NumberOrText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = NumberOrText;
            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a whole number or a text")
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<NumberOrText, E> {
                Ok(NumberOrText(number.to_string()))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<NumberOrText, E> {
                Ok(NumberOrText(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// The name of a type as a sender wrote it. It is logged, so it must not be a way to write what one likes into the log.
pub(crate) fn loggable(kind: impl Into<String>) -> String {
    const KIND_BYTES_MAX: usize = 64;
    let kind = kind.into();
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let is_short = (1..=KIND_BYTES_MAX).contains(&kind.len());
    if is_short && kind.bytes().all(is_name) { kind } else { "unnamed".to_owned() }
}

/// A JSON object. What serde derives also takes a list of the fields in turn, and no sender means that.
#[derive(Debug, Clone, Default)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = Object<T>;
            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(Fields(PhantomData))
    }
}

/// Reads a text that is one object.
pub(crate) fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, serde_json::Error> {
    serde_json::from_str::<Object<T>>(text).map(|object| object.0)
}

/// Reads bytes that are one object.
pub(crate) fn object_of_bytes<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice::<Object<T>>(bytes).map(|object| object.0)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[test]
    fn ids_beyond_2_to_the_53_keep_every_digit() {
        for (json, id) in [
            ("9007199254740993", "9007199254740993"),
            ("18446744073709551615", "18446744073709551615"),
            (r#""58218860983545941""#, "58218860983545941"),
        ] {
            assert_eq!(serde_json::from_str::<NumberOrText>(json).unwrap().0, id);
        }
    }

    #[test]
    fn what_is_no_whole_number_is_no_id() {
        for json in ["1.5", "-1", "1e3", "18446744073709551616", "1e999999999", "null", "true", "[]", "{}", "NaN"] {
            assert!(serde_json::from_str::<NumberOrText>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn a_list_is_no_object() {
        #[derive(Deserialize)]
        struct Pair {
            a: u8,
        }
        assert_eq!(object::<Pair>(r#"{"a":1}"#).map(|pair| pair.a).ok(), Some(1));
        assert!(object::<Pair>("[1]").is_err() && object::<Pair>("1").is_err() && object::<Pair>("null").is_err());
    }

    #[test]
    fn what_is_logged_of_a_type_is_a_short_plain_name() {
        let longest = "k".repeat(64);
        for kind in ["order.status", "PAYMENT.CAPTURE.COMPLETED", "TRADE_CLOSED", "a-b", longest.as_str()] {
            assert_eq!(loggable(kind), kind);
        }
        for kind in ["", "a b", "a\nb", "a\"b", "\u{e9}", "a/b", &format!("{longest}k")] {
            assert_eq!(loggable(kind), "unnamed", "{kind}");
        }
    }

    #[test]
    fn an_error_does_not_repeat_what_was_written() {
        let error = serde_json::from_str::<u64>(r#""SECRET""#).unwrap_err();
        assert_eq!(describe(&error), "JSON of another shape at line 1 column 8");
    }
}
