//! Orders as the buyer lists and reads them. Source: open.1688.com, `getBuyerOrderList`, `get.buyerView`.
//!
//! Quirks that are met, all in the vendor's own samples: `id` has lost digits that `idOfStr` has, `idOfStr` is a number at
//! times, offsets are not always China's, amounts are numbers of yuan beside others in fen.

use domain::{
    AfterSaleId, Carrier, LineId, LogisticsId, Money, PaymentId, Picture, ProductId, ProductName, RawStatus,
    TradeContent, TradeId, TradeLine, TradePayment, TradeStatus, UnixMillis, Waybill,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{error, status};
use crate::answers::{self, Reason, Scalar, compact_time, decimal, given, part, spare, time, yuan};
use crate::json::{self, Object};
use crate::marketplace::reading::{clipped, digits, page};
use crate::marketplace::{Answer, ListPage, Listed, Malformed, NotRead, Told, ToldCase, ToldPackage, listing_digest};

/// `type` of a consignment that needs no carrier.
const NO_CARRIER: &str = "2";
/// What stands where a number is for goods that need no carrier: "no carriage needed".
const NO_WAYBILL: &str = "\u{4e0d}\u{9700}\u{8981}\u{7269}\u{6d41}";
/// `payStatus` of what was paid: paid, refunded in full, with the seller. A payment that was called off (8) has a
/// `payTime` too.
const PAID: [&str; 3] = ["2", "4", "6"];
/// `logisticsStatus` of an item that left, all of it or a part: sent, received, partly sent.
const SENT: [&str; 3] = ["2", "3", "5"];
/// What stands before the extension of a picture that is only a thumbnail.
const THUMBNAIL: &str = ".80x80.";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListAnswer<'a> {
    #[serde(borrow, default)]
    result: Vec<&'a RawValue>,
    total_record: Option<Scalar>,
}

