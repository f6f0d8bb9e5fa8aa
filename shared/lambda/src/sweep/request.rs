//! What a schedule or an operator asks for, and what is answered.

use adapters::ports::SweepKey;
use domain::sweep::Window;
use domain::{Marketplace, ShopId, UnixMillis};
use serde::{Deserialize, Serialize};

/// The shop's name that means every shop of the marketplace: shops stand in the secrets document, and a schedule in
/// the template. No shop has this name.
pub const EVERY_SHOP: &str = "*";

/// `{"kind","marketplace","shop"}`, and where a function takes them `"from"` and `"to"` (RFC 3339). Which words are a
/// kind is the function's.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Request {
    kind: String,
    marketplace: String,
    shop: String,
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    to: Option<String>,
}

/// Which shops are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whose {
    /// Where.
    pub marketplace: Marketplace,
    /// Which; every one without it.
    pub shop: Option<ShopId>,
}

/// Why a request cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidRequest(pub &'static str);

impl Request {
    /// The word of its kind.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Which shops are meant.
    pub fn whose(&self) -> Result<Whose, InvalidRequest> {
        let marketplace = Marketplace::from_name(&self.marketplace)
            .map_err(|_| InvalidRequest("marketplace is not 1688 or taobao"))?;
        let shop = match self.shop.as_str() {
            EVERY_SHOP => None,
            name => Some(ShopId::new(name).map_err(|_| InvalidRequest("shop is not a shop's name"))?),
        };
        Ok(Whose { marketplace, shop })
    }

    /// From and to when, where that was said.
    pub fn goal(&self) -> Result<Option<Window>, InvalidRequest> {
        let time = |text: &String| {
            UnixMillis::from_rfc3339(text).map_err(|_| InvalidRequest("from or to is not a time in RFC 3339"))
        };
        match (&self.from, &self.to) {
            (None, None) => Ok(None),
            (Some(from), Some(to)) => {
                let goal = Window::new(time(from)?, time(to)?);
                goal.map(Some).ok_or(InvalidRequest("from is not before to"))
            }
            _ => Err(InvalidRequest("from and to go together")),
        }
    }

    /// Whether it says from or to when.
    pub const fn has_goal(&self) -> bool {
        self.from.is_some() || self.to.is_some()
    }
}

/// How a sweep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Everything that was to be read was read and queued.
    Finished,
    /// The time was over; the next run goes on.
    Unfinished,
    /// Another run is at it.
    Held,
    /// The marketplace asked for silence.
    Paused,
    /// Something was away, or the marketplace said no.
    Failed,
    /// The request cannot be done as it is.
    Refused,
}

impl Outcome {
    /// The word in logs and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Unfinished => "unfinished",
            Self::Held => "held",
            Self::Paused => "paused",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

/// What became of the sweep of one shop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// The kind.
    pub kind: String,
    /// Where.
    pub marketplace: String,
    /// For which shop.
    pub shop: String,
    /// How it ended.
    pub outcome: &'static str,
    /// Rows that were read.
    pub listed: u64,
    /// Those of them that had changed, and led to something that was queued.
    pub changed: u64,
    /// Pictures that were asked for, of a sweep that asks for pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested: Option<u64>,
    /// Where the sweep stands now (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watermark: Option<String>,
    /// Why, when it did not finish.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Swept {
    /// A sweep that was not begun.
    pub(crate) fn refused(request: &Request, reason: &impl ToString) -> Self {
        Self {
            kind: request.kind.clone(),
            marketplace: request.marketplace.clone(),
            shop: request.shop.clone(),
            outcome: Outcome::Refused.as_str(),
            listed: 0,
            changed: 0,
            requested: None,
            watermark: None,
            reason: Some(reason.to_string()),
        }
    }

    /// A sweep that ended so.
    pub(crate) fn ended(key: &SweepKey, outcome: Outcome) -> Self {
        Self {
            kind: key.kind.as_str().to_owned(),
            marketplace: key.marketplace.as_str().to_owned(),
            shop: key.shop.to_string(),
            outcome: outcome.as_str(),
            listed: 0,
            changed: 0,
            requested: None,
            watermark: None,
            reason: None,
        }
    }
}

/// The answer: what became of each shop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// One entry a shop.
    pub sweeps: Vec<Swept>,
}
