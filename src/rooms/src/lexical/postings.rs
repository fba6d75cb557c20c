//! Which rows of a block have which words, in few bytes.

use super::Words;

/// Bits of an entry that are left for the count.
const COUNT_BITS: u32 = 3;
/// The largest count that is told from larger ones. BM25 gives the seventh of a word hardly more than the sixth.
const MOST: u32 = (1 << COUNT_BITS) - 1;
/// The most rows that words can be in.
pub(crate) const MAX_ROWS: usize = 1 << (u16::BITS - COUNT_BITS);

/// A word in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Posting {
    pub(crate) word: u64,
    pub(crate) row: u32,
    /// How often, at least once.
    pub(crate) count: u32,
}

/// The words of a block's rows. A word takes 12 bytes, and two for each row that has it. All entries are of one size,
/// so that nothing has to be decided on the way through a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Postings {
    /// Ascending.
    words: Vec<u64>,
    /// Where in `entries` the list of each word ends.
    ends: Vec<u32>,
    /// Rows, ascending in each list, each with its count in the lowest bits.
    entries: Vec<u16>,
    /// How many words each row has.
    lengths: Vec<u32>,
    /// The sum of them.
    total: u64,
}

impl Postings {
    /// How many words a row has.
    pub(super) fn length(&self, row: u32) -> u32 {
        self.lengths[row as usize]
    }

    /// How many words all rows have.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// A row of so many words.
    pub(crate) fn push_row(&mut self, length: u32) {
        self.lengths.push(length);
        self.total += u64::from(length);
    }

    /// The rows that have a word, ascending, with how often they have it, [`MOST`] times at most. How many rows there are,
    /// `len` says at once.
    pub(super) fn rows(&self, word: u64) -> impl ExactSizeIterator<Item = (u32, u32)> {
        let place = self.words.binary_search(&word).ok();
        place.map_or(&[][..], |place| self.list(place)).iter().map(read)
    }

    fn list(&self, place: usize) -> &[u16] {
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.entries[start as usize..self.ends[place] as usize]
    }

    /// All of them, by word and row.
    fn all(&self) -> impl Iterator<Item = Posting> {
        let lists = self.words.iter().enumerate();
        lists.flat_map(|(place, word)| {
            let list = self.list(place).iter().map(read);
            list.map(|(row, count)| Posting {
                word: *word,
                row,
                count,
            })
        })
    }

    /// Adds words of rows that were pushed, in any order.
    pub(crate) fn extend(&mut self, fresh: Vec<Posting>) {
        if fresh.is_empty() {
            return;
        }
        let mut all: Vec<_> = self.all().chain(fresh).collect();
        // What was there is in order already, which a stable sort makes use of.
        all.sort();
        self.encode(&all);
    }

    /// Takes rows out and closes the gaps. It gives back the words of those that are wanted, by their former rows.
    pub(crate) fn take(&mut self, stays: &[bool], is_wanted: impl Fn(u32) -> bool) -> Vec<(u32, Words)> {
        let mut places = Vec::with_capacity(stays.len());
        let mut taken = Vec::new();
        let mut end = 0;
        for (row, stays) in (0..).zip(stays) {
            // Where the row goes: among those that stay, or among those that are wanted, or nowhere.
            places.push(if *stays {
                end += 1;
                Ok(end - 1)
            } else {
                Err(is_wanted(row).then(|| {
                    taken.push((row, Vec::new()));
                    taken.len() - 1
                }))
            });
        }
        let mut left = Vec::new();
        for Posting { word, row, count } in self.all() {
            match places[row as usize] {
                Ok(row) => left.push(Posting { word, row, count }),
                Err(Some(place)) => taken[place].1.push((word, count)),
                Err(None) => {}
            }
        }
        let words = |(row, counts): (u32, Vec<_>)| (row, Words::of_counts(counts, self.lengths[row as usize]));
        let taken = taken.into_iter().map(words).collect();
        let mut row = 0;
        self.lengths.retain(|_| {
            row += 1;
            stays[row - 1]
        });
        self.total = self.lengths.iter().map(|length| u64::from(*length)).sum();
        self.encode(&left);
        taken
    }

