//! What AWS hands to a function: a request of its HTTP API, and a batch of a queue.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::UnixMillis;
use serde_json::{Map, Value, json};

/// A request as the HTTP API hands it over. Source: API Gateway developer guide, payload format version 2.0.
pub fn request<'a>(
    method: &str,
    path_with_query: &str,
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    body: &[u8],
) -> Value {
    let (path, query) = path_with_query.split_once('?').unwrap_or((path_with_query, ""));
    let headers = headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), Value::from(value)));
    json!({
        "version": "2.0", "routeKey": format!("{method} {path}"), "rawPath": path, "rawQueryString": query,
        "headers": headers.collect::<Map<_, _>>(), "body": BASE64_STANDARD.encode(body), "isBase64Encoded": true,
        "requestContext": {
            "accountId": "000000000000", "apiId": "simulated", "domainName": "simulated.execute-api", "stage": "$default",
            "requestId": "simulated", "time": "26/Nov/2026:00:00:00 +0000", "timeEpoch": 1_795_000_000_000_u64,
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1",
                     "userAgent": "simulated"},
        },
    })
}

/// A batch of ten events of the queue that touches four items: two orders, a trade's status and its package.
pub fn batch_of_ten(order: &str, other: &str, trade: &str, at: UnixMillis) -> Value {
    let of_order = |order: &str, status: &str| {
        let data = json!({"order_id": order, "status": status});
        ("sampan.order.changed.v1", "/sources/warehouse", order.to_owned(), data)
    };
    let of_trade = |data: Value| ("sampan.trade.changed.v1", "/marketplaces/1688/demo", trade.to_owned(), data);
    let status = |status: &str, raw: &str| {
        of_trade(json!({"marketplace": "1688", "shop": "demo", "trade_id": trade, "status": status, "raw_status": raw}))
    };
    let trace = |word: &str| {
        let shipping = json!({"logistics_id": "LP1", "trace_status": word});
        of_trade(json!({"marketplace": "1688", "shop": "demo", "trade_id": trade, "shipping": shipping}))
    };
    let events = [
        of_order(order, "arrived"),
        of_order(order, "packed"),
        of_order(order, "arrived"),
        of_order(other, "arrived"),
        status("awaiting_payment", "waitbuyerpay"),
        status("awaiting_shipment", "waitsellersend"),
        status("shipped", "waitbuyerreceive"),
        status("shipped", "waitbuyerreceive"),
        trace("CONSIGN"),
        trace("SIGN"),
    ];
    let records = (0..).zip(events).map(|(nth, (kind, source, subject, data))| {
        let (id, time) = (format!("{trade}-{nth}"), at.saturating_add_ms(nth).to_rfc3339());
        let event = json!({"specversion": "1.0", "id": id, "source": source, "type": kind, "subject": subject,
                           "time": time, "data": data});
        json!({"messageId": id, "body": event.to_string(), "receiptHandle": "simulated",
               "attributes": {"ApproximateReceiveCount": "1"}, "messageAttributes": {}, "eventSource": "aws:sqs",
               "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:events", "awsRegion": "us-east-1", "md5OfBody": ""})
    });
    json!({"Records": records.collect::<Vec<_>>()})
}
