//! What a refusal of 1688 asks of us: a table, decided on the body, because refusals come with HTTP 200 as well.
//!
//! Source: open.1688.com, gateway errors; the codes that implementers have met. What is not listed is given up.

use serde::Deserialize;

use crate::answers::{Scalar, given};
use crate::json;
use crate::marketplace::{FlowControl, Refused};

const CODES: [(&str, FlowControl); 4] = [
    ("401", FlowControl::Reauthorise),
    ("gw.QosAppFrequencyLimit", FlowControl::Retry),
    ("gw.QosRequestLimit", FlowControl::Retry),
    ("gw.SessionTimeout", FlowControl::Reauthorise),
];

/// What the gateway's own codes begin with.
const GATEWAY: &str = "gw.";
/// What it says of a parameter that it does not take.
const OF_PARAMETERS: [&str; 2] = ["gw.ParamInvalid", "gw.ParamMissing"];
/// Of a failure without a code.
const UNNAMED: &str = "unsuccessful";

/// The gateway's form, and the two of business errors.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(rename = "error_code")]
    gateway_code: Option<Scalar>,
    error_code: Option<Scalar>,
    success: Option<Scalar>,
    code: Option<Scalar>,
}

/// The refusal in an answer, where it is one.
pub fn refusal(text: &str) -> Option<Refused> {
    let answer: Answer = json::object(text).ok()?;
    let is_failure = given(answer.success.as_ref()) == Some("false");
    let business = given(answer.error_code.as_ref()).or(given(answer.code.as_ref()).filter(|_| is_failure));
    let unnamed = is_failure.then_some(UNNAMED);
    Some(of_code(given(answer.gateway_code.as_ref()).or(business).or(unnamed)?))
}

/// The refusal of an answer that says no about itself, in a part of its own.
pub(super) fn business(code: Option<&str>) -> Refused {
    of_code(code.unwrap_or(UNNAMED))
}

/// Whether the gateway refused, which is about the call and not about what was asked for: but for what it says of the
/// parameters, of which one is the id that was asked for.
pub fn is_of_gateway(code: &str) -> bool {
    code.starts_with(GATEWAY) && !OF_PARAMETERS.contains(&code)
}

fn of_code(code: &str) -> Refused {
    let flow = CODES.iter().find(|(known, _)| *known == code).map_or(FlowControl::GiveUp, |(_, flow)| *flow);
    Refused { flow, code: json::loggable(code) }
}
