//! `sampan send`: deliveries of one's own, signed with the stack's secrets.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use adapters::clock::{Clock, SystemClock};
use adapters::secrets::Secrets;
use anyhow::{Context, bail, ensure};
use clap::Args;
use clap::builder::PossibleValuesParser;
use domain::{MessageId, OrderId, ReportedStatus, ShopId, SourceName, TradeId, UnixMillis};
use futures::{StreamExt, TryStreamExt};
use protocols::Channel;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::delivery::{self, Delivery};
use crate::samples;
use crate::stack::Session;
use crate::table::{bar, table};

/// The sample that a source sends.
const ORDER_STATUS: &str = "order.status";

/// What to send.
#[derive(Debug, Args)]
#[command(after_help = "A file of deliveries has one JSON object a line:
  {\"to\": \"/webhooks/1688/SHOP\", \"message\": {…}}        a push; the message is an object or a text
  {\"to\": \"/webhooks/events/SOURCE\", \"body\": {…}}       a source's event; \"id\" may give its webhook-id")]
pub struct Arguments {
    /// A sample by its type: a push type of 1688, or a source's order.status
    #[arg(long, value_name = "NAME", required_unless_present = "file", value_parser = sample_names())]
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
    /// The order that an order.status is about
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

/// Sends, and prints what was answered.
pub async fn run(session: &Session, arguments: Arguments) -> anyhow::Result<()> {
    let secrets = session.secrets().await?;
    let deliveries = match (&arguments.file, &arguments.sample) {
        (Some(file), _) => read_file(file)?,
        (None, Some(sample)) => vec![sample_delivery(sample, &arguments, &secrets, SystemClock.now())?],
        (None, None) => bail!("give --sample or --file"),
    };
    let answers = post(session, &secrets, &deliveries, &arguments).await?;
    let mut answered = table(["answer", "deliveries"]);
    for (label, count) in &answers {
        answered.add_row([label.clone(), count.to_string()]);
    }
    println!("{answered}");
    if let (Some(sample), [delivery]) = (&arguments.sample, deliveries.as_slice()) {
        println!("{sample}, as it was sent: {}", delivery.text);
    }
    let refused: usize = answers.iter().filter(|(label, _)| !label.starts_with('2')).map(|(_, count)| count).sum();
    ensure!(refused == 0, "{refused} were not accepted");
    Ok(())
}

async fn post(
    session: &Session,
    secrets: &Secrets,
    deliveries: &[Delivery],
    arguments: &Arguments,
) -> anyhow::Result<BTreeMap<String, usize>> {
    let api = session.api()?;
    let bar = bar("Sending", deliveries.len().saturating_mul(arguments.repeat));
    let all = std::iter::repeat_n(deliveries, arguments.repeat).flatten();
    let answers = futures::stream::iter(all)
        .map(|delivery| async {
            // Signed when it goes, because a signature is good for five minutes.
            let answer = api.send(delivery.sign(secrets, SystemClock.now())?).await?;
            bar.inc(1);
            anyhow::Ok(answer.label())
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

fn read_file(file: &Path) -> anyhow::Result<Vec<Delivery>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| read_line(line).with_context(|| format!("{}, line {}", file.display(), index + 1)))
        .collect()
}

fn read_line(line: &str) -> anyhow::Result<Delivery> {
    let Line { to, message, id } = serde_json::from_str(line).context("not {\"to\", \"message\" or \"body\"}")?;
    // A text is sent as the text it holds, so that a file can also carry what is not JSON.
    let text = match message.get().starts_with('"') {
        true => serde_json::from_str(message.get())?,
        false => message.get().to_owned(),
    };
    let id = id.unwrap_or_else(|| delivery::digest(&text));
    Ok(Delivery { channel: delivery::channel(&to)?, text, id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_sent_as_it_stands() {
        let push = read_line(r#"{"to": "/webhooks/1688/demo", "message": {"msgId":  92705609220123456789}}"#).unwrap();
        assert_eq!(push.text, r#"{"msgId":  92705609220123456789}"#);
        let broken = read_line(r#"{"to": "/webhooks/events/warehouse", "body": "not JSON", "id": "msg_1"}"#).unwrap();
        assert_eq!((broken.text.as_str(), broken.id.as_str()), ("not JSON", "msg_1"));
        assert!(read_line(r#"{"to": "/payments/stripe", "body": {}}"#).is_err());
    }
}
