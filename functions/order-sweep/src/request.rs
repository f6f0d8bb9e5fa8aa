//! What a schedule or an operator asks for, and what is answered.

use adapters::ports::SweepKey;
use domain::sweep::{SweepKind, Window};
use domain::{Marketplace, ShopId, UnixMillis};
use serde::{Deserialize, Serialize};

/// The shop's name that means every shop of the marketplace: shops stand in the secrets document, and a schedule in
/// the template. No shop has this name.
pub const EVERY_SHOP: &str = "*";

/// `{"kind","marketplace","shop"}`, and for a backfill or an audit `"from"` and `"to"` (RFC 3339).
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

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// What kind of sweep.
    pub kind: SweepKind,
    /// Where.
    pub marketplace: Marketplace,
    /// For which shop; for every one without it.
    pub shop: Option<ShopId>,
    /// What is to be read, where that was said.
    pub goal: Option<Window>,
}

/// Why a request cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidRequest(&'static str);

impl Request {
    /// Checks it.
    pub fn job(&self) -> Result<Job, InvalidRequest> {
        let kind = SweepKind::from_name(&self.kind)
            .ok_or(InvalidRequest("kind is not incremental, tmc, backfill or audit"))?;
        let marketplace = Marketplace::from_name(&self.marketplace)
            .map_err(|_| InvalidRequest("marketplace is not 1688 or taobao"))?;
        if kind == SweepKind::Tmc && marketplace != Marketplace::Taobao {
            return Err(InvalidRequest("only taobao has messages to pull"));
        }
        let shop = match self.shop.as_str() {
            EVERY_SHOP => None,
            name => Some(ShopId::new(name).map_err(|_| InvalidRequest("shop is not a shop's name"))?),
        };
        Ok(Job { kind, marketplace, shop, goal: self.goal(kind)? })
    }

    fn goal(&self, kind: SweepKind) -> Result<Option<Window>, InvalidRequest> {
        let time = |text: &String| {
            UnixMillis::from_rfc3339(text).map_err(|_| InvalidRequest("from or to is not a time in RFC 3339"))
        };
        match (&self.from, &self.to, kind) {
            (None, None, _) => Ok(None),
            (Some(from), Some(to), SweepKind::Backfill | SweepKind::Audit) => {
                let goal = Window::new(time(from)?, time(to)?);
                goal.map(Some).ok_or(InvalidRequest("from is not before to"))
            }
            (_, _, SweepKind::Backfill | SweepKind::Audit) => Err(InvalidRequest("from and to go together")),
            (_, _, SweepKind::Incremental | SweepKind::Tmc) => {
                Err(InvalidRequest("from and to are for a backfill or an audit"))
            }
        }
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
    /// Events that were queued.
    pub changed: u64,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn job(text: &str) -> Result<Job, InvalidRequest> {
        serde_json::from_str::<Request>(text).unwrap().job()
    }

    #[test]
    fn a_request_is_a_job_or_says_why_not() {
        let every = job(r#"{"kind":"incremental","marketplace":"1688","shop":"*"}"#).unwrap();
        assert_eq!((every.kind, every.shop, every.goal), (SweepKind::Incremental, None, None));
        let from_to = r#""from":"2026-09-01T00:00:00+08:00","to":"2026-09-02T00:00:00+08:00""#;
        let backfill = format!(r#"{{"kind":"backfill","marketplace":"taobao","shop":"a",{from_to}}}"#);
        assert_eq!(job(&backfill).unwrap().goal.map(Window::length_ms), Some(86_400_000));
        for (text, reason) in [
            (r#"{"kind":"hourly","marketplace":"1688","shop":"a"}"#, "kind is not incremental, tmc, backfill or audit"),
            (r#"{"kind":"audit","marketplace":"ebay","shop":"a"}"#, "marketplace is not 1688 or taobao"),
            (r#"{"kind":"audit","marketplace":"1688","shop":"a#b"}"#, "shop is not a shop's name"),
            (r#"{"kind":"tmc","marketplace":"1688","shop":"a"}"#, "only taobao has messages to pull"),
            (
                r#"{"kind":"backfill","marketplace":"1688","shop":"a","from":"2026-09-01T00:00:00Z"}"#,
                "from and to go together",
            ),
            (
                r#"{"kind":"backfill","marketplace":"1688","shop":"a","from":"2026-09-01","to":"2026-09-02"}"#,
                "from or to is not a time in RFC 3339",
            ),
        ] {
            assert_eq!(job(text).unwrap_err().to_string(), reason);
        }
        let backwards = backfill.replace("2026-09-02T", "2026-08-02T");
        assert_eq!(job(&backwards).unwrap_err().to_string(), "from is not before to");
        let incremental = backfill.replace("backfill", "incremental");
        assert_eq!(job(&incremental).unwrap_err().to_string(), "from and to are for a backfill or an audit");
    }
}
