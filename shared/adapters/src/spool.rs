//! The bytes of a picture between its host and the bucket: held while they are few, in a file when they are many.
//!
//! Invariant: what is held of one picture is never more than [`HELD_BYTES_MAX`]; a file goes when nobody has its content
//! any more.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Cursor, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tempfile::{NamedTempFile, TempPath};

/// The most that is held of one picture, in bytes. Nearly all that shops show are smaller, and cost no file; fourteen of
/// these at once are 28 MiB.
pub const HELD_BYTES_MAX: usize = 2 * 1_024 * 1_024;
/// How much is written to a file and read from it at once, in bytes.
const FILE_BYTES: usize = 64 * 1_024;

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
            Self::File(path) => Ok(Opened::File(BufReader::with_capacity(FILE_BYTES, File::open(path)?))),
        }
    }

    /// How many bytes there are.
    pub fn size(&self) -> io::Result<u64> {
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
    File(BufReader<File>),
}

impl Read for Opened {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Held(bytes) => bytes.read(into),
            Self::File(file) => file.read(into),
        }
    }
}

impl BufRead for Opened {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self {
            Self::Held(bytes) => bytes.fill_buf(),
            Self::File(file) => file.fill_buf(),
        }
    }

    fn consume(&mut self, count: usize) {
        match self {
            Self::Held(bytes) => bytes.consume(count),
            Self::File(file) => file.consume(count),
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

    /// Keeps what was read ahead.
    fn seek_relative(&mut self, offset: i64) -> io::Result<()> {
        match self {
            Self::Held(bytes) => bytes.seek_relative(offset),
            Self::File(file) => file.seek_relative(offset),
        }
    }
}

/// The memory in which small pictures are held, used again and again: the system hands out fresh memory page by page, which
/// costs as much as to hash what is put into it.
#[derive(Debug, Clone, Default)]
pub struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

impl Buffers {
    fn take(&self) -> Vec<u8> {
        let free = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        free.unwrap_or_else(|| Vec::with_capacity(HELD_BYTES_MAX))
    }
}

/// A buffer that comes back when nobody needs what is in it.
#[derive(Debug)]
struct Lent {
    buffer: Vec<u8>,
    from: Buffers,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        self.from.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}

/// A content that is being written.
#[derive(Debug)]
pub struct Spool(Spooling);

#[derive(Debug)]
enum Spooling {
    /// While it is short.
    Held(Lent),
    /// Once it was too long to be held.
    File(BufWriter<NamedTempFile>),
}

impl Spool {
    /// An empty one, which is held in one of these.
    pub fn new(buffers: &Buffers) -> Self {
        Self(Spooling::Held(Lent { buffer: buffers.take(), from: buffers.clone() }))
    }

    /// Takes more.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.0 {
            Spooling::Held(Lent { buffer, .. }) if buffer.len().saturating_add(bytes.len()) <= HELD_BYTES_MAX => {
                buffer.extend_from_slice(bytes);
                Ok(())
            }
            Spooling::Held(Lent { buffer, .. }) => {
                let mut file = BufWriter::with_capacity(FILE_BYTES, NamedTempFile::new()?);
                file.write_all(buffer)?;
                file.write_all(bytes)?;
                self.0 = Spooling::File(file);
                Ok(())
            }
            Spooling::File(file) => file.write_all(bytes),
        }
    }

    /// All that it took.
    pub fn finish(self) -> io::Result<Content> {
        match self.0 {
            Spooling::Held(held) => Ok(Content::Held(Bytes::from_owner(held))),
            Spooling::File(file) => {
                let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
                Ok(Content::File(file.into_temp_path()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(buffers: &Buffers, length: usize) -> (Vec<u8>, Content) {
        let bytes: Vec<u8> = b"picture".iter().copied().cycle().take(length).collect();
        let mut spool = Spool::new(buffers);
        bytes.chunks(100_000).for_each(|chunk| spool.write(chunk).unwrap());
        (bytes, spool.finish().unwrap())
    }

    #[test]
    fn it_reads_back_from_memory_and_from_a_file_that_goes_with_it() {
        let buffers = Buffers::default();
        for (length, is_held) in [(0, true), (HELD_BYTES_MAX, true), (7, true), (HELD_BYTES_MAX + 1, false)] {
            let (bytes, content) = content(&buffers, length);
            assert_eq!(content.size().unwrap(), u64::try_from(length).unwrap());
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
            assert_eq!(buffers.0.lock().unwrap().len(), 1, "{length}: the buffer came back");
        }
    }
}
