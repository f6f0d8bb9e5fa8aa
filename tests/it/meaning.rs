//! What a signed delivery means: a part that says something of an order is kept or refused, never
//! acknowledged and dropped; what says nothing of one is acknowledged, whatever its shape.

use serde_json::{Value, json};

use crate::support::{NOW, Shop, batch, push, scanner, secret, status_push, warehouse};

/// A push of this type with this data.
fn with_data(kind: &str, data: &Value) -> Value {
    json!({"bizKey": "1", "gmtBorn": NOW, "msgId": 7, "type": kind, "userInfo": "u", "data": data})
}

fn tracing(model: Value) -> Value {
    with_data("LOGISTICS_BUYER_VIEW_TRACE", &json!({ "OrderLogisticsTracingModel": model }))
}

#[tokio::test]
async fn a_push_that_says_something_of_an_order_is_kept_or_refused() {
    let orders = json!([{"orderId": 101}, {"orderId": 101}, {"orderId": 102}]);
    let paid = json!([{"orderId": "101", "status": "successed"}, {"orderId": "101", "status": "ACCOUNT_FROZEN"}]);
    for (message, status, events) in [
        // Every part is read, and one order may come twice in one.
        (with_data("ANY", &json!({"orderId": 1, "currentStatus": "success", "batchPay": paid})), 200, 3),
        (tracing(json!({"logisticsId": "L", "statusChanged": "SIGN", "orderLogsItems": orders})), 200, 2),
        (tracing(json!({"logisticsId": "L", "cpCode": "ZTO", "mailNo": 7, "orderLogsItems": orders})), 200, 2),
        // Half a waybill is none.
        (
            tracing(json!({"logisticsId": "L", "mailNo": "7", "statusChanged": "SIGN", "orderLogsItems": orders})),
            400,
            0,
        ),
        (tracing(json!({"logisticsId": "L", "cpCode": "ZTO", "orderLogsItems": orders})), 400, 0),
        (tracing(json!({"logisticsId": "L", "orderLogsItems": orders})), 400, 0),
        // A refund is a case of its order, and has an id or none.
        (with_data("ANY", &json!({"orderId": 1, "currentStatus": "refundsuccess", "refundId": "TQ1"})), 200, 1),
        (with_data("ANY", &json!({"orderId": 1, "currentStatus": "refundsuccess", "refundId": 12})), 200, 1),
        (with_data("ANY", &json!({"orderId": 1, "currentStatus": "refundsuccess", "refundId": ""})), 200, 1),
        (with_data("ANY", &json!({"orderId": 1, "currentStatus": "refundsuccess", "refundId": null})), 200, 1),
        (with_data("ANY", &json!({"orderId": 1, "currentStatus": "refundsuccess", "refundId": "a b"})), 400, 0),
        (with_data("ANY", &json!({"orderId": 1, "currentStatus": "refundsuccess", "refundId": ["TQ1"]})), 400, 0),
        // A list is no object, and no list is one.
        (tracing(json!(["L", null, null, "SIGN", [[101]]])), 400, 0),
        (with_data("ANY", &json!({"batchPay": [["101", "successed"]]})), 400, 0),
        (with_data("ANY", &json!({"batchPay": {"orderId": "101", "status": "successed"}})), 400, 0),
        (with_data("ANY", &json!({"orderId": [1], "currentStatus": "success"})), 400, 0),
        // Nothing is said of an order.
        (tracing(json!({"logisticsId": "L", "statusChanged": "SIGN", "orderLogsItems": []})), 200, 0),
        (tracing(json!({"logisticsId": "L", "statusChanged": "SIGN", "orderLogsItems": null})), 200, 0),
        (tracing(json!({"logisticsId": "L", "statusChanged": "SIGN"})), 200, 0),
        (with_data("ANY", &json!({"orderId": 1})), 200, 0),
        (with_data("AUTHORIZATION_SUCCESS", &json!([])), 200, 0),
        (with_data("SYT_X", &json!("a text")), 200, 0),
        (with_data("SYT_X", &Value::Null), 200, 0),
        // The list of missed messages gives data as a text.
        (with_data("ANY", &json!(r#"{"orderId":1,"currentStatus":"success"}"#)), 200, 1),
    ] {
        let shop = Shop::new();
        let answer = shop.deliver(push(&message.to_string())).await.unwrap();
        assert_eq!((answer.status_code, shop.events.all().len()), (status, events), "{message}");
    }
}

#[tokio::test]
async fn a_source_s_event_that_names_a_status_is_kept_or_refused() {
    let seconds = NOW / 1_000;
    for (body, status, events) in [
        (json!({"order_id": "A", "new_status": "arrived", "timestamp": seconds}), 200, 1),
        (json!({"type": "order.status", "timestamp": seconds, "data": {"order_id": "A", "status": "arrived"}}), 200, 1),
        // Under a type that we do not know, a status would be lost.
        (json!({"type": "scan", "order_id": "A", "new_status": "arrived", "timestamp": seconds}), 422, 0),
        (json!({"type": "order.moved", "timestamp": seconds, "data": {"order_id": "A", "status": "arrived"}}), 422, 0),
        (json!({"type": "order.moved", "timestamp": seconds, "data": {"status": 7}}), 422, 0),
        (json!({"type": "stock", "timestamp": seconds, "data": [1, 2]}), 200, 0),
        (json!({"type": "stock", "timestamp": seconds, "data": "text"}), 200, 0),
        (json!([null, seconds, null, "A", "arrived"]), 400, 0),
        (json!({"type": "order.status", "timestamp": seconds, "data": ["A", "arrived"]}), 400, 0),
        (json!({"order_id": 7, "new_status": "arrived", "timestamp": seconds}), 400, 0),
    ] {
        let shop = Shop::new();
        for request in [scanner(&body.to_string()), warehouse("msg_1", NOW, &body.to_string())] {
            let before = shop.events.all().len();
            let answer = shop.deliver(request).await.unwrap();
            assert_eq!((answer.status_code, shop.events.all().len() - before), (status, events), "{body}");
        }
    }
}

#[tokio::test]
async fn an_event_s_time_lies_between_2000_and_tomorrow() {
    const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
    for (at, status) in [
        (946_684_799_999, 422),
        (946_684_800_000, 200),
        // Seconds in place of milliseconds.
        (NOW / 1_000, 422),
        (NOW + DAY_MS, 200),
        (NOW + DAY_MS + 1, 422),
    ] {
        let shop = Shop::new();
        let answer = shop.deliver(push(&status_push(1, "success", at, 1))).await.unwrap();
        assert_eq!(answer.status_code, status, "{at}");
    }
    let old =
        r#"{"type":"order.status","timestamp":"1970-01-01T00:00:01Z","data":{"order_id":"A","status":"arrived"}}"#;
    assert_eq!(Shop::new().deliver(warehouse("msg_1", NOW, old)).await.unwrap().status_code, 422);
}

#[tokio::test]
async fn a_failed_payment_run_does_not_unmake_a_purchase() {
    let shop = Shop::new();
    let failed = with_data("ORDER_BATCH_PAY", &json!({"batchPay": [{"orderId": "101", "status": "ACCOUNT_FROZEN"}]}));
    for message in [status_push(101, "waitbuyerreceive", NOW - 5, 1), failed.to_string()] {
        assert_eq!(shop.deliver(push(&message)).await.unwrap().status_code, 200);
    }
    let messages = shop.events.all().into_iter().map(|event| protocols::cloudevents::write(&event).unwrap());
    assert_eq!(shop.write(batch(messages)).await, Some(Vec::new()));
    let trade = &shop.trades.all()[&"1688#demo#101".parse().unwrap()];
    assert!(trade.statuses.bought().is_some());
    assert_eq!(trade.statuses.current().map(|report| report.raw.as_str()), Some("ACCOUNT_FROZEN"));
}

#[tokio::test]
async fn a_push_of_a_refund_case_says_where_the_case_stands_and_not_the_trade() {
    const REFUND: &str = "ORDER_BUYER_VIEW_ORDER_REFUND_AFTER_SALES";
    for (kind, word, refund_id, case, trade) in [
        (REFUND, "waitbuyersend", Some("TQ1"), Some("awaiting_return"), None),
        ("ORDER_NEW_TYPE", "refundsuccess", Some("TQ1"), Some("refunded"), None),
        (REFUND, "a word of tomorrow", Some("TQ1"), Some("unrecognised"), None),
        // What a refund is called is never what the trade is called.
        (REFUND, "cancel", Some("TQ1"), Some("unrecognised"), None),
        // An order's own word is the order's, whatever else the push names.
        ("ORDER_BUYER_VIEW_ORDER_PAY", "waitsellersend", Some("TQ1"), None, Some("awaiting_shipment")),
        (REFUND, "refundsuccess", None, None, Some("unrecognised")),
    ] {
        let shop = Shop::new();
        let data = json!({"orderId": 101, "currentStatus": word, "refundId": refund_id});
        let answer = shop.deliver(push(&with_data(kind, &data).to_string())).await.unwrap();
        assert_eq!(answer.status_code, 200);
        let messages = shop.events.all().into_iter().map(|event| protocols::cloudevents::write(&event).unwrap());
        assert_eq!(shop.write(batch(messages)).await, Some(Vec::new()));
        let kept = &shop.trades.all()[&"1688#demo#101".parse().unwrap()];
        let said = kept.after_sales.values().next().and_then(|case| case.state.as_ref());
        assert_eq!(said.map(|said| (said.state.as_str(), said.raw.as_str())), case.map(|case| (case, word)), "{kind}");
        assert_eq!(kept.statuses.current().map(|report| report.status.as_str()), trade, "{kind} {word}");
    }
}

#[tokio::test]
async fn a_queue_message_whose_envelope_and_data_differ_is_set_aside() {
    let good = json!({
        "specversion": "1.0", "id": "1", "source": "/marketplaces/1688/demo", "subject": "101",
        "type": "sampan.trade.changed.v1", "time": "2026-11-21T08:00:00Z",
        "data": {"marketplace": "1688", "shop": "demo", "trade_id": "101", "status": "closed", "raw_status": "cancel"}
    });
    let mut other_source = good.clone();
    other_source["source"] = "/marketplaces/1688/elsewhere".into();
    let mut other_subject = good.clone();
    other_subject["subject"] = "102".into();
    let shop = Shop::new();
    let bodies = [good, other_source, other_subject].map(|message| message.to_string());
    assert_eq!(shop.write(batch(bodies)).await, Some(Vec::new()));
    assert_eq!((shop.trades.all().len(), shop.quarantine.all().len()), (1, 2));
}

#[test]
fn a_blank_secret_signs_nothing() {
    let body = b"body";
    let forged = protocols::flat_hmac::sign(&secret(""), body);
    assert!(protocols::flat_hmac::verify(Some(&forged), body, &[secret("")]).is_err());
    // HMAC-SHA256 with the empty key over "body", made elsewhere.
    let elsewhere = "7ec3619ea7f921721b6d8bec83ea2d0c6d557e0b164daf577e62c8cc88ed74ae";
    assert!(protocols::flat_hmac::verify(Some(elsewhere), body, &[secret("")]).is_err());
}
