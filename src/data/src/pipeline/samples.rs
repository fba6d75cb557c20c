//! Records for a human to look at.

use std::collections::BTreeMap;

use protocol::tune::Sample;

/// Of those that are kept.
const KEPT: usize = 5;
/// For each reason to drop one.
const DROPPED: usize = 3;
/// Characters of a record.
pub(super) const LENGTH: usize = 600;

/// Some records of each fate.
#[derive(Debug, Default)]
pub(super) struct Samples {
    dropped: BTreeMap<String, Vec<Sample>>,
    /// Those with the smallest hashes: a choice that is spread over the data and always the same.
    kept: Vec<(u64, Sample)>,
}

impl Samples {
    /// Whether one more that is dropped for this reason is wanted.
    pub(super) fn wants(&self, reason: &str) -> bool {
        self.dropped.get(reason).is_none_or(|samples| samples.len() < DROPPED)
    }

    /// One that is dropped.
    pub(super) fn dropped(&mut self, reason: &str, origin: &str, before: &str) {
        if self.wants(reason) {
            let sample = Sample {
                fate: reason.into(),
                origin: origin.into(),
                before: shortened(before).into(),
                after: None,
            };
            self.dropped.entry(reason.into()).or_default().push(sample);
        }
    }

    /// Whether a record with this hash is wanted of those that are kept.
    pub(super) fn wants_kept(&self, hash: u64) -> bool {
        self.kept.len() < KEPT || self.kept.last().is_some_and(|(most, _)| hash < *most)
    }

    /// One that is kept.
    pub(super) fn kept(&mut self, hash: u64, origin: &str, before: &str, after: &str) {
        let sample = Sample {
            fate: "kept".into(),
            origin: origin.into(),
            before: shortened(before).into(),
            after: Some(shortened(after).into()),
        };
        let place = self.kept.partition_point(|(other, _)| *other <= hash);
        self.kept.insert(place, (hash, sample));
        self.kept.truncate(KEPT);
    }

    /// All of them: what is kept first.
    pub(super) fn take(&mut self) -> Vec<Sample> {
        let kept = std::mem::take(&mut self.kept).into_iter().map(|(_, sample)| sample);
        let dropped = std::mem::take(&mut self.dropped);
        kept.chain(dropped.into_values().flatten()).collect()
    }
}

/// The beginning of a text.
pub(super) fn shortened(text: &str) -> &str {
    text.char_indices().nth(LENGTH).map_or(text, |(end, _)| &text[..end])
}
