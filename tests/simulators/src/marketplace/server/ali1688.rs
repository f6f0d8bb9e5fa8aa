//! 1688 as a buyer's app meets it. Source: open.1688.com, `getBuyerOrderList`, `get.buyerView`, gateway errors.

use domain::{Marketplace, UnixMillis};
use protocols::marketplace::ListedBy;
use serde_json::{Map, Value, json};
use time::UtcOffset;

use super::super::order::{CaseStage, Line, Order, Stage};
use super::super::told::{carrier, picture};
use super::faults::{Fault, Refusal};
use super::options::Offsets;
use super::wire::{self, CALIFORNIA, CHINA, Parameters, compact, number_of_yuan};
use super::{Hub, Request, Said, Shop, products};

const LIST: &str = "com.alibaba.trade/alibaba.trade.getBuyerOrderList";
const DETAIL: &str = "com.alibaba.trade/alibaba.trade.get.buyerView";
/// Rows of a page, by default and at most. The most is not documented; most implementers keep to 50.
const PAGE_ROWS: u64 = 20;
const PAGE_ROWS_MAX: u64 = 50;
/// Orders of the current table are at most so old, as one implementer found; older ones are in the archive (`isHis`).
const CURRENT_MS: i64 = 90 * 86_400_000;
/// Below this, neighbouring doubles of an order's number lie apart: digits that a double loses.
const LOST_DIGITS: u64 = 32;

const MARKETPLACE: Marketplace = Marketplace::Alibaba1688;

/// The name of the API that a path calls, for counting.
pub(super) fn api(path: &str) -> String {
    let name = path.trim_start_matches("/openapi/param2/").split('/').nth(2);
    name.unwrap_or("unknown").to_owned()
}

pub(super) fn gateway(status: u16, code: &str, message: &str) -> Said {
    let body = json!({
        "error_code": code,
        "error_message": message,
        "exception": message,
        "request_id": "0bfbb8a617000000000000000e0001"
    });
    Said::json(status, &body)
}

pub(super) fn business(code: &str, message: &str) -> Said {
    Said::json(200, &json!({"success": false, "errorCode": code, "errorMessage": message}))
}

/// The vendor's form of a refusal.
pub(super) fn refusal(refusal: Refusal) -> Said {
    const LIMITED: &str = "App call exceeds limited frequency";
    match refusal {
        Refusal::Ban { .. } => gateway(400, "gw.QosAppFrequencyLimit", LIMITED),
        Refusal::Quota { .. } => gateway(400, "gw.QosRequestLimit", "Request exceeds limited count"),
        // The same words come with HTTP 200, as implementers found.
        Refusal::Busy => gateway(200, "gw.QosAppFrequencyLimit", LIMITED),
        Refusal::Session => gateway(401, "401", "Request need user authorized"),
        Refusal::Signature => gateway(400, "gw.SignatureInvalid", "Invalid signature"),
        Refusal::Forbidden => gateway(403, "gw.APIACLDecline", "AppKey is not allowed(acl)"),
    }
}

/// Answers a call.
pub(super) fn answer(hub: &Hub, request: &Request, fault: Option<Fault>) -> Said {
    let signed = request.path.trim_start_matches("/openapi/");
    let mut parts = signed.splitn(5, '/');
    let place = [parts.next(), parts.next(), parts.next(), parts.next(), parts.next()];
    let [Some("param2"), Some("1"), Some(namespace), Some(name), Some(app_key)] = place else {
        return gateway(400, "gw.APIUnsupported", "Unsupported API");
    };
    let api = format!("{namespace}/{name}");
    if request.method != "POST" || !request.content_type.starts_with("application/x-www-form-urlencoded") {
        return gateway(400, "gw.ParamInvalid", "a POST of a form is wanted");
    }
    if ![LIST, DETAIL, products::LIST, products::DETAIL, products::OFFER, "system/currentTime"].contains(&api.as_str())
    {
        return gateway(400, "gw.APIUnsupported", "Unsupported API");
    }
    let mut parameters = wire::parameters(&request.query);
    parameters.extend(wire::parameters(&request.body));
    let Some(secret) = hub.secret(MARKETPLACE, app_key) else {
        return gateway(400, "gw.AppKeyNotFound", "Unknown appKey");
    };
    let Some(signature) = parameters.get("_aop_signature") else {
        return gateway(400, "gw.SignatureMissing", "Missing signature");
    };
    if *signature != wire::aop_signature(secret, signed, &parameters) {
        return refusal(Refusal::Signature);
    }
    if let Some(refused) = hub.limited(MARKETPLACE, app_key, 1) {
        return refusal(refused);
    }
    if let Some(Fault::Refuse(refused)) = fault {
        return refusal(refused);
    }
    if api == "system/currentTime" {
        return Said::json(200, &json!(compact(hub.now(), CHINA)));
    }
    let token = parameters.get("access_token").map(String::as_str).unwrap_or_default();
    let Some(shop) = hub.shop(MARKETPLACE, app_key, token) else {
        return refusal(Refusal::Session);
    };
    hub.disturb(shop);
    match api.as_str() {
        products::LIST => products::list(hub, shop, &parameters),
        products::DETAIL => products::detail(hub, shop, &parameters),
        products::OFFER => products::offer(hub, shop, &parameters),
        LIST => list(hub, shop, &parameters),
        _ => detail(hub, shop, &parameters),
    }
}

