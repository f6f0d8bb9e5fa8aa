//! Lists of trades, and their details. Source: `taobao.trades.sold.get`, `taobao.trades.sold.increment.get`,
//! `taobao.trade.fullinfo.get`, `BatchTaobaoClient.java`.
//!
//! Quirks that are met: ids come as numbers and as texts, an empty list has no `trades`, amounts are texts of yuan,
//! times are China's without a zone.

use domain::{
    AfterSaleId, Carrier, LineId, LogisticsId, PaymentId, Picture, ProductId, ProductName, RawStatus, TradeContent,
    TradeId, TradeLine, TradePayment, Waybill,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::call::BATCH_SEPARATOR as SEPARATOR;
use super::{answer, error, status};
use crate::answers::{self, Reason, Scalar, china_time, decimal, given, part, spare, time, yuan};
use crate::json::{self, Object};
use crate::marketplace::reading::{clipped, digits, page};
use crate::marketplace::{
    Answer, ListPage, Listed, Malformed, NotRead, Refused, Told, ToldCase, ToldPackage, listing_digest,
};

#[derive(Deserialize)]
struct ListAnswer<'a> {
    #[serde(borrow, alias = "trades_sold_increment_get_response", alias = "trades_sold_get_response")]
    response: Object<ListFields<'a>>,
}

#[derive(Deserialize)]
struct ListFields<'a> {
    total_results: Option<Scalar>,
    #[serde(borrow)]
    trades: Option<Object<Rows<'a>>>,
}

#[derive(Deserialize, Default)]
struct Rows<'a> {
    #[serde(borrow, default)]
    trade: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct DetailAnswer<'a> {
    #[serde(borrow)]
    trade_fullinfo_get_response: Object<DetailFields<'a>>,
}

#[derive(Deserialize)]
struct DetailFields<'a> {
    #[serde(borrow)]
    trade: &'a RawValue,
}

#[derive(Deserialize)]
struct Trade {
    tid: Option<Scalar>,
    tid_str: Option<Scalar>,
    status: Option<Scalar>,
    payment: Option<Scalar>,
    total_fee: Option<Scalar>,
    post_fee: Option<Scalar>,
    received_payment: Option<Scalar>,
    created: Option<Scalar>,
    modified: Option<Scalar>,
    pay_time: Option<Scalar>,
    consign_time: Option<Scalar>,
    end_time: Option<Scalar>,
    alipay_no: Option<Scalar>,
    refund_status: Option<Scalar>,
    refund_id: Option<Scalar>,
    orders: Option<Object<Lines>>,
}

#[derive(Deserialize, Default)]
struct Lines {
    #[serde(default)]
    order: Vec<Object<Line>>,
}

#[derive(Deserialize)]
struct Line {
    oid: Option<Scalar>,
    oid_str: Option<Scalar>,
    num_iid: Option<Scalar>,
    sku_id: Option<Scalar>,
    title: Option<Scalar>,
    num: Option<Scalar>,
    price: Option<Scalar>,
    payment: Option<Scalar>,
    total_fee: Option<Scalar>,
    divide_order_fee: Option<Scalar>,
    pic_path: Option<Scalar>,
    status: Option<Scalar>,
    refund_status: Option<Scalar>,
    refund_id: Option<Scalar>,
    logistics_company: Option<Scalar>,
    invoice_no: Option<Scalar>,
    consign_time: Option<Scalar>,
}

impl Trade {
    fn id(&self) -> Result<TradeId, Reason> {
        let id = digits(self.tid_str.as_ref()).or(digits(self.tid.as_ref())).ok_or("a trade has no tid")?;
        TradeId::new(id).map_err(|_| "tid is not the id of a trade")
    }

    fn lines(&self) -> impl Iterator<Item = &Line> {
        self.orders.iter().flat_map(|Object(lines)| &lines.order).map(|Object(line)| line)
    }
}

impl Line {
    fn id(&self) -> Result<LineId, Reason> {
        let id = digits(self.oid_str.as_ref()).or(digits(self.oid.as_ref())).ok_or("a line has no oid")?;
        LineId::new(id).map_err(|_| "oid is not the id of a line")
    }

