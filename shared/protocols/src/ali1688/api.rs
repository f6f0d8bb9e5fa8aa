//! Calls of 1688's API, signed and ready to be posted. Source: open.1688.com, `getBuyerOrderList`, `get.buyerView`;
//! AliOpen `SignatureUtil.java`.

use domain::{TradeId, UnixMillis};
use secrecy::ExposeSecret;

use super::signature;
use crate::answers::write_compact_time;
use crate::marketplace::{Ali1688Access, ApiRequest, ListQuery, ListedBy};

const NAMESPACE: &str = "com.alibaba.trade";
const LIST: &str = "alibaba.trade.getBuyerOrderList";
const DETAIL: &str = "alibaba.trade.get.buyerView";

type Parameters = Vec<(String, String)>;

fn parameter(key: &str, value: impl Into<String>) -> (String, String) {
    (key.to_owned(), value.into())
}

fn call(name: &'static str, access: &Ali1688Access, now: UnixMillis, own: Parameters) -> ApiRequest {
    let signed_path = format!("param2/1/{NAMESPACE}/{name}/{}", access.app_key);
    let mut parameters = own;
    parameters.push(parameter("access_token", access.access_token.expose_secret()));
    parameters.push(parameter("_aop_timestamp", now.get().to_string()));
    let signature = signature::sign(&access.app_secret, &signed_path, &parameters);
    parameters.push(parameter(signature::PARAMETER, signature));
    ApiRequest {
        call: name,
        path: format!("/openapi/{signed_path}"),
        query: Vec::new(),
        content_type: "application/x-www-form-urlencoded;charset=UTF-8",
        body: form_urlencoded::Serializer::new(String::new()).extend_pairs(&parameters).finish(),
    }
}

/// A page of the orders that we made as a buyer, of the current table: about the last three months.
pub fn list(access: &Ali1688Access, query: &ListQuery, now: UnixMillis) -> ApiRequest {
    let (start, end) = match query.by {
        ListedBy::Modified => ("modifyStartTime", "modifyEndTime"),
        ListedBy::Created => ("createStartTime", "createEndTime"),
    };
    let own = vec![
        parameter(start, write_compact_time(query.window.start())),
        parameter(end, write_compact_time(query.window.end())),
        parameter("isHis", "false"),
        parameter("page", query.page.to_string()),
        parameter("pageSize", query.page_rows.to_string()),
    ];
    call(LIST, access, now, own)
}

/// One order. 1688 has no call for many.
pub fn detail(access: &Ali1688Access, trade: &TradeId, now: UnixMillis) -> ApiRequest {
    call(DETAIL, access, now, vec![parameter("orderId", trade.as_str()), parameter("webSite", "1688")])
}
