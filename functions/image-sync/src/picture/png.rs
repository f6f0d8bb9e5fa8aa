//! PNG (W3C, third edition).
//!
//! Only as many rows are inflated as the header says: what a file packs into its pixels beyond them is not looked at, and
//! is a bomb when it is more than padding.

use std::cell::Cell;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::rc::Rc;

use flate2::read::ZlibDecoder;
use moxcms::{
    Chromaticity, CicpColorPrimaries, CicpProfile, ColorPrimaries, MatrixCoefficients, TransferCharacteristics, XyY,
};
use png::{ColorType, Decoder, DecodingError, Info, InterlaceInfo, Reader, Transformations};

use super::bytes::Bytes;
use super::colour::Colour;
use super::orientation::Orientation;
use super::raster::{Layout, Raster, bytes_of};
use super::{Decoded, Picture, Refused, checked_size};
use adapters::spool::{Content, Opened};

/// What the compressed profile and texts of a picture may come to, in bytes, inflated: an editor's history has a megabyte.
const METADATA_BYTES_MAX: u64 = 16 * 1_024 * 1_024;
/// The most that deflate can make of a byte (RFC 1951: 258 bytes of two bits).
const INFLATION_MAX: u64 = 1_032;
/// The compressed bytes that may be left behind the last row: what a reader buffers ahead, and padding.
const UNREAD_BYTES_MAX: u64 = 2 * 64 * 1_024;
/// What the decoder may allocate for rows and chunks, in bytes. The pixels are ours.
const DECODER_BYTES_MAX: usize = 32 * 1_024 * 1_024;
/// Powers of which no eye tells a picture apart from sRGB's: 1/2.2, as most files say that mean it, 4 % up and down.
const POWERS_OF_SRGB: std::ops::RangeInclusive<u32> = 43_600..=47_300;

/// The first bytes of a PNG and of its chunks' names.
const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

/// A PNG that was looked through.
pub(super) struct Walked {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Where the last of its pixel data ends in the file.
    pixels_end: u64,
}

/// Goes from chunk to chunk, to the end of the picture.
pub(super) fn walk(bytes: &mut Bytes) -> Result<Walked, Refused> {
    let [length, name] = match bytes.array::<8>()? {
        SIGNATURE => [bytes.array()?, bytes.array()?],
        _ => return Err(Refused::Damaged("it does not begin as a PNG")),
    };
    if (u32::from_be_bytes(length), &name) != (13, b"IHDR") {
        return Err(Refused::Damaged("it does not begin with its header"));
    }
    let (width, height) = checked_size(bytes.u32_be()?, bytes.u32_be()?)?;
    let [depth, colour, _, _, _] = bytes.array()?;
    bytes.skip(4)?;
    let (mut pixels_bytes, mut pixels_end, mut left) = (0_u64, 0, METADATA_BYTES_MAX);
    loop {
        let length = u64::from(bytes.u32_be()?);
        match &bytes.array()? {
            b"IEND" => {
                bytes.skip(length.saturating_add(4))?;
                break;
            }
            b"IDAT" => {
                pixels_bytes = pixels_bytes.saturating_add(length);
                bytes.skip(length)?;
                pixels_end = bytes.position();
            }
            name @ (b"iCCP" | b"zTXt" | b"iTXt") => left = inflated(bytes, name, length, left)?,
            _ => bytes.skip(length)?,
        }
        bytes.skip(4)?;
    }
    if pixels_end == 0 {
        return Err(Refused::Damaged("it holds no picture"));
    }
    let bits = u64::from(depth).saturating_mul(samples(colour));
    let row = u64::from(width).saturating_mul(bits).div_ceil(8).saturating_add(1);
    if pixels_bytes.saturating_mul(INFLATION_MAX) < row.saturating_mul(u64::from(height)) {
        return Err(Refused::Truncated);
    }
    Ok(Walked { width, height, pixels_end })
}

