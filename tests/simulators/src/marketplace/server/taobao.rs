//! TOP as a seller's app meets it: single calls and batches.
//! Source: open.taobao.com, articleId 101617 and 104350, the pages of the calls; `BatchTaobaoClient.java`.

use domain::{Marketplace, UnixMillis};
use protocols::marketplace::ListedBy;
use serde_json::{Value, json};

use super::super::truth::Notice;
use super::faults::{Fault, Refusal};
use super::trades::{self, Fields};
use super::wire::{self, Parameters, plain, read_plain};
use super::{BATCH, Hub, Request, Said, Shop};

const MARKETPLACE: Marketplace = Marketplace::Taobao;
const LIST_BY_CREATED: &str = "taobao.trades.sold.get";
const LIST_BY_MODIFIED: &str = "taobao.trades.sold.increment.get";
const DETAIL: &str = "taobao.trade.fullinfo.get";
const CONSUME: &str = "taobao.tmc.messages.consume";
const CONFIRM: &str = "taobao.tmc.messages.confirm";
const TIME: &str = "taobao.time.get";
/// How far a request's clock may be from TOP's, in milliseconds.
const CLOCK_MS_MAX: i64 = 10 * 60 * 1_000;
const DAY_MS: i64 = 86_400_000;
/// The list by creation reaches so far back, in milliseconds.
const CREATED_MS_MAX: i64 = 90 * DAY_MS;
const SEPARATOR: &str = "\r\n-S-\r\n";
/// Parts of a batch. The vendor's number is not known; nobody is told to send more.
const PARTS_MAX: usize = 20;

/// The answer to a call, or the refusal in the vendor's form.
type Answered = Result<Value, Value>;

fn error(code: u16, msg: &str, sub: Option<(&str, &str)>) -> Value {
    let mut error = json!({"code": code, "msg": msg, "request_id": "s7ezljq8tz3j"});
    if let (Some((sub_code, sub_msg)), Some(fields)) = (sub, error.as_object_mut()) {
        fields.insert("sub_code".to_owned(), json!(sub_code));
        fields.insert("sub_msg".to_owned(), json!(sub_msg));
    }
    json!({"error_response": error})
}

fn missing(argument: &str) -> Value {
    error(40, "Missing Required Arguments", Some(("isv.missing-parameter", argument)))
}

fn invalid(argument: &str) -> Value {
    error(41, "Invalid Arguments", Some(("isv.invalid-parameter", argument)))
}

/// The vendor's form of a refusal.
pub(super) fn refusal(refusal: Refusal) -> Value {
    let ban = |seconds: u64| format!("This ban will last for {seconds} more seconds");
    match refusal {
        Refusal::Ban { seconds } => {
            let sub = ("accesscontrol.limited-by-api-access-count", ban(seconds));
            error(7, "App Call Limited", Some((sub.0, &sub.1)))
        }
        Refusal::Quota { seconds } => {
            let sub = ("accesscontrol.limited-by-app-access-count", ban(seconds));
            error(7, "App Call Limited", Some((sub.0, &sub.1)))
        }
        Refusal::Busy => error(
            15,
            "Remote service error",
            Some(("isp.remote-service-timeout", "API\u{8c03}\u{7528}\u{8d85}\u{65f6}")),
        ),
        Refusal::Session => error(27, "Invalid session", Some(("invalid-sessionkey", "SessionKey\u{975e}\u{6cd5}"))),
        Refusal::Signature => error(25, "Invalid signature", None),
        Refusal::Forbidden => {
            error(11, "Insufficient isv permissions", Some(("isv.permission-api-package-limit", "scope ids is 381")))
        }
    }
}

/// The name of the API that a request calls, for counting.
pub(super) fn api(request: &Request) -> String {
    if request.path == "/router/batch" {
        return BATCH.to_owned();
    }
    let mut parameters = wire::parameters(&request.query);
    parameters.extend(wire::parameters(&request.body));
    parameters.remove("method").unwrap_or_else(|| "unknown".to_owned())
}

