//! What was counted on the way, and whether it is good enough.

use std::collections::{BTreeMap, BTreeSet};

use protocol::tune::{DataFormat, DataPlan, SourceReport};

use crate::failure::{Result, invalid};
use crate::record::{Bad, name_of, reasons};

/// Documents whose names the manifest has.
const MAX_QUARANTINED: usize = 100;

/// Counts of a data set.
pub(super) struct Tally {
    format: DataFormat,
    /// Records read. Files that are skipped count as one.
    pub read: u64,
    /// Records dropped, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Quality rules that would have struck.
    pub flags: BTreeMap<String, u64>,
    /// Documents that were set aside.
    pub quarantined: BTreeMap<String, String>,
    /// Of each source.
    pub sources: Vec<SourceReport>,
    /// Of the source that is read: records that are none, by reason, and the first one of each in words.
    bad: BTreeMap<&'static str, (u64, String)>,
    /// The first one of all sources.
    first_bad: Option<String>,
    /// Records of the source that count for whether it is good enough.
    candidates: u64,
    /// The first file in which nothing was found.
    empty: Option<String>,
}

impl Tally {
    /// Nothing is counted yet.
    pub(super) fn new(plan: &DataPlan) -> Self {
        let source = |name: &String| SourceReport {
            name: name.clone(),
            ..SourceReport::default()
        };
        Self {
            format: plan.format,
            read: 0,
            dropped: BTreeMap::new(),
            flags: BTreeMap::new(),
            quarantined: BTreeMap::new(),
            sources: plan.sources.iter().map(|plan| source(&plan.name)).collect(),
            bad: BTreeMap::new(),
            first_bad: None,
            candidates: 0,
            empty: None,
        }
    }

    /// There was nothing in a file.
    pub(super) fn empty(&mut self, source: usize, file: &str) {
        let name = &self.sources[source].name;
        self.empty
            .get_or_insert_with(|| format!("{file} of dataset.sources[{name}] is empty"));
    }

    /// Something was read of a source.
    pub(super) fn read(&mut self, source: usize) {
        self.read += 1;
        self.candidates += 1;
        self.sources[source].read += 1;
    }

    /// Something is dropped.
    pub(super) fn dropped(&mut self, reason: &str) {
        match self.dropped.get_mut(reason) {
            Some(count) => *count += 1,
            None => {
                self.dropped.insert(reason.into(), 1);
            }
        }
    }

    /// A quality rule would have struck.
    pub(super) fn flag(&mut self, rule: &str) {
        match self.flags.get_mut(rule) {
            Some(count) => *count += 1,
            None => {
                self.flags.insert(rule.into(), 1);
            }
        }
    }

    /// What was read is no record.
    pub(super) fn bad(&mut self, place: &str, bad: &Bad) {
        self.dropped(bad.reason);
        if bad.reason == reasons::UNKNOWN_FILE || bad.reason == reasons::QUARANTINED {
            // A README beside the data is no fault of theirs, and a bad scan is dealt with.
            self.candidates -= 1;
        }
        let words = || match bad.reason {
            reasons::MISSING_FIELD | reasons::INVALID_ROLE | reasons::EMPTY => {
                format!("dataset.format is {}, but {place} {}", name_of(self.format), bad.what)
            }
            _ => format!("{place} {}", bad.what),
        };
        let (count, _) = self.bad.entry(bad.reason).or_insert_with(|| (0, words()));
        *count += 1;
        if *count == 1 {
            tracing::warn!("{}: {}", bad.reason, words());
        }
    }

    /// A document is set aside.
    pub(super) fn quarantined(&mut self, document: &str, why: &str) {
        if self.quarantined.len() < MAX_QUARANTINED {
            self.quarantined.insert(document.into(), why.into());
        }
    }

    /// The source is read to its end.
    ///
    /// # Errors
    /// When more than half of it is no good.
    pub(super) fn end_source(&mut self, source: usize) -> Result<()> {
        let candidates = std::mem::take(&mut self.candidates);
        let bad = std::mem::take(&mut self.bad);
        let counts = |reason: &&'static str| *reason != reasons::UNKNOWN_FILE && *reason != reasons::QUARANTINED;
        let faults: u64 = bad
            .iter()
            .filter(|(reason, _)| counts(reason))
            .map(|(_, (count, _))| count)
            .sum();
        let worst = bad
            .iter()
            .filter(|(reason, _)| counts(reason))
            .max_by_key(|(_, (count, _))| *count);
        if let Some((reason, (count, words))) = worst
            && faults * 2 > candidates
        {
            let name = &self.sources[source].name;
            return Err(invalid(format!(
                "{words}; {faults} of {candidates} records of dataset.sources[{name}] are no good, {count} of them because of \
                 {reason}"
            )));
        }
        if self.first_bad.is_none() {
            let first = bad
                .into_iter()
                .max_by_key(|(reason, (count, _))| (counts(reason), *count));
            self.first_bad = first.map(|(_, (_, words))| words);
        }
        Ok(())
    }

    /// Records read of the source so far.
    pub(super) fn candidates(&self) -> u64 {
        self.candidates
    }

    /// Whether some of the source are no records.
    pub(super) fn has_bad(&self) -> bool {
        !self.bad.is_empty()
    }

    /// Why there is nothing to learn from, in words.
    pub(super) fn nothing_left(&self) -> String {
        let read = self.read;
        let mut message = format!("no record is left to learn from, of {read} that were read");
        let drops: Vec<String> = self
            .dropped
            .iter()
            .map(|(reason, count)| format!("{count} {reason}"))
            .collect();
        if !drops.is_empty() {
            message += &format!(" ({})", drops.join(", "));
        }
        match &self.first_bad {
            Some(words) => message += &format!(": {words}"),
            None if read == 0 => {
                let names: BTreeSet<&str> = self.sources.iter().map(|source| source.name.as_str()).collect();
                let names: Vec<&str> = names.into_iter().collect();
                let empty = self.empty.as_deref().unwrap_or("there are no files");
                message += &format!("; check what dataset.sources ({}) hold: {empty}", names.join(", "));
            }
            None => message += "; relax dataset.prepare",
        }
        message
    }
}
