//! Thumbnails: sizes, and the lossy WebP of them.

use webp::{PixelLayout, WebPConfig};

use super::raster::{Layout, Raster};
use super::{Decoded, Picture, Refused, allowed};

/// What a thumbnail may weigh, in bytes: a page of twenty products stays below 4 MB. Only one whose transparency is noise
/// weighs more.
pub const THUMBNAIL_BYTES_MAX: usize = 200_000;
/// The quality of a thumbnail, of 100. The library's own, 75, saves a fifth of the bytes, at the cost of soft gradients,
/// which is what products are photographed against.
pub const QUALITY: f32 = 80.0;
/// What the quality falls to, at the lowest, for a picture that weighs more than `THUMBNAIL_BYTES_MAX`: with it white noise
/// of 800 x 800 pixels weighs less. No photograph was seen that needs a step, and in noise nobody sees the loss.
pub const QUALITY_FLOOR: f32 = 10.0;
/// The steps from the one to the other: of colours, and of alpha, which is kept exactly as long as it can be.
const STEPS: [(f32, i32); 5] = [(QUALITY, 100), (60.0, 60), (40.0, 40), (20.0, 20), (QUALITY_FLOOR, 0)];
/// How hard the encoder tries, of 6: the library's own choice. 6 takes up to three times as long, for 5 % less.
const METHOD: i32 = 4;

/// A thumbnail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thumbnail {
    /// The size that was asked for: the longest side has at most so many pixels.
    pub size: u32,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// The file.
    pub webp: Vec<u8>,
}

/// All thumbnails of a picture, in the order of `sizes`; each is resized from the next larger one.
pub(super) fn all(decoded: Decoded, picture: &Picture, sizes: &[u32]) -> Result<Vec<Thumbnail>, Refused> {
    let Decoded { raster, colour, orientation } = decoded;
    let mut descending = sizes.to_vec();
    descending.sort_unstable_by(|one, other| other.cmp(one));
    let mut source = raster.premultiplied()?;
    let mut made = Vec::with_capacity(sizes.len());
    for size in descending {
        let (width, height) = within(picture, allowed(size));
        source = source.resized(width, height)?;
        let upright = orientation.applied(colour.to_srgb(source.clone().unpremultiplied()?)?);
        let webp = encoded(&upright)?;
        made.push(Thumbnail { size, width: upright.width(), height: upright.height(), webp });
    }
    let ordered = sizes.iter().filter_map(|size| made.iter().find(|thumbnail| thumbnail.size == *size).cloned());
    Ok(ordered.collect())
}

/// The size of a picture when its longest side has at most so many pixels; a small picture stays as it is.
pub(super) fn within(picture: &Picture, longest_max: u32) -> (u32, u32) {
    let longest = picture.width.max(picture.height);
    if longest <= longest_max {
        return (picture.width, picture.height);
    }
    let scaled = |side: u32| {
        let half = u64::from(longest) / 2;
        let scaled = u64::from(side).saturating_mul(u64::from(longest_max)).saturating_add(half);
        u32::try_from(scaled / u64::from(longest.max(1))).unwrap_or(longest_max).max(1)
    };
    (scaled(picture.width), scaled(picture.height))
}

/// The WebP of a picture in sRGB: at `QUALITY`, or the first step below it that weighs no more than it may.
fn encoded(raster: &Raster) -> Result<Vec<u8>, Refused> {
    let layout = match raster.layout() {
        Layout::Rgb => PixelLayout::Rgb,
        Layout::Rgba => PixelLayout::Rgba,
        Layout::Gray | Layout::GrayAlpha | Layout::Cmyk => return Err(Refused::Damaged("its colours are unknown")),
    };
    let encoder = webp::Encoder::new(raster.pixels(), layout, raster.width(), raster.height());
    let mut webp = Vec::new();
    for (quality, alpha_quality) in STEPS {
        let mut config = WebPConfig::new().map_err(|()| Refused::Damaged("it cannot be encoded"))?;
        config.quality = quality;
        config.alpha_quality = alpha_quality;
        config.method = METHOD;
        let encoded = encoder.encode_advanced(&config).map_err(|_| Refused::Damaged("it cannot be encoded"))?;
        webp = encoded.to_vec();
        if webp.len() <= THUMBNAIL_BYTES_MAX {
            break;
        }
    }
    Ok(webp)
}