/// Answers a single call or a batch.
pub(super) fn answer(hub: &Hub, request: &Request, fault: Option<Fault>) -> Said {
    if request.method != "POST" {
        return Said::json(200, &error(9, "Http Action Not Allowed", None));
    }
    match request.path.as_str() {
        "/router/rest" => {
            let mut parameters = wire::parameters(&request.query);
            parameters.extend(wire::parameters(&request.body));
            let checked = check(hub, &parameters, None, 1, fault);
            let (Ok(said) | Err(said)) = checked.and_then(|()| call(hub, &parameters));
            Said::json(200, &said)
        }
        "/router/batch" => batch(hub, request, fault),
        _ => Said::page(404),
    }
}

/// The order of TOP's own checks: what is missing, who calls, when, the signature, how often.
fn check(
    hub: &Hub,
    parameters: &Parameters,
    body: Option<&str>,
    parts: u64,
    fault: Option<Fault>,
) -> Result<(), Value> {
    let given = |key: &str| parameters.get(key).map(String::as_str).filter(|value| !value.is_empty());
    let wanted = |key: &str, code: u16, msg: &str| given(key).ok_or_else(|| error(code, msg, None));
    if wanted("v", 32, "Missing version")? != "2.0" {
        return Err(error(33, "Invalid version", None));
    }
    if given("format") != Some("json") {
        return Err(error(23, "Invalid format", Some(("isv.not-simulated", "only json is simulated"))));
    }
    let app_key = wanted("app_key", 28, "Missing app key")?;
    let secret = hub.secret(MARKETPLACE, app_key).ok_or_else(|| error(29, "Invalid app key", None))?;
    let timestamp = read_plain(wanted("timestamp", 30, "Missing timestamp")?);
    if timestamp.is_none_or(|at| at.ms_since(hub.now()).abs() > CLOCK_MS_MAX) {
        return Err(error(31, "Invalid timestamp", None));
    }
    let sign = wanted("sign", 24, "Missing signature")?;
    let method = given("sign_method").unwrap_or("md5");
    if wire::top_sign(method, secret, parameters, body).as_deref() != Some(sign) {
        return Err(refusal(Refusal::Signature));
    }
    if let Some(refused) = hub.limited(MARKETPLACE, app_key, parts) {
        return Err(refusal(refused));
    }
    match fault {
        Some(Fault::Refuse(refused)) => Err(refusal(refused)),
        Some(
            Fault::RefusePart(..)
            | Fault::TooMany { .. }
            | Fault::Status(_)
            | Fault::Page
            | Fault::Hold { .. }
            | Fault::BreakOff
            | Fault::Cut,
        )
        | None => Ok(()),
    }
}

/// A batch: `#PUBLIC#` and what all parts share, then the parts; `N` for a part of nothing of its own.
fn batch(hub: &Hub, request: &Request, fault: Option<Fault>) -> Said {
    let separator = request.separator.as_deref().unwrap_or(SEPARATOR);
    let query = wire::parameters(&request.query);
    let mut parts: Vec<&str> = request.body.split(separator).collect();
    let public = parts.first().and_then(|part| part.strip_prefix("#PUBLIC#")).map(wire::parameters);
    if public.is_some() {
        parts.remove(0);
    }
    let count = u64::try_from(parts.len()).unwrap_or(u64::MAX);
    if let Err(refused) = check(hub, &query, Some(&request.body), count, fault) {
        return Said::json(200, &refused);
    }
    if !request.content_type.starts_with("text/plain") || parts.len() > PARTS_MAX {
        return Said::json(200, &invalid("batch"));
    }
    let refused_part = if let Some(Fault::RefusePart(place, refused)) = fault { Some((place, refused)) } else { None };
    let answer = |(place, part): (usize, &&str)| {
        if let Some((_, refused)) = refused_part.filter(|(refused_place, _)| *refused_place == place) {
            return refusal(refused).to_string();
        }
        let mut parameters = query.clone();
        parameters.extend(public.clone().unwrap_or_default());
        if *part != "N" {
            parameters.extend(wire::parameters(part));
        }
        hub.count(parameters.get("method").map_or("unknown", String::as_str));
        let (Ok(said) | Err(said)) = call(hub, &parameters);
        said.to_string()
    };
    let answers: Vec<String> = parts.iter().enumerate().map(answer).collect();
    let mut said = Said::text(200, "text/plain;charset=utf-8", answers.join(separator));
    said.headers.extend(request.separator.clone().map(|separator| ("top-api-separator", separator)));
    said
}

