//! The report: everything that a verdict rests on, in a ConfigMap that nobody can change. Pure.

use std::collections::BTreeMap;

use api::names::{self, COMPONENT_REPORT, LABEL_COMPONENT};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ObjectMeta;
use serde_json::json;
use shadow::{
    canonical,
    report::{
        self, Arm as ReportArm, Content, Fault, Interval, Limits, MetricReport, Number, Point, Report, Role, Window,
    },
};

use super::{
    arms::Arm,
    decide::Outcome,
    evidence::{Evidence, Found},
    validate::{Owner, Wanted},
};

/// Hex digits of its digest in the name of a report.
const DIGITS: usize = 10;
/// Characters of a message that a report takes.
const MESSAGE: usize = 250;

/// What a report is made of.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Whose it is.
    pub owner: &'a Owner,
    /// What was asked for.
    pub wanted: &'a Wanted,
    /// What was found.
    pub evidence: &'a Evidence,
    /// What follows.
    pub outcome: &'a Outcome,
    /// Who answered, and when that began.
    pub arms: (&'a Arm, &'a Arm),
    /// When it began, where no pair tells.
    pub started: &'a str,
}

/// The ConfigMap with the report; its name follows from what is in it.
///
/// # Errors
/// If the report contradicts itself, which would be a defect.
pub fn build(source: &Source<'_>) -> Result<ConfigMap, Fault> {
    let owner = source.owner;
    let text = report(source).json()?;
    let digest: String = canonical::digest(&text)
        .chars()
        .skip("sha256:".len())
        .take(DIGITS)
        .collect();
    let mut labels = names::shadow_labels(&owner.name);
    labels.insert(LABEL_COMPONENT.into(), COMPONENT_REPORT.into());
    Ok(ConfigMap {
        metadata: ObjectMeta {
            name: Some(names::shadow_report(&owner.name, &digest)),
            namespace: Some(owner.namespace.clone()),
            labels: Some(labels),
            owner_references: Some(vec![owner.reference.clone()]),
            ..ObjectMeta::default()
        },
        immutable: Some(true),
        data: Some(BTreeMap::from([(names::REPORT_KEY.to_owned(), text)])),
        binary_data: None,
    })
}

fn report(source: &Source<'_>) -> Report {
    let Source {
        owner,
        wanted,
        evidence,
        outcome,
        arms: (primary, candidate),
        started,
    } = *source;
    let (from, to) = evidence
        .window
        .clone()
        .unwrap_or_else(|| (started.into(), started.into()));
    let budget = wanted.spec.limits.as_ref().and_then(|limits| limits.budget.as_ref());
    Report {
        version: report::VERSION.into(),
        namespace: owner.namespace.clone(),
        name: owner.name.clone(),
        uid: owner.uid.clone(),
        spec_digest: canonical::digest(&canonical::json(&json!(wanted.spec))),
        primary: arm(primary),
        candidate: arm(candidate),
        window: Window { from, to },
        pairs: evidence.pairs,
        clusters: evidence.clusters,
        dropped: evidence
            .dropped
            .iter()
            .map(|(reason, count)| (camel(reason), *count))
            .collect(),
        alpha: number(wanted.alpha),
        power: number(wanted.power),
        metrics: evidence.metrics.iter().enumerate().map(metric).collect(),
        verdict: outcome.verdict,
        reason: outcome.reason.clone(),
        message: outcome.message.chars().take(MESSAGE).collect(),
        limits: Limits {
            min_pairs: wanted.min_pairs,
            max_pairs: wanted.max_pairs,
            tokens: evidence.tokens,
            max_tokens: wanted.max_tokens,
            money: evidence.cost.clone(),
            max_money: budget.and_then(|budget| budget.money.clone()),
        },
        judge: None,
        content: Content::Withheld,
    }
}

fn arm(arm: &Arm) -> ReportArm {
    ReportArm {
        model: arm.model.clone(),
        version: arm.version.clone(),
        weights: arm.weights.clone(),
        image: None,
    }
}

fn metric((index, found): (usize, &Found)) -> MetricReport {
    let course = found.course.iter().map(|(pairs, difference, interval)| Point {
        pairs: *pairs,
        difference: number(*difference),
        low: number(interval.low),
        high: number(interval.high),
    });
    MetricReport {
        metric: found.metric,
        role: if index == 0 { Role::Primary } else { Role::Guardrail },
        pairs: found.pairs,
        primary: found.primary.and_then(Number::new),
        candidate: found.candidate.and_then(Number::new),
        difference: found.difference.and_then(Number::new),
        interval: found.interval.and_then(|it| {
            Some(Interval {
                low: Number::new(it.low)?,
                high: Number::new(it.high)?,
            })
        }),
        margin: number(found.margin),
        verdict: found.verdict,
        baseline: found.baseline.and_then(Number::new),
        detectable: found.detectable.and_then(Number::new),
        course: course.collect(),
        distribution: None,
    }
}

/// A number that is finite, as those of statistics are once there are pairs.
fn number(value: f64) -> Number {
    Number::new(value).unwrap_or_default()
}

/// `not_ready` is `NotReady`.
fn camel(reason: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().into_iter().flat_map(char::to_uppercase);
        first.chain(letters.clone()).collect::<String>()
    };
    reason.split('_').map(word).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn reasons_are_in_camel_case() {
        assert_eq!(super::camel("queue"), "Queue");
        assert_eq!(super::camel("not_ready"), "NotReady");
    }
}
