//! The bodies of our own API: what a client sends and reads. Times are RFC 3339 UTC with milliseconds.

use domain::{
    AfterSale, AfterSaleId, Currency, InvalidMoney, Line, LineId, Link, LogisticsId, Marketplace, Money, OrderContent,
    OrderId, OrderView, Origin, Package, Rate, Refund, RefundId, RefundState, Settlement, ShopId, Sku, TradeFacts,
    TradeId, TradeKey, TradeReport, UnixMillis,
};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::json::{self, Object};
use crate::{Refusal, detail};

/// Trades that one request may link. An order is bought in a handful; the bound keeps a request's writes few.
pub const TRADES_PER_REQUEST_MAX: usize = 50;
/// Lines that an order may have. With the longest of each it stays far below the 400 KB that an item holds.
pub const LINES_MAX: usize = 500;
/// How many of one thing a line may have.
pub const QUANTITY_MAX: i64 = 1_000_000;

/// `GET /orders/{id}`.
#[derive(Debug, Serialize)]
pub struct Order {
    order_id: OrderId,
    status: &'static str,
    status_at: Option<String>,
    history: Vec<History>,
    flags: Vec<&'static str>,
    payment: Payment,
    exchange_rate: Option<ExchangeRate>,
    trades: Vec<Trade>,
}

#[derive(Debug, Serialize)]
struct History {
    status: &'static str,
    at: String,
    source: String,
    event_id: String,
}

/// What is due and what was paid. An order that was not created has nothing due, and a currency only when
/// something was captured for it.
#[derive(Debug, Serialize)]
struct Payment {
    currency: Option<&'static str>,
    due_minor: Option<i64>,
    paid_minor: i64,
    refunded_minor: i64,
    state: &'static str,
}

/// A rate: the pinned one of an order, or that of a quote.
#[derive(Debug, Serialize)]
pub struct ExchangeRate {
    from: &'static str,
    to: &'static str,
    rate: String,
    source: String,
    captured_at: String,
}

/// An amount of money.
#[derive(Debug, Serialize)]
struct Amount {
    amount_minor: i64,
    currency: &'static str,
}

/// `GET /quotes`: what an amount would come to.
#[derive(Debug, Serialize)]
pub struct Quote {
    amount_minor: i64,
    converted_minor: i64,
    #[serde(flatten)]
    rate: ExchangeRate,
}

/// `POST /orders/{id}/refunds`.
#[derive(Debug, Serialize)]
pub struct RefundAnswer {
    refund_id: RefundId,
    order_id: OrderId,
    priced: Amount,
    charged: Amount,
    state: &'static str,
}

/// A trade in an order, and the head of `GET /trades/…`.
#[derive(Debug, Serialize)]
struct Trade {
    marketplace: &'static str,
    shop: ShopId,
    trade_id: TradeId,
    status: Option<&'static str>,
    raw_status: Option<String>,
    modified_at: Option<String>,
}

/// `GET /trades/{marketplace}/{shop}/{trade_id}`.
#[derive(Debug, Serialize)]
pub struct TradeDetail {
    #[serde(flatten)]
    trade: Trade,
    order_ids: Vec<OrderId>,
    shipping: Vec<Shipping>,
    after_sales: Vec<AfterSaleCase>,
    detail: Option<Detail>,
}

#[derive(Debug, Serialize)]
struct Shipping {
    logistics_id: LogisticsId,
    carrier: Option<String>,
    waybill: Option<String>,
    trace_status: Option<String>,
    modified_at: Option<String>,
    shipped_at: Option<String>,
    signed_at: Option<String>,
}

/// A refund case at the marketplace.
#[derive(Debug, Serialize)]
struct AfterSaleCase {
    id: AfterSaleId,
    state: Option<&'static str>,
    raw_state: Option<String>,
    line: Option<LineId>,
    amount_minor: Option<i64>,
    currency: Option<&'static str>,
    modified_at: Option<String>,
}

/// What a trade is made of. The marketplace's answer itself is not in it: it holds names, phones and addresses.
#[derive(Debug, Serialize)]
struct Detail {
    modified_at: String,
    #[serde(flatten)]
    content: detail::Body,
}