/// The window of a parameter pair; `Ok(None)` when it is not given.
pub(super) fn window(
    parameters: &Parameters,
    start: &str,
    end: &str,
) -> Result<Option<(UnixMillis, UnixMillis)>, Said> {
    let time = |key: &str, otherwise: UnixMillis| match parameters.get(key) {
        None => Ok(otherwise),
        Some(text) => wire::read_compact(text).ok_or_else(|| gateway(400, "gw.ParamInvalid", key)),
    };
    if !parameters.contains_key(start) && !parameters.contains_key(end) {
        return Ok(None);
    }
    Ok(Some((time(start, UnixMillis::EPOCH)?, time(end, UnixMillis::MAX)?)))
}

pub(super) fn number(parameters: &Parameters, key: &str, otherwise: u64, most: u64) -> Result<u64, Said> {
    let given = parameters.get(key).map_or(Some(otherwise), |text| text.parse().ok());
    given.filter(|number| (1..=most).contains(number)).ok_or_else(|| business("PARAM_ILLEGAL", key))
}

fn list(hub: &Hub, shop: &Shop, parameters: &Parameters) -> Said {
    match try_list(hub, shop, parameters) {
        Ok(said) | Err(said) => said,
    }
}

fn try_list(hub: &Hub, shop: &Shop, parameters: &Parameters) -> Result<Said, Said> {
    // What is not simulated must not be passed over in silence.
    for filter in ["orderStatus", "refundStatus", "sellerMemberId", "tradeType", "productName", "orderIds"] {
        if parameters.get(filter).is_some_and(|value| !value.is_empty()) {
            return Err(business("NOT_SIMULATED", filter));
        }
    }
    let modified = window(parameters, "modifyStartTime", "modifyEndTime")?;
    let created = window(parameters, "createStartTime", "createEndTime")?;
    let (by, (from, to)) = match (modified, created) {
        (Some(_), Some(_)) => return Err(business("NOT_SIMULATED", "both times")),
        (Some(window), None) => (ListedBy::Modified, window),
        (None, window) => (ListedBy::Created, window.unwrap_or((UnixMillis::EPOCH, UnixMillis::MAX))),
    };
    let archived = hub.now().saturating_add_ms(-CURRENT_MS);
    let window = match parameters.get("isHis").map(String::as_str) {
        Some("true") => (from, to.min(archived)),
        _ => (from.max(archived), to),
    };
    let page = number(parameters, "page", 1, u64::MAX)?;
    let page_rows = number(parameters, "pageSize", PAGE_ROWS, PAGE_ROWS_MAX)?;
    let offset = offset(hub);
    let mut market = shop.market();
    let page = market.page(by, window, page, page_rows);
    let rows: Vec<Value> = page
        .ids
        .iter()
        .filter_map(|id| market.order(*id))
        .map(|order| Writer { order, owner: market.owner(), offset: offset(order) }.row())
        .collect();
    Ok(Said::json(200, &json!({"result": rows, "totalRecord": page.total})))
}

fn detail(hub: &Hub, shop: &Shop, parameters: &Parameters) -> Said {
    let Some(id) = parameters.get("orderId") else {
        return gateway(400, "gw.ParamMissing", "orderId");
    };
    if !parameters.get("webSite").is_some_and(|site| site == "1688" || site == "alibaba") {
        return gateway(400, "gw.ParamMissing", "webSite");
    }
    let offset = offset(hub);
    let market = shop.market();
    let Some(order) = id.parse().ok().and_then(|id| market.order(id)) else {
        return business("ORDER_NOT_EXIST", "\u{8ba2}\u{5355}\u{4e0d}\u{5b58}\u{5728}");
    };
    let include = parameters.get("includeFields").map(String::as_str).unwrap_or_default();
    let has_logistics = include.is_empty() || include.split(',').any(|field| field == "NativeLogistics");
    let view = Writer { order, owner: market.owner(), offset: offset(order) }.view(has_logistics);
    Said::json(200, &json!({"result": view, "success": "true"}))
}

