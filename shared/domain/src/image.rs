//! Pictures of products: who asks for which, what is kept of each, and what follows for the next request.
//!
//! Invariant (law 2): a record and a mark of removal are facts of their own, each the latest of its kind. Whether a
//! picture is removed follows from both, so that they may come in any order.

use std::cmp::Ordering;
use std::fmt;

use crate::fact::Prefer;
use crate::id::{ImageUrl, MessageId, Position, ProductId, ShopId, Validator};
use crate::time::UnixMillis;
use crate::trade::Marketplace;

/// A product of a marketplace, as one of our shops sees it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProductKey {
    /// Where.
    pub marketplace: Marketplace,
    /// Our account there.
    pub shop: ShopId,
    /// The marketplace's name of it.
    pub product_id: ProductId,
}

impl fmt::Display for ProductKey {
    /// `marketplace#shop#product_id`, the form of the images table's key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}#{}#{}", self.marketplace.as_str(), self.shop, self.product_id)
    }
}

/// The text is not `marketplace#shop#product_id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("product key is not marketplace#shop#product_id")]
pub struct InvalidProductKey;

impl std::str::FromStr for ProductKey {
    type Err = InvalidProductKey;
    fn from_str(text: &str) -> Result<Self, InvalidProductKey> {
        let mut parts = text.splitn(3, '#');
        let mut part = || parts.next().ok_or(InvalidProductKey);
        Ok(Self {
            marketplace: Marketplace::from_name(part()?).map_err(|_| InvalidProductKey)?,
            shop: ShopId::new(part()?).map_err(|_| InvalidProductKey)?,
            product_id: ProductId::new(part()?).map_err(|_| InvalidProductKey)?,
        })
    }
}

/// A marketplace's report that a product changed. What changed is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductChange {
    /// Which product.
    pub product: ProductKey,
    /// When it was said.
    pub at: UnixMillis,
    /// In which message.
    pub id: MessageId,
}

/// A picture of a product.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageKey {
    /// The product.
    pub product: ProductKey,
    /// Which of its pictures.
    pub position: Position,
}

impl fmt::Display for ImageKey {
    /// `marketplace#shop#product_id#position`, as logs name it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}#{}", self.product, self.position)
    }
}

/// A picture is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRequest {
    /// Which.
    pub image: ImageKey,
    /// Where it is.
    pub url: ImageUrl,
    /// When the product was seen to have it there.
    pub asked_at: UnixMillis,
    /// Fetched whatever is known of it: the bucket has lost some of it.
    pub refetch: bool,
}

/// A form of pictures that is taken. Told from the content, never from a name or a header. Declared in the order of
/// their extensions, so that records compare alike whether by format or by the manifest's word for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// GIF.
    Gif,
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
    /// WebP.
    Webp,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Jpeg, Self::Png, Self::Webp, Self::Gif];

    /// What a file's name ends with, and the manifest's word.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Webp => "webp",
            Self::Gif => "gif",
        }
    }

    /// The media type. Source: IANA media types, image.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
            Self::Gif => "image/gif",
        }
    }

    /// The format of that extension.
    pub fn from_extension(extension: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.extension() == extension)
    }

    /// The format of a file that begins so: its magic bytes. Sources: ITU-T T.81 B.1.1, RFC 2083 3.1, RFC 9649 2.4,
    /// GIF89a 17.
    pub fn of(head: &[u8]) -> Option<Self> {
        match head {
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::Webp),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Self::Gif),
            _ => None,
        }
    }
}

/// A SHA-256 in lower-case hex: the name of a picture's bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageDigest(String);

impl ImageDigest {
    const HEX_BYTES: usize = 64;

    /// The digest of that text; `None` for anything but 64 digits of lower-case hex.
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        (text.len() == Self::HEX_BYTES && text.bytes().all(is_digit)).then_some(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ImageDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The longest sides of the thumbnails that are made, in pixels: of a list, and of a product's page.
pub const THUMBNAIL_SIZES: [u32; 2] = [200, 800];

/// What is in the bucket. Its name follows from the original's bytes alone, so nothing is ever written over.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ImageObject {
    /// A picture as it was fetched.
    Original(ImageDigest, Format),
    /// A thumbnail of the original with this digest, at most so many pixels on its longest side.
    Thumbnail(ImageDigest, u32),
}

impl ImageObject {
    /// The key in the bucket: `originals/<sha256>.<ext>`, `thumbnails/<sha256>-<size>.webp`.
    pub fn key(&self) -> String {
        match self {
            Self::Original(digest, format) => format!("originals/{digest}.{}", format.extension()),
            Self::Thumbnail(digest, size) => format!("thumbnails/{digest}-{size}.webp"),
        }
    }

