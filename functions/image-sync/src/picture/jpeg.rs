//! JPEG (ISO/IEC 10918-1; JFIF; Adobe technical note 5116 for CMYK).
//!
//! Time is bounded by the number of scans, and memory by the size, since a decoder holds the coefficients of a progressive
//! picture whole.

use jpeg_decoder::{Decoder, Error, PixelFormat};

use super::bytes::Bytes;
use super::colour::Colour;
use super::orientation::Orientation;
use super::raster::{Layout, Raster};
use super::thumbnail::within;
use super::{Decoded, Picture, Refused, checked_size};
use adapters::spool::Content;

/// How many scans a picture may have. Encoders use ten, the most thorough some twenty; each costs a pass over all
/// coefficients, for as little as a few bytes of the file.
const SCANS_MAX: u32 = 100;
/// The picture is decoded scaled down to no less than this many times the size of the largest thumbnail, so that the
/// sharpness of that one is the resizer's doing and not the scaling's.
const OVERSAMPLING: u32 = 2;

const START: [u8; 2] = [0xff, 0xd8];
/// The name that an Adobe segment begins with.
const ADOBE: &[u8; 5] = b"Adobe";

/// A JPEG that was looked through.
pub(super) struct Walked {
    pub(super) width: u32,
    pub(super) height: u32,
    /// It has Adobe's segment, and so inks that are stored inverted.
    pub(super) is_adobe: bool,
}

/// What a frame's header says.
struct Frame {
    width: u32,
    height: u32,
    /// The least bytes that its coefficients take: each block costs a bit at least.
    scan_bytes_min: u64,
}

/// Goes from marker to marker, to the end of the picture.
pub(super) fn walk(bytes: &mut Bytes) -> Result<Walked, Refused> {
    if bytes.array()? != START {
        return Err(Refused::Damaged("it does not begin as a JPEG"));
    }
    let (mut frame, mut scans, mut scan_bytes, mut is_adobe) = (None::<Frame>, 0_u32, 0_u64, false);
    let mut marker = next_marker(bytes)?;
    loop {
        marker = match marker {
            0xc0..=0xc2 if frame.is_some() => return Err(Refused::Unsupported("a JPEG of several frames")),
            0xc0..=0xc2 => {
                frame = Some(frame_header(bytes)?);
                next_marker(bytes)?
            }
            0xc3 | 0xc5..=0xc7 => return Err(Refused::Unsupported("a lossless or hierarchical JPEG")),
            0xc9..=0xcb | 0xcd..=0xcf => return Err(Refused::Unsupported("a JPEG in arithmetic coding")),
            0xda => {
                scans = scans.saturating_add(1);
                if scans > SCANS_MAX {
                    return Err(Refused::Bomb("too many scans"));
                }
                skip_segment(bytes)?;
                let (count, marker) = scan(bytes)?;
                scan_bytes = scan_bytes.saturating_add(count);
                marker
            }
            0xee => {
                is_adobe |= is_adobe_segment(bytes)?;
                next_marker(bytes)?
            }
            0xd9 => break,
            0x00..=0xbf | 0xd0..=0xd8 => return Err(Refused::Damaged("a marker stands where none may")),
            _ => {
                skip_segment(bytes)?;
                next_marker(bytes)?
            }
        };
    }
    match frame {
        None => Err(Refused::Damaged("it holds no picture")),
        Some(frame) if scan_bytes < frame.scan_bytes_min => Err(Refused::Truncated),
        Some(Frame { width, height, .. }) => Ok(Walked { width, height, is_adobe }),
    }
}

/// The marker that must come next; it may be padded.
fn next_marker(bytes: &mut Bytes) -> Result<u8, Refused> {
    if bytes.byte()? != 0xff {
        return Err(Refused::Damaged("a marker is missing"));
    }
    loop {
        match bytes.byte()? {
            0xff => {}
            marker => return Ok(marker),
        }
    }
}

/// The length of a segment's content.
fn segment_bytes(bytes: &mut Bytes) -> Result<u64, Refused> {
    u64::from(bytes.u16_be()?).checked_sub(2).ok_or(Refused::Damaged("a segment is shorter than its length"))
}

fn skip_segment(bytes: &mut Bytes) -> Result<(), Refused> {
    let length = segment_bytes(bytes)?;
    bytes.skip(length)
}

fn is_adobe_segment(bytes: &mut Bytes) -> Result<bool, Refused> {
    let length = segment_bytes(bytes)?;
    let is_adobe = bytes.peek(ADOBE.len())? == ADOBE;
    bytes.skip(length)?;
    Ok(is_adobe)
}