/// One call, signed and in time.
fn call(hub: &Hub, parameters: &Parameters) -> Answered {
    let app_key = parameters.get("app_key").map(String::as_str).unwrap_or_default();
    let method = parameters.get("method").map(String::as_str).unwrap_or_default();
    match method {
        "" => return Err(error(21, "Missing Method", None)),
        TIME => return Ok(json!({"time_get_response": {"time": plain(hub.now()), "request_id": "r1"}})),
        CONSUME => return consume(hub, app_key, parameters),
        CONFIRM => return confirm(hub, app_key, parameters),
        LIST_BY_CREATED | LIST_BY_MODIFIED | DETAIL => {}
        _ => return Err(error(22, "Invalid Method", None)),
    }
    let session = parameters.get("session").filter(|session| !session.is_empty());
    let session = session.ok_or_else(|| error(26, "Missing Session", None))?;
    let shop = hub.shop(MARKETPLACE, app_key, session).ok_or_else(|| refusal(Refusal::Session))?;
    hub.disturb(shop);
    match method {
        LIST_BY_CREATED => list(hub, shop, ListedBy::Created, parameters),
        LIST_BY_MODIFIED => list(hub, shop, ListedBy::Modified, parameters),
        _ => detail(shop, parameters),
    }
}

fn fields(parameters: &Parameters) -> Result<Fields, Value> {
    parameters.get("fields").and_then(|fields| Fields::read(fields)).ok_or_else(|| missing("fields"))
}

fn number(parameters: &Parameters, key: &str, otherwise: u64, most: u64) -> Result<u64, Value> {
    let given = parameters.get(key).map_or(Some(otherwise), |text| text.parse().ok());
    given.filter(|number| (1..=most).contains(number)).ok_or_else(|| invalid(key))
}

fn time(parameters: &Parameters, key: &str) -> Result<Option<UnixMillis>, Value> {
    let given = parameters.get(key).filter(|text| !text.is_empty());
    given.map(|text| read_plain(text).ok_or_else(|| invalid(key))).transpose()
}

/// The window of a list. By modification both ends are wanted, at most a day apart; by creation it reaches back three
/// months.
fn window(hub: &Hub, by: ListedBy, parameters: &Parameters) -> Result<(UnixMillis, UnixMillis), Value> {
    match by {
        ListedBy::Modified => {
            let start = time(parameters, "start_modified")?.ok_or_else(|| missing("start_modified"))?;
            let end = time(parameters, "end_modified")?.ok_or_else(|| missing("end_modified"))?;
            if start > end || end.ms_since(start) > DAY_MS {
                let why = "start_modified and end_modified are at most one day apart";
                return Err(error(15, "Remote service error", Some(("isv.invalid-parameter", why))));
            }
            Ok((start, end))
        }
        ListedBy::Created => {
            let earliest = hub.now().saturating_add_ms(-CREATED_MS_MAX);
            let start = time(parameters, "start_created")?.unwrap_or(earliest);
            Ok((start.max(earliest), time(parameters, "end_created")?.unwrap_or(UnixMillis::MAX)))
        }
    }
}

