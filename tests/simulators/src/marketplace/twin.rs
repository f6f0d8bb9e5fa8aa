//! Marketplaces in memory: the port as the HTTP adapter is it, over shops that change while they are read.
//!
//! Each call first lets its time pass and lets happen what happens meanwhile; then it is answered, refused or lost.
//! Cloning gives another handle to the same marketplaces.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use adapters::clock::Clock;
use adapters::error::{Cause, Certainty, PortError};
use adapters::ports::{DetailOf, MarketError, Marketplace, NoDetail};
use adapters::testing::ManualClock;
use domain::{ListingDigest, Marketplace as Which, MessageId, RawStatus, TradeId, UnixMillis};
use fastrand::Rng;
use protocols::marketplace::{
    Account, Answer, FlowControl, ListPage, ListQuery, Listed, ListedBy, Malformed, Message, MessageContent, Refused,
    Told,
};

use super::order::Order;
use super::told;
use super::truth::{Disturbance, Market, Notice};

/// Messages of one pull. Source: `taobao.tmc.messages.consume`, `quantity` of at most 200, 100 by default.
const PULLED_MAX: usize = 100;

/// How the marketplaces behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conduct {
    /// How long a call takes, in milliseconds.
    pub call_ms: i64,
    /// What changes at each call, in the shop that is asked.
    pub disturbance: Disturbance,
    /// After so many changes nothing changes any more.
    pub changes_max: u64,
    /// Of a hundred calls, so many are refused for a few seconds or a minute, or lost.
    pub refused_percent: u8,
}

impl Conduct {
    /// Calls take 200 ms, nothing changes, nothing is refused.
    pub const CALM: Self =
        Self { call_ms: 200, disturbance: Disturbance::NONE, changes_max: u64::MAX, refused_percent: 0 };
}

/// What a call comes to instead of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saying {
    /// The marketplace says no.
    Refused(FlowControl),
    /// It says nothing, however often it was asked. A confirmation may have happened all the same.
    Lost,
}

/// What cannot be read of a trade or a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Garbled {
    /// Its row in lists.
    Row,
    /// Its detail.
    Detail,
}

/// How many calls there were, the refused and the lost ones too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Calls {
    /// Pages.
    pub list: u64,
    /// Calls for details: one a batch at Taobao, one a trade at 1688.
    pub details: u64,
    /// Trades that details were asked of.
    pub detail_rows: u64,
    /// Pulls of messages.
    pub pull: u64,
    /// Confirmations of messages.
    pub confirm: u64,
    /// How many of all these were refused or lost.
    pub refused: u64,
}

/// How a twin behaves, and what was counted of its calls.
#[derive(Debug)]
pub(super) struct State<C> {
    pub(super) conduct: Conduct,
    random: Rng,
    pub(super) changes: u64,
    pub(super) calls: C,
    pub(super) script: VecDeque<Option<Saying>>,
    pub(super) foreign_owner: Option<String>,
    pub(super) garbled: BTreeSet<(u64, Garbled)>,
}

/// Marketplaces in memory.
#[derive(Debug, Clone)]
pub struct MemoryMarketplace {
    clock: ManualClock,
    markets: Arc<Vec<Mutex<Market>>>,
    state: Arc<Mutex<State<Calls>>>,
    left_behind: Arc<Mutex<Option<BTreeSet<u64>>>>,
}

