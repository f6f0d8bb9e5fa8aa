//! `sampan send`: deliveries of one's own, signed with the stack's secrets, and callbacks of gateways, signed with the
//! test keys that the local stack's secrets hold.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use adapters::clock::{Clock, SystemClock};
use adapters::secrets::Secrets;
use anyhow::{Context, ensure};
use clap::Args;
use clap::builder::PossibleValuesParser;
use domain::{
    Currency, Gateway, MessageId, Money, MovementKind, OrderId, PaymentEvent, PaymentId, PaymentKey, ReportedStatus,
    ShopId, SourceName, TradeId, TransactionId, UnixMillis,
};
use futures::{StreamExt, TryStreamExt};
use protocols::Channel;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::delivery::{self, Delivery};
use crate::http::Request;
use crate::samples::{self, Gateways};
use crate::stack::Session;
use crate::table::{bar, table};

/// The sample that a source sends.
const ORDER_STATUS: &str = "order.status";
/// Where callbacks go; the gateway's name follows.
const PAYMENTS: &str = "/payments/";
/// The heading that the options of a callback have in the help.
const CALLBACK: &str = "A gateway's callback";

/// What to send.
#[derive(Debug, Args)]
#[command(after_help = "A file of deliveries has one JSON object a line:
  {\"to\": \"/webhooks/1688/SHOP\", \"message\": {…}}        a push; the message is an object or a text
  {\"to\": \"/webhooks/events/SOURCE\", \"body\": {…}}       a source's event; \"id\" may give its webhook-id
  {\"to\": \"/payments/GATEWAY\", \"body\": {…}}             a callback; the body is an object or a text

A callback is signed with test keys. Only a stack whose secrets hold them takes it; infra/local/secrets.json does.")]
pub struct Arguments {
    /// A sample by its type: a push type of 1688, or a source's order.status
    #[arg(long, value_name = "NAME", value_parser = sample_names(), required_unless_present_any = ["file", "payment"])]
    sample: Option<String>,
    /// A file of deliveries
    #[arg(long, value_name = "FILE", conflicts_with = "sample")]
    file: Option<PathBuf>,
    /// The shop that a push is for
    #[arg(long, default_value = "demo")]
    shop: String,
    /// The trade that a push is about, in 1688's words the order; several for ORDER_BATCH_PAY [default: a new one]
    #[arg(long, value_name = "ID")]
    trade: Vec<String>,
    /// The source that reports an order.status
    #[arg(long, default_value = "warehouse")]
    source: String,
    /// The order that an order.status or a callback is about
    #[arg(long, value_name = "ID", required_if_eq("sample", ORDER_STATUS))]
    order: Option<String>,
    /// What an order.status reports
    #[arg(long, default_value = "arrived")]
    status: String,
    /// Send everything so many times
    #[arg(long, value_name = "TIMES", default_value_t = 1)]
    repeat: usize,
    /// Requests at once
    #[arg(long, value_name = "REQUESTS", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
    #[command(flatten)]
    callback: CallbackArguments,
}

/// What a gateway tells of.
#[derive(Debug, Args)]
#[command(next_help_heading = CALLBACK)]
struct CallbackArguments {
    /// The gateway that tells of a payment
    #[arg(long, value_name = "GATEWAY", value_parser = gateway_names(), conflicts_with_all = ["sample", "file"],
          requires_all = ["order", "amount", "currency"])]
    payment: Option<String>,
    /// How much moved, in minor units: 10230 for 102.30 EUR, 16500 for 16500 JPY
    #[arg(long, value_name = "MINOR", requires = "payment")]
    amount: Option<i64>,
    /// The currency, by ISO 4217
    #[arg(long, value_name = "CODE", requires = "payment")]
    currency: Option<String>,
    /// What happened to the money
    #[arg(long, default_value = "captured", value_parser = kind_names())]
    kind: String,
    /// The gateway's name of the payment [default: a new one]
    #[arg(long, value_name = "ID", requires = "payment")]
    payment_id: Option<String>,
    /// The gateway's name of the movement [default: of a capture the payment's, else a new one]
    #[arg(long, value_name = "ID", requires = "payment")]
    transaction: Option<String>,
}

fn gateway_names() -> PossibleValuesParser {
    PossibleValuesParser::new(Gateway::ALL.map(Gateway::as_str))
}

fn kind_names() -> PossibleValuesParser {
    PossibleValuesParser::new(MovementKind::ALL.map(MovementKind::as_str))
}

fn sample_names() -> PossibleValuesParser {
    PossibleValuesParser::new(samples::PUSHES.iter().map(|(name, _)| *name).chain([ORDER_STATUS]))
}

/// One line of a file of deliveries.
#[derive(Deserialize)]
struct Line<'a> {
    to: String,
    #[serde(borrow, alias = "body")]
    message: &'a RawValue,
    id: Option<String>,
}

/// One thing to send, signed when it goes.
#[derive(Debug)]
enum Outgoing {
    /// A delivery of a marketplace or a source.
    Delivery(Delivery),
    /// A gateway's callback that tells of this movement.
    Movement(PaymentEvent),
    /// A gateway's callback with this body.
    Body(Gateway, String),
}

