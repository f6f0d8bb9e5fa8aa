//! Which of a product sweep's kinds is asked for, and what of it cannot be.

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

/// What a product sweep is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What was modified since the watermark, and what pushes reported.
    Incremental,
    /// What was last modified within a window of the past.
    Backfill,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Incremental, Self::Backfill];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Incremental => "incremental",
            Self::Backfill => "backfill",
        }
    }

    /// As sweeps are kept: orders of the same shop have their own.
    pub const fn sweep(self) -> SweepKind {
        match self {
            Self::Incremental => SweepKind::Products,
            Self::Backfill => SweepKind::Catalogue,
        }
    }
}

impl Job {
    /// Checks a request.
    pub fn of(request: &Request) -> Result<Self, InvalidRequest> {
        let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == request.kind());
        let kind = kind.ok_or(InvalidRequest("kind is not incremental or backfill"))?;
        let whose = request.whose()?;
        if whose.marketplace != Marketplace::Alibaba1688 {
            return Err(InvalidRequest("products are swept at 1688 alone"));
        }
        if request.has_goal() && kind == Kind::Incremental {
            return Err(InvalidRequest("from and to are for a backfill"));
        }
        Ok(Self { kind, whose, goal: request.goal()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(text: &str) -> Result<Job, String> {
        Job::of(&serde_json::from_str::<Request>(text).unwrap()).map_err(|invalid| invalid.to_string())
    }

    #[test]
    fn a_request_is_a_job_or_says_why_not() {
        let every = job(r#"{"kind":"incremental","marketplace":"1688","shop":"*"}"#).unwrap();
        assert_eq!((every.kind, every.whose.shop, every.goal), (Kind::Incremental, None, None));
        let from_to = r#""from":"2026-09-01T00:00:00+08:00","to":"2026-09-02T00:00:00+08:00""#;
        let backfill = format!(r#"{{"kind":"backfill","marketplace":"1688","shop":"a",{from_to}}}"#);
        assert_eq!(job(&backfill).unwrap().goal.map(Window::length_ms), Some(86_400_000));
        assert_eq!(job(r#"{"kind":"backfill","marketplace":"1688","shop":"a"}"#).unwrap().goal, None);
        for (text, reason) in [
            (r#"{"kind":"audit","marketplace":"1688","shop":"a"}"#, "kind is not incremental or backfill"),
            (r#"{"kind":"products","marketplace":"1688","shop":"a"}"#, "kind is not incremental or backfill"),
            (r#"{"kind":"backfill","marketplace":"taobao","shop":"a"}"#, "products are swept at 1688 alone"),
            (r#"{"kind":"backfill","marketplace":"1688","shop":"a/b"}"#, "shop is not a shop's name"),
            (&backfill.replace("backfill", "incremental"), "from and to are for a backfill"),
            (&backfill.replace("2026-09-02T", "2026-08-02T"), "from is not before to"),
        ] {
            assert_eq!(job(text), Err(reason.to_owned()), "{text}");
        }
    }
}
