//! Sorting more than memory holds: sorted runs in a file, then merged.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::File,
    io::{self, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
    vec,
};

/// Bytes of a run that are read at once, at most and at least.
const MAX_CHUNK: usize = 1 << 20;
const MIN_CHUNK: usize = 4 << 10;

/// A file without a name in `scratch`: it is gone with whoever has it open.
///
/// # Errors
/// With the directory.
pub fn scratch_file(scratch: &Path) -> io::Result<File> {
    tempfile::tempfile_in(scratch).map_err(|error| explain(error, scratch))
}

/// Says which directory an error is about.
pub fn explain(error: io::Error, scratch: &Path) -> io::Error {
    let what = format!(
        "files for what does not fit the memory, in {}: {error}",
        scratch.display()
    );
    io::Error::new(error.kind(), what)
}

/// Sorts records of `N` numbers.
#[derive(Debug)]
pub struct Sorter<const N: usize> {
    scratch: PathBuf,
    memory: usize,
    records: Vec<[u64; N]>,
    spilled: Option<Spilled>,
}

/// Sorted runs, one after the other.
#[derive(Debug)]
struct Spilled {
    file: File,
    end: u64,
    runs: Vec<Run>,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    /// Where it begins, and ends.
    start: u64,
    end: u64,
}

impl<const N: usize> Sorter<N> {
    const BYTES: usize = N * 8;

    /// Holds `memory` bytes at most; the rest goes to files in `scratch`.
    pub fn new(scratch: &Path, memory: usize) -> Self {
        Self {
            scratch: scratch.into(),
            memory: memory.max(4 * MIN_CHUNK),
            records: Vec::new(),
            spilled: None,
        }
    }

    /// Takes a record.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn push(&mut self, record: [u64; N]) -> io::Result<()> {
        let most = self.memory / Self::BYTES;
        if self.records.len() == most {
            self.spill()?;
        }
        if self.records.len() == self.records.capacity() {
            // A vector would grow beyond what it may.
            let more = self.records.len().clamp(64, most);
            self.records.reserve_exact(more.min(most - self.records.len()));
        }
        self.records.push(record);
        Ok(())
    }

    fn spill(&mut self) -> io::Result<()> {
        self.records.sort_unstable();
        if self.spilled.is_none() {
            self.spilled = Some(Spilled::new(&self.scratch)?);
        }
        if let Some(spilled) = &mut self.spilled {
            let records = self.records.drain(..).map(Ok);
            spilled.write(records, &self.scratch)?;
        }
        Ok(())
    }

    /// All records in order.
    ///
    /// # Errors
    /// When something cannot be written or read.
    pub fn finish(mut self) -> io::Result<Sorted<N>> {
        if self.spilled.is_none() {
            self.records.sort_unstable();
            return Ok(Sorted::Held(self.records.into_iter()));
        }
        self.spill()?;
        self.records = Vec::new();
        let mut spilled = self.spilled.take().expect("it was spilled above");
        let chunk = (self.memory / 16).clamp(MIN_CHUNK, MAX_CHUNK);
        let chunk = chunk / Self::BYTES * Self::BYTES;
        let at_once = (self.memory / chunk).max(2);
        while spilled.runs.len() > at_once {
            let file = Arc::new(spilled.file);
            let mut merged = Spilled::new(&self.scratch)?;
            for runs in spilled.runs.chunks(at_once) {
                merged.write(Merge::<N>::new(&file, runs, chunk)?, &self.scratch)?;
            }
            spilled = merged;
        }
        Ok(Sorted::Merged(Merge::new(
            &Arc::new(spilled.file),
            &spilled.runs,
            chunk,
        )?))
    }
}

impl Spilled {
    fn new(scratch: &Path) -> io::Result<Self> {
        Ok(Self {
            file: scratch_file(scratch)?,
            end: 0,
            runs: Vec::new(),
        })
    }

    fn write<const N: usize>(
        &mut self,
        records: impl Iterator<Item = io::Result<[u64; N]>>,
        scratch: &Path,
    ) -> io::Result<()> {
        let start = self.end;
        let mut bytes = Vec::with_capacity(64 << 10);
        for record in records {
            bytes.extend(record?.iter().flat_map(|number| number.to_le_bytes()));
            if bytes.len() + N * 8 > 64 << 10 {
                self.file.write_all(&bytes).map_err(|error| explain(error, scratch))?;
                self.end += bytes.len() as u64;
                bytes.clear();
            }
        }
        self.file.write_all(&bytes).map_err(|error| explain(error, scratch))?;
        self.end += bytes.len() as u64;
        self.runs.push(Run { start, end: self.end });
        Ok(())
    }
}

