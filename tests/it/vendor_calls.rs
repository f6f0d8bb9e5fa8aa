//! What is asked of marketplaces and what they answer: published signatures, every sample, every refusal of the
//! vendors' tables, and the quirks that the vendors' own samples show.

use std::collections::BTreeMap;

use domain::sweep::Window;
use domain::{AfterSaleState, MessageId, Money, ShopId, TradeId, TradeStatus, UnixMillis};
use protocols::ali1688::{api, orders};
use protocols::marketplace::{
    Access, Account, Ali1688Access, Answer, ApiRequest, FlowControl, ListQuery, ListedBy, MessageContent, NotRead,
    Refused, TaobaoAccess, Told,
};
use protocols::taobao::signature::{SignMethod, sign};
use protocols::taobao::{self, call, messages, trades};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::secret;

const LIST_1688: &str = include_str!("../fixtures/1688/getBuyerOrderList.doc.json");
const DETAIL_1688: &str = include_str!("../fixtures/1688/get_buyerView.doc.json");
const LIST_TAOBAO: &str = include_str!("../fixtures/taobao/trades_sold_increment_get.shape.json");
const MESSAGE_TAOBAO: &str = include_str!("../fixtures/taobao/tmc_trade_message.shape.json");

fn at(text: &str) -> UnixMillis {
    UnixMillis::from_rfc3339(text).unwrap()
}

fn purchaser(member_id: &str) -> Account {
    let access = Ali1688Access {
        app_key: "1234567".to_owned(),
        app_secret: secret("test_app_secret_0123456789abcdef"),
        access_token: secret("tok-simple-0001"),
        member_id: member_id.to_owned(),
    };
    Account { shop: ShopId::new("demo").unwrap(), access: Access::Ali1688(access) }
}

fn seller(seller_nick: &str) -> Account {
    let access = TaobaoAccess {
        app_key: "12345678".to_owned(),
        app_secret: secret("helloworld"),
        session: secret("test"),
        seller_nick: seller_nick.to_owned(),
    };
    Account { shop: ShopId::new("demo").unwrap(), access: Access::Taobao(access) }
}

fn ali1688_access() -> Ali1688Access {
    let Access::Ali1688(access) = purchaser("b2b-1").access else { panic!("not of 1688") };
    access
}

fn taobao_access() -> TaobaoAccess {
    let Access::Taobao(access) = seller("helloworld").access else { panic!("not of Taobao") };
    access
}

fn query(by: ListedBy) -> ListQuery {
    let window = Window::new(at("2026-10-01T00:00:00+08:00"), at("2026-10-01T00:30:00+08:00")).unwrap();
    ListQuery { by, window, page: 1, page_rows: 20 }
}

fn told_of_1688(text: &str) -> Answer<Told> {
    orders::read_detail(text).unwrap().unwrap()
}

fn ours<T>(answer: Answer<T>, account: &Account) -> T {
    answer.belonging_to(account).unwrap().into_inner()
}

/// The detail of a trade at Taobao that anybody of ours may read.
fn told_of_taobao(trade: &Value) -> Told {
    let text = json!({"trade_fullinfo_get_response": {"trade": trade}}).to_string();
    let mut told = trades::read_details(&text, 1).unwrap();
    ours(told.remove(0).unwrap(), &seller("helloworld"))
}

fn trade() -> Value {
    serde_json::from_str::<Value>(LIST_TAOBAO).unwrap()["trades_sold_increment_get_response"]["trades"]["trade"][0]
        .clone()
}

fn page_of(rows: Value) -> String {
    json!({"trades_sold_get_response": {"total_results": 9, "trades": {"trade": rows}}}).to_string()
}

#[derive(Deserialize)]
struct Case {
    name: String,
    secret: Option<String>,
    sign_method: Option<String>,
    params: Option<BTreeMap<String, String>>,
    query: Option<BTreeMap<String, String>>,
    body: Option<String>,
    expected: Option<String>,
}

#[test]
fn taobao_s_signatures_are_those_that_were_published() {
    let files = [
        include_str!("../fixtures/vectors/taobao_top.json"),
        include_str!("../fixtures/vectors/taobao_top_batch.json"),
    ];
    let mut signed = 0;
    for file in files {
        let cases: Vec<Case> =
            serde_json::from_value(serde_json::from_str::<Value>(file).unwrap()["cases"].clone()).unwrap();
        for case in cases.into_iter().filter(|case| case.expected.is_some()) {
            let method = SignMethod::from_name(&case.sign_method.unwrap()).unwrap();
            let key = secret(&case.secret.unwrap());
            let parameters: Vec<_> = case.params.or(case.query).unwrap().into_iter().rev().collect();
            let (body, expected) = (case.body.as_deref(), case.expected.unwrap());
            assert_eq!(sign(method, &key, &parameters, body), expected, "{}", case.name);
            assert_ne!(sign(method, &secret("helloworle"), &parameters, body), expected, "{}", case.name);
            for place in 0..parameters.len() {
                let mut tampered = parameters.clone();
                tampered[place].1.push('0');
                assert_ne!(sign(method, &key, &tampered, body), expected, "{} {place}", case.name);
            }
            if let Some(body) = body {
                assert_ne!(sign(method, &key, &parameters, Some(&body.replace("2231958349", "2231958340"))), expected);
                assert_ne!(sign(method, &key, &parameters, None), expected, "{}", case.name);
            }
            signed += 1;
        }
    }
    assert_eq!(signed, 5, "the files have another number of cases than they had");
}

