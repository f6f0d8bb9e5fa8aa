//! What the demo sends: the orders of `infra/local/demo/story.json`, and what strangers and broken senders
//! send besides.
//!
//! Invariant: ids carry the run's moment, so that every run tells its story with orders of its own.

use adapters::secrets::Secrets;
use anyhow::Context;
use domain::{MessageId, OrderId, ReportedStatus, ShopId, SourceName, TradeId, UnixMillis};
use protocols::{Channel, Credentials};
use reqwest::Method;
use secrecy::SecretString;
use serde::Deserialize;

use crate::delivery::{self, Delivery};
use crate::http::Request;
use crate::samples;

const STORY: &str = include_str!("../../../local/demo/story.json");

/// The shop that the pushes are for, and the source that probes and forgeries name.
pub(super) const SHOP: &str = "demo";
const WAREHOUSE: &str = "warehouse";

const ACCEPTED: &str = "200 accepted";
/// Past the five minutes that a timestamp is good for.
const STALE_MS: i64 = 301_000;
/// Above the 256 KiB that a body may have.
const TOO_LARGE_BYTES: usize = 300 * 1024;

#[derive(Deserialize)]
struct Story {
    orders: Vec<OrderStory>,
    products: Vec<String>,
}

#[derive(Deserialize)]
struct OrderStory {
    order: String,
    ends_as: String,
    flags: Vec<String>,
    trades: Vec<String>,
    events: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    minutes_ago: i64,
    /// Sent after all the rest has settled.
    #[serde(default)]
    late: bool,
    #[serde(flatten)]
    said: Said,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Said {
    Push { push: String, trades: Vec<String> },
    Report { source: String, status: String },
}

/// What is done to send one thing.
#[derive(Debug, Clone)]
pub(super) enum Act {
    /// A delivery, signed when it goes.
    Deliver(Delivery),
    /// A request as it is.
    Request(Request),
    /// The shop front links trades to an order.
    Link(OrderId, Vec<TradeId>),
}

/// Sender and id of an event, as the functions log them.
pub(super) type EventKey = (String, String);

/// One thing to send.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    /// Its kind: one row of the closing table.
    pub(super) kind: String,
    /// What is done.
    pub(super) act: Act,
    /// What the functions log an outcome of when it is accepted.
    pub(super) events: Vec<EventKey>,
    /// The answer that it must get.
    pub(super) expected: &'static str,
}

/// How an order must end.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) order: OrderId,
    pub(super) status: String,
    pub(super) flags: Vec<String>,
}

/// The whole demo.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Sent in any order.
    pub(super) first: Vec<Planned>,
    /// Sent when the first have settled.
    pub(super) late: Vec<Planned>,
    pub(super) endings: Vec<Ending>,
}

/// Builds the plan of a run that starts now.
pub(super) fn plan(secrets: &Secrets, now: UnixMillis) -> anyhow::Result<Plan> {
    let story: Story = serde_json::from_str(STORY).context("infra/local/demo/story.json")?;
    let mut planner = Planner { secrets, now, trades: 0, messages: 0, plan: Plan::default() };
    for order in story.orders {
        planner.order(&order).with_context(|| format!("the story of {}", order.order))?;
    }
    for product in &story.products {
        let planned = planner.push(product, &[], now)?;
        planner.plan.first.push(planned);
    }
    planner.captured();
    planner.strangers()?;
    Ok(planner.plan)
}

/// A run's own part of order ids: month, day and time.
pub(super) fn tag(now: UnixMillis) -> String {
    let text: String = now.to_rfc3339().chars().filter(|char| !matches!(char, '-' | ':')).collect();
    text.get(4..15).map_or_else(|| now.get().to_string(), str::to_owned)
}