#[derive(Deserialize)]
struct DetailAnswer<'a> {
    #[serde(borrow)]
    result: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Order {
    base_info: Object<BaseInfo>,
    #[serde(default)]
    product_items: Vec<Object<Item>>,
    native_logistics: Option<Object<Logistics>>,
    #[serde(default)]
    trade_terms: Vec<Object<Term>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Term {
    pay_status: Option<Scalar>,
    pay_time: Option<Scalar>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BaseInfo {
    id: Option<Scalar>,
    id_of_str: Option<Scalar>,
    status: Option<Scalar>,
    create_time: Option<Scalar>,
    modify_time: Option<Scalar>,
    pay_time: Option<Scalar>,
    all_delivered_time: Option<Scalar>,
    receiving_time: Option<Scalar>,
    complete_time: Option<Scalar>,
    total_amount: Option<Scalar>,
    shipping_fee: Option<Scalar>,
    refund: Option<Scalar>,
    refund_status: Option<Scalar>,
    refund_id: Option<Scalar>,
    alipay_trade_id: Option<Scalar>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    #[serde(rename = "subItemID")]
    sub_item_id: Option<Scalar>,
    #[serde(rename = "subItemIDString")]
    sub_item_id_string: Option<Scalar>,
    #[serde(rename = "productID")]
    product_id: Option<Scalar>,
    #[serde(rename = "skuID")]
    sku_id: Option<Scalar>,
    name: Option<Scalar>,
    quantity: Option<Scalar>,
    price: Option<Scalar>,
    item_amount: Option<Scalar>,
    refund: Option<Scalar>,
    status: Option<Scalar>,
    logistics_status: Option<Scalar>,
    refund_status: Option<Scalar>,
    refund_id: Option<Scalar>,
    #[serde(default)]
    product_img_url: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Logistics {
    #[serde(default)]
    logistics_items: Vec<Object<Consignment>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Consignment {
    id: Option<Scalar>,
    logistics_code: Option<Scalar>,
    #[serde(rename = "type")]
    kind: Option<Scalar>,
    logistics_company_name: Option<Scalar>,
    logistics_company_no: Option<Scalar>,
    logistics_bill_no: Option<Scalar>,
    delivered_time: Option<Scalar>,
}

impl BaseInfo {
    fn id(&self) -> Result<TradeId, Reason> {
        let id = digits(self.id_of_str.as_ref()).or(digits(self.id.as_ref())).ok_or("an order has no id")?;
        TradeId::new(id).map_err(|_| "idOfStr is not the id of an order")
    }
}

impl Item {
    fn id(&self) -> Result<LineId, Reason> {
        let id = digits(self.sub_item_id_string.as_ref()).or(digits(self.sub_item_id.as_ref()));
        LineId::new(id.ok_or("a line has no id")?).map_err(|_| "subItemIDString is not the id of a line")
    }

    fn is_sent(&self) -> bool {
        given(self.logistics_status.as_ref()).is_some_and(|status| SENT.contains(&status))
    }

    fn digest_parts(&self) -> [&str; 7] {
        let id = self.sub_item_id_string.as_ref().or(self.sub_item_id.as_ref());
        let own = [&self.status, &self.logistics_status, &self.refund_status, &self.refund_id];
        let [status, logistics_status, refund_status, refund_id] = own.map(|scalar| part(scalar.as_ref()));
        let [quantity, amount] = [&self.quantity, &self.item_amount].map(|scalar| part(scalar.as_ref()));
        [part(id), status, logistics_status, refund_status, refund_id, quantity, amount]
    }
}

impl Order {
    /// An order of which a part was sent is still `waitsellersend`: the items tell. A push says so by its type.
    fn status(&self, word: &str) -> TradeStatus {
        let status = status::of_word(word);
        let is_part_sent = self.product_items.iter().any(|Object(item)| item.is_sent());
        if status == TradeStatus::AwaitingShipment && is_part_sent { TradeStatus::PartlyShipped } else { status }
    }

    /// When the order was paid; of one that is paid in stages, when the last of them was.
    fn paid_at(&self) -> Result<Option<UnixMillis>, Reason> {
        let whole = time(self.base_info.0.pay_time.as_ref(), compact_time)?;
        let terms = self.trade_terms.iter().map(|Object(term)| term);
        let paid = terms.filter(|term| given(term.pay_status.as_ref()).is_some_and(|status| PAID.contains(&status)));
        let times: Vec<_> = paid.map(|term| time(term.pay_time.as_ref(), compact_time)).collect::<Result<_, _>>()?;
        Ok(whole.or(times.into_iter().flatten().max()))
    }
}

/// Whose an order is, by its own word. Read apart from the rest, so that a row that cannot be read has an owner too.
fn owner(order: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct OwnerOf {
        #[serde(rename = "baseInfo")]
        base_info: Object<Owner>,
    }
    #[derive(Deserialize)]
    struct Owner {
        #[serde(rename = "buyerID")]
        buyer_id: Option<Scalar>,
    }
    given(json::object::<OwnerOf>(order).ok()?.base_info.0.buyer_id.as_ref()).map(str::to_owned)
}

fn answer<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, NotRead> {
    if let Some(refused) = error::refusal(text) {
        return Err(NotRead::Refused(refused));
    }
    json::object(text).map_err(|error| NotRead::Unreadable(json::describe(&error)))
}

/// Reads a page of a list. A row that cannot be read is in the page as such, and harms no other.
pub fn read_list(text: &str) -> Result<Answer<ListPage<TradeId>>, NotRead> {
    let ListAnswer { result, total_record } = answer(text)?;
    page(total_record.as_ref(), &result, owner, read_row)
}

fn read_row(text: &str) -> Result<Listed<TradeId>, Reason> {
    let order: Order = answers::object(text, "a row of the list is not an order")?;
    let Object(base) = &order.base_info;
    let of_order = [&base.status, &base.total_amount, &base.shipping_fee, &base.refund, &base.refund_status];
    let of_order = of_order.into_iter().map(|scalar| part(scalar.as_ref()));
    // One moment comes in more than one offset.
    let moments = [&base.modify_time, &base.pay_time, &base.all_delivered_time];
    let moments = moments.map(|moment| moment.as_ref().and_then(|text| compact_time(text.as_str())));
    let moments = moments.map(|moment| moment.map(UnixMillis::to_rfc3339).unwrap_or_default());
    let mut of_items: Vec<_> = order.product_items.iter().map(|Object(item)| item.digest_parts()).collect();
    // In which order items come is not documented, and says nothing.
    of_items.sort_unstable();
    let digest =
        listing_digest(of_order.chain(moments.iter().map(String::as_str)).chain(of_items.into_iter().flatten()))
            .ok_or("a row has no digest")?;
    let modified_at = time(base.modify_time.as_ref(), compact_time)?;
    Ok(Listed { id: base.id()?, modified_at, digest })
}

/// Reads the detail of one order; `Err` in it when it is not of the documented form.
pub fn read_detail(text: &str) -> Result<Result<Answer<Told>, Malformed>, NotRead> {
    let DetailAnswer { result } = answer(text)?;
    Ok(read_order(result.get()).map_err(|reason| answers::malformed(result.get(), reason)))
}

fn read_order(json: &str) -> Result<Answer<Told>, Reason> {
    let order: Order = answers::object(json, "the detail is not an order")?;
    let Object(base) = &order.base_info;
    let word = given(base.status.as_ref()).ok_or("the order has no status")?;
    let told = Told {
        trade_id: base.id()?,
        modified_at: time(base.modify_time.as_ref(), compact_time)?.ok_or("the order has no modifyTime")?,
        status: order.status(word),
        raw_status: clipped(word, RawStatus::BYTES_MAX, RawStatus::new, "the status is not a status word")?,
        content: content(&order)?,
        packages: packages(&order)?,
        cases: cases(&order)?,
        json: json.to_owned(),
    };
    Ok(Answer::new(told, owner(json)))
}

fn content(order: &Order) -> Result<TradeContent, Reason> {
    let Object(base) = &order.base_info;
    Ok(TradeContent {
        created_at: time(base.create_time.as_ref(), compact_time)?,
        shipped_at: time(base.all_delivered_time.as_ref(), compact_time)?,
        signed_at: time(base.receiving_time.as_ref(), compact_time)?,
        finished_at: time(base.complete_time.as_ref(), compact_time)?,
        payment: TradePayment {
            total: yuan(base.total_amount.as_ref())?,
            postage: yuan(base.shipping_fee.as_ref())?,
            // What the seller received is not the buyer's to know.
            received: None,
            payment_id: spare(base.alipay_trade_id.as_ref(), PaymentId::new),
            paid_at: order.paid_at()?,
        },
        lines: order.product_items.iter().map(|Object(item)| line(item)).collect::<Result<_, _>>()?,
    })
}

fn line(item: &Item) -> Result<TradeLine, Reason> {
    let full_size = item.product_img_url.iter().find(|url| !url.contains(THUMBNAIL));
    let picture = full_size.or(item.product_img_url.first()).and_then(|url| Picture::new(url.as_str()).ok());
    Ok(TradeLine {
        id: item.id()?,
        product: spare(item.product_id.as_ref(), ProductId::new),
        sku: spare(item.sku_id.as_ref(), ProductId::new),
        name: spare(item.name.as_ref(), ProductName::new),
        quantity: decimal(item.quantity.as_ref())?,
        unit_price: decimal(item.price.as_ref())?,
        amount: yuan(item.item_amount.as_ref())?,
        picture,
        status: spare(item.status.as_ref(), RawStatus::new),
    })
}

fn packages(order: &Order) -> Result<Vec<ToldPackage>, Reason> {
    let items = order.native_logistics.iter().flat_map(|Object(logistics)| &logistics.logistics_items);
    let signed_at = time(order.base_info.0.receiving_time.as_ref(), compact_time)?;
    let package = |Object(item): &Object<Consignment>| {
        let id = given(item.logistics_code.as_ref()).or(given(item.id.as_ref())).ok_or("a consignment has no id")?;
        // The code where there is one: pushes name carriers by it, and one parcel must not have two carriers in turn.
        let named = item.logistics_company_no.as_ref().or(item.logistics_company_name.as_ref());
        let carrier = given(named)
            .and_then(|name| clipped(name, Carrier::BYTES_MAX, Carrier::new, "the carrier has no name").ok())
            .filter(|_| given(item.kind.as_ref()) != Some(NO_CARRIER));
        let number = spare(item.logistics_bill_no.as_ref(), Waybill::new);
        Ok(ToldPackage {
            id: LogisticsId::new(id).map_err(|_| "logisticsCode is not the id of a consignment")?,
            waybill: carrier.zip(number.filter(|number| number.as_str() != NO_WAYBILL)),
            shipped_at: time(item.delivered_time.as_ref(), compact_time)?,
            signed_at,
        })
    };
    items.map(package).collect()
}

/// The refund cases of the lines, where lines of one case make one; that of the order where no line has one.
fn cases(order: &Order) -> Result<Vec<ToldCase>, Reason> {
    let Object(base) = &order.base_info;
    let mut cases: Vec<ToldCase> = Vec::new();
    for Object(item) in &order.product_items {
        let id = item.id()?;
        let usual = format!("line.{id}");
        let (word, money) = (item.refund_status.as_ref(), item.refund.as_ref());
        let Some(case) = case(word, item.refund_id.as_ref(), &usual, Some(id), money)? else { continue };
        match cases.iter_mut().find(|known| known.id == case.id) {
            Some(known) => {
                known.line = None;
                known.money = sum(known.money, case.money)?;
            }
            None => cases.push(case),
        }
    }
    if cases.is_empty() {
        let of_order = case(base.refund_status.as_ref(), base.refund_id.as_ref(), "trade", None, base.refund.as_ref());
        cases.extend(of_order?);
    }
    Ok(cases)
}

fn sum(one: Option<Money>, other: Option<Money>) -> Result<Option<Money>, Reason> {
    match (one, other) {
        (Some(one), Some(other)) => one.checked_add(other).map(Some).map_err(|_| "a refund is too large"),
        (money, None) | (None, money) => Ok(money),
    }
}

fn case(
    word: Option<&Scalar>,
    id: Option<&Scalar>,
    usual: &str,
    line: Option<LineId>,
    money: Option<&Scalar>,
) -> Result<Option<ToldCase>, Reason> {
    let Some(word) = given(word) else { return Ok(None) };
    let id = AfterSaleId::new(given(id).unwrap_or(usual)).map_err(|_| "refundId is not the id of a refund")?;
    let raw = clipped(word, RawStatus::BYTES_MAX, RawStatus::new, "refundStatus is not a status word")?;
    let money = yuan(money)?.filter(|money| !money.is_zero());
    Ok(Some(ToldCase { id, state: status::after_sale(word), raw, line, money }))
}
