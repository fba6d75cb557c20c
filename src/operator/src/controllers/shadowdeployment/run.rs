//! A comparison in memory: pairs go in, evidence comes out. It is rebuilt from pairs alone, and comes to the same.

use std::collections::{BTreeMap, HashSet};

use api::shadowdeployment::MetricVerdict;
use jiff::Timestamp;
use protocol::shadows::{Pair, Pairs};
use stats::{Decision, End, Interval, MetricResult, Trial, clean_pairs};

use super::{
    evidence::{Evidence, Found},
    metrics::Compared,
    validate::Wanted,
};

/// A point of a course is kept when there are so many times the pairs of the one before.
const COURSE: f64 = 1.05;
/// What a pair that no statistic can take is counted as.
const UNUSABLE: &str = "unusable";

/// A comparison while pairs come in.
#[derive(Clone, Debug)]
pub struct Run {
    /// Digest of what it was begun with: another plan begins another one.
    pub key: String,
    /// The number of the last pair.
    pub after: i64,
    compared: Vec<Compared>,
    trial: Trial,
    alpha: f64,
    power: f64,
    min_pairs: u64,
    max_pairs: u64,
    /// How alike two answers of the serving model were, by metric: the sum, and of how many.
    baselines: Vec<(f64, u64)>,
    clusters: HashSet<u64>,
    window: Option<(String, String)>,
    unusable: u64,
    dropped: BTreeMap<String, u64>,
    tokens: u64,
    cost: Option<String>,
    keeps_words: bool,
    courses: Vec<Vec<(u64, f64, Interval)>>,
    next_point: u64,
    decision: Option<Decision>,
}

impl Run {
    /// A comparison without pairs yet.
    pub fn new(wanted: &Wanted) -> Self {
        let metrics = wanted.metrics.len();
        Self {
            key: wanted.key.clone(),
            after: 0,
            compared: wanted.metrics.clone(),
            trial: wanted.trial.clone(),
            alpha: wanted.alpha,
            power: wanted.power,
            min_pairs: wanted.min_pairs,
            max_pairs: wanted.max_pairs,
            baselines: vec![(0.0, 0); metrics],
            clusters: HashSet::new(),
            window: None,
            unusable: 0,
            dropped: BTreeMap::new(),
            tokens: 0,
            cost: None,
            keeps_words: false,
            courses: vec![Vec::new(); metrics],
            next_point: 1,
            decision: None,
        }
    }

    /// Whether there is a verdict, after which no pair counts.
    pub fn is_decided(&self) -> bool {
        self.decision.is_some()
    }

    /// Takes a page of pairs. Those from after the deadline do not count: who reads late comes to the same.
    pub fn take(&mut self, page: &Pairs, deadline: Option<Timestamp>) {
        self.dropped.clone_from(&page.dropped);
        self.tokens = page.tokens;
        self.cost.clone_from(&page.cost);
        self.keeps_words = page.keeps_words;
        for pair in &page.pairs {
            // Once each, whatever the gateway repeats.
            if pair.seq <= self.after {
                continue;
            }
            self.after = pair.seq;
            let is_late = deadline
                .zip(pair.at.parse::<Timestamp>().ok())
                .is_some_and(|(deadline, at)| at > deadline);
            if !is_late && !self.is_decided() {
                self.push(pair);
            }
        }
    }

    fn push(&mut self, pair: &Pair) {
        let mut values = Vec::new();
        let mut alike = Vec::new();
        for (index, compared) in self.compared.iter().enumerate() {
            let score = |name: &str| pair.scores.get(name);
            let (sum, count) = self.baselines[index];
            // What is known before this pair, or the mean would depend on what it is held against.
            let so_far = (count > 0).then(|| sum / count as f64);
            let baseline = score(shadow::metric::name(compared.metric)).and_then(|score| score.baseline);
            alike.push(baseline.filter(|it| it.is_finite()));
            let value = |name: &&str| score(name).and_then(|score| compared.pair(score, so_far));
            values.extend(compared.scores.iter().map(value));
        }
        let cluster = cluster(&pair.cluster);
        if let Err(error) = self.trial.push(cluster, &values) {
            tracing::debug!(seq = pair.seq, %error, "a pair cannot be counted");
            self.unusable += 1;
            return;
        }
        for ((sum, count), alike) in self.baselines.iter_mut().zip(alike) {
            *sum += alike.unwrap_or(0.0);
            *count += u64::from(alike.is_some());
        }
        self.clusters.extend(cluster);
        match &mut self.window {
            Some((_, last)) => last.clone_from(&pair.at),
            None => self.window = Some((pair.at.clone(), pair.at.clone())),
        }
        self.decision = self.trial.verdict(None);
        if self.trial.pairs() >= self.next_point || self.is_decided() {
            self.next_point = (self.trial.pairs() as f64 * COURSE).ceil() as u64 + 1;
            let pairs = self.trial.pairs();
            for (found, course) in self.found().into_iter().zip(&mut self.courses) {
                if let (Some(difference), Some(interval)) = (found.difference, found.interval) {
                    course.push((pairs, difference, interval));
                }
            }
        }
    }