/// Goes over the coefficients of a scan, to the marker behind them. Says how many bytes they take.
fn scan(bytes: &mut Bytes) -> Result<(u64, u8), Refused> {
    let mut count = 0_u64;
    loop {
        count = count.saturating_add(bytes.skip_past(0xff)?);
        let mut next = bytes.byte()?;
        while next == 0xff {
            next = bytes.byte()?;
        }
        match next {
            // A stuffed byte, and restarts, are part of the scan.
            0x00 => count = count.saturating_add(1),
            0xd0..=0xd7 => {}
            marker => return Ok((count, marker)),
        }
    }
}

fn frame_header(bytes: &mut Bytes) -> Result<Frame, Refused> {
    let length = segment_bytes(bytes)?;
    let [bits, high, low, wide, narrow, count] = bytes.array()?;
    let (height, width) = (u16::from_be_bytes([high, low]), u16::from_be_bytes([wide, narrow]));
    if bits != 8 {
        return Err(Refused::Unsupported("a JPEG of other than 8 bits"));
    }
    if !matches!(count, 1 | 3 | 4) {
        return Err(Refused::Unsupported("a JPEG of other than 1, 3 or 4 components"));
    }
    if length != u64::from(count).saturating_mul(3).saturating_add(6) {
        return Err(Refused::Damaged("its frame header has another length"));
    }
    if height == 0 && width > 0 {
        return Err(Refused::Unsupported("a JPEG that says its height at its end"));
    }
    let (width, height) = checked_size(u32::from(width), u32::from(height))?;
    let mut factors = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let [_, sampling, _] = bytes.array()?;
        factors.push((u32::from(sampling >> 4), u32::from(sampling & 0x0f)));
    }
    if factors.iter().any(|(across, down)| !(1..=4).contains(across) || !(1..=4).contains(down)) {
        return Err(Refused::Damaged("its sampling factors are none"));
    }
    let most = factors.iter().fold((1, 1), |most, factor| (most.0.max(factor.0), most.1.max(factor.1)));
    let blocks = factors.iter().map(|factor| {
        let across = (width * factor.0).div_ceil(most.0 * 8);
        let down = (height * factor.1).div_ceil(most.1 * 8);
        u64::from(across).saturating_mul(u64::from(down))
    });
    Ok(Frame { width, height, scan_bytes_min: blocks.sum::<u64>() / 8 })
}

/// Decodes a JPEG, scaled down as far as the largest thumbnail allows.
pub(super) fn decode(content: &Content, picture: &Picture, largest: u32) -> Result<Decoded, Refused> {
    let opened = content.open().map_err(Refused::Unreadable)?;
    let mut decoder = Decoder::new(opened);
    decoder.read_info()?;
    let unlike = Refused::Damaged("it is not the picture that was inspected");
    let found = decoder.info().ok_or(Refused::Damaged("it holds no picture"))?;
    if (u32::from(found.width), u32::from(found.height)) != (picture.width, picture.height) {
        return Err(unlike);
    }
    let (width, height) = within(picture, largest.saturating_mul(OVERSAMPLING));
    let side = |side: u32| u16::try_from(side).unwrap_or(u16::MAX);
    let (width, height) = decoder.scale(side(width), side(height))?;
    let pixels = decoder.decode()?;
    let layout = match found.pixel_format {
        PixelFormat::L8 => Layout::Gray,
        PixelFormat::RGB24 => Layout::Rgb,
        PixelFormat::CMYK32 => Layout::Cmyk,
        PixelFormat::L16 => return Err(Refused::Unsupported("a JPEG of other than 8 bits")),
    };
    let raster = Raster::new(u32::from(width), u32::from(height), layout, pixels)?;
    // The decoder takes all inks for inverted, as Adobe stores them and others do not.
    let is_plain = layout == Layout::Cmyk && !walk(&mut Bytes::open(content)?)?.is_adobe;
    Ok(Decoded {
        raster: if is_plain { raster.inverted() } else { raster },
        colour: Colour::of_icc(decoder.icc_profile()),
        orientation: Orientation::of_exif(decoder.exif_data()),
    })
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        match error {
            Error::Io(error) => Self::from(error),
            Error::Unsupported(_) => Self::Unsupported("a JPEG of a rare kind"),
            Error::Format(_) | Error::Internal(_) => Self::Damaged("its JPEG data contradict themselves"),
        }
    }
}
