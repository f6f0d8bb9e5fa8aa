//! WebP (RFC 9649). Of an animation the first frame, on its canvas.
//!
//! A frame says its size itself, and the canvas says one too. A decoder allocates by the first before it sees the second,
//! so they are held against each other here, of every frame.

use image_webp::{DecodingError, WebPDecoder};

use super::bytes::Bytes;
use super::colour::Colour;
use super::orientation::Orientation;
use super::raster::{Layout, Raster, bytes_of};
use super::{Decoded, Picture, Refused, checked_size};
use adapters::spool::Content;

/// The largest profile or EXIF that the decoder may read, in bytes.
const METADATA_BYTES_MAX: usize = 8 * 1_024 * 1_024;
/// The most pixels of an animation's canvas: its decoder holds canvas, frame and answer at once, 12 bytes for each.
const ANIMATED_PIXELS_MAX: u64 = 25_000_000;
/// The bit of the extended header that says that it moves.
const ANIMATED: u8 = 0x02;
/// The header of an animation's frame, before its chunks, in bytes.
const FRAME_HEADER_BYTES: u64 = 16;

const CONTRADICTS: Refused = Refused::Damaged("its canvas and its frame are of different sizes");
const BROKEN: Refused = Refused::Damaged("its chunks contradict their lengths");

/// A chunk's name, the bytes of its content, and where it ends in the file, padding included.
struct Chunk {
    name: [u8; 4],
    length: u64,
    end: u64,
}

fn chunk(bytes: &mut Bytes, within: u64) -> Result<Chunk, Refused> {
    let (name, length) = (bytes.array()?, u64::from(bytes.u32_le()?));
    let end = bytes.position().saturating_add(length).saturating_add(length % 2);
    if end > within { Err(BROKEN) } else { Ok(Chunk { name, length, end }) }
}

/// Goes from chunk to chunk, to the end that the header names.
pub(super) fn walk(bytes: &mut Bytes) -> Result<(u32, u32), Refused> {
    bytes.skip(4)?;
    let length = u64::from(bytes.u32_le()?);
    // An odd length is padded; some writers forget it at the very end.
    if length > bytes.remaining() {
        return Err(Refused::Truncated);
    }
    let end = bytes.position().saturating_add(length);
    bytes.skip(4)?;
    let first = chunk(bytes, end)?;
    if &first.name != b"VP8X" {
        let size = frame_size(bytes, &first)?.ok_or(Refused::Damaged("it holds no picture"))?;
        bytes.skip(end.saturating_sub(bytes.position()))?;
        return Ok(size);
    }
    let [flags, _, _, _] = bytes.array()?;
    let (width, height) = checked_size(bytes.u24_le()? + 1, bytes.u24_le()? + 1)?;
    let is_animated = flags & ANIMATED != 0;
    if is_animated && u64::from(width).saturating_mul(u64::from(height)) > ANIMATED_PIXELS_MAX {
        return Err(Refused::TooManyPixels { width, height });
    }
    go_to(bytes, first.end)?;
    let mut frames = 0_u64;
    // A byte may be left, of padding.
    while end.saturating_sub(bytes.position()) > 1 {
        let next = chunk(bytes, end)?;
        let size = match &next.name {
            b"ANMF" if is_animated => Some(animation_frame(bytes, &next, (width, height))?),
            b"VP8 " | b"VP8L" if !is_animated => frame_size(bytes, &next)?,
            _ => None,
        };
        match size {
            Some(size) if !is_animated && size != (width, height) => return Err(CONTRADICTS),
            Some(_) => frames = frames.saturating_add(1),
            None => {}
        }
        go_to(bytes, next.end)?;
    }
    bytes.skip(end.saturating_sub(bytes.position()))?;
    if frames == 0 { Err(Refused::Damaged("it holds no picture")) } else { Ok((width, height)) }
}

fn go_to(bytes: &mut Bytes, end: u64) -> Result<(), Refused> {
    bytes.skip(end.checked_sub(bytes.position()).ok_or(BROKEN)?)
}

/// The frame of an animation: it lies on the canvas, and what it holds is as large as it says.
fn animation_frame(bytes: &mut Bytes, frame: &Chunk, canvas: (u32, u32)) -> Result<(u32, u32), Refused> {
    if frame.length < FRAME_HEADER_BYTES {
        return Err(BROKEN);
    }
    let (left, top) = (bytes.u24_le()? * 2, bytes.u24_le()? * 2);
    let size = (bytes.u24_le()? + 1, bytes.u24_le()? + 1);
    if left + size.0 > canvas.0 || top + size.1 > canvas.1 {
        return Err(Refused::Damaged("a frame of it does not lie on its canvas"));
    }
    bytes.skip(4)?;
    while frame.end.saturating_sub(bytes.position()) > 1 {
        let next = chunk(bytes, frame.end)?;
        if frame_size(bytes, &next)?.is_some_and(|inner| inner != size) {
            return Err(CONTRADICTS);
        }
        go_to(bytes, next.end)?;
    }
    Ok(size)
}

/// The size that a chunk of pixels says; none for another chunk.
fn frame_size(bytes: &mut Bytes, chunk: &Chunk) -> Result<Option<(u32, u32)>, Refused> {
    let size = match &chunk.name {
        b"VP8 " => {
            let [_, _, _, mark @ ..] = bytes.array::<6>()?;
            if mark != [0x9d, 0x01, 0x2a] {
                return Err(Refused::Damaged("its frame does not begin as one"));
            }
            let side = |side: u16| u32::from(side & 0x3fff);
            (side(bytes.u16_le()?), side(bytes.u16_le()?))
        }
        b"VP8L" => {
            if bytes.byte()? != 0x2f {
                return Err(Refused::Damaged("its frame does not begin as one"));
            }
            let bits = bytes.u32_le()?;
            ((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1)
        }
        _ => return Ok(None),
    };
    if bytes.position() > chunk.end { Err(BROKEN) } else { checked_size(size.0, size.1).map(Some) }
}

/// Decodes a WebP.
pub(super) fn decode(content: &Content, picture: &Picture) -> Result<Decoded, Refused> {
    // The decoder checks less than a look through, and any caller may come without one.
    if walk(&mut Bytes::open(content)?)? != (picture.width, picture.height) {
        return Err(Refused::Damaged("it is not the picture that was inspected"));
    }
    let opened = content.open().map_err(Refused::Unreadable)?;
    let mut decoder = WebPDecoder::new(opened)?;
    decoder.set_memory_limit(METADATA_BYTES_MAX);
    if decoder.dimensions() != (picture.width, picture.height) {
        return Err(Refused::Damaged("it is not the picture that was inspected"));
    }
    let colour = Colour::of_icc(decoder.icc_profile().unwrap_or_default());
    let exif = decoder.exif_metadata().unwrap_or_default();
    let layout = if decoder.has_alpha() { Layout::Rgba } else { Layout::Rgb };
    let mut pixels = vec![0; bytes_of(picture.width, picture.height, layout).unwrap_or_default()];
    decoder.read_image(&mut pixels)?;
    let raster = Raster::new(picture.width, picture.height, layout, pixels)?;
    Ok(Decoded { raster, colour, orientation: Orientation::of_exif(exif.as_deref()) })
}

impl From<DecodingError> for Refused {
    fn from(error: DecodingError) -> Self {
        if let DecodingError::IoError(error) = error {
            return Self::from(error);
        }
        Self::Damaged("its WebP data contradict themselves")
    }
}