/// An order in the form that clients read.
pub fn order(id: OrderId, view: OrderView) -> Order {
    Order {
        order_id: id,
        status: view.status.as_str(),
        status_at: view.status_at.map(UnixMillis::to_rfc3339),
        history: view
            .history
            .into_iter()
            .map(|entry| History {
                status: entry.status.as_str(),
                at: entry.witness.at.to_rfc3339(),
                source: entry.witness.source,
                event_id: entry.witness.event_id.into(),
            })
            .collect(),
        flags: view.flags.into_iter().map(domain::Flag::as_str).collect(),
        payment: payment(&view.settlement),
        exchange_rate: view.rate.as_ref().map(exchange_rate),
        trades: view.trades.into_iter().map(|linked| trade(linked.trade, linked.report.as_ref())).collect(),
    }
}

fn payment(settlement: &Settlement) -> Payment {
    Payment {
        currency: settlement.currency.map(Currency::code),
        due_minor: settlement.due.map(Money::minor),
        paid_minor: settlement.sums.captured,
        refunded_minor: settlement.sums.refunded,
        state: settlement.state.as_str(),
    }
}

/// A rate in the form that clients read. Its source names the day that it was published for.
pub fn exchange_rate(rate: &Rate) -> ExchangeRate {
    ExchangeRate {
        from: rate.from().code(),
        to: rate.to().code(),
        rate: rate.value().to_string(),
        source: format!("{} {}", rate.source().as_str(), rate.date()),
        captured_at: rate.captured_at().to_rfc3339(),
    }
}

/// A quote in the form that clients read.
pub fn quote(rate: &Rate, amount: Money, converted: Money) -> Quote {
    Quote { amount_minor: amount.minor(), converted_minor: converted.minor(), rate: exchange_rate(rate) }
}

/// A refund in the form that clients read.
pub fn refund(order: OrderId, refund: Refund, state: RefundState) -> RefundAnswer {
    let amount = |money: Money| Amount { amount_minor: money.minor(), currency: money.currency().code() };
    RefundAnswer {
        refund_id: refund.id,
        order_id: order,
        priced: amount(refund.priced),
        charged: amount(refund.charged),
        state: state.as_str(),
    }
}

/// A trade in the form that clients read, with the orders that it is linked from.
pub fn trade_detail(key: TradeKey, facts: &TradeFacts, order_ids: Vec<OrderId>) -> TradeDetail {
    TradeDetail {
        trade: trade(key, facts.statuses.current()),
        order_ids,
        shipping: facts.packages.iter().map(|(id, package)| shipping(id, package)).collect(),
        after_sales: facts.after_sales.iter().map(|(id, case)| after_sale(id, case)).collect(),
        detail: facts.detail.as_ref().map(|detail| Detail {
            modified_at: detail.modified_at.to_rfc3339(),
            content: detail::Body::from(&detail.content),
        }),
    }
}

fn trade(key: TradeKey, report: Option<&TradeReport>) -> Trade {
    Trade {
        marketplace: key.marketplace.as_str(),
        shop: key.shop,
        trade_id: key.trade_id,
        status: report.map(|report| report.status.as_str()),
        raw_status: report.map(|report| report.raw.to_string()),
        modified_at: report.map(|report| report.at.to_rfc3339()),
    }
}

fn shipping(id: &LogisticsId, package: &Package) -> Shipping {
    let waybill = package.waybill.as_ref();
    let trace = package.trace.as_ref();
    let journey = package.journey.as_ref();
    let reported = [waybill.map(|waybill| waybill.at), trace.map(|trace| trace.at), journey.map(|journey| journey.at)];
    Shipping {
        logistics_id: id.clone(),
        carrier: waybill.map(|waybill| waybill.carrier.to_string()),
        waybill: waybill.map(|waybill| waybill.number.to_string()),
        trace_status: trace.map(|trace| trace.status.to_string()),
        modified_at: reported.into_iter().flatten().max().map(UnixMillis::to_rfc3339),
        shipped_at: journey.and_then(|journey| journey.shipped_at).map(UnixMillis::to_rfc3339),
        signed_at: journey.and_then(|journey| journey.signed_at).map(UnixMillis::to_rfc3339),
    }
}

