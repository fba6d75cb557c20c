//! What was measured, and how much it may be.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

/// Models that get their children in a second, at least.
const MODELS_PER_SECOND: f64 = 35.0;
/// From 1,000 models to more, a model may take this many times as long.
const SLOWDOWN: f64 = 1.5;
/// Writes of anybody in a minute in which nothing changes.
const IDLE_WRITES: f64 = 0.0;
/// Resident memory of the operator without models, in bytes.
const IDLE_BYTES: u64 = 60 << 20;
/// And what each thousand models may add.
const BYTES_PER_THOUSAND: u64 = 30 << 20;
/// Seconds from the start of an operator to the end of its first pass over each thousand models.
const RESTART_SECONDS: f64 = 10.0;
/// Seconds from a change to its children, for 99 of 100 changes.
const CHANGE_SECONDS: f64 = 1.0;

/// The measurements of one run.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Models.
    pub objects: u32,
    /// Seconds from the first of as many Deployments to the last ReplicaSet.
    pub peer_seconds: f64,
    /// Seconds from the first model to the last Deployment.
    pub children_seconds: f64,
    /// Seconds from the first model until all are ready.
    pub ready_seconds: f64,
    /// Writes of anybody in a minute in which nothing changes.
    pub idle_writes_per_minute: f64,
    /// What was written to while that was watched, and how often.
    pub idle_writes: BTreeMap<String, f64>,
    /// Resident memory of the operator before there are models.
    pub idle_bytes: u64,
    /// Resident memory of the operator with all models.
    pub resident_bytes: u64,
    /// Seconds from the start of an operator to the end of its first pass over all models.
    pub restart_seconds: f64,
    /// Seconds from a change in the storm to its children, half of the time.
    pub change_median_seconds: f64,
    /// And for 99 of 100 changes.
    pub change_p99_seconds: f64,
}

impl Figures {
    fn models_per_second(&self) -> f64 {
        f64::from(self.objects) / self.children_seconds
    }

    fn thousands(&self) -> f64 {
        (f64::from(self.objects) / 1000.0).max(1.0)
    }

    /// The figures that are beyond their limits.
    pub fn above_limits(&self) -> Vec<String> {
        let megabytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let slowdown = if self.objects > 1000 { SLOWDOWN } else { 1.0 };
        let memory = megabytes(IDLE_BYTES) + megabytes(BYTES_PER_THOUSAND) * self.thousands();
        let limits = [
            (
                "seconds until all models have their children",
                self.children_seconds,
                f64::from(self.objects) / MODELS_PER_SECOND * slowdown,
            ),
            (
                "writes in a minute of the steady state",
                self.idle_writes_per_minute,
                IDLE_WRITES,
            ),
            (
                "MiB of the operator without models",
                megabytes(self.idle_bytes),
                megabytes(IDLE_BYTES),
            ),
            (
                "MiB of the operator with all models",
                megabytes(self.resident_bytes),
                memory,
            ),
            (
                "seconds for a restart",
                self.restart_seconds,
                RESTART_SECONDS * self.thousands(),
            ),
            ("seconds for 99 of 100 changes", self.change_p99_seconds, CHANGE_SECONDS),
        ];
        let beyond = limits.into_iter().filter(|(_, found, limit)| found > limit);
        beyond
            .map(|(what, found, limit)| format!("{found:.2} {what}; the limit is {limit:.2}"))
            .collect()
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        writeln!(f, "objects           {}", self.objects)?;
        writeln!(
            f,
            "children          {:.1} s, {:.1} models/s (the Deployment controller: {:.1} s, {:.1}/s)",
            self.children_seconds,
            self.models_per_second(),
            self.peer_seconds,
            f64::from(self.objects) / self.peer_seconds,
        )?;
        writeln!(f, "ready             {:.1} s", self.ready_seconds)?;
        let idle = self.idle_writes_per_minute;
        writeln!(f, "steady state      {idle:.1} writes/min {:?}", self.idle_writes)?;
        writeln!(
            f,
            "memory            {:.1} MiB, {:.1} MiB without models",
            megabytes(self.resident_bytes),
            megabytes(self.idle_bytes)
        )?;
        writeln!(f, "restart           {:.1} s", self.restart_seconds)?;
        writeln!(
            f,
            "change in a storm p50 {:.3} s, p99 {:.3} s",
            self.change_median_seconds, self.change_p99_seconds
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Figures {
        Figures {
            objects: 1000,
            peer_seconds: 10.0,
            children_seconds: 20.0,
            ready_seconds: 30.0,
            idle_writes_per_minute: 0.0,
            idle_writes: BTreeMap::new(),
            idle_bytes: 20 << 20,
            resident_bytes: 50 << 20,
            restart_seconds: 5.0,
            change_median_seconds: 0.1,
            change_p99_seconds: 0.5,
        }
    }

    #[test]
    fn each_limit_is_found_when_it_is_crossed() {
        assert!(good().above_limits().is_empty());
        let bad = Figures {
            children_seconds: 29.0,
            idle_writes_per_minute: 1.0,
            idle_bytes: 61 << 20,
            resident_bytes: 91 << 20,
            restart_seconds: 10.1,
            change_p99_seconds: 1.1,
            ..good()
        };
        assert_eq!(bad.above_limits().len(), 6, "{:?}", bad.above_limits());
    }

    #[test]
    fn more_models_may_take_longer_each() {
        let many = Figures {
            objects: 5000,
            children_seconds: 5000.0 / 35.0 * 1.4,
            ..good()
        };
        assert!(many.above_limits().is_empty(), "{:?}", many.above_limits());
    }
}
