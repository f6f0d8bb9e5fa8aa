//! One page: which of its trades are new or differ, their details, and the events of these.
//!
//! Invariant: nothing of an answer that belongs to another account goes anywhere; what cannot be read is in quarantine
//! with its reason; everything else is durable in the queue when this returns.

use std::collections::HashMap;

use adapters::PortError;
use adapters::clock::Clock;
use adapters::gzip;
use adapters::ports::{
    EventQueue, MarketError, Marketplace, NoDetail, Quarantine, RAW_INLINE_BYTES_MAX, RawDetails, TradeDetails,
};
use domain::sweep::Limits;
use domain::{ListingDigest, RawDetail, TradeId, TradeKey, TradeStatus};
use futures::stream::{self, StreamExt, TryStreamExt};
use lambda::sweep::{Listing, RunTime, Stop, Tally, set_aside, without_detail};
use protocols::marketplace::{Account, Answer, ListPage, ListQuery, Listed, Malformed, Owned, Told};
use protocols::{VerifiedEvent, cloudevents};

/// Trades whose details are asked for at once: as many as one batch call of Taobao surely takes.
const DETAILS_AT_ONCE_MAX: usize = 20;
/// Raw answers that are put into the bucket side by side.
const PUTS_AT_ONCE_MAX: usize = 4;

/// What this run queued already, by the digest that the list had. The writer may not have it yet.
type Queued = HashMap<TradeId, ListingDigest>;

/// The trades of an account, as they are listed.
#[derive(Debug)]
pub(crate) struct Trades<'a, M, D, R, E, Q> {
    market: &'a M,
    account: &'a Account,
    trades: (&'a D, &'a R),
    sinks: (&'a E, &'a Q),
    queued: Queued,
}

impl<'a, M, D, R, E, Q> Trades<'a, M, D, R, E, Q> {
    pub(crate) fn new((market, account): (&'a M, &'a Account), trades: (&'a D, &'a R), sinks: (&'a E, &'a Q)) -> Self {
        Self { market, account, trades, sinks, queued: Queued::new() }
    }
}

impl<M: Marketplace, D: TradeDetails, R: RawDetails, E: EventQueue, Q: Quarantine> Listing
    for Trades<'_, M, D, R, E, Q>
{
    type Id = TradeId;

    fn account(&self) -> &Account {
        self.account
    }

    async fn page(&self, query: &ListQuery) -> Result<Answer<ListPage<TradeId>>, MarketError> {
        self.market.list(self.account, query).await
    }

    async fn take(
        &mut self,
        page: Owned<ListPage<TradeId>>,
        time: &RunTime<'_, impl Clock>,
        tally: &mut Tally,
    ) -> Result<(), Stop> {
        let asked = (self.market, self.account);
        take(page, asked, self.trades, self.sinks, time, (&mut self.queued, tally)).await
    }

    fn passed(&mut self, limits: &Limits) {
        if Tally::number(self.queued.len()) > limits.slice_rows_max {
            self.queued.clear();
        }
    }
}

/// Takes a page in.
async fn take(
    page: Owned<ListPage<TradeId>>,
    (market, account): (&impl Marketplace, &Account),
    (trades, raw): (&impl TradeDetails, &impl RawDetails),
    (queue, quarantine): (&impl EventQueue, &impl Quarantine),
    time: &RunTime<'_, impl Clock>,
    (queued, tally): (&mut Queued, &mut Tally),
) -> Result<(), Stop> {
    let ListPage { rows, malformed, .. } = page.into_inner();
    tally.listed += rows.len() + malformed.len();
    for row in malformed {
        set_aside(account, "row", row, quarantine, tally).await?;
    }
    let changed = changed(rows, account, trades, queued).await?;
    for rows in changed.chunks(DETAILS_AT_ONCE_MAX) {
        let ids: Vec<TradeId> = rows.iter().map(|row| row.id.clone()).collect();
        tally.detail_calls += 1;
        let told = time.ask(async || market.details(account, &ids).await).await?;
        let is_answered = |id: &TradeId| told.iter().any(|(answered, _)| answered == id);
        if !ids.iter().all(is_answered) {
            // The watermark must not move over a trade of which nothing was said.
            return Err(PortError::unreadable("marketplace.details").into());
        }
        let mut details = Vec::with_capacity(rows.len());
        for (id, detail) in told {
            let detail = match detail {
                Ok(answer) => Ok(answer.belonging_to(account)?).and_then(|told| of_trade(&id, told)),
                Err(no_detail) => Err(no_detail),
            };
            match detail {
                Ok(told) => details.push(told),
                Err(no_detail) => without_detail(id.as_str(), no_detail, account, quarantine, tally).await?,
            }
        }
        let events = events(details, rows, account, raw, (quarantine, time.clock), tally).await?;
        queue.send(&events).await?;
        tally.changed += events.len();
        queued.extend(rows.iter().map(|row| (row.id.clone(), row.digest.clone())));
    }
    Ok(())
}

