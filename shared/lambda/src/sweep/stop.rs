//! Why a sweep stops before it is through.

use adapters::PortError;
use adapters::ports::MarketError;
use domain::UnixMillis;
use domain::sweep::{NotYours, china_midnight_after};
use protocols::marketplace::{FlowControl, Foreign, Refused};
use protocols::sweeps::Outcome;

/// Why a sweep stops.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// The invocation ends soon.
    #[error("the time of this run is over")]
    Deadline,
    /// Another run took the lease over, or an operator set the watermark.
    #[error("another run took this sweep over")]
    LeaseLost,
    /// The marketplace answered for another account.
    #[error("an answer belongs to another account; nothing of it was kept")]
    Foreign,
    /// A second that holds more than a page never adds up.
    #[error("a list never adds up: its rows change places faster than they can be read")]
    Unsteady,
    /// The marketplace gave no answer that can be used.
    #[error(transparent)]
    Market(#[from] MarketError),
    /// Something of ours is away.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl From<NotYours> for Stop {
    fn from(_: NotYours) -> Self {
        Self::LeaseLost
    }
}

impl From<Foreign> for Stop {
    fn from(_: Foreign) -> Self {
        Self::Foreign
    }
}

impl Stop {
    /// What the marketplace asks of us, when it does.
    pub const fn flow(&self) -> Option<FlowControl> {
        match self {
            Self::Market(MarketError::Refused(Refused { flow, .. })) => Some(*flow),
            Self::Market(MarketError::Lost(_))
            | Self::Deadline
            | Self::LeaseLost
            | Self::Foreign
            | Self::Unsteady
            | Self::Port(_) => None,
        }
    }

    /// Until when the marketplace wants silence, when it does.
    pub fn silence(&self, now: UnixMillis) -> Option<UnixMillis> {
        match self.flow()? {
            FlowControl::WaitSeconds(seconds) => {
                let millis = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000);
                Some(now.saturating_add_ms(millis))
            }
            FlowControl::WaitForMidnight => Some(china_midnight_after(now)),
            FlowControl::Retry | FlowControl::GiveUp | FlowControl::Reauthorise => None,
        }
    }

    /// How the sweep ended.
    pub const fn outcome(&self) -> Outcome {
        match (self, self.flow()) {
            (Self::Deadline, _) => Outcome::Unfinished,
            (Self::LeaseLost, _) => Outcome::Held,
            (_, Some(FlowControl::WaitSeconds(_) | FlowControl::WaitForMidnight)) => Outcome::Paused,
            (Self::Foreign | Self::Unsteady | Self::Market(_) | Self::Port(_), _) => Outcome::Failed,
        }
    }

    /// This and all its causes, for the log.
    pub fn chain(&self) -> String {
        match self {
            Self::Port(error) | Self::Market(MarketError::Lost(error)) => error.chain(),
            Self::Deadline
            | Self::LeaseLost
            | Self::Foreign
            | Self::Unsteady
            | Self::Market(MarketError::Refused(_)) => self.to_string(),
        }
    }
}
