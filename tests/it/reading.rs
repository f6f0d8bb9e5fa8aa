//! What a client is answered, and what that costs.

use domain::UnixMillis;
use serde_json::{Value, json};

use crate::support::{NOW, Shop, batch, client, push, reading, status_event, status_push, warehouse};

impl Shop {
    /// Lets the queue hand everything to the writer.
    async fn settle(&self) {
        let messages = self.events.all().into_iter().map(|event| protocols::cloudevents::write(&event).unwrap());
        assert_eq!(self.write(batch(messages)).await, Some(Vec::new()));
    }

    async fn answered(&self, request: lambda::http::Request) -> (u16, Value) {
        let response = self.ask(request).await.unwrap();
        (response.status_code, serde_json::from_str(&response.body).unwrap())
    }
}

fn rfc3339(at: i64) -> String {
    UnixMillis::new(at).unwrap().to_rfc3339()
}

fn links(trades: &[u64]) -> String {
    let trades: Vec<Value> = trades
        .iter()
        .map(|trade| json!({"marketplace": "1688", "shop": "demo", "trade_id": trade.to_string()}))
        .collect();
    json!({ "trades": trades }).to_string()
}

#[tokio::test]
async fn a_signed_push_becomes_the_status_of_the_order() {
    let shop = Shop::new();
    let (status, _) = shop.answered(client("PUT", "/orders/A-1/trades", "n1", NOW, &links(&[101]))).await;
    assert_eq!(status, 200);
    for request in [
        push(&status_push(101, "waitbuyerpay", NOW - 3_000, 7)),
        push(&status_push(101, "waitsellersend", NOW - 2_000, 8)),
        warehouse("msg_1", NOW, &status_event("A-1", "arrived", NOW - 1_000)),
    ] {
        assert_eq!(shop.deliver(request).await.unwrap().status_code, 200);
    }
    shop.settle().await;
    let entry = |status: &str, at: i64, source: &str, event_id: &str| json!({"status": status, "at": rfc3339(at), "source": source, "event_id": event_id});
    assert_eq!(
        shop.answered(client("GET", "/orders/A-1", "n2", NOW, "")).await,
        (
            200,
            json!({
                "order_id": "A-1", "status": "ARRIVED", "status_at": rfc3339(NOW - 1_000),
                "history": [entry("PURCHASING", NOW - 3_000, "1688/demo", "7"),
                            entry("PURCHASED", NOW - 2_000, "1688/demo", "8"),
                            entry("ARRIVED", NOW - 1_000, "warehouse", "msg_1")],
                "flags": ["not_created", "moved_on_unpaid"],
                "payment": {"currency": null, "due_minor": null, "paid_minor": 0, "refunded_minor": 0, "state": "unpaid"},
                "exchange_rate": null,
                "trades": [{"marketplace": "1688", "shop": "demo", "trade_id": "101", "status": "awaiting_shipment",
                            "raw_status": "waitsellersend", "modified_at": rfc3339(NOW - 2_000)}]
            })
        )
    );
}

#[tokio::test]
async fn a_trade_is_read_with_its_shipping_and_the_orders_that_it_is_for() {
    let shop = Shop::new();
    let trace = json!({"bizKey": "LP1", "gmtBorn": NOW, "msgId": 10, "type": "LOGISTICS_BUYER_VIEW_TRACE", "userInfo": "u",
        "data": {"OrderLogisticsTracingModel": {"logisticsId": "LP1", "cpCode": "ZTO", "mailNo": "753",
                 "statusChanged": "SIGN", "orderLogsItems": [{"orderId": 101}]}}});
    shop.deliver(push(&trace.to_string())).await.unwrap();
    shop.deliver(push(&status_push(101, "waitbuyerreceive", NOW, 8))).await.unwrap();
    shop.settle().await;
    shop.answered(client("PUT", "/orders/A-1/trades", "n1", NOW, &links(&[101]))).await;
    assert_eq!(
        shop.answered(client("GET", "/trades/1688/demo/101", "n2", NOW, "")).await,
        (
            200,
            json!({
                "marketplace": "1688", "shop": "demo", "trade_id": "101", "status": "shipped",
                "raw_status": "waitbuyerreceive", "modified_at": rfc3339(NOW), "order_ids": ["A-1"],
                "shipping": [{"logistics_id": "LP1", "carrier": "ZTO", "waybill": "753", "trace_status": "SIGN",
                              "modified_at": rfc3339(NOW), "shipped_at": null, "signed_at": null}],
                "after_sales": [], "detail": null
            })
        )
    );
}