pub(super) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryMarketplace {
    /// With these shops. An account asks of the shop whose marketplace and owner it names. The seed decides which calls
    /// are refused.
    pub fn new(markets: impl IntoIterator<Item = Market>, clock: ManualClock, conduct: Conduct, seed: u64) -> Self {
        let state = State::new(conduct, seed);
        let markets = Arc::new(markets.into_iter().map(Mutex::new).collect());
        Self { clock, markets, state: Arc::new(Mutex::new(state)), left_behind: Arc::default() }
    }

    /// The first shop. Do not hold it over a call.
    pub fn market(&self) -> MutexGuard<'_, Market> {
        lock(self.markets.first().expect("a twin of one shop at least"))
    }

    /// The shop of an owner. Do not hold it over a call.
    pub fn market_of(&self, marketplace: Which, owner: &str) -> Option<MutexGuard<'_, Market>> {
        let is_it = |market: &Market| market.marketplace() == marketplace && market.owner() == owner;
        self.markets.iter().map(lock).find(|market| is_it(market))
    }

    /// From now on they behave like this.
    pub fn set_conduct(&self, conduct: Conduct) {
        lock(&self.state).conduct = conduct;
    }

    /// From now on messages that were handed out and not confirmed come again behind those that were not. Before, they
    /// come again as they stand, the oldest first. Which of the two Taobao does, it does not say.
    pub fn leave_behind(&self) {
        lock(&self.left_behind).get_or_insert_default();
    }

    /// From now on nothing changes and nothing is refused, so that a reader can come to the end.
    pub fn calm_down(&self) {
        lock(&self.state).calm_down();
    }

    /// The next calls come to this, one each; `None` lets one be answered.
    pub fn say_next(&self, sayings: impl IntoIterator<Item = Option<Saying>>) {
        lock(&self.state).script.extend(sayings);
    }

    /// From now on every answer names this owner; `None` for its own again.
    pub fn answer_as(&self, owner: Option<&str>) {
        lock(&self.state).foreign_owner = owner.map(str::to_owned);
    }

    /// From now on this cannot be read of a trade.
    pub fn garble(&self, trade: u64, what: Garbled) {
        lock(&self.state).garbled.insert((trade, what));
    }

    /// Everything can be read again.
    pub fn heal(&self) {
        lock(&self.state).garbled.clear();
    }

    /// How many calls there were.
    pub fn calls(&self) -> Calls {
        lock(&self.state).calls
    }

    /// Begins to count calls anew; gives what was counted.
    pub fn take_calls(&self) -> Calls {
        std::mem::take(&mut lock(&self.state).calls)
    }

    /// How many changes calls have let happen.
    pub fn changes(&self) -> u64 {
        lock(&self.state).changes
    }

    /// Lets a call's time pass, and what happens meanwhile. What it comes to instead of an answer, if anything.
    async fn call(&self, account: &Account, count: impl FnOnce(&mut Calls) + Send) -> Option<Saying> {
        let call_ms = lock(&self.state).conduct.call_ms;
        self.clock.sleep(u64::try_from(call_ms).unwrap_or_default()).await;
        // Shops before the state, everywhere: two calls at once never wait for each other.
        let market = self.market_of(account.marketplace(), account.owner());
        let mut state = lock(&self.state);
        count(&mut state.calls);
        if let Some(mut market) = market.filter(|_| state.changes < state.conduct.changes_max) {
            state.changes += market.disturb(state.conduct.disturbance, self.clock.now());
        }
        let saying = state.say();
        state.calls.refused += u64::from(saying.is_some());
        saying
    }

    /// Like [`Self::call`], as an error.
    async fn ask(
        &self,
        operation: &'static str,
        account: &Account,
        count: impl FnOnce(&mut Calls) + Send,
    ) -> Result<(), MarketError> {
        let said = self.call(account, count).await;
        said.map_or(Ok(()), |saying| Err(error(operation, account, saying)))
    }

    fn known(&self, account: &Account) -> Result<MutexGuard<'_, Market>, MarketError> {
        let refused = || error("market", account, Saying::Refused(FlowControl::Reauthorise));
        self.market_of(account.marketplace(), account.owner()).ok_or_else(refused)
    }

    fn owner(&self, market: &Market) -> String {
        lock(&self.state).foreign_owner.clone().unwrap_or_else(|| market.owner().to_owned())
    }

    fn is_garbled(&self, trade: u64, what: Garbled) -> bool {
        lock(&self.state).garbled.contains(&(trade, what))
    }

    fn detail(&self, market: &Market, id: &TradeId) -> Result<Answer<Told>, NoDetail> {
        let order = id.as_str().parse().ok().and_then(|id| market.order(id));
        let Some(order) = order else {
            let code = match market.marketplace() {
                Which::Alibaba1688 => "ORDER_NOT_EXIST",
                Which::Taobao => "isv.trade-not-exist",
            };
            return Err(NoDetail::Refused(Refused { flow: FlowControl::GiveUp, code: code.to_owned() }));
        };
        if self.is_garbled(order.id, Garbled::Detail) {
            return Err(NoDetail::Malformed(garbled(order)));
        }
        let told = order.told(market.marketplace(), json(order));
        Ok(Answer::new(told, [self.owner(market)]))
    }
}

impl<C: Default> State<C> {
    pub(super) fn new(conduct: Conduct, seed: u64) -> Self {
        Self {
            conduct,
            random: Rng::with_seed(seed),
            changes: 0,
            calls: C::default(),
            script: VecDeque::new(),
            foreign_owner: None,
            garbled: BTreeSet::new(),
        }
    }

