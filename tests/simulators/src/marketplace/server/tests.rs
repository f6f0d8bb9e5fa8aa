//! The server as a client meets it; without a socket where none is needed.

use std::collections::BTreeSet;
use std::io::{Read, Write};

use md5::{Digest, Md5};
use serde_json::json;

use super::super::truth::{Kind, Page};
use super::wire::{Parameters, aop_signature, compact, parameters, plain, read_compact, read_plain};
use super::*;
use protocols::marketplace::ListedBy;

const LIST_1688: &str = "param2/1/com.alibaba.trade/alibaba.trade.getBuyerOrderList/1000000";
const VIEW_1688: &str = "param2/1/com.alibaba.trade/alibaba.trade.get.buyerView/1000000";
const FIELDS: &str = "tid,tid_str,status,modified,created,payment,orders";

fn hub(orders: usize) -> Hub {
    Hub::new(Options { offsets: Offsets::ByTrade, ..Options::demo(orders) })
}

fn form<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn post(path: &str, query: &str, content_type: &str, body: String) -> Request {
    Request {
        method: "POST".to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        content_type: content_type.to_owned(),
        separator: None,
        body,
    }
}

fn read(said: &Said) -> Value {
    serde_json::from_str(&said.body).unwrap()
}

fn ask_1688(hub: &Hub, path: &str, pairs: &[(&str, &str)]) -> Said {
    let mut signed: Parameters = parameters(&form(pairs.iter().copied()));
    signed.insert("access_token".to_owned(), "local-access-token".to_owned());
    let signature = aop_signature("test_app_secret_0123456789abcdef", path, &signed);
    signed.insert("_aop_signature".to_owned(), signature);
    let body = form(signed.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    hub.answer(&post(&format!("/openapi/{path}"), "", "application/x-www-form-urlencoded;charset=UTF-8", body))
}

/// The parameters of TOP, signed here by MD5, apart from the server's own code.
fn top(now: UnixMillis, pairs: &[(&str, &str)], body: &str) -> Parameters {
    let mut signed: Parameters = parameters(&form(pairs.iter().copied()));
    let system = [("app_key", "2000000"), ("session", "local-session"), ("v", "2.0"), ("format", "json")];
    for (key, value) in system.into_iter().chain([("sign_method", "md5"), ("timestamp", plain(now).as_str())]) {
        signed.entry(key.to_owned()).or_insert_with(|| value.to_owned());
    }
    let mut text = "local-stack-only-taobao-secret".to_owned();
    // Empty values are not signed.
    for (key, value) in signed.iter().filter(|(_, value)| !value.is_empty()) {
        text += key;
        text += value;
    }
    text += body;
    text += "local-stack-only-taobao-secret";
    signed.insert("sign".to_owned(), hex::encode(Md5::digest(text)).to_uppercase());
    signed
}

fn rest(signed: &Parameters) -> Request {
    let body = form(signed.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    post("/router/rest", "", "application/x-www-form-urlencoded;charset=utf-8", body)
}

fn ask_taobao(hub: &Hub, pairs: &[(&str, &str)]) -> Value {
    read(&hub.answer(&rest(&top(hub.now(), pairs, ""))))
}

fn batch(hub: &Hub, body: &str) -> Said {
    let signed = top(hub.now(), &[], body);
    let query = form(signed.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    hub.answer(&post("/router/batch", &query, "text/plain;charset=utf-8", body.to_owned()))
}

fn code(answer: &Value) -> u64 {
    answer["error_response"]["code"].as_u64().unwrap()
}

fn modified_list<'a>(start: &'a str, end: &'a str) -> [(&'a str, &'a str); 4] {
    let method = "taobao.trades.sold.increment.get";
    [("method", method), ("fields", FIELDS), ("start_modified", start), ("end_modified", end)]
}

#[test]
fn a_call_of_1688_with_a_signature_computed_elsewhere_is_accepted_and_a_tampered_one_refused() {
    let hub = hub(7);
    let pairs = |page_size| {
        [
            ("access_token", "local-access-token"),
            ("createStartTime", "20000101000000000+0800"),
            ("page", "1"),
            ("pageSize", page_size),
            ("isHis", "false"),
            ("_aop_signature", "856BA83B7A0FB801C2BF96271791CCEF26660336"),
        ]
    };
    let ask = |page_size| {
        let path = format!("/openapi/{LIST_1688}");
        hub.answer(&post(&path, "", "application/x-www-form-urlencoded", form(pairs(page_size))))
    };
    let answer = ask("5");
    assert_eq!((answer.status, read(&answer)["totalRecord"].as_u64()), (200, Some(7)));
    assert_eq!(read(&answer)["result"].as_array().map(Vec::len), Some(5));
    let tampered = ask("6");
    assert_eq!((tampered.status, read(&tampered)["error_code"].as_str()), (400, Some("gw.SignatureInvalid")));
}

#[test]
fn who_1688_does_not_know_or_understand_is_refused_by_name() {
    let hub = hub(1);
    let refused = |path: &str, pairs: &[(&str, &str)]| {
        let said = ask_1688(&hub, path, pairs);
        (said.status, read(&said)["error_code"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(refused("param2/1/com.alibaba.trade/alibaba.trade.none/1000000", &[]).1, "gw.APIUnsupported");
    assert_eq!(refused(VIEW_1688, &[("webSite", "1688")]).1, "gw.ParamMissing");
    assert_eq!(refused(VIEW_1688, &[("orderId", "1")]).1, "gw.ParamMissing");
    assert_eq!(refused(LIST_1688, &[("createStartTime", "yesterday")]).1, "gw.ParamInvalid");
    let unsigned = post(&format!("/openapi/{LIST_1688}"), "", "application/x-www-form-urlencoded", String::new());
    assert_eq!(read(&hub.answer(&unsigned))["error_code"], "gw.SignatureMissing");
    let path = LIST_1688;
    let mut signed: Parameters = parameters("access_token=another");
    signed.insert("_aop_signature".to_owned(), aop_signature("test_app_secret_0123456789abcdef", path, &signed));
    let body = form(signed.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    let said = hub.answer(&post(&format!("/openapi/{path}"), "", "application/x-www-form-urlencoded", body));
    assert_eq!((said.status, read(&said)["error_code"].as_str()), (401, Some("401")));
    let unknown = read(&ask_1688(&hub, VIEW_1688, &[("orderId", "1"), ("webSite", "1688")]));
    assert_eq!(unknown["success"], json!(false));
}

#[test]
fn an_order_of_1688_has_the_vendors_quirks_and_its_own_number_somewhere() {
    let hub = hub(120);
    let mut offsets = BTreeSet::new();
    let mut kinds = BTreeSet::new();
    for page in ["1", "2", "3"] {
        let said = ask_1688(&hub, LIST_1688, &[("page", page), ("pageSize", "40")]);
        for row in read(&said)["result"].as_array().unwrap() {
            let base = &row["baseInfo"];
            let id = base["idOfStr"].as_str().map_or_else(|| base["idOfStr"].as_u64(), |id| id.parse().ok()).unwrap();
            kinds.insert(base["idOfStr"].is_string());
            let market = hub.shops[0].market();
            let order = market.order(id).unwrap();
            let modified = base["modifyTime"].as_str().unwrap();
            assert_eq!(read_compact(modified), Some(order.modified));
            offsets.insert(modified.split_at(17).1.to_owned());
            assert_eq!(base["totalAmount"].to_string(), super::wire::number_of_yuan(order.total()).to_string());
            assert!(base["discount"].is_i64() && base["buyerID"] == "b2b-665170100");
            let pictures = row["productItems"][0]["productImgUrl"].as_array().unwrap();
            assert!(
                pictures[0].as_str().unwrap().contains(".80x80.") && !pictures[1].as_str().unwrap().contains("80x")
            );
            assert!(row["nativeLogistics"]["logisticsItems"].is_null());
        }
    }
    assert_eq!((offsets.len(), kinds.len()), (2, 2));
}

#[test]
fn only_the_detail_of_1688_has_consignments() {
    let hub = hub(200);
    let (id, waybill) = {
        let market = hub.shops[0].market();
        let order = market.truth().find(|order| !order.waybills().is_empty()).unwrap();
        (order.id.to_string(), order.waybills()[0].0.to_string())
    };
    let view = read(&ask_1688(&hub, VIEW_1688, &[("orderId", &id), ("webSite", "1688")]));
    assert_eq!(view["result"]["nativeLogistics"]["logisticsItems"][0]["logisticsBillNo"], waybill);
    let pairs = [("orderId", id.as_str()), ("webSite", "1688"), ("includeFields", "OrderInvoice")];
    assert!(read(&ask_1688(&hub, VIEW_1688, &pairs))["result"]["nativeLogistics"].is_null());
}

#[test]
fn a_list_of_1688_pages_as_the_truth_does() {
    let hub = hub(130);
    let now = hub.now();
    let (start, end) = (now.saturating_add_ms(-20 * DAY_MS), now.saturating_add_ms(-5 * DAY_MS));
    let (from, to) = (compact(start, super::wire::CALIFORNIA), compact(end, super::wire::CHINA));
    let expected = hub.shops[0].market().page(ListedBy::Modified, (start, end), 2, 7);
    let pairs = [("modifyStartTime", from.as_str()), ("modifyEndTime", &to), ("page", "2"), ("pageSize", "7")];
    let answer = read(&ask_1688(&hub, LIST_1688, &pairs));
    let ids = answer["result"].as_array().unwrap().iter().map(|row| {
        let id = &row["baseInfo"]["idOfStr"];
        id.as_str().map_or_else(|| id.as_u64(), |id| id.parse().ok()).unwrap()
    });
    assert_eq!(Page { total: answer["totalRecord"].as_u64().unwrap(), ids: ids.collect() }, expected);
}

#[test]
fn a_call_of_taobao_is_accepted_when_signed_in_time_and_refused_by_its_code_otherwise() {
    let hub = hub(3);
    let now = hub.now();
    let ok = ask_taobao(&hub, &[("method", "taobao.time.get")]);
    let time = read_plain(ok["time_get_response"]["time"].as_str().unwrap()).unwrap();
    assert!(time.ms_since(now).abs() < 60_000);
    let late = top(now.saturating_add_ms(-601_000), &[("method", "taobao.time.get")], "");
    assert_eq!(code(&read(&hub.answer(&rest(&late)))), 31);
    let mut tampered = top(now, &[("method", "taobao.time.get")], "");
    tampered.insert("page_no".to_owned(), "2".to_owned());
    assert_eq!(code(&read(&hub.answer(&rest(&tampered)))), 25);
    let list = modified_list("2026-01-01 00:00:00", "2026-01-01 01:00:00");
    let with = |key: &'static str, value: &'static str| {
        let mut pairs = list.to_vec();
        pairs.retain(|(present, _)| *present != key);
        pairs.push((key, value));
        code(&ask_taobao(&hub, &pairs))
    };
    assert_eq!(with("session", "another"), 27);
    assert_eq!(with("app_key", "1"), 29);
    assert_eq!(with("format", "xml"), 23);
    assert_eq!(with("method", "taobao.none.get"), 22);
    assert_eq!(with("fields", ""), 40);
    assert_eq!(with("page_size", "101"), 41);
    assert_eq!(with("start_modified", ""), 40);
    assert_eq!(with("end_modified", "2026-01-02 00:00:01"), 15);
}

#[test]
fn a_list_of_taobao_has_a_number_or_says_that_there_is_more_and_nothing_when_it_is_empty() {
    let hub = hub(2_000);
    let now = hub.now();
    let (start, end) = (now.saturating_add_ms(-DAY_MS), now);
    let (from, to) = (plain(start), plain(end));
    let expected = hub.shops[1].market().page(ListedBy::Modified, (start, end), 1, 100);
    assert!(expected.total > 3);
    let mut pairs = modified_list(&from, &to).to_vec();
    pairs.extend([("page_size", "3"), ("page_no", "1")]);
    let answer = &ask_taobao(&hub, &pairs)["trades_sold_increment_get_response"];
    assert_eq!((answer["total_results"].as_u64(), answer.get("has_next")), (Some(expected.total), None));
    let ids = answer["trades"]["trade"].as_array().unwrap().iter().map(|trade| trade["tid"].as_u64().unwrap());
    assert_eq!(ids.collect::<Vec<_>>(), expected.ids[..3]);

    pairs.push(("use_has_next", "true"));
    let answer = &ask_taobao(&hub, &pairs)["trades_sold_increment_get_response"];
    assert_eq!((answer.get("total_results"), answer["has_next"].as_bool()), (None, Some(true)));
    let last = expected.total.div_ceil(3).to_string();
    pairs.retain(|(key, _)| *key != "page_no");
    pairs.push(("page_no", &last));
    let answer = &ask_taobao(&hub, &pairs)["trades_sold_increment_get_response"];
    assert_eq!(answer["has_next"].as_bool(), Some(false));

    let (from, to) = (plain(now.saturating_add_ms(DAY_MS)), plain(now.saturating_add_ms(DAY_MS + 5_000)));
    let answer = &ask_taobao(&hub, &modified_list(&from, &to))["trades_sold_increment_get_response"];
    assert_eq!((answer["total_results"].as_u64(), answer.get("trades")), (Some(0), None));
}

#[test]
fn a_trade_of_taobao_has_the_fields_that_were_asked_for_and_no_others() {
    let hub = hub(50);
    let id = hub.shops[1].market().truth().find(|order| order.paid.is_some()).unwrap().clone();
    let tid = id.id.to_string();
    let ask = |fields: &str| {
        let pairs = [("method", "taobao.trade.fullinfo.get"), ("fields", fields), ("tid", tid.as_str())];
        ask_taobao(&hub, &pairs)["trade_fullinfo_get_response"]["trade"].clone()
    };
    let trade = ask("tid,tid_str,payment,pay_time,orders.oid_str,orders.payment");
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(keys(&trade), "orders pay_time payment tid tid_str");
    assert_eq!(keys(&trade["orders"]["order"][0]), "oid_str payment");
    assert_eq!((trade["tid"].as_u64(), trade["tid_str"].as_str()), (Some(id.id), Some(tid.as_str())));
    assert_eq!(trade["payment"], super::super::told::yuan(id.total()));
    assert_eq!(trade["pay_time"], plain(id.paid.unwrap()));
    let lines: i64 = trade["orders"]["order"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["payment"].as_str().unwrap().replace('.', "").parse::<i64>().unwrap())
        .sum();
    assert_eq!(lines, if id.lines.len() == 1 { id.total() } else { id.goods() });
    let unknown = [("method", "taobao.trade.fullinfo.get"), ("fields", "tid"), ("tid", "1")];
    assert_eq!(ask_taobao(&hub, &unknown)["error_response"]["sub_code"], "isv.trade-not-exist");
}

#[test]
fn a_batch_answers_its_parts_in_their_order_and_as_one_when_all_of_it_is_refused() {
    let hub = hub(30);
    let ids: Vec<u64> = hub.shops[1].market().truth().take(2).map(|order| order.id).collect();
    let parts = [
        format!("#PUBLIC#{}", form([("method", "taobao.trade.fullinfo.get"), ("fields", "tid")])),
        form([("tid", ids[1].to_string().as_str())]),
        form([("tid", "1")]),
        "N".to_owned(),
        form([("method", "taobao.time.get")]),
        form([("tid", ids[0].to_string().as_str())]),
    ];
    let said = batch(&hub, &parts.join("\r\n-S-\r\n"));
    let answers: Vec<Value> = said.body.split("\r\n-S-\r\n").map(|part| serde_json::from_str(part).unwrap()).collect();
    assert_eq!(answers.len(), 5);
    assert_eq!(answers[0]["trade_fullinfo_get_response"]["trade"]["tid"], ids[1]);
    assert_eq!(answers[1]["error_response"]["sub_code"], "isv.trade-not-exist");
    assert_eq!(code(&answers[2]), 40);
    assert!(answers[3]["time_get_response"]["time"].is_string());
    assert_eq!(answers[4]["trade_fullinfo_get_response"]["trade"]["tid"], ids[0]);
    let calls = hub.calls();
    assert_eq!((calls[BATCH], calls["taobao.trade.fullinfo.get"], calls["taobao.time.get"]), (1, 4, 1));

    let body = parts.join("\r\n-S-\r\n");
    let signed = top(hub.now(), &[], &body);
    let query = form(signed.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    let tampered = post("/router/batch", &query, "text/plain;charset=utf-8", body.replace("=1\r", "=2\r"));
    let said = hub.answer(&tampered);
    assert_eq!((said.body.contains("-S-"), code(&read(&said))), (false, 25));

    hub.faults.next([Some(Fault::RefusePart(1, Refusal::Busy)), Some(Fault::Refuse(Refusal::Ban { seconds: 7 }))]);
    let said = batch(&hub, &body);
    let second = said.body.split("\r\n-S-\r\n").nth(1).unwrap();
    assert!(second.contains("isp.remote-service-timeout"));
    let banned = read(&batch(&hub, &body));
    assert_eq!(banned["error_response"]["sub_msg"], "This ban will last for 7 more seconds");
}

#[test]
fn a_batch_may_announce_a_separator_of_its_own() {
    let hub = hub(1);
    let body = format!("{}|x|{}", form([("method", "taobao.time.get")]), form([("method", "taobao.time.get")]));
    let signed = top(hub.now(), &[], &body);
    let query = form(signed.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    let mut request = post("/router/batch", &query, "text/plain;charset=utf-8", body);
    request.separator = Some("|x|".to_owned());
    assert_eq!(hub.answer(&request).body.split("|x|").count(), 2);
}

#[test]
fn messages_come_until_they_are_confirmed() {
    let hub = hub(40);
    assert!(
        ask_taobao(&hub, &[("method", "taobao.tmc.messages.consume")])["tmc_messages_consume_response"]
            .get("messages")
            .is_none()
    );
    let now = hub.now();
    hub.shops[1].market().play(now.saturating_add_ms(-60_000), now, 60);
    let consume = || {
        let answer = ask_taobao(&hub, &[("method", "taobao.tmc.messages.consume"), ("quantity", "20")]);
        answer["tmc_messages_consume_response"]["messages"]["tmc_message"].as_array().unwrap().clone()
    };
    let messages = consume();
    assert_eq!((messages.len(), &messages), (20, &consume()));
    let content: Value = serde_json::from_str(messages[0]["content"].as_str().unwrap()).unwrap();
    assert!(content["tid"].is_u64() && content["seller_nick"] == "sampan-demo");
    let ids: Vec<String> = messages.iter().map(|message| message["id"].to_string()).collect();
    let ids = ids.join(",");
    let confirm = [("method", "taobao.tmc.messages.confirm"), ("s_message_ids", ids.as_str())];
    assert_eq!(ask_taobao(&hub, &confirm)["tmc_messages_confirm_response"]["is_success"], true);
    assert!(consume().iter().all(|message| !messages.contains(message)));
}

#[test]
fn who_calls_too_often_is_banned_and_told_for_how_long() {
    let mut options = Options::demo(1);
    options.limits = Limits { per_second: Some(3), ban_s: 30, per_day: None };
    let hub = Hub::new(options);
    let answers: Vec<Value> = (0..20).map(|_| ask_taobao(&hub, &[("method", "taobao.time.get")])).collect();
    let banned = answers.last().unwrap();
    assert_eq!(
        (code(banned), &banned["error_response"]["sub_code"]),
        (7, &json!("accesscontrol.limited-by-api-access-count"))
    );
    assert!(banned["error_response"]["sub_msg"].as_str().unwrap().starts_with("This ban will last for"));
    let said = (0..20).map(|_| ask_1688(&hub, LIST_1688, &[])).last().unwrap();
    assert_eq!((said.status, read(&said)["error_code"].as_str()), (400, Some("gw.QosAppFrequencyLimit")));
}

#[test]
fn the_shop_that_is_asked_changes_with_each_call() {
    let hub = hub(300);
    *lock(&hub.disturbance) = Disturbance { tenths: 30, late_ms_max: 60_000, is_hasty: false };
    for _ in 0..100 {
        ask_1688(&hub, LIST_1688, &[]);
    }
    assert!(hub.shops[0].market().changes() >= 300 && hub.shops[0].market().happened(Kind::Late) > 0);
    assert_eq!(hub.shops[1].market().changes(), 0);
}

#[test]
fn an_operator_sees_the_state_and_the_truth_and_lets_changes_happen() {
    let hub = hub(12);
    let ask = |method: &str, path: &str, query: &str| {
        let request = Request { method: method.to_owned(), ..post(path, query, "", String::new()) };
        hub.answer(&request)
    };
    ask_1688(&hub, LIST_1688, &[]);
    let played = read(&ask("POST", "/simulator/play", "marketplace=taobao&changes=25"));
    assert!(played["changes"].as_u64().unwrap() >= 25);
    let state = read(&ask("GET", "/simulator/state", ""));
    assert_eq!(state["calls"]["alibaba.trade.getBuyerOrderList"], 1);
    assert_eq!((&state["shops"][0]["orders"], &state["shops"][0]["changes"]), (&json!(12), &json!(0)));
    assert_eq!(state["shops"][1]["changes"], played["changes"]);
    let truth = read(&ask("GET", "/simulator/truth", "marketplace=1688&shop=demo"));
    assert_eq!(truth.as_array().unwrap().len(), 12);
    let market = hub.shops[0].market();
    let row = &truth[0];
    let order = market.order(row["trade_id"].as_str().unwrap().parse().unwrap()).unwrap();
    assert_eq!(row["status"], order.word(Marketplace::Alibaba1688));
    assert_eq!(row["modified"], order.modified.to_rfc3339());
    assert_eq!(ask("GET", "/simulator/truth", "marketplace=1688&shop=none").status, 404);
    assert_eq!(ask("POST", "/simulator/play", "marketplace=1688").status, 400);
}

/// Asks over a socket; gives all that came before the connection was closed, or before `wait_ms` were over.
fn over_a_socket(url: &str, path: &str, wait_ms: u64) -> String {
    let address = url.trim_start_matches("http://");
    let mut socket = std::net::TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(wait_ms))).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    socket.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).ok();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_held_broken_off_throttled_or_a_page_on_demand_and_a_dropped_server_is_gone() {
    let server = Server::start(Options::demo(1)).await.unwrap();
    let url = server.url.clone();
    let ask = |wait_ms| {
        let url = url.clone();
        tokio::task::spawn_blocking(move || over_a_socket(&url, "/openapi/param2/1/a/b/c", wait_ms))
    };
    let whole = ask(5_000).await.unwrap();
    assert!(whole.starts_with("HTTP/1.1 400") && whole.contains("gw.ParamInvalid"), "{whole}");
    let faults =
        [Fault::TooMany { retry_after_s: Some(3) }, Fault::Status(502), Fault::BreakOff, Fault::Hold { ms: 60_000 }];
    server.faults().next(faults.map(Some));
    let throttled = ask(5_000).await.unwrap();
    assert!(throttled.starts_with("HTTP/1.1 429") && throttled.contains("retry-after: 3"), "{throttled}");
    let gone = ask(5_000).await.unwrap();
    assert!(gone.starts_with("HTTP/1.1 502") && gone.contains("<html>"), "{gone}");
    let broken = ask(5_000).await.unwrap();
    assert!(!broken.ends_with("0\r\n\r\n") && !broken.contains("request_id"), "{broken}");
    assert_eq!(ask(200).await.unwrap(), "");
    assert_eq!(server.take_calls()["b"], 5);
    assert_eq!(server.faults().waiting(), 0);
    let port = url.rsplit(':').next().unwrap().parse().unwrap();
    assert!(Server::start(Options { port, ..Options::demo(0) }).await.is_err());
    drop(server);
    // The task ends at its next turn.
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(std::net::TcpStream::connect(url.trim_start_matches("http://")).is_err());
}

#[tokio::test]
async fn a_server_changes_by_itself_when_it_is_told_to() {
    let server = Server::start(Options { changes_per_minute: 600, ..Options::demo(20) }).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    for marketplace in Marketplace::ALL {
        assert!(server.market(marketplace, "demo").unwrap().changes() >= 10);
    }
}