impl Outgoing {
    fn sign(&self, secrets: &Secrets, gateways: &Gateways<'_>, now: UnixMillis) -> anyhow::Result<Request> {
        match self {
            Self::Delivery(delivery) => delivery.sign(secrets, now),
            Self::Movement(event) => gateways.callback(event, now),
            Self::Body(gateway, body) => gateways.signed(*gateway, body, now),
        }
    }

    /// What was sent, for who sends one thing.
    fn told(&self) -> String {
        match self {
            Self::Delivery(delivery) => format!("As it was sent: {}", delivery.text),
            Self::Movement(PaymentEvent { payment, transaction_id, kind, money, .. }) => format!(
                "{}: {} {money}, transaction {transaction_id}; see `sampan ledger show '{payment}'`",
                payment.gateway.as_str(),
                kind.as_str()
            ),
            Self::Body(_, body) => format!("As it was sent: {body}"),
        }
    }
}

/// Sends, and prints what was answered.
pub async fn run(session: &Session, arguments: Arguments) -> anyhow::Result<()> {
    let secrets = session.secrets().await?;
    let now = SystemClock.now();
    let all = match (&arguments.file, &arguments.sample) {
        (Some(file), _) => read_file(file)?,
        (None, Some(sample)) => vec![Outgoing::Delivery(sample_delivery(sample, &arguments, &secrets, now)?)],
        (None, None) => vec![Outgoing::Movement(movement(&arguments, now)?)],
    };
    let answers = post(session, &secrets, &all, &arguments).await?;
    let mut answered = table(["answer", "deliveries"]);
    for (label, count) in &answers {
        answered.add_row([label.clone(), count.to_string()]);
    }
    println!("{answered}");
    if let (None, [one]) = (&arguments.file, all.as_slice()) {
        println!("{}", one.told());
    }
    let refused: usize = answers.iter().filter(|(label, _)| !label.starts_with('2')).map(|(_, count)| count).sum();
    ensure!(refused == 0, "{refused} were not accepted");
    Ok(())
}

async fn post(
    session: &Session,
    secrets: &Secrets,
    all: &[Outgoing],
    arguments: &Arguments,
) -> anyhow::Result<BTreeMap<String, usize>> {
    let (api, gateways) = (session.api()?, Gateways::new(secrets));
    let (api, gateways) = (&api, &gateways);
    let bar = bar("Sending", all.len().saturating_mul(arguments.repeat));
    let repeated = std::iter::repeat_n(all, arguments.repeat).flatten();
    let answers = futures::stream::iter(repeated)
        .map(|outgoing| async {
            // Signed when it goes, because a signature is good for five minutes.
            let answer = api.send(outgoing.sign(secrets, gateways, SystemClock.now())?).await?;
            bar.inc(1);
            anyhow::Ok(match outgoing {
                Outgoing::Delivery(_) => answer.label(),
                Outgoing::Movement(_) | Outgoing::Body(..) => samples::callback_label(&answer),
            })
        })
        .buffer_unordered(usize::from(arguments.concurrency))
        .try_fold(BTreeMap::new(), |mut answers: BTreeMap<String, usize>, label| async move {
            *answers.entry(label).or_default() += 1;
            Ok(answers)
        })
        .await?;
    bar.finish_and_clear();
    Ok(answers)
}

/// The movement that the arguments tell of.
fn movement(arguments: &Arguments, now: UnixMillis) -> anyhow::Result<PaymentEvent> {
    let callback = &arguments.callback;
    let given =
        |value: &Option<String>, name: &str| value.clone().with_context(|| format!("a callback needs --{name}"));
    let gateway = given(&callback.payment, "payment")?;
    let gateway = Gateway::from_name(&gateway).with_context(|| format!("{gateway} is not a gateway"))?;
    let kind = MovementKind::from_name(&callback.kind).with_context(|| format!("{} is not a kind", callback.kind))?;
    let currency = Currency::from_code(&given(&callback.currency, "currency")?)?;
    let money = Money::new(callback.amount.context("a callback needs --amount")?, currency)?;
    let fresh = now.get().to_string();
    let payment_id = callback.payment_id.clone().unwrap_or_else(|| fresh.clone());
    // A capture goes by its payment's name: at most gateways they are one.
    let transaction = match kind {
        MovementKind::Captured | MovementKind::CaptureFailed => payment_id.clone(),
        MovementKind::Refunded
        | MovementKind::RefundedInTotal
        | MovementKind::RefundFailed
        | MovementKind::DisputeOpened
        | MovementKind::DisputeWon
        | MovementKind::DisputeLost => fresh,
    };
    Ok(PaymentEvent {
        payment: PaymentKey { gateway, payment_id: PaymentId::new(payment_id)? },
        transaction_id: TransactionId::new(callback.transaction.clone().unwrap_or(transaction))?,
        kind,
        order: Some(OrderId::new(given(&arguments.order, "order")?)?),
        money,
        occurred_at: now,
    })
}

