//! Records on the disk between the passes.
//!
//! `records` has them one behind the other; `index` has 12 bytes for each: the hash that decides about its part, and its
//! source. Both are read from the front to the end.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write as _};
use std::path::{Path, PathBuf};

use super::changed;
use crate::failure::{Result, disk};

const BUFFER_BYTES: usize = 1 << 18;

/// A record between the passes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// Index of its source.
    pub source: u32,
    /// Decides about its part.
    pub hash: u64,
    /// Where it was read.
    pub origin: String,
    /// As it was read, shortened, if that is not as it is.
    pub before: String,
    /// Its fields as JSON.
    pub content: String,
}

/// Records on their way to the disk.
pub(super) struct Spill {
    records: (PathBuf, BufWriter<File>),
    index: (PathBuf, BufWriter<File>),
    count: u64,
}

/// Records on the disk.
pub(super) struct Spilled {
    records: PathBuf,
    index: PathBuf,
    /// How many.
    pub count: u64,
}

fn create(path: PathBuf) -> Result<(PathBuf, BufWriter<File>)> {
    let file = File::create(&path).map_err(disk("create", &path))?;
    Ok((path, BufWriter::with_capacity(BUFFER_BYTES, file)))
}

/// Opens one of our files to read it from the front to the end.
pub(super) fn open(path: &Path) -> Result<BufReader<File>> {
    let file = File::open(path).map_err(disk("open", path))?;
    Ok(BufReader::with_capacity(BUFFER_BYTES, file))
}

impl Spill {
    /// An empty one in a directory.
    pub(super) fn create(directory: &Path) -> Result<Self> {
        Ok(Self {
            records: create(directory.join("records"))?,
            index: create(directory.join("index"))?,
            count: 0,
        })
    }

    /// Appends a record; its number, from 0.
    pub(super) fn append(&mut self, entry: &Entry) -> Result<u64> {
        let (path, file) = &mut self.records;
        let texts = [&entry.origin, &entry.before, &entry.content];
        let mut write = || {
            for text in texts {
                file.write_all(&(text.len() as u32).to_le_bytes())?;
                file.write_all(text.as_bytes())?;
            }
            Ok(())
        };
        write().map_err(disk("write", path))?;
        let (path, file) = &mut self.index;
        let mut row = [0; 12];
        row[..8].copy_from_slice(&entry.hash.to_le_bytes());
        row[8..].copy_from_slice(&entry.source.to_le_bytes());
        file.write_all(&row).map_err(disk("write", path))?;
        self.count += 1;
        Ok(self.count - 1)
    }

    /// Ends the writing.
    pub(super) fn finish(mut self) -> Result<Spilled> {
        for (path, file) in [&mut self.records, &mut self.index] {
            file.flush().map_err(disk("write", path))?;
        }
        Ok(Spilled {
            records: self.records.0,
            index: self.index.0,
            count: self.count,
        })
    }
}

impl Spilled {
    /// Hashes and sources, in order.
    pub(super) fn index(&self) -> Result<impl Iterator<Item = Result<(u64, u32)>> + '_> {
        let mut file = open(&self.index)?;
        Ok((0..self.count).map(move |_| {
            let mut row = [0; 12];
            file.read_exact(&mut row).map_err(|_| changed(&self.index))?;
            let [a, b, c, d, e, f, g, h, source @ ..] = row;
            Ok((u64::from_le_bytes([a, b, c, d, e, f, g, h]), u32::from_le_bytes(source)))
        }))
    }

    /// The records, in order.
    pub(super) fn records(&self) -> Result<impl Iterator<Item = Result<Entry>> + '_> {
        let mut file = open(&self.records)?;
        let index = self.index()?;
        Ok(index.map(move |row| {
            let (hash, source) = row?;
            let mut text = || {
                let mut length = [0; 4];
                file.read_exact(&mut length).map_err(|_| changed(&self.records))?;
                let mut bytes = vec![0; u32::from_le_bytes(length) as usize];
                file.read_exact(&mut bytes).map_err(|_| changed(&self.records))?;
                String::from_utf8(bytes).map_err(|_| changed(&self.records))
            };
            Ok(Entry {
                source,
                hash,
                origin: text()?,
                before: text()?,
                content: text()?,
            })
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let entry = |number: u32| Entry {
            source: number,
            hash: u64::MAX - u64::from(number),
            origin: format!("s/f:{number}"),
            before: "x".repeat(number as usize),
            content: r#"{"text":"é"}"#.into(),
        };
        let mut spill = Spill::create(dir.path()).unwrap();
        for number in 0..5 {
            assert_eq!(spill.append(&entry(number)).unwrap(), u64::from(number));
        }
        let spilled = spill.finish().unwrap();
        let found: Vec<_> = spilled.records().unwrap().map(Result::unwrap).collect();
        assert_eq!(found, (0..5).map(entry).collect::<Vec<_>>());
        File::create(dir.path().join("records")).unwrap();
        assert!(spilled.records().unwrap().next().unwrap().is_err());
    }
}
