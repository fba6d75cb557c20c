//! Records that are like others: equal ones, similar ones, and those of evaluation suites.
//!
//! Memory does not grow with the corpus but for two bits a record, and a few words for each that is similar to another.

mod bands;
mod bits;
pub mod contamination;
mod exact;
mod hash;
mod near;
mod sketch;
mod spill;
#[cfg(test)]
mod tests;
mod words;

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek, Write},
    path::{Path, PathBuf},
};

pub use contamination::Contamination;
use protocol::tune::Dedup;

use self::{
    bits::Bits,
    exact::Exact,
    near::Near,
    spill::{explain, scratch_file},
};
pub(crate) use self::{hash::hash, words::stands_alone};

/// Longest shingle that makes sense.
const MAX_SHINGLE: u32 = 1000;

/// Finds records that are like others. All are added, then [`Self::finish`] tells which.
#[derive(Debug)]
pub struct Deduplicator {
    scratch: PathBuf,
    exact: Option<Exact>,
    near: Option<Near>,
    /// What the documents are called, in order.
    names: BufWriter<File>,
    count: u64,
    last: Option<u64>,
}

/// How a record is like another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Equal but for case, spaces and punctuation.
    Exact,
    /// At least as similar as the threshold says.
    Near,
}

impl Deduplicator {
    /// Holds about `memory` bytes, beside what one text needs; the rest goes to files in `scratch` that go with it.
    ///
    /// # Errors
    /// When the threshold or the shingle makes no sense, or there can be no files.
    pub fn new(dedup: &Dedup, scratch: &Path, memory: usize) -> io::Result<Self> {
        let near = dedup.minhash.as_ref().map(|minhash| {
            if !(minhash.threshold > 0.0 && minhash.threshold <= 1.0) {
                let what = format!(
                    "dedup.minhash.threshold: {} is not above 0 and up to 1",
                    minhash.threshold
                );
                return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
            }
            if !(1..=MAX_SHINGLE).contains(&minhash.shingle) {
                let what = format!(
                    "dedup.minhash.shingle: {} is not 1 to {MAX_SHINGLE} words",
                    minhash.shingle
                );
                return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
            }
            // Keys and pairs are there at the same time.
            Near::new(minhash.threshold, minhash.shingle as usize, scratch, memory / 3)
        });
        Ok(Self {
            scratch: scratch.into(),
            exact: dedup.exact.then(|| Exact::new(scratch, memory / 3)),
            near: near.transpose()?,
            names: BufWriter::new(scratch_file(scratch)?),
            count: 0,
            last: None,
        })
    }

    /// Takes the text of a document. Their numbers ascend; there may be gaps.
    ///
    /// # Errors
    /// When numbers do not ascend, or something cannot be written.
    pub fn add(&mut self, document: u64, text: &str) -> io::Result<()> {
        if let Some(last) = self.last.filter(|last| *last >= document) {
            let what = format!("document {document} comes after document {last}: they have to ascend");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        self.last = Some(document);
        let written = self.names.write_all(&document.to_le_bytes());
        written.map_err(|error| explain(error, &self.scratch))?;
        if let Some(exact) = &mut self.exact {
            exact.add(self.count, text)?;
        }
        if let Some(near) = &mut self.near {
            near.add(self.count, text)?;
        }
        self.count += 1;
        Ok(())
    }

    /// All that are like one before.
    ///
    /// # Errors
    /// When something cannot be written or read.
    pub fn finish(self) -> io::Result<Duplicates> {
        let exact = self.exact.map(Exact::finish).transpose()?.unwrap_or_default();
        let near = self
            .near
            .map(|near| near.finish(&exact))
            .transpose()?
            .unwrap_or_default();
        let names = self.names.into_inner();
        let mut names = names.map_err(|error| explain(error.into_error(), &self.scratch))?;
        names.rewind()?;
        Ok(Duplicates {
            names: BufReader::new(names),
            rest: 0..self.count,
            exact,
            near,
        })
    }
}

/// Documents that are like one before, in order. The first of those that are alike is not among them.
#[derive(Debug)]
pub struct Duplicates {
    names: BufReader<File>,
    rest: std::ops::Range<u64>,
    exact: Bits,
    near: Bits,
}

impl Iterator for Duplicates {
    type Item = io::Result<(u64, Kind)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let place = self.rest.next()?;
            let mut name = [0; 8];
            if let Err(error) = self.names.read_exact(&mut name) {
                self.rest = 0..0;
                return Some(Err(error));
            }
            let kind = match (self.exact.contains(place), self.near.contains(place)) {
                (true, _) => Kind::Exact,
                (false, true) => Kind::Near,
                (false, false) => continue,
            };
            return Some(Ok((u64::from_le_bytes(name), kind)));
        }
    }
}
