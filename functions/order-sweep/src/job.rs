//! Which of an order sweep's kinds is asked for, and what of it cannot be.

use domain::Marketplace;
use domain::sweep::{SweepKind, Window};
use protocols::sweeps::{InvalidRequest, Request, Whose};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// What kind of sweep.
    pub kind: Kind,
    /// For which shops.
    pub whose: Whose,
    /// What is to be read, where that was said.
    pub goal: Option<Window>,
}

/// What an order sweep is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What was modified since the watermark.
    Incremental,
    /// Messages that wait at the marketplace.
    Tmc,
    /// What was created within a window of the past.
    Backfill,
    /// What was created yesterday, compared with what we have.
    Audit,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Incremental, Self::Tmc, Self::Backfill, Self::Audit];

    /// As sweeps are kept.
    pub const fn sweep(self) -> SweepKind {
        match self {
            Self::Incremental => SweepKind::Incremental,
            Self::Tmc => SweepKind::Tmc,
            Self::Backfill => SweepKind::Backfill,
            Self::Audit => SweepKind::Audit,
        }
    }

    const fn has_goal(self) -> bool {
        match self {
            Self::Backfill | Self::Audit => true,
            Self::Incremental | Self::Tmc => false,
        }
    }
}

impl Job {
    /// Checks a request.
    pub fn of(request: &Request) -> Result<Self, InvalidRequest> {
        let kind = Kind::ALL.into_iter().find(|kind| kind.sweep().as_str() == request.kind());
        let kind = kind.ok_or(InvalidRequest("kind is not incremental, tmc, backfill or audit"))?;
        let whose = request.whose()?;
        if kind == Kind::Tmc && whose.marketplace != Marketplace::Taobao {
            return Err(InvalidRequest("only taobao has messages to pull"));
        }
        if request.has_goal() && !kind.has_goal() {
            return Err(InvalidRequest("from and to are for a backfill or an audit"));
        }
        Ok(Self { kind, whose, goal: request.goal()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(text: &str) -> Result<Job, InvalidRequest> {
        Job::of(&serde_json::from_str::<Request>(text).unwrap())
    }

    #[test]
    fn a_request_is_a_job_or_says_why_not() {
        let every = job(r#"{"kind":"incremental","marketplace":"1688","shop":"*"}"#).unwrap();
        assert_eq!((every.kind, every.whose.shop, every.goal), (Kind::Incremental, None, None));
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
