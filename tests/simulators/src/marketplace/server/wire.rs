//! What both vendors' wires are made of: forms, times, amounts, signatures.

use std::collections::BTreeMap;

use domain::UnixMillis;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use serde_json::{Number, Value};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use time::format_description::BorrowedFormatItem;
use time::macros::{format_description, offset};
use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset};

use super::super::told::yuan;

/// 1688's form: 17 digits and an offset, such as `20180802211113000+0800`.
const COMPACT: &[BorrowedFormatItem<'static>] = format_description!(
    "[year][month][day][hour][minute][second][subsecond digits:3][offset_hour sign:mandatory][offset_minute]"
);
/// Taobao's form, in China's time.
const PLAIN: &[BorrowedFormatItem<'static>] = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
/// China's time.
pub(super) const CHINA: UtcOffset = offset!(+8);
/// California's time, in summer.
pub(super) const CALIFORNIA: UtcOffset = offset!(-7);

/// Parameters by name. Of one that comes twice the last counts.
pub(super) type Parameters = BTreeMap<String, String>;

pub(super) fn parameters(form: &str) -> Parameters {
    form_urlencoded::parse(form.as_bytes()).into_owned().collect()
}

fn moment(at: UnixMillis, offset: UtcOffset) -> OffsetDateTime {
    let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.get()) * 1_000_000);
    moment.expect("a time that we keep").to_offset(offset)
}

pub(super) fn compact(at: UnixMillis, offset: UtcOffset) -> String {
    moment(at, offset).format(COMPACT).expect("a time of four-digit years")
}

pub(super) fn plain(at: UnixMillis) -> String {
    moment(at, CHINA).format(PLAIN).expect("a time of four-digit years")
}

fn millis(moment: OffsetDateTime) -> Option<UnixMillis> {
    UnixMillis::new(i64::try_from(moment.unix_timestamp_nanos().div_euclid(1_000_000)).ok()?).ok()
}

/// Reads 1688's form, or the plain one, which implementers send as well.
pub(super) fn read_compact(text: &str) -> Option<UnixMillis> {
    OffsetDateTime::parse(text, COMPACT).ok().and_then(millis).or_else(|| read_plain(text))
}

pub(super) fn read_plain(text: &str) -> Option<UnixMillis> {
    PrimitiveDateTime::parse(text, PLAIN).ok().and_then(|moment| millis(moment.assume_offset(CHINA)))
}

/// Fen as a JSON number of yuan, such as `6`, `6.1` or `6.15`.
pub(super) fn number_of_yuan(fen: i64) -> Value {
    let text = yuan(fen);
    let short = text.trim_end_matches('0').trim_end_matches('.');
    short.parse::<Number>().map_or(Value::Null, Value::Number)
}

fn mac<M: Mac + KeyInit>(secret: &str, text: &str) -> String {
    let mut mac = <M as KeyInit>::new_from_slice(secret.as_bytes()).expect("a key of any length");
    mac.update(text.as_bytes());
    hex::encode_upper(mac.finalize().into_bytes())
}

/// 1688's signature of a call: over the path and the sorted `key+value`, also of empty values. Source: AliOpen,
/// `SignatureUtil.java`.
pub(super) fn aop_signature(secret: &str, path: &str, parameters: &Parameters) -> String {
    let signed = parameters.iter().filter(|(key, _)| *key != "_aop_signature");
    let mut pairs: Vec<String> = signed.map(|(key, value)| format!("{key}{value}")).collect();
    pairs.sort_unstable();
    mac::<Hmac<Sha1>>(secret, &format!("{path}{}", pairs.concat()))
}

