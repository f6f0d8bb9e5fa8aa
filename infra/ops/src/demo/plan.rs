//! What the demo sends: what marketplaces, sources and the shop front say of the story's orders, and what strangers
//! and broken senders send besides. What gateways tell follows in [`super::payments`], once it is known what is due.
//!
//! Invariant: ids carry the run's moment, so that every run tells its story with orders of its own.

use adapters::secrets::Secrets;
use anyhow::{Context, ensure};
use domain::{
    Gateway, MessageId, Money, OrderId, PaymentEvent, RefundId, ReportedStatus, ShopId, SourceName, TradeId, UnixMillis,
};
use protocols::gateway::stripe;
use protocols::{Channel, Credentials};
use reqwest::Method;
use secrecy::SecretString;
use serde_json::json;

use super::payments::{NamedPayment, Told};
use super::shop_front::Quote;
use super::story::{self, Creation, OrderStory, Said};
use crate::delivery::{self, Delivery};
use crate::http::Request;
use crate::samples::{self, Gateways};

/// The shop that the pushes are for, and the source that probes and forgeries name.
pub(super) const SHOP: &str = "demo";
const WAREHOUSE: &str = "warehouse";

/// The kind of a creation.
pub(super) const CREATES: &str = "the shop front creates an order";

/// A rate of euros for a yen that no day of this century comes near.
const FAR_OFF: &str = "0.02";

const ACCEPTED: &str = "200 accepted";
/// Past the five minutes that a timestamp is good for.
const STALE_MS: i64 = 301_000;
/// A sum that Stripe tells besides each refund; it moves no money.
const SILENT: &str = "charge.refunded";
/// Above the 256 KiB that a body may have.
const TOO_LARGE_BYTES: usize = 300 * 1024;

/// What is done to send one thing.
#[derive(Debug, Clone)]
pub(super) enum Act {
    /// A delivery, signed when it goes.
    Deliver(Delivery),
    /// A request as it is.
    Request(Request),
    /// The shop front links trades to an order.
    Link(OrderId, Vec<TradeId>),
    /// The shop front creates an order, for a customer who may have been shown a quote.
    Create(OrderId, Creation, Option<Quote>),
    /// The shop front gives money back.
    Refund(OrderId, RefundId, Money),
    /// A gateway tells of a movement, signed when it goes.
    Callback(PaymentEvent),
}

/// What the functions log an event under: its sender and the sender's id, or a payment and its movement.
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

/// An order of this run.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) id: OrderId,
    pub(super) story: OrderStory,
    /// What is due: known beforehand where price and charge have one currency, else from the answer to its creation.
    pub(super) due: Option<Money>,
    /// Its payments, as the story lists them.
    pub(super) payments: Vec<NamedPayment>,
    /// Everything that gateways tell of it.
    pub(super) told: Vec<Told>,
}

/// The whole demo.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Sent in any order.
    pub(super) first: Vec<Planned>,
    /// Sent when the first have settled.
    pub(super) late: Vec<Planned>,
    pub(super) orders: Vec<Order>,
}

/// Builds the plan of a run that starts now.
pub(super) fn plan(secrets: &Secrets, gateways: &Gateways<'_>, now: UnixMillis) -> anyhow::Result<Plan> {
    let story = story::read()?;
    let mut planner = Planner { secrets, gateways, now, trades: 0, messages: 0, payments: 0, plan: Plan::default() };
    for order in story.orders {
        let name = order.order.clone();
        planner.order(order).with_context(|| format!("the story of {name}"))?;
    }
    for product in &story.products {
        let planned = planner.push(product, &[], now)?;
        planner.plan.first.push(planned);
    }
    planner.captured();
    planner.strangers()?;
    planner.false_gateways()?;
    planner.moved_rate()?;
    Ok(planner.plan)
}

/// What the shop front asks for. Nothing is logged of it that is waited for.
pub(super) fn of_shop_front(kind: &str, act: Act, expected: &'static str) -> Planned {
    Planned { kind: kind.to_owned(), act, events: Vec::new(), expected }
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
    gateways: &'a Gateways<'a>,
    now: UnixMillis,
    trades: u32,
    messages: u32,
    payments: usize,
    plan: Plan,
}