    /// What the line comes to. `divide_order_fee` has its share of what was taken off the whole trade and no postage, so
    /// that lines and postage add up to the payment; `payment` has the postage in it where a trade has one line.
    fn amount(&self) -> Option<&Scalar> {
        self.divide_order_fee.as_ref().or(self.total_fee.as_ref()).or(self.payment.as_ref())
    }

    fn digest_parts(&self) -> [&str; 7] {
        let id = self.oid_str.as_ref().or(self.oid.as_ref());
        let [status, refund_status, refund_id] = [&self.status, &self.refund_status, &self.refund_id];
        let own = [status.as_ref(), refund_status.as_ref(), refund_id.as_ref(), self.num.as_ref()];
        let [status, refund_status, refund_id, quantity] = own.map(part);
        [part(id), status, refund_status, refund_id, quantity, part(self.amount()), part(self.payment.as_ref())]
    }
}

/// Whose a trade is, by its own word. Read apart from the rest, so that a row that cannot be read has an owner too.
fn owner(trade: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Owner {
        seller_nick: Option<Scalar>,
    }
    given(json::object::<Owner>(trade).ok()?.seller_nick.as_ref()).map(str::to_owned)
}

/// Reads a page of a list. A row that cannot be read is in the page as such, and harms no other.
pub fn read_list(text: &str) -> Result<Answer<ListPage<TradeId>>, NotRead> {
    let ListAnswer { response: Object(ListFields { total_results, trades }) } = answer(text)?;
    let rows = trades.map(|Object(rows)| rows.trade).unwrap_or_default();
    page(total_results.as_ref(), &rows, owner, read_row)
}

fn read_row(text: &str) -> Result<Listed<TradeId>, Reason> {
    let trade: Trade = answers::object(text, "a row of the list is not a trade")?;
    let parts = [
        &trade.status,
        &trade.modified,
        &trade.payment,
        &trade.total_fee,
        &trade.post_fee,
        &trade.received_payment,
        &trade.pay_time,
        &trade.consign_time,
    ];
    let of_trade = parts.into_iter().map(|scalar| part(scalar.as_ref()));
    let mut of_lines: Vec<_> = trade.lines().map(Line::digest_parts).collect();
    // In which order lines come is not documented, and says nothing.
    of_lines.sort_unstable();
    let digest = listing_digest(of_trade.chain(of_lines.into_iter().flatten())).ok_or("a row has no digest")?;
    let modified_at = time(trade.modified.as_ref(), china_time)?;
    Ok(Listed { id: trade.id()?, modified_at, digest })
}

/// Why there is no detail of one trade of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoTrade {
    /// TOP said no for this one.
    Refused(Refused),
    /// It cannot be read.
    Malformed(Malformed),
}

/// Reads the answers of a batch, as many as were asked for and in their order. Another number of parts is one error for
/// the whole batch.
pub fn read_details(text: &str, asked: usize) -> Result<Vec<Result<Answer<Told>, NoTrade>>, NotRead> {
    let parts: Vec<&str> = text.split(SEPARATOR).collect();
    if parts.len() != asked {
        let refused = parts.first().and_then(|part| error::refusal(part));
        let unreadable = || NotRead::Unreadable("a batch with another number of answers".to_owned());
        return Err(refused.map_or_else(unreadable, NotRead::Refused));
    }
    Ok(parts.into_iter().map(read_part).collect())
}

fn read_part(text: &str) -> Result<Answer<Told>, NoTrade> {
    if let Some(refused) = error::refusal(text) {
        return Err(NoTrade::Refused(refused));
    }
    read_detail(text).map_err(|reason| NoTrade::Malformed(answers::malformed(text, reason)))
}

/// Reads the detail of one trade.
pub fn read_detail(text: &str) -> Result<Answer<Told>, &'static str> {
    let DetailAnswer { trade_fullinfo_get_response: Object(fields) } =
        answers::object(text, "the detail is not of the documented form")?;
    let json = fields.trade.get();
    let trade: Trade = answers::object(json, "the detail is not a trade")?;
    let modified_at = time(trade.modified.as_ref(), china_time)?.ok_or("the detail has no modified time")?;
    let word = given(trade.status.as_ref()).ok_or("the detail has no status")?;
    let raw_status = clipped(word, RawStatus::BYTES_MAX, RawStatus::new, "the status is not a status word")?;
    let told = Told {
        trade_id: trade.id()?,
        modified_at,
        status: status::of_word(word),
        raw_status,
        content: content(&trade)?,
        packages: packages(&trade)?,
        cases: cases(&trade)?,
        json: json.to_owned(),
    };
    Ok(Answer::new(told, owner(json)))
}

