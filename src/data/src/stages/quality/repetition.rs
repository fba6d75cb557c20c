//! What occurs again in a text.

use super::measure::{Measures, Word};

/// Counts how often hashes occur: a table with open addressing, since most of the time goes here.
#[derive(Debug)]
pub struct Counts {
    slots: Vec<(u64, u32)>,
    mask: usize,
}

impl Counts {
    /// With place for `most` different hashes.
    pub fn new(most: usize) -> Self {
        let slots = (most * 2).next_power_of_two().max(8);
        Self {
            slots: vec![(0, 0); slots],
            mask: slots - 1,
        }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.slots.fill((0, 0));
    }

    /// Counts `hash` and says how often it has occurred by now.
    #[inline]
    pub fn add(&mut self, hash: u64) -> u32 {
        let mut at = (hash >> 20) as usize & self.mask;
        loop {
            let slot = &mut self.slots[at];
            if slot.1 == 0 || slot.0 == hash {
                *slot = (hash, slot.1.saturating_add(1));
                return slot.1;
            }
            at = (at + 1) & self.mask;
        }
    }
}

/// Parts that occurred before: how many, and their characters.
pub fn repeated(parts: impl ExactSizeIterator<Item = (u64, u64)>) -> (u64, u64) {
    let mut counts = Counts::new(parts.len());
    let again = parts.filter(|(hash, _)| counts.add(*hash) > 1);
    again.fold((0, 0), |(count, characters), (_, length)| {
        (count + 1, characters + length)
    })
}

/// Shares of the characters of a text that are in word n-grams which repeat.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Grams {
    /// The most frequent one of 2, 3 and 4 words, if it occurs more than once.
    pub top: [f64; 3],
    /// All that occurred before, of 5 to 10 words.
    pub repeated: [f64; 6],
}

impl Grams {
    /// Of a text with these measures.
    pub fn of(measures: &Measures) -> Self {
        let words = &measures.words;
        let mut grams = Self::default();
        let mut counts = Counts::new(words.len());
        let all = measures.characters.max(1) as f64;
        // What of n words does not repeat does not with more.
        for (place, share) in grams.top.iter_mut().enumerate() {
            let characters = top(words, place + 2, &mut counts);
            if characters == 0 {
                return grams;
            }
            *share = characters as f64 / all;
        }
        for (place, share) in grams.repeated.iter_mut().enumerate() {
            let characters = repeated_grams(words, place + 5, &mut counts);
            if characters == 0 {
                return grams;
            }
            *share = characters as f64 / all;
        }
        grams
    }
}

fn gram(words: &[Word]) -> u64 {
    let hashes = words.iter().map(|word| word.hash);
    hashes.fold(0, |gram: u64, hash| {
        gram.rotate_left(23).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ hash
    })
}

fn length(words: &[Word]) -> u64 {
    words.iter().map(|word| u64::from(word.characters)).sum()
}

/// Characters of all occurrences of the most frequent n-gram, with the spaces in it.
fn top(words: &[Word], n: usize, counts: &mut Counts) -> u64 {
    counts.clear();
    let (mut most, mut characters) = (1, 0);
    for words in words.windows(n) {
        let count = counts.add(gram(words));
        if count > most {
            (most, characters) = (count, u64::from(count) * (length(words) + n as u64 - 1));
        }
    }
    characters
}

/// Characters of n-grams that occurred before; they do not overlap.
fn repeated_grams(words: &[Word], n: usize, counts: &mut Counts) -> u64 {
    counts.clear();
    let (mut at, mut characters) = (0, 0);
    while let Some(gram_words) = words.get(at..at + n) {
        if counts.add(gram(gram_words)) > 1 {
            characters += length(gram_words);
            at += n;
        } else {
            at += 1;
        }
    }
    characters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_occurred_before_are_counted() {
        let parts = [(1, 10), (2, 5), (1, 10), (0, 1), (1, 10), (0, 1)];
        assert_eq!(repeated(parts.into_iter()), (3, 21));
    }

    #[test]
    fn the_top_gram_takes_its_share() {
        let grams = Grams::of(&Measures::of("ab cd ef ab cd gh"));
        assert_eq!(grams.top, [10.0 / 17.0, 0.0, 0.0]);
        assert_eq!(grams.repeated, [0.0; 6]);
    }

    #[test]
    fn repeated_grams_do_not_overlap() {
        let grams = Grams::of(&Measures::of(&"a b c d e ".repeat(3)));
        assert_eq!(grams.repeated[0], 10.0 / 30.0);
        assert_eq!(grams.repeated[5], 10.0 / 30.0);
        let grams = Grams::of(&Measures::of(&"a ".repeat(100)));
        assert!(grams.repeated.iter().all(|share| *share > 0.4));
    }

    #[test]
    fn what_does_not_repeat_has_no_share() {
        assert_eq!(Grams::of(&Measures::of("one two three four")), Grams::default());
        assert_eq!(Grams::of(&Measures::of("")), Grams::default());
    }
}