    /// From now on nothing changes and nothing is refused.
    pub(super) fn calm_down(&mut self) {
        self.conduct = Conduct { call_ms: self.conduct.call_ms, ..Conduct::CALM };
        self.script.clear();
    }

    /// What the next call comes to instead of its answer.
    pub(super) fn say(&mut self) -> Option<Saying> {
        self.script.pop_front().unwrap_or_else(|| self.mood())
    }

    /// What a call comes to by chance.
    fn mood(&mut self) -> Option<Saying> {
        if self.random.u8(0..100) >= self.conduct.refused_percent {
            return None;
        }
        let sayings = [
            Saying::Refused(FlowControl::WaitSeconds(self.random.u64(1..=5))),
            Saying::Refused(FlowControl::WaitSeconds(60)),
            Saying::Refused(FlowControl::Retry),
            Saying::Lost,
        ];
        self.random.choice(sayings)
    }
}

fn garbled(order: &Order) -> Malformed {
    Malformed { reason: "garbled".to_owned(), body: format!("{{\"tid\": {}, \"garbled", order.id) }
}

fn json(order: &Order) -> String {
    serde_json::json!({"tid": order.id, "modified": order.modified.get(), "digest": order.digest()}).to_string()
}

/// The vendor's code for what it asks of the caller.
const fn code(marketplace: Which, flow: FlowControl) -> &'static str {
    match (marketplace, flow) {
        (Which::Alibaba1688, FlowControl::Retry | FlowControl::WaitSeconds(_)) => "gw.QosAppFrequencyLimit",
        (Which::Alibaba1688, FlowControl::WaitForMidnight) => "gw.QosRequestLimit",
        (Which::Alibaba1688, FlowControl::GiveUp) => "gw.APIACLDecline",
        (Which::Alibaba1688, FlowControl::Reauthorise) => "401",
        (Which::Taobao, FlowControl::Retry) => "isp.remote-service-timeout",
        (Which::Taobao, FlowControl::WaitSeconds(_)) => "accesscontrol.limited-by-api-access-count",
        (Which::Taobao, FlowControl::WaitForMidnight) => "accesscontrol.limited-by-app-access-count",
        (Which::Taobao, FlowControl::GiveUp) => "isv.invalid-parameter",
        (Which::Taobao, FlowControl::Reauthorise) => "invalid-sessionkey",
    }
}

pub(super) fn error(operation: &'static str, account: &Account, saying: Saying) -> MarketError {
    match saying {
        Saying::Refused(flow) => Refused { flow, code: code(account.marketplace(), flow).to_owned() }.into(),
        Saying::Lost => PortError::new(operation, Cause::Away, Certainty::Indeterminate).into(),
    }
}

fn message(marketplace: Which, notice: &Notice) -> Message {
    let trade = told::trade_id(notice.trade);
    let content = match notice.case {
        Some((case, fen)) => MessageContent::Case(trade, told::case(marketplace, notice.line, case, Some(fen))),
        None if notice.topic == "taobao_trade_TradeMemoModified" => MessageContent::Other(notice.topic.to_owned()),
        None => {
            let raw = RawStatus::new(notice.word).expect("one of our words");
            MessageContent::Status(trade, notice.status, raw)
        }
    };
    let json = format!("the message {}", notice.id);
    Message { id: MessageId::new(notice.id.to_string()).expect("a number"), at: notice.at, content, json }
}

impl Marketplace for MemoryMarketplace {
    async fn list(&self, account: &Account, query: &ListQuery) -> Result<Answer<ListPage<TradeId>>, MarketError> {
        self.ask("marketplace.list", account, |calls| calls.list += 1).await?;
        let mut market = self.known(account)?;
        let window = (query.window.start(), query.window.end());
        let page = market.page(query.by, window, query.page, query.page_rows);
        let (mut rows, mut malformed) = (Vec::with_capacity(page.ids.len()), Vec::new());
        for order in page.ids.iter().filter_map(|id| market.order(*id)) {
            if self.is_garbled(order.id, Garbled::Row) {
                malformed.push(garbled(order));
                continue;
            }
            rows.push(Listed {
                id: told::trade_id(order.id),
                modified_at: modified_at(query.by, order),
                digest: ListingDigest::new(order.digest()).expect("hex"),
            });
        }
        let owner = (!page.ids.is_empty()).then(|| self.owner(&market));
        Ok(Answer::new(ListPage { total: page.total, rows, malformed }, owner))
    }