fn after_sale(id: &AfterSaleId, case: &AfterSale) -> AfterSaleCase {
    let (report, claim) = (case.state.as_ref(), case.claim.as_ref());
    let money = claim.and_then(|claim| claim.money);
    let modified_at = report.map(|report| report.at).max(claim.map(|claim| claim.at));
    AfterSaleCase {
        id: id.clone(),
        state: report.map(|report| report.state.as_str()),
        raw_state: report.map(|report| report.raw.to_string()),
        line: claim.and_then(|claim| claim.line.clone()),
        amount_minor: money.map(Money::minor),
        currency: money.map(|money| money.currency().code()),
        modified_at: modified_at.map(UnixMillis::to_rfc3339),
    }
}

#[derive(Deserialize)]
struct LinkBody {
    trades: Vec<Object<LinkedTrade>>,
}

#[derive(Deserialize)]
struct LinkedTrade {
    marketplace: String,
    shop: String,
    trade_id: String,
}

/// Reads the body of `PUT /orders/{id}/trades`: `{"trades":[{"marketplace","shop","trade_id"}]}`.
pub fn read_links(body: &[u8], at: UnixMillis, by: &Origin) -> Result<Vec<Link>, Refusal> {
    let body: LinkBody = json::object_of_bytes(body)
        .map_err(|_| Refusal::Malformed("the body is not {\"trades\":[{\"marketplace\",\"shop\",\"trade_id\"}]}"))?;
    if body.trades.is_empty() {
        return Err(Refusal::Malformed("trades is empty"));
    }
    if body.trades.len() > TRADES_PER_REQUEST_MAX {
        return Err(Refusal::Impossible("one request links at most 50 trades"));
    }
    body.trades
        .into_iter()
        .map(|Object(trade)| {
            Ok(Link { trade: trade_key(&trade.marketplace, trade.shop, trade.trade_id)?, at, by: by.clone() })
        })
        .collect()
}

/// A trade by the parts of its path or its link.
pub fn trade_key(marketplace: &str, shop: impl Into<String>, trade_id: impl Into<String>) -> Result<TradeKey, Refusal> {
    Ok(TradeKey {
        marketplace: Marketplace::from_name(marketplace)
            .map_err(|_| Refusal::Impossible("marketplace is not known"))?,
        shop: ShopId::new(shop).map_err(|_| Refusal::Malformed("shop is not a shop's name"))?,
        trade_id: TradeId::new(trade_id).map_err(|_| Refusal::Malformed("trade_id is not a trade's id"))?,
    })
}

/// An order that a client wants created.
#[derive(Debug)]
pub struct OrderRequest {
    /// Its id, which is the idempotency key.
    pub id: OrderId,
    /// What was bought, at which price, charged in which currency.
    pub content: OrderContent,
    /// The rate that the customer was shown.
    pub shown: Option<Decimal>,
}

#[derive(Deserialize)]
struct OrderBody<'a> {
    order_id: String,
    #[serde(borrow)]
    price: Object<AmountBody<'a>>,
    charge_currency: String,
    #[serde(borrow)]
    lines: Vec<Object<LineBody<'a>>>,
    quote: Option<Object<QuoteBody>>,
}

#[derive(Deserialize)]
struct AmountBody<'a> {
    #[serde(borrow)]
    amount_minor: &'a RawValue,
    currency: String,
}

#[derive(Deserialize)]
struct LineBody<'a> {
    sku: String,
    #[serde(borrow)]
    quantity: &'a RawValue,
    #[serde(borrow)]
    unit_price_minor: &'a RawValue,
}

#[derive(Deserialize)]
struct QuoteBody {
    rate: String,
    captured_at: String,
}

#[derive(Deserialize)]
struct RefundBody<'a> {
    refund_id: String,
    #[serde(borrow)]
    amount_minor: &'a RawValue,
    currency: String,
}