fn fields(encoded: &str) -> BTreeMap<String, String> {
    form_urlencoded::parse(encoded.as_bytes()).map(|(key, value)| (key.into_owned(), value.into_owned())).collect()
}

#[test]
fn a_list_of_1688_is_asked_for_as_in_the_published_call() {
    let request = api::list(&ali1688_access(), &query(ListedBy::Modified), at("2026-10-01T00:00:00+08:00"));
    assert_eq!(request.path, "/openapi/param2/1/com.alibaba.trade/alibaba.trade.getBuyerOrderList/1234567");
    let sent = fields(&request.body);
    let [start, end] = ["modifyStartTime", "modifyEndTime"].map(|key| sent[key].clone());
    assert_eq!((start.as_str(), end.as_str()), ("20261001000000000+0800", "20261001003000000+0800"));
    // The vector C1_modified_window.
    assert_eq!(sent["_aop_signature"], "108EF24176F391B31DE2C115808CF8D7D034C2A7");
    let created = fields(&api::list(&ali1688_access(), &query(ListedBy::Created), UnixMillis::EPOCH).body);
    assert!(created.contains_key("createStartTime") && !created.contains_key("modifyStartTime"));
    let detail = api::detail(&ali1688_access(), &TradeId::new("58218860983545941").unwrap(), UnixMillis::EPOCH);
    assert_eq!(detail.path, "/openapi/param2/1/com.alibaba.trade/alibaba.trade.get.buyerView/1234567");
    assert_eq!(fields(&detail.body)["orderId"], "58218860983545941");
}

/// Whether a request is signed with what it carries, and in no other way.
fn is_signed_by_taobao(request: &ApiRequest, parameters: BTreeMap<String, String>, body: Option<&str>) -> bool {
    let pairs: Vec<_> = parameters.clone().into_iter().collect();
    let wanted = sign(SignMethod::HmacSha256, &secret("helloworld"), &pairs, body);
    assert_eq!((parameters["sign_method"].as_str(), parameters["v"].as_str()), ("hmac-sha256", "2.0"));
    assert_eq!(parameters["timestamp"], "2026-10-01 12:00:00", "{}", request.call);
    parameters["sign"] == wanted
}

#[test]
fn taobao_is_asked_by_signed_forms_in_china_s_time() {
    let (access, now) = (taobao_access(), at("2026-10-01T12:00:00+08:00"));
    let ids = ["7104300007405429232", "2"].map(|id| MessageId::new(id).unwrap());
    for (request, own) in [
        (
            call::list(&access, &query(ListedBy::Modified), now),
            vec![
                ("method", "taobao.trades.sold.increment.get"),
                ("start_modified", "2026-10-01 00:00:00"),
                ("end_modified", "2026-10-01 00:30:00"),
                ("page_no", "1"),
                ("page_size", "20"),
            ],
        ),
        (
            call::list(&access, &query(ListedBy::Created), now),
            vec![
                ("method", "taobao.trades.sold.get"),
                ("start_created", "2026-10-01 00:00:00"),
                ("end_created", "2026-10-01 00:30:00"),
            ],
        ),
        (call::pull(&access, now), vec![("method", "taobao.tmc.messages.consume"), ("quantity", "100")]),
        (
            call::confirm(&access, &ids, now),
            vec![("method", "taobao.tmc.messages.confirm"), ("s_message_ids", "7104300007405429232,2")],
        ),
    ] {
        let sent: BTreeMap<String, String> = request.query.iter().cloned().chain(fields(&request.body)).collect();
        assert_eq!((request.path.as_str(), request.call), ("/router/rest", own[0].1));
        assert!(own.iter().all(|(key, value)| sent[*key] == *value), "{}", request.call);
        assert!(!sent.contains_key("use_has_next"), "a list whose length is not told cannot be checked");
        assert!(is_signed_by_taobao(&request, sent, None), "{}", request.call);
    }
}

