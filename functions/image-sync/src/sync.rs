//! One picture: what is kept of it, what its host has, and the way from there into the bucket.
//!
//! Invariant: the manifest is written last. What it names is whole in the bucket, thumbnails first; whatever fails on
//! the way leaves nothing that anybody is shown, and is done again from the start.

use std::sync::Arc;

use adapters::PortError;
use adapters::clock::Clock;
use adapters::error::{Cause, Certainty};
use adapters::ports::{Fetched, ImageBucket, ImageSource, Manifest, NoImage, ObjectBody, Spooled, Stored};
use adapters::spool::Content;
use domain::{Decision, ImageDigest, ImageObject, ImageRecord, ImageRequest, Original};
use futures::future::try_join_all;
use tokio::sync::Semaphore;

use crate::picture::{self, Picture, Refused, Thumbnail};

/// How a picture ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Synced {
    /// It was put into the bucket.
    Stored,
    /// It was fetched, and the bucket had the same picture already.
    Known,
    /// Its host says that it is what we have.
    Unchanged,
    /// It was asked for later, and that is dealt with.
    Stale,
}

impl Synced {
    /// The word in the log.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Known => "known",
            Self::Unchanged => "unchanged",
            Self::Stale => "stale",
        }
    }
}

/// Why a picture was not synced.
#[derive(Debug)]
pub(crate) enum NotSynced {
    /// It never will be: the reason.
    Refused(String),
    /// It has to come again.
    Failed(PortError),
}

impl From<PortError> for NotSynced {
    fn from(error: PortError) -> Self {
        Self::Failed(error)
    }
}

impl From<NoImage> for NotSynced {
    fn from(error: NoImage) -> Self {
        match error {
            NoImage::Refused(reason) => Self::Refused(reason),
            NoImage::Lost(error) => Self::Failed(error),
        }
    }
}

impl From<Refused> for NotSynced {
    fn from(refused: Refused) -> Self {
        match refused.is_final() {
            true => Self::Refused(refused.to_string()),
            false => {
                let lost = PortError::new(INSPECT, Cause::Away, Certainty::Determinate);
                Self::Failed(PortError { source: Some(Box::new(refused)), ..lost })
            }
        }
    }
}

const INSPECT: &str = "pictures.inspect";

/// What a picture took.
#[derive(Debug, Default)]
pub(crate) struct Costs {
    pub(crate) requests: u32,
    pub(crate) bytes: u64,
    pub(crate) puts: u32,
    pub(crate) thumbnails: usize,
    pub(crate) digest: Option<ImageDigest>,
}

/// Where pictures are looked at: one at a time, because what a large one takes of the memory is what the function has.
#[derive(Debug)]
pub struct Studio {
    sizes: &'static [u32],
    turn: Semaphore,
}

impl Studio {
    /// One that makes thumbnails of these sizes.
    pub fn new(sizes: &'static [u32]) -> Self {
        Self { sizes, turn: Semaphore::new(1) }
    }

    /// Looks at a picture beside the transfers, which go on meanwhile.
    async fn beside<T: Send + 'static>(
        &self,
        content: Arc<Content>,
        work: impl FnOnce(&Content) -> Result<T, Refused> + Send + 'static,
    ) -> Result<T, NotSynced> {
        let lost = |source: Box<dyn std::error::Error + Send + Sync>| PortError {
            source: Some(source),
            ..PortError::new(INSPECT, Cause::Away, Certainty::Determinate)
        };
        let _turn = self.turn.acquire().await.map_err(|error| lost(Box::new(error)))?;
        let done = tokio::task::spawn_blocking(move || work(&content)).await.map_err(|error| lost(Box::new(error)))?;
        Ok(done?)
    }

    /// Looks a picture through. What is held is looked through in a millisecond, in less than to hand it to somebody else.
    async fn inspect(&self, spooled: &Spooled) -> Result<Picture, NotSynced> {
        match *spooled.content {
            Content::Held(_) => Ok(picture::inspect(&spooled.content)?),
            Content::File(_) => self.beside(Arc::clone(&spooled.content), picture::inspect).await,
        }
    }

    /// The thumbnails of these sizes; none are made, and nothing is decoded, when none is missing.
    async fn thumbnails(&self, spooled: &Spooled, of: Picture, sizes: Vec<u32>) -> Result<Vec<Thumbnail>, NotSynced> {
        if sizes.is_empty() {
            return Ok(Vec::new());
        }
        self.beside(Arc::clone(&spooled.content), move |content| picture::thumbnails(content, &of, &sizes)).await
    }
}