/// Reads the body of `POST /orders`.
pub fn read_order_request(body: &[u8]) -> Result<OrderRequest, Refusal> {
    let body: OrderBody<'_> = json::object_of_bytes(body).map_err(|_| {
        Refusal::Malformed("the body is not {\"order_id\",\"price\",\"charge_currency\",\"lines\",\"quote\"?}")
    })?;
    let id = OrderId::new(body.order_id).map_err(|_| Refusal::Malformed("order_id is not an order id"))?;
    let price = amount(body.price.0.amount_minor, &body.price.0.currency)?;
    if price.is_zero() {
        return Err(Refusal::Impossible("the price is nothing"));
    }
    if body.lines.is_empty() || body.lines.len() > LINES_MAX {
        return Err(Refusal::Impossible("an order has 1 to 500 lines"));
    }
    let lines = body.lines.into_iter().map(|Object(line)| read_line(line, price.currency()));
    Ok(OrderRequest {
        id,
        content: OrderContent {
            price,
            charge_currency: currency(&body.charge_currency)?,
            lines: lines.collect::<Result<_, _>>()?,
        },
        shown: body.quote.map(|Object(quote)| read_quote(&quote)).transpose()?,
    })
}

fn read_line(line: LineBody<'_>, currency: Currency) -> Result<Line, Refusal> {
    let quantity = whole_number(line.quantity.get())?;
    let quantity = Some(quantity).filter(|quantity| (1..=QUANTITY_MAX).contains(quantity));
    let quantity = quantity.and_then(|quantity| u32::try_from(quantity).ok());
    Ok(Line {
        sku: Sku::new(line.sku).map_err(|_| Refusal::Malformed("sku is not 1 to 64 printable bytes"))?,
        quantity: quantity.ok_or(Refusal::Impossible("a quantity is not 1 to 1,000,000"))?,
        unit_price: Money::new(whole_number(line.unit_price_minor.get())?, currency).map_err(impossible)?,
    })
}

fn read_quote(quote: &QuoteBody) -> Result<Decimal, Refusal> {
    UnixMillis::from_rfc3339(&quote.captured_at).map_err(|_| Refusal::Malformed("quote.captured_at is not a time"))?;
    domain::rate::rate_value(&quote.rate).map_err(|_| Refusal::Malformed("quote.rate is not a rate"))
}

/// Reads the body of `POST /orders/{id}/refunds`.
pub fn read_refund_request(body: &[u8]) -> Result<(RefundId, Money), Refusal> {
    let body: RefundBody<'_> = json::object_of_bytes(body)
        .map_err(|_| Refusal::Malformed("the body is not {\"refund_id\",\"amount_minor\",\"currency\"}"))?;
    let id = RefundId::new(body.refund_id).map_err(|_| Refusal::Malformed("refund_id is not a refund id"))?;
    Ok((id, amount(body.amount_minor, &body.currency)?))
}

/// Reads the query of `GET /quotes`: an amount, and the currency that it is wanted in.
pub fn read_quote_request(query: &str) -> Result<(Money, Currency), Refusal> {
    const FORM: Refusal = Refusal::Malformed("the query is not from=CODE&to=CODE&amount_minor=NUMBER");
    let fields: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    let only = |name: &str| {
        let mut values = fields.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_ref());
        values.next().filter(|_| values.next().is_none()).ok_or(FORM)
    };
    let amount = Money::new(whole_number(only("amount_minor")?)?, currency(only("from")?)?).map_err(impossible)?;
    Ok((amount, currency(only("to")?)?))
}

fn amount(minor: &RawValue, code: &str) -> Result<Money, Refusal> {
    Money::new(whole_number(minor.get())?, currency(code)?).map_err(impossible)
}

fn currency(code: &str) -> Result<Currency, Refusal> {
    Currency::from_code(code).map_err(impossible)
}

/// Why an amount cannot be.
pub const fn impossible(invalid: InvalidMoney) -> Refusal {
    Refusal::Impossible(match invalid {
        InvalidMoney::Currency => "the currency is not a code of ISO 4217 with minor units",
        InvalidMoney::NotDecimal | InvalidMoney::TooFine => "the amount is not a whole number of minor units",
        InvalidMoney::OutOfRange => "the amount is negative or too large",
        InvalidMoney::Mixed => "the amounts have different currencies",
    })
}

/// A whole number as it was written. One that is too large for us can be read all the same, and cannot be.
fn whole_number(text: &str) -> Result<i64, Refusal> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::Malformed("an amount or a quantity is not a whole number"));
    }
    text.parse().map_err(|_| Refusal::Impossible("a number is too large"))
}
