//! Duplicates against what comparing all pairs gives, and however much memory there is.

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;
use protocol::tune::MinHash;
use rstest::rstest;

use super::{hash::mix, *};

const EXACT: Dedup = Dedup {
    exact: true,
    minhash: None,
};

fn near(threshold: f64, shingle: u32) -> Dedup {
    Dedup {
        exact: true,
        minhash: Some(MinHash { threshold, shingle }),
    }
}

fn duplicates<T: AsRef<str>>(dedup: &Dedup, memory: usize, texts: &[T]) -> BTreeMap<u64, Kind> {
    let scratch = tempfile::tempdir().unwrap();
    let mut deduplicator = Deduplicator::new(dedup, scratch.path(), memory).unwrap();
    for (document, text) in texts.iter().enumerate() {
        deduplicator.add(document as u64, text.as_ref()).unwrap();
    }
    let found: Vec<_> = deduplicator.finish().unwrap().map(Result::unwrap).collect();
    assert!(found.is_sorted_by(|left, right| left.0 < right.0));
    assert_eq!(
        scratch.path().read_dir().unwrap().count(),
        0,
        "something is left behind"
    );
    found.into_iter().collect()
}

/// Texts of random words, some of them changed from others at random places: never, a little or a lot.
fn corpus(count: u64, seed: u64) -> Vec<String> {
    let word = |number: u64| format!("w{}", mix(number) % 5000);
    let mut texts: Vec<Vec<String>> = Vec::new();
    for document in 0..count {
        let random = |what: u64| mix(seed ^ mix(document * 1000 + what));
        let words = match random(0) % 4 {
            0 if document > 0 => {
                let mut words = texts[(random(1) % document) as usize].clone();
                let changes = random(2) % 12;
                for change in 0..changes {
                    let place = (random(10 + change) % words.len() as u64) as usize;
                    words[place] = word(random(100 + change));
                }
                words
            }
            _ => (0..60 + random(3) % 200).map(|i| word(random(200 + i))).collect(),
        };
        texts.push(words);
    }
    texts.into_iter().map(|words| words.join(" ")).collect()
}

fn shingles(text: &str, shingle: usize) -> HashSet<u64> {
    let words: Vec<_> = text.split(' ').collect();
    let shingles = words.windows(shingle).map(|words| hash(words.join(" ").as_bytes()));
    shingles.collect()
}

fn jaccard(left: &HashSet<u64>, right: &HashSet<u64>) -> f64 {
    let common = left.intersection(right).count() as f64;
    common / (left.len() as f64 + right.len() as f64 - common)
}

#[rstest]
#[case(0.8, 5)]
#[case(0.6, 3)]
#[case(0.95, 1)]
fn near_ones_are_those_that_comparing_all_finds(#[case] threshold: f64, #[case] shingle: u32) {
    let texts = corpus(300, 7);
    let found = duplicates(&near(threshold, shingle), 1 << 20, &texts);
    let sets: Vec<_> = texts.iter().map(|text| shingles(text, shingle as usize)).collect();
    let (mut sure, mut missed) = (0, Vec::new());
    for (document, set) in sets.iter().enumerate() {
        let is_found = found.contains_key(&(document as u64));
        let similarity = |other: &HashSet<u64>| jaccard(set, other);
        let before = sets[..document].iter().map(similarity).fold(0.0, f64::max);
        let most = sets[document + 1..].iter().map(similarity).fold(before, f64::max);
        // Estimates are off by up to four standard errors.
        if before >= threshold + 0.12 * (1.0 - threshold) + 0.02 {
            sure += 1;
            missed.extend((!is_found).then_some(document));
        }
        let is_unlike = most < threshold - 0.17;
        assert!(!(is_unlike && is_found), "{document} is unlike all others: {most}");
    }
    assert!(sure >= 8, "only {sure} are certainly duplicates");
    assert!(missed.len() * 20 <= sure, "{missed:?} of {sure} were missed");
}

#[test]
fn memory_changes_nothing() {
    let mut texts = corpus(2000, 3);
    for copy in 0..300 {
        texts.push(texts[copy * 5].to_uppercase());
    }
    let expected = duplicates(&near(0.8, 5), 1 << 30, &texts);
    let count = |kind| expected.values().filter(|it| **it == kind).count();
    assert!(
        count(Kind::Exact) >= 300 && count(Kind::Near) >= 60,
        "{} {}",
        count(Kind::Exact),
        count(Kind::Near)
    );
    for memory in [0, 100_000, 1 << 20] {
        assert_eq!(
            duplicates(&near(0.8, 5), memory, &texts),
            expected,
            "with {memory} bytes"
        );
    }
}

