//! Products looked at: their details, a request for each of their pictures, a mark on each that is gone.
//!
//! Invariant: a product is kept as swept only after its requests are durable, its marks are kept, and what of it could
//! not be read is in quarantine with its reason. What is asked for is kept before it is: so a picture that is dropped
//! while it is still on its way is marked as well. Nothing of an answer that belongs to another account goes anywhere.

use std::collections::BTreeSet;

use adapters::PortError;
use adapters::clock::Clock;
use adapters::ports::{Catalogue, ImageQueue, Manifest, NoDetail, Products, Quarantine, SweptProduct};
use domain::{ImageKey, ImageRequest, ListingDigest, Position, ProductId, ProductKey, UnixMillis};
use futures::stream::{self, StreamExt, TryStreamExt};
use lambda::sweep::{RunTime, Stop, Tally, set_aside, without_detail};
use protocols::images;
use protocols::marketplace::{Account, Malformed, Role, Standing, ToldProduct};

/// Products whose details are asked for before anything is done with them: a second of calls, at the rate that a
/// marketplace allows.
pub(crate) const PRODUCTS_AT_ONCE_MAX: usize = 20;
/// Reads and writes of the table side by side.
const WRITES_AT_ONCE_MAX: usize = 8;

/// A product that is to be looked at, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) id: ProductId,
    /// What the shop is to it.
    pub(crate) role: Role,
    /// What the list says of it, when it came from a list.
    pub(crate) listed: Option<ListingDigest>,
    /// The report of a push that waits.
    pub(crate) changed_at: Option<UnixMillis>,
}

/// What was done about pictures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Requests that were queued.
    pub(crate) requested: usize,
    /// Pictures that were marked as removed.
    pub(crate) removed: usize,
    /// Addresses that are of nothing that is fetched.
    pub(crate) elsewhere: usize,
    /// Pictures beyond the most that a product may have.
    pub(crate) beyond: usize,
}

/// A product that was looked at.
struct Looked {
    product: ProductKey,
    requests: Vec<ImageRequest>,
    /// All pictures that it has, those whose address cannot be read too.
    has: BTreeSet<Position>,
    swept: SweptProduct,
    /// Nothing could be read of it, so that nothing of it is gone.
    is_unread: bool,
}

/// Looks at some products; at most [`PRODUCTS_AT_ONCE_MAX`] of them.
pub(crate) async fn look_at(
    wanted: &[Wanted],
    (catalogue, account): (&impl Catalogue, &Account),
    (products, manifest): (&impl Products, &impl Manifest),
    (queue, quarantine): (&impl ImageQueue, &impl Quarantine),
    time: &RunTime<'_, impl Clock>,
    (counts, tally): (&mut Counts, &mut Tally),
) -> Result<(), Stop> {
    // Before the answer: what it says is at least as new as this.
    let asked_at = time.clock.now();
    let mut told = Vec::with_capacity(wanted.len());
    for role in [Role::Seller, Role::Buyer] {
        let ids = wanted.iter().filter(|wanted| wanted.role == role).map(|wanted| wanted.id.clone());
        let ids: Vec<ProductId> = ids.collect();
        if !ids.is_empty() {
            told.extend(time.ask(async || catalogue.details(account, role, &ids).await).await?);
            tally.detail_calls += ids.len();
        }
    }
    let mut looked = Vec::with_capacity(wanted.len());
    for wanted in wanted {
        let place = told.iter().position(|(id, _)| *id == wanted.id);
        let Some((id, detail)) = place.map(|place| told.swap_remove(place)) else {
            // The watermark must not move over a product of which nothing was said.
            return Err(PortError::unreadable("catalogue.details").into());
        };
        let detail = match detail {
            Ok(answer) => of_product(&id, answer.belonging_to(account)?.into_inner()),
            Err(no_detail) => Err(no_detail),
        };
        let read = match detail {
            Ok(told) => Some(told),
            Err(no_detail) => {
                without_detail(id.as_str(), no_detail, account, quarantine, tally).await?;
                None
            }
        };
        looked.push(look(wanted, read, asked_at, account, quarantine, (&mut *counts, &mut *tally)).await?);
    }
    settle(looked, asked_at, (products, manifest), queue, (counts, tally)).await
}

