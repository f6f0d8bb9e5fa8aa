//! GIF (CompuServe, 89a). The first frame of it, on its screen.

use std::num::NonZeroU64;

use gif::{ColorOutput, DecodeOptions, DecodingError, MemoryLimit};

use super::bytes::Bytes;
use super::colour::Colour;
use super::orientation::Orientation;
use super::raster::{Layout, Raster, bytes_of};
use super::{Decoded, PIXELS_MAX, Picture, Refused, checked_size};
use adapters::spool::Content;

/// The bit that says that a palette follows, and the bits that say how long it is.
const PALETTE: u8 = 0x80;
const PALETTE_SIZE: u8 = 0x07;

/// What the decoder may allocate for a frame, in bytes: a byte a pixel.
const FRAME_BYTES_MAX: NonZeroU64 = NonZeroU64::MIN.saturating_add(PIXELS_MAX);

/// Goes from block to block, to the trailer.
pub(super) fn walk(bytes: &mut Bytes) -> Result<(u32, u32), Refused> {
    bytes.skip(6)?;
    let (width, height) = checked_size(u32::from(bytes.u16_le()?), u32::from(bytes.u16_le()?))?;
    let [flags, _, _] = bytes.array()?;
    skip_palette(bytes, flags)?;
    let mut frames = 0_u64;
    loop {
        match bytes.byte()? {
            // An extension: its label, then its blocks.
            0x21 => bytes.skip(1)?,
            0x2c => {
                frames = frames.saturating_add(1);
                let (left, top) = (u32::from(bytes.u16_le()?), u32::from(bytes.u16_le()?));
                let (across, down) = (u32::from(bytes.u16_le()?), u32::from(bytes.u16_le()?));
                if left + across > width || top + down > height || across == 0 || down == 0 {
                    return Err(Refused::Damaged("a frame of it does not lie on its screen"));
                }
                let flags = bytes.byte()?;
                skip_palette(bytes, flags)?;
                // The size of the first codes.
                bytes.skip(1)?;
            }
            0x3b if frames == 0 => return Err(Refused::Damaged("it holds no picture")),
            0x3b => return Ok((width, height)),
            _ => return Err(Refused::Damaged("a block of it is none")),
        }
        loop {
            match bytes.byte()? {
                0 => break,
                length => bytes.skip(u64::from(length))?,
            }
        }
    }
}

fn skip_palette(bytes: &mut Bytes, flags: u8) -> Result<(), Refused> {
    if flags & PALETTE == 0 {
        return Ok(());
    }
    bytes.skip(3 << (u32::from(flags & PALETTE_SIZE) + 1))
}

/// Decodes the first frame, and lays it on the screen, which is transparent where the frame does not reach.
pub(super) fn decode(content: &Content, picture: &Picture) -> Result<Decoded, Refused> {
    let opened = content.open().map_err(Refused::Unreadable)?;
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    options.set_memory_limit(MemoryLimit::Bytes(FRAME_BYTES_MAX));
    let mut decoder = options.read_info(opened)?;
    if (u32::from(decoder.width()), u32::from(decoder.height())) != (picture.width, picture.height) {
        return Err(Refused::Damaged("it is not the picture that was inspected"));
    }
    let frame = decoder.next_frame_info()?.ok_or(Refused::Damaged("it holds no picture"))?;
    let (left, top) = (u32::from(frame.left), u32::from(frame.top));
    let (width, height, transparent) = (u32::from(frame.width), u32::from(frame.height), frame.transparent);
    if left + width > picture.width || top + height > picture.height {
        return Err(Refused::Damaged("a frame of it does not lie on its screen"));
    }
    let mut indices = vec![0; bytes_of(width, height, Layout::Gray).unwrap_or_default()];
    decoder.read_into_buffer(&mut indices)?;
    let (palette, _) = decoder.palette()?.as_chunks::<3>();
    let is_opaque = transparent.is_none() && (width, height) == (picture.width, picture.height);
    let raster = if is_opaque {
        let colour = |index: &u8| palette.get(usize::from(*index)).copied().unwrap_or_default();
        Raster::new(width, height, Layout::Rgb, indices.iter().flat_map(colour).collect())?
    } else {
        let colour = |index: u8| match palette.get(usize::from(index)) {
            Some([red, green, blue]) if Some(index) != transparent => [*red, *green, *blue, u8::MAX],
            _ => [0; 4],
        };
        laid(picture, (left, top, width), &indices, colour)?
    };
    let colour = Colour::of_icc(decoder.icc_profile().map(<[u8]>::to_vec));
    Ok(Decoded { raster, colour, orientation: Orientation::default() })
}

/// A frame on its screen.
fn laid(
    picture: &Picture,
    (left, top, width): (u32, u32, u32),
    indices: &[u8],
    colour: impl Fn(u8) -> [u8; 4],
) -> Result<Raster, Refused> {
    let mut pixels = vec![0; bytes_of(picture.width, picture.height, Layout::Rgba).unwrap_or_default()];
    let side = |side: u32| usize::try_from(side).unwrap_or(usize::MAX);
    let screen = pixels.chunks_exact_mut(bytes_of(picture.width, 1, Layout::Rgba).unwrap_or(1));
    for (row, indices) in screen.skip(side(top)).zip(indices.chunks_exact(side(width).max(1))) {
        let (row, _) = row.as_chunks_mut::<4>();
        row.iter_mut().skip(side(left)).zip(indices).for_each(|(pixel, index)| *pixel = colour(*index));
    }
    Raster::new(picture.width, picture.height, Layout::Rgba, pixels)
}

impl From<DecodingError> for Refused {
    fn from(error: DecodingError) -> Self {
        if let DecodingError::Io(error) = error {
            return Self::from(error);
        }
        Self::Damaged("its GIF data contradict themselves")
    }
}
