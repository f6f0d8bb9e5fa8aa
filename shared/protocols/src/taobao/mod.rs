//! Taobao's open platform (TOP), where we sell: signatures, calls, batches, trades, messages, errors.

pub mod call;
pub mod error;
pub mod messages;
pub mod signature;
pub mod status;
pub mod trades;

use serde::Deserialize;

use crate::json;
use crate::marketplace::NotRead;

/// Reads the answer that was asked for, or the refusal in its place.
fn answer<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, NotRead> {
    if let Some(refused) = error::refusal(text) {
        return Err(NotRead::Refused(refused));
    }
    json::object(text).map_err(|error| NotRead::Unreadable(json::describe(&error)))
}
