//! Readings of workers over time: rates take two.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use super::scrape::Reading;

/// Youngest reading that a rate is taken from: autoscalers ask for several metrics at once, every 15 seconds.
const YOUNGEST: Duration = Duration::from_secs(5);
/// How long a reading is kept.
const OLDEST: Duration = Duration::from_secs(120);

/// One reading.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// When.
    pub at: Instant,
    /// What.
    pub reading: Reading,
}

/// Readings of all workers that were asked lately, by the uid of their pods.
#[derive(Default)]
pub struct Samples(HashMap<String, VecDeque<Sample>>);

impl Samples {
    /// Adds a reading, and returns an earlier one to compare it with.
    pub fn add(&mut self, pod: &str, sample: Sample) -> Option<Sample> {
        let age = |it: &Sample| sample.at.saturating_duration_since(it.at);
        self.0.retain(|_, samples| {
            samples.retain(|it| age(it) <= OLDEST);
            !samples.is_empty()
        });
        let samples = self.0.entry(pod.to_owned()).or_default();
        let base = samples.iter().rev().find(|it| age(it) >= YOUNGEST).copied();
        samples.push_back(sample);
        base
    }
}

/// How much a counter grew each second between two readings. A worker that was started anew began at 0.
pub fn rate(before: Sample, now: Sample, counter: impl Fn(&Reading) -> f64) -> f64 {
    let (from, to) = (counter(&before.reading), counter(&now.reading));
    let grown = if to >= from { to - from } else { to };
    let seconds = now.at.saturating_duration_since(before.at).as_secs_f64();
    if seconds > 0.0 { grown / seconds } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(begin: Instant, second: u64, answered: f64) -> Sample {
        let reading = Reading {
            answered: Some(answered),
            ..Reading::default()
        };
        Sample {
            at: begin + Duration::from_secs(second),
            reading,
        }
    }

    #[test]
    fn rates_are_taken_over_a_while() {
        let (mut samples, begin) = (Samples::default(), Instant::now());
        let mut add = |second, answered| {
            let now = sample(begin, second, answered);
            samples
                .add("pod", now)
                .map(|base| rate(base, now, |reading| reading.answered.unwrap_or_default()))
        };
        assert_eq!(add(0, 10.0), None);
        assert_eq!(add(1, 10.0), None);
        assert_eq!(add(15, 38.0), Some(2.0));
        // The next metric of the same look.
        assert_eq!(add(15, 38.0), Some(2.0));
        // It was started anew.
        assert_eq!(add(25, 5.0), Some(0.5));
        // Nobody asked for a long time.
        assert_eq!(add(500, 5.0), None);
    }

    #[test]
    fn workers_that_are_gone_are_forgotten() {
        let (mut samples, begin) = (Samples::default(), Instant::now());
        samples.add("a", sample(begin, 0, 0.0));
        samples.add("b", sample(begin, 300, 0.0));
        assert_eq!(samples.0.len(), 1);
    }
}
