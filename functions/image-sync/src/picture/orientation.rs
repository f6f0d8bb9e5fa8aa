//! Which way up a picture is, as its EXIF says (CIPA DC-008, tag 274).

use super::raster::Raster;

/// The most entries of a directory that are read; the first directory of a camera has some twenty.
const ENTRIES_MAX: usize = 512;
/// The tag of the orientation, and the type of its value: one unsigned number of 16 bits.
const TAG: u16 = 0x0112;
const SHORT: u16 = 3;

/// How stored pixels become upright ones: first rows and columns are exchanged, then each axis is mirrored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Orientation {
    transposed: bool,
    mirrored: bool,
    flipped: bool,
}

impl Orientation {
    /// From the EXIF of a picture, with or without the mark that JPEG puts before it. What cannot be read, or says
    /// nothing, is upright.
    pub(super) fn of_exif(exif: Option<&[u8]>) -> Self {
        exif.and_then(tagged).map(Self::of_number).unwrap_or_default()
    }

    fn of_number(number: u16) -> Self {
        let (transposed, mirrored, flipped) = match number {
            2 => (false, true, false),
            3 => (false, true, true),
            4 => (false, false, true),
            5 => (true, false, false),
            6 => (true, true, false),
            7 => (true, true, true),
            8 => (true, false, true),
            _ => (false, false, false),
        };
        Self { transposed, mirrored, flipped }
    }

    /// The picture, upright.
    pub(super) fn applied(self, raster: Raster) -> Raster {
        let raster = if self.transposed { raster.transposed() } else { raster };
        let raster = if self.mirrored { raster.mirrored() } else { raster };
        if self.flipped { raster.flipped() } else { raster }
    }
}

/// The number that the first directory has for the tag.
fn tagged(exif: &[u8]) -> Option<u16> {
    let exif = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    let is_little = match exif.get(..4)? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let u16_at = |at: usize| {
        let bytes = exif.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if is_little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let offset = exif.get(4..8)?.try_into().ok()?;
    let offset = if is_little { u32::from_le_bytes(offset) } else { u32::from_be_bytes(offset) };
    let start = usize::try_from(offset).ok()?;
    let entries = usize::from(u16_at(start)?).min(ENTRIES_MAX);
    (0..entries).find_map(|entry| {
        let at = start.checked_add(2)?.checked_add(entry.checked_mul(12)?)?;
        let is_it = u16_at(at)? == TAG && u16_at(at.checked_add(2)?)? == SHORT;
        if is_it { u16_at(at.checked_add(8)?) } else { None }
    })
}
