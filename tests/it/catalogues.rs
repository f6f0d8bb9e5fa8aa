//! The port of catalogues: one suite for the twin and for the HTTP adapter; and what 1688 answers of products, its samples,
//! its refusals, and what strangers could make of either.

use std::collections::{BTreeMap, BTreeSet};

use adapters::clock::{Clock, SystemClock};
use adapters::ports::{Catalogue, MarketError, NoDetail};
use adapters::testing::ManualClock;
use adapters::web::{CallObserver, Called, MarketplaceUrl, WebMarketplaces};
use domain::sweep::Window;
use domain::{Event, ImageUrl, Marketplace as Place, ProductId, UnixMillis};
use lambda::http::Request;
use protocols::ali1688::products::{self, PICTURES_MAX};
use protocols::ali1688::{api, push as pushes, signature};
use protocols::marketplace::{Access, Account, FlowControl, ListQuery, ListedBy, NotRead, Role, Standing, ToldProduct};
use serde_json::{Value, json};
use simulators::marketplace::server::{Fault, Options, Refusal, Server};
use simulators::marketplace::{Assortment, Conduct, MemoryCatalogue};

use crate::mutations::mutate;
use crate::support::{APP_SECRET, Dice, NOW, Shop, batch, request, rounds, secret, seed};

const DETAIL: &str = include_str!("../fixtures/1688/product_get.shape.json");
const SEARCHED: &str = include_str!("../fixtures/1688/queryProductDetail.shape.json");

struct Nobody;

