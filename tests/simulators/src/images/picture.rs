//! Pictures made by code: the same seed is the same picture, byte for byte.

use std::io::Cursor;
use std::sync::{Arc, LazyLock};

use fastrand::Rng;
use image::{ImageFormat, Rgb, RgbImage};
use sha2::{Digest, Sha256};

/// What a JPEG begins with, and the marker of a comment.
const START_OF_IMAGE: [u8; 2] = [0xFF, 0xD8];
const COMMENT: [u8; 2] = [0xFF, 0xFE];
/// A comment with its marker: its own length is 16 bits, which count themselves and not the marker.
const COMMENT_BYTES: u64 = 65_537;
/// The marker and the length of a comment.
const COMMENT_HEAD_BYTES: usize = 4;
/// An endless body has so many bytes: at 1 GB a second they last for 292 years.
const ENDLESS_BYTES: u64 = 1 << 63;

/// What all comments are filled with, but for their first bytes, which tell them apart.
static FILLER: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut random = Rng::with_seed(0);
    std::iter::repeat_with(|| random.u8(..)).take(usize::from(u16::MAX)).collect()
});

/// How a picture is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `image/jpeg`
    Jpeg,
    /// `image/png`
    Png,
    /// `image/webp`, without loss.
    WebP,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Jpeg, Self::Png, Self::WebP];

    /// Its media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
        }
    }

    fn of(self) -> ImageFormat {
        match self {
            Self::Jpeg => ImageFormat::Jpeg,
            Self::Png => ImageFormat::Png,
            Self::WebP => ImageFormat::WebP,
        }
    }
}

/// What is served: bytes, and perhaps filler between them that is made while it is read, so that a body of a gigabyte
/// costs no memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    start: Arc<[u8]>,
    filler_bytes: u64,
    seed: u64,
    end: Arc<[u8]>,
}

impl Body {
    /// These bytes.
    pub fn of(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self { start: bytes.into(), filler_bytes: 0, seed: 0, end: Arc::default() }
    }

    /// Nothing.
    pub fn empty() -> Self {
        Self::of([])
    }

    /// A picture of this size: a sky that grows darker and a few coloured boxes.
    ///
    /// # Panics
    /// When there is not one pixel, or more to a side than the format can say.
    pub fn picture(format: Format, seed: u64, (width, height): (u32, u32)) -> Self {
        let mut random = Rng::with_seed(seed);
        let sky: [u8; 3] = [random.u8(..), random.u8(..), random.u8(..)];
        let mut picture = RgbImage::from_fn(width, height, |x, y| {
            let shade = |at: u32, of: u32| u8::try_from(u64::from(at) * 96 / u64::from(of.max(1))).unwrap_or(u8::MAX);
            let [red, green, blue] = sky;
            Rgb([red.wrapping_add(shade(x, width)), green.wrapping_add(shade(y, height)), blue])
        });
        for _ in 0..6 {
            let colour = Rgb([random.u8(..), random.u8(..), random.u8(..)]);
            let (left, top) = (random.u32(0..width), random.u32(0..height));
            for y in top..height.min(top + height / 4 + 1) {
                for x in left..width.min(left + width / 4 + 1) {
                    picture.put_pixel(x, y, colour);
                }
            }
        }
        let mut written = Cursor::new(Vec::new());
        picture.write_to(&mut written, format.of()).expect("a picture of some pixels can be written");
        Self::of(written.into_inner())
    }

    /// A JPEG of exactly so many bytes, or its own length where that is more: between its first marker and the rest
    /// stand comments. Decoders skip them, so it is as valid as it was.
    pub fn padded(seed: u64, size: (u32, u32), bytes: u64) -> Self {
        let Self { start: picture, .. } = Self::picture(Format::Jpeg, seed, size);
        let rest = picture.get(START_OF_IMAGE.len()..).unwrap_or_default();
        let filler_bytes = bytes.saturating_sub(length_of(&picture));
        Self { start: Arc::from(START_OF_IMAGE), filler_bytes, seed, end: Arc::from(rest) }
    }

    /// A JPEG whose comments never end.
    pub fn endless(seed: u64) -> Self {
        Self { start: Arc::from(START_OF_IMAGE), filler_bytes: ENDLESS_BYTES, seed, end: Arc::default() }
    }

    /// How many bytes there are.
    pub fn len(&self) -> u64 {
        length_of(&self.start) + self.filler_bytes + length_of(&self.end)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes from `offset` on, as many as there are and fit; gives how many.
    pub fn read(&self, offset: u64, into: &mut [u8]) -> usize {
        let mut read = 0;
        while let Some(rest) = into.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match self.read_piece(offset + length(read), rest) {
                0 => break,
                more => read += more,
            }
        }
        read
    }

    fn read_piece(&self, offset: u64, into: &mut [u8]) -> usize {
        let Some(in_filler) = offset.checked_sub(length_of(&self.start)) else {
            return copy(&self.start, offset, into);
        };
        match in_filler.checked_sub(self.filler_bytes) {
            Some(in_end) => copy(&self.end, in_end, into),
            None => self.read_comment(in_filler, into),
        }
    }