#[tokio::test]
async fn a_trade_that_a_sweep_brought_is_read_with_all_of_it_but_the_raw_answer() {
    let shop = Shop::new();
    let message = protocols::cloudevents::write(&reading(101, "waitbuyerreceive", NOW - 5_000, NOW)).unwrap();
    assert_eq!(shop.write(batch([message])).await, Some(Vec::new()));
    let (status, trade) = shop.answered(client("GET", "/trades/1688/demo/101", "n1", NOW, "")).await;
    // A report of a whole second counts for all of it.
    let (at, reported) = (rfc3339(NOW - 5_000), rfc3339(NOW - 4_001));
    let yuan = |minor: i64| json!({"amount_minor": minor, "currency": "CNY"});
    assert_eq!(status, 200);
    assert_eq!(
        trade["shipping"],
        json!([{"logistics_id": "LP1", "carrier": "ZTO", "waybill": "753", "trace_status": null,
                "modified_at": reported, "shipped_at": at, "signed_at": null}])
    );
    assert_eq!(
        trade["after_sales"],
        json!([{"id": "TQ1", "state": "requested", "raw_state": "waitselleragree", "line": "1", "amount_minor": 500,
                "currency": "CNY", "modified_at": reported}])
    );
    assert_eq!(
        trade["detail"],
        json!({"modified_at": at, "created_at": rfc3339(NOW - 6_000), "shipped_at": null, "signed_at": null,
               "finished_at": null,
               "payment": {"total": null, "postage": null, "received": null, "payment_id": null, "paid_at": null},
               "lines": [{"id": "1", "product": null, "sku": null, "name": "\u{4e1d}\u{5dfe}", "quantity": "2.5",
                          "unit_price": null, "amount": yuan(1_000), "picture": null, "status": null}]})
    );
}

#[tokio::test]
async fn links_are_added_to_those_that_are_there_and_again_changes_nothing() {
    let shop = Shop::new();
    shop.answered(client("PUT", "/orders/A-1/trades", "n1", NOW, &links(&[1, 2]))).await;
    shop.clock.advance_ms(1_000);
    let (status, order) = shop.answered(client("PUT", "/orders/A-1/trades", "n2", NOW, &links(&[2, 3]))).await;
    let linked: Vec<&str> =
        order["trades"].as_array().unwrap().iter().map(|trade| trade["trade_id"].as_str().unwrap()).collect();
    assert_eq!((status, linked, order["status"].as_str()), (200, vec!["1", "2", "3"], Some("PURCHASING")));
    assert_eq!(order["status_at"], rfc3339(NOW), "the first link is when purchasing began");
}

#[tokio::test]
async fn an_order_is_read_by_one_query_of_each_index_and_one_batch_read() {
    let shop = Shop::new();
    shop.answered(client("PUT", "/orders/A-1/trades", "n1", NOW, &links(&[1, 2, 3]))).await;
    let before = shop.plan.calls().len();
    shop.answered(client("GET", "/orders/A-1", "n2", NOW, "")).await;
    assert_eq!(shop.plan.calls()[before..], ["nonces.claim", "orders.read", "ledger.payments_of", "trades.statuses"]);
}

#[tokio::test]
async fn what_nobody_ever_reported_is_404() {
    let shop = Shop::new();
    for (nonce, path) in [
        "/orders/A-1",
        "/orders/",
        "/orders/a%20b",
        "/trades/1688/demo/1",
        "/trades/ebay/demo/1",
        "/trades/1688/demo",
        "/elsewhere",
        "/",
    ]
    .iter()
    .enumerate()
    {
        let (status, body) = shop.answered(client("GET", path, &format!("n{nonce}"), NOW, "")).await;
        assert_eq!((status, body["error"]["code"].as_str()), (404, Some("not_found")), "{path}");
    }
}

#[tokio::test]
async fn links_that_cannot_be_are_refused_and_none_of_them_is_written() {
    let shop = Shop::new();
    let good = json!({"marketplace": "1688", "shop": "demo", "trade_id": "1"});
    let many: Vec<Value> = vec![good.clone(); 51];
    for (number, (body, status)) in [
        ("{".to_owned(), 400),
        ("{}".to_owned(), 400),
        (json!({"trades": []}).to_string(), 400),
        (json!({"trades": [good, {"marketplace": "ebay", "shop": "demo", "trade_id": "1"}]}).to_string(), 422),
        (json!({"trades": [good, {"marketplace": "1688", "shop": "de#mo", "trade_id": "1"}]}).to_string(), 400),
        (json!({"trades": [good, {"marketplace": "1688", "shop": "demo", "trade_id": ""}]}).to_string(), 400),
        (json!({ "trades": many }).to_string(), 422),
    ]
    .into_iter()
    .enumerate()
    {
        let (answered, _) = shop.answered(client("PUT", "/orders/A-1/trades", &format!("n{number}"), NOW, &body)).await;
        assert_eq!(answered, status, "{body}");
    }
    assert!(shop.orders.all().is_empty());
}

#[tokio::test]
async fn a_lost_answer_to_a_nonce_does_not_lock_its_request_out() {
    use adapters::testing::{Fault, FaultPlan};
    // secrets.read, then nonces.claim: done, but reported as a timeout.
    let shop = Shop::under(FaultPlan::at([(1, Fault::DoneButTimedOut)]));
    let request = client("PUT", "/orders/A-1/trades", "n1", NOW, &links(&[1]));
    assert_eq!(shop.ask(request.clone()).await.unwrap().status_code, 503);
    // The same invocation again, as the SDK or Lambda would: it is still its own nonce.
    assert_eq!(shop.ask(request).await.unwrap().status_code, 200);
}
