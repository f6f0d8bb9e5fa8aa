//! The promises of the ports of pictures.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::Duration;

use domain::{
    Format, ImageEntry, ImageKey, ImageObject, ImageRecord, ImageRequest, ImageUrl, ListingDigest, Marketplace,
    Original, Outcome, Position, ProductId, ProductKey, ShopId, UnixMillis, Validator, Validators,
};
use futures::future::join_all;
use protocols::images;
use tempfile::{NamedTempFile, TempPath};

use super::super::digest_of;
use super::{Taken, Verdict, digits, expect};
use crate::error::{Cause, Disposition, PortError};
use crate::ports::{ImageBucket, ImageQueue, Manifest, ObjectBody, Products, Stored, SweptProduct};
use crate::spool::Content;

type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Looks at an index that follows its table, and the time between two, in milliseconds: five seconds in all. Source:
/// DynamoDB developer guide, "Global secondary indexes", which speaks of a fraction of a second.
const LOOKS_MAX: usize = 100;
const LOOK_MS: u64 = 50;
/// Pages of a list that is walked through. A list that repeats itself has no end.
const PAGES_MAX: usize = 10_000;

/// What an index promises, which may be late.
async fn eventually<T: PartialEq + std::fmt::Debug>(
    promise: &str,
    look: impl AsyncFn() -> Result<T, PortError>,
    promised: T,
) -> Verdict {
    let mut found = look().await?;
    for _ in 1..LOOKS_MAX {
        if found == promised {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
        found = look().await?;
    }
    expect(promise, found, promised)
}

/// All orders of some facts.
fn permutations<T: Clone>(facts: &[T]) -> Vec<Vec<T>> {
    let Some((first, rest)) = facts.split_first() else { return vec![Vec::new()] };
    let with_first = |rest: Vec<T>| {
        (0..=rest.len()).map(move |place| {
            let mut all = rest.clone();
            all.insert(place, first.clone());
            all
        })
    };
    permutations(rest).into_iter().flat_map(with_first).collect()
}

fn at(millis: i64) -> Fallible<UnixMillis> {
    Ok(UnixMillis::new(millis)?)
}

fn product(shop: &ShopId, id: &str) -> Fallible<ProductKey> {
    Ok(ProductKey { marketplace: Marketplace::Alibaba1688, shop: shop.clone(), product_id: ProductId::new(id)? })
}

fn swept(listed: Option<&str>, changed_at: Option<i64>) -> Fallible<SweptProduct> {
    let listed = listed.map(ListingDigest::new).transpose()?;
    Ok(SweptProduct { listed, changed_at: changed_at.map(UnixMillis::new).transpose()? })
}

/// The promises of [`Products`].
pub async fn products(store: &impl Products, run: &str) -> Verdict {
    use Outcome::{Applied, Duplicate, Stale};
    let shop = ShopId::new(format!("products-{}", digits(run)))?;
    let (a, b, c) = (product(&shop, "a")?, product(&shop, "b")?, product(&shop, "c")?);
    let waiting = async |products_max| store.pending(Marketplace::Alibaba1688, &shop, products_max).await;
    expect("none waits of a shop that is not known", waiting(9).await?, Vec::new())?;
    expect(
        "a product that is not known was not swept",
        store.listings(std::slice::from_ref(&a)).await?,
        BTreeMap::new(),
    )?;
    for (product, millis, promise, outcome) in [
        (&a, 20, "a new report is applied", Applied),
        (&a, 20, "again it is a duplicate", Duplicate),
        (&a, 10, "an earlier one is stale", Stale),
        (&b, 5, "another product has its own", Applied),
        (&a, 30, "a later one is applied", Applied),
        (&c, 9, "a third one has its own", Applied),
    ] {
        expect(promise, store.changed(product, at(millis)?).await?, outcome)?;
    }
    // As texts 30 would come before 5.
    let all = vec![(b.clone(), at(5)?), (c.clone(), at(9)?), (a.clone(), at(30)?)];
    eventually("the longest waiting come first", async || waiting(9).await, all.clone()).await?;
    let two = all.iter().take(2).cloned().collect();
    eventually("no more than are wanted", async || waiting(2).await, two).await?;
    expect("none when none is wanted", waiting(0).await?, Vec::new())?;
    let elsewhere = ProductKey { marketplace: Marketplace::Taobao, ..a.clone() };
    let there = async || store.pending(Marketplace::Taobao, &shop, 9).await;
    expect("another marketplace has none", there().await?, Vec::new())?;
    expect("its product is another one", store.changed(&elsewhere, at(1)?).await?, Applied)?;
    eventually("which waits there", there, vec![(elsewhere, at(1)?)]).await?;
    sweeps_of_products(store, &shop, all).await?;
    pictures_asked_for(store, &shop).await?;
    reports_join(store, run).await?;
    many_listings(store, run).await
}

/// `waiting`: b since 5, c since 9, a since 30.
/// What was ever asked for is kept, and is no part of what else is kept of a product.
async fn pictures_asked_for(store: &impl Products, shop: &ShopId) -> Verdict {
    let (a, d, e) = (product(shop, "a")?, product(shop, "d")?, product(shop, "e")?);
    let set = |names: &[&str]| -> Fallible<BTreeSet<Position>> {
        names.iter().map(|name| Ok(Position::new(*name)?)).collect()
    };
    let before = store.listings(&[a.clone(), d.clone()]).await?;
    expect("nothing was asked for of a product that is not known", store.asked(&e, &set(&[])?).await?, set(&[])?)?;
    for _ in 0..2 {
        let ever = store.asked(&a, &set(&["main-1", "sku-1"])?).await?;
        expect("what is asked for is kept, however often", ever, set(&["main-1", "sku-1"])?)?;
    }
    let ever = store.asked(&a, &set(&["main-1", "main-2"])?).await?;
    expect("with what was asked for before", ever, set(&["main-1", "main-2", "sku-1"])?)?;
    let ever = store.asked(&a, &set(&[])?).await?;
    expect("also when nothing is asked for any more", ever, set(&["main-1", "main-2", "sku-1"])?)?;
    store.swept(&a, &SweptProduct::default()).await?;
    expect("another product has its own", store.asked(&d, &set(&["main-9"])?).await?, set(&["main-9"])?)?;
    expect("what the lists said stays", store.listings(&[a, d]).await?, before)
}

async fn sweeps_of_products(store: &impl Products, shop: &ShopId, waiting: Vec<(ProductKey, UnixMillis)>) -> Verdict {
    use Outcome::{Applied, Duplicate, Stale};
    let (a, b, c, d) = (product(shop, "a")?, product(shop, "b")?, product(shop, "c")?, product(shop, "d")?);
    let look = async || store.pending(Marketplace::Alibaba1688, shop, 9).await;
    let listed = async |product: &ProductKey| store.listings(std::slice::from_ref(product)).await;
    let digest = |product: &ProductKey, digest: &str| -> Fallible<BTreeMap<ProductKey, ListingDigest>> {
        Ok(BTreeMap::from([(product.clone(), ListingDigest::new(digest)?)]))
    };
    store.swept(&a, &swept(Some("x"), Some(20))?).await?;
    eventually("one with a later report waits on", look, waiting.clone()).await?;
    expect("and what the list said is kept", listed(&a).await?, digest(&a, "x")?)?;
    for _ in 0..2 {
        store.swept(&a, &swept(Some("y"), Some(30))?).await?;
        eventually("one that was swept no longer waits", look, vec![(b.clone(), at(5)?), (c.clone(), at(9)?)]).await?;
        expect("the last that the list said is kept", listed(&a).await?, digest(&a, "y")?)?;
    }
    expect("its report is still a duplicate", store.changed(&a, at(30)?).await?, Duplicate)?;
    expect("an earlier one is still stale", store.changed(&a, at(29)?).await?, Stale)?;
    eventually("and it waits for neither", look, vec![(b.clone(), at(5)?), (c.clone(), at(9)?)]).await?;
    store.swept(&b, &swept(None, Some(6))?).await?;
    eventually("nor for a report before the one that was dealt with", look, vec![(c.clone(), at(9)?)]).await?;
    expect("a sweep without a list keeps no digest", listed(&b).await?, BTreeMap::new())?;
    store.swept(&c, &swept(Some("z"), None)?).await?;
    expect("a sweep of the list keeps its digest", listed(&c).await?, digest(&c, "z")?)?;
    eventually("and deals with no report", look, vec![(c.clone(), at(9)?)]).await?;
    expect("a later report is applied", store.changed(&a, at(31)?).await?, Applied)?;
    let again = vec![(c.clone(), at(9)?), (a.clone(), at(31)?)];
    eventually("and the product waits again", look, again.clone()).await?;
    expect("what the list said stays", listed(&a).await?, digest(&a, "y")?)?;
    store.swept(&d, &swept(Some("w"), None)?).await?;
    expect("one that was never reported has its digest", listed(&d).await?, digest(&d, "w")?)?;
    store.swept(&a, &SweptProduct::default()).await?;
    eventually("and nothing waits that was not reported", look, again).await?;
    expect("a first report after a sweep is applied", store.changed(&d, at(1)?).await?, Applied)?;
    let first = vec![(d, at(1)?), (c, at(9)?), (a, at(31)?)];
    eventually("and waited for", look, first).await
}

/// Reports of one product in every order.
async fn reports_join(store: &impl Products, run: &str) -> Verdict {
    let shop = ShopId::new(format!("joined-{}", digits(run)))?;
    let mut latest = Vec::new();
    for (number, reports) in permutations(&[9, 10, 100]).into_iter().enumerate() {
        let product = product(&shop, &number.to_string())?;
        for millis in reports {
            store.changed(&product, at(millis)?).await?;
        }
        latest.push((product, at(100)?));
    }
    let look = async || {
        let mut found = store.pending(Marketplace::Alibaba1688, &shop, 99).await?;
        found.sort();
        Ok(found)
    };
    eventually("in every order the latest report is waited for", look, latest).await
}

/// More products than one batch read takes.
async fn many_listings(store: &impl Products, run: &str) -> Verdict {
    let shop = ShopId::new(format!("many-{}", digits(run)))?;
    let products = (0..130).map(|number| product(&shop, &number.to_string())).collect::<Fallible<Vec<_>>>()?;
    for product in products.iter().step_by(10) {
        store.swept(product, &swept(Some("l"), None)?).await?;
    }
    let twice: Vec<ProductKey> = products.iter().chain(&products).cloned().collect();
    expect("many are read in turns, and each once", store.listings(&twice).await?.len(), 13)?;
    expect("nothing is asked of nobody", store.listings(&[]).await?, BTreeMap::new())
}

fn record() -> Fallible<ImageRecord> {
    let digest = digest_of(b"a picture").ok_or("a digest")?;
    Ok(ImageRecord {
        asked_at: at(9)?,
        fetched_at: at(9)?,
        url: ImageUrl::new("https://cbu01.alicdn.com/\u{56fe}/a.jpg")?,
        original: Original { digest, format: Format::Gif, bytes: 9, width: 9, height: 9 },
        validators: Validators::default(),
        thumbnails: Vec::new(),
    })
}

/// Records of which each differs from the one before in what decides last of all that they differ in, and is preferred
/// to it. As texts 10 would be less than 9.
fn ascending() -> Fallible<Vec<ImageRecord>> {
    let base = record()?;
    let original = |change: &dyn Fn(&mut Original)| {
        let mut original = base.original.clone();
        change(&mut original);
        ImageRecord { original, ..base.clone() }
    };
    let validators = |etag: Option<&str>, last_modified: Option<&str>| -> Fallible<ImageRecord> {
        let etag = etag.map(Validator::new).transpose()?;
        let last_modified = last_modified.map(Validator::new).transpose()?;
        Ok(ImageRecord { validators: Validators { etag, last_modified }, ..base.clone() })
    };
    let thumbnails = |sizes: &[u32]| ImageRecord { thumbnails: sizes.to_vec(), ..base.clone() };
    // The digest of `a picture` begins with 9.
    let greater = domain::ImageDigest::new("f".repeat(64)).ok_or("a digest")?;
    let records = vec![
        base.clone(),
        thumbnails(&[200]),
        thumbnails(&[200, 800]),
        thumbnails(&[1_000]),
        validators(None, Some("Sat, 21 Nov 2026 08:00:00 GMT"))?,
        validators(Some("\"a\""), None)?,
        validators(Some("W/\"a\""), None)?,
        original(&|original| original.height = 10),
        original(&|original| original.width = 10),
        original(&|original| original.bytes = 10),
        original(&|original| original.format = Format::Jpeg),
        original(&|original| original.format = Format::Png),
        original(&|original| original.format = Format::Webp),
        original(&|original| original.digest = greater.clone()),
        ImageRecord { url: ImageUrl::new("https://cbu01.alicdn.com/\u{56fe}/b.jpg")?, ..base.clone() },
        ImageRecord { fetched_at: at(10)?, ..base.clone() },
        ImageRecord { asked_at: at(10)?, ..base.clone() },
    ];
    expect("the records ascend", records.is_sorted(), true)?;
    Ok(records)
}

/// The promises of [`Manifest`]. `products` are those of the same table.
pub async fn manifest(store: &impl Manifest, products: &impl Products, run: &str) -> Verdict {
    use Outcome::{Applied, Duplicate, Stale};
    let shop = ShopId::new(format!("manifest-{}", digits(run)))?;
    let owner = product(&shop, "a")?;
    let image = |position: &str| -> Fallible<ImageKey> {
        Ok(ImageKey { product: owner.clone(), position: Position::new(position)? })
    };
    let (main, sku, gone) = (image("main-1")?, image("sku-3332085412530")?, image("detail-1")?);
    expect("an unknown picture is empty", store.read(&main).await?, ImageEntry::default())?;
    expect("an unknown product has none", store.of_product(&owner).await?, BTreeMap::new())?;
    products.changed(&owner, at(1)?).await?;
    products.swept(&owner, &swept(Some("l"), None)?).await?;
    expect("nor has a product that was reported and swept", store.of_product(&owner).await?, BTreeMap::new())?;

    let records = ascending()?;
    let first = record()?;
    expect("a new record is applied", store.keep(&main, &first).await?, Applied)?;
    for (before, next) in records.iter().zip(records.iter().skip(1)) {
        expect("one that is preferred is applied", store.keep(&main, next).await?, Applied)?;
        expect("the one before is stale", store.keep(&main, before).await?, Stale)?;
        expect("the same is a duplicate", store.keep(&main, next).await?, Duplicate)?;
        let entry = ImageEntry { record: Some(next.clone()), removed_at: None };
        expect("all of it reads back", store.read(&main).await?, entry)?;
    }
    for (seen_at, promise, outcome) in [
        (9, "a new mark is applied", Applied),
        (9, "again it is a duplicate", Duplicate),
        (8, "an earlier one is stale", Stale),
        (10, "a later one is applied", Applied),
    ] {
        expect(promise, store.remove(&main, at(seen_at)?).await?, outcome)?;
    }
    let last = records.last().cloned();
    let marked = ImageEntry { record: last, removed_at: Some(at(10)?) };
    expect("a mark leaves the record", store.read(&main).await?, marked.clone())?;
    expect("a picture that was never fetched may be marked", store.remove(&gone, at(3)?).await?, Applied)?;
    expect("a record beside it", store.keep(&sku, &first).await?, Applied)?;
    let entries = BTreeMap::from([
        (main.position, marked),
        (gone.position, ImageEntry { record: None, removed_at: Some(at(3)?) }),
        (sku.position, ImageEntry { record: Some(first), removed_at: None }),
    ]);
    expect("all of a product are read, and only they", store.of_product(&owner).await?, entries)?;
    entries_join(store, &shop).await?;
    every_entry_is_listed(store, &shop).await
}

#[derive(Debug, Clone)]
enum Fact {
    Kept(ImageRecord),
    Removed(UnixMillis),
}

/// Records and marks of one picture in every order: 120 pictures.
async fn entries_join(store: &impl Manifest, shop: &ShopId) -> Verdict {
    let product = product(shop, "b")?;
    let (fetched, asked) = (record()?, ImageRecord { asked_at: at(10)?, ..record()? });
    let refetched = ImageRecord { fetched_at: at(100)?, ..fetched.clone() };
    let facts = [
        Fact::Kept(fetched),
        Fact::Kept(refetched),
        Fact::Kept(asked.clone()),
        Fact::Removed(at(9)?),
        Fact::Removed(at(10)?),
    ];
    let mut joined = BTreeMap::new();
    for (number, facts) in permutations(&facts).into_iter().enumerate() {
        let image = ImageKey { product: product.clone(), position: Position::new(number.to_string())? };
        for fact in facts {
            match fact {
                Fact::Kept(record) => store.keep(&image, &record).await?,
                Fact::Removed(seen_at) => store.remove(&image, seen_at).await?,
            };
        }
        joined.insert(image.position, ImageEntry { record: Some(asked.clone()), removed_at: Some(at(10)?) });
    }
    expect("in every order the same is kept", store.of_product(&product).await?, joined)
}

/// More pictures than the twin has in a page.
async fn every_entry_is_listed(store: &impl Manifest, shop: &ShopId) -> Verdict {
    let mut promised = Vec::new();
    for id in ["a", "b"] {
        let product = product(shop, id)?;
        let entries = store.of_product(&product).await?.into_iter();
        promised.extend(entries.map(|(position, entry)| (ImageKey { product: product.clone(), position }, entry)));
    }
    let mut listed = Vec::new();
    let mut after = None;
    for _ in 0..PAGES_MAX {
        let page = store.list(after.as_ref()).await?;
        let Some((last, _)) = page.last() else {
            listed.sort_by(|(one, _): &(ImageKey, ImageEntry), (other, _)| one.cmp(other));
            return expect("every picture is listed once, as it is", listed, promised);
        };
        after = Some(last.clone());
        listed.extend(page.into_iter().filter(|(image, _)| image.product.shop == *shop));
    }
    Err("the list has no end".into())
}

/// The promises of [`ImageQueue`]. `take` takes out all messages, of which there are this many.
pub async fn image_queue(queue: &impl ImageQueue, take: impl AsyncFn(usize) -> Taken<String>) -> Verdict {
    queue.send(&[]).await?;
    let shop = ShopId::new("conformance")?;
    let request = |number: i64| -> Fallible<ImageRequest> {
        let position = Position::new(format!("main-{number}"))?;
        Ok(ImageRequest {
            image: ImageKey { product: product(&shop, "1")?, position },
            url: ImageUrl::new("https://cbu01.alicdn.com/\u{56fe}/a.jpg?x=<&>\"")?,
            asked_at: at(number)?,
            refetch: number % 2 == 0,
        })
    };
    let requests = (0..25).map(request).collect::<Fallible<Vec<_>>>()?;
    queue.send(&requests).await?;
    let messages = take(requests.len()).await?;
    expect("every request is one message", messages.len(), requests.len())?;
    let read: Result<Vec<ImageRequest>, _> = messages.iter().map(|message| images::read(message)).collect();
    let read = read?;
    expect("every message reads back as its request", requests.iter().all(|request| read.contains(request)), true)
}

/// Puts of one object at the same time.
const RIVALS: usize = 50;
/// A picture that is longer than what is read of a file at once.
const PICTURE_BYTES: usize = 300_000;

fn file_of(bytes: &[u8]) -> Fallible<Content> {
    let mut file = NamedTempFile::new()?;
    file.write_all(bytes)?;
    Ok(Content::File(file.into_temp_path()))
}

/// The promises of [`ImageBucket`]. `read` gives what is under a key.
pub async fn image_bucket(
    bucket: &impl ImageBucket,
    run: &str,
    read: impl AsyncFn(String) -> Fallible<Option<Vec<u8>>>,
) -> Verdict {
    let picture: Vec<u8> = run.bytes().cycle().take(PICTURE_BYTES).collect();
    let digest = digest_of(&picture).ok_or("a digest")?;
    let (file, bytes) = (file_of(&picture)?, u64::try_from(picture.len())?);
    let original = ImageObject::Original(digest.clone(), Format::Jpeg);
    let body = || ObjectBody::Content(&file, bytes, &digest);
    expect("an unknown object is not there", bucket.has(&original).await?, false)?;
    expect("nothing is under its key", read(original.key()).await?, None)?;
    expect("it is stored once", bucket.put(&original, body()).await?, Stored::Now)?;
    expect("it is there", bucket.has(&original).await?, true)?;
    expect("again it was there before", bucket.put(&original, body()).await?, Stored::Before)?;
    expect("so it was for other bytes", bucket.put(&original, ObjectBody::Bytes(b"other")).await?, Stored::Before)?;
    expect("nothing was written over", read(original.key()).await? == Some(picture.clone()), true)?;
    let thumbnail = ImageObject::Thumbnail(digest.clone(), 200);
    expect("its thumbnail is another object", bucket.has(&thumbnail).await?, false)?;
    expect("which is stored as well", bucket.put(&thumbnail, ObjectBody::Bytes(b"t")).await?, Stored::Now)?;
    expect("and reads back", read(thumbnail.key()).await?, Some(b"t".to_vec()))?;

    let strange = ImageObject::Original(digest.clone(), Format::Png);
    let other = digest_of(b"other").ok_or("a digest")?;
    let nowhere = Content::File(TempPath::try_from_path("/nowhere/at/all")?);
    let held = Content::Held(picture.clone().into());
    for (promise, body) in [
        ("a file of another digest is refused", ObjectBody::Content(&file, bytes, &other)),
        ("a file that is longer is refused", ObjectBody::Content(&file, bytes - 1, &digest)),
        ("a file that is shorter is refused", ObjectBody::Content(&file, bytes + 1, &digest)),
        ("a file that is not there is refused", ObjectBody::Content(&nowhere, bytes, &digest)),
        ("what is held and has another digest is refused", ObjectBody::Content(&held, bytes, &other)),
        ("what is held and is longer is refused", ObjectBody::Content(&held, bytes - 1, &digest)),
        ("what is held and is shorter is refused", ObjectBody::Content(&held, bytes + 1, &digest)),
    ] {
        let put = bucket.put(&strange, body).await;
        expect(promise, put.map_err(|error| error.disposition()), Err(Disposition::Reject))?;
    }
    expect("and nothing of it is there", bucket.has(&strange).await?, false)?;
    rivals(bucket, &strange, body()).await?;
    let gif = ImageObject::Original(digest.clone(), Format::Gif);
    let put = bucket.put(&gif, ObjectBody::Content(&held, bytes, &digest)).await?;
    expect("what is held is stored as well", put, Stored::Now)?;
    expect("and it is the same", read(gif.key()).await? == Some(picture.clone()), true)?;
    expect("it is there whole", read(strange.key()).await? == Some(picture), true)?;
    every_object_is_listed(bucket, run, [original, strange, gif, thumbnail].into()).await
}

/// Many who put one object at once: one of them stored it.
async fn rivals(bucket: &impl ImageBucket, object: &ImageObject, body: ObjectBody<'_>) -> Verdict {
    let puts = join_all((0..RIVALS).map(|_| bucket.put(object, body))).await;
    let mut now = 0;
    for put in puts {
        match put {
            Ok(Stored::Now) => now += 1,
            Ok(Stored::Before) => {}
            // S3 may ask some to come again.
            Err(error) if error.cause == Cause::Contended => {}
            Err(error) => return Err(error.into()),
        }
    }
    expect("of many who put it one stored it", now, 1)
}

/// More objects than the twin has in a page.
async fn every_object_is_listed(bucket: &impl ImageBucket, run: &str, mut promised: BTreeSet<ImageObject>) -> Verdict {
    for number in 0..60 {
        let digest = digest_of(format!("{run}-{number}").as_bytes()).ok_or("a digest")?;
        for object in [ImageObject::Thumbnail(digest.clone(), 200), ImageObject::Original(digest, Format::Webp)] {
            bucket.put(&object, ObjectBody::Bytes(b"o")).await?;
            promised.insert(object);
        }
    }
    let mut listed: Vec<ImageObject> = Vec::new();
    for _ in 0..PAGES_MAX {
        let page = bucket.list(listed.last()).await?;
        if page.is_empty() {
            expect("they come in the order of their keys", listed.is_sorted_by_key(ImageObject::key), true)?;
            let ours: Vec<ImageObject> = listed.into_iter().filter(|object| promised.contains(object)).collect();
            expect("each is listed once", ours.len(), promised.len())?;
            return expect("and all are", ours.into_iter().collect(), promised);
        }
        listed.extend(page);
    }
    Err("the list has no end".into())
}
