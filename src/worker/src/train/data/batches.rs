//! Which records are computed together: a function of the seed and of the lengths alone.
//!
//! ```text
//!  all records, in the random order of an epoch
//!    -> windows of some thousand -> sorted by length -> rows -> passes of up to batch_tokens -> shuffled
//! ```
//!
//! Sorting makes rows of one pass alike in length, so that little is padded; windows keep that local, so that the
//! order is random all the same and no memory is needed for it.

use std::io;

use super::shuffle::{Shuffle, mixed};

/// Records that are sorted together.
const WINDOW: u64 = 2048;

/// How records are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batching {
    /// Tokens of input of one pass, padding included.
    pub batch_tokens: usize,
    /// Tokens that a row holds, when records share rows.
    pub packing: Option<usize>,
    /// Texts of one record: two of a pair.
    pub texts: usize,
    /// Seed of the order.
    pub seed: u64,
}

/// What is known of records without reading them.
pub trait Lengths {
    /// How many there are.
    fn count(&self) -> u64;
    /// Tokens of input of the longest text of one.
    ///
    /// # Errors
    /// When it cannot be read.
    fn length(&self, record: u64) -> io::Result<usize>;
}

/// One pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Numbers of records, by row.
    pub rows: Vec<Vec<u64>>,
}

impl Batch {
    /// The records of all rows.
    pub fn records(&self) -> impl Iterator<Item = u64> + '_ {
        self.rows.iter().flatten().copied()
    }
}

/// Number of windows of so many records.
pub fn windows(count: u64) -> u64 {
    count.div_ceil(WINDOW)
}

/// The passes of one window of an epoch.
///
/// # Errors
/// When lengths cannot be read.
pub fn window(lengths: &impl Lengths, batching: &Batching, epoch: u64, window: u64) -> io::Result<Vec<Batch>> {
    let count = lengths.count();
    let seed = mixed(&[batching.seed, epoch]);
    let order = Shuffle::new(count, seed);
    let places = window * WINDOW..count.min((window + 1) * WINDOW);
    let mut items = Vec::new();
    for place in places {
        let record = order.at(place);
        items.push((lengths.length(record)?, record));
    }
    // Stable: equal lengths stay in the order of the epoch.
    items.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
    let rows = match batching.packing {
        None => items
            .into_iter()
            .map(|(length, record)| (length, vec![record]))
            .collect(),
        Some(capacity) => packed(&items, capacity),
    };
    let mut batches = passes(rows, batching);
    // Fisher and Yates.
    for last in (1..batches.len()).rev() {
        let other = mixed(&[seed, window, last as u64]) % (last as u64 + 1);
        batches.swap(last, other as usize);
    }
    Ok(batches)
}

/// Records into rows, each into the first that has room: the longest come first.
fn packed(items: &[(usize, u64)], capacity: usize) -> Vec<(usize, Vec<u64>)> {
    let mut rows: Vec<(usize, Vec<u64>)> = Vec::new();
    for (length, record) in items {
        match rows.iter_mut().find(|(used, _)| used + length <= capacity) {
            Some((used, records)) => {
                *used += length;
                records.push(*record);
            }
            None => rows.push((*length, vec![*record])),
        }
    }
    rows.sort_by_key(|(used, _)| std::cmp::Reverse(*used));
    rows
}

fn passes(rows: Vec<(usize, Vec<u64>)>, batching: &Batching) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    let mut longest = 0;
    for (length, records) in rows {
        match batches.last_mut() {
            Some(batch) if (batch.rows.len() + 1) * longest * batching.texts <= batching.batch_tokens => {
                batch.rows.push(records);
            }
            _ => {
                longest = length.max(1);
                batches.push(Batch { rows: vec![records] });
            }
        }
    }
    batches
}

#[cfg(test)]
pub mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Lengths that are known.
    pub struct Known(pub Vec<usize>);

    impl Lengths for Known {
        fn count(&self) -> u64 {
            self.0.len() as u64
        }

        fn length(&self, record: u64) -> io::Result<usize> {
            Ok(self.0[record as usize])
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn every_record_comes_once_an_epoch_and_fits(
            lengths in prop::collection::vec(1usize..100, 1..5000),
            packing: bool, texts in 1usize..3, seed: u64, epoch in 0u64..5,
        ) {
            let known = Known(lengths);
            let batching = Batching { batch_tokens: 200, packing: packing.then_some(100), texts, seed };
            let mut seen = BTreeMap::new();
            for number in 0..windows(known.count()) {
                for batch in window(&known, &batching, epoch, number).unwrap() {
                    let row = |row: &Vec<u64>| row.iter().map(|record| known.0[*record as usize]).sum::<usize>();
                    let longest = batch.rows.iter().map(row).max().unwrap();
                    // What does not fit at all stands alone.
                    prop_assert!(batch.rows.len() == 1 || batch.rows.len() * longest * texts <= 200);
                    prop_assert!(packing || batch.rows.iter().all(|row| row.len() == 1));
                    for record in batch.records() {
                        *seen.entry(record).or_insert(0) += 1;
                    }
                }
            }
            prop_assert_eq!(seen.len() as u64, known.count());
            prop_assert!(seen.values().all(|times| *times == 1));
        }
    }

    #[test]
    fn little_is_padded() {
        let known = Known((0..4000).map(|at| 10 + (at * 7919) % 190).collect());
        let batching = Batching {
            batch_tokens: 2000,
            packing: None,
            texts: 1,
            seed: 1,
        };
        let (mut used, mut padded) = (0, 0);
        for number in 0..windows(4000) {
            for batch in window(&known, &batching, 0, number).unwrap() {
                let lengths: Vec<usize> = batch.records().map(|it| known.0[it as usize]).collect();
                used += lengths.iter().sum::<usize>();
                padded += lengths.len() * lengths.iter().max().unwrap();
            }
        }
        assert!(used as f64 > 0.97 * padded as f64, "{used} of {padded}");
    }

    #[test]
    fn epochs_have_other_orders() {
        let known = Known(vec![5; 100]);
        let batching = |packing| Batching {
            batch_tokens: 20,
            packing,
            texts: 1,
            seed: 3,
        };
        let first = window(&known, &batching(None), 0, 0).unwrap();
        assert_eq!(first, window(&known, &batching(None), 0, 0).unwrap());
        assert_ne!(first, window(&known, &batching(None), 1, 0).unwrap());
        let packed = window(&known, &batching(Some(10)), 0, 0).unwrap();
        assert!(
            packed
                .iter()
                .all(|batch| batch.rows.len() == 2 && batch.rows[0].len() == 2)
        );
    }
}
