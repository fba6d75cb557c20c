//! Lines of sources that are seen more often than others.
//!
//! Of each source, records are seen as often as its weight is a multiple of the smallest one: with weights 67 and 33
//! twice and, for one record in 33, a third time. So nothing is left out, and no data are copied more often than their
//! weight asks for.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use protocol::tune::DataPlan;

use super::output::BUFFER_BYTES;
use crate::failure::{Result, disk};

/// How often records of a source are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Times {
    /// All of them.
    whole: u32,
    /// So many more in `of` once more.
    more: u32,
    of: u32,
}

impl Times {
    fn new(weight: u32, least: u32) -> Self {
        let of = least.max(1);
        Self {
            whole: weight / of,
            more: weight % of,
            of,
        }
    }

    /// Whether a record is among those that are seen once more.
    fn takes(&self, hash: u64) -> bool {
        // Of this hash, the part that a record goes to depends on the value itself: this depends on all of its bits.
        let mixed = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % u64::from(self.of) < u64::from(self.more)
    }
}

/// Lines that are to be seen again, in files of their own.
pub(super) struct Again(Vec<Source>);

struct Source {
    times: Times,
    /// Those that are seen as often as all others of the source.
    all: Option<Copies>,
    /// Those that are seen once more than that.
    some: Option<Copies>,
}

/// A file of them.
pub(super) struct Copies {
    /// Where.
    pub path: PathBuf,
    file: BufWriter<File>,
    /// Lines.
    pub lines: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Copies {
    fn create(path: PathBuf) -> Result<Self> {
        let file = File::create(&path).map_err(disk("create", &path))?;
        Ok(Self {
            path,
            file: BufWriter::with_capacity(BUFFER_BYTES, file),
            lines: 0,
            bytes: 0,
        })
    }

    fn line(&mut self, line: &str) -> Result<()> {
        let Self { path, file, .. } = self;
        let written = file.write_all(line.as_bytes()).and_then(|()| file.write_all(b"\n"));
        written.map_err(disk("write", path))?;
        self.lines += 1;
        self.bytes += line.len() as u64 + 1;
        Ok(())
    }
}

impl Again {
    /// Empty ones in a directory.
    pub(super) fn create(plan: &DataPlan, to: &Path) -> Result<Self> {
        let least = plan.sources.iter().map(|source| source.weight).min().unwrap_or(1);
        let sources = plan.sources.iter().enumerate().map(|(index, source)| {
            let times = Times::new(source.weight, least);
            let file = |is_wanted: bool, name: &str| {
                let file = is_wanted.then(|| Copies::create(to.join(format!("{name}-{index}"))));
                file.transpose()
            };
            Ok(Source {
                times,
                all: file(times.whole > 1, "again")?,
                some: file(times.more > 0, "more")?,
            })
        });
        Ok(Self(sources.collect::<Result<_>>()?))
    }

    /// A line of this source, which is written once already.
    pub(super) fn line(&mut self, source: usize, hash: u64, line: &str) -> Result<()> {
        let Some(source) = self.0.get_mut(source) else {
            return Ok(());
        };
        if let Some(copies) = &mut source.all {
            copies.line(line)?;
        }
        match &mut source.some {
            Some(copies) if source.times.takes(hash) => copies.line(line),
            _ => Ok(()),
        }
    }

    /// Gives all further copies, round by round, and removes them.
    pub(super) fn append_to(mut self, mut append: impl FnMut(&Copies) -> Result<()>) -> Result<()> {
        for source in &mut self.0 {
            for copies in [&mut source.all, &mut source.some].into_iter().flatten() {
                copies.file.flush().map_err(disk("write", &copies.path))?;
            }
        }
        let rounds = self.0.iter().map(|source| source.times.whole).max().unwrap_or(0);
        for round in 1..rounds {
            let sources = self.0.iter().filter(|source| source.times.whole > round);
            sources
                .filter_map(|source| source.all.as_ref())
                .try_for_each(&mut append)?;
        }
        self.0
            .iter()
            .filter_map(|source| source.some.as_ref())
            .try_for_each(&mut append)?;
        for source in &self.0 {
            for copies in [&source.all, &source.some].into_iter().flatten() {
                fs::remove_file(&copies.path).map_err(disk("remove", &copies.path))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_multiples_of_the_smallest_one() {
        assert_eq!(
            Times::new(33, 33),
            Times {
                whole: 1,
                more: 0,
                of: 33
            }
        );
        assert_eq!(
            Times::new(67, 33),
            Times {
                whole: 2,
                more: 1,
                of: 33
            }
        );
        let half = Times::new(3, 2);
        let taken = (0..10_000u64).filter(|number| half.takes(number << 40)).count();
        assert!((4700..5300).contains(&taken), "{taken}");
        assert!(!Times::new(4, 2).takes(7));
    }
}