    async fn details(&self, account: &Account, trades: &[TradeId]) -> Result<Vec<DetailOf>, MarketError> {
        let rows = u64::try_from(trades.len()).unwrap_or_default();
        // One call a trade, or one for all: that is how far apart their states may be.
        let batch = match account.marketplace() {
            Which::Alibaba1688 => 1,
            Which::Taobao => trades.len().max(1),
        };
        let mut details = Vec::with_capacity(trades.len());
        lock(&self.state).calls.detail_rows += rows;
        for trades in trades.chunks(batch) {
            self.ask("marketplace.details", account, |calls| calls.details += 1).await?;
            let market = self.known(account)?;
            details.extend(trades.iter().map(|id| (id.clone(), self.detail(&market, id))));
        }
        Ok(details)
    }

    async fn pull(&self, account: &Account) -> Result<Vec<Answer<Message>>, MarketError> {
        if account.marketplace() == Which::Alibaba1688 {
            return Ok(Vec::new());
        }
        self.ask("marketplace.pull", account, |calls| calls.pull += 1).await?;
        drop(self.known(account)?);
        // Messages wait by app: those of our other shops come as well.
        let mut left_behind = lock(&self.left_behind);
        let mut waiting: Vec<((bool, UnixMillis), u64, Answer<Message>)> = Vec::new();
        for market in self.markets.iter().map(lock).filter(|market| market.marketplace() == Which::Taobao) {
            let owner = self.owner(&market);
            let answer = |notice: &Notice| Answer::new(message(Which::Taobao, notice), [owner.clone()]);
            let is_behind = |id: &u64| left_behind.as_ref().is_some_and(|left| left.contains(id));
            let place = |notice: &Notice| (is_behind(&notice.id), notice.at);
            waiting.extend(market.notices().map(|notice| (place(notice), notice.id, answer(notice))));
        }
        waiting.sort_by_key(|(place, ..)| *place);
        waiting.truncate(PULLED_MAX);
        if let Some(left) = left_behind.as_mut() {
            left.extend(waiting.iter().map(|(_, id, _)| *id));
        }
        Ok(waiting.into_iter().map(|(.., answer)| answer).collect())
    }

    async fn confirm(&self, account: &Account, messages: &[MessageId]) -> Result<(), MarketError> {
        if account.marketplace() == Which::Alibaba1688 {
            return Ok(());
        }
        let said = self.call(account, |calls| calls.confirm += 1).await;
        let happens = match said {
            None => true,
            Some(Saying::Lost) => lock(&self.state).random.bool(),
            Some(Saying::Refused(_)) => false,
        };
        for id in messages.iter().filter(|_| happens).filter_map(|id| id.as_str().parse().ok()) {
            for market in self.markets.iter() {
                lock(market).confirm(id);
            }
        }
        said.map_or(Ok(()), |saying| Err(error("marketplace.confirm", account, saying)))
    }
}

const fn modified_at(by: ListedBy, order: &Order) -> Option<UnixMillis> {
    match by {
        ListedBy::Modified => Some(order.modified),
        ListedBy::Created => None,
    }
}

#[cfg(test)]
mod tests {
    use domain::ShopId;
    use domain::sweep::Window;
    use protocols::marketplace::{Access, Ali1688Access, TaobaoAccess};
    use secrecy::SecretString;

    use super::super::truth::Kind;
    use super::*;

    const NOW: i64 = 1_795_248_000_000;
    const DAY_MS: i64 = 86_400_000;
    const LIVELY: Conduct =
        Conduct { disturbance: Disturbance { tenths: 20, late_ms_max: 60_000, is_hasty: false }, ..Conduct::CALM };

    fn at(ms: i64) -> UnixMillis {
        UnixMillis::new(NOW + ms).unwrap()
    }

    fn taobao(owner: &str) -> Account {
        let secret = || SecretString::from("secret");
        let (app_key, seller_nick) = ("2000000".to_owned(), owner.to_owned());
        let access = TaobaoAccess { app_key, app_secret: secret(), session: secret(), seller_nick };
        Account { shop: ShopId::new("demo").unwrap(), access: Access::Taobao(access) }
    }

