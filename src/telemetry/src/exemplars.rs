//! Exemplars: for each bucket of a histogram, a trace that shows what is counted there.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

/// The names and values of a series' labels.
pub type Labels = BTreeMap<String, String>;

/// One observation with its trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// Id of the trace, in hex.
    pub trace: String,
    /// What was observed.
    pub value: f64,
    /// When, in seconds since 1970.
    pub time: f64,
}

/// The exemplars of the histograms of one registry: the latest one of each bucket.
#[derive(Clone, Debug, Default)]
pub struct Exemplars(Arc<Mutex<HashMap<String, Family>>>);

/// Those of one histogram, by series and bucket.
type Family = HashMap<Labels, HashMap<usize, Exemplar>>;

impl Exemplars {
    /// Notes that the histogram `name` with these bounds of its buckets observed `value` in `trace`.
    pub fn note(&self, name: &str, bounds: &[f64], labels: &[(&str, &str)], value: f64, trace: String) {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let labels = labels.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let exemplar = Exemplar {
            trace,
            value,
            time: time.as_secs_f64(),
        };
        let mut families = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let family = families.entry(name.into()).or_default();
        let buckets = family.entry(labels.collect()).or_default();
        buckets.insert(bounds.partition_point(|bound| *bound < value), exemplar);
    }

    /// The exemplar of a bucket.
    pub fn get(&self, name: &str, labels: &Labels, bucket: usize) -> Option<Exemplar> {
        let families = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        families.get(name)?.get(labels)?.get(&bucket).cloned()
    }

    /// Forgets the series of a histogram that `exists` does not hold for.
    pub fn retain(&self, name: &str, exists: impl Fn(&Labels) -> bool) {
        let mut families = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(family) = families.get_mut(name) {
            family.retain(|labels, _| exists(labels));
        }
    }
}
