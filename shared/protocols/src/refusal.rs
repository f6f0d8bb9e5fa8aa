//! Why a request is not taken: one table of causes, HTTP statuses and codes.

/// Why a request is refused. The texts are ours alone: nothing that a sender wrote is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It cannot be read.
    #[error("{0}")]
    Malformed(&'static str),
    /// It carries no signature, or a part of one is missing.
    #[error("the signature, or a part of it, is missing")]
    SignatureMissing,
    /// No live secret made its signature.
    #[error("the signature does not match")]
    SignatureInvalid,
    /// Its time is not a time, or too far from ours.
    #[error("the timestamp is not a time within the tolerance")]
    TimestampInvalid,
    /// Its nonce was used before.
    #[error("the nonce was used before")]
    NonceUsed,
    /// It names a thing that we do not have.
    #[error("there is no such {0}")]
    Unknown(&'static str),
    /// Its body is larger than any good one.
    #[error("the body is too large")]
    TooLarge,
    /// It contradicts what is kept.
    #[error("{0}")]
    Conflict(&'static str),
    /// The rate is too far from the one that the customer was shown.
    #[error("the rate moved since the quote; show the customer the new one")]
    RateMoved,
    /// What is kept of the order is damaged. A person was told; asking again does not help.
    #[error("{0}")]
    Damaged(&'static str),
    /// It can be read, and cannot be.
    #[error("{0}")]
    Impossible(&'static str),
}

impl Refusal {
    /// The HTTP status: 4xx, because the fault is the sender's.
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::SignatureMissing | Self::SignatureInvalid | Self::TimestampInvalid | Self::NonceUsed => 401,
            Self::Unknown(_) => 404,
            Self::Conflict(_) | Self::RateMoved | Self::Damaged(_) => 409,
            Self::TooLarge => 413,
            Self::Impossible(_) => 422,
        }
    }

    /// The code in the answer: `{"error":{"code":…}}`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::SignatureMissing => "signature_missing",
            Self::SignatureInvalid => "signature_invalid",
            Self::TimestampInvalid => "timestamp_invalid",
            Self::NonceUsed => "nonce_used",
            Self::Unknown(_) => "not_found",
            Self::Conflict(_) => "conflict",
            Self::RateMoved => "rate_moved",
            Self::Damaged(_) => "order_damaged",
            Self::TooLarge => "too_large",
            Self::Impossible(_) => "impossible",
        }
    }
}
