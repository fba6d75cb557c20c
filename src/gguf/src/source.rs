//! A byte source that knows how much it has left, so that lengths are checked before they are
//! trusted.

use std::io::Read;

use crate::Error;

/// Largest header accepted, in bytes. Vocabularies of 262,000 tokens with merges take about 12 MiB.
pub(crate) const MAX_HEADER: u64 = 64 << 20;

/// Little-endian reader over the first bytes of a file of known size.
pub(crate) struct Source<R> {
    reader: R,
    position: u64,
    file_size: u64,
}

impl<R: Read> Source<R> {
    pub(crate) fn new(reader: R, file_size: u64) -> Self {
        Self {
            reader,
            position: 0,
            file_size,
        }
    }

    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    pub(crate) fn file_size(&self) -> u64 {
        self.file_size
    }

    /// Checks that `count` items of at least `item` bytes each can still follow.
    pub(crate) fn require(&self, count: u64, item: u64, what: &str) -> Result<(), Error> {
        let end = count
            .checked_mul(item)
            .and_then(|bytes| bytes.checked_add(self.position))
            .unwrap_or(u64::MAX);
        if end > self.file_size {
            return Err(Error::Truncated {
                what: what.into(),
                expected: end,
                actual: self.file_size,
            });
        }
        if end > MAX_HEADER {
            return Err(Error::HeaderTooLarge {
                what: what.into(),
                limit: MAX_HEADER,
            });
        }
        Ok(())
    }

    /// The next `count` bytes.
    pub(crate) fn bytes(&mut self, count: u64, what: &str) -> Result<Vec<u8>, Error> {
        self.require(count, 1, what)?;
        // `require` bounds it by MAX_HEADER.
        let mut bytes = vec![0; count as usize];
        self.reader
            .read_exact(&mut bytes)
            .map_err(Error::io(format!("read {what}")))?;
        self.position += count;
        Ok(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Error> {
        self.require(N as u64, 1, what)?;
        let mut bytes = [0; N];
        self.reader
            .read_exact(&mut bytes)
            .map_err(Error::io(format!("read {what}")))?;
        self.position += N as u64;
        Ok(bytes)
    }

    pub(crate) fn u32(&mut self, what: &str) -> Result<u32, Error> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    pub(crate) fn u64(&mut self, what: &str) -> Result<u64, Error> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    /// A string: 64-bit length, then UTF-8.
    pub(crate) fn string(&mut self, what: &str) -> Result<String, Error> {
        let length = self.u64(what)?;
        String::from_utf8(self.bytes(length, what)?).map_err(|_| Error::invalid(what, "the text is not UTF-8"))
    }
}
