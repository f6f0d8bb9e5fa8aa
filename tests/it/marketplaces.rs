//! The port of marketplaces: one suite for the twin and for the HTTP adapter, which asks a real server that signs,
//! throttles and breaks off as the vendors do.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use adapters::clock::{Clock, SystemClock};
use adapters::ports::{MarketError, Marketplace, NoDetail};
use adapters::testing::ManualClock;
use adapters::web::{CallObserver, Called, MarketplaceUrl, WebMarketplaces};
use domain::sweep::Window;
use domain::{Marketplace as Place, TradeId, UnixMillis};
use protocols::marketplace::{Account, FlowControl, ListQuery, ListedBy};
use simulators::marketplace::server::{Fault, Options, Refusal, Server};
use simulators::marketplace::{Conduct, Market, MemoryMarketplace};

/// What was told of calls: call, attempt, outcome.
#[derive(Debug, Clone, Default)]
struct Told(Arc<Mutex<Vec<(String, u32, String)>>>);

impl CallObserver for Told {
    fn called(&self, call: &Called<'_>) {
        self.0.lock().unwrap().push((call.call.to_owned(), call.attempt, call.outcome.to_owned()));
    }
}

impl Told {
    fn take(&self) -> Vec<(String, u32, String)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn web(server: &Server) -> (WebMarketplaces<Told>, Told) {
    let url = || MarketplaceUrl::new(&server.url).unwrap();
    let told = Told::default();
    (WebMarketplaces::new(url(), url(), told.clone()).unwrap(), told)
}

/// The days that a shop's trades were made in.
fn days(now: UnixMillis) -> Window {
    Window::new(now.saturating_add_ms(-40 * 86_400_000), now).unwrap()
}

/// The promises of the port, of a shop with these trades.
async fn keeps_its_promises(market: &impl Marketplace, account: &Account, truth: BTreeSet<String>, window: Window) {
    let mut listed = BTreeSet::new();
    let list = |page, page_rows| ListQuery { by: ListedBy::Created, window, page, page_rows };
    let first = market.list(account, &list(1, 50)).await.unwrap().belonging_to(account).unwrap().into_inner();
    assert_eq!(first.total, u64::try_from(truth.len()).unwrap(), "a list says how long it is");
    for page in 1..=first.total.div_ceil(50) {
        let page = market.list(account, &list(page, 50)).await.unwrap().belonging_to(account).unwrap().into_inner();
        assert!(page.malformed.is_empty() && page.rows.len() <= 50);
        listed.extend(page.rows.into_iter().map(|row| row.id.to_string()));
    }
    assert_eq!(listed, truth, "the pages of a quiet list have every trade");
    let beyond = market.list(account, &list(99, 50)).await.unwrap().belonging_to(account).unwrap().into_inner();
    assert!(beyond.rows.is_empty(), "a page beyond the last is empty");
    let again = market.list(account, &list(1, 50)).await.unwrap().belonging_to(account).unwrap().into_inner();
    assert_eq!(again.rows, first.rows, "what did not change has the same digest");

    let stranger = TradeId::new("1").unwrap();
    let ids: Vec<TradeId> = listed.iter().take(7).map(|id| TradeId::new(id.as_str()).unwrap()).collect();
    let asked: Vec<TradeId> = ids.iter().cloned().chain([stranger.clone()]).collect();
    let details = market.details(account, &asked).await.unwrap();
    assert_eq!(details.iter().map(|(id, _)| id.clone()).collect::<BTreeSet<_>>(), asked.iter().cloned().collect());
    for (id, detail) in details {
        match detail {
            Ok(answer) => {
                let told = answer.belonging_to(account).unwrap().into_inner();
                assert!(told.trade_id == id && !told.content.lines.is_empty() && told.content.payment.total.is_some());
            }
            Err(NoDetail::Refused(refused)) => assert_eq!((id, refused.flow), (stranger.clone(), FlowControl::GiveUp)),
            Err(NoDetail::Malformed(malformed)) => panic!("{id}: {malformed:?}"),
        }
    }

    let pulled = market.pull(account).await.unwrap();
    let waiting: Vec<_> =
        pulled.into_iter().map(|answer| answer.belonging_to(account).unwrap().into_inner().id).collect();
    assert_eq!(waiting.is_empty(), account.marketplace() == Place::Alibaba1688);
    market.confirm(account, &waiting).await.unwrap();
    market.confirm(account, &waiting).await.unwrap();
    let left = market.pull(account).await.unwrap();
    let left = left.into_iter().map(|answer| answer.belonging_to(account).unwrap().into_inner().id);
    assert!(left.into_iter().all(|id| !waiting.contains(&id)), "what was confirmed does not come again");
}

#[tokio::test]
async fn the_marketplaces_in_memory_keep_the_promises_of_their_port() {
    let now = UnixMillis::new(crate::support::NOW).unwrap();
    for place in Place::ALL {
        let account = Server::start(Options::demo(0)).await.unwrap().account(place, "demo").unwrap();
        let made = (now.saturating_add_ms(-30 * 86_400_000), now.saturating_add_ms(-1_000));
        let mut market = Market::generate(place, account.owner(), 1, 120, made);
        market.play(now.saturating_add_ms(-3_600_000), now.saturating_add_ms(-1_000), 40);
        let truth = market.truth().map(|order| order.id.to_string()).collect();
        let twin = MemoryMarketplace::new([market], ManualClock::at(now), Conduct::CALM, 1);
        keeps_its_promises(&twin, &account, truth, days(now.saturating_add_ms(60_000))).await;
    }
}

#[tokio::test]
async fn the_marketplaces_by_http_keep_the_promises_of_their_port() {
    let server = Server::start(Options::demo(120)).await.unwrap();
    let (market, _) = web(&server);
    for place in Place::ALL {
        let now = SystemClock.now();
        server.play(place, "demo", (now.saturating_add_ms(-3_600_000), now.saturating_add_ms(-1_000)), 40);
        let truth = server.market(place, "demo").unwrap().truth().map(|order| order.id.to_string()).collect();
        let account = server.account(place, "demo").unwrap();
        keeps_its_promises(&market, &account, truth, days(now.saturating_add_ms(60_000))).await;
    }
}

#[tokio::test]
async fn every_detail_by_http_is_what_the_marketplace_holds() {
    let server = Server::start(Options::demo(400)).await.unwrap();
    let (market, _) = web(&server);
    for place in Place::ALL {
        let now = SystemClock.now();
        server.play(place, "demo", (now.saturating_add_ms(-86_400_000), now.saturating_add_ms(-1_000)), 800);
        let account = server.account(place, "demo").unwrap();
        let orders: Vec<_> = server.market(place, "demo").unwrap().truth().cloned().collect();
        // 1688 is asked for each by itself, and 20 times a second.
        let orders = if place == Place::Alibaba1688 { orders.into_iter().rev().take(150).collect() } else { orders };
        for some in orders.chunks(20) {
            let ids: Vec<TradeId> = some.iter().map(|order| TradeId::new(order.id.to_string()).unwrap()).collect();
            for (id, detail) in market.details(&account, &ids).await.unwrap() {
                let mut told = detail.unwrap().belonging_to(&account).unwrap().into_inner();
                let order = some.iter().find(|order| order.id.to_string() == id.as_str()).unwrap();
                told.json.clear();
                assert_eq!(told, order.told(place, String::new()), "{place:?} {id}");
            }
        }
    }
}

#[tokio::test]
async fn what_may_be_tried_again_is_and_what_may_not_is_asked_once() {
    use Fault::{BreakOff, Cut, Page, Refuse, Status, TooMany};
    let server = Server::start(Options::demo(3)).await.unwrap();
    let (market, told) = web(&server);
    // The fault, how often the call is made when it happens each time, and what the caller then hears.
    let cases = |place: Place| {
        let banned = match place {
            // 1688 does not say for how long.
            Place::Alibaba1688 => (Refuse(Refusal::Ban { seconds: 9 }), 3, Some(FlowControl::Retry)),
            Place::Taobao => (Refuse(Refusal::Ban { seconds: 9 }), 1, Some(FlowControl::WaitSeconds(10))),
        };
        let quota = match place {
            Place::Alibaba1688 => (Refuse(Refusal::Quota { seconds: 900 }), 3, Some(FlowControl::Retry)),
            Place::Taobao => (Refuse(Refusal::Quota { seconds: 900 }), 1, Some(FlowControl::WaitForMidnight)),
        };
        [
            banned,
            quota,
            (Refuse(Refusal::Session), 1, Some(FlowControl::Reauthorise)),
            (Refuse(Refusal::Signature), 1, Some(FlowControl::GiveUp)),
            (Refuse(Refusal::Forbidden), 1, Some(FlowControl::GiveUp)),
            (TooMany { retry_after_s: Some(900) }, 1, Some(FlowControl::WaitSeconds(901))),
            (Status(502), 3, None),
            (BreakOff, 3, None),
            (Page, 1, None),
            (Cut, 1, None),
        ]
    };
    for place in Place::ALL {
        let account = server.account(place, "demo").unwrap();
        let now = SystemClock.now();
        let query = ListQuery { by: ListedBy::Created, window: days(now), page: 1, page_rows: 50 };
        for (fault, calls, flow) in cases(place) {
            server.faults().next([Some(fault); 3]);
            let error = market.list(&account, &query).await.unwrap_err();
            server.faults().clear();
            let heard = match &error {
                MarketError::Refused(refused) => Some(refused.flow),
                MarketError::Lost(_) => None,
            };
            let made = told.take();
            assert_eq!((made.len(), heard), (calls, flow), "{place:?} {fault:?}: {error:?} {made:?}");
            assert!(made.iter().zip(1..).all(|((_, attempt, _), nth)| *attempt == nth));
        }
        // A fault that passes is not heard of at all.
        for fault in [Status(502), BreakOff, TooMany { retry_after_s: Some(1) }] {
            server.faults().next([Some(fault)]);
            assert!(market.list(&account, &query).await.is_ok(), "{place:?} {fault:?}");
            assert_eq!(told.take().len(), 2);
        }
    }
}

#[tokio::test]
async fn a_wrong_secret_is_refused_and_nothing_that_is_told_of_a_call_names_a_person() {
    let server = Server::start(Options::demo(5)).await.unwrap();
    let (market, told) = web(&server);
    for place in Place::ALL {
        let mut account = server.account(place, "demo").unwrap();
        match &mut account.access {
            protocols::marketplace::Access::Ali1688(access) => access.app_secret = crate::support::secret("another"),
            protocols::marketplace::Access::Taobao(access) => access.app_secret = crate::support::secret("another"),
        }
        let query = ListQuery { by: ListedBy::Created, window: days(SystemClock.now()), page: 1, page_rows: 50 };
        assert!(matches!(market.list(&account, &query).await, Err(MarketError::Refused(_))), "{place:?}");
    }
    let told = format!("{:?}", told.take());
    assert!(told.contains("give_up") && !told.contains("local-session") && !told.contains("sampan-demo"), "{told}");
}
