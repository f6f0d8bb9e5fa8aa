//! What the nightly schedule or an operator asks of the check of orders, and what is answered.

use domain::OrderId;
use serde::{Deserialize, Serialize};

/// What is wrong with an order whose facts cannot be read; for others, the name of the concern says it.
pub const UNREADABLE: &str = "unreadable";

/// What is asked for; `Place` is where a reading of the ledger stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request<Place> {
    /// Where an earlier check stopped, as it answered.
    pub after: Option<Place>,
}

/// An order that asks for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Which.
    pub order_id: OrderId,
    /// What is wrong.
    pub concern: String,
    /// Since when (RFC 3339), where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer<Place> {
    /// How many orders were looked at; one that was paid in parts may be counted more than once.
    pub checked: u64,
    /// How many ask for a person.
    pub count: usize,
    /// Those, as far as an answer holds them.
    pub found: Vec<Found>,
    /// Where to go on, when the time was over before the ledger was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Place>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_begins_at_the_start_unless_it_is_told_where() {
        let after = |text: &str| serde_json::from_str::<Request<u8>>(text).unwrap().after;
        assert_eq!((after("{}"), after(r#"{"after":null}"#), after(r#"{"after":7}"#)), (None, None, Some(7)));
    }
}