#[test]
fn a_batch_is_one_public_part_and_one_part_a_trade_and_its_text_is_signed() {
    let trades = ["2231958349", "2231958350"].map(|id| TradeId::new(id).unwrap());
    let request = call::details(&taobao_access(), &trades, at("2026-10-01T12:00:00+08:00"));
    assert_eq!((request.path.as_str(), request.content_type), ("/router/batch", "text/plain;charset=utf-8"));
    let parts: Vec<&str> = request.body.split("\r\n-S-\r\n").collect();
    assert!(parts[0].starts_with("#PUBLIC#method=taobao.trade.fullinfo.get&fields=tid%2C"), "{}", parts[0]);
    assert_eq!(parts[1..], ["tid=2231958349", "tid=2231958350"]);
    let sent: BTreeMap<String, String> = request.query.iter().cloned().collect();
    assert!(is_signed_by_taobao(&request, sent.clone(), Some(&request.body)));
    assert!(!is_signed_by_taobao(&request, sent, None), "the body is part of what is signed");
}

#[test]
fn the_parts_of_a_batch_are_read_one_by_one_in_their_order() {
    let vectors: Value = serde_json::from_str(include_str!("../fixtures/vectors/taobao_top_batch.json")).unwrap();
    let published = vectors["cases"][2]["response_body"].as_str().unwrap();
    for text in [published, include_str!("../fixtures/taobao/batch_response.txt")] {
        let parts = trades::read_details(text, 2).unwrap();
        // The first sample has no modified time, which a detail must have; the second trade is not there.
        assert!(parts.iter().all(Result::is_err));
        let shown: Vec<String> = parts.iter().map(|part| format!("{:?}", part.as_ref().unwrap_err())).collect();
        assert!(shown[0].starts_with("Malformed") && shown[1].starts_with("Refused"), "{shown:?}");
        for count in [0, 1, 3] {
            assert!(matches!(trades::read_details(text, count), Err(NotRead::Unreadable(_))), "{count}");
        }
    }
    let whole = include_str!("../fixtures/taobao/error_invalid_signature.json");
    assert_eq!(refused(trades::read_details(whole, 2)), Some((FlowControl::GiveUp, "25".to_owned())));
    let good = json!({"trade_fullinfo_get_response": {"trade": trade()}}).to_string();
    let text = [good.as_str(), "N", good.as_str()].join("\r\n-S-\r\n");
    let parts = trades::read_details(&text, 3).unwrap();
    assert_eq!(parts.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
}

fn refused<T>(read: Result<T, NotRead>) -> Option<(FlowControl, String)> {
    match read {
        Err(NotRead::Refused(Refused { flow, code })) => Some((flow, code)),
        Ok(_) | Err(NotRead::Unreadable(_)) => None,
    }
}

#[test]
fn every_refusal_of_taobao_leads_to_what_its_table_says() {
    use FlowControl::{GiveUp, Reauthorise, Retry, WaitForMidnight, WaitSeconds};
    for (text, flow) in [
        (include_str!("../fixtures/taobao/error_app_call_limited_api.json"), WaitSeconds(2)),
        (include_str!("../fixtures/taobao/error_app_call_limited_daily.json"), WaitForMidnight),
        (include_str!("../fixtures/taobao/error_invalid_session.json"), Reauthorise),
        (include_str!("../fixtures/taobao/error_invalid_signature.json"), GiveUp),
        (include_str!("../fixtures/taobao/error_isv.json"), GiveUp),
        (include_str!("../fixtures/taobao/error_remote_service.json"), Retry),
    ] {
        assert_eq!(refused(trades::read_list(text)).map(|(flow, _)| flow), Some(flow), "{text}");
        assert_eq!(refused(messages::read(text)).map(|(flow, _)| flow), Some(flow), "{text}");
        assert_eq!(refused(messages::read_confirmation(text)).map(|(flow, _)| flow), Some(flow), "{text}");
    }
    let retried = "isp.trade-service-unavailable isp.remote-service-error isp.remote-service-timeout \
        isp.remote-connection-error isp.top-remote-connection-timeout isp.top-remote-connection-error \
        isp.top-remote-service-unavailable isp.top-remote-service-error isp.unknown-error isp.system-busy";
    let given_up = "isp.null-pointer-exception isp.top-parse-error isp.top-mapping-parse-error isv.trade-not-exist \
        isv.invalid-parameter isv.of-tomorrow";
    let by_sub = retried.split_whitespace().map(|sub| (15, sub, Retry));
    let by_sub = by_sub.chain(given_up.split_whitespace().map(|sub| (15, sub, GiveUp)));
    let by_code = (3..=53).filter_map(|code| match code {
        4..=8 => Some((code, "", WaitSeconds(taobao::error::LIMITED_S))),
        10 => Some((code, "", Retry)),
        26 | 27 => Some((code, "", Reauthorise)),
        3 | 9 | 11..=13 | 15 | 21..=25 | 28..=34 | 40..=43 | 53 => Some((code, "", GiveUp)),
        _ => None,
    });
    let limited = [("app-api-access-count", WaitSeconds(taobao::error::LIMITED_S)), ("dynamic-access-count", Retry)];
    let limited = limited.map(|(sub, flow)| (7, format!("accesscontrol.limited-by-{sub}"), flow));
    let rows = by_sub.chain(by_code).map(|(code, sub, flow)| (code, sub.to_owned(), flow)).chain(limited);
    for (code, sub, flow) in rows.chain([(999, "of.tomorrow".to_owned(), GiveUp)]) {
        for code in [json!(code), json!(code.to_string())] {
            let text = json!({"error_response": {"code": code, "msg": "\n", "sub_code": sub}}).to_string();
            let (asked, name) = refused(trades::read_list(&text)).unwrap();
            assert_eq!(asked, flow, "{text}");
            assert!(name == sub || sub.is_empty(), "{text}");
        }
    }
}

#[test]
fn every_refusal_of_1688_leads_to_what_its_table_says() {
    use FlowControl::{GiveUp, Reauthorise, Retry};
    for (text, flow, code) in [
        (include_str!("../fixtures/1688/error_acl_decline.json"), GiveUp, "gw.APIACLDecline"),
        (include_str!("../fixtures/1688/error_api_unsupported.json"), GiveUp, "gw.APIUnsupported"),
        (include_str!("../fixtures/1688/error_auth_401.json"), Reauthorise, "401"),
        (include_str!("../fixtures/1688/error_business_error.json"), GiveUp, "500_004"),
        (include_str!("../fixtures/1688/error_rate_limit.json"), Retry, "gw.QosAppFrequencyLimit"),
        (include_str!("../fixtures/1688/error_signature_invalid.json"), GiveUp, "gw.SignatureInvalid"),
        (r#"{"error_code":401}"#, Reauthorise, "401"),
        (r#"{"error_code":"gw.QosRequestLimit"}"#, Retry, "gw.QosRequestLimit"),
        (r#"{"error_code":"gw.SignatureMissing"}"#, GiveUp, "gw.SignatureMissing"),
        (r#"{"error_code":"gw.ParamMissing"}"#, GiveUp, "gw.ParamMissing"),
        (r#"{"success":false,"code":"ORDER_NOT_EXIST","message":"x"}"#, GiveUp, "ORDER_NOT_EXIST"),
        (r#"{"success":"false","errorCode":"a secret","errorMsg":"x"}"#, GiveUp, "unnamed"),
        // A list that was cut short must not pass for a whole one.
        (r#"{"result":[],"totalRecord":0,"errorCode":"SYSTEM_ERROR"}"#, GiveUp, "SYSTEM_ERROR"),
    ] {
        assert_eq!(refused(orders::read_list(text)), Some((flow, code.to_owned())), "{text}");
        assert_eq!(refused(orders::read_detail(text)), Some((flow, code.to_owned())), "{text}");
    }
    let named = DETAIL_1688.replacen('{', r#"{"success":"true","errorCode":null,"errorMessage":"","#, 1);
    assert_eq!(told_of_1688(&named), told_of_1688(DETAIL_1688));
}

#[test]
fn what_is_no_answer_is_unreadable_and_nothing_of_it_is_repeated() {
    for text in ["", "<html>SECRET</html>", "[]", "null", r#"{"SECRET":1}"#, r#"{"trades_sold_get_response":"SECRET"}"#]
    {
        let reads = [
            trades::read_list(text).err(),
            messages::read(text).err(),
            messages::read_confirmation(text).err(),
            orders::read_list(text).err(),
            orders::read_detail(text).err(),
        ];
        for read in reads {
            assert!(matches!(&read, Some(NotRead::Unreadable(why)) if !why.contains("SECRET")), "{text}: {read:?}");
        }
    }
}

#[test]
fn the_list_of_the_1688_documents_is_read_with_its_quirks() {
    let page = ours(orders::read_list(LIST_1688).unwrap(), &purchaser("b2b-1623492085"));
    assert_eq!((page.total, page.rows.len(), page.malformed.len()), (537, 1, 0));
    // idOfStr is a number here.
    assert_eq!(page.rows[0].id.as_str(), "196965465451498520");
    assert_eq!(page.rows[0].modified_at, Some(at("2018-08-06T10:44:25+08:00")));
    assert!(orders::read_list(LIST_1688).unwrap().belonging_to(&purchaser("b2b-2")).is_err());
    let empty = ours(orders::read_list(r#"{"totalRecord":0}"#).unwrap(), &purchaser("b2b-2"));
    assert_eq!((empty.total, empty.rows.len()), (0, 0));
}

#[test]
fn the_detail_of_the_1688_documents_is_read_with_its_quirks() {
    assert!(told_of_1688(DETAIL_1688).belonging_to(&purchaser("b2b-2")).is_err());
    let told = ours(told_of_1688(DETAIL_1688), &purchaser("b2b-2248544159"));
    // id is ...944, which has lost digits.
    assert_eq!(told.trade_id.as_str(), "58218860983545941");
    assert_eq!((told.status, told.raw_status.as_str()), (TradeStatus::Shipped, "waitbuyerreceive"));
    assert_eq!(told.modified_at, at("2017-09-13T23:47:25-07:00"));
    let payment = &told.content.payment;
    assert_eq!((payment.total.map(Money::minor), payment.postage.map(Money::minor)), (Some(615), Some(600)));
    assert_eq!(payment.paid_at, Some(at("2017-09-13T23:17:27-07:00")));
    let lines: Vec<_> =
        told.content.lines.iter().map(|line| (line.id.as_str(), line.amount.map(Money::minor))).collect();
    assert_eq!(lines, [("128403042259997715", Some(30)), ("58218860985545944", Some(5))]);
    let picture = told.content.lines[0].picture.as_ref().unwrap();
    assert_eq!(picture.as_str(), "http://cbu01.alicdn.com/img/ibank/2017/757/125/3950521757.jpg");
    let package = &told.packages[0];
    assert_eq!((package.id.as_str(), &package.waybill), ("BX107450035961376", &None));
    assert_eq!(package.shipped_at, Some(at("2017-09-13T23:19:17-07:00")));
    let cases: Vec<_> = told.cases.iter().map(|case| (case.id.as_str(), case.state, case.money)).collect();
    assert_eq!(
        cases,
        [
            ("TQ7257793022991577", AfterSaleState::Requested, None),
            ("line.58218860985545944", AfterSaleState::Requested, None),
        ]
    );
    assert_eq!(
        serde_json::from_str::<Value>(&told.json).unwrap(),
        serde_json::from_str::<Value>(DETAIL_1688).unwrap()["result"]
    );
}

/// The detail of the documents with something else in it.
fn detail_with(change: impl FnOnce(&mut Value)) -> Result<Told, String> {
    let mut detail: Value = serde_json::from_str(DETAIL_1688).unwrap();
    change(&mut detail["result"]);
    let read = orders::read_detail(&detail.to_string()).unwrap();
    read.map(|answer| ours(answer, &purchaser("b2b-2248544159"))).map_err(|malformed| malformed.reason)
}

#[test]
fn an_order_of_1688_of_which_a_part_left_is_partly_shipped() {
    let status = |logistics_status: Value| {
        let told = detail_with(|order| {
            order["baseInfo"]["status"] = json!("waitsellersend");
            order["productItems"][1]["logisticsStatus"] = logistics_status;
        });
        told.unwrap().status
    };
    assert_eq!(status(json!(1)), TradeStatus::AwaitingShipment);
    assert_eq!([status(json!(2)), status(json!("5"))], [TradeStatus::PartlyShipped; 2]);
}

#[test]
fn a_payment_of_1688_that_was_called_off_is_no_payment() {
    let paid_at = |pay_status: Value| {
        let told = detail_with(|order| {
            order["baseInfo"].as_object_mut().unwrap().remove("payTime");
            order["tradeTerms"][0]["payStatus"] = pay_status;
        });
        told.unwrap().content.payment.paid_at
    };
    assert_eq!([paid_at(json!("8")), paid_at(json!(1))], [None; 2]);
    assert_eq!([paid_at(json!("2")), paid_at(json!(2))], [Some(at("2017-09-13T23:17:27-07:00")); 2]);
}

#[test]
fn goods_that_no_carrier_takes_have_a_journey_and_no_waybill() {
    let waybill = |kind: &str, number: &str| {
        let told = detail_with(|order| {
            let item = &mut order["nativeLogistics"]["logisticsItems"][0];
            (item["type"], item["logisticsBillNo"]) = (json!(kind), json!(number));
            item["logisticsCompanyName"] = json!("\u{4e2d}\u{901a}\u{5feb}\u{9012}");
        });
        let package = told.unwrap().packages.remove(0);
        assert!(package.shipped_at.is_some());
        package.waybill.map(|(_, number)| number.as_str().to_owned())
    };
    let none_needed = "\u{4e0d}\u{9700}\u{8981}\u{7269}\u{6d41}";
    assert_eq!(waybill("0", "ZT1").as_deref(), Some("ZT1"));
    assert_eq!([waybill("2", "ZT1"), waybill("0", none_needed)], [None, None]);
}

#[test]
fn lines_of_one_refund_of_1688_make_one_case() {
    let told = detail_with(|order| {
        for item in order["productItems"].as_array_mut().unwrap() {
            (item["refundId"], item["refund"]) = (json!("TQ1"), json!(0.05));
        }
    });
    let cases = told.unwrap().cases;
    let shown: Vec<_> = cases.iter().map(|case| (case.id.as_str(), &case.line, case.money.map(Money::minor))).collect();
    assert_eq!(shown, [("TQ1", &None, Some(10))]);
}

#[test]
fn a_refund_of_a_whole_order_is_one_case() {
    let told = detail_with(|order| {
        for item in order["productItems"].as_array_mut().unwrap() {
            item.as_object_mut().unwrap().remove("refundStatus");
        }
        order["baseInfo"]["refundStatus"] = json!("refundsuccess");
        order["baseInfo"]["refund"] = json!(6.15);
    });
    let case = told.unwrap().cases.remove(0);
    assert_eq!((case.id.as_str(), case.state, case.line), ("trade", AfterSaleState::Refunded, None));
    assert_eq!(case.money.map(Money::minor), Some(615));
}

#[test]
fn amounts_and_times_of_1688_are_exact_or_refused() {
    let total =
        |amount: &str| detail_with(|order| order["baseInfo"]["totalAmount"] = serde_json::from_str(amount).unwrap());
    for (amount, minor) in [("6.1", 610), ("6", 600), (r#""6.150""#, 615), ("0.01", 1)] {
        assert_eq!(total(amount).unwrap().content.payment.total.map(Money::minor), Some(minor), "{amount}");
    }
    for amount in ["6.151", "-6.15", r#""6,15""#, r#""SECRET""#] {
        assert!(total(amount).is_err_and(|reason| !reason.contains("SECRET")), "{amount}");
    }
    for time in ["", "2017-09-13 23:47:25", "20170913234725000", "20171313234725000+0800"] {
        assert!(detail_with(|order| order["baseInfo"]["modifyTime"] = json!(time)).is_err(), "{time}");
    }
}

#[test]
fn a_status_that_nobody_knows_is_kept_in_its_own_word() {
    let told = detail_with(|order| order["baseInfo"]["status"] = json!("waitofftomorrow")).unwrap();
    assert_eq!((told.status, told.raw_status.as_str()), (TradeStatus::Unrecognised, "waitofftomorrow"));
    let mut unknown = trade();
    unknown["status"] = json!("WAIT_OF_TOMORROW");
    unknown["orders"]["order"][0]["refund_status"] = json!("REFUND_OF_TOMORROW");
    let told = told_of_taobao(&unknown);
    assert_eq!((told.status, told.raw_status.as_str()), (TradeStatus::Unrecognised, "WAIT_OF_TOMORROW"));
    assert_eq!((told.cases[0].state, told.cases[0].raw.as_str()), (AfterSaleState::Unrecognised, "REFUND_OF_TOMORROW"));
}

#[test]
fn the_lists_of_taobao_s_samples_are_read() {
    let page = trades::read_list(include_str!("../fixtures/taobao/trades_sold_get.real_min.json")).unwrap();
    let page = ours(page, &seller("helloworld"));
    assert_eq!((page.total, page.rows.len(), page.malformed.len()), (11, 3, 0));
    assert!(page.rows.iter().all(|row| row.modified_at.is_none()));
    let empty = r#"{"trades_sold_increment_get_response":{"total_results":0,"request_id":"r"}}"#;
    assert_eq!(ours(trades::read_list(empty).unwrap(), &seller("x")).rows, []);
    // What `use_has_next` answers, which is never asked for: a list whose length is not told could be cut short.
    assert!(matches!(trades::read_list(LIST_TAOBAO), Err(NotRead::Unreadable(_))));
    let told = LIST_TAOBAO.replace(r#""has_next": true"#, r#""total_results": "1""#);
    let page = ours(trades::read_list(&told).unwrap(), &seller("helloworld"));
    assert_eq!((page.total, page.rows[0].id.as_str()), (1, "2231958349"));
    assert_eq!(page.rows[0].modified_at, Some(at("2026-10-01T11:45:00+08:00")));
}

#[test]
fn a_bad_row_is_set_aside_and_harms_no_other() {
    let bad = [json!({}), json!(7), json!({"tid": "a b"}), json!({"tid": 1, "modified": "yesterday"})];
    for bad in bad {
        let page = trades::read_list(&page_of(json!([trade(), bad, {"tid": 9007199254740993_u64}]))).unwrap();
        let page = ours(page, &seller("helloworld"));
        let ids: Vec<_> = page.rows.iter().map(|row| row.id.as_str()).collect();
        assert_eq!(ids, ["2231958349", "9007199254740993"], "{bad}");
        assert_eq!(page.malformed[0].body, bad.to_string());
        let rows = json!({"totalRecord": 2, "result": [{"baseInfo": {"id": 9007199254740993_u64}}, bad]});
        let page = ours(orders::read_list(&rows.to_string()).unwrap(), &purchaser("b2b-1"));
        assert_eq!((page.rows[0].id.as_str(), page.malformed.len()), ("9007199254740993", 1), "{bad}");
    }
}

#[test]
fn an_id_keeps_every_digit_or_is_none() {
    for id in ["9007199254740993", "289749893210214687", "18446744073709551615"] {
        let rows = |id: &str| {
            format!(r#"{{"trades_sold_get_response":{{"total_results":1,"trades":{{"trade":[{{"tid":{id}}}]}}}}}}"#)
        };
        for written in [id.to_owned(), format!("\"{id}\"")] {
            let page = ours(trades::read_list(&rows(&written)).unwrap(), &seller("x"));
            assert_eq!(page.rows[0].id.as_str(), id);
        }
        let page = ours(trades::read_list(&rows("2.89749893210214687E17")).unwrap(), &seller("x"));
        assert_eq!((page.rows.len(), page.malformed.len()), (0, 1), "a number that went through floating point");
    }
}

#[test]
fn one_row_of_another_shop_makes_the_page_foreign_even_where_the_row_cannot_be_read() {
    for foreign in [json!({"tid": 1, "seller_nick": "stranger"}), json!({"tid": "a b", "seller_nick": "stranger"})] {
        let page = trades::read_list(&page_of(json!([trade(), foreign]))).unwrap();
        assert!(page.belonging_to(&seller("helloworld")).is_err(), "{foreign}");
    }
    let foreign = json!({"totalRecord": 1, "result": [{"baseInfo": {"id": "a b", "buyerID": "b2b-9"}}]});
    assert!(orders::read_list(&foreign.to_string()).unwrap().belonging_to(&purchaser("b2b-1")).is_err());
}

#[test]
fn a_row_is_another_one_only_when_it_says_something_else() {
    let digest = |row: Value| {
        ours(trades::read_list(&page_of(json!([row]))).unwrap(), &seller("helloworld")).rows.remove(0).digest
    };
    let change = |change: &dyn Fn(&mut Value)| {
        let mut row = trade();
        change(&mut row);
        digest(row)
    };
    assert_eq!(digest(trade()), change(&|row| row["buyer_open_uid"] = json!("other")));
    for field in ["status", "modified", "payment", "post_fee"] {
        assert_ne!(digest(trade()), change(&|row| row[field] = json!("2026-10-01 11:46:00")), "{field}");
    }
    for field in ["oid_str", "status", "refund_status", "num", "payment"] {
        assert_ne!(digest(trade()), change(&|row| row["orders"]["order"][0][field] = json!("2")), "{field}");
    }
    let two = |swapped: bool| {
        let mut row = trade();
        let lines = row["orders"]["order"].as_array_mut().unwrap();
        lines.push(json!({"oid": 1}));
        if swapped {
            lines.reverse();
        }
        digest(row)
    };
    assert_eq!(two(false), two(true), "the order of lines says nothing");
}

#[test]
fn a_detail_of_taobao_tells_of_money_lines_consignments_and_refunds() {
    let mut sold = trade();
    sold["tid_str"] = json!("2231958341");
    sold["seller_nick"] = json!("helloworld");
    sold["received_payment"] = json!("24.50");
    let line = &mut sold["orders"]["order"][0];
    line["payment"] = json!("25.00");
    line["logistics_company"] = json!(
        "\u{5706}\u{901a}\u{901f}\u{9012}\u{6709}\u{9650}\u{516c}\u{53f8}\u{676d}\u{5dde}\u{5206}\u{516c}\u{53f8}"
    );
    line["invoice_no"] = json!("YT1234567890");
    line["consign_time"] = json!("2026-10-01 11:40:00");
    line["refund_status"] = json!("WAIT_SELLER_AGREE");
    line["refund_id"] = json!(3290848379609938_u64);
    let told = told_of_taobao(&sold);
    assert_eq!((told.trade_id.as_str(), told.status), ("2231958341", TradeStatus::AwaitingShipment));
    let payment = &told.content.payment;
    let sums = [payment.total, payment.postage, payment.received].map(|money| money.map(Money::minor));
    assert_eq!(sums, [Some(2_500), Some(500), Some(2_450)]);
    assert_eq!(payment.paid_at, Some(at("2026-10-01T11:21:00+08:00")));
    // The payment of the only line has the postage in it; what the line comes to has not.
    assert_eq!(told.content.lines[0].amount.map(Money::minor), Some(2_000));
    let package = &told.packages[0];
    assert_eq!(package.id.as_str(), "YT1234567890");
    assert_eq!(
        package.waybill.as_ref().map(|(_, number)| number.as_str()),
        Some("YT1234567890"),
        "whatever the carrier is called"
    );
    assert_eq!(package.shipped_at, Some(at("2026-10-01T11:40:00+08:00")));
    let case = &told.cases[0];
    assert_eq!((case.id.as_str(), case.state), ("3290848379609938", AfterSaleState::Requested));
    assert_eq!(case.line.as_ref().map(domain::LineId::as_str), Some("2231958350"));
}

#[test]
fn a_detail_without_its_time_or_status_is_set_aside_with_a_reason() {
    let fragment = include_str!("../fixtures/taobao/trade_fullinfo_get.fragment.json");
    let shown = format!("{:?}", trades::read_details(fragment, 1).unwrap());
    assert!(shown.contains("Malformed") && shown.contains("modified"), "{shown}");
}

fn pulled(rows: &[Value]) -> Result<Vec<Answer<protocols::marketplace::Message>>, NotRead> {
    messages::read(&json!({"tmc_messages_consume_response": {"messages": {"tmc_message": rows}}}).to_string())
}

fn message(topic: &str, content: &Value) -> MessageContent {
    let row = json!({"id": 1, "topic": topic, "content": content.to_string(), "pub_time": "2026-10-01 11:21:00"});
    let mut read = pulled(&[row]).unwrap();
    ours(read.remove(0), &seller("helloworld")).content
}

#[test]
fn messages_that_wait_are_read_as_samples_show_them() {
    let sample = messages::read(include_str!("../fixtures/taobao/tmc_messages_consume.json")).unwrap().remove(0);
    let sample = ours(sample, &seller("usernick"));
    assert_eq!((sample.id.as_str(), sample.at), ("7104300007405429232", at("2013-10-05T10:55:58+08:00")));
    assert_eq!(sample.content, MessageContent::Other("taobao_item_ItemStockChanged".to_owned()));
    let pushed = pulled(&[serde_json::from_str(MESSAGE_TAOBAO).unwrap()]).unwrap().remove(0);
    assert!(pushed.clone().belonging_to(&seller("stranger")).is_err());
    let pushed = ours(pushed, &seller("helloworld"));
    assert_eq!((pushed.id.as_str(), pushed.at), ("4160600490938325004", at("2026-10-01T11:21:00+08:00")));
    let MessageContent::Status(trade, status, raw) = pushed.content else { panic!("no status") };
    assert_eq!(
        (trade.as_str(), status, raw.as_str()),
        ("2231958349", TradeStatus::AwaitingShipment, "WAIT_SELLER_SEND_GOODS")
    );
    for empty in [
        r#"{"tmc_messages_consume_response":{"request_id":"r"}}"#,
        r#"{"tmc_messages_consume_response":{"messages":{}}}"#,
    ] {
        assert_eq!(messages::read(empty).unwrap(), []);
    }
}

#[test]
fn a_refund_s_message_tells_of_a_case_by_its_name() {
    let content = json!({"refund_id": 3290848379609938_u64, "refund_fee": "59.78", "oid": 54973839805603899_u64,
        "tid": 54973839805603898_u64, "modified": "2017-09-13 16:00:07"});
    for (name, state) in [
        ("RefundCreated", AfterSaleState::Requested),
        ("RefundBuyerModifyAgreement", AfterSaleState::Requested),
        ("RefundSellerRefuseAgreement", AfterSaleState::Refused),
        ("RefundSellerAgreeAgreement", AfterSaleState::AwaitingReturn),
        ("RefundBuyerReturnGoods", AfterSaleState::Returning),
        ("RefundSuccess", AfterSaleState::Refunded),
        ("RefundClosed", AfterSaleState::Closed),
        ("RefundOfTomorrowWithAVeryLongNameIndeed", AfterSaleState::Unrecognised),
    ] {
        let MessageContent::Case(trade, case) = message(&format!("taobao_refund_{name}"), &content) else {
            panic!("{name}")
        };
        assert_eq!((trade.as_str(), case.id.as_str()), ("54973839805603898", "3290848379609938"));
        assert_eq!((case.state, case.money.map(Money::minor)), (state, Some(5_978)), "{name}");
        assert!(name.starts_with(case.raw.as_str()));
    }
}

#[test]
fn a_message_that_cannot_be_read_is_kept_and_harms_no_other() {
    // A note on a refund says nothing of where the refund stands.
    let note = message("taobao_refund_RefundCreateMessage", &json!({"tid": 1, "refund_id": 2}));
    assert_eq!(note, MessageContent::Other("taobao_refund_RefundCreateMessage".to_owned()));
    assert!(matches!(message("taobao_trade_TradeMemoModified", &json!({"tid": 1})), MessageContent::Other(_)));
    for (topic, content) in [
        ("taobao_trade_TradeSuccess", json!({"status": "TRADE_FINISHED"})),
        ("taobao_trade_TradeSuccess", json!([])),
        ("taobao_refund_RefundCreated", json!({"tid": 1})),
        ("taobao_refund_RefundCreated", json!({"tid": 1, "refund_id": 2, "refund_fee": "SECRET"})),
    ] {
        let MessageContent::Malformed(malformed) = message(topic, &content) else { panic!("{topic} {content}") };
        assert!(!malformed.reason.contains("SECRET") && malformed.body.contains(topic));
    }
    // One without an id can be neither told from others nor confirmed: the others pass.
    let sample: Value = serde_json::from_str(MESSAGE_TAOBAO).unwrap();
    assert_eq!(pulled(&[json!({"topic": "taobao_trade_TradeSuccess"}), sample]).map(|read| read.len()), Ok(1));
}

#[test]
fn messages_are_confirmed_only_when_taobao_says_so() {
    let said = |is_success: &str| format!(r#"{{"tmc_messages_confirm_response":{{"is_success":{is_success}}}}}"#);
    assert_eq!(messages::read_confirmation(&said("true")), Ok(()));
    assert!(messages::read_confirmation(&said("false")).is_err());
}
