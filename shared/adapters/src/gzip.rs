//! Texts as gzip, and back. What is packed twice is the same bytes twice, so a digest of them is a name of the text.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

/// The longest text that is unpacked, in bytes: what a marketplace may answer, twice. Whatever claims to be more was
/// not packed here.
pub const UNPACKED_BYTES_MAX: u64 = 16 * 1_024 * 1_024;

/// Packs a text.
pub fn pack(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // Writing to memory does not fail.
    encoder.write_all(text.as_bytes()).ok();
    encoder.finish().unwrap_or_default()
}

/// The text that was packed. `None` for what is no gzip of a text, or of too long a one.
pub fn unpack(gzip: &[u8]) -> Option<String> {
    let mut text = String::new();
    let mut decoder = GzDecoder::new(gzip).take(UNPACKED_BYTES_MAX + 1);
    decoder.read_to_string(&mut text).ok()?;
    u64::try_from(text.len()).is_ok_and(|bytes| bytes <= UNPACKED_BYTES_MAX).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_out_as_it_went_in_and_always_as_the_same_bytes() {
        for text in ["", "{}", "\u{4e1d}\u{5dfe} \"<&>\"", &"x".repeat(100_000)] {
            assert_eq!(unpack(&pack(text)).as_deref(), Some(text));
            assert_eq!(pack(text), pack(text));
        }
    }

    #[test]
    fn what_is_no_gzip_of_a_text_or_of_too_long_a_one_is_none() {
        let largest = usize::try_from(UNPACKED_BYTES_MAX).unwrap();
        let packed = pack(&"x".repeat(largest));
        assert_eq!(unpack(&packed).map(|text| text.len()), Some(largest));
        let (bomb, half) = (pack(&"x".repeat(largest + 1)), &packed[..packed.len() / 2]);
        assert_eq!([unpack(&bomb), unpack(half), unpack(b""), unpack(b"{}")], [None, None, None, None]);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&[0xff, 0xfe]).unwrap();
        assert_eq!(unpack(&encoder.finish().unwrap()), None);
    }
}
