//! Catalogues in memory: the port as the HTTP adapter is it, over products that change while they are read, by a clock
//! that a test moves, and at the rate that the vendor allows.
//!
//! Cloning gives another handle to the same catalogues.

use std::sync::{Arc, Mutex, MutexGuard};

use adapters::clock::Clock;
use adapters::ports::{Catalogue, MarketError, NoDetail, ProductOf};
use adapters::testing::ManualClock;
use domain::{ListingDigest, Marketplace as Which, ProductId};
use protocols::marketplace::{
    Account, Answer, FlowControl, ListPage, ListQuery, Listed, Malformed, Role, Standing, ToldProduct,
};

use super::assortment::Assortment;
use super::product::{Product, product_id};
use super::twin::{Conduct, Garbled, Saying, State, error, lock};

/// Details that are asked for side by side, as the HTTP adapter does.
const DETAILS_AT_ONCE: usize = 4;
/// Calls a second, as the HTTP adapter makes at most and the vendor allows by default.
const CALLS_PER_SECOND: i64 = 20;

/// How many calls there were, the refused and the lost ones too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CatalogueCalls {
    /// Pages.
    pub list: u64,
    /// Details, one call each.
    pub details: u64,
    /// When each call began, in milliseconds since 1970.
    pub began_ms: Vec<i64>,
}

impl CatalogueCalls {
    /// The most calls that began within any second.
    pub fn most_in_a_second(&self) -> usize {
        let began = &self.began_ms;
        let within = |(nth, first): (usize, &i64)| {
            began.get(nth..).unwrap_or_default().iter().take_while(|other| **other < first + 1_000).count()
        };
        began.iter().enumerate().map(within).max().unwrap_or_default()
    }
}

/// Catalogues in memory.
#[derive(Debug, Clone)]
pub struct MemoryCatalogue {
    clock: ManualClock,
    assortments: Arc<Vec<Mutex<Assortment>>>,
    state: Arc<Mutex<State<CatalogueCalls>>>,
    /// When the rate allows the next call.
    next_ms: Arc<Mutex<i64>>,
}

impl MemoryCatalogue {
    /// With these shops. An account asks of the one whose owner it names. The seed decides which calls are refused.
    pub fn new(
        assortments: impl IntoIterator<Item = Assortment>,
        clock: ManualClock,
        conduct: Conduct,
        seed: u64,
    ) -> Self {
        let assortments = Arc::new(assortments.into_iter().map(Mutex::new).collect());
        Self { clock, assortments, state: Arc::new(Mutex::new(State::new(conduct, seed))), next_ms: Arc::default() }
    }

    /// The first shop. Do not hold it over a call.
    pub fn assortment(&self) -> MutexGuard<'_, Assortment> {
        lock(self.assortments.first().expect("a twin of one shop at least"))
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

    /// From now on this cannot be read of a product.
    pub fn garble(&self, product: u64, what: Garbled) {
        lock(&self.state).garbled.insert((product, what));
    }

    /// Everything can be read again.
    pub fn heal(&self) {
        lock(&self.state).garbled.clear();
    }

    /// Begins to count calls anew; gives what was counted.
    pub fn take_calls(&self) -> CatalogueCalls {
        std::mem::take(&mut lock(&self.state).calls)
    }

    /// Lets the time of so many calls pass, side by side where that is allowed, never faster than the rate.
    async fn pass(&self, calls: usize, count: impl Fn(&mut CatalogueCalls) + Send) {
        let now = self.clock.now().get();
        let until = {
            let mut state = lock(&self.state);
            let mut next_ms = lock(&self.next_ms);
            let mut ends: Vec<i64> = Vec::with_capacity(calls);
            for nth in 0..calls {
                let free = nth.checked_sub(DETAILS_AT_ONCE).and_then(|nth| ends.get(nth)).copied();
                let begin = now.max(*next_ms).max(free.unwrap_or_default());
                *next_ms = begin + 1_000 / CALLS_PER_SECOND;
                ends.push(begin + state.conduct.call_ms);
                state.calls.began_ms.push(begin);
                count(&mut state.calls);
            }
            ends.into_iter().max().unwrap_or(now)
        };
        self.clock.sleep(u64::try_from(until - now).unwrap_or_default()).await;
    }