    /// Writes lists anew from postings that are in order.
    fn encode(&mut self, postings: &[Posting]) {
        (self.words, self.ends, self.entries) = Default::default();
        for list in postings.chunk_by(|a, b| a.word == b.word) {
            let entry = |posting: &Posting| (posting.row << COUNT_BITS | posting.count.min(MOST)) as u16;
            self.entries.extend(list.iter().map(entry));
            self.words.push(list[0].word);
            self.ends.push(self.entries.len() as u32);
        }
    }

    /// Gives back the memory that it grew into and does not use.
    pub(crate) fn shrink(&mut self) {
        self.words.shrink_to_fit();
        self.ends.shrink_to_fit();
        self.entries.shrink_to_fit();
        self.lengths.shrink_to_fit();
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        self.words.capacity() * size_of::<u64>()
            + (self.ends.capacity() + self.lengths.capacity()) * size_of::<u32>()
            + self.entries.capacity() * size_of::<u16>()
    }
}

/// A row and a count.
fn read(entry: &u16) -> (u32, u32) {
    let entry = u32::from(*entry);
    (entry >> COUNT_BITS, entry & MOST)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    type Table = Vec<BTreeMap<u64, u32>>;

    fn table() -> impl Strategy<Value = Table> {
        let count = prop_oneof![Just(1u32), 1..=MOST];
        prop::collection::vec(prop::collection::btree_map(0u64..20, count, 0..8), 0..200)
    }

    fn postings(table: &Table) -> Postings {
        let mut postings = Postings::default();
        for (row, words) in (0..).zip(table) {
            postings.push_row(words.len() as u32);
            // One by one, which is what blocks are spared.
            let fresh = words.iter().rev().map(|(word, count)| Posting {
                word: *word,
                row,
                count: *count,
            });
            postings.extend(fresh.collect());
        }
        postings
    }

    proptest! {
        #[test]
        fn rows_come_back(table in table()) {
            let postings = postings(&table);
            for word in 0..20 {
                let rows = table.iter().enumerate().filter_map(|(row, words)| Some((row as u32, *words.get(&word)?)));
                let rows: Vec<_> = rows.collect();
                prop_assert_eq!(postings.rows(word).len(), rows.len());
                prop_assert_eq!(postings.rows(word).collect::<Vec<_>>(), rows);
            }
        }

        /// What is left is as if the rest had never been there.
        #[test]
        fn nothing_is_left_of_what_is_taken(table in table(), seed in any::<u64>()) {
            let draw = |row: usize, salt: u32| (seed.rotate_left(row as u32 * 7 + salt) & 3) == 0;
            let stays: Vec<_> = (0..table.len()).map(|row| !draw(row, 0)).collect();
            let mut all = postings(&table);
            let taken = all.take(&stays, |row| draw(row as usize, 3));
            let left = table.iter().zip(&stays).filter(|row| *row.1).map(|row| row.0.clone());
            prop_assert_eq!(all, postings(&left.collect()));
            let wanted = table.iter().enumerate().filter(|(row, _)| !stays[*row] && draw(*row, 3));
            let wanted = wanted.map(|(row, words)| (row as u32, words.iter().map(|(w, c)| (*w, *c)).collect::<Vec<_>>()));
            let taken = taken.into_iter().map(|(row, words)| (row, words.counts().to_vec()));
            prop_assert_eq!(taken.collect::<Vec<_>>(), wanted.collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_last_row_fits_and_counts_have_an_end() {
        let row = MAX_ROWS as u32 - 1;
        let mut postings = Postings::default();
        (0..=row).for_each(|_| postings.push_row(1));
        postings.extend(vec![Posting {
            word: 1,
            row,
            count: u32::MAX,
        }]);
        assert_eq!(postings.rows(1).collect::<Vec<_>>(), [(row, MOST)]);
    }
}
