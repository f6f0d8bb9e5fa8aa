//! `sampan trade`: what a marketplace reported of a trade, fact by fact.

use adapters::gzip;
use adapters::ports::{OrderStore, RawDetails, TradeStore};
use anyhow::{Context, bail};
use clap::Subcommand;
use comfy_table::Table;
use domain::{
    AfterSale, Money, OrderId, Package, RawDetail, TradeContent, TradeDetail, TradeFacts, TradeKey, TradeLine,
    UnixMillis,
};
use protocols::orders_api;

use crate::stack::Session;
use crate::table::{heading, table};

/// What to do with trades.
#[derive(Debug, Subcommand)]
pub enum TradeCommand {
    /// Show one trade: status, reports, shipping, what it is made of, what is asked back, orders
    Show {
        /// The marketplace: 1688 or taobao
        marketplace: String,
        /// The shop there
        shop: String,
        /// The marketplace's id of the trade
        trade_id: String,
        /// Print what `GET /trades/…` answers
        #[arg(long)]
        json: bool,
        /// Print the marketplace's own answer, as it came; it may hold what people must not read
        #[arg(long, conflicts_with = "json")]
        raw: bool,
    },
}

/// Shows a trade.
pub async fn run(session: &Session, command: TradeCommand) -> anyhow::Result<()> {
    let TradeCommand::Show { marketplace, shop, trade_id, json, raw } = command;
    let key = orders_api::trade_key(&marketplace, shop, trade_id)?;
    let facts = session.trades()?.read(&key).await?;
    let orders = session.orders()?.orders_of(&key).await?;
    if facts.is_empty() && orders.is_empty() {
        bail!("there is no trade {key}");
    }
    if raw {
        let detail = facts.detail.with_context(|| format!("no sweep has read {key} yet"))?;
        println!("{}", answer(session, &detail.raw).await?);
        return Ok(());
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&orders_api::trade_detail(key, &facts, orders))?);
        return Ok(());
    }
    print_trade(&key, &facts, &orders);
    Ok(())
}

/// The marketplace's answer, from where it is kept.
async fn answer(session: &Session, raw: &RawDetail) -> anyhow::Result<String> {
    let kept = match raw {
        RawDetail::Inline(packed) => packed.clone(),
        RawDetail::Stored(key) => {
            let kept = session.raw_details()?.get(key).await?;
            kept.with_context(|| format!("the bucket of details has no {key}"))?
        }
    };
    gzip::unpack(&kept).context("the answer that was kept cannot be unpacked")
}

fn text(text: Option<impl ToString>) -> String {
    text.map(|text| text.to_string()).unwrap_or_default()
}

fn time(at: Option<UnixMillis>) -> String {
    text(at.map(UnixMillis::to_rfc3339))
}

fn print_trade(key: &TradeKey, facts: &TradeFacts, orders: &[OrderId]) {
    let status = facts.statuses.current().map_or("nothing reported", |report| report.status.as_str());
    let orders = orders.iter().map(OrderId::as_str).collect::<Vec<_>>().join(", ");
    println!("trade {key}: {status}; linked from: {}", if orders.is_empty() { "no order" } else { &orders });
    heading("Reports, the latest of each status");
    println!("{}", reports(facts));
    if !facts.packages.is_empty() {
        heading("Shipping");
        println!("{}", packages(facts));
    }
    if !facts.after_sales.is_empty() {
        heading("After-sales: what is asked back");
        println!("{}", after_sales(facts));
    }
    if let Some(detail) = &facts.detail {
        heading(&format!("What it is made of, as the marketplace told at {}", detail.seen_at.to_rfc3339()));
        println!("{}\n{}", lines(&detail.content), told(detail));
    }
}

fn reports(facts: &TradeFacts) -> Table {
    let mut rows = table(["status", "in the marketplace's words", "at", "message"]);
    for report in facts.statuses.reports() {
        let cells = [report.raw.to_string(), report.at.to_rfc3339(), report.id.to_string()];
        rows.add_row([report.status.as_str()].into_iter().map(str::to_owned).chain(cells));
    }
    rows
}

fn packages(facts: &TradeFacts) -> Table {
    let mut rows = table(["consignment", "carrier", "waybill", "trace", "left", "received", "at"]);
    for (id, Package { waybill, trace, journey }) in &facts.packages {
        let (waybill, trace, journey) = (waybill.as_ref(), trace.as_ref(), journey.as_ref());
        let at = [waybill.map(|waybill| waybill.at), trace.map(|trace| trace.at), journey.map(|journey| journey.at)];
        rows.add_row([
            id.to_string(),
            text(waybill.map(|waybill| &waybill.carrier)),
            text(waybill.map(|waybill| &waybill.number)),
            text(trace.map(|trace| &trace.status)),
            time(journey.and_then(|journey| journey.shipped_at)),
            time(journey.and_then(|journey| journey.signed_at)),
            time(at.into_iter().flatten().max()),
        ]);
    }
    rows
}

fn after_sales(facts: &TradeFacts) -> Table {
    let mut rows = table(["case", "state", "in the marketplace's words", "line", "amount", "at"]);
    for (id, AfterSale { state, claim }) in &facts.after_sales {
        let (state, claim) = (state.as_ref(), claim.as_ref());
        rows.add_row([
            id.to_string(),
            text(state.map(|report| report.state.as_str())),
            text(state.map(|report| &report.raw)),
            text(claim.and_then(|claim| claim.line.as_ref())),
            text(claim.and_then(|claim| claim.money)),
            time(state.map(|report| report.at).max(claim.map(|claim| claim.at))),
        ]);
    }
    rows
}

fn lines(content: &TradeContent) -> Table {
    let mut rows = table(["line", "product, variant", "name", "quantity", "price", "amount", "status"]);
    for line in &content.lines {
        let TradeLine { id, product, sku, name, quantity, unit_price, amount, picture: _, status } = line;
        let product = [product.as_ref(), sku.as_ref()].into_iter().flatten().map(ToString::to_string);
        rows.add_row([
            id.to_string(),
            product.collect::<Vec<_>>().join(", "),
            text(name.as_ref()),
            text(*quantity),
            text(*unit_price),
            text(*amount),
            text(status.as_ref()),
        ]);
    }
    rows
}

/// Money and times of a trade, as far as the marketplace told.
fn told(detail: &TradeDetail) -> Table {
    let (content, payment) = (&detail.content, &detail.content.payment);
    let kept = match &detail.raw {
        RawDetail::Inline(packed) => format!("with the trade, {} bytes of gzip; --raw prints it", packed.len()),
        RawDetail::Stored(key) => format!("in the bucket of details, {key}; --raw prints it"),
    };
    let money = |money: Option<Money>| text(money);
    let known = [
        ("costs", money(payment.total)),
        ("of it for sending", money(payment.postage)),
        ("received by the seller", money(payment.received)),
        ("payment", text(payment.payment_id.as_ref())),
        ("made", time(content.created_at)),
        ("paid", time(payment.paid_at)),
        ("left", time(content.shipped_at)),
        ("received", time(content.signed_at)),
        ("ended", time(content.finished_at)),
        ("modified", time(Some(detail.modified_at))),
        ("the answer", kept),
    ];
    let mut rows = table(["told", ""]);
    rows.add_rows(known.into_iter().filter(|(_, text)| !text.is_empty()).map(|(name, text)| [name.to_owned(), text]));
    rows
}