    /// Lets happen what happens during a call. What it comes to instead of an answer, if anything.
    fn happen(&self, operation: &'static str, account: &Account) -> Result<MutexGuard<'_, Assortment>, MarketError> {
        let assortment = self.assortments.iter().map(lock).find(|one| one.owner() == account.owner());
        let is_there = account.marketplace() == Which::Alibaba1688;
        let mut state = lock(&self.state);
        let Some(mut assortment) = assortment.filter(|_| is_there) else {
            return Err(error(operation, account, Saying::Refused(FlowControl::Reauthorise)));
        };
        if state.changes < state.conduct.changes_max {
            state.changes += assortment.disturb(state.conduct.disturbance, self.clock.now());
        }
        state.say().map_or(Ok(assortment), |saying| Err(error(operation, account, saying)))
    }

    fn owner(&self, assortment: &Assortment) -> String {
        lock(&self.state).foreign_owner.clone().unwrap_or_else(|| assortment.owner().to_owned())
    }

    fn is_garbled(&self, product: u64, what: Garbled) -> bool {
        lock(&self.state).garbled.contains(&(product, what))
    }

    fn detail(&self, assortment: &Assortment, role: Role, id: &ProductId) -> Result<Answer<ToldProduct>, NoDetail> {
        let product = id.as_str().parse().ok().and_then(|id| assortment.product_for(role, id));
        let Some(product) = product else {
            let gone = ToldProduct {
                product_id: id.clone(),
                standing: Standing::Withdrawn,
                pictures: Vec::new(),
                elsewhere: 0,
                beyond: 0,
                json: String::new(),
            };
            return Ok(Answer::new(gone, None));
        };
        if self.is_garbled(product.id, Garbled::Detail) {
            return Err(NoDetail::Malformed(garbled(product)));
        }
        Ok(Answer::new(product.told(assortment.picture_host()), [self.owner(assortment)]))
    }
}

fn garbled(product: &Product) -> Malformed {
    Malformed { reason: "garbled".to_owned(), body: format!("{{\"productID\": {}, \"garbled", product.id) }
}

impl Catalogue for MemoryCatalogue {
    async fn list(&self, account: &Account, query: &ListQuery) -> Result<Answer<ListPage<ProductId>>, MarketError> {
        self.pass(1, |calls| calls.list += 1).await;
        let mut assortment = self.happen("catalogue.list", account)?;
        let page = assortment.page((query.window.start(), query.window.end()), query.page, query.page_rows);
        let (mut rows, mut malformed) = (Vec::with_capacity(page.ids.len()), Vec::new());
        for product in page.ids.iter().filter_map(|id| assortment.product(*id)) {
            if self.is_garbled(product.id, Garbled::Row) {
                malformed.push(garbled(product));
                continue;
            }
            let digest = ListingDigest::new(product.digest()).expect("hex");
            rows.push(Listed { id: product_id(product.id), modified_at: Some(product.modified), digest });
        }
        let owner = (!page.ids.is_empty()).then(|| self.owner(&assortment));
        Ok(Answer::new(ListPage { total: page.total, rows, malformed }, owner))
    }

    async fn details(
        &self,
        account: &Account,
        role: Role,
        products: &[ProductId],
    ) -> Result<Vec<ProductOf>, MarketError> {
        self.pass(products.len(), |calls| calls.details += 1).await;
        let mut details = Vec::with_capacity(products.len());
        for id in products {
            let assortment = self.happen("catalogue.details", account)?;
            details.push((id.clone(), self.detail(&assortment, role, id)));
        }
        Ok(details)
    }
}

#[cfg(test)]
mod tests {
    use domain::sweep::Window;
    use domain::{ShopId, UnixMillis};
    use protocols::marketplace::{Access, Ali1688Access, ListedBy};
    use secrecy::SecretString;

    use super::*;

    fn at(ms: i64) -> UnixMillis {
        UnixMillis::new(1_795_248_000_000 + ms).unwrap()
    }

    fn account() -> Account {
        let secret = || SecretString::from("secret");
        let (app_key, member_id) = ("1000000".to_owned(), "b2b-1".to_owned());
        let access = Ali1688Access { app_key, app_secret: secret(), access_token: secret(), member_id };
        Account { shop: ShopId::new("demo").unwrap(), access: Access::Ali1688(access) }
    }

    #[tokio::test]
    async fn calls_keep_to_the_rate_and_details_go_side_by_side() {
        let assortment = Assortment::generate("b2b-1", 1, 200, (at(-86_400_000), at(0)));
        let ids: Vec<ProductId> = assortment.truth().take(100).map(|product| product_id(product.id)).collect();
        let conduct = Conduct { call_ms: 100, ..Conduct::CALM };
        let twin = MemoryCatalogue::new([assortment], ManualClock::at(at(0)), conduct, 1);
        let details = twin.details(&account(), Role::Seller, &ids).await.unwrap();
        assert_eq!(details.len(), 100);
        // The first begins at once, the last 99 steps of 50 ms later.
        assert_eq!(twin.clock.now(), at(99 * 50 + 100));
        let window = Window::new(at(-86_400_000), at(0)).unwrap();
        for page in 1..=10 {
            let query = ListQuery { by: ListedBy::Modified, window, page, page_rows: 20 };
            twin.list(&account(), &query).await.unwrap();
        }
        assert_eq!(twin.clock.now(), at(99 * 50 + 100 + 1_000));
        let calls = twin.take_calls();
        assert_eq!((calls.list, calls.details, calls.most_in_a_second()), (10, 100, 20));
    }
}