/// The detail, when it is of the trade that was asked for.
fn of_trade(id: &TradeId, told: Owned<Told>) -> Result<Owned<Told>, NoDetail> {
    if told.get().trade_id == *id {
        return Ok(told);
    }
    let reason = "malformed: the detail is of another trade than was asked for".to_owned();
    Err(NoDetail::Malformed(Malformed { reason, body: told.into_inner().json }))
}

/// The rows that say something else than when their trade was last asked for.
async fn changed(
    rows: Vec<Listed<TradeId>>,
    account: &Account,
    trades: &impl TradeDetails,
    queued: &Queued,
) -> Result<Vec<Listed<TradeId>>, Stop> {
    let fresh: Vec<Listed<TradeId>> = rows.into_iter().filter(|row| queued.get(&row.id) != Some(&row.digest)).collect();
    if fresh.is_empty() {
        return Ok(fresh);
    }
    let keys: Vec<TradeKey> = fresh.iter().map(|row| account.trade(row.id.clone())).collect();
    let known = trades.listings(&keys).await?;
    let differs = |row: &Listed<TradeId>| known.get(&account.trade(row.id.clone())) != Some(&row.digest);
    Ok(fresh.into_iter().filter(differs).collect())
}

/// The events of these details. The answers that are too large for a message are in the bucket by then.
async fn events(
    details: Vec<Owned<Told>>,
    rows: &[Listed<TradeId>],
    account: &Account,
    raw: &impl RawDetails,
    (quarantine, clock): (&impl Quarantine, &impl Clock),
    tally: &mut Tally,
) -> Result<Vec<VerifiedEvent>, Stop> {
    let kept = stream::iter(details).map(|told| async move {
        let kept = keep_raw(told.get(), account, raw).await?;
        Ok::<_, Stop>((told, kept))
    });
    let kept: Vec<_> = kept.buffered(PUTS_AT_ONCE_MAX).try_collect().await?;
    let listed: HashMap<&TradeId, &ListingDigest> = rows.iter().map(|row| (&row.id, &row.digest)).collect();
    let mut events = Vec::with_capacity(kept.len());
    for (told, raw) in kept {
        tally.unrecognised += usize::from(told.get().status == TradeStatus::Unrecognised);
        let (id, body) = (told.get().trade_id.clone(), told.get().json.clone());
        let made = match listed.get(&id) {
            Some(digest) => told.event(account, (*digest).clone(), clock.now(), raw).map_err(|why| why.to_string()),
            None => Err("a detail came for a trade that was not asked for".to_owned()),
        };
        // What the queue could not take would hold the shop up for ever.
        let written = made.and_then(|event| match cloudevents::write(event.event()) {
            Ok(_) => Ok(event),
            Err(why) => Err(why.to_string()),
        });
        match written {
            Ok(event) => events.push(event),
            Err(reason) => set_aside(account, id.as_str(), Malformed { reason, body }, quarantine, tally).await?,
        }
    }
    Ok(events)
}

/// Where the answer is kept: in the event where it fits, else in the bucket.
async fn keep_raw(told: &Told, account: &Account, raw: &impl RawDetails) -> Result<RawDetail, Stop> {
    let gzip = gzip::pack(&told.json);
    if gzip.len() <= RAW_INLINE_BYTES_MAX {
        return Ok(RawDetail::Inline(gzip));
    }
    Ok(RawDetail::Stored(raw.put(&account.trade(told.trade_id.clone()), &gzip).await?))
}
