//! Names that outsiders give to things, each a type of its own, checked once where it enters.
//!
//! Invariant: a value of these types fits its length and its alphabet, so it can stand in a key
//! (`marketplace#shop#trade_id`), a path or a log line as it is.

use serde::{Deserialize, Serialize};

/// Why a text is not a name of the wanted kind. Never holds the text itself: it may be a secret or a person's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    /// Nothing was given.
    #[error("{name} is empty")]
    Empty {
        /// Which kind of name.
        name: &'static str,
    },
    /// It is longer than the kind allows.
    #[error("{name} is longer than {bytes_max} bytes")]
    TooLong {
        /// Which kind of name.
        name: &'static str,
        /// The most bytes it may have.
        bytes_max: usize,
    },
    /// It holds a character that the kind does not allow.
    #[error("{name} has a character that is not allowed")]
    Character {
        /// Which kind of name.
        name: &'static str,
    },
}

/// ASCII letters, digits, `.`, `_`, `-`: needs no escaping in a path, a key or a signature.
const fn is_plain(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '.' | '_' | '-')
}

/// What a message or event id may hold besides: the separators that senders use in theirs.
const fn is_id(char: char) -> bool {
    is_plain(char) || matches!(char, ':' | '/' | '+' | '=' | '~')
}

/// Any character that a queue takes and a terminal can show: no controls, no noncharacters of the first plane's end.
fn is_text(char: char) -> bool {
    !char.is_control() && !matches!(char, '\u{fffe}' | '\u{ffff}')
}

fn check(text: &str, name: &'static str, bytes_max: usize, allowed: fn(char) -> bool) -> Result<(), InvalidText> {
    if text.is_empty() {
        return Err(InvalidText::Empty { name });
    }
    if text.len() > bytes_max {
        return Err(InvalidText::TooLong { name, bytes_max });
    }
    if !text.chars().all(allowed) {
        return Err(InvalidText::Character { name });
    }
    Ok(())
}

macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $label:literal, $bytes_max:literal, $allowed:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The most bytes it may have.
            pub const BYTES_MAX: usize = $bytes_max;

            /// Checks the text: not empty, not too long, only allowed characters.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidText> {
                let text = text.into();
                check(&text, $label, Self::BYTES_MAX, $allowed)?;
                Ok(Self(text))
            }

            /// The text as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidText;
            fn try_from(text: String) -> Result<Self, InvalidText> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

checked_text!(
    /// Our own name of an order. Stands in paths and keys without escaping.
    OrderId, "order id", 64, is_plain
);
checked_text!(
    /// A marketplace's name of a purchase. 1688 and Taobao give numbers of up to 20 digits.
    TradeId, "trade id", 24, is_plain
);
checked_text!(
    /// One authorised account at a marketplace, as the secrets document names it.
    ShopId, "shop", 32, is_plain
);
checked_text!(
    /// A sender of order events, such as a warehouse, as the secrets document names it.
    SourceName, "source", 32, is_plain
);
checked_text!(
    /// The public half of a client's credentials.
    AppKey, "app key", 32, is_plain
);
checked_text!(
    /// A client's number used once. 40 bytes hold a UUID or a 160-bit value in hex.
    Nonce, "nonce", 40, is_id
);
checked_text!(
    /// The id of an event within its source: a Standard Webhooks id, a UUID, a digest.
    EventId, "event id", 64, is_id
);
checked_text!(
    /// The id of a marketplace's message. Short, because eight of them share an item of one write unit.
    MessageId, "message id", 32, is_plain
);
checked_text!(
    /// A marketplace's own word for a status; the longest known has 26 bytes.
    RawStatus, "status text", 32, is_text
);
checked_text!(
    /// A marketplace's name of a consignment, such as `LP00107450035961376`.
    LogisticsId, "logistics id", 32, is_plain
);
checked_text!(
    /// A carrier's code, such as `ZTO`.
    Carrier, "carrier", 32, is_text
);
checked_text!(
    /// A carrier's number of a parcel.
    Waybill, "waybill", 64, is_text
);
checked_text!(
    /// Where a parcel is, in the marketplace's words, such as `SIGN`.
    TraceStatus, "trace status", 32, is_plain
);