fn sample_delivery(
    sample: &str,
    arguments: &Arguments,
    secrets: &Secrets,
    now: UnixMillis,
) -> anyhow::Result<Delivery> {
    if sample == ORDER_STATUS {
        let channel = Channel::Source(SourceName::new(&arguments.source)?);
        let credentials = secrets.credentials(&channel).with_context(|| format!("source {}", arguments.source))?;
        let order = OrderId::new(arguments.order.as_deref().context("an order.status needs --order")?)?;
        let status = ReportedStatus::from_name(&arguments.status)
            .context("a source reports arrived, packed, cancelled, shipped or completed")?;
        let text = samples::report(&credentials, &order, status, now);
        let id = format!("msg_{}", now.get());
        return Ok(Delivery { channel, text, id });
    }
    let channel = Channel::Ali1688(ShopId::new(&arguments.shop)?);
    let mut trades = arguments.trade.iter().map(TradeId::new).collect::<Result<Vec<_>, _>>()?;
    if trades.is_empty() {
        trades.push(TradeId::new(format!("{}00001", now.get()))?);
    }
    let id = MessageId::new(now.get().to_string())?;
    let text = samples::push(sample, &trades, &id, now)?;
    Ok(Delivery { channel, text, id: id.to_string() })
}

fn read_file(file: &Path) -> anyhow::Result<Vec<Outgoing>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| read_line(line).with_context(|| format!("{}, line {}", file.display(), index + 1)))
        .collect()
}

fn read_line(line: &str) -> anyhow::Result<Outgoing> {
    let Line { to, message, id } = serde_json::from_str(line).context("not {\"to\", \"message\" or \"body\"}")?;
    // A text is sent as the text it holds, so that a file can also carry what is not JSON.
    let text = match message.get().starts_with('"') {
        true => serde_json::from_str(message.get())?,
        false => message.get().to_owned(),
    };
    if let Some(name) = to.strip_prefix(PAYMENTS) {
        let gateway = Gateway::from_name(name).with_context(|| format!("{name} is not a gateway"))?;
        return Ok(Outgoing::Body(gateway, text));
    }
    let id = id.unwrap_or_else(|| delivery::digest(&text));
    Ok(Outgoing::Delivery(Delivery { channel: delivery::channel(&to)?, text, id }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn read(words: &str) -> Result<Arguments, clap::Error> {
        Line::try_parse_from(words.split(' ')).map(|line| line.arguments)
    }

    fn delivery(line: &str) -> Delivery {
        let Outgoing::Delivery(delivery) = read_line(line).unwrap() else { panic!("{line}") };
        delivery
    }

    #[test]
    fn a_line_is_sent_as_it_stands() {
        let push = delivery(r#"{"to": "/webhooks/1688/demo", "message": {"msgId":  92705609220123456789}}"#);
        assert_eq!(push.text, r#"{"msgId":  92705609220123456789}"#);
        let broken = delivery(r#"{"to": "/webhooks/events/warehouse", "body": "not JSON", "id": "msg_1"}"#);
        assert_eq!((broken.text.as_str(), broken.id.as_str()), ("not JSON", "msg_1"));
        let callback = read_line(r#"{"to": "/payments/stripe", "body": {"id":  1}}"#).unwrap();
        assert!(matches!(&callback, Outgoing::Body(Gateway::Stripe, body) if body == r#"{"id":  1}"#), "{callback:?}");
        assert!(read_line(r#"{"to": "/payments/square", "body": {}}"#).is_err());
        assert!(read_line(r#"{"to": "/orders", "body": {}}"#).is_err());
    }

    #[test]
    fn a_callback_tells_of_what_was_asked_for() {
        let now = UnixMillis::new(1_795_248_000_000).unwrap();
        let said = |words: &str| movement(&read(words).unwrap(), now).unwrap();
        let captured = said("send --payment stripe --order A-1 --amount 10230 --currency EUR");
        assert_eq!(captured.payment.to_string(), "stripe#1795248000000");
        assert_eq!(captured.transaction_id.as_str(), "1795248000000");
        assert_eq!((captured.kind, captured.money.to_string().as_str()), (MovementKind::Captured, "102.30 EUR"));
        let words = "send --payment paypal --order A-1 --amount 5 --currency EUR --kind refunded --payment-id P1";
        let refunded = said(words);
        assert_eq!((refunded.payment.to_string().as_str(), refunded.kind), ("paypal#P1", MovementKind::Refunded));
        assert_eq!(said(&format!("{words} --transaction R1")).transaction_id.as_str(), "R1");
    }

    #[test]
    fn one_thing_is_asked_for_and_all_of_it() {
        for words in [
            "send",
            "send --payment stripe",
            "send --payment stripe --order A-1 --amount 1",
            "send --payment square --order A-1 --amount 1 --currency EUR",
            "send --payment stripe --order A-1 --amount 1 --currency EUR --kind lost",
            "send --payment stripe --order A-1 --amount 1 --currency EUR --sample ORDER_BATCH_PAY",
            "send --amount 1 --sample ORDER_BATCH_PAY",
        ] {
            assert!(read(words).is_err(), "{words}");
        }
    }
}
