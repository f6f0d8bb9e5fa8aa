//! The story that the demo plays: `infra/local/demo/story.json`.
//!
//! Invariant: money is read strictly. A word or an amount that the file misspells there fails the demo before anything
//! is sent.

use std::collections::BTreeSet;

use anyhow::{Context, bail};
use domain::{Currency, Gateway, Money, MovementKind, Sku};
use serde::{Deserialize, Deserializer, de};

const STORY: &str = include_str!("../../../local/demo/story.json");

/// All of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Story {
    pub(super) orders: Vec<OrderStory>,
    /// Pushes that are about no order.
    pub(super) products: Vec<String>,
}

/// One order, from its creation to its end.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OrderStory {
    /// Its name; the run's moment is added.
    pub(super) order: String,
    /// The status that it must end in.
    pub(super) ends_as: String,
    /// The payment state that it must end in.
    pub(super) money_ends_as: String,
    /// The flags that must be raised in the end: these and no others.
    pub(super) flags: BTreeSet<String>,
    /// How the shop front creates it; an order without it is known by hearsay.
    pub(super) created: Option<Creation>,
    /// What gateways tell of by themselves.
    #[serde(default)]
    pub(super) payments: Vec<Payment>,
    /// What the shop front gives back when all that has settled, in turn. The first payment's gateway then tells of it.
    #[serde(default)]
    pub(super) refunds: Vec<Refund>,
    /// The names that its trades have here.
    pub(super) trades: Vec<String>,
    /// What is pushed and reported of it.
    pub(super) events: Vec<Step>,
}

/// How an order is created.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Creation {
    #[serde(deserialize_with = "money")]
    pub(super) price: Money,
    #[serde(deserialize_with = "currency")]
    pub(super) charge_currency: Currency,
    pub(super) lines: Vec<Line>,
    /// The customer is shown a quote first, and the shop front sends it along.
    #[serde(default)]
    pub(super) quoted: bool,
    /// What must be due if the order pinned the rate of `infra/local/rates.xml`.
    pub(super) example: Option<Example>,
    /// How often the shop front asks for it.
    #[serde(default = "once")]
    pub(super) times: usize,
    /// Created when its callbacks have settled.
    #[serde(default)]
    pub(super) late: bool,
}

/// One line of an order.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    pub(super) sku: Sku,
    pub(super) quantity: u32,
    #[serde(deserialize_with = "money")]
    pub(super) unit_price: Money,
}

/// What a price comes to by the example rates.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Example {
    pub(super) rate: String,
    #[serde(deserialize_with = "money")]
    pub(super) due: Money,
}

/// One payment of an order.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Payment {
    #[serde(deserialize_with = "gateway")]
    pub(super) gateway: Gateway,
    pub(super) movements: Vec<Movement>,
}

/// One movement of a payment, as its gateway tells of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Movement {
    pub(super) minutes_ago: i64,
    #[serde(deserialize_with = "kind")]
    pub(super) kind: MovementKind,
    pub(super) amount: Amount,
    /// How often the gateway tells of it.
    #[serde(default = "once")]
    pub(super) times: usize,
    /// Told when all the rest has settled.
    #[serde(default)]
    pub(super) late: bool,
    /// It did not happen: the gateway tells otherwise of a movement that it told of before.
    #[serde(default)]
    pub(super) contradicts: bool,
}

/// A refund that the shop front asks for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Refund {
    pub(super) amount: Amount,
    /// How often the shop front asks for it, under one id.
    #[serde(default = "once")]
    pub(super) times: usize,
    /// How often the gateway tells of it.
    #[serde(default = "once")]
    pub(super) told: usize,
    /// It is more than was paid, and is refused.
    #[serde(default)]
    pub(super) refused: bool,
}

/// An amount: `102.30 EUR`, or one beside what is due: `due`, `due+100`, `due-1`, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) enum Amount {
    Fixed(Money),
    BesideDue(i64),
}

impl Amount {
    /// The money that it is where so much is due.
    pub(super) fn money(self, due: Option<Money>) -> anyhow::Result<Money> {
        match self {
            Self::Fixed(money) => Ok(money),
            Self::BesideDue(more) => {
                let due = due.context("an amount is told beside what is due, and that is not known")?;
                Ok(Money::new(due.minor().saturating_add(more), due.currency())?)
            }
        }
    }
}

impl TryFrom<String> for Amount {
    type Error = anyhow::Error;

