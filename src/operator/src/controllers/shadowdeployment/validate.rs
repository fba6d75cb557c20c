//! What a spec asks for, with defaults filled in, or every fault of it. Pure.

use std::time::Duration;

use api::{
    ShadowDeployment,
    names::ANNOTATION_PAUSED,
    reasons,
    shadowdeployment::{OnFail, OnPass, ShadowDeploymentSpec},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};
use serde_json::json;
use stats::{MetricPlan, Trial, TrialPlan};

use super::{Settings, metrics::Compared};
use crate::controllers::common::{canonical, duration, trouble::Trouble};

const MIN_PAIRS: u64 = 300;
const MAX_PAIRS: u64 = 5000;

/// The ShadowDeployment that children belong to.
#[derive(Clone, Debug)]
pub struct Owner {
    /// Its name.
    pub name: String,
    /// Its namespace, and that of its report.
    pub namespace: String,
    /// Its uid.
    pub uid: String,
    /// What its report carries.
    pub reference: OwnerReference,
    /// Whether nothing is to be done for it.
    pub paused: bool,
}

impl Owner {
    /// The owner's facts; `None` for an object that the API server did not fill in.
    pub fn new(shadow: &ShadowDeployment) -> Option<Self> {
        Some(Self {
            name: shadow.name_any(),
            namespace: shadow.namespace()?,
            uid: shadow.uid()?,
            reference: shadow.controller_owner_ref(&())?,
            paused: is_paused(shadow),
        })
    }
}

/// Whether nothing is to be done for a ShadowDeployment, which may be nothing but a template.
pub fn is_paused(shadow: &ShadowDeployment) -> bool {
    shadow
        .annotations()
        .get(ANNOTATION_PAUSED)
        .is_some_and(|value| value == "true")
}

/// A spec that this release can fulfil.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// As it is written.
    pub spec: ShadowDeploymentSpec,
    /// Digest of what pairs are tested by.
    pub key: String,
    /// The metrics, the primary one first.
    pub metrics: Vec<Compared>,
    /// The comparison before its first pair.
    pub trial: Trial,
    /// Probability of passing a candidate that is worse.
    pub alpha: f64,
    /// Probability of passing one that is not.
    pub power: f64,
    /// Pairs before which there is no verdict.
    pub min_pairs: u64,
    /// Pairs after which there is one.
    pub max_pairs: u64,
    /// Time after which there is one.
    pub max_duration: Option<Duration>,
    /// Tokens after which there is one.
    pub max_tokens: Option<u64>,
    /// Money after which there is one.
    pub max_money: Option<f64>,
}

impl Wanted {
    /// When time is up.
    pub fn deadline(&self, started: Option<Timestamp>) -> Option<Timestamp> {
        started?.checked_add(self.max_duration?).ok()
    }
}

/// What the spec asks for.
///
/// # Errors
/// One trouble that names every field this release cannot fulfil, or every one that makes no sense.
pub fn validate(shadow: &ShadowDeployment, settings: &Settings) -> Result<Wanted, Trouble> {
    let spec = &shadow.spec;
    if !settings.collects {
        let message = "this installation keeps no pairs: the operator runs without --gateway-token-file, which the chart \
                       sets where there is a database";
        return Err(Trouble::new(reasons::NOT_SUPPORTED, message));
    }
    build(spec).map_err(|faults| Trouble::new(reasons::INVALID_SPEC, faults.join("; ")))
}