impl Planner<'_> {
    fn order(&mut self, story: OrderStory) -> anyhow::Result<()> {
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
        let trades: Vec<TradeId> = trades.into_iter().map(|(_, id)| id).collect();
        if !trades.is_empty() {
            let act = Act::Link(order.clone(), trades);
            self.plan.first.push(of_shop_front("the shop front links trades", act, "200"));
        }
        self.creation(&order, &story)?;
        let payments = story.payments.iter().map(|payment| self.fresh_payment(payment.gateway));
        let payments = payments.collect::<anyhow::Result<_>>()?;
        let creation = story.created.as_ref();
        let is_in_one = |creation: &&Creation| creation.price.currency() == creation.charge_currency;
        let due = creation.filter(is_in_one).map(|creation| creation.price);
        self.plan.orders.push(Order { id: order, story, due, payments, told: Vec::new() });
        Ok(())
    }

    /// The creation of an order that its callbacks go before, and every creation that is asked for again. All others
    /// come before everything else, because what is due must be known.
    fn creation(&mut self, order: &OrderId, story: &OrderStory) -> anyhow::Result<()> {
        let Some(creation) = &story.created else { return Ok(()) };
        let act = Act::Create(order.clone(), creation.clone(), None);
        let again = of_shop_front("the shop front creates an order again", act.clone(), "200");
        let again = std::iter::repeat_n(again, creation.times.saturating_sub(1));
        if creation.late {
            ensure!(creation.times == 1 && !creation.quoted, "an order that is created late is created once, unquoted");
            self.plan.late.push(of_shop_front(CREATES, act, "201"));
        }
        self.plan.first.extend(again);
        Ok(())
    }

    fn fresh_payment(&mut self, gateway: Gateway) -> anyhow::Result<NamedPayment> {
        self.payments += 1;
        NamedPayment::new(gateway, self.now, self.payments)
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
        let shop = ShopId::new(SHOP)?;
        let read = protocols::ali1688::push::read(&text, &shop)?.events;
        let channel = Channel::Ali1688(shop);
        // Of one that says nothing for us intake alone tells, by the message's own id.
        let ids = match read.is_empty() {
            true => vec![id.to_string()],
            false => read.iter().filter_map(|event| event.id().map(str::to_owned)).collect(),
        };
        let events = ids.into_iter().map(|id| (channel.sender(), id)).collect();
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
            headers: vec![("Content-Type".into(), "application/x-www-form-urlencoded".to_owned())],
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
        self.requests(requests);
        Ok(())
    }

    fn requests<const N: usize>(&mut self, requests: [(&str, &'static str, Request); N]) {
        self.plan.first.extend(requests.into_iter().map(|(kind, expected, request)| Planned {
            kind: kind.to_owned(),
            act: Act::Request(request),
            events: Vec::new(),
            expected,
        }));
    }

    /// Callbacks that no gateway of ours sent, and one that tells of no movement.
    fn false_gateways(&mut self) -> anyhow::Result<()> {
        let (gateways, now) = (self.gateways, self.now);
        let summary = json!({
            "id": format!("evt_{}", now.get()), "object": "event", "type": SILENT, "created": now.seconds(),
            "data": {"object": {"id": "ch_1", "object": "charge", "amount_refunded": 100}},
        });
        let summary = gateways.signed(Gateway::Stripe, &summary.to_string(), now)?;
        let guess = stripe::sign(&SecretString::from("whsec_a_guess"), now.seconds(), &summary.body);
        let guessed = with_header(summary.clone(), "stripe-signature", &guess);
        let elsewhere = Request { path: "/payments/square".to_owned(), ..summary.clone() };
        let paypal = gateways.signed(Gateway::Paypal, r#"{"event_type":"PAYMENT.CAPTURE.COMPLETED"}"#, now)?;
        let own_key = with_header(paypal, "paypal-cert-url", "https://paypal.example/v1/notifications/certs/CERT-1");
        self.requests([
            ("forged: Stripe's signature is a guess", "401 signature_invalid", guessed),
            ("forged: PayPal's certificate is elsewhere", "401 signature_invalid", own_key),
            ("forged: a gateway that we do not have", "404 not_found", elsewhere),
        ]);
        self.plan.first.push(Planned {
            kind: format!("stripe: {SILENT}"),
            act: Act::Request(summary),
            events: vec![(Gateway::Stripe.as_str().to_owned(), SILENT.to_owned())],
            expected: ACCEPTED,
        });
        Ok(())
    }

    /// An order whose customer was shown a rate that is not today's.
    fn moved_rate(&mut self) -> anyhow::Result<()> {
        let orders = self.plan.orders.iter();
        let mut quoted = orders.filter_map(|order| order.story.created.clone().filter(|creation| creation.quoted));
        let creation = quoted.next().context("the story has no order with a quote")?;
        let quote = Quote { rate: FAR_OFF.to_owned(), captured_at: self.now.to_rfc3339() };
        let act = Act::Create(OrderId::new(format!("rate-moved-{}", tag(self.now)))?, creation, Some(quote));
        self.plan.first.push(of_shop_front("refused: a quote that is far off", act, "409 rate_moved"));
        Ok(())
    }
}

fn with_header(mut request: Request, name: &str, value: &str) -> Request {
    let named = request.headers.iter_mut().filter(|(known, _)| known == name);
    named.for_each(|(_, old)| *old = value.to_owned());
    request
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use domain::Currency;

    use super::*;
    use crate::demo::payments;

    fn now() -> UnixMillis {
        UnixMillis::from_rfc3339("2026-11-21T21:30:45.123Z").unwrap()
    }

    fn secrets() -> Secrets {
        Secrets::from_json(include_str!("../../../local/secrets.json")).unwrap()
    }

    fn planned() -> Plan {
        let secrets = secrets();
        plan(&secrets, &Gateways::new(&secrets), now()).unwrap()
    }

    /// The orders with everything that their gateways will tell: as if each were created with the example rates, and
    /// each refund came to one minor unit.
    fn told() -> Vec<Order> {
        let rates = protocols::ecb::read(include_str!("../../../local/rates.xml")).unwrap();
        let mut orders = planned().orders;
        for order in &mut orders {
            if let (None, Some(creation)) = (order.due, &order.story.created) {
                let rate = rates.rate(creation.price.currency(), creation.charge_currency, now()).unwrap();
                order.due = Some(rate.convert(creation.price).unwrap());
            }
            order.told = payments::told(order, now()).unwrap();
            for number in 1..=order.story.refunds.len() {
                let one = Money::new(1, order.due.map_or(Currency::EUR, Money::currency)).unwrap();
                order.told.push(payments::refund_told(order, (number, 1), one, now()).unwrap());
            }
        }
        orders
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
    fn every_order_and_every_payment_has_an_id_of_its_run() {
        let mut keys = BTreeSet::new();
        for order in planned().orders {
            assert!(order.id.as_str().ends_with("-1121T213045"), "{}", order.id);
            for payment in order.payments {
                assert!(payment.key.to_string().contains("1795296645123"), "{}", payment.key);
                assert!(keys.insert(payment.key.clone()), "{} is used twice", payment.key);
            }
        }
    }

    #[test]
    fn every_movement_of_the_story_is_one_that_its_gateway_can_tell_of() {
        let secrets = secrets();
        let gateways = Gateways::new(&secrets);
        for order in told() {
            for told in &order.told {
                gateways.callback(&told.event, now()).unwrap_or_else(|error| panic!("{}: {error:#}", order.id));
            }
        }
    }

    #[test]
    fn a_movement_is_told_of_under_one_name_and_otherwise_only_where_the_story_says_so() {
        for order in told() {
            let names = |contradicts: bool| {
                let told = order.told.iter().filter(move |told| told.contradicts == contradicts);
                told.map(|told| (&told.event.payment, told.event.kind, &told.event.transaction_id)).collect::<Vec<_>>()
            };
            let happened: BTreeSet<_> = names(false).into_iter().collect();
            assert_eq!(happened.len(), names(false).len(), "{}", order.id);
            for name in names(true) {
                assert!(happened.contains(&name), "{}: {name:?} contradicts nothing", order.id);
            }
            for told in order.told.iter().filter(|told| told.contradicts) {
                assert!(told.late, "{}: what comes first is kept, so that a contradiction must come late", order.id);
            }
        }
    }

    #[test]
    fn one_order_is_created_after_its_callbacks_and_one_refund_comes_before_its_capture() {
        let orders = told();
        let late = |order: &&Order| order.story.created.as_ref().is_some_and(|creation| creation.late);
        let late: Vec<&Order> = orders.iter().filter(late).collect();
        assert!(late.iter().any(|order| order.told.iter().any(|told| !told.late)));
        let is = |told: &&Told, kind: domain::MovementKind, late: bool| (told.event.kind, told.late) == (kind, late);
        let overtakes = |order: &&Order| {
            order.told.iter().any(|told| is(&told, domain::MovementKind::Captured, true))
                && order.told.iter().any(|told| is(&told, domain::MovementKind::Refunded, false))
        };
        assert!(orders.iter().any(|order| overtakes(&order)));
    }
}