/// Records in order.
#[derive(Debug)]
pub enum Sorted<const N: usize> {
    /// All were held.
    Held(vec::IntoIter<[u64; N]>),
    /// They come from files.
    Merged(Merge<N>),
}

impl<const N: usize> Iterator for Sorted<N> {
    type Item = io::Result<[u64; N]>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Held(records) => records.next().map(Ok),
            Self::Merged(merge) => merge.next(),
        }
    }
}

/// Several runs as one.
#[derive(Debug)]
pub struct Merge<const N: usize> {
    sources: Vec<Source>,
    /// The next record of each source.
    next: BinaryHeap<Reverse<([u64; N], usize)>>,
}

#[derive(Debug)]
struct Source {
    file: Arc<File>,
    rest: Run,
    /// What was read, and how much of it was taken.
    bytes: Vec<u8>,
    taken: usize,
    chunk: usize,
}

impl<const N: usize> Merge<N> {
    fn new(file: &Arc<File>, runs: &[Run], chunk: usize) -> io::Result<Self> {
        let mut merge = Self {
            sources: Vec::new(),
            next: BinaryHeap::new(),
        };
        for (place, run) in runs.iter().enumerate() {
            let mut source = Source {
                file: file.clone(),
                rest: *run,
                bytes: Vec::new(),
                taken: 0,
                chunk,
            };
            if let Some(record) = source.read()? {
                merge.next.push(Reverse((record, place)));
            }
            merge.sources.push(source);
        }
        Ok(merge)
    }
}

impl<const N: usize> Iterator for Merge<N> {
    type Item = io::Result<[u64; N]>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut first = self.next.peek_mut()?;
        let Reverse((record, place)) = *first;
        match self.sources[place].read() {
            Ok(Some(next)) => *first = Reverse((next, place)),
            Ok(None) => drop(std::collections::binary_heap::PeekMut::pop(first)),
            Err(error) => return Some(Err(error)),
        }
        Some(Ok(record))
    }
}

impl Source {
    fn read<const N: usize>(&mut self) -> io::Result<Option<[u64; N]>> {
        if self.taken == self.bytes.len() {
            let left = self.rest.end - self.rest.start;
            if left == 0 {
                return Ok(None);
            }
            self.bytes.resize(left.min(self.chunk as u64) as usize, 0);
            self.file.read_exact_at(&mut self.bytes, self.rest.start)?;
            self.rest.start += self.bytes.len() as u64;
            self.taken = 0;
        }
        let mut record = [0; N];
        for (number, bytes) in record.iter_mut().zip(self.bytes[self.taken..].chunks_exact(8)) {
            *number = u64::from_le_bytes(bytes.try_into().expect("a chunk has 8 bytes"));
        }
        self.taken += N * 8;
        Ok(Some(record))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::dedup::hash::mix;

    #[rstest]
    #[case::none(0, 1)]
    #[case::held(1000, 1 << 20)]
    #[case::exactly_full(1024, 16 << 10)]
    #[case::one_spilled(1025, 16 << 10)]
    #[case::several_passes(100_000, 1)]
    fn records_come_out_in_order(#[case] count: u64, #[case] memory: usize) {
        let scratch = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::new(scratch.path(), memory);
        let mut expected: Vec<_> = (0..count).map(|i| [mix(i) % 1000, mix(i + 7)]).collect();
        for record in &expected {
            sorter.push(*record).unwrap();
        }
        expected.sort_unstable();
        let sorted: Vec<_> = sorter.finish().unwrap().map(Result::unwrap).collect();
        assert_eq!(sorted, expected);
    }

    #[test]
    fn a_missing_directory_is_named() {
        let mut sorter = Sorter::new(Path::new("/no/such/place"), 1);
        let error = (0..10_000).find_map(|i| sorter.push([i]).err()).unwrap();
        assert!(error.to_string().contains("/no/such/place"), "{error}");
    }
}
