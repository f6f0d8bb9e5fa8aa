//! `sampan images verify`: the manifest beside the bucket.
//!
//! Invariant: nothing is deleted. What no record names may be of a picture that is being stored just now, or of one whose
//! product has another picture there by now.

use std::collections::{BTreeMap, BTreeSet};

use adapters::ports::{ImageBucket, ImageQueue, Manifest};
use anyhow::{Context, ensure};
use clap::Args;
use domain::{ImageKey, ImageObject, ImageRequest};

use crate::stack::Session;
use crate::table::{heading, spinner, step, table};

/// Pictures and objects that are named one by one.
const NAMED_MAX: usize = 20;
/// Requests that are handed to the queue's port at once.
const REQUESTS_AT_ONCE: usize = 100;

/// What to do about what is missing.
#[derive(Debug, Args)]
#[command(after_help = "\
A picture of which something is missing is asked for again with --requeue, as it was asked for last: image-sync fetches it
whatever is known of it, and puts what is missing. What no record names is shown and never touched.")]
pub struct VerifyArguments {
    /// Put pictures of which something is missing on the image queue
    #[arg(long)]
    requeue: bool,
}

/// What manifest and bucket have of each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compared {
    /// Pictures that were fetched, those that their product no longer has included.
    pub pictures: usize,
    /// Those of them that their product no longer has.
    pub removed: usize,
    /// Objects that they name: the same picture of ten products is one.
    pub named: usize,
    /// Objects that are in the bucket.
    pub objects: usize,
    /// Objects that are named and not there.
    pub missing: BTreeSet<ImageObject>,
    /// Objects that are there and that no record names.
    pub unnamed: BTreeSet<ImageObject>,
    /// The pictures of which something is missing, as they are asked for again.
    pub lost: Vec<ImageRequest>,
}

/// Compares them. `tell` is told how many of each were read so far.
pub async fn compare(
    manifest: &impl Manifest,
    bucket: &impl ImageBucket,
    tell: impl Fn(usize, usize),
) -> anyhow::Result<Compared> {
    let mut compared = Compared::default();
    let mut unnamed = objects(bucket, |objects| tell(0, objects)).await?;
    compared.objects = unnamed.len();
    let in_bucket = unnamed.clone();
    let mut asked: BTreeMap<ImageObject, bool> = BTreeMap::new();
    let mut after: Option<ImageKey> = None;
    loop {
        let page = manifest.list(after.as_ref()).await.context("cannot read the manifest")?;
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        for (image, entry) in page {
            let is_removed = entry.is_removed();
            let Some(record) = entry.record else { continue };
            compared.pictures += 1;
            compared.removed += usize::from(is_removed);
            let mut is_whole = true;
            for object in record.objects() {
                unnamed.remove(&object);
                let is_there = match asked.get(&object) {
                    Some(is_there) => *is_there,
                    // It may have come after the list was read.
                    None => in_bucket.contains(&object) || has(bucket, &object).await?,
                };
                is_whole &= is_there;
                asked.insert(object, is_there);
            }
            if !is_whole {
                compared.lost.push(ImageRequest { image, url: record.url, asked_at: record.asked_at, refetch: true });
            }
        }
        tell(compared.pictures, compared.objects);
    }
    compared.named = asked.len();
    compared.missing = asked.into_iter().filter(|(_, is_there)| !is_there).map(|(object, _)| object).collect();
    compared.unnamed = unnamed;
    Ok(compared)
}

async fn has(bucket: &impl ImageBucket, object: &ImageObject) -> anyhow::Result<bool> {
    bucket.has(object).await.with_context(|| format!("cannot look for {} in the bucket", object.key()))
}

/// Everything that is in the bucket.
async fn objects(bucket: &impl ImageBucket, tell: impl Fn(usize)) -> anyhow::Result<BTreeSet<ImageObject>> {
    let (mut all, mut after) = (BTreeSet::new(), None);
    loop {
        let page = bucket.list(after.as_ref()).await.context("cannot list the bucket")?;
        let Some(last) = page.last() else { return Ok(all) };
        after = Some(last.clone());
        all.extend(page);
        tell(all.len());
    }
}

/// Compares, tells, and asks again for what is missing, when that is wanted.
pub(super) async fn run(session: &Session, arguments: VerifyArguments) -> anyhow::Result<()> {
    let (manifest, bucket) = (session.manifest()?, session.image_bucket()?);
    let bar = spinner("Verify");
    let tell = |pictures: usize, objects: usize| bar.set_message(format!("{pictures} pictures, {objects} objects"));
    let compared = compare(&manifest, &bucket, tell).await;
    bar.finish_and_clear();
    let compared = compared?;
    print(&compared);
    if compared.missing.is_empty() {
        step("Verify", "all that is known of is in the bucket");
        return Ok(());
    }
    ensure!(
        arguments.requeue,
        "{} objects of {} pictures are missing; `sampan images verify --requeue` asks for them again",
        compared.missing.len(),
        compared.lost.len()
    );
    let queue = session.image_queue()?;
    for requests in compared.lost.chunks(REQUESTS_AT_ONCE) {
        queue.send(requests).await.context("not all pictures are on the image queue; run the command again")?;
    }
    step("Verify", &format!("{} pictures are on the image queue again", compared.lost.len()));
    Ok(())
}