fn list(hub: &Hub, shop: &Shop, by: ListedBy, parameters: &Parameters) -> Answered {
    // What is not simulated must not be passed over in silence.
    for filter in ["status", "buyer_nick", "buyer_open_uid", "ext_type", "tag", "rate_status"] {
        if parameters.get(filter).is_some_and(|value| !value.is_empty()) {
            return Err(error(15, "Remote service error", Some(("isv.not-simulated", filter))));
        }
    }
    let fields = fields(parameters)?;
    let window = window(hub, by, parameters)?;
    let number_of_page = number(parameters, "page_no", 1, u64::MAX)?;
    let page_rows = number(parameters, "page_size", 40, 100)?;
    let has_next = parameters.get("use_has_next").is_some_and(|wanted| wanted == "true");
    let mut market = shop.market();
    let page = market.page(by, window, number_of_page, page_rows);
    let orders = page.ids.iter().filter_map(|id| market.order(*id));
    let rows: Vec<Value> = orders.map(|order| trades::trade(order, market.owner(), &fields, false)).collect();
    let mut response = json!({"request_id": "s7ezljq8tz3k"});
    if let Some(response) = response.as_object_mut() {
        if has_next {
            let is_more = number_of_page.saturating_mul(page_rows) < page.total;
            response.insert("has_next".to_owned(), json!(is_more));
        } else {
            response.insert("total_results".to_owned(), json!(page.total));
        }
        // An empty list has no `trades` at all.
        if !rows.is_empty() {
            response.insert("trades".to_owned(), json!({"trade": rows}));
        }
    }
    Ok(match by {
        ListedBy::Created => json!({"trades_sold_get_response": response}),
        ListedBy::Modified => json!({"trades_sold_increment_get_response": response}),
    })
}

fn detail(shop: &Shop, parameters: &Parameters) -> Answered {
    let fields = fields(parameters)?;
    let tid = parameters.get("tid").filter(|tid| !tid.is_empty()).ok_or_else(|| missing("tid"))?;
    let market = shop.market();
    let unknown =
        || error(15, "Remote service error", Some(("isv.trade-not-exist", "\u{4ea4}\u{6613}\u{4e0d}\u{5b58}\u{5728}")));
    let order = tid.parse().ok().and_then(|tid| market.order(tid)).ok_or_else(unknown)?;
    let trade = trades::trade(order, market.owner(), &fields, true);
    Ok(json!({"trade_fullinfo_get_response": {"trade": trade, "request_id": "r1"}}))
}

/// Messages wait by app: those of all its shops come, the oldest first.
fn consume(hub: &Hub, app_key: &str, parameters: &Parameters) -> Answered {
    let quantity = number(parameters, "quantity", 100, 200)?;
    let quantity = usize::try_from(quantity).unwrap_or_default();
    let mut waiting: Vec<(UnixMillis, Value)> = Vec::new();
    for shop in hub.shops_of(MARKETPLACE, app_key) {
        hub.disturb(shop);
        let market = shop.market();
        let message = |notice: &Notice| (notice.at, trades::message(notice, market.owner(), app_key));
        waiting.extend(market.notices().take(quantity).map(message));
    }
    waiting.sort_by_key(|(at, _)| *at);
    let messages: Vec<Value> = waiting.into_iter().take(quantity).map(|(_, message)| message).collect();
    if messages.is_empty() {
        return Ok(json!({"tmc_messages_consume_response": {"request_id": "r1"}}));
    }
    let messages = json!({"tmc_message": messages});
    Ok(json!({"tmc_messages_consume_response": {"messages": messages, "request_id": "r1"}}))
}

fn confirm(hub: &Hub, app_key: &str, parameters: &Parameters) -> Answered {
    let ids = parameters.get("s_message_ids").filter(|ids| !ids.is_empty()).ok_or_else(|| missing("s_message_ids"))?;
    let ids: Result<Vec<u64>, _> = ids.split(',').map(|id| id.trim().parse()).collect();
    let ids = ids.ok().filter(|ids| ids.len() <= 200).ok_or_else(|| invalid("s_message_ids"))?;
    for shop in hub.shops_of(MARKETPLACE, app_key) {
        let mut market = shop.market();
        for id in &ids {
            market.confirm(*id);
        }
    }
    Ok(json!({"tmc_messages_confirm_response": {"is_success": true, "request_id": "r1"}}))
}
