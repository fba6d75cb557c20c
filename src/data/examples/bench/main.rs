//! What cleaning and deduplication cost, and what the latter finds. `peer.py` beside it does the same with what others use.
//!
//! ```sh
//! cargo run --release -p atelier-data --example bench -- generate --documents 50000 > corpus.jsonl
//! cargo run --release -p atelier-data --example bench -- dedup corpus.jsonl
//! cargo run --release -p atelier-data --example bench -- clean corpus.jsonl
//! ```
//!
//! A corpus is one `{"text", "group"}` a line; of those with an equal group, all but the first are duplicates.

mod corpus;

use std::{
    collections::{BTreeMap, HashSet},
    fs, io,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
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
        /// Whether there is something to clean.
        #[arg(long)]
        dirty: bool,
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
        /// Whether nothing but equal texts is looked for.
        #[arg(long)]
        only_exact: bool,
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
        /// What is done; all of it by default.
        #[arg(long)]
        part: Vec<Part>,
    },
}

/// A part of the cleaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Broken encodings, invisible characters, normal form.
    Unicode,
    /// Quotes, dashes and spaces.
    Punctuation,
    /// Personal data, replaced.
    Pii,
    /// Limits, and flags of known recipes.
    Filters,
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
        Args::Generate { documents, seed, dirty } => {
            return corpus::generate(documents, seed, dirty, &mut io::stdout().lock());
        }
        Args::Dedup {
            file,
            threshold,
            shingle,
            exact,
            only_exact,
            memory,
        } => {
            let minhash = (!only_exact).then_some(MinHash { threshold, shingle });
            let wanted = Dedup {
                exact: exact || only_exact,
                minhash,
            };
            dedup(&read(&file)?, &wanted, memory)?
        }
        Args::Clean { file, language, part } => match part.as_slice() {
            [] => clean(&read(&file)?, language, Part::value_variants())?,
            parts => clean(&read(&file)?, language, parts)?,
        },
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

fn clean(records: &[Record], language: Vec<String>, parts: &[Part]) -> Result<Outcome> {
    let does = |part| parts.contains(&part);
    let quality = Quality {
        min_words: Some(50),
        max_words: Some(100_000),
        max_symbols: Some(0.5),
        max_repeated_lines: Some(0.5),
    };
    let stages = Stages {
        normalize_unicode: does(Part::Unicode),
        punctuation: does(Part::Punctuation),
        language,
        quality: does(Part::Filters).then_some(quality),
        pii: match does(Part::Pii) {
            true => PersonalData::Redact,
            false => PersonalData::Keep,
        },
        dedup: Dedup::default(),
    };
    let cleaner = Cleaner::new(&stages)?;
    timed(records, || {
        let mut outcome = Outcome::default();
        for record in records {
            let text = cleaner.clean(&record.text);
            if !does(Part::Filters) {
                outcome.kept += 1;
                std::hint::black_box(&text);
                continue;
            }
            match cleaner.judge(&text) {
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