    fn try_from(text: String) -> anyhow::Result<Self> {
        match text.strip_prefix("due") {
            Some("") => Ok(Self::BesideDue(0)),
            Some(more) => Ok(Self::BesideDue(more.parse().with_context(|| format!("{text} is not due±NUMBER"))?)),
            None => Ok(Self::Fixed(money_of(&text)?)),
        }
    }
}

/// What a trade's marketplace or a source says, and when.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Step {
    pub(super) minutes_ago: i64,
    /// Sent after all the rest has settled.
    #[serde(default)]
    pub(super) late: bool,
    #[serde(flatten)]
    pub(super) said: Said,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Said {
    Push { push: String, trades: Vec<String> },
    Report { source: String, status: String },
}

/// Reads the story.
pub(super) fn read() -> anyhow::Result<Story> {
    serde_json::from_str(STORY).context("infra/local/demo/story.json")
}

const fn once() -> usize {
    1
}

/// `102.30 EUR`.
fn money_of(text: &str) -> anyhow::Result<Money> {
    let Some((major, code)) = text.split_once(' ') else { bail!("{text} is not an amount such as 102.30 EUR") };
    let currency = Currency::from_code(code).with_context(|| format!("the currency of {text}"))?;
    Money::from_major(major, currency).with_context(|| format!("the amount of {text}"))
}

fn money<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Money, D::Error> {
    named(deserializer, |text| money_of(text).ok())
}

fn currency<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Currency, D::Error> {
    named(deserializer, |code| Currency::from_code(code).ok())
}

fn gateway<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Gateway, D::Error> {
    named(deserializer, Gateway::from_name)
}

fn kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<MovementKind, D::Error> {
    named(deserializer, MovementKind::from_name)
}

/// What a text names.
fn named<'de, D: Deserializer<'de>, T>(deserializer: D, of: impl FnOnce(&str) -> Option<T>) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    of(&text).ok_or_else(|| de::Error::custom(format!("{text:?} is not what belongs here")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Flag, OrderStatus, PaymentState};

    #[test]
    fn every_end_of_the_story_is_one_that_an_order_can_have() {
        for story in read().unwrap().orders {
            assert!(OrderStatus::ALL.map(OrderStatus::as_str).contains(&&*story.ends_as), "{}", story.order);
            assert!(PaymentState::ALL.map(PaymentState::as_str).contains(&&*story.money_ends_as), "{}", story.order);
            for flag in &story.flags {
                assert!(Flag::ALL.map(Flag::as_str).contains(&flag.as_str()), "{}: {flag}", story.order);
            }
        }
    }

    #[test]
    fn the_story_has_every_gateway_and_every_payment_state() {
        let orders = read().unwrap().orders;
        let gateways = orders.iter().flat_map(|story| &story.payments).map(|payment| payment.gateway);
        assert_eq!(gateways.collect::<BTreeSet<_>>(), BTreeSet::from(Gateway::ALL));
        let states: BTreeSet<&str> = orders.iter().map(|story| story.money_ends_as.as_str()).collect();
        assert_eq!(states, PaymentState::ALL.map(PaymentState::as_str).into());
    }

    #[test]
    fn the_example_of_the_story_is_that_of_the_example_rates() {
        let rates = protocols::ecb::read(include_str!("../../../local/rates.xml")).unwrap();
        let day = domain::UnixMillis::from_rfc3339("2026-11-20T12:00:00Z").unwrap();
        let mut examples = 0;
        for creation in read().unwrap().orders.into_iter().filter_map(|story| story.created) {
            let Some(example) = creation.example else { continue };
            let rate = rates.rate(creation.price.currency(), creation.charge_currency, day).unwrap();
            assert_eq!(rate.value().to_string(), example.rate);
            assert_eq!(rate.convert(creation.price), Ok(example.due));
            examples += 1;
        }
        assert!(examples > 0);
    }

    #[test]
    fn an_amount_is_fixed_or_beside_what_is_due() {
        let euros = |minor| Money::new(minor, Currency::EUR).unwrap();
        let amount = |text: &str| Amount::try_from(text.to_owned());
        let of = |text: &str, due: i64| amount(text).unwrap().money(Some(euros(due))).ok();
        assert_eq!(of("102.30 EUR", 1), Some(euros(10_230)));
        assert_eq!([of("due", 5), of("due+7", 5), of("due-5", 5)], [5, 12, 0].map(|minor| Some(euros(minor))));
        assert_eq!(of("due-6", 5), None, "less than nothing");
        assert!(amount("due").unwrap().money(None).is_err());
        for text in ["", "102.30", "102.30 eur", "102.305 EUR", "due 1", "due1.5", "dues", "-1 EUR"] {
            assert!(amount(text).is_err(), "{text}");
        }
    }
}