/// In which offset the times of a trade are written in this answer.
fn offset(hub: &Hub) -> impl Fn(&Order) -> UtcOffset + use<> {
    let (offsets, is_california) = (hub.options.offsets, hub.chance(8));
    move |order| {
        let is_there = match offsets {
            Offsets::China => false,
            Offsets::ByTrade => order.id.is_multiple_of(8),
            Offsets::ByAnswer => is_california,
        };
        if is_there { CALIFORNIA } else { CHINA }
    }
}

/// Writes one order.
struct Writer<'a> {
    order: &'a Order,
    owner: &'a str,
    offset: UtcOffset,
}

impl Writer<'_> {
    fn time(&self, at: UnixMillis) -> Value {
        json!(compact(at, self.offset))
    }

    /// As the list has it: without consignments.
    fn row(&self) -> Value {
        let address = json!({
            "area": "\u{4e49}\u{4e4c}\u{5e02}", "areaCode": "330782", "city": "\u{91d1}\u{534e}\u{5e02}",
            "contactPerson": "\u{6536}\u{8d27}\u{4eba}", "province": "\u{6d59}\u{6c5f}\u{7701}", "zip": "322000"
        });
        let lines: Vec<Value> = self.order.lines.iter().map(|line| self.line(line)).collect();
        json!({
            "baseInfo": self.base_info(),
            "nativeLogistics": address,
            "productItems": lines,
            "tradeTerms": self.terms(),
            "orderRateInfo": {"buyerRateStatus": 5, "sellerRateStatus": 5}
        })
    }

    /// As the detail has it.
    fn view(&self, has_logistics: bool) -> Value {
        let mut view = self.row();
        let Some(fields) = view.as_object_mut() else { return view };
        fields.insert("extAttributes".to_owned(), json!([]));
        match fields.get_mut("nativeLogistics").and_then(Value::as_object_mut) {
            Some(logistics) if has_logistics => {
                logistics.insert("address".to_owned(), json!("\u{7f51}\u{5546}\u{8def}699\u{53f7}"));
                logistics.insert("mobile".to_owned(), json!("13800138000"));
                logistics.insert("logisticsItems".to_owned(), self.consignments());
            }
            Some(_) | None => drop(fields.remove("nativeLogistics")),
        }
        view
    }

    fn base_info(&self) -> Value {
        let order = self.order;
        let before_discounts: i64 = order.lines.iter().map(|line| line.price * i64::from(line.quantity)).sum();
        let discounts: i64 = order.lines.iter().map(|line| line.discount).sum();
        let mut base = json!({
            "businessType": "cn",
            "tradeType": "50060",
            "status": order.word(MARKETPLACE),
            "createTime": self.time(order.created),
            "modifyTime": self.time(order.modified),
            "totalAmount": number_of_yuan(order.total()),
            "shippingFee": number_of_yuan(order.postage),
            "sumProductPayment": number_of_yuan(before_discounts),
            // In fen, and negative for what is taken off.
            "discount": -discounts,
            "refund": number_of_yuan(self.refunded()),
            "refundPayment": number_of_yuan(self.refunded()),
            "currency": "CNY",
            "buyerID": self.owner,
            "buyerLoginId": "sampan",
            "sellerID": format!("b2b-16247{:05}", order.counterpart),
            "sellerLoginId": format!("seller{:05}", order.counterpart),
            "receiverInfo": {
                "toFullName": "\u{6536}\u{8d27}\u{4eba}", "toMobile": "13800138000", "toPost": "322000",
                "toDivisionCode": "330782", "toArea": "\u{6d59}\u{6c5f}\u{7701} \u{91d1}\u{534e}\u{5e02}"
            },
            "stepPayAll": false
        });
        let Some(fields) = base.as_object_mut() else { return base };
        let times = [
            ("payTime", order.paid),
            ("allDeliveredTime", order.shipped),
            ("receivingTime", order.signed),
            ("completeTime", order.finished),
        ];
        fields.extend(times.into_iter().filter_map(|(name, at)| Some((name.to_owned(), self.time(at?)))));
        fields.extend(order.payment_id().map(|id| ("alipayTradeId".to_owned(), json!(id))));
        if order.flag > 0 {
            fields.insert("buyerRemarkIcon".to_owned(), json!(order.flag.to_string()));
        }
        if order.stage == Stage::ClosedUnpaid {
            fields.insert("closeReason".to_owned(), json!("BUYER_NO_PAY"));
        }
        if let Some(case) = order.lines.iter().find_map(|line| line.case) {
            fields.insert("refundStatus".to_owned(), json!(order_word(case.stage)));
            fields.insert("refundId".to_owned(), json!(case.name(MARKETPLACE)));
        }
        number_quirks(fields, ("id", "idOfStr"), order.id);
        base
    }

    fn refunded(&self) -> i64 {
        let is_refunded = |line: &&Line| line.case.is_some_and(|case| case.stage == CaseStage::Refunded);
        self.order.lines.iter().filter(is_refunded).map(Line::amount).sum()
    }

    fn terms(&self) -> Value {
        let order = self.order;
        let status = match (order.paid, order.stage) {
            (None, Stage::ClosedUnpaid) => "8",
            (None, _) => "1",
            (Some(_), Stage::Closed) => "4",
            (Some(_), Stage::Finished) => "6",
            (Some(_), _) => "2",
        };
        let mut terms = json!({
            "payStatus": status, "payWay": "1", "phasAmount": number_of_yuan(order.total()), "phase": order.id / 3
        });
        if let (Some(paid), Some(fields)) = (order.paid, terms.as_object_mut()) {
            fields.insert("payTime".to_owned(), self.time(paid));
        }
        json!([terms])
    }

    fn line(&self, line: &Line) -> Value {
        let stage = self.order.line_stage(line);
        let picture = picture(MARKETPLACE, line);
        let thumbnail = picture.replace(".jpg", ".80x80.jpg");
        let logistics = match (line.waybill, stage) {
            (None, _) => 1,
            (Some(_), Stage::Signed | Stage::Finished) => 3,
            (Some(_), _) => 2,
        };
        let mut item = json!({
            "name": line.name(),
            "productID": line.product,
            "skuID": line.sku,
            "specId": format!("{:032x}", u128::from(line.sku) * 0x9e37_79b9_7f4a_7c15),
            "productCargoNumber": "KY",
            "quantity": line.quantity,
            "quantityFactor": 1,
            "unit": "\u{4ef6}",
            "price": number_of_yuan(line.price),
            "itemAmount": number_of_yuan(line.amount()),
            "entryDiscount": -line.discount,
            "refund": number_of_yuan(line.case.map_or(0, |_| line.amount())),
            "status": stage.word(MARKETPLACE),
            "type": "common",
            "productImgUrl": [thumbnail, picture],
            "productSnapshotUrl": format!("https://trade.1688.com/order/offer_snapshot.htm?order_entry_id={}", line.id),
            "skuInfos": [{"name": "\u{989c}\u{8272}", "value": "\u{6df1}\u{7070}\u{8272}"}],
            "logisticsStatus": logistics,
            "guaranteesTerms": [],
            "gmtCreate": self.time(self.order.created),
            "gmtModified": self.time(self.order.modified)
        });
        let Some(fields) = item.as_object_mut() else { return item };
        if let Some(case) = line.case {
            fields.insert("refundStatus".to_owned(), json!(case.stage.word(MARKETPLACE)));
            fields.insert("refundId".to_owned(), json!(case.name(MARKETPLACE)));
        }
        number_quirks(fields, ("subItemID", "subItemIDString"), line.id);
        item
    }

    fn consignments(&self) -> Value {
        let order = self.order;
        let consignment = |(waybill, sent): (u64, UnixMillis)| {
            let (code, name) = carrier(waybill);
            let lines = order.lines.iter().filter(|line| line.waybill == Some(waybill));
            json!({
                "id": waybill,
                "logisticsCode": format!("LP{waybill}"),
                "type": "0",
                "status": "alreadysend",
                "logisticsCompanyNo": code,
                "logisticsCompanyName": name,
                "logisticsBillNo": waybill.to_string(),
                "deliveredTime": self.time(sent),
                "subItemIds": lines.map(|line| line.id.to_string()).collect::<Vec<_>>().join(","),
                "gmtCreate": self.time(sent),
                "gmtModified": self.time(sent)
            })
        };
        order.waybills().into_iter().map(consignment).collect()
    }
}

/// The order's word for where a refund stands.
const fn order_word(stage: CaseStage) -> &'static str {
    match stage {
        CaseStage::Requested => "waitselleragree",
        CaseStage::Refused => "waitbuyermodify",
        CaseStage::AwaitingReturn => "waitbuyersend",
        CaseStage::Returning => "waitsellerreceive",
        CaseStage::Refunded => "refundsuccess",
        CaseStage::Closed => "refundclose",
    }
}

/// A number and the same as a text, with what the vendor's samples show: the number has lost digits beside a text that
/// has them; the text is a number; there is no text, and then the number has all its digits.
fn number_quirks(fields: &mut Map<String, Value>, (number, text): (&str, &str), id: u64) {
    let (as_number, as_text) = match id % 5 {
        0 => (json!(id), Some(json!(id))),
        1 if text != "idOfStr" => (json!(id), None),
        _ => (json!(id - id % LOST_DIGITS), Some(json!(id.to_string()))),
    };
    fields.insert(number.to_owned(), as_number);
    fields.extend(as_text.map(|as_text| (text.to_owned(), as_text)));
}
