//! What is done to each thing that was read, whatever came before it: several threads do it at once.

use std::borrow::Cow;

use protocol::tune::DataFormat;
use sha2::{Digest as _, Sha256};

use super::samples::{LENGTH, shortened};
use crate::dedup::Contamination;
use crate::readers::Item;
use crate::record::{self, Bad, Record, reasons};
use crate::stages::{Cleaner, Verdict};

/// Characters behind what is shown of a text that may belong to personal data in it.
const MARGIN: usize = 200;

/// Makes outcomes of items.
#[derive(Clone, Copy)]
pub(super) struct Worker<'a> {
    /// Cleans texts.
    pub cleaner: &'a Cleaner,
    /// Knows what must not be learned from.
    pub contamination: Option<&'a Contamination>,
    /// What records look like.
    pub format: DataFormat,
    /// Bytes of one record at most.
    pub max_bytes: usize,
    /// Seed of the split.
    pub seed: u64,
    /// Whether what is no record is kept as it was read, to be shown.
    pub shows_bad: bool,
}

/// What becomes of an item.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Where it was in its file; None for all of that.
    pub line: Option<u64>,
    /// Bytes of its texts as they were read.
    pub bytes: u64,
    /// The rest.
    pub end: End,
}

/// How it ends.
#[derive(Debug)]
pub(super) enum End {
    /// It is a record that is kept, unless it is a duplicate.
    Kept(Kept),
    /// It is a record that is dropped.
    Dropped {
        /// Why.
        reason: &'static str,
        /// How it was read.
        before: String,
    },
    /// It is no record.
    Bad {
        /// Why not.
        bad: Bad,
        /// How it was read, if that is known.
        before: String,
        /// Whether a human has to hear of it.
        is_set_aside: bool,
    },
}

/// A record that is kept.
#[derive(Debug)]
pub(super) struct Kept {
    /// How it was read, shortened; nothing if that is how it is.
    pub before: String,
    /// Its fields as JSON.
    pub content: String,
    /// Its texts.
    pub joined: String,
    /// Decides about its part.
    pub hash: u64,
    /// Quality rules that would have struck.
    pub flags: Vec<&'static str>,
}

impl Worker<'_> {
    /// What becomes of this.
    pub(super) fn outcome(&self, item: Item) -> Outcome {
        let set_aside = |reason, why| End::Bad {
            bad: Bad::new(reason, why),
            before: String::new(),
            is_set_aside: reason != reasons::UNKNOWN_FILE,
        };
        let (line, end) = match item {
            Item::Value { line, value } => {
                // What is no record has no texts that could be looked through: nothing of it is kept then.
                let shows = self.shows_bad && !self.cleaner.hides();
                let shown = shows.then(|| shortened(&value.to_string()).to_owned());
                return match Record::of(value, self.format) {
                    Ok(record) => self.record(Some(line), record),
                    Err(bad) => no_record(Some(line), bad, shown.unwrap_or_default()),
                };
            }
            Item::Text(text) => {
                return match Record::of_text(text) {
                    Ok(record) => self.record(None, record),
                    Err(bad) => no_record(None, bad, String::new()),
                };
            }
            Item::Bad { line, bad } => return no_record(Some(line), bad, String::new()),
            Item::Unknown(why) => (None, set_aside(reasons::UNKNOWN_FILE, why)),
            Item::Broken(why) => (None, set_aside(reasons::BROKEN_FILE, why)),
            Item::Quarantined(why) => (None, set_aside(reasons::QUARANTINED, why)),
        };
        Outcome { line, bytes: 0, end }
    }

    fn record(&self, line: Option<u64>, mut record: Record) -> Outcome {
        let bytes: usize = record.texts_mut().iter().map(|text| text.len()).sum();
        if bytes > self.max_bytes {
            let before = self.shown(&record);
            return no_record(line, Bad::too_long(self.max_bytes), before);
        }
        let end = self.clean(record);
        Outcome {
            line,
            bytes: bytes as u64,
            end,
        }
    }

    fn clean(&self, mut record: Record) -> End {
        let before = self.clean_texts(&mut record);
        if let Err(bad) = record.check() {
            return End::Bad {
                bad,
                before,
                is_set_aside: false,
            };
        }
        let (joined, content) = (record.joined(), record.content());
        let contaminated = || self.contamination.is_some_and(|known| known.is_contaminated(&joined));
        let (reason, flags) = match self.cleaner.judge(&joined) {
            Verdict::Drop { reason } => (Some(reason), Vec::new()),
            Verdict::Keep { flags } => (contaminated().then_some(reasons::CONTAMINATED), flags),
        };
        match reason {
            Some(reason) => End::Dropped {
                reason,
                before: match before.is_empty() {
                    true => self.shown(&record),
                    false => before,
                },
            },
            None => End::Kept(Kept {
                before,
                hash: split_hash(self.seed, &content),
                content,
                joined,
                flags,
            }),
        }
    }

    /// Cleans the texts; how the record was before, if that changes it.
    fn clean_texts(&self, record: &mut Record) -> String {
        let clean = |text: &mut String| match self.cleaner.clean(text) {
            Cow::Borrowed(same) if same.len() == text.len() => None,
            other => Some(other.into_owned()),
        };
        let cleaned: Vec<Option<String>> = record.texts_mut().into_iter().map(clean).collect();
        if cleaned.iter().all(Option::is_none) {
            return String::new();
        }
        let before = self.shown(record);
        for (text, clean) in record.texts_mut().into_iter().zip(cleaned) {
            if let Some(clean) = clean {
                *text = clean;
            }
        }
        before
    }
}

impl Worker<'_> {
    /// As much of a record as is kept to be looked at, without personal data that are not to be kept.
    fn shown(&self, record: &Record) -> String {
        if !self.cleaner.hides() {
            return shortened(&record.content()).to_owned();
        }
        let mut record = record.clone();
        let mut left = LENGTH;
        for text in record.texts_mut() {
            // A find that is cut in two is none: some of the text behind is looked through as well, and not shown.
            let end = text.char_indices().nth(left + MARGIN).map(|(end, _)| end);
            let mut shown = self.cleaner.veiled(&text[..end.unwrap_or(text.len())]).into_owned();
            if end.is_some() {
                let behind = shown.char_indices().nth_back(MARGIN - 1).map_or(0, |(at, _)| at);
                shown.truncate(behind);
            }
            left = left.saturating_sub(shown.chars().count());
            *text = shown;
        }
        shortened(&record.content()).to_owned()
    }
}

fn no_record(line: Option<u64>, bad: Bad, before: String) -> Outcome {
    let end = End::Bad {
        bad,
        before,
        is_set_aside: false,
    };
    Outcome { line, bytes: 0, end }
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