    /// What is known; `end` is what ends it from outside, if anything does.
    pub fn evidence(&self, end: Option<End>) -> Evidence {
        let mut dropped = self.dropped.clone();
        if self.unusable > 0 {
            dropped.insert(UNUSABLE.into(), self.unusable);
        }
        let mut metrics = self.found();
        for (found, course) in metrics.iter_mut().zip(&self.courses) {
            found.course.clone_from(course);
        }
        Evidence {
            pairs: self.trial.pairs(),
            clusters: self.clusters.len() as u64,
            window: self.window.clone(),
            dropped,
            tokens: self.tokens,
            cost: self.cost.clone(),
            keeps_words: self.keeps_words,
            too_small: self.too_small(&metrics),
            metrics,
            decision: self.decision.clone().or_else(|| self.trial.verdict(end)),
        }
    }

    /// What was found for each metric, without its course.
    fn found(&self) -> Vec<Found> {
        let results = self.trial.results();
        let mut sides = results.iter().zip(self.trial.monitors());
        let mut list = Vec::new();
        for (compared, (sum, count)) in self.compared.iter().zip(&self.baselines) {
            let own: Vec<_> = sides.by_ref().take(compared.plans.len()).collect();
            let Some(first) = shown(compared, &own) else {
                continue;
            };
            let verdicts: Vec<_> = own.iter().map(|(result, _)| result.verdict).collect();
            // Differences of ratios are shares of the serving model's value.
            let is_ratio = compared.plans.iter().any(|plan| plan.measure.is_ratio());
            let scale = if is_ratio { first.primary.unwrap_or(1.0) } else { 1.0 };
            let widest = |of: &dyn Fn(&(&MetricResult, &stats::Monitor)) -> Option<f64>| {
                let all: Option<Vec<f64>> = own.iter().map(of).collect();
                all?.into_iter().reduce(f64::max)
            };
            let detectable = widest(&|(result, _)| result.smallest_detectable_difference);
            let detectable_share = match compared.is_share() {
                true => detectable,
                false => widest(&|(_, monitor)| monitor.smallest_detectable_fraction(self.alpha, self.power)),
            };
            list.push(Found {
                metric: compared.metric,
                pairs: first.pairs,
                primary: first.primary,
                candidate: first.candidate,
                difference: first.difference.map(|it| it * scale),
                interval: first.interval.map(|it| Interval {
                    low: it.low * scale,
                    high: it.high * scale,
                }),
                margin: (first.limit * scale).abs(),
                verdict: both(&verdicts),
                baseline: (*count > 0).then(|| sum / *count as f64),
                detectable: detectable.map(|it| it * scale),
                detectable_share,
                course: Vec::new(),
            });
        }
        list
    }

    /// Margins that the pairs that are planned can hardly show.
    fn too_small(&self, found: &[Found]) -> Vec<String> {
        let max_pairs = self.max_pairs;
        let hint = |(compared, found): (&Compared, &Found)| {
            let (name, margin) = (shadow::metric::name(compared.metric), compared.margin * 100.0);
            if compared.is_share() && clean_pairs(self.alpha, compared.margin) > max_pairs as f64 {
                return Some(format!(
                    "{name}: even without a single difference, a margin of {margin} % needs {:.0} pairs, and \
                     spec.stop.maxPairs is {max_pairs}",
                    clean_pairs(self.alpha, compared.margin).ceil()
                ));
            }
            let now = found.detectable_share.filter(|_| found.pairs >= self.min_pairs)?;
            // It shrinks as the square root of the pairs grows.
            let share = found.pairs as f64 / self.trial.pairs().max(1) as f64;
            let in_the_end = now * (found.pairs as f64 / (max_pairs as f64 * share)).sqrt();
            (in_the_end > compared.margin && found.verdict == MetricVerdict::Open).then(|| {
                format!(
                    "{name}: with spec.stop.maxPairs {max_pairs} the smallest difference that can be shown is about \
                     {:.1} %, and the margin is {margin} %",
                    in_the_end * 100.0
                )
            })
        };
        self.compared.iter().zip(found).filter_map(hint).collect()
    }
}

/// Pairs of one cluster have one number.
fn cluster(hex: &str) -> Option<u64> {
    let digits = hex.get(..hex.len().min(16))?;
    u64::from_str_radix(digits, 16).ok()
}

/// The numbers that a metric is shown by: of several scores, the one that is nearest to being worse.
fn shown<'a>(compared: &Compared, own: &[(&'a MetricResult, &stats::Monitor)]) -> Option<&'a MetricResult> {
    let mut results = own.iter().map(|(result, _)| *result);
    let first = results.next()?;
    if !compared.has_ways() {
        return Some(first);
    }
    // One of which nothing is known keeps the metric open.
    let badness = |result: &MetricResult| {
        let high = result.interval.as_ref().map_or(f64::INFINITY, |interval| interval.high);
        (result.verdict == stats::MetricVerdict::Worse, high)
    };
    let worse = |one: &'a MetricResult, other: &'a MetricResult| match badness(other) > badness(one) {
        true => other,
        false => one,
    };
    Some(results.fold(first, worse))
}

/// What follows for a metric of which several sides are tested.
fn both(sides: &[stats::MetricVerdict]) -> MetricVerdict {
    use stats::MetricVerdict::{NotWorse, Worse};
    if sides.contains(&Worse) {
        MetricVerdict::Worse
    } else if sides.iter().all(|side| *side == NotWorse) {
        MetricVerdict::NotWorse
    } else {
        MetricVerdict::Open
    }
}