    /// The object of that key; `None` when it is not one of ours.
    pub fn from_key(key: &str) -> Option<Self> {
        if let Some(name) = key.strip_prefix("originals/") {
            let (digest, extension) = name.split_once('.')?;
            return Some(Self::Original(ImageDigest::new(digest)?, Format::from_extension(extension)?));
        }
        let (digest, size) = key.strip_prefix("thumbnails/")?.strip_suffix(".webp")?.split_once('-')?;
        let size = THUMBNAIL_SIZES.into_iter().find(|known| known.to_string() == size)?;
        Some(Self::Thumbnail(ImageDigest::new(digest)?, size))
    }

    /// The media type.
    pub const fn media_type(&self) -> &'static str {
        match self {
            Self::Original(_, format) => format.media_type(),
            Self::Thumbnail(..) => Format::Webp.media_type(),
        }
    }
}

/// An original: its name, and its size in both senses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Original {
    /// The SHA-256 of its bytes.
    pub digest: ImageDigest,
    /// Its form.
    pub format: Format,
    /// How long it is, in bytes.
    pub bytes: u64,
    /// Its width as it is stored, in pixels.
    pub width: u32,
    /// Its height as it is stored, in pixels.
    pub height: u32,
}

/// What a host gave to ask again with. Source: RFC 9110, 8.8.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Validators {
    /// `ETag`.
    pub etag: Option<Validator>,
    /// `Last-Modified`.
    pub last_modified: Option<Validator>,
}

impl Validators {
    /// Whether the host gave none.
    pub const fn is_empty(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }
}

/// What the manifest keeps of a picture that was fetched, declared by preference: of two records the one that was asked
/// for later stands, then the one that was fetched later.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageRecord {
    /// When the product was seen to have it at `url`.
    pub asked_at: UnixMillis,
    /// When the host last said that this is what is there.
    pub fetched_at: UnixMillis,
    /// Where it was fetched.
    pub url: ImageUrl,
    /// What it is.
    pub original: Original,
    /// What the host gave to ask again with.
    pub validators: Validators,
    /// The thumbnails that were made of it.
    pub thumbnails: Vec<u32>,
}

impl Prefer for ImageRecord {
    fn is_preferred_to(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Greater
    }
}

impl ImageRecord {
    /// Everything of it that is in the bucket.
    pub fn objects(&self) -> impl Iterator<Item = ImageObject> + '_ {
        let digest = &self.original.digest;
        let thumbnails = self.thumbnails.iter().map(|size| ImageObject::Thumbnail(digest.clone(), *size));
        std::iter::once(ImageObject::Original(digest.clone(), self.original.format)).chain(thumbnails)
    }
}

/// What is known of a picture when it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// Nothing that helps.
    Nothing,
    /// What the host gave to ask again with; at least one of it.
    Validators(Validators),
    /// How long it is, in bytes: all that is left to compare with a host that gives no validator.
    Length(u64),
}

/// What is to be done about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It is older than what is kept: nothing.
    Stale,
    /// Ask the host, with what is known.
    Ask(Known),
}

/// All that is kept of a picture.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageEntry {
    /// The latest that was fetched.
    pub record: Option<ImageRecord>,
    /// When the product was last seen without it.
    pub removed_at: Option<UnixMillis>,
}

impl ImageEntry {
    /// Whether the product no longer has it. Its bytes stay.
    pub fn is_removed(&self) -> bool {
        let asked_at = self.record.as_ref().map(|record| record.asked_at);
        self.removed_at.is_some_and(|removed_at| asked_at.is_none_or(|asked_at| asked_at < removed_at))
    }

