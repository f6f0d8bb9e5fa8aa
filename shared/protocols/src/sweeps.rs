//! What a schedule or an operator asks of a function that sweeps, and what is answered.

use domain::sweep::{SweepKind, Window};
use domain::{Marketplace, ShopId, UnixMillis};
use serde::{Deserialize, Serialize};

/// The shop's name that means every shop of the marketplace: shops stand in the secrets document, and a schedule in
/// the template. No shop has this name.
const EVERY_SHOP: &str = "*";

/// `{"kind","marketplace","shop"}`, and where a function takes them `"from"` and `"to"` (RFC 3339). Which words are a
/// kind is the function's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    kind: String,
    marketplace: String,
    shop: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
    /// One of a kind, for these shops, and from when to when where that is to be said.
    pub fn new(kind: &str, whose: &Whose, goal: Option<Window>) -> Self {
        Self {
            kind: kind.to_owned(),
            marketplace: whose.marketplace.as_str().to_owned(),
            shop: whose.shop.as_ref().map_or(EVERY_SHOP, ShopId::as_str).to_owned(),
            from: goal.map(|goal| goal.start().to_rfc3339()),
            to: goal.map(|goal| goal.end().to_rfc3339()),
        }
    }

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swept {
    /// The kind.
    pub kind: String,
    /// Where.
    pub marketplace: String,
    /// For which shop.
    pub shop: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Rows or messages that this run read.
    pub listed: u64,
    /// Those of them that had changed, and led to something that was queued.
    pub changed: u64,
    /// Pictures that were asked for, of a sweep that asks for pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested: Option<u64>,
    /// Where the sweep stands now (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermark: Option<String>,
    /// Why, when it did not finish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Swept {
    /// That the sweep of a kind, for one shop, ended so, without having read anything.
    pub fn ended(kind: SweepKind, marketplace: Marketplace, shop: &ShopId, outcome: Outcome) -> Self {
        Self::unread((kind.as_str(), marketplace.as_str(), shop.as_str()), outcome)
    }

    /// A sweep that was not begun.
    pub fn refused(request: &Request, reason: &impl ToString) -> Self {
        let asked = (request.kind.as_str(), request.marketplace.as_str(), request.shop.as_str());
        Self { reason: Some(reason.to_string()), ..Self::unread(asked, Outcome::Refused) }
    }

    fn unread((kind, marketplace, shop): (&str, &str, &str), outcome: Outcome) -> Self {
        Self {
            kind: kind.to_owned(),
            marketplace: marketplace.to_owned(),
            shop: shop.to_owned(),
            outcome,
            listed: 0,
            changed: 0,
            requested: None,
            watermark: None,
            reason: None,
        }
    }
}

/// The answer: what became of each shop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// One entry a shop.
    pub sweeps: Vec<Swept>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_as_it_was_written_and_without_a_goal_has_no_window_in_it() {
        let every = Whose { marketplace: Marketplace::Alibaba1688, shop: None };
        let request = Request::new("incremental", &every, None);
        let text = serde_json::to_string(&request).unwrap();
        assert_eq!(text, r#"{"kind":"incremental","marketplace":"1688","shop":"*"}"#);
        assert_eq!(serde_json::from_str::<Request>(&text).unwrap().whose(), Ok(every));
        let one = Whose { marketplace: Marketplace::Taobao, shop: Some(ShopId::new("demo").unwrap()) };
        let goal = Window::new(UnixMillis::new(1_000).unwrap(), UnixMillis::new(2_000).unwrap());
        let text = serde_json::to_string(&Request::new("audit", &one, goal)).unwrap();
        let read: Request = serde_json::from_str(&text).unwrap();
        assert_eq!((read.whose(), read.goal(), read.has_goal()), (Ok(one), Ok(goal), true));
    }

    #[test]
    fn an_answer_is_read_with_and_without_its_optional_words() {
        let text = r#"{"sweeps":[{"kind":"audit","marketplace":"taobao","shop":"a","outcome":"held","listed":0,"changed":0},{"kind":"audit","marketplace":"taobao","shop":"b","outcome":"failed","listed":3,"changed":1,"watermark":"2026-11-24T16:00:00.000Z","reason":"away"}]}"#;
        let answer: Answer = serde_json::from_str(text).unwrap();
        let outcomes = answer.sweeps.iter().map(|swept| swept.outcome).collect::<Vec<_>>();
        assert_eq!(outcomes, [Outcome::Held, Outcome::Failed]);
        assert_eq!(serde_json::to_string(&answer).unwrap(), text);
        for outcome in
            [Outcome::Finished, Outcome::Unfinished, Outcome::Held, Outcome::Paused, Outcome::Failed, Outcome::Refused]
        {
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.as_str());
        }
    }
}