/// How many samples a pixel has, by the number of its colour type. The decoder refuses the unknown ones.
fn samples(colour: u8) -> u64 {
    match colour {
        2 => 3,
        4 => 2,
        6 => 4,
        _ => 1,
    }
}

/// Inflates what a chunk of metadata holds, and keeps none of it. Answers how much more may come.
fn inflated(bytes: &mut Bytes, name: &[u8; 4], length: u64, left: u64) -> Result<u64, Refused> {
    if length > bytes.remaining() {
        return Err(Refused::Truncated);
    }
    let mut part = bytes.part(length);
    let is_compressed = text_begins(&mut part, name)?;
    let count = if is_compressed {
        let most = left.saturating_add(1);
        let mut inflated = ZlibDecoder::new(&mut part).take(most);
        // A stream that breaks off counts with what it came to; a reader of it stops there too.
        let _broken = std::io::copy(&mut inflated, &mut std::io::sink());
        most.saturating_sub(inflated.limit())
    } else {
        0
    };
    part.finish()?;
    left.checked_sub(count).ok_or(Refused::Bomb("its profile or texts inflate to too much"))
}

/// Reads up to where the compressed text of a chunk begins, and says whether there is one.
fn text_begins(part: &mut impl Read, name: &[u8; 4]) -> Result<bool, Refused> {
    let mut byte = || {
        let mut byte = [0];
        part.read_exact(&mut byte).map(|()| byte.first().copied().unwrap_or_default())
    };
    let mut begins = || -> std::io::Result<bool> {
        while byte()? != 0 {}
        if name != b"iTXt" {
            return byte().map(|_method| true);
        }
        let (is_compressed, _method) = (byte()? == 1, byte()?);
        while is_compressed && byte()? != 0 {}
        while is_compressed && byte()? != 0 {}
        Ok(is_compressed)
    };
    match begins() {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        other => other.map_err(Refused::from),
    }
}

/// How much is read at once, in bytes; what is read ahead counts as read.
const BUFFER_BYTES: usize = 64 * 1_024;

/// A file that says how far it was read.
struct Counted {
    file: Opened,
    position: Rc<Cell<u64>>,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(into)?;
        self.position.set(self.position.get().saturating_add(u64::try_from(read).unwrap_or(u64::MAX)));
        Ok(read)
    }
}

impl Seek for Counted {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let position = self.file.seek(to)?;
        self.position.set(position);
        Ok(position)
    }
}

/// Decodes a PNG to eight bits a channel; its alpha is kept.
pub(super) fn decode(content: &Content, picture: &Picture) -> Result<Decoded, Refused> {
    let walked = walk(&mut Bytes::open(content)?)?;
    let position = Rc::new(Cell::new(0));
    let opened = content.open().map_err(Refused::Unreadable)?;
    let counted = BufReader::with_capacity(BUFFER_BYTES, Counted { file: opened, position: Rc::clone(&position) });
    let mut decoder = Decoder::new_with_limits(counted, png::Limits { bytes: DECODER_BYTES_MAX });
    decoder.set_ignore_text_chunk(true);
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    let mut reader = decoder.read_info()?;
    if reader.info().size() != (picture.width, picture.height) {
        return Err(Refused::Damaged("it is not the picture that was inspected"));
    }
    let layout = match reader.output_color_type().0 {
        ColorType::Grayscale => Layout::Gray,
        ColorType::GrayscaleAlpha => Layout::GrayAlpha,
        ColorType::Rgb => Layout::Rgb,
        ColorType::Rgba => Layout::Rgba,
        ColorType::Indexed => return Err(Refused::Damaged("its palette is missing")),
    };
    let raster = rows(&mut reader, picture, layout)?;
    if walked.pixels_end.saturating_sub(position.get()) > UNREAD_BYTES_MAX {
        return Err(Refused::Bomb("its pixel data go on behind its last row"));
    }
    let info = reader.info();
    let orientation = Orientation::of_exif(info.exif_metadata.as_deref());
    Ok(Decoded { raster, colour: colour(info), orientation })
}