/// TOP's signature: over the `key+value` by key, without empty ones, and the body of a batch. `None` for a method that
/// is not known. Source: open.taobao.com, articleId 101617; `TaobaoUtils.signTopRequestWithBody`.
pub(super) fn top_sign(method: &str, secret: &str, parameters: &Parameters, body: Option<&str>) -> Option<String> {
    let is_signed = |(key, value): &(&String, &String)| *key != "sign" && !key.is_empty() && !value.is_empty();
    let mut text: String = parameters.iter().filter(is_signed).map(|(key, value)| format!("{key}{value}")).collect();
    text.push_str(body.unwrap_or_default());
    match method {
        "md5" => Some(hex::encode_upper(Md5::digest(format!("{secret}{text}{secret}")))),
        "hmac" => Some(mac::<Hmac<Md5>>(secret, &text)),
        "hmac-sha256" => Some(mac::<Hmac<Sha256>>(secret, &text)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<const N: usize>(pairs: [(&str, &str); N]) -> Parameters {
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
    }

    #[test]
    fn the_aop_signature_is_that_of_the_official_sdk() {
        let mut parameters = of([
            ("access_token", "tok-simple-0002"),
            ("emptyVal", ""),
            ("orderId", "58218860983545944"),
            ("fields", ""),
            ("webSite", "1688"),
            ("_aop_signature", "SHOULD_BE_IGNORED"),
        ]);
        let path = "param2/1/com.alibaba.logistics/alibaba.trade.getLogisticsInfos.buyerView/1234567";
        let secret = "test_app_secret_0123456789abcdef";
        assert_eq!(aop_signature(secret, path, &parameters), "CE4D74D68081AECD6B36769CE5F4AB2FF643E7CE");
        parameters.insert("webSite".to_owned(), "alibaba".to_owned());
        assert_ne!(aop_signature(secret, path, &parameters), "CE4D74D68081AECD6B36769CE5F4AB2FF643E7CE");
        // What is sorted are the pairs, not the keys.
        let parameters = of([("a", "z"), ("ab", "0"), ("b", "1")]);
        let path = "param2/1/ns/api/1234567";
        assert_eq!(aop_signature(secret, path, &parameters), "C601CCED255F04340833CC0728E60BC7FB8B64A2");
    }

    #[test]
    fn the_top_signature_is_that_of_the_vendors_page() {
        let mut parameters = of([
            ("method", "taobao.item.seller.get"),
            ("app_key", "12345678"),
            ("session", "test"),
            ("timestamp", "2016-01-01 12:00:00"),
            ("format", "json"),
            ("v", "2.0"),
            ("sign_method", "md5"),
            ("fields", "num_iid,title,nick,price,num"),
            ("num_iid", "11223344"),
        ]);
        let signed = |parameters: &Parameters| {
            top_sign(parameters.get("sign_method").unwrap(), "helloworld", parameters, None).unwrap()
        };
        assert_eq!(signed(&parameters), "66987CB115214E59E6EC978214934FB8");
        parameters.insert("sign_method".to_owned(), "hmac-sha256".to_owned());
        let expected = "04DB15AD0774D5CFCE2C837DE43E3FCEA9011ED74F3038FB6AB5F3C4CEA119E8";
        assert_eq!(signed(&parameters), expected);
        parameters.insert("num_iid".to_owned(), "11223345".to_owned());
        assert_ne!(signed(&parameters), expected);
        assert_eq!(top_sign("rot13", "helloworld", &parameters, None), None);
    }

    #[test]
    fn the_body_of_a_batch_is_signed_with_it() {
        let parameters = of([
            ("app_key", "12345678"),
            ("format", "json"),
            ("session", "test"),
            ("timestamp", "2026-10-01 12:00:00"),
            ("v", "2.0"),
            ("sign_method", "hmac"),
        ]);
        let body = "method=taobao.time.get\r\n-S-\r\n\
            fields=tid%2Cstatus&method=taobao.trade.fullinfo.get&tid=2231958349";
        let sign = top_sign("hmac", "helloworld", &parameters, Some(body));
        assert_eq!(sign.as_deref(), Some("A92A83BA097128DD427781410A480D44"));
    }

    #[test]
    fn times_and_amounts_are_written_as_the_vendors_write_them() {
        let at = UnixMillis::from_rfc3339("2018-08-02T13:11:13Z").unwrap();
        assert_eq!(compact(at, CHINA), "20180802211113000+0800");
        assert_eq!(compact(at, CALIFORNIA), "20180802061113000-0700");
        assert_eq!(plain(at), "2018-08-02 21:11:13");
        for text in ["20180802211113000+0800", "20180802061113000-0700", "2018-08-02 21:11:13"] {
            assert_eq!(read_compact(text), Some(at), "{text}");
        }
        assert_eq!((read_compact("20180802"), read_plain("2018-08-02T21:11:13")), (None, None));
        let numbers = [600, 610, 615, 1, 0, 100_000, -3_989].map(|fen| number_of_yuan(fen).to_string());
        assert_eq!(numbers, ["6", "6.1", "6.15", "0.01", "0", "1000", "-39.89"]);
    }
}
