//! What gateways have seen of models and their versions: counted by each gateway since it started or
//! since the version has workers, told on the admin port, and added up by the operator.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Path of [`Traffic`] on the gateway's admin port.
pub const PATH: &str = "/traffic";
/// Path of [`Held`] on the gateway's admin port.
pub const HELD_PATH: &str = "/held";

/// What one gateway, or all of them, have seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Traffic {
    /// How many gateways tell.
    #[serde(default)]
    pub gateways: u64,
    /// Versions that have workers.
    pub versions: Vec<VersionTraffic>,
    /// Models that may have none while nobody asks.
    #[serde(default)]
    pub models: Vec<ModelTraffic>,
}

/// What was seen of a model that may have no workers while nobody asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelTraffic {
    /// Namespace of the LlmModel.
    pub namespace: String,
    /// Name of the LlmModel.
    pub model: String,
    /// How many gateways tell of it.
    pub gateways: u64,
    /// Requests that are held until it has a worker.
    pub held: u64,
    /// Seconds since a request was last under way or held, or since the gateway looks.
    pub idle_seconds: u64,
}

/// Requests that gateways hold, by model: those without any are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held(Vec<HeldModel>);

/// Requests that are held for one model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldModel {
    /// Namespace of the LlmModel.
    pub namespace: String,
    /// Name of the LlmModel.
    pub model: String,
    /// How many.
    pub held: u64,
}

impl FromIterator<HeldModel> for Held {
    fn from_iter<I: IntoIterator<Item = HeldModel>>(models: I) -> Self {
        Self(models.into_iter().filter(|it| it.held > 0).collect())
    }
}

impl Held {
    /// Adds what another gateway holds.
    pub fn add(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Requests that are held for one model.
    pub fn of(&self, namespace: &str, model: &str) -> u64 {
        let of_it = self
            .0
            .iter()
            .filter(|it| it.namespace == namespace && it.model == model);
        of_it.map(|it| it.held).sum()
    }
}

/// What was seen of one version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionTraffic {
    /// Namespace of the LlmModel.
    pub namespace: String,
    /// Name of the LlmModel.
    pub model: String,
    /// Name of the version.
    pub version: String,
    /// Requests under way at its workers.
    pub in_flight: u64,
    /// Requests that its workers answered as they should.
    pub succeeded: u64,
    /// Requests that its workers failed: with a server error, too late or by breaking off.
    pub failed: u64,
    /// Times to the first token of streamed answers.
    pub first_token: Latencies,
}

impl Traffic {
    /// Adds what another gateway has seen.
    pub fn add(&mut self, other: Self) {
        self.gateways += other.gateways;
        for seen in other.models {
            let is_same = |it: &&mut ModelTraffic| it.namespace == seen.namespace && it.model == seen.model;
            match self.models.iter_mut().find(is_same) {
                Some(known) => known.add(&seen),
                None => self.models.push(seen),
            }
        }
        for seen in other.versions {
            let key = |it: &VersionTraffic| (it.namespace.clone(), it.model.clone(), it.version.clone());
            match self.versions.iter_mut().find(|known| key(known) == key(&seen)) {
                Some(known) => known.add(&seen),
                None => self.versions.push(seen),
            }
        }
    }

    /// What was seen of one version.
    pub fn of(&self, namespace: &str, model: &str, version: &str) -> Option<&VersionTraffic> {
        let wanted = (namespace, model, version);
        let is_it = |it: &&VersionTraffic| (it.namespace.as_str(), it.model.as_str(), it.version.as_str()) == wanted;
        self.versions.iter().find(is_it)
    }

    /// What was seen of one model, if it may have no workers while nobody asks.
    pub fn of_model(&self, namespace: &str, model: &str) -> Option<&ModelTraffic> {
        let mut models = self.models.iter();
        models.find(|it| it.namespace == namespace && it.model == model)
    }

    /// Seconds since anybody asked a model; `None` unless every gateway knows it.
    pub fn idle_seconds(&self, namespace: &str, model: &str) -> Option<u64> {
        let seen = self.of_model(namespace, model)?;
        (seen.gateways == self.gateways).then_some(seen.idle_seconds)
    }
}

impl ModelTraffic {
    fn add(&mut self, other: &Self) {
        self.gateways += other.gateways;
        self.held += other.held;
        self.idle_seconds = self.idle_seconds.min(other.idle_seconds);
    }
}

impl VersionTraffic {
    fn add(&mut self, other: &Self) {
        self.in_flight += other.in_flight;
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.first_token.add(&other.first_token);
    }
}

/// A histogram of times: bucket `i` holds those of at least `2^(i/8)` milliseconds and less than those of
/// bucket `i + 1`, 9 % more. Bucket 0 holds shorter ones too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Latencies(BTreeMap<u16, u64>);

