//! What cleaning and deduplication cost, and what the latter finds. `peer.py` beside it does the same with what others use.
//!
//! ```sh
//! cargo run --release -p atelier-data --example bench -- generate --documents 50000 > corpus.jsonl
//! cargo run --release -p atelier-data --example bench -- dedup corpus.jsonl
//! cargo run --release -p atelier-data --example bench -- clean corpus.jsonl
//! ```
//!
//! A corpus is one `{"text", "group"}` a line; of those with an equal group, all but the first are duplicates.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result};
use clap::Parser;
use data::{
    dedup::Deduplicator,
    stages::{Cleaner, Verdict},
};
use protocol::tune::{Dedup, MinHash, PersonalData, Quality, Stages};
use serde::{Deserialize, Serialize};

/// Measures parts of the data pipeline, with one thread.
#[derive(Parser)]
enum Args {
    /// Writes a corpus with known duplicates.
    Generate {
        /// Texts in it.
        #[arg(long, default_value_t = 20_000)]
        documents: usize,
        /// Of the random numbers.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Looks for duplicates in a corpus.
    Dedup {
        /// The corpus.
        file: PathBuf,
        /// Jaccard similarity of duplicates.
        #[arg(long, default_value_t = 0.8)]
        threshold: f64,
        /// Words in a shingle.
        #[arg(long, default_value_t = 5)]
        shingle: u32,
        /// Whether equal texts are looked for as well.
        #[arg(long)]
        exact: bool,
        /// Bytes of memory.
        #[arg(long, default_value_t = 256 << 20)]
        memory: usize,
    },
    /// Cleans and judges a corpus.
    Clean {
        /// The corpus.
        file: PathBuf,
        /// Languages to keep.
        #[arg(long)]
        language: Vec<String>,
        /// Whether personal data are redacted.
        #[arg(long)]
        redact: bool,
    },
}

#[derive(Serialize, Deserialize)]
struct Record {
    text: String,
    #[serde(default)]
    group: Option<u64>,
}

/// What came of it.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    seconds: f64,
    /// Of the processor: what counts on a machine that does other things as well.
    cpu_seconds: f64,
    bytes: usize,
    megabytes_per_second: f64,
    kept: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    recall: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    precision: Option<f64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    flags: BTreeMap<&'static str, u64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    dropped: BTreeMap<&'static str, u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    duplicates: Vec<u64>,
}

fn main() -> Result<()> {
    let outcome = match Args::parse() {
        Args::Generate { documents, seed } => return generate(documents, seed, &mut io::stdout().lock()),
        Args::Dedup {
            file,
            threshold,
            shingle,
            exact,
            memory,
        } => {
            let minhash = Some(MinHash { threshold, shingle });
            dedup(&read(&file)?, &Dedup { exact, minhash }, memory)?
        }
        Args::Clean { file, language, redact } => clean(&read(&file)?, language, redact)?,
    };
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}

fn read(file: &Path) -> Result<Vec<Record>> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let lines = text.lines().enumerate();
    let records = lines.map(|(i, line)| {
        let record = serde_json::from_str(line);
        record.with_context(|| format!("{}:{}", file.display(), i + 1))
    });
    records.collect()
}

fn timed(records: &[Record], work: impl FnOnce() -> Result<Outcome>) -> Result<Outcome> {
    let (begun, cpu) = (Instant::now(), cpu_seconds()?);
    let mut outcome = work()?;
    outcome.seconds = begun.elapsed().as_secs_f64();
    outcome.cpu_seconds = cpu_seconds()? - cpu;
    outcome.bytes = records.iter().map(|record| record.text.len()).sum();
    outcome.megabytes_per_second = outcome.bytes as f64 / outcome.cpu_seconds / 1e6;
    Ok(outcome)
}

/// What this thread has used so far: the first number of `schedstat` (Linux, Documentation/scheduler/sched-stats).
fn cpu_seconds() -> Result<f64> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = text.split(' ').next().context("no numbers")?;
    Ok(nanoseconds.parse::<f64>()? / 1e9)
}

fn dedup(records: &[Record], dedup: &Dedup, memory: usize) -> Result<Outcome> {
    let scratch = tempfile::tempdir()?;
    let mut outcome = timed(records, || {
        let mut deduplicator = Deduplicator::new(dedup, scratch.path(), memory)?;
        for (document, record) in records.iter().enumerate() {
            deduplicator.add(document as u64, &record.text)?;
        }
        let found = deduplicator.finish()?.map(|it| it.map(|(document, _)| document));
        Ok(Outcome {
            duplicates: found.collect::<io::Result<_>>()?,
            ..Outcome::default()
        })
    })?;
    let mut groups = HashSet::new();
    let is_planted = |(_, record): &(u64, &Record)| record.group.is_some_and(|group| !groups.insert(group));
    let planted: HashSet<u64> = (0..)
        .zip(records)
        .filter(is_planted)
        .map(|(document, _)| document)
        .collect();
    let right = outcome.duplicates.iter().filter(|it| planted.contains(it)).count() as f64;
    outcome.recall = Some(right / planted.len().max(1) as f64);
    outcome.precision = Some(right / outcome.duplicates.len().max(1) as f64);
    outcome.kept = records.len() - outcome.duplicates.len();
    Ok(outcome)
}

fn clean(records: &[Record], language: Vec<String>, redact: bool) -> Result<Outcome> {
    let stages = Stages {
        normalize_unicode: true,
        punctuation: true,
        language,
        quality: Some(Quality {
            min_words: Some(50),
            max_words: Some(100_000),
            max_symbols: Some(0.5),
            max_repeated_lines: Some(0.5),
        }),
        pii: if redact {
            PersonalData::Redact
        } else {
            PersonalData::Keep
        },
        dedup: Dedup::default(),
    };
    let cleaner = Cleaner::new(&stages)?;
    timed(records, || {
        let mut outcome = Outcome::default();
        for record in records {
            match cleaner.judge(&cleaner.clean(&record.text)) {
                Verdict::Keep { flags } => {
                    outcome.kept += 1;
                    flags
                        .into_iter()
                        .for_each(|flag| *outcome.flags.entry(flag).or_default() += 1);
                }
                Verdict::Drop { reason } => *outcome.dropped.entry(reason).or_default() += 1,
            }
        }
        Ok(outcome)
    })
}

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
fn generate(documents: usize, seed: u64, out: &mut impl Write) -> Result<()> {
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
    for (words, group) in texts {
        let mut text = String::new();
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
    range: std::ops::Range<f64>,
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
