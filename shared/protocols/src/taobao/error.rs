//! What TOP's refusals ask of us: a table.
//!
//! A refusal is `{"error_response":{"code","msg","sub_code","sub_msg","request_id"}}`, with any HTTP status. Invariant: of
//! what it says only the codes are repeated, where they are plain names. Source: open.taobao.com, "错误码一览"
//! (protocols.md, B4).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::answers::{Scalar, part};
use crate::json;
use crate::marketplace::{FlowControl, Refused};

/// How long to wait where a call was limited and TOP does not say for how long, in seconds. Bans of a second or two are
/// usual; a minute is the longest period that implementers report for one.
pub const LIMITED_S: u64 = 60;
/// The longest ban that is believed, in seconds: quotas begin anew each day.
pub const BAN_S_MAX: u64 = 24 * 60 * 60;

/// What a rule looks at.
#[derive(Debug, Clone, Copy)]
enum When {
    /// The code.
    Code(&'static str),
    /// The sub code.
    Sub(&'static str),
    /// How the sub code begins and ends.
    SubLike(&'static str, &'static str),
}

/// What follows. `Ban` is told by `sub_msg`: "This ban will last for N more seconds".
#[derive(Debug, Clone, Copy)]
enum Asks {
    For(FlowControl),
    Ban,
}

const RETRY: Asks = Asks::For(FlowControl::Retry);
const GIVE_UP: Asks = Asks::For(FlowControl::GiveUp);
const REAUTHORISE: Asks = Asks::For(FlowControl::Reauthorise);

/// The first rule that fits decides; without one the call is given up. So are by their absence 3, 9, 11 to 13, 21 to
/// 25, 28 to 43 and 53: they say that the request, the app or its rights are wrong.
const RULES: [(When, Asks); 30] = [
    // The session: code 26 is missing, 27 is invalid, and the sub codes say why.
    (When::Code("26"), REAUTHORISE),
    (When::Code("27"), REAUTHORISE),
    (When::Sub("invalid-sessionkey"), REAUTHORISE),
    (When::Sub("session-expired"), REAUTHORISE),
    (When::SubLike("isv.invalid-session", ""), REAUTHORISE),
    // Quotas.
    (When::Sub("accesscontrol.limited-by-app-access-count"), Asks::For(FlowControl::WaitForMidnight)),
    (When::Sub("accesscontrol.limited-by-api-access-count"), Asks::Ban),
    (When::Sub("accesscontrol.limited-by-app-api-access-count"), Asks::Ban),
    (When::Sub("accesscontrol.limited-by-dynamic-access-count"), RETRY),
    // What is behind the platform failed in a way that it will fail in again.
    (When::Sub("isp.null-pointer-exception"), GIVE_UP),
    (When::Sub("isp.top-parse-error"), GIVE_UP),
    (When::Sub("isp.top-mapping-parse-error"), GIVE_UP),
    // What is behind the platform is away.
    (When::SubLike("isp.", "-service-unavailable"), RETRY),
    (When::Sub("isp.remote-service-error"), RETRY),
    (When::Sub("isp.remote-service-timeout"), RETRY),
    (When::Sub("isp.remote-connection-error"), RETRY),
    (When::Sub("isp.top-remote-connection-timeout"), RETRY),
    (When::Sub("isp.top-remote-connection-error"), RETRY),
    (When::Sub("isp.top-remote-service-unavailable"), RETRY),
    (When::Sub("isp.top-remote-service-error"), RETRY),
    (When::Sub("isp.unknown-error"), RETRY),
    (When::Sub("isp.system-busy"), RETRY),
    // The request is at fault, whatever the code.
    (When::SubLike("isv.", ""), GIVE_UP),
    // The platform is away.
    (When::Code("10"), RETRY),
    // Calls of the user, the session, the partner or the app are limited, and the sub code says no more.
    (When::Code("4"), Asks::Ban),
    (When::Code("5"), Asks::Ban),
    (When::Code("6"), Asks::Ban),
    (When::Code("7"), Asks::Ban),
    (When::Code("8"), Asks::Ban),
    // The remote service failed, and nothing says that it will not again.
    (When::Code("15"), GIVE_UP),
];

#[derive(Deserialize)]
struct ErrorResponse {
    code: Option<Scalar>,
    sub_code: Option<Scalar>,
    sub_msg: Option<Scalar>,
}

/// What a refusal asks for.
fn refused(error: &ErrorResponse) -> Refused {
    let (code, sub) = (part(error.code.as_ref()), part(error.sub_code.as_ref()));
    let fits = |when: &When| match when {
        When::Code(known) => *known == code,
        When::Sub(known) => *known == sub,
        When::SubLike(begin, end) => sub.starts_with(begin) && sub.ends_with(end),
    };
    let asks = RULES.iter().find(|(when, _)| fits(when)).map_or(GIVE_UP, |(_, asks)| *asks);
    let flow = match asks {
        Asks::For(flow) => flow,
        Asks::Ban => FlowControl::WaitSeconds(ban_s(part(error.sub_msg.as_ref()))),
    };
    // A sub code may name a parameter after a colon.
    let name = sub.split(':').next().filter(|name| !name.is_empty()).unwrap_or(code);
    Refused { flow, code: json::loggable(name) }
}

/// How long a ban lasts, and one second more.
fn ban_s(sub_msg: &str) -> u64 {
    let number = sub_msg.split_once("will last for ").and_then(|(_, rest)| rest.split_once(" more second"));
    let seconds: Option<u64> = number.and_then(|(number, _)| number.trim().parse().ok());
    seconds.map_or(LIMITED_S, |seconds| seconds.min(BAN_S_MAX).saturating_add(1))
}

/// The refusal in an answer, where it is one.
pub(super) fn refusal(text: &str) -> Option<Refused> {
    let parts: BTreeMap<String, &RawValue> = json::object(text).ok()?;
    let error: ErrorResponse = json::object(parts.get("error_response")?.get()).ok()?;
    Some(refused(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: &str, sub: &str, sub_msg: &str) -> Refused {
        let error = serde_json::json!({"code": code, "sub_code": sub, "sub_msg": sub_msg}).to_string();
        refused(&serde_json::from_str(&error).unwrap())
    }

    #[test]
    fn a_ban_lasts_as_long_as_it_says_and_a_second_more() {
        for (sub_msg, seconds) in [
            ("This ban will last for 1 more seconds", 2),
            ("This ban will last for 3600 more seconds", 3_601),
            ("This ban will last for 0 more seconds", 1),
            ("This ban will last for 99999999999 more seconds", BAN_S_MAX + 1),
            ("This ban will last for -1 more seconds", LIMITED_S),
            ("This ban will last for a few more seconds", LIMITED_S),
            ("", LIMITED_S),
        ] {
            assert_eq!(ban_s(sub_msg), seconds, "{sub_msg}");
        }
    }

    #[test]
    fn only_a_plain_code_is_repeated() {
        assert_eq!(refusal("41", "isv.invalid-parameter:user_id_num", "").code, "isv.invalid-parameter");
        assert_eq!(refusal("25", "", "").code, "25");
        assert_eq!(refusal("25", "a\nb", "").code, "unnamed");
        assert_eq!(refusal("", "", "").code, "unnamed");
    }
}