/// The detail, when it is of the product that was asked for.
fn of_product(id: &ProductId, told: ToldProduct) -> Result<ToldProduct, NoDetail> {
    if told.product_id == *id {
        return Ok(told);
    }
    let reason = "malformed: the detail is of another product than was asked for".to_owned();
    Err(NoDetail::Malformed(Malformed { reason, body: told.json }))
}

/// What follows from a product's detail. What of it cannot be read is in quarantine.
async fn look(
    wanted: &Wanted,
    told: Option<ToldProduct>,
    asked_at: UnixMillis,
    account: &Account,
    quarantine: &impl Quarantine,
    (counts, tally): (&mut Counts, &mut Tally),
) -> Result<Looked, Stop> {
    let product = account.product(wanted.id.clone());
    let changed_at = wanted.changed_at;
    let Some(told) = told else {
        // Not as the list has it: it is asked for again when the list is read again.
        let swept = SweptProduct { listed: None, changed_at };
        return Ok(Looked { product, requests: Vec::new(), has: BTreeSet::new(), swept, is_unread: true });
    };
    tally.unrecognised += usize::from(told.standing == Standing::Unrecognised);
    (counts.elsewhere, counts.beyond) = (counts.elsewhere + told.elsewhere, counts.beyond + told.beyond);
    let (mut requests, mut has) = (Vec::with_capacity(told.pictures.len()), BTreeSet::new());
    for picture in told.pictures {
        has.extend(picture.position.clone());
        let request = picture.address.and_then(|url| {
            let position = picture.position.clone().ok_or_else(|| unnamed(url.as_str()))?;
            let image = ImageKey { product: product.clone(), position };
            let request = ImageRequest { image, url, asked_at, refetch: false };
            // What the queue could not take would hold the shop up for ever.
            match images::write(&request) {
                Ok(_) => Ok(request),
                Err(why) => Err(Malformed { reason: why.to_string(), body: request.url.to_string() }),
            }
        });
        match request {
            Ok(request) => requests.push(request),
            Err(malformed) => set_aside(account, wanted.id.as_str(), malformed, quarantine, tally).await?,
        }
    }
    let swept = SweptProduct { listed: wanted.listed.clone(), changed_at };
    Ok(Looked { product, requests, has, swept, is_unread: false })
}

fn unnamed(url: &str) -> Malformed {
    Malformed { reason: "malformed: a picture without a position".to_owned(), body: url.to_owned() }
}

/// Makes durable what follows, in this order: what is asked for, the requests, the marks, and last that the products were
/// swept.
async fn settle(
    looked: Vec<Looked>,
    seen_at: UnixMillis,
    (products, manifest): (&impl Products, &impl Manifest),
    queue: &impl ImageQueue,
    (counts, tally): (&mut Counts, &mut Tally),
) -> Result<(), Stop> {
    let gone = stream::iter(looked.iter().filter(|looked| !looked.is_unread)).map(|looked| async move {
        let mut gone = products.asked(&looked.product, &looked.has).await?;
        let known = manifest.of_product(&looked.product).await?;
        gone.extend(known.keys().cloned());
        let gone = gone.into_iter().filter(|position| !looked.has.contains(position));
        let mark = |position: Position| {
            let is_news = known.get(&position).is_none_or(|entry| !entry.is_removed());
            (ImageKey { product: looked.product.clone(), position }, is_news)
        };
        Ok::<_, PortError>(gone.map(mark).collect::<Vec<(ImageKey, bool)>>())
    });
    let gone: Vec<Vec<(ImageKey, bool)>> = gone.buffered(WRITES_AT_ONCE_MAX).try_collect().await?;
    let requests: Vec<ImageRequest> = looked.iter().flat_map(|looked| looked.requests.iter().cloned()).collect();
    queue.send(&requests).await?;
    counts.requested += requests.len();
    // What is marked already is marked again: since then it may have been asked for, and be on its way.
    let gone: Vec<(ImageKey, bool)> = gone.into_iter().flatten().collect();
    let marks = stream::iter(&gone).map(|(image, _)| manifest.remove(image, seen_at));
    marks.buffered(WRITES_AT_ONCE_MAX).try_collect::<Vec<_>>().await?;
    counts.removed += gone.iter().filter(|(_, is_news)| *is_news).count();
    let swept = stream::iter(&looked).map(|looked| products.swept(&looked.product, &looked.swept));
    swept.buffered(WRITES_AT_ONCE_MAX).try_collect::<Vec<()>>().await?;
    tally.changed += looked.iter().filter(|looked| !looked.is_unread).count();
    Ok(())
}