/// A source's report, from the sender that the demo's probes are.
pub(super) fn report(
    secrets: &Secrets,
    source: &str,
    order: &OrderId,
    status: ReportedStatus,
    at: UnixMillis,
) -> anyhow::Result<Delivery> {
    let channel = Channel::Source(SourceName::new(source)?);
    let credentials = secrets.credentials(&channel).with_context(|| format!("the secrets have no source {source}"))?;
    let text = samples::report(&credentials, order, status, at);
    let id = match credentials {
        Credentials::StandardWebhooks(_) => format!("msg_{order}_{}_{}", status.status().as_str(), at.seconds()),
        // The writer's id of an event that has none: the digest of its body.
        Credentials::FlatHmac(_) | Credentials::Ali1688(_) => delivery::digest(&text),
    };
    Ok(Delivery { channel, text, id })
}

/// A probe's report: the goods of a fresh order arrived.
pub(super) fn probe(secrets: &Secrets, order: &OrderId, at: UnixMillis) -> anyhow::Result<Delivery> {
    report(secrets, WAREHOUSE, order, ReportedStatus::Arrived, at)
}

struct Planner<'a> {
    secrets: &'a Secrets,
    now: UnixMillis,
    trades: u32,
    messages: u32,
    plan: Plan,
}

impl Planner<'_> {
    fn order(&mut self, story: &OrderStory) -> anyhow::Result<()> {
        let order = OrderId::new(format!("{}-{}", story.order, tag(self.now)))?;
        let trades: Vec<(&str, TradeId)> =
            story.trades.iter().map(|name| Ok((name.as_str(), self.fresh_trade()?))).collect::<anyhow::Result<_>>()?;
        for step in &story.events {
            let at = self.now.saturating_add_ms(-step.minutes_ago * 60_000);
            let planned = match &step.said {
                Said::Push { push, trades: names } => {
                    let named =
                        |name: &String| trades.iter().find(|(known, _)| known == name).map(|(_, id)| id.clone());
                    let about = names.iter().map(named).collect::<Option<Vec<TradeId>>>();
                    self.push(push, &about.context("a push names a trade that the order has not")?, at)?
                }
                Said::Report { source, status } => self.report(source, &order, status, at)?,
            };
            if step.late { self.plan.late.push(planned) } else { self.plan.first.push(planned) }
        }
        self.plan.first.push(Planned {
            kind: "the shop front links trades".to_owned(),
            act: Act::Link(order.clone(), trades.into_iter().map(|(_, id)| id).collect()),
            events: Vec::new(),
            expected: "200",
        });
        self.plan.endings.push(Ending { order, status: story.ends_as.clone(), flags: story.flags.clone() });
        Ok(())
    }

    /// 18 digits, beyond 2^53, like the marketplace's own.
    fn fresh_trade(&mut self) -> anyhow::Result<TradeId> {
        self.trades += 1;
        Ok(TradeId::new(format!("{}{:08}", self.now.seconds(), self.trades))?)
    }

    fn push(&mut self, name: &str, trades: &[TradeId], at: UnixMillis) -> anyhow::Result<Planned> {
        self.messages += 1;
        let id = MessageId::new(format!("{}{:04}", self.now.get(), self.messages))?;
        let text = samples::push(name, trades, &id, at)?;
        let channel = Channel::Ali1688(ShopId::new(SHOP)?);
        let sender = channel.sender();
        let events = match trades {
            [] | [_] => vec![(sender, id.to_string())],
            several => (0..several.len()).map(|place| (sender.clone(), format!("{id}.{place}"))).collect(),
        };
        let delivery = Delivery { channel, text, id: id.to_string() };
        Ok(Planned { kind: name.to_owned(), act: Act::Deliver(delivery), events, expected: ACCEPTED })
    }

    fn report(&self, source: &str, order: &OrderId, status: &str, at: UnixMillis) -> anyhow::Result<Planned> {
        let status = ReportedStatus::from_name(status).with_context(|| format!("no source reports {status}"))?;
        let delivery = report(self.secrets, source, order, status, at)?;
        Ok(Planned {
            kind: format!("order.status of the {source}"),
            events: vec![(delivery.channel.sender(), delivery.id.clone())],
            act: Act::Deliver(delivery),
            expected: ACCEPTED,
        })
    }

    /// The captured body, byte for byte: a later run on the same stack finds it a duplicate.
    fn captured(&mut self) {
        let request = Request {
            method: Method::POST,
            path: format!("/webhooks/1688/{SHOP}"),
            headers: vec![("Content-Type", "application/x-www-form-urlencoded".to_owned())],
            body: samples::CAPTURED_BODY.trim_end().as_bytes().to_vec(),
        };
        self.plan.first.push(Planned {
            kind: "a captured body, as it came".to_owned(),
            act: Act::Request(request),
            events: vec![(format!("1688/{SHOP}"), samples::CAPTURED_MESSAGE_ID.to_owned())],
            expected: ACCEPTED,
        });
    }

    /// Forged and malformed requests. None of them may leave a trace.
    fn strangers(&mut self) -> anyhow::Result<()> {
        let order = OrderId::new(format!("forged-{}", tag(self.now)))?;
        let report = report(self.secrets, WAREHOUSE, &order, ReportedStatus::Completed, self.now)?;
        let push_text =
            samples::push("ORDER_BUYER_VIEW_ORDER_PAY", &[self.fresh_trade()?], &MessageId::new("1")?, self.now)?;
        let shop = Channel::Ali1688(ShopId::new(SHOP)?);
        let push = |text: &str| Delivery { channel: shop.clone(), text: text.to_owned(), id: String::new() };
        let guess = vec![SecretString::from("a-guess")];
        let guessed = Credentials::Ali1688(guess.clone());
        let unsigned = Request {
            headers: Vec::new(),
            body: b"message=%7B%7D".to_vec(),
            ..push("").sign_with(&guessed, self.now)?
        };
        let stranger = Delivery { channel: Channel::Ali1688(ShopId::new("stranger")?), ..push(&push_text) };
        let elsewhere = Request { path: "/webhooks/1688".to_owned(), ..unsigned.clone() };
        let large = Request { body: vec![b'x'; TOO_LARGE_BYTES], ..unsigned.clone() };
        let impossible = Delivery { text: report.text.replace("completed", "refunded"), ..report.clone() };
        let stale = report.sign(self.secrets, self.now.saturating_add_ms(-STALE_MS))?;
        let of_guess = report.sign_with(&Credentials::FlatHmac(guess), self.now)?;
        let signed = |delivery: &Delivery| delivery.sign(self.secrets, self.now);
        let requests = [
            ("forged: signed with a guess", "401 signature_invalid", push(&push_text).sign_with(&guessed, self.now)?),
            ("forged: another scheme's signature", "401 signature_missing", of_guess),
            ("forged: no signature", "401 signature_missing", unsigned),
            ("forged: replayed after five minutes", "401 timestamp_invalid", stale),
            ("forged: a shop that we do not have", "404 not_found", stranger.sign_with(&guessed, self.now)?),
            ("malformed: signed, and not JSON", "400 malformed", signed(&push("not JSON"))?),
            ("malformed: 300 KiB", "413 too_large", large),
            ("malformed: a path that is not there", "404 Not Found", elsewhere),
            ("impossible: a warehouse that refunds", "422 impossible", signed(&impossible)?),
        ];
        self.plan.first.extend(requests.into_iter().map(|(kind, expected, request)| Planned {
            kind: kind.to_owned(),
            act: Act::Request(request),
            events: Vec::new(),
            expected,
        }));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn planned() -> Plan {
        let secrets = Secrets::from_json(include_str!("../../../local/secrets.json")).unwrap();
        plan(&secrets, UnixMillis::from_rfc3339("2026-11-21T21:30:45.123Z").unwrap()).unwrap()
    }

    #[test]
    fn the_story_has_every_push_type_and_no_event_twice() {
        let plan = planned();
        let kinds: BTreeSet<&str> = plan.first.iter().map(|planned| planned.kind.as_str()).collect();
        for (name, _) in samples::PUSHES {
            assert!(kinds.contains(name), "{name}");
        }
        let events: Vec<&EventKey> = plan.first.iter().chain(&plan.late).flat_map(|planned| &planned.events).collect();
        assert_eq!(events.iter().collect::<BTreeSet<_>>().len(), events.len());
    }

    #[test]
    fn every_order_has_an_id_of_its_run() {
        for ending in planned().endings {
            assert!(ending.order.as_str().ends_with("-1121T213045"), "{}", ending.order);
        }
    }
}
