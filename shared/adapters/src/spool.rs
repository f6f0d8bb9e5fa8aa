//! The bytes of a picture between its host and the bucket: held while they are few, in a file when they are many.
//!
//! Invariant: what is held of one picture is never more than [`HELD_BYTES_MAX`]; a file goes when nobody has its content
//! any more.

use std::fs::File;
use std::io::{self, BufWriter, Cursor, Read, Seek, SeekFrom, Write};

use bytes::Bytes;
use tempfile::{NamedTempFile, TempPath};

/// The most that is held of one picture, in bytes. Nearly all that shops show are smaller, and cost no file; fourteen of
/// these at once are 28 MiB.
pub const HELD_BYTES_MAX: usize = 2 * 1_024 * 1_024;
/// How much is gathered before it is written to a file, in bytes.
const WRITE_BYTES: usize = 64 * 1_024;

/// All bytes of a picture, to be read as often as one likes.
#[derive(Debug)]
pub enum Content {
    /// These.
    Held(Bytes),
    /// Those of a file.
    File(TempPath),
}

impl Content {
    /// From the first byte on.
    pub fn open(&self) -> io::Result<Opened> {
        match self {
            Self::Held(bytes) => Ok(Opened::Held(Cursor::new(bytes.clone()))),
            Self::File(path) => File::open(path).map(Opened::File),
        }
    }

    /// How many bytes there are.
    pub fn len(&self) -> io::Result<u64> {
        match self {
            Self::Held(bytes) => Ok(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
            Self::File(path) => path.metadata().map(|known| known.len()),
        }
    }
}

/// A content that is being read.
#[derive(Debug)]
pub enum Opened {
    /// From memory.
    Held(Cursor<Bytes>),
    /// From its file.
    File(File),
}

impl Read for Opened {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Held(bytes) => bytes.read(into),
            Self::File(file) => file.read(into),
        }
    }
}

impl Seek for Opened {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::Held(bytes) => bytes.seek(to),
            Self::File(file) => file.seek(to),
        }
    }
}

/// A content that is being written.
#[derive(Debug)]
pub enum Spool {
    /// While it is short.
    Held(Vec<u8>),
    /// Once it was too long to be held.
    File(BufWriter<NamedTempFile>),
}

impl Spool {
    /// An empty one, with room for as much as is expected.
    pub fn expecting(bytes: Option<u64>) -> Self {
        let bytes = bytes.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or_default();
        Self::Held(Vec::with_capacity(if bytes > HELD_BYTES_MAX { 0 } else { bytes }))
    }

    /// Takes more.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Held(held) if held.len().saturating_add(bytes.len()) <= HELD_BYTES_MAX => {
                held.extend_from_slice(bytes);
                Ok(())
            }
            Self::Held(held) => {
                let mut file = BufWriter::with_capacity(WRITE_BYTES, NamedTempFile::new()?);
                file.write_all(held)?;
                file.write_all(bytes)?;
                *self = Self::File(file);
                Ok(())
            }
            Self::File(file) => file.write_all(bytes),
        }
    }

    /// All that it took.
    pub fn finish(self) -> io::Result<Content> {
        match self {
            Self::Held(held) => Ok(Content::Held(held.into())),
            Self::File(file) => {
                let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
                Ok(Content::File(file.into_temp_path()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(length: usize, expected: Option<u64>) -> (Vec<u8>, Content) {
        let bytes: Vec<u8> = b"picture".iter().copied().cycle().take(length).collect();
        let mut spool = Spool::expecting(expected);
        bytes.chunks(100_000).for_each(|chunk| spool.write(chunk).unwrap());
        (bytes, spool.finish().unwrap())
    }

    #[test]
    fn it_reads_back_from_memory_and_from_a_file_that_goes_with_it() {
        for (length, expected, is_held) in [
            (0, None, true),
            (7, Some(u64::MAX), true),
            (HELD_BYTES_MAX, Some(3), true),
            (HELD_BYTES_MAX + 1, None, false),
        ] {
            let (bytes, content) = content(length, expected);
            assert_eq!(content.len().unwrap(), u64::try_from(length).unwrap());
            for _ in 0..2 {
                let (mut opened, mut read) = (content.open().unwrap(), Vec::new());
                opened.read_to_end(&mut read).unwrap();
                assert!(read == bytes);
                opened.seek(SeekFrom::Start(0)).unwrap();
                read.clear();
                opened.read_to_end(&mut read).unwrap();
                assert!(read == bytes);
            }
            let path = match &content {
                Content::Held(_) => None,
                Content::File(path) => Some(path.to_path_buf()),
            };
            assert_eq!(path.is_none(), is_held, "{length}");
            drop(content);
            assert!(path.is_none_or(|path| !path.exists()));
        }
    }
}
