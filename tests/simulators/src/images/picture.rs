//! Pictures made by code: the same seed is the same picture, byte for byte.

use std::sync::{Arc, LazyLock};

use fastrand::Rng;
use image_webp::WebPEncoder;
use jpeg_encoder::{ColorType, Encoder};
use sha2::{Digest, Sha256};

/// The markers that a JPEG begins with, that a comment begins with, and that the pixels follow (ITU-T T.81, B.1.1.3).
const START_OF_IMAGE: [u8; 2] = [0xFF, 0xD8];
const COMMENT: [u8; 2] = [0xFF, 0xFE];
const START_OF_SCAN: u8 = 0xDA;
/// A comment with its marker: its own length is 16 bits, which count themselves and not the marker.
const COMMENT_BYTES: u64 = 65_537;
/// The marker and the length of a comment.
const COMMENT_HEAD_BYTES: usize = 4;
/// Good enough that a flat colour stays one.
const JPEG_QUALITY: u8 = 85;
/// How many patches are in a picture, and how much darker its sky grows.
const PATCHES: usize = 6;
const SHADE: u32 = 96;
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

    /// Rows of pixels of three bytes, written in this format.
    fn written(self, pixels: &[u8], (width, height): (u16, u16)) -> Vec<u8> {
        let (mut written, wide, high) = (Vec::new(), u32::from(width), u32::from(height));
        let is_written = match self {
            Self::Jpeg => {
                Encoder::new(&mut written, JPEG_QUALITY).encode(pixels, width, height, ColorType::Rgb).is_ok()
            }
            Self::WebP => {
                WebPEncoder::new(&mut written).encode(pixels, wide, high, image_webp::ColorType::Rgb8).is_ok()
            }
            Self::Png => {
                let mut encoder = png::Encoder::new(&mut written, wide, high);
                encoder.set_color(png::ColorType::Rgb);
                encoder.write_header().and_then(|mut writer| writer.write_image_data(pixels)).is_ok()
            }
        };
        assert!(is_written, "a picture of some pixels can be written");
        written
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

    /// A picture of this size: a sky that grows darker and a few coloured patches.
    ///
    /// # Panics
    /// When there is not one pixel, or more to a side than the format can say.
    pub fn picture(format: Format, seed: u64, (width, height): (u16, u16)) -> Self {
        let mut random = Rng::with_seed(seed);
        let sky: [u8; 3] = [random.u8(..), random.u8(..), random.u8(..)];
        let patches: Vec<Patch> =
            std::iter::repeat_with(|| Patch::any(&mut random, (width, height))).take(PATCHES).collect();
        let shade = |at: u16, of: u16| u8::try_from(u32::from(at) * SHADE / u32::from(of.max(1))).unwrap_or(u8::MAX);
        let pixel = |(x, y): (u16, u16)| {
            let [red, green, blue] = sky;
            let plain = [red.wrapping_add(shade(x, width)), green.wrapping_add(shade(y, height)), blue];
            patches.iter().rev().find(|filled| filled.has((x, y))).map_or(plain, |filled| filled.colour)
        };
        let pixels: Vec<u8> = (0..height).flat_map(|y| (0..width).flat_map(move |x| pixel((x, y)))).collect();
        Self::of(format.written(&pixels, (width, height)))
    }

    /// A JPEG of exactly so many bytes, or its own length where that is more: between its tables and its pixels stand
    /// comments. Decoders skip them, so it is as valid as it was, and its size is told near its beginning.
    pub fn padded(seed: u64, size: (u16, u16), bytes: u64) -> Self {
        let Self { start: picture, .. } = Self::picture(Format::Jpeg, seed, size);
        let filler_bytes = bytes.saturating_sub(length_of(&picture));
        let (tables, pixels) = picture.split_at(start_of_scan(&picture).unwrap_or(START_OF_IMAGE.len()));
        Self { start: Arc::from(tables), filler_bytes, seed, end: Arc::from(pixels) }
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

/// Where the pixels of a JPEG begin. Each segment before them says its length.
fn start_of_scan(jpeg: &[u8]) -> Option<usize> {
    let mut at = START_OF_IMAGE.len();
    loop {
        match jpeg.get(at..)? {
            [0xFF, START_OF_SCAN, ..] => return Some(at),
            [0xFF, _, high, low, ..] => at += 2 + usize::from(u16::from_be_bytes([*high, *low])),
            _ => return None,
        }
    }
}

/// A coloured patch in a picture.
struct Patch {
    corner: (u16, u16),
    size: (u16, u16),
    colour: [u8; 3],
}

impl Patch {
    fn any(random: &mut Rng, (width, height): (u16, u16)) -> Self {
        Self {
            corner: (random.u16(0..width), random.u16(0..height)),
            size: (width / 4 + 1, height / 4 + 1),
            colour: [random.u8(..), random.u8(..), random.u8(..)],
        }
    }

    fn has(&self, (x, y): (u16, u16)) -> bool {
        let within = |at: u16, from: u16, size: u16| at.checked_sub(from).is_some_and(|at| at < size);
        within(x, self.corner.0, self.size.0) && within(y, self.corner.1, self.size.1)
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
    use std::io::Cursor;

    use super::*;

    /// The pixels of a JPEG.
    fn decode(body: &Body) -> Vec<u8> {
        jpeg_decoder::Decoder::new(body.bytes().as_slice()).decode().unwrap()
    }

    #[test]
    fn a_picture_decodes_and_its_seed_alone_decides_it() {
        let size = |body: &Body, format| {
            let bytes = Cursor::new(body.bytes());
            match format {
                Format::Jpeg => {
                    let mut decoder = jpeg_decoder::Decoder::new(bytes);
                    let pixels = decoder.decode().unwrap();
                    let told = decoder.info().unwrap();
                    (u32::from(told.width), u32::from(told.height), pixels)
                }
                Format::Png => {
                    let mut reader = png::Decoder::new(bytes).read_info().unwrap();
                    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
                    let told = reader.next_frame(&mut pixels).unwrap();
                    (told.width, told.height, pixels)
                }
                Format::WebP => {
                    let mut decoder = image_webp::WebPDecoder::new(bytes).unwrap();
                    let mut pixels = vec![0; decoder.output_buffer_size().unwrap()];
                    decoder.read_image(&mut pixels).unwrap();
                    (decoder.dimensions().0, decoder.dimensions().1, pixels)
                }
            }
        };
        for format in Format::ALL {
            let body = Body::picture(format, 7, (60, 40));
            let (width, height, pixels) = size(&body, format);
            assert_eq!((width, height, pixels.len()), (60, 40, 60 * 40 * 3));
            assert_eq!(body, Body::picture(format, 7, (60, 40)));
            assert_ne!(body.sha256(), Body::picture(format, 8, (60, 40)).sha256());
        }
        let pixels = |format| size(&Body::picture(format, 7, (60, 40)), format).2;
        assert_eq!(pixels(Format::Png), pixels(Format::WebP), "neither loses anything");
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
