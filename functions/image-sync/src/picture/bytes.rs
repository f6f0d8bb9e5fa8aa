//! A file, read forward, in the pieces of which formats are made.
//!
//! Invariant: what a file claims to hold beyond its end is never waited for, sought or allocated.

use std::io::{BufRead, Read, Seek, SeekFrom};

use adapters::spool::{Content, Opened};

use super::{IMAGE_BYTES_MAX, LooksLike, Refused};

/// A file with a place in it.
pub(super) struct Bytes {
    reader: Opened,
    position: u64,
    length: u64,
}

impl Bytes {
    /// Opens a file that holds at least a byte, and not too many.
    pub(super) fn open(content: &Content) -> Result<Self, Refused> {
        let reader = content.open().map_err(Refused::Unreadable)?;
        let length = content.size().map_err(Refused::Unreadable)?;
        match length {
            0 => Err(Refused::NotAnImage(LooksLike::Empty)),
            1..=IMAGE_BYTES_MAX => Ok(Self { reader, position: 0, length }),
            _ => Err(Refused::TooManyBytes(length)),
        }
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn remaining(&self) -> u64 {
        self.length.saturating_sub(self.position)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Refused> {
        let mut array = [0; N];
        self.reader.read_exact(&mut array)?;
        self.position = self.position.saturating_add(u64::try_from(N).unwrap_or(u64::MAX));
        Ok(array)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Refused> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16_be(&mut self) -> Result<u16, Refused> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u16_le(&mut self) -> Result<u16, Refused> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32_be(&mut self) -> Result<u32, Refused> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u32_le(&mut self) -> Result<u32, Refused> {
        self.array().map(u32::from_le_bytes)
    }

    /// Three bytes, the smallest first, as WebP writes sizes.
    pub(super) fn u24_le(&mut self) -> Result<u32, Refused> {
        self.array().map(|[low, middle, high]| u32::from_le_bytes([low, middle, high, 0]))
    }

    /// Goes on by so many bytes, all of which must be there.
    pub(super) fn skip(&mut self, count: u64) -> Result<(), Refused> {
        if count > self.remaining() {
            return Err(Refused::Truncated);
        }
        let relative = i64::try_from(count).map_err(|_| Refused::Truncated)?;
        self.reader.seek_relative(relative)?;
        self.position = self.position.saturating_add(count);
        Ok(())
    }

    /// Goes to the first byte of this value, and behind it. Says how many bytes lay before it.
    pub(super) fn skip_past(&mut self, wanted: u8) -> Result<u64, Refused> {
        let skipped = self.reader.skip_until(wanted)?;
        self.position = self.position.saturating_add(u64::try_from(skipped).unwrap_or(u64::MAX));
        if self.position >= self.length {
            return Err(Refused::Truncated);
        }
        Ok(u64::try_from(skipped).unwrap_or(u64::MAX).saturating_sub(1))
    }

    /// The next bytes, at most so many, without going on.
    pub(super) fn peek(&mut self, count: usize) -> Result<Vec<u8>, Refused> {
        let mut next = Vec::with_capacity(count);
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.reader.by_ref().take(count).read_to_end(&mut next)?;
        self.reader.seek_relative(-i64::try_from(next.len()).unwrap_or(0))?;
        Ok(next)
    }

    /// The last bytes of the file, at most so many. The place is lost.
    pub(super) fn tail(mut self, count: u64) -> Result<Vec<u8>, Refused> {
        self.reader.seek(SeekFrom::Start(self.length.saturating_sub(count)))?;
        let mut tail = Vec::new();
        self.reader.take(count).read_to_end(&mut tail)?;
        Ok(tail)
    }

    /// The next so many bytes, as a reader that ends behind them. The place moves behind what is read of it.
    pub(super) fn part(&mut self, count: u64) -> Part<'_> {
        Part { bytes: self, left: count }
    }
}

/// A part of a file. Read to its end, or not: `finish` goes behind it.
pub(super) struct Part<'a> {
    bytes: &'a mut Bytes,
    left: u64,
}

impl Part<'_> {
    pub(super) fn finish(self) -> Result<(), Refused> {
        self.bytes.skip(self.left)
    }
}

impl Read for Part<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.bytes.reader.by_ref().take(self.left).read(into)?;
        let count = u64::try_from(read).unwrap_or(u64::MAX);
        self.left = self.left.saturating_sub(count);
        self.bytes.position = self.bytes.position.saturating_add(count);
        Ok(read)
    }
}
