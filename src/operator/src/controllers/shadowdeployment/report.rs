//! The report: everything that a verdict rests on, in a ConfigMap that nobody can change. Pure.

use std::collections::BTreeMap;

use api::{
    names::{self, COMPONENT_REPORT, LABEL_COMPONENT},
    shadowdeployment::Metric,
};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ObjectMeta;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    arms::Arm,
    decide::Outcome,
    evidence::{Evidence, Found},
    validate::{Owner, Wanted},
};

/// Names the form of reports.
const VERSION: &str = "atelier.dev/shadow-report/v1";
/// Hex digits of its digest in the name of a report.
const DIGITS: usize = 10;

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
pub fn build(source: &Source<'_>) -> ConfigMap {
    let owner = source.owner;
    let text = text(source);
    let mut digest = hex::encode(Sha256::digest(&text));
    digest.truncate(DIGITS);
    let mut labels = names::shadow_labels(&owner.name);
    labels.insert(LABEL_COMPONENT.into(), COMPONENT_REPORT.into());
    ConfigMap {
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
    }
}

/// The report as JSON with sorted keys.
fn text(source: &Source<'_>) -> String {
    let Source {
        owner,
        wanted,
        evidence,
        outcome,
        arms: (primary, candidate),
        started,
    } = *source;
    let (from, to) = match &evidence.window {
        Some((from, to)) => (from.as_str(), to.as_str()),
        None => (started, started),
    };
    let spec = json!(wanted.spec).to_string();
    let budget = wanted.spec.limits.as_ref().and_then(|limits| limits.budget.as_ref());
    let metrics: Vec<_> = evidence.metrics.iter().enumerate().map(metric).collect();
    let mut report = json!({
        "version": VERSION,
        "namespace": owner.namespace,
        "name": owner.name,
        "uid": owner.uid,
        "specDigest": format!("sha256:{}", hex::encode(Sha256::digest(spec))),
        "primary": arm(primary),
        "candidate": arm(candidate),
        "window": {"from": from, "to": to},
        "pairs": evidence.pairs,
        "clusters": evidence.clusters,
        "dropped": evidence.dropped.iter().map(|(reason, count)| (camel(reason), json!(count))).collect::<serde_json::Map<_, _>>(),
        "alpha": wanted.alpha,
        "power": wanted.power,
        "metrics": metrics,
        "verdict": outcome.verdict,
        "reason": outcome.reason,
        "message": outcome.message,
        "limits": {
            "minPairs": wanted.min_pairs,
            "maxPairs": wanted.max_pairs,
            "tokens": evidence.tokens,
            "maxTokens": wanted.max_tokens,
            "money": evidence.cost,
            "maxMoney": budget.and_then(|budget| budget.money.clone()),
        },
        "content": "withheld",
    });
    without_nothing(&mut report);
    report.to_string()
}

fn arm(arm: &Arm) -> Value {
    json!({"model": arm.model, "version": arm.version, "weights": arm.weights})
}

fn metric((index, found): (usize, &Found)) -> Value {
    let course = found.course.iter();
    let course: Vec<_> = course
        .map(|(pairs, difference, interval)| {
            json!({"pairs": pairs, "difference": difference, "low": interval.low, "high": interval.high})
        })
        .collect();
    json!({
        "metric": name(found.metric),
        "role": if index == 0 { "Primary" } else { "Guardrail" },
        "pairs": found.pairs,
        "primary": found.primary,
        "candidate": found.candidate,
        "difference": found.difference,
        "interval": found.interval.map(|it| json!({"low": it.low, "high": it.high})),
        "margin": found.margin,
        "verdict": found.verdict,
        "baseline": found.baseline,
        "detectable": found.detectable,
        "course": course,
    })
}

fn name(metric: Metric) -> &'static str {
    shadow::metric::name(metric)
}

/// `queue` is `Queue`.
fn camel(reason: &str) -> String {
    let mut letters = reason.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

/// Leaves out what is null.
fn without_nothing(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(without_nothing);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nothing),
        _ => {}
    }
}
