//! Signed calls of TOP, ready to be posted.
//!
//! Every parameter of a single call is in the form, so that no session stands in a URL; a batch has no other place for
//! it. Sources: open.taobao.com, articleId 101617 and 104350; `BatchTaobaoClient.java`.

use domain::{MessageId, TradeId, UnixMillis};
use secrecy::ExposeSecret;

use super::signature::{self, SignMethod};
use crate::answers::write_china_time;
use crate::marketplace::{ApiRequest, ListQuery, ListedBy, TaobaoAccess};

/// Between the calls of a batch, and between the answers.
pub const BATCH_SEPARATOR: &str = "\r\n-S-\r\n";
/// Messages that one pull asks for. The vendor's limit is 200; fewer are confirmed sooner.
pub const MESSAGES_PER_PULL: u64 = 100;

/// What a row of a list is asked for: what tells whether a trade changed.
const LIST_FIELDS: &str = "tid,tid_str,seller_nick,status,type,payment,total_fee,post_fee,received_payment,created,\
    modified,pay_time,consign_time,end_time,orders";
/// What a detail is asked for: nothing of the buyer.
const DETAIL_FIELDS: &str = "tid,tid_str,seller_nick,status,type,payment,total_fee,post_fee,received_payment,\
    discount_fee,adjust_fee,alipay_no,step_trade_status,step_paid_fee,shipping_type,created,modified,pay_time,\
    consign_time,end_time,orders";

/// What a form's bytes are.
const FORM: &str = "application/x-www-form-urlencoded;charset=utf-8";
/// What the bytes of a batch are.
const TEXT: &str = "text/plain;charset=utf-8";

/// One page of a list of trades. Asked with their number (`use_has_next` is not set), because a list of which nobody
/// knows how long it is cannot be checked.
pub fn list(access: &TaobaoAccess, query: &ListQuery, now: UnixMillis) -> ApiRequest {
    let (method, start, end) = match query.by {
        ListedBy::Modified => ("taobao.trades.sold.increment.get", "start_modified", "end_modified"),
        ListedBy::Created => ("taobao.trades.sold.get", "start_created", "end_created"),
    };
    let parameters = [
        ("fields", LIST_FIELDS.to_owned()),
        (start, write_china_time(query.window.start())),
        (end, write_china_time(query.window.end())),
        ("page_no", query.page.to_string()),
        ("page_size", query.page_rows.to_string()),
    ];
    single(access, method, parameters, now)
}

/// The details of many trades, in one batch. The answers come in the order of `trades`.
pub fn details(access: &TaobaoAccess, trades: &[TradeId], now: UnixMillis) -> ApiRequest {
    const METHOD: &str = "taobao.trade.fullinfo.get";
    let public = format!("#PUBLIC#{}", form(&owned([("method", METHOD), ("fields", DETAIL_FIELDS)])));
    let calls = trades.iter().map(|trade| form(&owned([("tid", trade.as_str())])));
    let body = std::iter::once(public).chain(calls).collect::<Vec<_>>().join(BATCH_SEPARATOR);
    let mut query = system(access, now);
    sign(access, &mut query, Some(&body));
    ApiRequest { call: METHOD, path: "/router/batch".to_owned(), query, content_type: TEXT, body }
}

/// Messages that wait, for every shop of the app's default group.
pub fn pull(access: &TaobaoAccess, now: UnixMillis) -> ApiRequest {
    single(access, "taobao.tmc.messages.consume", [("quantity", MESSAGES_PER_PULL.to_string())], now)
}

/// Confirms messages, so that they do not come again.
pub fn confirm(access: &TaobaoAccess, messages: &[MessageId], now: UnixMillis) -> ApiRequest {
    let ids = messages.iter().map(MessageId::as_str).collect::<Vec<_>>().join(",");
    single(access, "taobao.tmc.messages.confirm", [("s_message_ids", ids)], now)
}

fn single<const N: usize>(
    access: &TaobaoAccess,
    method: &'static str,
    parameters: [(&str, String); N],
    now: UnixMillis,
) -> ApiRequest {
    let mut all = system(access, now);
    all.push(("method".to_owned(), method.to_owned()));
    all.extend(parameters.map(|(key, value)| (key.to_owned(), value)));
    sign(access, &mut all, None);
    let path = "/router/rest".to_owned();
    ApiRequest { call: method, path, query: Vec::new(), content_type: FORM, body: form(&all) }
}

/// The parameters that every call has.
fn system(access: &TaobaoAccess, now: UnixMillis) -> Vec<(String, String)> {
    let timestamp = write_china_time(now);
    owned([
        ("app_key", access.app_key.as_str()),
        ("format", "json"),
        ("session", access.session.expose_secret()),
        ("sign_method", SignMethod::HmacSha256.as_str()),
        ("timestamp", timestamp.as_str()),
        ("v", "2.0"),
    ])
}

fn sign(access: &TaobaoAccess, parameters: &mut Vec<(String, String)>, body: Option<&str>) {
    let signature = signature::sign(SignMethod::HmacSha256, &access.app_secret, parameters, body);
    parameters.push((signature::PARAMETER.to_owned(), signature));
}

fn owned<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec()
}

fn form(pairs: &[(String, String)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}
