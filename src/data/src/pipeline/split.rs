//! Which records are kept, and for which part.

use std::cmp::Reverse;
use std::fs::File;
use std::io::{BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

use protocol::tune::Split;

use super::changed;
use super::spill::{Spilled, open};
use crate::dedup::Kind;
use crate::failure::{Result, disk};

/// What becomes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Fate {
    /// It is learned from.
    Train = 0,
    /// It is measured on during the training.
    Validation = 1,
    /// It is measured on at the end.
    Test = 2,
    /// It is equal to an earlier one.
    Exact = 3,
    /// It is similar to an earlier one.
    Near = 4,
}

const FATES: [Fate; 5] = [Fate::Train, Fate::Validation, Fate::Test, Fate::Exact, Fate::Near];

/// The fates of all records, a byte each in a file.
pub(super) struct Fates {
    path: PathBuf,
    count: u64,
    /// Records that are kept.
    pub kept: u64,
    /// The record that goes to another part than its hash says, so that none is empty: its number and part.
    moved: Vec<(u64, Fate)>,
}

/// The records with the smallest and the largest hash of each part, with their numbers.
#[derive(Clone, Copy, Debug, Default)]
struct Extremes {
    count: u64,
    smallest: Option<(u64, u64)>,
    largest: Option<(u64, Reverse<u64>)>,
}

impl Extremes {
    fn note(&mut self, hash: u64, number: u64) {
        self.count += 1;
        let (low, high) = ((hash, number), (hash, Reverse(number)));
        self.smallest = Some(self.smallest.map_or(low, |other| other.min(low)));
        self.largest = Some(self.largest.map_or(high, |other| other.max(high)));
    }
}

/// Decides about all records. There are duplicates in ascending order.
///
/// # Errors
/// When the disk fails.
pub(super) fn decide(
    split: &Split,
    spilled: &Spilled,
    duplicates: impl Iterator<Item = Result<(u64, Kind)>>,
    scratch: &Path,
) -> Result<Fates> {
    let path = scratch.join("fates");
    let file = File::create(&path).map_err(disk("create", &path))?;
    let mut file = BufWriter::new(file);
    let mut duplicates = duplicates.peekable();
    let mut parts = [Extremes::default(); 3];
    for (number, row) in (0..).zip(spilled.index()?) {
        let (hash, _) = row?;
        let next = duplicates.next_if(|next| next.as_ref().map_or(true, |(found, _)| *found <= number));
        let fate = match next.transpose()? {
            Some((found, _)) if found != number => return Err(changed(&path)),
            Some((_, Kind::Exact)) => Fate::Exact,
            Some((_, Kind::Near)) => Fate::Near,
            None => part(split, hash),
        };
        if let Some(part) = parts.get_mut(fate as usize) {
            part.note(hash, number);
        }
        file.write_all(&[fate as u8]).map_err(disk("write", &path))?;
    }
    file.flush().map_err(disk("write", &path))?;
    Ok(Fates {
        path,
        count: spilled.count,
        kept: parts.iter().map(|part| part.count).sum(),
        moved: moved(split, &parts),
    })
}

/// The part that a hash stands for.
fn part(split: &Split, hash: u64) -> Fate {
    // 53 bits: as many as a float has.
    let share = (hash >> 11) as f64 / (1_u64 << 53) as f64;
    match share {
        share if share < split.validation => Fate::Validation,
        share if share < split.validation + split.test => Fate::Test,
        _ => Fate::Train,
    }
}

/// Something has to be there to learn from, and to measure on if that is wanted: of a handful of records, chance may
/// have put none there. The one whose hash is nearest goes.
fn moved(split: &Split, parts: &[Extremes; 3]) -> Vec<(u64, Fate)> {
    let [train, validation, test] = parts;
    let last = |part: &Extremes| part.largest.map(|(hash, Reverse(number))| (hash, number));
    if train.count == 0 {
        let found = last(test).or(last(validation));
        let mut moved: Vec<_> = found.map(|(_, number)| (number, Fate::Train)).into_iter().collect();
        // What was left for measuring stays there; two records of the test part become one of each.
        if split.validation > 0.0
            && validation.count == 0
            && test.count > 1
            && let Some((_, number)) = test.smallest
        {
            moved.push((number, Fate::Validation));
        }
        return moved;
    }
    if split.validation > 0.0 && validation.count == 0 {
        let from = if train.count > 1 { train } else { test };
        return from
            .smallest
            .map(|(_, number)| (number, Fate::Validation))
            .into_iter()
            .collect();
    }
    Vec::new()
}

impl Fates {
    /// All of them, in order.
    pub(super) fn all(&self) -> Result<impl Iterator<Item = Result<Fate>> + '_> {
        let mut file = open(&self.path)?;
        Ok((0..self.count).map(move |number| {
            let mut byte = [0];
            file.read_exact(&mut byte).map_err(|_| changed(&self.path))?;
            let moved = self.moved.iter().find(|(moved, _)| *moved == number);
            let fate = FATES
                .get(usize::from(byte[0]))
                .copied()
                .ok_or_else(|| changed(&self.path))?;
            Ok(moved.map_or(fate, |(_, fate)| *fate))
        }))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::pipeline::spill::{Entry, Spill};

    const ONE: f64 = u64::MAX as f64;

    /// The fates of records whose hashes lie at these shares of all.
    fn fates(split: &Split, shares: &[f64], duplicates: &[(u64, Kind)]) -> Vec<Fate> {
        let dir = tempfile::tempdir().unwrap();
        let mut spill = Spill::create(dir.path()).unwrap();
        for share in shares {
            let entry = Entry {
                hash: (share * ONE) as u64,
                ..Entry::default()
            };
            spill.append(&entry).unwrap();
        }
        let spilled = spill.finish().unwrap();
        let duplicates = duplicates.iter().map(|(number, kind)| Ok((*number, *kind)));
        let fates = decide(split, &spilled, duplicates, dir.path()).unwrap();
        fates.all().unwrap().map(Result::unwrap).collect()
    }

    #[rstest]
    #[case::by_hash(0.1, 0.1, &[0.05, 0.15, 0.25, 0.95], &[1, 2, 0, 0])]
    #[case::no_validation_by_chance(0.1, 0.0, &[0.9, 0.2, 0.5], &[0, 1, 0])]
    #[case::none_wanted(0.0, 0.0, &[0.0, 0.5], &[0, 0])]
    #[case::one_record(0.5, 0.0, &[0.1], &[0])]
    #[case::one_record_of_the_test_part(0.1, 0.5, &[0.3], &[0])]
    #[case::all_validation(0.5, 0.0, &[0.1, 0.2], &[1, 0])]
    #[case::all_test(0.1, 0.5, &[0.3, 0.2, 0.4], &[2, 1, 0])]
    #[case::one_to_learn_from(0.1, 0.5, &[0.9, 0.3], &[0, 1])]
    fn parts(#[case] validation: f64, #[case] test: f64, #[case] shares: &[f64], #[case] expected: &[u8]) {
        let split = Split {
            validation,
            test,
            seed: 0,
        };
        let found: Vec<u8> = fates(&split, shares, &[]).into_iter().map(|fate| fate as u8).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn duplicates_go() {
        let split = Split {
            validation: 0.0,
            test: 0.0,
            seed: 0,
        };
        let found = fates(&split, &[0.1; 4], &[(1, Kind::Exact), (3, Kind::Near)]);
        assert_eq!(found, [Fate::Train, Fate::Exact, Fate::Train, Fate::Near]);
    }
}