/// Exactly the rows of the picture.
fn rows<R: std::io::BufRead + Seek>(
    reader: &mut Reader<R>,
    picture: &Picture,
    layout: Layout,
) -> Result<Raster, Refused> {
    let short = Refused::Damaged("its rows are of another length");
    let (width, height) = (picture.width, picture.height);
    let row_bytes = bytes_of(width, 1, layout).unwrap_or_default();
    let mut pixels = vec![0; bytes_of(width, height, layout).unwrap_or_default()];
    if !reader.info().interlaced {
        for row in pixels.chunks_exact_mut(row_bytes.max(1)) {
            reader.read_row(row)?.ok_or(Refused::Truncated)?;
        }
        return Raster::new(width, height, layout, pixels);
    }
    let mut row = vec![0; row_bytes];
    let bits = u8::try_from(layout.channels().saturating_mul(8)).unwrap_or(u8::MAX);
    for _ in 0..passes_rows(width, height) {
        match reader.read_row(&mut row)?.ok_or(Refused::Truncated)? {
            InterlaceInfo::Adam7(pass) => png::expand_interlaced_row(&mut pixels, row_bytes, &row, &pass, bits),
            InterlaceInfo::Null(_) => return Err(short),
        }
    }
    Raster::new(width, height, layout, pixels)
}

/// How many rows the seven passes of an interlaced picture have together; a pass without columns has none.
fn passes_rows(width: u32, height: u32) -> u32 {
    // Where a pass begins, and its steps, across and down.
    let passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)];
    let rows = passes.iter().filter(|(x, ..)| *x < width);
    rows.map(|(_, y, _, step)| height.saturating_sub(*y).div_ceil(*step)).sum()
}

/// What the chunks say of colours; the first of them that is there counts (section 4.3, 'colour spaces').
fn colour(info: &Info<'_>) -> Colour {
    if let Some(points) = info.coding_independent_code_points {
        return Colour::CodePoints(CicpProfile {
            color_primaries: CicpColorPrimaries::try_from(points.color_primaries).unwrap_or(CicpColorPrimaries::Bt709),
            transfer_characteristics: TransferCharacteristics::try_from(points.transfer_function)
                .unwrap_or(TransferCharacteristics::Srgb),
            matrix_coefficients: MatrixCoefficients::Identity,
            full_range: true,
        });
    }
    if let Some(icc) = &info.icc_profile {
        return Colour::Icc(icc.to_vec());
    }
    match (info.srgb, info.gama_chunk) {
        (None, Some(gamma)) if gamma.into_scaled() > 0 => {
            let primaries = info.chrm_chunk.map(|chunk| {
                let xy = |(x, y): (png::ScaledFloat, png::ScaledFloat)| (x.into_value(), y.into_value());
                let point = |at| Chromaticity { x: xy(at).0, y: xy(at).1 };
                let white = XyY { x: f64::from(xy(chunk.white).0), y: f64::from(xy(chunk.white).1), yb: 1.0 };
                let (red, green, blue) = (point(chunk.red), point(chunk.green), point(chunk.blue));
                (white, ColorPrimaries { red, green, blue })
            });
            if primaries.is_none() && POWERS_OF_SRGB.contains(&gamma.into_scaled()) {
                return Colour::Srgb;
            }
            Colour::Power(gamma.into_value().recip(), primaries)
        }
        _ => Colour::Srgb,
    }
}

impl From<DecodingError> for Refused {
    fn from(error: DecodingError) -> Self {
        match error {
            DecodingError::IoError(error) => Self::from(error),
            DecodingError::LimitsExceeded => Self::Bomb("its chunks are too large"),
            DecodingError::Format(_) | DecodingError::Parameter(_) => {
                Self::Damaged("its PNG data contradict themselves")
            }
        }
    }
}
