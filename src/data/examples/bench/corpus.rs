//! A corpus of texts of which it is known which are alike.

use std::collections::HashSet;
use std::io::Write;
use std::ops::Range;

use anyhow::Result;

use crate::Record;

/// What cleaning has something to do with.
const DIRT: [&str; 8] = [
    "caf\u{c3}\u{a9}",
    "\u{201c}quoted\u{201d}",
    "it\u{e2}\u{20ac}\u{2122}s",
    "na\u{ef}ve",
    "zero\u{200b}width",
    "ann@example.com",
    "192.0.2.7",
    "e\u{301}te",
];
/// One text in so many has it, and one word of these in so many is it.
const DIRTY: (usize, usize) = (4, 25);

/// Random numbers (SplitMix64), the same ones for ever.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Words by rank, and how often each rank comes up to there.
struct Vocabulary {
    words: Vec<String>,
    cumulative: Vec<f64>,
}

impl Vocabulary {
    /// As in natural text, the word of rank r comes as often as 1/r (Zipf).
    fn new(size: usize, random: &mut Random) -> Self {
        const SYLLABLES: [&str; 24] = [
            "ba", "con", "der", "el", "fi", "gra", "ho", "in", "ju", "ka", "lo", "men", "no", "or", "pre", "qui", "ra",
            "sta", "ti", "un", "ver", "wo", "xe", "zy",
        ];
        let (mut words, mut known) = (Vec::new(), HashSet::new());
        while words.len() < size {
            let syllables = 1 + random.below(2 + (words.len() > 200) as usize * 2);
            let word: String = (0..syllables)
                .map(|_| SYLLABLES[random.below(SYLLABLES.len())])
                .collect();
            // Frequent words are short, and there are not many of these.
            let word = if known.contains(&word) {
                format!("{word}{}", random.below(10_000))
            } else {
                word
            };
            if known.insert(word.clone()) {
                words.push(word);
            }
        }
        let mut sum = 0.0;
        let cumulative = (1..=size).map(|rank| {
            sum += 1.0 / rank as f64;
            sum
        });
        Self {
            cumulative: cumulative.collect(),
            words,
        }
    }

    fn word(&self, random: &mut Random) -> &str {
        let all = self.cumulative[self.cumulative.len() - 1];
        let at = random.share() * all;
        &self.words[self
            .cumulative
            .partition_point(|sum| *sum < at)
            .min(self.words.len() - 1)]
    }
}

/// A quarter of the texts are another one with edits: half of these are duplicates (Jaccard similarity of shingles of five
/// words between 0.85 and 0.95), the others are not (0.3 to 0.6).
pub fn generate(documents: usize, seed: u64, dirty: bool, out: &mut impl Write) -> Result<()> {
    let mut random = Random(seed);
    let vocabulary = Vocabulary::new(50_000, &mut random);
    let mut texts: Vec<(Vec<&str>, u64)> = Vec::new();
    while texts.len() < documents {
        let group = texts.len() as u64;
        let kind = random.below(8);
        if kind > 1 || texts.is_empty() {
            let length = 50 + random.below(351);
            texts.push(((0..length).map(|_| vocabulary.word(&mut random)).collect(), group));
            continue;
        }
        let (original, its_group) = texts[random.below(texts.len())].clone();
        let (range, group) = if kind == 0 {
            (0.85..0.95, its_group)
        } else {
            (0.3..0.6, group)
        };
        if let Some(edited) = edit(&original, range, &vocabulary, &mut random) {
            texts.push((edited, group));
        }
    }
    for at in (1..texts.len()).rev() {
        texts.swap(at, random.below(at + 1));
    }
    for (mut words, group) in texts {
        let mut text = String::new();
        if dirty && random.below(DIRTY.0) == 0 {
            let places = (0..words.len()).step_by(DIRTY.1);
            places.for_each(|at| words[at] = DIRT[random.below(DIRT.len())]);
        }
        for (at, word) in words.iter().enumerate() {
            let between = match at {
                0 => "",
                at if at % 60 == 0 => ".\n",
                at if at % 12 == 0 => ". ",
                _ => " ",
            };
            text.push_str(between);
            text.push_str(word);
        }
        let record = Record {
            text: text + ".",
            group: Some(group),
        };
        writeln!(out, "{}", serde_json::to_string(&record)?)?;
    }
    Ok(())
}

/// Edits a text word by word until it is as similar as asked.
fn edit<'a>(
    original: &[&'a str],
    range: Range<f64>,
    vocabulary: &'a Vocabulary,
    random: &mut Random,
) -> Option<Vec<&'a str>> {
    let before: HashSet<&[&str]> = original.windows(5).collect();
    for _ in 0..200 {
        let aim = range.start + random.share() * (range.end - range.start);
        let mut words = original.to_vec();
        loop {
            let at = random.below(words.len());
            let word = vocabulary.word(random);
            match random.below(5) {
                0 => words.insert(at, word),
                1 if words.len() > 20 => drop(words.remove(at)),
                2 => words.push(word),
                _ => words[at] = word,
            }
            let after: HashSet<&[&str]> = words.windows(5).collect();
            let common = before.intersection(&after).count() as f64;
            let jaccard = common / (before.len() as f64 + after.len() as f64 - common);
            if jaccard < range.start {
                break;
            }
            if jaccard <= aim.max(range.start) || range.contains(&jaccard) && random.below(4) == 0 {
                return Some(words);
            }
        }
    }
    None
}