checked_text!(
    /// A gateway's name of a payment: Stripe's `pi_…`, Alipay's `trade_no`. The longest known has 36 bytes.
    PaymentId, "payment id", 64, is_id
);
checked_text!(
    /// A gateway's name of one movement of a payment: a capture, a refund, a dispute.
    TransactionId, "transaction id", 64, is_id
);
checked_text!(
    /// The shop front's name of a refund that it asks for: the key under which asking again is the same.
    RefundId, "refund id", 64, is_plain
);
checked_text!(
    /// The shop's own name of a thing on sale.
    Sku, "sku", 64, is_text
);

checked_text!(
    /// A marketplace's name of a refund case, such as `TQ7257793022991577`; `line.<line id>` or `trade` where it gives none.
    AfterSaleId, "after-sale id", 32, is_plain
);
checked_text!(
    /// A marketplace's name of a line of a trade: a number of up to 20 digits.
    LineId, "line id", 24, is_plain
);
checked_text!(
    /// A marketplace's name of a product or of one of its variants.
    ProductId, "product id", 32, is_plain
);
checked_text!(
    /// What a marketplace calls a product.
    ProductName, "product name", 512, is_text
);
checked_text!(
    /// An address of a picture as a marketplace gives it: absolute or relative.
    Picture, "picture", 512, is_text
);
checked_text!(
    /// Which of a product's pictures: `main-1`, `detail-3`, `sku-3332085412530`.
    Position, "position", 48, is_plain
);
checked_text!(
    /// Where a picture is, as it is asked for: absolute. Whether it may be fetched is for whoever fetches to say.
    ImageUrl, "image url", 1_024, is_text
);
checked_text!(
    /// What a host gave to ask again with: an `ETag` or a `Last-Modified`, as it came.
    Validator, "validator", 256, is_text
);
checked_text!(
    /// A digest of what a list said of a trade, in hex.
    ListingDigest, "listing digest", 32, is_plain
);
checked_text!(
    /// The key of an object in a bucket.
    StoredKey, "key", 256, is_id
);
checked_text!(
    /// Who holds a lease: drawn afresh by each run.
    LeaseToken, "lease token", 40, is_plain
);

impl From<TransactionId> for EventId {
    /// A transaction id has the alphabet and the length of an event id.
    fn from(id: TransactionId) -> Self {
        Self(id.0)
    }
}

impl From<MessageId> for EventId {
    /// Every message id is an event id: its alphabet is narrower and it is shorter.
    fn from(id: MessageId) -> Self {
        Self(id.0)
    }
}

impl TryFrom<EventId> for MessageId {
    type Error = InvalidText;
    fn try_from(id: EventId) -> Result<Self, InvalidText> {
        Self::new(id.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_name_is_refused() {
        assert_eq!(OrderId::new(""), Err(InvalidText::Empty { name: "order id" }));
    }

    #[test]
    fn a_name_fits_its_bytes_and_one_more_is_refused() {
        assert!(TradeId::new("9".repeat(TradeId::BYTES_MAX)).is_ok());
        assert_eq!(
            TradeId::new("9".repeat(TradeId::BYTES_MAX + 1)),
            Err(InvalidText::TooLong { name: "trade id", bytes_max: TradeId::BYTES_MAX })
        );
    }

    #[test]
    fn a_separator_of_keys_never_enters_a_name() {
        for text in ["a#b", "a b", "a/b", "a\n", "\u{e9}", "a\0"] {
            assert_eq!(ShopId::new(text), Err(InvalidText::Character { name: "shop" }), "{text:?}");
        }
    }

    #[test]
    fn every_message_id_is_an_event_id() {
        assert!((0..=127u8).map(char::from).filter(|char| is_plain(*char)).all(is_id));
        const { assert!(MessageId::BYTES_MAX <= EventId::BYTES_MAX) };
        const { assert!(TransactionId::BYTES_MAX <= EventId::BYTES_MAX) };
    }
}