impl CallObserver for Nobody {
    fn called(&self, _: &Called<'_>) {}
}

fn web(server: &Server) -> WebMarketplaces<Nobody> {
    let url = || MarketplaceUrl::new(&server.url).unwrap();
    WebMarketplaces::new(url(), url(), Nobody).unwrap()
}

fn account() -> Account {
    crate::support::secrets().accounts(Place::Alibaba1688).remove(0)
}

fn id(number: u64) -> ProductId {
    ProductId::new(number.to_string()).unwrap()
}

fn days(now: UnixMillis) -> Window {
    Window::new(now.saturating_add_ms(-400 * 86_400_000), now).unwrap()
}

/// The promises of the port, of a shop with these products.
async fn keeps_its_promises(
    catalogue: &impl Catalogue,
    account: &Account,
    (truth, followed): (&BTreeMap<u64, ToldProduct>, &BTreeMap<u64, ToldProduct>),
    window: Window,
) {
    let list = |page| ListQuery { by: ListedBy::Modified, window, page, page_rows: 20 };
    let read = async |page| {
        let page = catalogue.list(account, &list(page)).await.unwrap();
        page.belonging_to(account).unwrap().into_inner()
    };
    let (first, mut listed) = (read(1).await, Vec::new());
    assert_eq!(first.total, u64::try_from(truth.len()).unwrap(), "a list says how long it is");
    for page in 1..=first.total.div_ceil(20) {
        let page = read(page).await;
        assert!(page.malformed.is_empty() && page.rows.len() <= 20);
        listed.extend(page.rows);
    }
    let times: Vec<UnixMillis> = listed.iter().map(|row| row.modified_at.unwrap()).collect();
    assert!(times.is_sorted_by(|one, other| one >= other), "the latest first");
    let ids: BTreeSet<u64> = listed.iter().map(|row| row.id.as_str().parse().unwrap()).collect();
    assert_eq!(ids, truth.keys().copied().collect(), "the pages of a quiet list have every product");
    assert_eq!(read(1).await.rows, first.rows, "what did not change has the same digest");
    assert!(read(99).await.rows.is_empty(), "a page beyond the last is empty");

    for (role, truth) in [(Role::Seller, truth), (Role::Buyer, followed)] {
        tells_the_truth(catalogue, account, role, truth).await;
    }
}

/// Details of these products, and of some that are not there.
async fn tells_the_truth(
    catalogue: &impl Catalogue,
    account: &Account,
    role: Role,
    truth: &BTreeMap<u64, ToldProduct>,
) {
    let asked: Vec<ProductId> = truth.keys().copied().chain([7, 8]).map(id).collect();
    let details = catalogue.details(account, role, &asked).await.unwrap();
    assert_eq!(details.iter().map(|(id, _)| id.clone()).collect::<BTreeSet<_>>(), asked.iter().cloned().collect());
    for (id, detail) in details {
        let mut told = detail.unwrap().belonging_to(account).unwrap().into_inner();
        assert_eq!(told.product_id, id);
        match truth.get(&id.as_str().parse().unwrap()) {
            Some(expected) => {
                (told.json, told.elsewhere) = (String::new(), 0);
                assert_eq!(told, *expected, "{id}");
            }
            None => assert_eq!((told.standing, told.pictures.len()), (Standing::Withdrawn, 0), "what is not there"),
        }
    }
}

/// The shop's own products, and those of others that it follows.
fn truth(assortment: &Assortment) -> (BTreeMap<u64, ToldProduct>, BTreeMap<u64, ToldProduct>) {
    let all = assortment.truth().map(|product| (product.id, product.told(assortment.picture_host())));
    all.partition(|(id, _)| !assortment.followed().contains(id))
}

#[tokio::test]
async fn the_catalogues_in_memory_keep_the_promises_of_their_port() {
    let server = Server::start(Options::demo(0)).await.unwrap();
    let account = server.account(Place::Alibaba1688, "demo").unwrap();
    let now = UnixMillis::new(NOW).unwrap();
    let modified = (now.saturating_add_ms(-30 * 86_400_000), now.saturating_add_ms(-1_000));
    let mut assortment = Assortment::generate(account.owner(), 1, 95, modified);
    for _ in 0..20 {
        assortment.follow(modified.1);
    }
    let (truth, followed) = truth(&assortment);
    let twin = MemoryCatalogue::new([assortment], ManualClock::at(now), Conduct::CALM, 1);
    keeps_its_promises(&twin, &account, (&truth, &followed), days(now)).await;
}

#[tokio::test]
async fn the_catalogues_by_http_keep_the_promises_of_their_port_and_are_what_the_marketplace_holds() {
    // Relative addresses, thumbnails and other forms of the vendor's host; absolute ones of another.
    for host in [None, Some("http://127.0.0.1:9")] {
        let mut options = Options::demo(0);
        options.shops[0].products = 60;
        options.picture_host = host.map_or(options.picture_host, str::to_owned);
        let server = Server::start(options).await.unwrap();
        let account = server.account(Place::Alibaba1688, "demo").unwrap();
        let now = SystemClock.now();
        let (truth, followed) = {
            let mut assortment = server.assortment(Place::Alibaba1688, "demo").unwrap();
            assortment.touch((now.saturating_add_ms(-3_600_000), now.saturating_add_ms(-1_000)), 30);
            for _ in 0..20 {
                assortment.follow(now);
            }
            truth(&assortment)
        };
        keeps_its_promises(&web(&server), &account, (&truth, &followed), days(now.saturating_add_ms(60_000))).await;
    }
}

#[tokio::test]
async fn what_the_gateway_refuses_is_of_the_call_and_what_1688_refuses_of_one_product() {
    let server = Server::start(Options::demo(0)).await.unwrap();
    let (catalogue, account) = (web(&server), server.account(Place::Alibaba1688, "demo").unwrap());
    let ids: Vec<ProductId> = {
        let assortment = server.assortment(Place::Alibaba1688, "demo").unwrap();
        assortment.truth().take(3).map(|product| id(product.id)).collect()
    };
    server.faults().next([Some(Fault::Refuse(Refusal::Forbidden)); 4]);
    let refused = catalogue.details(&account, Role::Seller, &ids).await;
    assert!(matches!(refused, Err(MarketError::Refused(refused)) if refused.code == "gw.APIACLDecline"));
    server.faults().clear();
    assert_eq!(catalogue.details(&account, Role::Seller, &ids).await.unwrap().len(), 3);
    let wrong = [ids[0].clone(), ProductId::new("abc").unwrap()];
    let told = catalogue.details(&account, Role::Buyer, &wrong).await.unwrap();
    let refused = told.into_iter().find(|(id, _)| *id == wrong[1]).unwrap().1;
    assert!(matches!(refused, Err(NoDetail::Refused(refused)) if refused.code == "gw.ParamInvalid"));
    let mut stranger = account.clone();
    if let Access::Ali1688(access) = &mut stranger.access {
        access.app_secret = secret("another");
    }
    let list = ListQuery { by: ListedBy::Modified, window: days(SystemClock.now()), page: 1, page_rows: 20 };
    assert!(matches!(catalogue.list(&stranger, &list).await, Err(MarketError::Refused(_))));
    // Taobao has no catalogue for us, and is not asked.
    let seller = server.account(Place::Taobao, "demo").unwrap();
    server.take_calls();
    assert!(matches!(catalogue.list(&seller, &list).await, Err(MarketError::Refused(_))));
    assert!(catalogue.details(&seller, Role::Buyer, &ids).await.is_err());
    assert!(server.take_calls().is_empty());
}

#[test]
fn products_are_asked_for_by_signed_forms() {
    let account = account();
    let Access::Ali1688(access) = &account.access else { panic!("not of 1688") };
    let at = |text| UnixMillis::from_rfc3339(text).unwrap();
    let window = Window::new(at("2026-10-01T00:00:00+08:00"), at("2026-10-02T00:00:00+08:00")).unwrap();
    let query = |by| ListQuery { by, window, page: 3, page_rows: 20 };
    let now = at("2026-10-02T00:01:00+08:00");
    for (request, name, own) in [
        (
            api::products(access, &query(ListedBy::Modified), now),
            "alibaba.product.list.get",
            json!({"startModifyTime": "20261001000000000+0800", "endModifyTime": "20261002000000000+0800", "pageNo": "3",
                "pageSize": "20", "orderByCondition": "MODIFY_DATE", "orderByType": "DESC"}),
        ),
        (
            api::products(access, &query(ListedBy::Created), now),
            "alibaba.product.list.get",
            json!({"startPublishTime": "20261001000000000+0800", "endPublishTime": "20261002000000000+0800", "pageNo": "3",
                "pageSize": "20", "orderByCondition": "POST_DATE", "orderByType": "DESC"}),
        ),
        (
            api::product(access, Role::Seller, &id(548_818_919_805), now),
            "alibaba.product.get",
            json!({"productID": "548818919805", "webSite": "1688"}),
        ),
        (
            api::product(access, Role::Buyer, &id(548_818_919_805), now),
            "product.search.queryProductDetail",
            json!({"offerDetailParam": r#"{"country":"en","offerId":548818919805}"#}),
        ),
    ] {
        let is_of_others = own.get("offerDetailParam").is_some();
        let namespace = if is_of_others { "com.alibaba.fenxiao.crossborder" } else { "com.alibaba.product" };
        let signed = format!("param2/1/{namespace}/{name}/1");
        assert_eq!((request.call, request.path.as_str()), (name, format!("/openapi/{signed}").as_str()));
        let mut sent: BTreeMap<String, String> = form_urlencoded::parse(request.body.as_bytes()).into_owned().collect();
        let carried = sent.remove("_aop_signature").unwrap();
        let parameters: Vec<_> = sent.clone().into_iter().collect();
        assert_eq!(carried, signature::sign(&access.app_secret, &signed, &parameters));
        assert!(sent.remove("access_token").is_some() && sent.remove("_aop_timestamp").is_some());
        assert_eq!(json!(sent), own);
    }
}

fn told(text: &str) -> ToldProduct {
    let told = products::read_detail(text, &id(548_818_919_805)).unwrap().unwrap();
    told.belonging_to(&account()).unwrap().into_inner()
}

/// The pictures of a product: position and address, or why there is none.
fn pictures(told: &ToldProduct) -> Vec<(String, Result<String, String>)> {
    let shown = |picture: &protocols::marketplace::ToldPicture| {
        let position = picture.position.as_ref().map(ToString::to_string).unwrap_or_default();
        (position, picture.address.clone().map(String::from).map_err(|malformed| malformed.reason))
    };
    told.pictures.iter().map(shown).collect()
}

#[test]
fn both_forms_of_a_detail_are_read() {
    let whole = "https://cbu01.alicdn.com/img/ibank/2014/766/624/1652426667_642119312.jpg";
    let second = "https://cbu01.alicdn.com/img/ibank/2014/758/624/1652426857_642119312.jpg";
    let expected = [("main-1", whole), ("main-2", second), ("sku-3332085412530", whole)];
    let expected = expected.map(|(position, url)| (position.to_owned(), Ok(url.to_owned())));
    assert_eq!(pictures(&told(DETAIL)), expected);
    assert_eq!(told(DETAIL).standing, Standing::OnSale);
    let one = "https://cbu01.alicdn.com/img/ibank/O1CN01pEsVS41Bs2uny9oka_!!0-0-cib.jpg";
    let expected = [("main-1", one), ("main-white", one)];
    assert_eq!(pictures(&told(SEARCHED)), expected.map(|(position, url)| (position.to_owned(), Ok(url.to_owned()))));
}

/// A detail with these fields besides those of every product.
fn with(fields: &Value) -> String {
    let mut product = json!({"productID": 548_818_919_805_u64, "status": "published"});
    product.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({"productInfo": product, "success": true}).to_string()
}

#[test]
fn the_pictures_of_a_description_are_those_that_a_browser_would_show() {
    let html = r#"<p>1 < 2</p><!-- <img src="a.jpg"> --><IMG SRC='img/1.jpg?a=1&amp;b=2'><img alt="src=b.jpg" data-src="c.jpg">
        <script>"<img src='d.jpg'>"</script><style>/* <img src=e.jpg> */</style><img src=img/2.80x80.jpg><img
        src = "//cbu01.alicdn.com/img/3.jpg"><img src="data:image/gif;base64,AAAA"><img src="img/5.jpg" src="img/6.jpg"><textarea><img src="f.jpg"></textarea><img src="img/7.jpg"#;
    let read = told(&with(&json!({"description": html})));
    let at = |path: &str| Ok(format!("https://cbu01.alicdn.com/img/{path}"));
    // The last tag is cut off, and so no tag.
    let expected = [
        ("detail-1", at("1.jpg?a=1&b=2")),
        ("detail-2", at("2.jpg")),
        ("detail-3", at("3.jpg")),
        ("detail-5", at("5.jpg")),
    ];
    assert_eq!(pictures(&read), expected.map(|(position, url)| (position.to_owned(), url)));
    assert_eq!(read.elsewhere, 1);
    assert_eq!(pictures(&told(&with(&json!({"description": "https://itemcdn.tmall.com/1688offer/x"})))), []);
}

#[test]
fn variants_have_the_picture_of_their_own_or_of_an_attribute_and_each_a_place() {
    let read = told(&with(&json!({"skuInfos": [
        {"skuId": 1, "attributes": [{"skuImageUrl": null}, {"skuImageUrl": "img/a.jpg"}, {"skuImageUrl": "img/b.jpg"}]},
        {"skuId": "2", "skuImageUrl": "img/c.jpg", "attributes": [{"skuImageUrl": "img/d.jpg"}]},
        {"skuId": 3}, {"specId": "eb81c61de14f4adb405ffcc2c8a4a3fb", "skuImageUrl": "img/e.jpg"},
        {"skuImageUrl": "img/f.jpg"}, {"skuId": 1, "skuImageUrl": "img/g.jpg"}, {"skuId": 2.5e17, "skuImageUrl": "img/h.jpg"}
    ]})));
    let at = |name: &str| Ok(format!("https://cbu01.alicdn.com/img/{name}.jpg"));
    let nameless = || Err("malformed: a variant has no id".to_owned());
    let expected = [
        ("sku-1", at("a")),
        ("sku-2", at("c")),
        ("sku-eb81c61de14f4adb405ffcc2c8a4a3fb", at("e")),
        ("", nameless()),
        ("", nameless()),
    ];
    assert_eq!(pictures(&read), expected.map(|(position, url)| (position.to_owned(), url)));
}

#[test]
fn the_same_picture_twice_stays_at_both_places_and_what_is_beyond_the_limit_is_counted() {
    let twice = told(&with(&json!({"image": {"images": ["img/a.jpg", null, "img/a.jpg", ""], "whiteImage": ""}})));
    assert_eq!(pictures(&twice).len(), 2);
    assert_eq!(pictures(&twice)[1].0, "main-3", "places are counted as the vendor has them");
    let many: Vec<String> = (0..PICTURES_MAX + 7).map(|nth| format!("img/{nth}.jpg")).collect();
    let many = told(&with(&json!({"image": {"images": many}})));
    assert_eq!((many.pictures.len(), many.beyond), (PICTURES_MAX, 7));
    let long = "a".repeat(ImageUrl::BYTES_MAX);
    let odd = told(&with(&json!({"image": {"images": [long, "javascript:alert(1)", "ftp://a/b.jpg"]}})));
    assert_eq!((odd.pictures.len(), odd.elsewhere), (1, 2));
    assert!(odd.pictures[0].address.is_err());
}

#[test]
fn a_product_that_was_taken_away_has_no_pictures_whatever_it_names() {
    let images = json!({"images": ["img/a.jpg"]});
    for (status, standing) in [
        ("published", Standing::OnSale),
        ("approved", Standing::OnSale),
        ("auditing", Standing::OnSale),
        ("member expired", Standing::Withdrawn),
        ("auto expired", Standing::Withdrawn),
        ("expired", Standing::Withdrawn),
        ("member deleted", Standing::Withdrawn),
        ("deleted", Standing::Withdrawn),
        ("a word of tomorrow", Standing::Unrecognised),
    ] {
        let read = told(&with(&json!({"status": status, "image": images.clone()})));
        assert_eq!((read.standing, read.pictures.is_empty()), (standing, standing == Standing::Withdrawn), "{status}");
    }
    for gone in [
        json!({"errMsg": "商品[548818919805]不存在"}),
        json!({"success": false, "errorCode": "PRODUCT_NOT_EXIST", "errorMessage": "商品[548818919805]不存在"}),
        json!({"result": {"success": "false", "code": "404", "message": "商品不存在"}}),
    ] {
        let read = told(&gone.to_string());
        assert_eq!((read.standing, read.product_id), (Standing::Withdrawn, id(548_818_919_805)), "{gone}");
    }
}

#[test]
fn a_refusal_is_one_and_is_never_taken_for_a_product_that_is_gone() {
    for (text, flow, code) in [
        (include_str!("../fixtures/1688/error_acl_decline.json"), FlowControl::GiveUp, "gw.APIACLDecline"),
        (include_str!("../fixtures/1688/error_rate_limit.json"), FlowControl::Retry, "gw.QosAppFrequencyLimit"),
        (include_str!("../fixtures/1688/error_auth_401.json"), FlowControl::Reauthorise, "401"),
        (r#"{"success":false,"errMsg":"没有该商品的查询权限"}"#, FlowControl::GiveUp, "unsuccessful"),
        (r#"{"result":{"success":false,"code":"500"}}"#, FlowControl::GiveUp, "500"),
        (
            r#"{"error_code":"gw.ParamMissing","error_message":"参数 商品 不存在"}"#,
            FlowControl::GiveUp,
            "gw.ParamMissing",
        ),
    ] {
        match products::read_detail(text, &id(1)) {
            Err(NotRead::Refused(refused)) => assert_eq!((refused.flow, refused.code.as_str()), (flow, code), "{text}"),
            other => panic!("{text}: {other:?}"),
        }
        assert!(products::read_list(text).is_err(), "{text}");
    }
    for text in
        ["", "<html>SECRET</html>", "[]", "null", r#"{"SECRET":1}"#, r#"{"productInfo":null}"#, r#"{"result":{}}"#]
    {
        for read in [products::read_detail(text, &id(1)).err(), products::read_list(text).err()] {
            assert!(matches!(&read, Some(NotRead::Unreadable(why)) if !why.contains("SECRET")), "{text}: {read:?}");
        }
    }
    // A product that cannot be read is set aside, not lost.
    for product in
        [json!({"status": "published"}), json!({"productID": 5.5e11}), json!([1]), json!({"productID": 1, "image": 7})]
    {
        let text = json!({"productInfo": product}).to_string();
        assert!(products::read_detail(&text, &id(1)).unwrap().is_err(), "{text}");
    }
}

#[test]
fn a_row_s_digest_changes_with_its_pictures_and_not_with_its_stock_or_the_offset_of_its_times() {
    let row = |fields: Value| {
        let mut row = json!({"productID": 1, "status": "published", "modifyTime": "20261001080000000+0800", "amountOnSale": 1,
            "image": {"images": ["img/a.jpg"]}, "skuInfos": [{"skuId": 1, "skuImageUrl": "img/b.jpg"}, {"skuId": 2}]});
        row.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let text = json!({"result": {"pageResult": {"totalRecords": 1, "resultList": [row]}}}).to_string();
        let page = products::read_list(&text).unwrap().belonging_to(&account()).unwrap().into_inner();
        page.rows.into_iter().next().unwrap()
    };
    let plain = row(json!({}));
    assert_eq!(plain.modified_at, Some(UnixMillis::from_rfc3339("2026-10-01T00:00:00Z").unwrap()));
    for same in [
        json!({"amountOnSale": 7, "bookedCount": "12", "subject": "x"}),
        json!({"modifyTime": "20260930170000000-0700"}),
        json!({"skuInfos": [{"skuId": 2, "price": 3.5}, {"skuId": 1, "skuImageUrl": "img/b.jpg"}]}),
    ] {
        assert_eq!(row(same.clone()).digest, plain.digest, "{same}");
    }
    for other in [
        json!({"status": "expired"}),
        json!({"modifyTime": "20261001080001000+0800"}),
        json!({"image": {"images": ["img/a.jpg", "img/a.jpg"]}}),
        json!({"image": {"images": [], "whiteImage": "img/a.jpg"}}),
        json!({"skuInfos": [{"skuId": 1, "skuImageUrl": "img/c.jpg"}, {"skuId": 2}]}),
    ] {
        assert_ne!(row(other.clone()).digest, plain.digest, "{other}");
    }
    let bad =
        json!({"result": {"pageResult": {"totalRecords": 2, "resultList": [{"productID": "x"}, {"productID": 5}]}}});
    let page = products::read_list(&bad.to_string()).unwrap().belonging_to(&account()).unwrap().into_inner();
    assert_eq!((page.rows.len(), page.malformed.len()), (1, 1));
    assert!(
        products::read_list(r#"{"result":{"pageResult":{"resultList":[]}}}"#).is_err(),
        "a list must say how long it is"
    );
    assert!(products::read_list(r#"{"result":{"success":false}}"#).is_err());
}

#[test]
fn whatever_a_marketplace_answers_is_read_or_refused_and_every_picture_has_an_address_of_http() {
    let mut dice = Dice::seeded(seed("answers of products"));
    let html = with(
        &json!({"description": "<p><img src=\"img/1.jpg?a=1&amp;b\"><img src='//a.b/c.jpg_60x60.jpg'>", "image":
        {"images": ["img/2.80x80.jpg", "http://cbu01.alicdn.com/3.jpg"]}, "skuInfos": [{"skuId": 1, "skuImageUrl": "/4.jpg"}]}),
    );
    let seeds: Vec<Vec<u8>> = [DETAIL, SEARCHED, &html].map(|text| text.as_bytes().to_vec()).to_vec();
    let (mut read, mut pictures) = (0, 0);
    for _ in 0..rounds(4_000, 200_000) {
        let mut text = seeds[dice.below(seeds.len())].clone();
        mutate(&mut dice, &mut text, &seeds);
        let text = String::from_utf8_lossy(&text).into_owned();
        drop(products::read_list(&text));
        let Ok(Ok(answer)) = products::read_detail(&text, &id(1)) else { continue };
        let told = answer.belonging_to(&account()).unwrap().into_inner();
        read += 1;
        assert!(told.pictures.len() <= PICTURES_MAX);
        let mut places = BTreeSet::new();
        for picture in told.pictures {
            let Ok(url) = picture.address else { continue };
            assert!(url.as_str().starts_with("https://") || url.as_str().starts_with("http://"), "{url}");
            assert!(places.insert(picture.position.unwrap()), "no place twice");
            pictures += 1;
        }
    }
    println!("answers of products: {read} read, {pictures} pictures");
    assert!(read > 0 && pictures > 0);
}

/// A push of changed products with these ids, as JSON.
fn push(ids: &Value) -> String {
    json!({"bizKey": "1", "gmtBorn": NOW, "msgId": 77, "type": "PRODUCT_RELATION_VIEW_PRODUCT_CHANGE", "userInfo": "u",
        "data": {"productIds": ids, "memberId": "b2b-1", "action": "modify"}})
    .to_string()
}

fn signed(message: &str) -> Request {
    request("POST", "/webhooks/1688/demo", &[], pushes::signed_form(&secret(APP_SECRET), message))
}

#[tokio::test]
async fn a_push_of_products_is_queued_and_waits_for_a_sweep() {
    let shop = Shop::new();
    let ids = json!(" 548818919805, 574273466269,,548818919805 ");
    for message in [push(&ids), push(&ids), push(&json!(9_007_199_254_740_993_u64))] {
        assert_eq!(shop.deliver(signed(&message)).await.unwrap().status_code, 200);
    }
    let events = shop.events.all();
    let changed: Vec<String> = events
        .iter()
        .map(|event| match event {
            Event::Product(change) => format!("{} {}", change.product, change.id),
            Event::Trade(_) | Event::Order(_) => panic!("{event:?}"),
        })
        .collect();
    let both = ["1688#demo#548818919805 77.0", "1688#demo#574273466269 77.1"];
    assert_eq!(changed, [both[0], both[1], both[0], both[1], "1688#demo#9007199254740993 77"]);
    let bodies: Vec<String> = events.iter().map(|event| protocols::cloudevents::write(event).unwrap()).collect();
    assert_eq!(shop.write(batch(bodies)).await, Some(Vec::new()));
    assert_eq!(shop.plan.calls().iter().filter(|call| **call == "products.changed").count(), 3, "one write a product");
    let waiting = shop.products.all();
    assert_eq!(waiting.len(), 3);
    assert!(waiting.values().all(|known| known.is_pending && known.changed_at == Some(UnixMillis::new(NOW).unwrap())));
    let outcomes: Vec<String> = shop
        .log
        .all()
        .iter()
        .rev()
        .take(5)
        .map(|line| line.get("outcome").unwrap().as_str().unwrap().to_owned())
        .collect();
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "duplicate").count(), 2);
}

#[tokio::test]
async fn hostile_pushes_of_products_are_refused_or_say_nothing() {
    let many = |count: u64| (0..count).map(|nth| nth.to_string()).collect::<Vec<_>>().join(",");
    let most = u64::try_from(pushes::PRODUCTS_PER_PUSH_MAX).unwrap();
    for (ids, status, queued) in [
        (json!(many(most)), 200, most),
        (json!(many(most + 1)), 422, 0),
        (json!("1,2,x"), 400, 0),
        (json!("1#2"), 400, 0),
        (json!("-1"), 400, 0),
        (json!("1.5"), 400, 0),
        (json!("٣"), 400, 0),
        (json!("9".repeat(60)), 400, 0),
        (json!(["1", "2"]), 400, 0),
        (json!({"a": 1}), 400, 0),
        (json!(1.5), 400, 0),
        (json!(null), 200, 0),
        (json!(""), 200, 0),
        (json!(" , ,"), 200, 0),
    ] {
        let shop = Shop::new();
        let answer = shop.deliver(signed(&push(&ids))).await.unwrap();
        assert_eq!((answer.status_code, shop.events.all().len()), (status, usize::try_from(queued).unwrap()), "{ids}");
    }
    for (from, to, status) in [
        (NOW.to_string(), "1".to_owned(), 422),
        (NOW.to_string(), (NOW + 2 * 86_400_000).to_string(), 422),
        (NOW.to_string(), "\"soon\"".to_owned(), 400),
        ("PRODUCT_RELATION_VIEW_PRODUCT_CHANGE".to_owned(), "PRODUCT_PFT_OFFER_QUIT".to_owned(), 200),
    ] {
        let shop = Shop::new();
        let answer = shop.deliver(signed(&push(&json!("1,2")).replace(&from, &to))).await.unwrap();
        assert_eq!((answer.status_code, shop.events.all().len()), (status, 0), "{to}");
    }
    let unsigned = request("POST", "/webhooks/1688/demo", &[], "message=%7B%7D");
    assert_eq!(Shop::new().deliver(unsigned).await.unwrap().status_code, 401);
}
