//! Similar texts.
//!
//! ```text
//!  text -> sketch -> signature, to a file
//!                 -> a key for each band -> [sort] -> who shares a key -> [sort] -> compare signatures -> join
//! ```

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufWriter, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use super::{
    bands::Bands,
    bits::Bits,
    sketch::{PLACES, SIGNATURE, Signature, Sketcher, signature, similarity},
    spill::{Sorter, explain, scratch_file},
};

/// Looks for similar texts.
#[derive(Debug)]
pub struct Near {
    scratch: PathBuf,
    memory: usize,
    /// Estimated similarity from which two count as the same.
    least: f64,
    sketcher: Sketcher,
    bands: Bands,
    /// Keys of bands, and who has them.
    keys: Sorter<2>,
    /// Of each document, in order.
    signatures: BufWriter<File>,
}

impl Near {
    /// Holds `memory` bytes at most; the rest goes to files in `scratch`.
    ///
    /// # Errors
    /// When there can be no files.
    pub fn new(threshold: f64, shingle: usize, scratch: &Path, memory: usize) -> io::Result<Self> {
        // An estimate is a little off: a pair right at the threshold is taken five times of six.
        let deviation = (threshold * (1.0 - threshold) / PLACES as f64).sqrt();
        Ok(Self {
            scratch: scratch.into(),
            memory,
            least: threshold - deviation,
            sketcher: Sketcher::new(shingle),
            bands: Bands::new(threshold),
            keys: Sorter::new(scratch, memory),
            signatures: BufWriter::with_capacity(64 << 10, scratch_file(scratch)?),
        })
    }

    /// Takes the text of `document`; they are numbered without gaps.
    ///
    /// # Errors
    /// When something cannot be written.
    pub fn add(&mut self, document: u64, text: &str) -> io::Result<()> {
        let sketch = self.sketcher.sketch(text);
        let signature = sketch.as_ref().map_or([0; SIGNATURE], signature);
        let written = self.signatures.write_all(&signature);
        written.map_err(|error| explain(error, &self.scratch))?;
        if let Some(sketch) = sketch {
            for key in self.bands.keys(&sketch) {
                self.keys.push([key, document])?;
            }
        }
        Ok(())
    }

    /// All that are similar to one before, directly or by way of others. Those that are `equal` to one before are not
    /// looked at.
    ///
    /// # Errors
    /// When something cannot be written or read.
    pub fn finish(self, equal: &Bits) -> io::Result<Bits> {
        let file = self.signatures.into_inner();
        let file = file.map_err(|error| explain(error.into_error(), &self.scratch))?;
        let read = |document: u64| -> io::Result<Signature> {
            let mut signature = [0; SIGNATURE];
            file.read_exact_at(&mut signature, document * SIGNATURE as u64)?;
            Ok(signature)
        };
        let mut groups = Groups::default();
        let mut before = [u64::MAX; 2];
        let mut left = [0; SIGNATURE];
        for pair in candidates(self.keys, equal, &self.scratch, self.memory)? {
            let pair = pair?;
            if pair == before {
                continue;
            }
            if pair[0] != before[0] {
                left = read(pair[0])?;
            }
            before = pair;
            if similarity(&left, &read(pair[1])?) >= self.least {
                groups.join(pair[0], pair[1]);
            }
        }
        Ok(groups.duplicates())
    }
}

/// Pairs that share a key, in order, some more than once. Of a group that shares one, each is paired with the first and
/// with the one before: as many pairs as members, however large it is.
fn candidates(
    keys: Sorter<2>,
    equal: &Bits,
    scratch: &Path,
    memory: usize,
) -> io::Result<impl Iterator<Item = io::Result<[u64; 2]>> + use<>> {
    let mut pairs = Sorter::new(scratch, memory);
    let (mut shared, mut first, mut last) = (None, 0, 0);
    for record in keys.finish()? {
        let [key, document] = record?;
        if equal.contains(document) {
            continue;
        }
        if shared == Some(key) {
            pairs.push([first, document])?;
            if last != first {
                pairs.push([last, document])?;
            }
        } else {
            (shared, first) = (Some(key), document);
        }
        last = document;
    }
    pairs.finish()
}

/// Groups of documents that belong together (union-find). Only documents that belong to others are in memory.
#[derive(Debug, Default)]
struct Groups {
    /// A smaller one of the same group; the smallest has itself.
    parents: HashMap<u64, u64, ahash::RandomState>,
}

impl Groups {
    fn root(&mut self, document: u64) -> u64 {
        let mut at = document;
        loop {
            let parent = *self.parents.entry(at).or_insert(at);
            if parent == at {
                return at;
            }
            // Halves the path for whoever comes next.
            let grandparent = self.parents.get(&parent).copied().unwrap_or(parent);
            self.parents.insert(at, grandparent);
            at = grandparent;
        }
    }

    fn join(&mut self, left: u64, right: u64) {
        let (left, right) = (self.root(left), self.root(right));
        self.parents.insert(left.max(right), left.min(right));
    }

    /// All but the smallest of each group.
    fn duplicates(&self) -> Bits {
        let mut duplicates = Bits::default();
        let others = self.parents.iter().filter(|(document, parent)| document != parent);
        others.for_each(|(document, _)| duplicates.insert(*document));
        duplicates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_of_a_group_stays() {
        let mut groups = Groups::default();
        for (left, right) in [(5, 9), (3, 4), (9, 4), (100, 101)] {
            groups.join(left, right);
        }
        let duplicates = groups.duplicates();
        let found: Vec<_> = (0..200).filter(|it| duplicates.contains(*it)).collect();
        assert_eq!(found, [4, 5, 9, 101]);
    }

    #[test]
    fn a_long_chain_is_one_group() {
        let mut groups = Groups::default();
        (0..100_000).rev().for_each(|i| groups.join(i, i + 1));
        let duplicates = groups.duplicates();
        assert!((0..=100_000).all(|i| duplicates.contains(i) == (i > 0)));
    }
}