fn content(trade: &Trade) -> Result<TradeContent, Reason> {
    Ok(TradeContent {
        created_at: time(trade.created.as_ref(), china_time)?,
        shipped_at: time(trade.consign_time.as_ref(), china_time)?,
        // Taobao tells of no time at which the goods were received.
        signed_at: None,
        finished_at: time(trade.end_time.as_ref(), china_time)?,
        payment: TradePayment {
            total: yuan(trade.payment.as_ref())?,
            postage: yuan(trade.post_fee.as_ref())?,
            received: yuan(trade.received_payment.as_ref())?,
            payment_id: spare(trade.alipay_no.as_ref(), PaymentId::new),
            paid_at: time(trade.pay_time.as_ref(), china_time)?,
        },
        lines: trade.lines().map(line).collect::<Result<_, _>>()?,
    })
}

fn line(line: &Line) -> Result<TradeLine, Reason> {
    Ok(TradeLine {
        id: line.id()?,
        product: spare(line.num_iid.as_ref(), ProductId::new),
        sku: spare(line.sku_id.as_ref(), ProductId::new),
        name: spare(line.title.as_ref(), ProductName::new),
        quantity: decimal(line.num.as_ref())?,
        unit_price: decimal(line.price.as_ref())?,
        amount: yuan(line.amount())?,
        picture: spare(line.pic_path.as_ref(), Picture::new),
        status: spare(line.status.as_ref(), RawStatus::new),
    })
}

/// The consignments that the lines name, each once. A line that left without a number needs no carrier.
fn packages(trade: &Trade) -> Result<Vec<ToldPackage>, Reason> {
    let mut packages: Vec<ToldPackage> = Vec::new();
    for line in trade.lines() {
        let number = given(line.invoice_no.as_ref());
        if number.is_none() && given(line.consign_time.as_ref()).is_none() {
            continue;
        }
        let oid = line.id()?;
        let id = LogisticsId::new(number.unwrap_or_default()).or_else(|_| LogisticsId::new(oid.as_str()));
        let id = id.map_err(|_| "a consignment has no id")?;
        if packages.iter().any(|package| package.id == id) {
            continue;
        }
        let carrier = given(line.logistics_company.as_ref())
            .and_then(|name| clipped(name, Carrier::BYTES_MAX, Carrier::new, "the carrier has no name").ok());
        let waybill = carrier.zip(number.and_then(|number| Waybill::new(number).ok()));
        let shipped_at = time(line.consign_time.as_ref().or(trade.consign_time.as_ref()), china_time)?;
        packages.push(ToldPackage { id, waybill, shipped_at, signed_at: None });
    }
    Ok(packages)
}

/// The refund cases of the lines, and that of the trade where it has one of its own.
fn cases(trade: &Trade) -> Result<Vec<ToldCase>, Reason> {
    let of_lines = trade.lines().map(|line| {
        let oid = line.id()?;
        let usual = format!("line.{oid}");
        case(line.refund_status.as_ref(), line.refund_id.as_ref(), &usual, Some(oid))
    });
    let of_trade = case(trade.refund_status.as_ref(), trade.refund_id.as_ref(), "trade", None);
    of_lines.chain(std::iter::once(of_trade)).filter_map(Result::transpose).collect()
}

fn case(
    word: Option<&Scalar>,
    id: Option<&Scalar>,
    usual: &str,
    line: Option<LineId>,
) -> Result<Option<ToldCase>, Reason> {
    let Some((word, state)) = given(word).and_then(|word| Some((word, status::after_sale(word)?))) else {
        return Ok(None);
    };
    let id = AfterSaleId::new(given(id).unwrap_or(usual)).map_err(|_| "refund_id is not the id of a refund")?;
    let raw = clipped(word, RawStatus::BYTES_MAX, RawStatus::new, "refund_status is not a status word")?;
    Ok(Some(ToldCase { id, state, raw, line, money: None }))
}