/// Brings what is kept of a picture to what its host has.
pub(crate) async fn sync(
    request: &ImageRequest,
    source: &impl ImageSource,
    (bucket, manifest): (&impl ImageBucket, &impl Manifest),
    studio: &Studio,
    clock: &impl Clock,
    costs: &mut Costs,
) -> Result<Synced, NotSynced> {
    let entry = manifest.read(&request.image).await?;
    let known = match entry.decide(request, studio.sizes) {
        Decision::Stale => return Ok(Synced::Stale),
        Decision::Ask(known) => known,
    };
    let asked = source.fetch(&request.url, &known).await;
    costs.requests = asked.requests;
    match (asked.answer?, entry.record) {
        (Fetched::Unchanged, Some(record)) => {
            costs.digest = Some(record.original.digest.clone());
            if record.asked_at != request.asked_at {
                let record = ImageRecord { asked_at: request.asked_at, fetched_at: clock.now(), ..record };
                manifest.keep(&request.image, &record).await?;
            }
            Ok(Synced::Unchanged)
        }
        // Nothing was known that could be unchanged.
        (Fetched::Unchanged, None) => Err(PortError::unreadable("images.fetch").into()),
        (Fetched::Changed(spooled), _) => {
            (costs.bytes, costs.digest) = (spooled.bytes, Some(spooled.digest.clone()));
            let picture = studio.inspect(&spooled).await?;
            let record = record(request, &spooled, picture, studio.sizes, clock);
            let synced = store(&record, &spooled, picture, bucket, studio, costs).await?;
            manifest.keep(&request.image, &record).await?;
            Ok(synced)
        }
    }
}

fn record(
    request: &ImageRequest,
    spooled: &Spooled,
    Picture { format, width, height }: Picture,
    sizes: &[u32],
    clock: &impl Clock,
) -> ImageRecord {
    let original = Original { digest: spooled.digest.clone(), format, bytes: spooled.bytes, width, height };
    ImageRecord {
        asked_at: request.asked_at,
        fetched_at: clock.now(),
        url: request.url.clone(),
        original,
        validators: spooled.validators.clone(),
        thumbnails: sizes.to_vec(),
    }
}

/// What the bucket lacks of a picture. Without the original it may lack everything: that comes last. With it, it lacks
/// thumbnails that were not asked for when it was stored.
async fn missing(record: &ImageRecord, bucket: &impl ImageBucket) -> Result<Vec<ImageObject>, PortError> {
    let Original { digest, format, .. } = &record.original;
    if !bucket.has(&ImageObject::Original(digest.clone(), *format)).await? {
        return Ok(record.objects().collect());
    }
    let lacks =
        |object: ImageObject| async move { Ok::<_, PortError>((!bucket.has(&object).await?).then_some(object)) };
    Ok(try_join_all(record.objects().skip(1).map(lacks)).await?.into_iter().flatten().collect())
}

/// Puts what the bucket lacks of a picture, the original last: another product may have had the same.
async fn store(
    record: &ImageRecord,
    spooled: &Spooled,
    picture: Picture,
    bucket: &impl ImageBucket,
    studio: &Studio,
    costs: &mut Costs,
) -> Result<Synced, NotSynced> {
    let missing = missing(record, bucket).await?;
    let sizes = missing.iter().filter_map(|object| match object {
        ImageObject::Thumbnail(_, size) => Some(*size),
        ImageObject::Original(..) => None,
    });
    let digest = &record.original.digest;
    for thumbnail in studio.thumbnails(spooled, picture, sizes.collect()).await? {
        let object = ImageObject::Thumbnail(digest.clone(), thumbnail.size);
        let stored = bucket.put(&object, ObjectBody::Bytes(&thumbnail.webp)).await?;
        costs.thumbnails += usize::from(stored == Stored::Now);
        costs.puts += u32::from(stored == Stored::Now);
    }
    let mut synced = Synced::Known;
    for object in missing.iter().filter(|object| matches!(object, ImageObject::Original(..))) {
        let body = ObjectBody::Content(&spooled.content, spooled.bytes, digest);
        if bucket.put(object, body).await? == Stored::Now {
            costs.puts += 1;
            synced = Synced::Stored;
        }
    }
    Ok(synced)
}
