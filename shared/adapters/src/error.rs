//! What went wrong at a port, and what the caller can make of it.

/// Whether the thing that was asked for may have happened all the same (law 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certainty {
    /// It did not happen.
    Determinate,
    /// It may have happened. Whatever is not known to be determinate is this.
    Indeterminate,
}

/// Why it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The service wants us to be slower.
    Throttled,
    /// The service cannot be reached or is failing.
    Away,
    /// The service understood and refused: wrong permissions, a missing table, an invalid request.
    Rejected,
    /// What is stored, or was answered, is not of the form that we write.
    Unreadable,
    /// Others changed the same thing each time that we tried.
    Contended,
}

impl Certainty {
    /// The words in the log.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Determinate => "it did not happen",
            Self::Indeterminate => "it may have happened",
        }
    }
}

impl Cause {
    /// The word in the log.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Away => "away",
            Self::Rejected => "rejected",
            Self::Unreadable => "unreadable",
            Self::Contended => "contended",
        }
    }
}

/// What the caller should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// Do it again: it did not happen.
    Retry,
    /// Do not do it again as it is: it will fail again.
    Reject,
    /// Do it again under the same key, which finds out whether it happened.
    Reconcile,
}

impl Disposition {
    /// The word in the log. `reject` means that a person must act.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Reject => "reject",
            Self::Reconcile => "reconcile",
        }
    }
}

/// A port could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[error("{operation} failed: {}, {}", .cause.as_str(), .certainty.as_str())]
pub struct PortError {
    /// Which verb of which port.
    pub operation: &'static str,
    /// Why.
    pub cause: Cause,
    /// Whether it may have happened.
    pub certainty: Certainty,
    /// What the service or the library said.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl PortError {
    /// An error of our own, where no service said anything.
    pub const fn new(operation: &'static str, cause: Cause, certainty: Certainty) -> Self {
        Self { operation, cause, certainty, source: None }
    }

    /// Something stored or answered cannot be read.
    pub const fn unreadable(operation: &'static str) -> Self {
        Self::new(operation, Cause::Unreadable, Certainty::Determinate)
    }

    /// This error and all its causes, for the log.
    pub fn chain(&self) -> String {
        let error: &dyn std::error::Error = self;
        let causes = std::iter::successors(Some(error), |error| error.source());
        causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    }

    /// What the caller should do.
    pub const fn disposition(&self) -> Disposition {
        match (self.certainty, self.cause) {
            (Certainty::Indeterminate, _) => Disposition::Reconcile,
            (Certainty::Determinate, Cause::Throttled | Cause::Away | Cause::Contended) => Disposition::Retry,
            (Certainty::Determinate, Cause::Rejected | Cause::Unreadable) => Disposition::Reject,
        }
    }
}