#[rstest]
#[case::equal(&["a b", "A,  b!", "a c"], &[1])]
#[case::calculation(&["2+3", "2-3", "2 3"], &[])]
#[case::punctuation(&["?!", "...", "?!", ""], &[2])]
#[case::empty(&["", "", " "], &[1])]
#[case::three(&["x", "y", "X", "x.", "Y"], &[2, 3, 4])]
#[case::none(&[], &[])]
fn exact_ones_are_found(#[case] texts: &[&str], #[case] expected: &[u64]) {
    let found = duplicates(&EXACT, 1 << 20, texts);
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), expected);
    assert!(found.values().all(|kind| *kind == Kind::Exact));
}

#[test]
fn exact_goes_before_near() {
    let long = corpus(1, 1).remove(0);
    let changed = long.clone() + " more";
    let texts = [long.clone(), changed.clone(), long.to_uppercase(), changed];
    let found = duplicates(&near(0.8, 5), 1 << 20, &texts);
    assert_eq!(found, [(1, Kind::Near), (2, Kind::Exact), (3, Kind::Exact)].into());
    let without = Dedup {
        exact: false,
        ..near(0.8, 5)
    };
    let found = duplicates(&without, 1 << 20, &texts);
    assert_eq!(found, [(1, Kind::Near), (2, Kind::Near), (3, Kind::Near)].into());
}

#[test]
fn nothing_is_found_unless_asked() {
    let none = Dedup {
        exact: false,
        minhash: None,
    };
    assert!(duplicates(&none, 1 << 20, &["a", "a"]).is_empty());
}

#[test]
fn numbers_may_have_gaps_and_ascend() {
    let scratch = tempfile::tempdir().unwrap();
    let mut deduplicator = Deduplicator::new(&EXACT, scratch.path(), 1 << 20).unwrap();
    for document in [7, 1 << 40, u64::MAX - 1] {
        deduplicator.add(document, "the same").unwrap();
    }
    let error = deduplicator.add(8, "x").unwrap_err().to_string();
    assert!(error.contains("document 8"), "{error}");
    let found: Vec<_> = deduplicator.finish().unwrap().map(|it| it.unwrap().0).collect();
    assert_eq!(found, [1 << 40, u64::MAX - 1]);
}

#[rstest]
#[case(0.0, 5, "threshold")]
#[case(1.1, 5, "threshold")]
#[case(f64::NAN, 5, "threshold")]
#[case(0.8, 0, "shingle")]
#[case(0.8, u32::MAX, "shingle")]
fn what_makes_no_sense_is_refused_with_the_field(#[case] threshold: f64, #[case] shingle: u32, #[case] field: &str) {
    let error = Deduplicator::new(&near(threshold, shingle), &std::env::temp_dir(), 1).unwrap_err();
    assert!(error.to_string().contains(field), "{error}");
}

#[test]
fn all_equal_documents_are_one() {
    let text = "all of these are the same text, and there are very many of them";
    let texts = vec![text; 100_000];
    let exact = Dedup {
        exact: true,
        ..near(0.8, 5)
    };
    assert_eq!(duplicates(&exact, 1 << 20, &texts).len(), 99_999);
    let near = Dedup {
        exact: false,
        ..near(0.8, 5)
    };
    assert_eq!(duplicates(&near, 1 << 20, &texts[..20_000]).len(), 19_999);
}

#[test]
fn hostile_texts_end() {
    let texts = [
        "x".repeat(10 << 20),
        "word ".repeat(1 << 19),
        "WORD ".repeat(1 << 19),
        "\u{301}".repeat(1 << 17),
        "1".into(),
        "字".repeat(1 << 17),
        "\0".into(),
    ];
    let found = duplicates(&near(0.8, 5), 1 << 20, &texts);
    assert_eq!(found, [(2, Kind::Exact)].into());
}

proptest! {
    #[test]
    fn any_texts_are_taken(texts in prop::collection::vec(any::<String>(), 0..20)) {
        let found = duplicates(&near(0.8, 2), 0, &texts);
        prop_assert!(!found.contains_key(&0));
        for (document, text) in texts.iter().enumerate().skip(1) {
            if texts[..document].contains(text) {
                prop_assert_eq!(found.get(&(document as u64)), Some(&Kind::Exact));
            }
        }
    }
}