    /// A piece of one comment. Fewer bytes than a comment's head are fill bytes, which may stand before any marker
    /// (ITU-T T.81, B.1.1.2).
    fn read_comment(&self, offset: u64, into: &mut [u8]) -> usize {
        let (nth, inside) = (offset / COMMENT_BYTES, offset % COMMENT_BYTES);
        let whole = (self.filler_bytes - nth * COMMENT_BYTES).min(COMMENT_BYTES);
        let mut head = Vec::with_capacity(COMMENT_HEAD_BYTES + 16);
        match u16::try_from(whole.saturating_sub(length_of(&COMMENT))) {
            Ok(said) if whole >= length(COMMENT_HEAD_BYTES) => {
                head.extend(COMMENT);
                head.extend(said.to_be_bytes());
                head.extend(self.seed.to_le_bytes());
                head.extend(nth.to_le_bytes());
            }
            _ => head.extend([0xFF; COMMENT_HEAD_BYTES]),
        }
        let left = usize::try_from(whole - inside).unwrap_or(usize::MAX).min(into.len());
        let into = into.get_mut(..left).unwrap_or_default();
        match inside.checked_sub(length_of(&head)) {
            None => copy(&head, inside, into),
            Some(in_filler) => copy(&FILLER, in_filler, into),
        }
    }

    /// All of it. Not of an endless one.
    pub fn bytes(&self) -> Vec<u8> {
        let mut all = vec![0; usize::try_from(self.len()).expect("a body that fits the memory")];
        let read = self.read(0, &mut all);
        all.truncate(read);
        all
    }

    /// The digest of all of it. Not of an endless one.
    pub fn sha256(&self) -> [u8; 32] {
        let (mut digest, mut buffer, mut offset) = (Sha256::new(), vec![0; 64 * 1024], 0);
        loop {
            let read = self.read(offset, &mut buffer);
            let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else {
                return digest.finalize().into();
            };
            digest.update(piece);
            offset += length(read);
        }
    }

    /// What tells it from others, without reading its filler.
    pub(super) fn tag(&self) -> String {
        let mut digest = Sha256::new();
        digest.update(&self.start);
        digest.update(self.filler_bytes.to_le_bytes());
        digest.update(self.seed.to_le_bytes());
        digest.update(&self.end);
        digest.finalize().iter().take(8).map(|byte| format!("{byte:02X}")).collect()
    }
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

fn length_of(bytes: &[u8]) -> u64 {
    length(bytes.len())
}

fn copy(from: &[u8], offset: u64, into: &mut [u8]) -> usize {
    let from = usize::try_from(offset).ok().and_then(|offset| from.get(offset..)).unwrap_or_default();
    let bytes = from.len().min(into.len());
    if let (Some(into), Some(from)) = (into.get_mut(..bytes), from.get(..bytes)) {
        into.copy_from_slice(from);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(body: &Body) -> image::DynamicImage {
        image::load_from_memory(&body.bytes()).unwrap()
    }

    #[test]
    fn a_picture_decodes_and_its_seed_alone_decides_it() {
        for format in Format::ALL {
            let body = Body::picture(format, 7, (60, 40));
            assert_eq!(image::guess_format(&body.bytes()).unwrap(), format.of());
            let decoded = decode(&body);
            assert_eq!((decoded.width(), decoded.height()), (60, 40));
            assert_eq!(body, Body::picture(format, 7, (60, 40)));
            assert_ne!(body.sha256(), Body::picture(format, 8, (60, 40)).sha256());
        }
    }

    #[test]
    fn a_padded_jpeg_has_exactly_its_length_and_the_same_pixels() {
        let plain = Body::picture(Format::Jpeg, 3, (32, 32));
        for more in [0, 1, 3, 4, 5, 20, 21, 65_536, 65_537, 65_538, 65_540, 65_541, 200_000, 3 << 20] {
            let padded = Body::padded(3, (32, 32), plain.len() + more);
            assert_eq!(padded.len(), plain.len() + more);
            assert_eq!(length_of(&padded.bytes()), padded.len(), "{more} bytes more");
            assert_eq!(decode(&padded), decode(&plain), "{more} bytes more");
        }
        assert_eq!(Body::padded(3, (32, 32), 10).bytes(), plain.bytes(), "it is never shorter than it is");
    }

    #[test]
    fn a_body_reads_the_same_whole_and_in_pieces() {
        let body = Body::padded(5, (16, 16), 150_000);
        let (whole, mut random) = (body.bytes(), Rng::with_seed(1));
        for _ in 0..200 {
            let (from, most) = (random.usize(0..whole.len()), random.usize(1..70_000));
            let mut piece = vec![0; most];
            let read = body.read(length(from), &mut piece);
            assert_eq!(piece[..read], whole[from..whole.len().min(from + most)]);
        }
        assert_eq!(body.sha256(), <[u8; 32]>::from(Sha256::digest(&whole)));
        assert_eq!(body.read(body.len(), &mut [0; 8]), 0);
    }

    #[test]
    fn bodies_of_one_length_differ_by_their_seed_in_digest_and_tag() {
        let (one, other) = (Body::padded(1, (16, 16), 1 << 20), Body::padded(2, (16, 16), 1 << 20));
        assert_ne!(one.sha256(), other.sha256());
        assert_ne!(one.tag(), other.tag());
        assert_eq!(one.tag(), Body::padded(1, (16, 16), 1 << 20).tag());
    }

    #[test]
    fn an_endless_body_has_bytes_wherever_one_reads() {
        let body = Body::endless(1);
        assert_eq!(body.read(1 << 60, &mut [0; 1_000]), 1_000);
        let mut start = [0; 4];
        assert_eq!((body.read(0, &mut start), start), (4, [0xFF, 0xD8, 0xFF, 0xFE]));
    }
}
