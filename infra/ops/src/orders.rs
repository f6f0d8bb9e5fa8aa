//! `sampan order`: what is known of orders, read from their facts.

use std::collections::{BTreeMap, BTreeSet};

use adapters::knowledge::read_order;
use adapters::ports::{Ledger, OrderStore, TradeStore};
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use comfy_table::Table;
use domain::{Money, OrderId, OrderKnowledge, OrderStatus, OrderView, PaymentFacts, TradeKey, UnixMillis, view};
use protocols::orders_api;

use crate::stack::Session;
use crate::table::ruled_table;

/// What to do with orders.
#[derive(Debug, Subcommand)]
pub enum OrderCommand {
    /// Show one order: status, history, money, flags, trades
    Show {
        /// The order
        id: String,
        /// Print what `GET /orders/{id}` answers
        #[arg(long)]
        json: bool,
    },
    /// List orders
    List(ListArguments),
}

/// Which orders to list.
#[derive(Debug, Args)]
pub struct ListArguments {
    /// Orders to show at most
    #[arg(long, default_value_t = 50)]
    limit: usize,
    /// Only orders of this status, such as PURCHASED
    #[arg(long)]
    status: Option<String>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

/// Shows or lists orders.
pub async fn order(session: &Session, command: OrderCommand) -> anyhow::Result<()> {
    match command {
        OrderCommand::Show { id, json } => {
            let id = OrderId::new(id)?;
            let view = read(session, &id).await?.with_context(|| format!("there is no order {id}"))?;
            if json {
                println!("{}", serde_json::to_string_pretty(&orders_api::order(id, view))?);
            } else {
                println!("{}", orders_table([(id.as_str(), &view)]));
            }
            Ok(())
        }
        OrderCommand::List(arguments) => list(session, arguments).await,
    }
}

/// The view of one order; `None` when it is not known.
pub async fn read(session: &Session, id: &OrderId) -> anyhow::Result<Option<OrderView>> {
    let known = read_order(&session.orders()?, &session.trades()?, &session.ledger()?, id).await?;
    Ok(known.map(|known| view(id, &known)))
}

async fn list(session: &Session, arguments: ListArguments) -> anyhow::Result<()> {
    let ListArguments { limit, status, json } = arguments;
    let wanted = status.as_deref().map(status_of_name).transpose()?;
    let known = session.orders()?.list().await?;
    let linked: Vec<TradeKey> =
        known.iter().flat_map(|order| order.facts.links().map(|link| link.trade.clone())).collect();
    let statuses = if linked.is_empty() { BTreeMap::new() } else { session.trades()?.statuses(&linked).await? };
    let mut payments = payments_by_order(session).await?;
    let mut orders: Vec<(OrderId, OrderView)> = known
        .into_iter()
        .map(|order| {
            let payments = payments.remove(&order.id).unwrap_or_default();
            // One order's own trades would do; the view leaves the others out.
            let known = OrderKnowledge { order: order.facts, trades: statuses.clone(), payments };
            let view = view(&order.id, &known);
            (order.id, view)
        })
        .filter(|(_, view)| wanted.is_none_or(|wanted| wanted == view.status))
        .collect();
    let found = orders.len();
    orders.sort_by_key(|(_, view)| std::cmp::Reverse(view.status_at));
    orders.truncate(limit);
    if json {
        for (id, view) in orders {
            println!("{}", serde_json::to_string(&orders_api::order(id, view))?);
        }
        return Ok(());
    }
    println!("{}", orders_table(orders.iter().map(|(id, view)| (id.as_str(), view))));
    println!("{} of {found} orders, the latest first", orders.len());
    Ok(())
}

/// Every payment, under each order that it names.
async fn payments_by_order(session: &Session) -> anyhow::Result<BTreeMap<OrderId, Vec<PaymentFacts>>> {
    let mut by_order: BTreeMap<OrderId, Vec<PaymentFacts>> = BTreeMap::new();
    for payment in session.ledger()?.list().await?.into_values() {
        let events = payment.entries.iter().chain(&payment.conflicts);
        let named: BTreeSet<OrderId> = events.filter_map(|event| event.order.clone()).collect();
        for order in named {
            by_order.entry(order).or_default().push(payment.clone());
        }
    }
    Ok(by_order)
}

fn status_of_name(name: &str) -> anyhow::Result<OrderStatus> {
    match OrderStatus::ALL.into_iter().find(|status| status.as_str().eq_ignore_ascii_case(name)) {
        Some(status) => Ok(status),
        None => bail!("{name} is not an order status: {}", OrderStatus::ALL.map(OrderStatus::as_str).join(", ")),
    }
}

/// Orders as a table, one a row. Narrow cells of several lines: with ids of usual length it fits 120 columns.
pub(crate) fn orders_table<'a>(orders: impl IntoIterator<Item = (&'a str, &'a OrderView)>) -> Table {
    let mut rows = ruled_table(["order, status, flags", "history: since, by whom", "money", "trades"]);
    for (id, view) in orders {
        let flags = view.flags.iter().map(|flag| format!("! {}", flag.as_str()));
        let order = [id.to_owned(), view.status.as_str().to_owned()].into_iter().chain(flags);
        let history = view.history.iter().map(|entry| {
            let witness = &entry.witness;
            format!("{:<10} {} {}", entry.status.as_str(), short(witness.at), witness.source)
        });
        let trades = view.trades.iter().flat_map(|linked| {
            let report = linked.report.as_ref();
            let status = report.map_or("nothing reported", |report| report.status.as_str());
            let raw = report.map(|report| format!("({})", report.raw));
            [Some(linked.trade.trade_id.to_string()), Some(status.to_owned()), raw].into_iter().flatten()
        });
        rows.add_row([lines(order), lines(history), lines(money(view)), lines(trades)]);
    }
    rows
}

/// What is due, what was paid, what went back, and by which rate.
fn money(view: &OrderView) -> impl Iterator<Item = String> {
    let settlement = &view.settlement;
    let amount = |minor: i64| {
        let money = settlement.currency.and_then(|currency| Money::new(minor, currency).ok());
        money.map_or_else(|| minor.to_string(), |money| money.to_string())
    };
    let told = |name: &str, minor: i64| (minor > 0).then(|| format!("{name:<9}{:>14}", amount(minor)));
    let due = settlement.due.map(|due| format!("{:<9}{:>14}", "due", due.to_string()));
    // The rate of two currencies that are one is no news.
    let rate = view.rate.as_ref().filter(|rate| rate.from() != rate.to());
    let rate = rate.map(|rate| format!("{} {}", rate.source().as_str(), rate.value()));
    let refunds = view.refunds.iter();
    let refunds = refunds.map(|(refund, state)| format!("{} {} {}", refund.id, refund.charged, state.as_str()));
    let sums = [
        told("paid", settlement.sums.captured),
        told("refunded", settlement.sums.refunded),
        told("lost", settlement.sums.lost),
    ];
    let state = settlement.due.map(|_| settlement.state.as_str().to_owned());
    let known: Vec<String> = [state, due, rate].into_iter().chain(sums).flatten().chain(refunds).collect();
    known.into_iter()
}

fn lines(texts: impl Iterator<Item = String>) -> String {
    texts.collect::<Vec<_>>().join("\n")
}

/// A time to the minute and without its year.
fn short(at: UnixMillis) -> String {
    let text = at.to_rfc3339();
    text.get(5..16).map_or(text.clone(), |short| short.replace('T', " "))
}
