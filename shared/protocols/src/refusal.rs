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
            Self::TooLarge => "too_large",
            Self::Impossible(_) => "impossible",
        }
    }
}