    fn ali1688(owner: &str) -> Account {
        let secret = || SecretString::from("secret");
        let (app_key, member_id) = ("1000000".to_owned(), owner.to_owned());
        let access = Ali1688Access { app_key, app_secret: secret(), access_token: secret(), member_id };
        Account { shop: ShopId::new("demo").unwrap(), access: Access::Ali1688(access) }
    }

    fn twin(account: &Account, orders: usize, conduct: Conduct) -> MemoryMarketplace {
        let span = (at(-30 * DAY_MS), at(0));
        let market = Market::generate(account.marketplace(), account.owner(), 1, orders, span);
        MemoryMarketplace::new([market], ManualClock::at(at(0)), conduct, 1)
    }

    fn query(by: ListedBy, page: u64) -> ListQuery {
        ListQuery { by, window: Window::new(at(-30 * DAY_MS), at(DAY_MS)).unwrap(), page, page_rows: 50 }
    }

    fn trade_ids(twin: &MemoryMarketplace, count: usize) -> Vec<TradeId> {
        twin.market().truth().take(count).map(|order| told::trade_id(order.id)).collect()
    }

    #[tokio::test]
    async fn each_call_takes_its_time_and_lets_the_shop_change_until_it_has_changed_enough() {
        let account = taobao("us");
        let twin = twin(&account, 2_000, Conduct { changes_max: 40, ..LIVELY });
        for _ in 0..100 {
            twin.list(&account, &query(ListedBy::Modified, 1)).await.unwrap();
        }
        assert_eq!(twin.clock.now(), at(20_000));
        assert_eq!(twin.changes(), twin.market().changes());
        assert!((40..160).contains(&twin.changes()), "{}", twin.changes());
        assert_eq!(twin.take_calls(), Calls { list: 100, ..Calls::default() });
        assert_eq!(twin.calls(), Calls::default());
    }

    #[tokio::test]
    async fn details_are_one_call_a_batch_at_taobao_and_one_call_a_trade_at_1688() {
        for (account, calls) in [(taobao("us"), 1), (ali1688("b2b-1"), 20)] {
            let twin = twin(&account, 100, Conduct::CALM);
            let ids = trade_ids(&twin, 20);
            let details = twin.details(&account, &ids).await.unwrap();
            assert_eq!(details.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>(), ids);
            assert!(details.iter().all(|(_, told)| told.is_ok()));
            assert_eq!((twin.calls().details, twin.calls().detail_rows), (calls, 20));
        }
    }

    #[tokio::test]
    async fn a_row_and_its_detail_tell_of_the_trade_as_it_is() {
        let account = taobao("us");
        let twin = twin(&account, 300, Conduct::CALM);
        let page = twin.list(&account, &query(ListedBy::Modified, 2)).await.unwrap();
        let page = page.belonging_to(&account).unwrap().into_inner();
        assert_eq!((page.total, page.rows.len()), (300, 50));
        let ids: Vec<TradeId> = page.rows.iter().map(|row| row.id.clone()).collect();
        for (row, (id, told)) in page.rows.iter().zip(twin.details(&account, &ids).await.unwrap()) {
            let told = told.unwrap().belonging_to(&account).unwrap().into_inner();
            let order = twin.market().order(id.as_str().parse().unwrap()).unwrap().clone();
            assert_eq!((row.modified_at, row.digest.as_str()), (Some(told.modified_at), order.digest().as_str()));
            assert_eq!(told.raw_status.as_str(), order.word(Which::Taobao));
            assert_eq!(told.content.lines.len(), order.lines.len());
            assert_eq!(told.content.payment.total.map(domain::Money::minor), Some(order.total()));
        }
        let created = twin.list(&account, &query(ListedBy::Created, 1)).await.unwrap();
        let created = created.belonging_to(&account).unwrap().into_inner();
        assert!(created.rows.iter().all(|row| row.modified_at.is_none()));
    }

    #[tokio::test]
    async fn a_script_comes_before_chance_and_is_said_once() {
        let account = ali1688("b2b-1");
        let twin = twin(&account, 10, Conduct::CALM);
        let flows = [FlowControl::WaitSeconds(3), FlowControl::WaitForMidnight, FlowControl::Reauthorise];
        twin.say_next(flows.map(|flow| Some(Saying::Refused(flow))));
        twin.say_next([Some(Saying::Lost), None]);
        let list = query(ListedBy::Modified, 1);
        for flow in flows {
            let said = twin.list(&account, &list).await;
            assert!(matches!(said, Err(MarketError::Refused(refused)) if refused.flow == flow), "{flow:?}");
        }
        assert!(matches!(twin.list(&account, &list).await, Err(MarketError::Lost(_))));
        assert!(twin.list(&account, &list).await.is_ok() && twin.list(&account, &list).await.is_ok());
        assert_eq!((twin.calls().list, twin.calls().refused), (6, 4));
        twin.set_conduct(Conduct { refused_percent: 100, ..Conduct::CALM });
        assert!(twin.list(&account, &list).await.is_err());
        twin.calm_down();
        assert!(twin.list(&account, &list).await.is_ok());
    }

