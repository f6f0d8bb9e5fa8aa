//! Calls of 1688's API, signed and ready to be posted. Source: open.1688.com, `getBuyerOrderList`, `get.buyerView`;
//! AliOpen `SignatureUtil.java`. The calls for products: the classes that 1688's generator makes for its SDKs,
//! `AlibabaProductListGetParam` and `AlibabaProductGetParam`, as they stand in public repositories [?]: the vendor's own
//! page could not be read, so that names of parameters and the most rows of a page are not confirmed. The call for
//! products of others: a public copy of the vendor's page of `product.search.queryProductDetail`.

use domain::{ProductId, TradeId, UnixMillis};
use secrecy::ExposeSecret;
use serde_json::json;

use super::signature;
use crate::answers::write_compact_time;
use crate::marketplace::{Ali1688Access, ApiRequest, ListQuery, ListedBy, Role};

const TRADE: &str = "com.alibaba.trade";
const LIST: &str = "alibaba.trade.getBuyerOrderList";
const DETAIL: &str = "alibaba.trade.get.buyerView";
const PRODUCT: &str = "com.alibaba.product";
const PRODUCT_LIST: &str = "alibaba.product.list.get";
const PRODUCT_DETAIL: &str = "alibaba.product.get";
const CROSS_BORDER: &str = "com.alibaba.fenxiao.crossborder";
const OFFER_DETAIL: &str = "product.search.queryProductDetail";

type Parameters = Vec<(String, String)>;

fn parameter(key: &str, value: impl Into<String>) -> (String, String) {
    (key.to_owned(), value.into())
}

fn call(
    (namespace, name): (&str, &'static str),
    access: &Ali1688Access,
    now: UnixMillis,
    own: Parameters,
) -> ApiRequest {
    let signed_path = format!("param2/1/{namespace}/{name}/{}", access.app_key);
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
    call((TRADE, LIST), access, now, own)
}

/// One order. 1688 has no call for many.
pub fn detail(access: &Ali1688Access, trade: &TradeId, now: UnixMillis) -> ApiRequest {
    call((TRADE, DETAIL), access, now, vec![parameter("orderId", trade.as_str()), parameter("webSite", "1688")])
}

/// A page of the products that the shop sells, the latest modified first, whatever their status. A page has at most 20
/// rows: "more than 20 counts as 20" [?], so that asking for more would count the pages wrongly. A third party writes of
/// at most 100 pages, and of 20 calls a second for an app by default. There is no list by time of creation: the nearest is
/// the time at which a product was published.
pub fn products(access: &Ali1688Access, query: &ListQuery, now: UnixMillis) -> ApiRequest {
    let (start, end, order) = match query.by {
        ListedBy::Modified => ("startModifyTime", "endModifyTime", "MODIFY_DATE"),
        ListedBy::Created => ("startPublishTime", "endPublishTime", "POST_DATE"),
    };
    let own = vec![
        parameter(start, write_compact_time(query.window.start())),
        parameter(end, write_compact_time(query.window.end())),
        parameter("pageNo", query.page.to_string()),
        parameter("pageSize", query.page_rows.to_string()),
        parameter("orderByCondition", order),
        parameter("orderByType", "DESC"),
    ];
    call((PRODUCT, PRODUCT_LIST), access, now, own)
}

/// One product. 1688 has no call for many, and one for each role: `alibaba.product.get` has the products of the seller
/// who asks; `product.search.queryProductDetail` has anybody's that may be sold abroad, and needs the permission of the
/// cross-border solution. Its language changes no picture.
pub fn product(access: &Ali1688Access, role: Role, product: &ProductId, now: UnixMillis) -> ApiRequest {
    match role {
        Role::Seller => {
            let own = vec![parameter("productID", product.as_str()), parameter("webSite", "1688")];
            call((PRODUCT, PRODUCT_DETAIL), access, now, own)
        }
        Role::Buyer => {
            let number = product.as_str().parse().map_or_else(|_| json!(product.as_str()), |number: u64| json!(number));
            let wanted = json!({"offerId": number, "country": "en"});
            call((CROSS_BORDER, OFFER_DETAIL), access, now, vec![parameter("offerDetailParam", wanted.to_string())])
        }
    }
}