fn print(compared: &Compared) {
    let Compared { pictures, removed, named, objects, missing, unnamed, lost } = compared;
    let mut rows = table(["pictures", "removed", "objects named", "in the bucket", "missing", "named by no record"]);
    let counts = [*pictures, *removed, *named, *objects, missing.len(), unnamed.len()];
    rows.add_row(counts.map(|count| count.to_string()));
    println!("{rows}");
    list("Missing", missing.iter().map(ImageObject::key));
    list("Pictures of which something is missing", lost.iter().map(|request| request.image.to_string()));
    list("Named by no record, and left alone", unnamed.iter().map(ImageObject::key));
}

fn list(name: &str, all: impl ExactSizeIterator<Item = String>) {
    if all.len() == 0 {
        return;
    }
    heading(name);
    let surplus = all.len().saturating_sub(NAMED_MAX);
    all.take(NAMED_MAX).for_each(|one| println!("  {one}"));
    if surplus > 0 {
        println!("  and {surplus} more");
    }
}

#[cfg(test)]
mod tests {
    use adapters::ports::ObjectBody;
    use adapters::testing::{MemoryImageBucket, MemoryManifest};
    use domain::{
        Format, ImageDigest, ImageRecord, ImageUrl, Original, Position, ProductKey, THUMBNAIL_SIZES, UnixMillis,
        Validators,
    };

    use super::*;

    fn at(seconds: i64) -> UnixMillis {
        UnixMillis::from_seconds(seconds).unwrap()
    }

    fn record(letter: char) -> ImageRecord {
        let digest = ImageDigest::new(letter.to_string().repeat(64)).unwrap();
        ImageRecord {
            asked_at: at(5),
            fetched_at: at(6),
            url: ImageUrl::new(format!("https://cbu01.alicdn.com/{letter}.jpg")).unwrap(),
            original: Original { digest, format: Format::Jpeg, bytes: 7, width: 1, height: 1 },
            validators: Validators::default(),
            thumbnails: THUMBNAIL_SIZES.to_vec(),
        }
    }

    fn image(product: u32) -> ImageKey {
        let product: ProductKey = format!("1688#demo#{product}").parse().unwrap();
        ImageKey { product, position: Position::new("main-1").unwrap() }
    }

    async fn put(bucket: &MemoryImageBucket, record: &ImageRecord) {
        for object in record.objects() {
            bucket.put(&object, ObjectBody::Bytes(b"picture")).await.unwrap();
        }
    }

    /// 250 pictures, which is more than a page; the first and the last are the same one.
    async fn stored() -> (MemoryManifest, MemoryImageBucket) {
        let (manifest, bucket) = (MemoryManifest::default(), MemoryImageBucket::default());
        for product in 1..=250 {
            let letter = if product % 249 == 1 { 'a' } else { 'b' };
            let mut record = record(letter);
            if letter == 'b' {
                record.original.digest = ImageDigest::new(format!("{product:064x}")).unwrap();
            }
            manifest.keep(&image(product), &record).await.unwrap();
            put(&bucket, &record).await;
        }
        (manifest, bucket)
    }

    #[tokio::test]
    async fn what_is_whole_agrees_and_the_same_picture_is_counted_once() {
        let (manifest, bucket) = stored().await;
        manifest.remove(&image(7), at(9)).await.unwrap();
        let compared = compare(&manifest, &bucket, |_, _| ()).await.unwrap();
        let objects = 249 * 3;
        assert_eq!(compared, Compared { pictures: 250, removed: 1, named: objects, objects, ..Compared::default() });
    }

    #[tokio::test]
    async fn what_is_missing_is_asked_for_by_each_picture_that_names_it_and_strangers_are_left_alone() {
        let (manifest, bucket) = stored().await;
        let (shared, stranger) = (record('a'), record('c'));
        let lost = ImageObject::Thumbnail(shared.original.digest.clone(), 800);
        bucket.lose(&lost);
        put(&bucket, &stranger).await;
        let compared = compare(&manifest, &bucket, |_, _| ()).await.unwrap();
        assert_eq!(compared.missing, BTreeSet::from([lost]));
        assert_eq!(compared.unnamed, stranger.objects().collect());
        let url = shared.url;
        let again = |product| ImageRequest { image: image(product), url: url.clone(), asked_at: at(5), refetch: true };
        let mut lost = compared.lost;
        lost.sort_by_key(|request| request.image.product.product_id.to_string());
        assert_eq!(lost, [again(1), again(250)]);
    }
}
