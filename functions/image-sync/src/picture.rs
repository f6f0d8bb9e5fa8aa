//! Pictures: what a file of one holds, whether it is kept, and its thumbnails. Bytes alone; no network, no clock.
//!
//! Invariants:
//! - A file is judged by its content. What is refused has a reason, and nothing panics: decoders are other people's code
//!   over hostile bytes, so a panic of theirs is caught and counts as damage.
//! - Nothing is allocated by a header's word before that word is held against `PIXELS_MAX` and `SIDE_PX_MAX`. A picture
//!   costs at most `DECODE_BYTES_PER_PIXEL_MAX` for each pixel and `DECODE_BYTES_BESIDES_MAX` besides, which
//!   `tests/memory.rs` counts. So one picture is decoded at a time.
//! - A thumbnail holds pixels in sRGB and nothing else: no place, no camera, no profile. It is never larger than its
//!   picture.
//!
//! How: a JPEG is decoded scaled down, by its own transform, to no less than twice the largest thumbnail. The others are
//! decoded whole. One Lanczos pass makes the largest thumbnail, and one more makes each smaller one of it. Colours are
//! converted and the picture is turned upright after that, when few pixels are left.
//!
//! What is resized is as the file encodes it, with alpha multiplied in, as browsers do it; not linear light.

mod bytes;
mod colour;
mod gif;
mod jpeg;
mod orientation;
mod png;
mod raster;
mod refused;
mod sniff;
mod thumbnail;
mod webp;

use std::panic::{AssertUnwindSafe, catch_unwind};

use adapters::spool::Content;
pub use adapters::web::images::IMAGE_BYTES_MAX;
pub use domain::Format;
pub use refused::{LooksLike, Refused};
pub use thumbnail::{QUALITY, QUALITY_FLOOR, THUMBNAIL_BYTES_MAX, Thumbnail};

use bytes::Bytes;
use colour::Colour;
use orientation::Orientation;
use raster::Raster;

/// The most pixels that are decoded, width by height. Above what marketplaces take and phones make by default, and with
/// `DECODE_BYTES_PER_PIXEL_MAX` it decides the memory of the function: the costliest picture of so many takes 420 MB.
pub const PIXELS_MAX: u64 = 40_000_000;
/// The longest side, in pixels: JPEG and GIF know no longer one. A PNG could be a line of 40 million pixels, for which a
/// resizer computes as many weights.
pub const SIDE_PX_MAX: u32 = 65_535;
/// What decoding holds for each pixel of a picture at most, in bytes, the resizing included. An animated WebP costs most,
/// 12; then a lossy WebP with alpha, 10.5, and a progressive JPEG of inks, 10; a baseline JPEG costs 1.5.
pub const DECODE_BYTES_PER_PIXEL_MAX: u64 = 12;
/// What decoding holds besides, in bytes: buffers, what a file holds in metadata, and the thumbnails.
pub const DECODE_BYTES_BESIDES_MAX: u64 = 64 * 1_024 * 1_024;
/// The largest thumbnail that can be asked for, in pixels of its longest side. Twice what a shop front shows.
pub const THUMBNAIL_PX_MAX: u32 = 1_600;

/// What decoding a picture of this size holds at most, in bytes.
#[must_use]
pub fn decode_bytes_max(width: u32, height: u32) -> u64 {
    let pixels = u64::from(width).saturating_mul(u64::from(height));
    pixels.saturating_mul(DECODE_BYTES_PER_PIXEL_MAX).saturating_add(DECODE_BYTES_BESIDES_MAX)
}

/// A file that was looked through. Its size is the stored one: a picture that is to be turned is shown with width and
/// height exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture {
    /// By its content.
    pub format: Format,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
}

/// Looks a file through from its first byte to its last, without decoding pixels: format, size, that it is whole, that
/// nothing in it is made to expand, and that no other file follows. Holds less than 256 KiB.
///
/// # Errors
/// The first reason against it.
pub fn inspect(content: &Content) -> Result<Picture, Refused> {
    contained(|| {
        let mut bytes = Bytes::open(content)?;
        let format = sniff::format(&mut bytes)?;
        let (width, height) = match format {
            Format::Jpeg => jpeg::walk(&mut bytes).map(|found| (found.width, found.height))?,
            Format::Png => png::walk(&mut bytes).map(|found| (found.width, found.height))?,
            Format::Webp => webp::walk(&mut bytes)?,
            Format::Gif => gif::walk(&mut bytes)?,
        };
        sniff::nothing_else_follows(bytes)?;
        Ok(Picture { format, width, height })
    })
}

/// Thumbnails of a file that `inspect` passed: for each size a lossy WebP whose longest side has at most so many pixels
/// (and at most `THUMBNAIL_PX_MAX`, and at most as many as the picture has), in the order of `sizes`. Decodes once.
///
/// # Errors
/// What only decoding tells: damage, or that the file is not the inspected one.
pub fn thumbnails(content: &Content, picture: &Picture, sizes: &[u32]) -> Result<Vec<Thumbnail>, Refused> {
    let Some(largest) = sizes.iter().copied().max().map(allowed) else {
        return Ok(Vec::new());
    };
    contained(|| {
        checked_size(picture.width, picture.height)?;
        let decoded = match picture.format {
            Format::Jpeg => jpeg::decode(content, picture, largest)?,
            Format::Png => png::decode(content, picture)?,
            Format::Webp => webp::decode(content, picture)?,
            Format::Gif => gif::decode(content, picture)?,
        };
        thumbnail::all(decoded, picture, sizes)
    })
}

/// The size of a thumbnail that is made when this one is asked for.
fn allowed(size: u32) -> u32 {
    size.clamp(1, THUMBNAIL_PX_MAX)
}

/// What a decoder made of a file: pixels as they are stored, what their values mean, and which way up they are.
struct Decoded {
    raster: Raster,
    colour: Colour,
    orientation: Orientation,
}

/// Holds a size against the limits, before anything is allocated by it.
fn checked_size(width: u32, height: u32) -> Result<(u32, u32), Refused> {
    if width == 0 || height == 0 {
        return Err(Refused::Damaged("it has no pixels"));
    }
    let pixels = u64::from(width).saturating_mul(u64::from(height));
    if pixels > PIXELS_MAX || width.max(height) > SIDE_PX_MAX {
        return Err(Refused::TooManyPixels { width, height });
    }
    Ok((width, height))
}

/// Runs what reads hostile bytes. The decoders forbid or confine unsafe code, but an index out of bounds or an overflow in
/// one of them is a panic, which must cost one picture and not the batch. What it leaves half done is dropped with it.
fn contained<T>(work: impl FnOnce() -> Result<T, Refused>) -> Result<T, Refused> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Refused::Damaged("a decoder gave it up")))
}

#[cfg(test)]
mod tests {
    use super::{Refused, contained};

    #[test]
    fn a_panic_of_a_decoder_is_damage_of_the_picture() {
        let refused = contained::<()>(|| panic!("index out of bounds")).unwrap_err();
        assert_eq!(refused.word(), "damaged");
        assert_eq!(contained(|| Ok(1)).unwrap(), 1);
        assert_eq!(contained::<()>(|| Err(Refused::Truncated)).unwrap_err().word(), "truncated");
    }
}