impl Latencies {
    const PER_OCTAVE: f64 = 8.0;

    /// Counts one time, in milliseconds.
    pub fn record(&mut self, milliseconds: f64) {
        let bucket = (milliseconds.max(1.0).log2() * Self::PER_OCTAVE).floor();
        // A float cast to an integer saturates.
        *self.0.entry(bucket as u16).or_default() += 1;
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.0.values().sum()
    }

    /// How many were surely longer than `milliseconds`: those of its own bucket are not counted.
    pub fn over(&self, milliseconds: f64) -> u64 {
        let is_over = |bucket: &u16| (f64::from(*bucket) / Self::PER_OCTAVE).exp2() > milliseconds;
        let over = self.0.iter().filter(|(bucket, _)| is_over(bucket));
        over.map(|(_, count)| count).sum()
    }

    /// The time that a share `q` of all does not exceed, in milliseconds, up to the width of a bucket;
    /// `None` without any.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let rank = (self.count() as f64 * q).ceil().max(1.0) as u64;
        let mut seen = 0;
        let found = self.0.iter().find(|(_, count)| {
            seen += **count;
            seen >= rank
        });
        found.map(|(bucket, _)| ((f64::from(*bucket) + 1.0) / Self::PER_OCTAVE).exp2())
    }

    fn add(&mut self, other: &Self) {
        for (bucket, count) in &other.0 {
            *self.0.entry(*bucket).or_default() += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(version: &str, succeeded: u64, times: &[f64]) -> VersionTraffic {
        let mut first_token = Latencies::default();
        times.iter().for_each(|time| first_token.record(*time));
        VersionTraffic {
            namespace: "ns".into(),
            model: "m".into(),
            version: version.into(),
            succeeded,
            first_token,
            ..VersionTraffic::default()
        }
    }

    #[test]
    fn gateways_add_up_by_version() {
        let mut all = Traffic {
            versions: vec![seen("v-1", 2, &[10.0])],
            ..Traffic::default()
        };
        all.add(Traffic {
            versions: vec![seen("v-1", 3, &[10.0, 500.0]), seen("v-2", 1, &[])],
            ..Traffic::default()
        });
        let first = all.of("ns", "m", "v-1").unwrap();
        assert_eq!((first.succeeded, first.first_token.count()), (5, 3));
        assert_eq!(all.of("ns", "m", "v-2").unwrap().succeeded, 1);
        assert!(all.of("other", "m", "v-2").is_none());
        let text = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<Traffic>(&text).unwrap(), all);
    }

    #[test]
    fn a_model_is_idle_when_every_gateway_says_so() {
        let gateway = |idle: &[u64]| Traffic {
            gateways: 1,
            models: idle
                .iter()
                .map(|seconds| ModelTraffic {
                    namespace: "ns".into(),
                    model: "m".into(),
                    gateways: 1,
                    held: 2,
                    idle_seconds: *seconds,
                })
                .collect(),
            ..Traffic::default()
        };
        let mut all = gateway(&[500]);
        assert_eq!(all.idle_seconds("ns", "m"), Some(500));
        all.add(gateway(&[20]));
        assert_eq!(
            (all.idle_seconds("ns", "m"), all.idle_seconds("ns", "n")),
            (Some(20), None)
        );
        assert_eq!(all.of_model("ns", "m").unwrap().held, 4);
        // One that has just started does not know it yet.
        all.add(gateway(&[]));
        assert_eq!(all.idle_seconds("ns", "m"), None);
    }

    #[test]
    fn held_requests_add_up_by_model() {
        let held = |model: &str, held| HeldModel {
            namespace: "ns".into(),
            model: model.into(),
            held,
        };
        let mut all: Held = [held("a", 2), held("b", 0)].into_iter().collect();
        assert_eq!(serde_json::to_string(&all).unwrap().matches("held").count(), 1);
        all.add([held("a", 3)].into_iter().collect());
        assert_eq!((all.of("ns", "a"), all.of("ns", "b"), all.of("other", "a")), (5, 0, 0));
    }

    #[test]
    fn times_are_counted_to_nine_percent() {
        let mut times = Latencies::default();
        assert_eq!(times.quantile(0.95), None);
        for millisecond in 1..=1000 {
            times.record(f64::from(millisecond));
        }
        let p95 = times.quantile(0.95).unwrap();
        assert!((950.0..950.0 * 1.1).contains(&p95), "{p95}");
        let over = times.over(500.0);
        assert!((450..=500).contains(&over), "{over}");
        // What is too long to be true stays a number.
        times.record(f64::INFINITY);
        times.record(-1.0);
        assert_eq!(times.count(), 1002);
    }
}
