//! The ports of pictures in memory: products, the manifest, the queue, the bucket, and the hosts.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::ops::Bound;
use std::sync::Arc;

use domain::fact::join;
use domain::{
    ImageDigest, ImageEntry, ImageKey, ImageObject, ImageRecord, ImageRequest, ImageUrl, Known, ListingDigest,
    Marketplace, Outcome, Position, ProductKey, ShopId, UnixMillis, Validator, Validators,
};
use sha2::{Digest, Sha256};

use super::twins::Shared;
use crate::error::{Cause, Certainty, PortError};
use crate::ports::{
    Asked, Fetched, ImageBucket, ImageQueue, ImageSource, Manifest, NoImage, ObjectBody, Products, Spooled, Stored,
    SweptProduct,
};
use crate::spool::Content;

/// What is kept of a product.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownProduct {
    /// The latest report that it changed.
    pub changed_at: Option<UnixMillis>,
    /// Whether that waits to be swept.
    pub is_pending: bool,
    /// What the list said when it was last swept.
    pub listed: Option<ListingDigest>,
    /// The pictures that were ever asked for.
    pub asked: BTreeSet<Position>,
}

/// Products in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryProducts(Shared<BTreeMap<ProductKey, KnownProduct>>);

impl MemoryProducts {
    /// Everything that is kept.
    pub fn all(&self) -> BTreeMap<ProductKey, KnownProduct> {
        self.0.lock().clone()
    }
}

impl Products for MemoryProducts {
    async fn changed(&self, product: &ProductKey, at: UnixMillis) -> Result<Outcome, PortError> {
        let mut products = self.0.lock();
        let kept = products.entry(product.clone()).or_default();
        match kept.changed_at {
            Some(changed_at) if at < changed_at => return Ok(Outcome::Stale),
            Some(changed_at) if at == changed_at => return Ok(Outcome::Duplicate),
            Some(_) | None => {}
        }
        (kept.changed_at, kept.is_pending) = (Some(at), true);
        Ok(Outcome::Applied)
    }

    async fn pending(
        &self,
        marketplace: Marketplace,
        shop: &ShopId,
        products_max: usize,
    ) -> Result<Vec<(ProductKey, UnixMillis)>, PortError> {
        let products = self.0.lock();
        let is_meant = |key: &ProductKey| key.marketplace == marketplace && key.shop == *shop;
        let mut pending: Vec<(ProductKey, UnixMillis)> = products
            .iter()
            .filter(|(key, known)| is_meant(key) && known.is_pending)
            .filter_map(|(key, known)| Some((key.clone(), known.changed_at?)))
            .collect();
        pending.sort_by_key(|(_, changed_at)| *changed_at);
        pending.truncate(products_max);
        Ok(pending)
    }

    async fn listings(&self, wanted: &[ProductKey]) -> Result<BTreeMap<ProductKey, ListingDigest>, PortError> {
        let products = self.0.lock();
        let listed = |key: &ProductKey| Some((key.clone(), products.get(key)?.listed.clone()?));
        Ok(wanted.iter().filter_map(listed).collect())
    }

    async fn asked(
        &self,
        product: &ProductKey,
        positions: &BTreeSet<Position>,
    ) -> Result<BTreeSet<Position>, PortError> {
        let mut products = self.0.lock();
        if positions.is_empty() {
            return Ok(products.get(product).map(|known| known.asked.clone()).unwrap_or_default());
        }
        let asked = &mut products.entry(product.clone()).or_default().asked;
        asked.extend(positions.iter().cloned());
        Ok(asked.clone())
    }

    async fn swept(&self, product: &ProductKey, swept: &SweptProduct) -> Result<(), PortError> {
        let mut products = self.0.lock();
        let kept = products.entry(product.clone()).or_default();
        if let Some(listed) = &swept.listed {
            kept.listed = Some(listed.clone());
        }
        if swept.changed_at.is_some() && kept.changed_at <= swept.changed_at {
            kept.is_pending = false;
        }
        Ok(())
    }
}

/// The manifest in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryManifest(Shared<BTreeMap<ImageKey, ImageEntry>>);

/// Pictures of a page of a list.
const LISTED_AT_ONCE: usize = 100;

impl MemoryManifest {
    /// Everything that is kept.
    pub fn all(&self) -> BTreeMap<ImageKey, ImageEntry> {
        self.0.lock().clone()
    }
}

impl Manifest for MemoryManifest {
    async fn read(&self, image: &ImageKey) -> Result<ImageEntry, PortError> {
        Ok(self.0.lock().get(image).cloned().unwrap_or_default())
    }

    async fn of_product(&self, product: &ProductKey) -> Result<BTreeMap<Position, ImageEntry>, PortError> {
        let entries = self.0.lock();
        let of_product = entries.iter().filter(|(key, _)| key.product == *product);
        Ok(of_product.map(|(key, entry)| (key.position.clone(), entry.clone())).collect())
    }

    async fn keep(&self, image: &ImageKey, record: &ImageRecord) -> Result<Outcome, PortError> {
        Ok(join(&mut self.0.lock().entry(image.clone()).or_default().record, record.clone()))
    }

    async fn remove(&self, image: &ImageKey, seen_at: UnixMillis) -> Result<Outcome, PortError> {
        let mut entries = self.0.lock();
        let kept = &mut entries.entry(image.clone()).or_default().removed_at;
        Ok(match kept {
            Some(removed_at) if *removed_at == seen_at => Outcome::Duplicate,
            Some(removed_at) if *removed_at > seen_at => Outcome::Stale,
            Some(_) | None => {
                *kept = Some(seen_at);
                Outcome::Applied
            }
        })
    }

