//! Reading JSON that somebody else wrote, without repeating any of it in an error.

use serde::de::{Deserialize, Deserializer, Error, Visitor};

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

#[cfg(test)]
mod tests {
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
    fn an_error_does_not_repeat_what_was_written() {
        let error = serde_json::from_str::<u64>(r#""SECRET""#).unwrap_err();
        assert_eq!(describe(&error), "JSON of another shape at line 1 column 8");
    }
}
