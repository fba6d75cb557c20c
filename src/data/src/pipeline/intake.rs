//! The first pass: records are read, cleaned, judged, and written to the disk.

use std::path::Path;

use artifacts::digest::Digest;
use sha2::{Digest as _, Sha256};

use super::samples::{Samples, shortened};
use super::spill::{Entry, Spill};
use super::tally::Tally;
use crate::dedup::{Contamination, Deduplicator};
use crate::failure::{Result, disk};
use crate::readers::{self, Item};
use crate::record::{self, Bad, Record, reasons};
use crate::report::Progress;
use crate::sources::SourceFile;
use crate::stages::{Cleaner, Verdict};

/// Records of a source of which each is kept a moment longer, should it be shown to a human.
const SHOWN: u64 = 1000;

/// Where records go.
pub(super) struct Intake<'a> {
    /// Cleans texts.
    pub cleaner: &'a Cleaner,
    /// Knows what must not be learned from.
    pub contamination: Option<&'a Contamination>,
    /// Looks for duplicates.
    pub dedup: Deduplicator,
    /// Where that works, for messages.
    pub near: &'a Path,
    /// Keeps them.
    pub spill: Spill,
    /// Counts.
    pub tally: Tally,
    /// Keeps some for a human.
    pub samples: Samples,
    /// Tells.
    pub progress: Progress,
    /// What readers need to know.
    pub settings: readers::Settings,
    /// Seed of the split.
    pub seed: u64,
}

/// Where something was read.
struct Place<'a> {
    source: usize,
    file: &'a str,
    /// None for a file as a whole.
    line: Option<u64>,
}

impl Intake<'_> {
    /// Reads all files of a source.
    ///
    /// # Errors
    /// When more than half of it is no good, or the disk fails.
    pub(super) fn source(&mut self, source: usize, files: &[SourceFile]) -> Result<()> {
        let mut digest = Sha256::new();
        for file in files {
            // What was read is told by its content: a source may change from run to run.
            let sha256 = Digest::of_file(&file.path)?;
            digest.update(format!("{} {sha256}\n", file.name));
            let settings = self.settings.clone();
            readers::read(&file.path, &file.name, &settings, &mut |item| {
                self.item(source, &file.name, item)
            })?;
        }
        self.tally.sources[source].digest = format!("sha256:{}", hex::encode(digest.finalize()));
        self.tally.end_source(source)
    }

    fn item(&mut self, source: usize, file: &str, item: Item) -> Result<()> {
        self.tally.read(source);
        self.progress.now.read += 1;
        self.progress.tick();
        let at = |line| Place { source, file, line };
        match item {
            Item::Value { line, value } => {
                let place = at(Some(line));
                let shown = self.may_be_shown().then(|| shortened(&value.to_string()).to_owned());
                match Record::of(value, self.settings.format) {
                    Ok(record) => self.record(&place, record),
                    Err(bad) => self.bad(&place, &bad, shown.as_deref().unwrap_or_default()),
                }
            }
            Item::Text(text) => match Record::of_text(text) {
                Ok(record) => self.record(&at(None), record),
                Err(bad) => self.bad(&at(None), &bad, ""),
            },
            Item::Bad { line, bad } => self.bad(&at(Some(line)), &bad, ""),
            Item::Unknown(why) => self.bad(&at(None), &Bad::new(reasons::UNKNOWN_FILE, why), ""),
            Item::Broken(why) => {
                self.tally.quarantined(&self.origin(&at(None)), &why);
                self.bad(&at(None), &Bad::new(reasons::BROKEN_FILE, why), "")
            }
            Item::Quarantined(why) => {
                self.tally.quarantined(&self.origin(&at(None)), &why);
                self.bad(&at(None), &Bad::new(reasons::QUARANTINED, why), "")
            }
        }
    }

    /// Whether what was read is worth keeping a moment longer, should it turn out to be no record: copies cost time, and
    /// where some are bad, mostly the first ones are.
    fn may_be_shown(&self) -> bool {
        let wanted = [reasons::MISSING_FIELD, reasons::INVALID_ROLE, reasons::EMPTY];
        let is_likely = self.tally.candidates() < SHOWN || self.tally.has_bad();
        is_likely && wanted.iter().any(|reason| self.samples.wants(reason))
    }

    fn bad(&mut self, place: &Place<'_>, bad: &Bad, shown: &str) -> Result<()> {
        let words = match place.line {
            Some(line) => format!("line {line} of {}", place.file),
            None => place.file.to_owned(),
        };
        self.tally.bad(&words, bad);
        let shown = if shown.is_empty() { &bad.what } else { shown };
        self.samples.dropped(bad.reason, &self.origin(place), shown);
        Ok(())
    }

    fn record(&mut self, place: &Place<'_>, mut record: Record) -> Result<()> {
        let length: usize = record.texts_mut().iter().map(|text| text.len()).sum();
        self.progress.now.bytes += length as u64;
        if length > self.settings.max_bytes {
            return self.bad(place, &Bad::too_long(self.settings.max_bytes), &record.joined());
        }
        let mut before = None;
        self.clean(&mut record, &mut before);
        if let Err(bad) = record.check() {
            return self.bad(place, &bad, before.as_deref().unwrap_or_default());
        }
        let joined = record.joined();
        let reason = match self.cleaner.judge(&joined) {
            Verdict::Drop { reason } => Some(reason),
            Verdict::Keep { flags } => {
                for flag in flags {
                    *self.tally.flags.entry(flag.into()).or_default() += 1;
                }
                let contaminated = |known: &Contamination| known.is_contaminated(&joined);
                self.contamination.is_some_and(contaminated).then_some(reasons::CONTAMINATED)
            }
        };
        let content = record.content();
        if let Some(reason) = reason {
            self.tally.dropped(reason);
            self.samples
                .dropped(reason, &self.origin(place), before.as_deref().unwrap_or(&content));
            return Ok(());
        }
        let entry = Entry {
            source: place.source as u32,
            hash: split_hash(self.seed, &content),
            origin: self.origin(place),
            before: before.unwrap_or_default(),
            content,
        };
        let number = self.spill.append(&entry)?;
        self.progress.now.kept += 1;
        self.dedup.add(number, &joined).map_err(disk("write", self.near))
    }

    /// Cleans the texts; keeps how the record was before the first change.
    fn clean(&self, record: &mut Record, before: &mut Option<String>) {
        let cleaned: Vec<Option<String>> = record
            .texts_mut()
            .into_iter()
            .map(|text| match self.cleaner.clean(text) {
                std::borrow::Cow::Borrowed(same) if same.len() == text.len() => None,
                other => Some(other.into_owned()),
            })
            .collect();
        if cleaned.iter().all(Option::is_none) {
            return;
        }
        *before = Some(shortened(&record.content()).to_owned());
        for (text, clean) in record.texts_mut().into_iter().zip(cleaned) {
            if let Some(clean) = clean {
                *text = clean;
            }
        }
    }

    fn origin(&self, place: &Place<'_>) -> String {
        let source = &self.tally.sources[place.source].name;
        match place.line {
            Some(line) => format!("{source}/{}:{line}", place.file),
            None => format!("{source}/{}", place.file),
        }
    }
}

/// What decides about the part that a record goes to: its content and the seed, and nothing around it.
fn split_hash(seed: u64, content: &str) -> u64 {
    let mut hasher = Sha256::new();
    hasher.update(seed.to_le_bytes());
    hasher.update(record::digest(content));
    let digest: [u8; 32] = hasher.finalize().into();
    let [a, b, c, d, e, f, g, h, ..] = digest;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}
