//! Reading what marketplaces answer: texts that come as numbers, decimals of yuan, times of China, rows one by one.
//!
//! Invariant: a number is read from its text, never through floating point, and no reason repeats a word of an answer.

use domain::{Currency, Money, UnixMillis};
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use time::format_description::BorrowedFormatItem;
use time::macros::{format_description, offset};
use time::{OffsetDateTime, PrimitiveDateTime};

use crate::json;
use crate::marketplace::Malformed;

/// `yyyy-MM-dd HH:mm:ss` without a zone: China's time.
const CHINA: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
/// `yyyyMMddHHmmssSSSZ`, such as `20170913231916000-0700`.
const COMPACT: &[BorrowedFormatItem<'_>] = format_description!(
    "[year][month][day][hour][minute][second][subsecond digits:3][offset_hour sign:mandatory][offset_minute]"
);

/// A text, or a number as it was written: vendors give either for ids, amounts and codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scalar(String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let text = raw.get();
        match text.bytes().next() {
            Some(b'"') => serde_json::from_str(text).map(Self).map_err(serde::de::Error::custom),
            Some(b'{' | b'[' | b'n') | None => Err(serde::de::Error::custom("not a text or a number")),
            Some(_) => Ok(Self(text.to_owned())),
        }
    }
}

impl Scalar {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text of a scalar, where there is one that is not empty.
pub(crate) fn given(scalar: Option<&Scalar>) -> Option<&str> {
    scalar.map(Scalar::as_str).filter(|text| !text.is_empty())
}

/// The texts of scalars as the parts of a digest; nothing counts as empty.
pub(crate) fn part(scalar: Option<&Scalar>) -> &str {
    given(scalar).unwrap_or_default()
}

/// Why a row or a detail cannot be read.
pub(crate) type Reason = &'static str;

/// A checked value of a field; `None` where there is nothing, an error where there is something else.
pub(crate) fn checked<T, E>(
    scalar: Option<&Scalar>,
    new: impl FnOnce(&str) -> Result<T, E>,
    reason: Reason,
) -> Result<Option<T>, Reason> {
    given(scalar).map(new).transpose().map_err(|_| reason)
}

/// A value that is nice to have: of another form it is none, because the raw answer has it.
pub(crate) fn spare<T, E>(scalar: Option<&Scalar>, new: impl FnOnce(String) -> Result<T, E>) -> Option<T> {
    given(scalar).and_then(|text| new(text.to_owned()).ok())
}

/// Yuan, such as `6.15`.
pub(crate) fn yuan(scalar: Option<&Scalar>) -> Result<Option<Money>, Reason> {
    checked(scalar, |text| Money::from_major(text, Currency::CNY), "an amount is not one of yuan")
}

/// A decimal that may be finer than a currency: a price of one, a number of metres.
pub(crate) fn decimal(scalar: Option<&Scalar>) -> Result<Option<Decimal>, Reason> {
    checked(scalar, domain::money::decimal, "a price or a quantity is not a decimal")
}

fn millis(moment: OffsetDateTime) -> Option<UnixMillis> {
    let millis = moment.unix_timestamp_nanos().div_euclid(1_000_000);
    i64::try_from(millis).ok().and_then(|millis| UnixMillis::new(millis).ok())
}

/// China's time without a zone.
pub(crate) fn china_time(text: &str) -> Option<UnixMillis> {
    millis(PrimitiveDateTime::parse(text, CHINA).ok()?.assume_offset(offset!(+8)))
}

/// 1688's compact time. The offset is what it says: the vendor's own samples have `-0700` as well.
pub(crate) fn compact_time(text: &str) -> Option<UnixMillis> {
    millis(OffsetDateTime::parse(text, COMPACT).ok()?)
}

fn in_china(at: UnixMillis) -> Option<OffsetDateTime> {
    let nanos = i128::from(at.get()).checked_mul(1_000_000)?;
    OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?.checked_to_offset(offset!(+8))
}

/// A moment in China's time, without a zone.
pub(crate) fn write_china_time(at: UnixMillis) -> String {
    in_china(at).and_then(|moment| moment.format(CHINA).ok()).unwrap_or_default()
}

/// A moment in 1688's compact form, in China's time.
pub(crate) fn write_compact_time(at: UnixMillis) -> String {
    in_china(at).and_then(|moment| moment.format(COMPACT).ok()).unwrap_or_default()
}

/// A time of a field that must be one where it is given.
pub(crate) fn time(
    scalar: Option<&Scalar>,
    read: fn(&str) -> Option<UnixMillis>,
) -> Result<Option<UnixMillis>, Reason> {
    checked(scalar, |text| read(text).ok_or(()), "a time is not of the documented form")
}

/// What cannot be read, with the reason.
pub(crate) fn malformed(body: &str, reason: Reason) -> Malformed {
    Malformed { reason: format!("malformed: {reason}"), body: body.to_owned() }
}

/// Reads a JSON object, or says what it is not.
pub(crate) fn object<'a, T: Deserialize<'a>>(text: &'a str, reason: Reason) -> Result<T, Reason> {
    json::object(text).map_err(|_| reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_offset_and_written_in_china_s() {
        let at = compact_time("20170913231916000-0700").unwrap();
        assert_eq!(at.to_rfc3339(), "2017-09-14T06:19:16.000Z");
        assert_eq!(write_compact_time(at), "20170914141916000+0800");
        assert_eq!(compact_time(&write_compact_time(at)), Some(at));
        let at = china_time("2026-10-01 11:45:00").unwrap();
        assert_eq!(at.to_rfc3339(), "2026-10-01T03:45:00.000Z");
        assert_eq!(write_china_time(at), "2026-10-01 11:45:00");
        for text in ["", "2026-10-01", "20170913231916000", "2026-13-01 00:00:00", "20170913231916000+08:00"] {
            assert_eq!((china_time(text), compact_time(text)), (None, None), "{text}");
        }
    }

    #[test]
    fn a_number_is_its_text() {
        for (json, text) in
            [("58218860983545944", "58218860983545944"), (r#""a""#, "a"), ("0.10", "0.10"), ("1e3", "1e3")]
        {
            assert_eq!(serde_json::from_str::<Scalar>(json).unwrap().as_str(), text);
        }
        for json in ["{}", "[]", "null"] {
            assert!(serde_json::from_str::<Scalar>(json).is_err());
        }
        assert_eq!(serde_json::from_str::<Option<Scalar>>("null").unwrap(), None);
        let amount = |json: &str| yuan(Some(&serde_json::from_str(json).unwrap())).map(|money| money.map(Money::minor));
        assert_eq!((amount("6.15"), amount(r#""25.00""#), amount(r#""""#)), (Ok(Some(615)), Ok(Some(2_500)), Ok(None)));
        assert!(amount("0.001").is_err() && amount("-1").is_err() && amount("1e3").is_err());
    }
}