    /// What is to be done about a request. Another URL is another picture: what is known of the old one says nothing of
    /// it. Bytes and names of the old one stay until the new one is there.
    pub fn decide(&self, request: &ImageRequest, thumbnails: &[u32]) -> Decision {
        let Some(record) = &self.record else { return Decision::Ask(Known::Nothing) };
        if request.asked_at < record.asked_at {
            return Decision::Stale;
        }
        let lacks = thumbnails.iter().any(|size| !record.thumbnails.contains(size));
        if request.refetch || lacks || request.url != record.url {
            return Decision::Ask(Known::Nothing);
        }
        Decision::Ask(match record.validators.is_empty() {
            true => Known::Length(record.original.bytes),
            false => Known::Validators(record.validators.clone()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> UnixMillis {
        UnixMillis::from_seconds(seconds).unwrap()
    }

    fn digest() -> ImageDigest {
        ImageDigest::new("0123456789abcdef".repeat(4)).unwrap()
    }

    fn request(seconds: i64, url: &str) -> ImageRequest {
        let product = "1688#demo#548818919805".parse().unwrap();
        let image = ImageKey { product, position: Position::new("main-1").unwrap() };
        ImageRequest { image, url: ImageUrl::new(url).unwrap(), asked_at: at(seconds), refetch: false }
    }

    fn record(seconds: i64, url: &str, etag: Option<&str>) -> ImageRecord {
        let original = Original { digest: digest(), format: Format::Jpeg, bytes: 7, width: 1, height: 1 };
        let etag = etag.map(|etag| Validator::new(etag).unwrap());
        ImageRecord {
            asked_at: at(seconds),
            fetched_at: at(seconds + 1),
            url: ImageUrl::new(url).unwrap(),
            original,
            validators: Validators { etag, last_modified: None },
            thumbnails: THUMBNAIL_SIZES.to_vec(),
        }
    }

    fn entry(record: ImageRecord) -> ImageEntry {
        ImageEntry { record: Some(record), removed_at: None }
    }

    #[test]
    fn an_object_reads_back_from_its_key_and_nothing_else_is_one() {
        for object in [
            ImageObject::Original(digest(), Format::Jpeg),
            ImageObject::Original(digest(), Format::Webp),
            ImageObject::Thumbnail(digest(), 200),
            ImageObject::Thumbnail(digest(), 800),
        ] {
            assert_eq!(ImageObject::from_key(&object.key()), Some(object));
        }
        let hex = digest();
        for key in [
            format!("originals/{hex}.exe"),
            format!("originals/{}.jpg", hex.as_str().to_uppercase()),
            format!("originals/{hex}"),
            format!("thumbnails/{hex}-0200.webp"),
            format!("thumbnails/{hex}-100.webp"),
            format!("other/{hex}.jpg"),
        ] {
            assert_eq!(ImageObject::from_key(&key), None, "{key}");
        }
    }

    #[test]
    fn a_picture_is_asked_for_with_what_is_known_of_its_own_url() {
        let decide = |entry: ImageEntry, request: ImageRequest| entry.decide(&request, &THUMBNAIL_SIZES);
        let (url, other) = ("https://cbu01.alicdn.com/a.jpg", "https://cbu01.alicdn.com/b.jpg");
        assert_eq!(decide(ImageEntry::default(), request(1, url)), Decision::Ask(Known::Nothing));
        let tagged = || entry(record(5, url, Some("\"e\"")));
        let validators = tagged().record.unwrap().validators;
        assert_eq!(decide(tagged(), request(5, url)), Decision::Ask(Known::Validators(validators)));
        assert_eq!(decide(tagged(), request(6, other)), Decision::Ask(Known::Nothing));
        assert_eq!(decide(tagged(), request(4, url)), Decision::Stale);
        assert_eq!(decide(entry(record(5, url, None)), request(5, url)), Decision::Ask(Known::Length(7)));
        let again = ImageRequest { refetch: true, ..request(5, url) };
        assert_eq!(decide(tagged(), again), Decision::Ask(Known::Nothing));
        let bare = entry(ImageRecord { thumbnails: vec![200], ..record(5, url, Some("\"e\"")) });
        assert_eq!(decide(bare.clone(), request(5, url)), Decision::Ask(Known::Nothing));
        assert_ne!(bare.decide(&request(5, url), &[200]), Decision::Ask(Known::Nothing));
    }

    #[test]
    fn a_removed_picture_that_is_asked_for_later_is_there_again() {
        let url = "https://cbu01.alicdn.com/a.jpg";
        let removed = ImageEntry { removed_at: Some(at(6)), ..entry(record(5, url, None)) };
        assert!(removed.is_removed());
        let again = ImageEntry { removed_at: Some(at(6)), ..entry(record(7, url, None)) };
        assert!(!again.is_removed() && !entry(record(5, url, None)).is_removed());
        assert!(ImageEntry { record: None, removed_at: Some(at(1)) }.is_removed());
    }

    #[test]
    fn formats_sort_like_their_extensions() {
        for one in Format::ALL {
            for other in Format::ALL {
                assert_eq!(one.cmp(&other), one.extension().cmp(other.extension()), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn of_two_records_exactly_one_is_preferred() {
        let url = "https://cbu01.alicdn.com/a.jpg";
        let (first, second) = (record(5, url, None), record(5, url, Some("\"e\"")));
        assert!(first.is_preferred_to(&second) != second.is_preferred_to(&first));
        let later = ImageRecord { asked_at: at(6), ..first.clone() };
        assert!(later.is_preferred_to(&first) && later.is_preferred_to(&second));
    }
}