    #[tokio::test]
    async fn an_answer_names_another_owner_and_a_trade_is_unreadable_on_demand() {
        let account = taobao("us");
        let twin = twin(&account, 10, Conduct::CALM);
        let list = query(ListedBy::Created, 1);
        twin.answer_as(Some("somebody else"));
        assert!(twin.list(&account, &list).await.unwrap().belonging_to(&account).is_err());
        twin.answer_as(None);
        let id = trade_ids(&twin, 1).remove(0);
        twin.garble(id.as_str().parse().unwrap(), Garbled::Row);
        twin.garble(id.as_str().parse().unwrap(), Garbled::Detail);
        let page = twin.list(&account, &list).await.unwrap().belonging_to(&account).unwrap().into_inner();
        assert_eq!((page.rows.len(), page.malformed.len()), (9, 1));
        let details = twin.details(&account, std::slice::from_ref(&id)).await.unwrap();
        assert!(matches!(details[0].1, Err(NoDetail::Malformed(_))));
        twin.heal();
        twin.market().delete(id.as_str().parse().unwrap());
        let details = twin.details(&account, &[id]).await.unwrap();
        assert!(matches!(&details[0].1, Err(NoDetail::Refused(refused)) if refused.flow == FlowControl::GiveUp));
        let stranger = twin.list(&taobao("stranger"), &list).await;
        assert!(matches!(stranger, Err(MarketError::Refused(refused)) if refused.flow == FlowControl::Reauthorise));
    }

    #[tokio::test]
    async fn messages_of_all_shops_of_the_app_come_until_they_are_confirmed() {
        let (ours, other) = (taobao("us"), taobao("other"));
        let market = |owner, seed| {
            let mut market = Market::generate(Which::Taobao, owner, seed, 50, (at(-DAY_MS), at(0)));
            market.play(at(0), at(60_000), 70);
            market
        };
        let twin =
            MemoryMarketplace::new([market("us", 1), market("other", 2)], ManualClock::at(at(0)), Conduct::CALM, 1);
        let pulled = twin.pull(&ours).await.unwrap();
        assert_eq!(pulled.len(), 100);
        let mine = |account: &Account, pulled: &[Answer<Message>]| -> Vec<MessageId> {
            let owned = pulled.iter().filter_map(|answer| answer.clone().belonging_to(account).ok());
            owned.map(|message| message.get().id.clone()).collect()
        };
        let (mine, theirs) = (mine(&ours, &pulled), mine(&other, &pulled));
        assert!(!mine.is_empty() && !theirs.is_empty());
        assert_eq!(twin.pull(&ours).await.unwrap(), pulled);
        twin.say_next([Some(Saying::Refused(FlowControl::Retry)), None]);
        assert!(twin.confirm(&ours, &mine).await.is_err());
        twin.leave_behind();
        assert_eq!(twin.pull(&ours).await.unwrap(), pulled);
        let behind = twin.pull(&ours).await.unwrap();
        let again = behind.iter().position(|answer| pulled.contains(answer)).unwrap();
        assert!(again > 0 && behind[again..].iter().all(|answer| pulled.contains(answer)));
        twin.confirm(&ours, &mine).await.unwrap();
        twin.confirm(&ours, &mine).await.unwrap();
        let again = twin.pull(&ours).await.unwrap();
        assert!(!again.iter().any(|answer| pulled[..].contains(answer) && answer.clone().belonging_to(&ours).is_ok()));
    }

    #[tokio::test]
    async fn a_lively_shop_of_a_hundred_thousand_trades_is_read_in_a_moment() {
        let account = ali1688("b2b-1");
        let twin = twin(&account, 100_000, LIVELY);
        for page in 1..=2_000 {
            twin.list(&account, &query(ListedBy::Modified, page)).await.unwrap();
        }
        assert!(twin.changes() > 3_000 && twin.market().happened(Kind::Late) > 0);
    }
}
