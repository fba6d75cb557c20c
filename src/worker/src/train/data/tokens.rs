//! Tokenized records on disk, so that memory does not grow with the corpus.
//!
//! `PART.tokens` holds the tokens, 4 bytes each, whose highest bit says that the token is learned. `PART.index` has an
//! entry of fixed size for each text: where its tokens begin, how many there are (and those of the worse answer, if
//! it is a pair), and the line that it came from.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use train::{Pair, Sequence};

use super::{batches::Lengths, masked::Masked};

const LEARNED: u32 = 1 << 31;
const ENTRY: usize = 24;

/// A text, or a pair of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Example {
    /// A text.
    One(Sequence),
    /// Two answers to one prompt.
    Two(Pair),
}

/// Writes the files of a part.
pub struct Writer {
    tokens: BufWriter<File>,
    index: BufWriter<File>,
    at: u64,
    entries: u64,
}

impl Writer {
    /// Begins the files of `part` in a directory.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn create(directory: &Path, part: &str) -> io::Result<Self> {
        let [tokens, index] = paths(directory, part);
        Ok(Self {
            tokens: BufWriter::new(File::create(tokens)?),
            index: BufWriter::new(File::create(index)?),
            at: 0,
            entries: 0,
        })
    }

    /// Adds a text, or a pair, of this line.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&mut self, line: u64, first: &Masked, second: Option<&Masked>) -> io::Result<()> {
        let lengths = [Some(first), second].map(|text| text.map_or(0, |text| text.tokens.len() as u32));
        let mut entry = Vec::with_capacity(ENTRY);
        entry.extend(self.at.to_le_bytes());
        entry.extend(lengths.iter().flat_map(|length| length.to_le_bytes()));
        entry.extend(line.to_le_bytes());
        self.index.write_all(&entry)?;
        for text in [Some(first), second].into_iter().flatten() {
            for (token, learned) in text.tokens.iter().zip(&text.learned) {
                let marked = token | if *learned { LEARNED } else { 0 };
                self.tokens.write_all(&marked.to_le_bytes())?;
            }
        }
        self.at += u64::from(lengths[0]) + u64::from(lengths[1]);
        self.entries += 1;
        Ok(())
    }

    /// Texts and tokens so far.
    pub fn counts(&self) -> (u64, u64) {
        (self.entries, self.at)
    }

    /// Completes the files.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn finish(self) -> io::Result<()> {
        for file in [self.tokens, self.index] {
            file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        }
        Ok(())
    }
}

/// Reads the files of a part.
#[derive(Debug)]
pub struct Tokens {
    tokens: File,
    index: File,
    count: u64,
}

struct Entry {
    at: u64,
    lengths: [usize; 2],
    line: u64,
}

impl Tokens {
    /// Opens files that must have so many texts and tokens.
    ///
    /// # Errors
    /// When they cannot be read, or have another size.
    pub fn open(directory: &Path, part: &str, texts: u64, tokens: u64) -> io::Result<Self> {
        let [tokens_file, index] = paths(directory, part);
        for (path, expected) in [(&tokens_file, tokens * 4), (&index, texts * ENTRY as u64)] {
            let found = std::fs::metadata(path)?.len();
            if found != expected {
                let what = format!("{} has {found} bytes instead of {expected}", path.display());
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
        }
        Ok(Self {
            tokens: File::open(tokens_file)?,
            index: File::open(index)?,
            count: texts,
        })
    }

    /// The line of a record's file that a text came from, from 1.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn line(&self, number: u64) -> io::Result<u64> {
        Ok(self.entry(number)?.line)
    }

    /// A text, or a pair.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, number: u64) -> io::Result<Example> {
        let entry = self.entry(number)?;
        let [first, second] = entry.lengths;
        let mut bytes = vec![0; (first + second) * 4];
        self.tokens.read_exact_at(&mut bytes, entry.at * 4)?;
        let marked: Vec<u32> = bytes
            .chunks_exact(4)
            .map(|bytes| u32::from_le_bytes(bytes.try_into().expect("pieces have 4 bytes")))
            .collect();
        let masked = |marked: &[u32]| Masked {
            tokens: marked.iter().map(|token| token & !LEARNED).collect(),
            learned: marked.iter().map(|token| token & LEARNED != 0).collect(),
        };
        let sequence = |marked: &[u32]| Sequence::from(&masked(marked));
        Ok(match second {
            0 => Example::One(sequence(&marked)),
            _ => Example::Two(Pair {
                chosen: sequence(&marked[..first]),
                rejected: sequence(&marked[first..]),
            }),
        })
    }

    fn entry(&self, number: u64) -> io::Result<Entry> {
        let mut bytes = [0; ENTRY];
        self.index.read_exact_at(&mut bytes, number * ENTRY as u64)?;
        let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        let short = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes")) as usize;
        Ok(Entry {
            at: long(0),
            lengths: [short(8), short(12)],
            line: long(16),
        })
    }
}

impl Lengths for Tokens {
    fn count(&self) -> u64 {
        self.count
    }

    fn length(&self, record: u64) -> io::Result<usize> {
        let [first, second] = self.entry(record)?.lengths;
        // The last token of a text is a target only.
        Ok(first.max(second).saturating_sub(1))
    }
}

fn paths(directory: &Path, part: &str) -> [PathBuf; 2] {
    ["tokens", "index"].map(|kind| directory.join(format!("{part}.{kind}")))
}

#[cfg(test)]
mod tests {
    use train::IGNORE;

    use super::*;

    #[test]
    fn texts_and_pairs_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut one = Masked::default();
        one.push(&[1, 2], false);
        one.push(&[3], true);
        let mut other = one.clone();
        other.push(&[70_000], true);
        let mut writer = Writer::create(dir.path(), "train").unwrap();
        writer.add(1, &one, None).unwrap();
        writer.add(7, &one, Some(&other)).unwrap();
        let (texts, tokens) = writer.counts();
        writer.finish().unwrap();
        assert_eq!((texts, tokens), (2, 10));
        let read = Tokens::open(dir.path(), "train", texts, tokens).unwrap();
        let chosen = Sequence {
            tokens: vec![1, 2],
            targets: vec![IGNORE, 3],
        };
        let rejected = Sequence {
            tokens: vec![1, 2, 3],
            targets: vec![IGNORE, 3, 70_000],
        };
        assert_eq!(read.read(0).unwrap(), Example::One(chosen.clone()));
        assert_eq!(read.read(1).unwrap(), Example::Two(Pair { chosen, rejected }));
        assert_eq!((read.length(0).unwrap(), read.length(1).unwrap()), (2, 3));
        assert_eq!((read.line(0).unwrap(), read.line(1).unwrap()), (1, 7));
        assert!(Tokens::open(dir.path(), "train", texts, tokens + 1).is_err());
    }
}