fn build(spec: &ShadowDeploymentSpec) -> Result<Wanted, Vec<String>> {
    let mut faults = Vec::new();
    let compare = &spec.compare;
    let mut metrics = Vec::new();
    for asked in std::iter::once(&compare.primary).chain(&compare.guardrails) {
        match Compared::new(asked) {
            Ok(compared) => metrics.push(compared),
            Err(fault) => faults.push(format!("spec.compare: {fault}")),
        }
    }
    let mut number = |field: &str, text: &str| {
        let number = text.parse::<f64>().ok().filter(|it| it.is_finite());
        if number.is_none() {
            faults.push(format!("spec.{field} {text:?} is no number"));
        }
        number.unwrap_or(0.5)
    };
    let alpha = number("compare.alpha", &compare.alpha);
    let power = number("compare.power", &compare.power);
    let budget = spec.limits.as_ref().and_then(|limits| limits.budget.as_ref());
    let money = budget.and_then(|budget| budget.money.as_deref());
    let max_money = money.map(|money| number("limits.budget.money", money));
    let stop = spec.stop.as_ref();
    let text = stop.and_then(|stop| stop.max_duration.as_deref());
    let max_duration = text.and_then(duration::parse);
    if let (Some(text), None) = (text, max_duration.filter(|it| !it.is_zero())) {
        faults.push(format!(
            "spec.stop.maxDuration {text:?} is no time that a comparison may take"
        ));
    }
    let pairs = |count: Option<i32>, default| count.map_or(default, |count| u64::from(count.unsigned_abs()));
    let min_pairs = pairs(stop.map(|stop| stop.min_pairs), MIN_PAIRS);
    let max_pairs = pairs(stop.map(|stop| stop.max_pairs), MAX_PAIRS);
    let futility = stop.is_none_or(|stop| stop.futility);
    let mut plans: Vec<MetricPlan> = metrics.iter().flat_map(|compared| compared.plans.clone()).collect();
    if !faults.is_empty() || plans.is_empty() {
        return Err(faults);
    }
    let plan = TrialPlan {
        primary: plans.remove(0),
        guardrails: plans,
        alpha,
        power,
        min_pairs,
        max_pairs,
        futility,
    };
    let trial = Trial::new(plan).map_err(|error| vec![format!("spec.compare, spec.stop: {error}")])?;
    Ok(Wanted {
        key: canonical::digest(&json!([compare, min_pairs, max_pairs, futility]), 16),
        spec: spec.clone(),
        metrics,
        trial,
        alpha,
        power,
        min_pairs,
        max_pairs,
        max_duration,
        max_tokens: budget.and_then(|budget| budget.tokens).map(i64::unsigned_abs),
        max_money,
    })
}

/// Whether a version waits for the verdict before it gets traffic.
pub fn holds(spec: &ShadowDeploymentSpec) -> bool {
    spec.on_pass != OnPass::None
}

/// Whether a version is rejected by the verdict Reject.
pub fn rejects(spec: &ShadowDeploymentSpec) -> bool {
    spec.on_fail == OnFail::Reject
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::controllers::shadowdeployment::testing::{settings, shadow};

    fn refused(fields: Value) -> Trouble {
        validate(&shadow(fields), &settings()).unwrap_err()
    }

    #[test]
    fn defaults_are_filled_in() {
        let wanted = validate(&shadow(json!({})), &settings()).unwrap();
        assert_eq!((wanted.min_pairs, wanted.max_pairs), (300, 5000));
        assert_eq!((wanted.alpha, wanted.power), (0.05, 0.8));
        assert_eq!(wanted.deadline(Some(Timestamp::UNIX_EPOCH)), None);
    }

    #[test]
    fn faults_name_their_field_all_at_once() {
        let trouble = refused(json!({
            "compare": {"primary": {"metric": "RougeL", "margin": "x%"}, "alpha": "a"},
            "stop": {"minPairs": 30, "maxPairs": 40, "maxDuration": "0s"},
            "limits": {"budget": {"money": "much"}},
        }));
        assert_eq!(trouble.reason, reasons::INVALID_SPEC);
        for field in [
            "margin \"x%\"",
            "spec.compare.alpha",
            "spec.stop.maxDuration",
            "spec.limits.budget.money",
        ] {
            assert!(trouble.message.contains(field), "{}", trouble.message);
        }
    }

    #[test]
    fn margins_that_cannot_be_are_refused() {
        let trouble = refused(json!({"compare": {"primary": {"metric": "RougeL", "margin": "100%"}}}));
        assert!(trouble.message.contains("margin"), "{}", trouble.message);
    }

    #[test]
    fn what_is_not_there_is_refused_by_name() {
        let nobody = Settings { collects: false };
        let trouble = validate(&shadow(json!({})), &nobody).unwrap_err();
        assert_eq!(trouble.reason, reasons::NOT_SUPPORTED);
        assert!(trouble.message.contains("--gateway-token-file"), "{}", trouble.message);
    }

    #[test]
    fn another_test_begins_anew_and_another_limit_does_not() {
        let key = |fields| validate(&shadow(fields), &settings()).unwrap().key;
        let stop = json!({"minPairs": 30, "maxPairs": 50});
        assert_ne!(key(json!({})), key(json!({"stop": stop})));
        assert_eq!(key(json!({})), key(json!({"limits": {"budget": {"tokens": 5}}})));
    }
}