    async fn list(&self, after: Option<&ImageKey>) -> Result<Vec<(ImageKey, ImageEntry)>, PortError> {
        let entries = self.0.lock();
        let following = entries.range((after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded));
        Ok(following.take(LISTED_AT_ONCE).map(|(key, entry)| (key.clone(), entry.clone())).collect())
    }
}

/// The image queue in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryImageQueue(Shared<Vec<ImageRequest>>);

impl MemoryImageQueue {
    /// What was queued, in turn.
    pub fn all(&self) -> Vec<ImageRequest> {
        self.0.lock().clone()
    }
}

impl ImageQueue for MemoryImageQueue {
    async fn send(&self, requests: &[ImageRequest]) -> Result<(), PortError> {
        self.0.lock().extend(requests.iter().cloned());
        Ok(())
    }
}

/// The bucket of pictures in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryImageBucket(Shared<BTreeMap<String, Vec<u8>>>);

impl MemoryImageBucket {
    /// Everything that is there, by key.
    pub fn all(&self) -> BTreeMap<String, Vec<u8>> {
        self.0.lock().clone()
    }

    /// Loses an object, as nobody hopes a bucket does.
    pub fn lose(&self, object: &ImageObject) {
        self.0.lock().remove(&object.key());
    }
}

const PUT: &str = "image_bucket.put";

impl ImageBucket for MemoryImageBucket {
    async fn has(&self, object: &ImageObject) -> Result<bool, PortError> {
        Ok(self.0.lock().contains_key(&object.key()))
    }

    async fn put(&self, object: &ImageObject, body: ObjectBody<'_>) -> Result<Stored, PortError> {
        let bytes = match body {
            ObjectBody::Bytes(bytes) => bytes.to_vec(),
            ObjectBody::Content(content, length, digest) => whole(content, length, digest)?,
        };
        let mut objects = self.0.lock();
        if objects.contains_key(&object.key()) {
            return Ok(Stored::Before);
        }
        objects.insert(object.key(), bytes);
        Ok(Stored::Now)
    }

    async fn list(&self, after: Option<&ImageObject>) -> Result<Vec<ImageObject>, PortError> {
        let objects = self.0.lock();
        let after = after.map(ImageObject::key);
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let keys = objects.range((start, Bound::Unbounded)).filter_map(|(key, _)| ImageObject::from_key(key));
        Ok(keys.take(LISTED_AT_ONCE).collect())
    }
}

/// All bytes, when they are as long as was said and have the digest that was said: S3 checks both.
fn whole(content: &Content, length: u64, digest: &ImageDigest) -> Result<Vec<u8>, PortError> {
    let rejected = || PortError::new(PUT, Cause::Rejected, Certainty::Determinate);
    let mut bytes = Vec::new();
    content.open().and_then(|mut opened| opened.read_to_end(&mut bytes)).map_err(|_| rejected())?;
    let is_whole = u64::try_from(bytes.len()).ok() == Some(length) && digest_of(&bytes).as_ref() == Some(digest);
    if is_whole { Ok(bytes) } else { Err(rejected()) }
}

/// The name of these bytes.
pub fn digest_of(bytes: &[u8]) -> Option<ImageDigest> {
    ImageDigest::new(hex::encode(Sha256::digest(bytes)))
}

/// A picture at a host in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostedImage {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What the host calls this state of it; nothing when it has no validators.
    pub etag: Option<Validator>,
}

/// Hosts of pictures in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryImageHosts {
    images: Shared<BTreeMap<ImageUrl, HostedImage>>,
    refused: Shared<BTreeSet<ImageUrl>>,
}

impl MemoryImageHosts {
    /// Has a picture at a URL from now on; another one than before, when there was one.
    pub fn set(&self, url: &ImageUrl, image: HostedImage) {
        self.images.lock().insert(url.clone(), image);
    }

    /// Is no host that we ask, for this URL.
    pub fn refuse(&self, url: &ImageUrl) {
        self.refused.lock().insert(url.clone());
    }

    fn answer(&self, url: &ImageUrl, known: &Known) -> Result<Fetched, NoImage> {
        const FETCH: &str = "images.fetch";
        if self.refused.lock().contains(url) {
            return Err(NoImage::Refused("host_not_allowed: the host is not one that we ask".to_owned()));
        }
        let image = self.images.lock().get(url).cloned();
        let image = image.ok_or(PortError::new(FETCH, Cause::Rejected, Certainty::Determinate))?;
        let bytes = u64::try_from(image.bytes.len()).unwrap_or(u64::MAX);
        let is_known = match known {
            Known::Nothing => false,
            Known::Validators(validators) => validators.etag.is_some() && validators.etag == image.etag,
            Known::Length(length) => *length == bytes,
        };
        if is_known {
            return Ok(Fetched::Unchanged);
        }
        let digest = digest_of(&image.bytes).ok_or(PortError::unreadable(FETCH))?;
        let content = Arc::new(Content::Held(image.bytes.into()));
        let validators = Validators { etag: image.etag, last_modified: None };
        Ok(Fetched::Changed(Spooled { content, digest, bytes, validators }))
    }
}

impl ImageSource for MemoryImageHosts {
    async fn fetch(&self, url: &ImageUrl, known: &Known) -> Asked {
        Asked { answer: self.answer(url, known), requests: 1 }
    }
}
