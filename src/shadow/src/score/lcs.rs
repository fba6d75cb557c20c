//! The length of the longest common subsequence, by bits.

use std::{collections::HashMap, hash::Hash};

/// The length of the longest common subsequence of two sequences.
///
/// Bit-parallel (Hyyrö 2004, "Bit-parallel LCS-length computation revisited"): a column of the table of dynamic
/// programming is a row of bits, and `V' = (V + (V & M)) | (V & ~M)` for each element, where `M` has the places of that
/// element. Only the words of `M` that are not zero are kept, so memory is O(n + m), and of a column only those words are
/// computed that may change: O(n m / 64) operations at most, and far fewer where most elements are rare, as words are.
pub fn length<T: Eq + Hash>(one: &[T], other: &[T]) -> usize {
    let mut places: HashMap<&T, Vec<(usize, u64)>> = HashMap::with_capacity(one.len());
    for (row, element) in one.iter().enumerate() {
        let (word, bit) = (row / 64, 1 << (row % 64));
        let masks = places.entry(element).or_default();
        match masks.last_mut() {
            Some((last, mask)) if *last == word => *mask |= bit,
            _ => masks.push((word, bit)),
        }
    }
    // A bit that is zero is a step of the length. Bits beyond the last row have no mask and stay one.
    let mut bits = vec![u64::MAX; one.len().div_ceil(64)];
    for element in other {
        if let Some(masks) = places.get(element) {
            step(&mut bits, masks);
        }
    }
    bits.iter().map(|word| word.count_zeros() as usize).sum()
}

/// One column. A word without places of the element changes by a carry alone.
fn step(bits: &mut [u64], masks: &[(usize, u64)]) {
    let mut masks = masks.iter().peekable();
    let mut carries = false;
    let mut at = 0;
    loop {
        if !carries {
            match masks.peek() {
                Some((word, _)) => at = *word,
                None => return,
            }
        }
        let Some(bits) = bits.get_mut(at) else { return };
        let mask = masks.next_if(|(word, _)| *word == at).map_or(0, |(_, mask)| *mask);
        let (sum, first) = bits.overflowing_add(*bits & mask);
        let (sum, second) = sum.overflowing_add(u64::from(carries));
        *bits = sum | (*bits & !mask);
        carries = first || second;
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// By the definition (Wagner and Fischer 1974).
    fn by_table(one: &[u8], other: &[u8]) -> usize {
        let mut row = vec![0; other.len() + 1];
        for a in one {
            let mut diagonal = 0;
            for (place, b) in other.iter().enumerate() {
                let above = row[place + 1];
                row[place + 1] = if a == b { diagonal + 1 } else { above.max(row[place]) };
                diagonal = above;
            }
        }
        row[other.len()]
    }

    #[test]
    fn of_known_sequences() {
        assert_eq!(length(b"ABCBDAB", b"BDCABA"), 4);
        assert_eq!(length::<u8>(b"", b"abc"), 0);
        assert_eq!(length(b"abc", b"xyz"), 0);
        let long: Vec<u32> = (0..1000).collect();
        assert_eq!(length(&long, &long), 1000);
    }

    proptest! {
        #[test]
        fn as_by_the_table(one in prop::collection::vec(0u8..4, 0..300), other in prop::collection::vec(0u8..4, 0..300)) {
            prop_assert_eq!(length(&one, &other), by_table(&one, &other));
        }

        #[test]
        fn as_by_the_table_where_elements_are_rare(one in prop::collection::vec(any::<u8>(), 0..300),
                other in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(length(&one, &other), by_table(&one, &other));
        }

        #[test]
        fn carries_run_through_words(runs in prop::collection::vec((0u8..2, 1usize..150), 1..6),
                others in prop::collection::vec((0u8..2, 1usize..150), 1..6)) {
            let of = |runs: Vec<(u8, usize)>| -> Vec<u8> { runs.into_iter().flat_map(|(x, n)| vec![x; n]).collect() };
            let (one, other) = (of(runs), of(others));
            prop_assert_eq!(length(&one, &other), by_table(&one, &other));
        }
    }
}
