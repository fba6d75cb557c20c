//! The history.

use api::LlmModel;
use api::llmmodel::{CanaryStatus, PerplexityChange, VersionState, VersionStatus, WeightsFacts};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::Facts;
use crate::controllers::llmmodel::{
    plan::{Course, Target},
    version::Version,
};

/// Most versions that the status may list.
const MAX: usize = 128;

/// The versions in the history, newest first.
pub fn list(facts: &Facts<'_>, current: Option<&str>, canary: Option<&CanaryStatus>, now: &Time) -> Vec<VersionStatus> {
    let Facts {
        observed, plan, suites, ..
    } = facts;
    let wanted = plan.target.candidate().map(|version| version.name.as_str());
    let is_evaluating = matches!(plan.target, Target::Evaluating(..));
    let is_shadowing = matches!(plan.trial, Some(Course::Shadowing(..)));
    let serving = current.and_then(|name| observed.version(name)?.evaluation);
    let mut revisions: Vec<_> = observed.revisions.iter().collect();
    revisions.sort_by_key(|revision| std::cmp::Reverse(revision.revision));
    let known = revisions.into_iter().filter_map(|revision| {
        let version = Version::from_revision(revision)?;
        Some((revision.metadata.creation_timestamp.clone(), version))
    });
    known
        .take(MAX)
        .map(|(created, version)| {
            let canary_step = canary.filter(|it| it.version == version.name).map(|it| it.step);
            let state = match version.name.as_str() {
                _ if version.rejection.is_some() => VersionState::Rejected,
                name if Some(name) == current => VersionState::Serving,
                _ if version.stopped.is_some() => VersionState::Rejected,
                name if plan.refused.as_deref() == Some(name) => VersionState::Rejected,
                name if is_evaluating && Some(name) == wanted => VersionState::Evaluating,
                _ if canary_step.is_some() => VersionState::Canary,
                name if is_shadowing && Some(name) == wanted => VersionState::Shadowing,
                name if Some(name) == wanted => VersionState::Preparing,
                _ => VersionState::Retired,
            };
            let refused = match &plan.target {
                Target::Refused(trouble) if plan.refused.as_ref() == Some(&version.name) => Some(trouble.clone()),
                _ => None,
            };
            let trouble = version.trouble().or(refused);
            let compared = serving.as_ref().filter(|_| Some(version.name.as_str()) != current);
            let evaluation = version.evaluation.as_ref();
            let (serving_since, served_seconds) = served(facts.model, &version.name, current, now);
            VersionStatus {
                name: version.name.clone(),
                digest: Some(version.report.digest.clone()),
                created,
                state,
                reason: trouble.as_ref().map(|trouble| trouble.reason.clone()),
                message: trouble.map(|trouble| trouble.message),
                canary_step,
                weights: Some(weights(&version)),
                perplexity: perplexity(&version),
                evaluation: evaluation.map_or_else(Vec::new, |it| it.scores(suites, compared)),
                memory: memory(facts, &version.name),
                serving_since,
                served_seconds,
            }
        })
        .collect()
}

/// Since when a version serves, and how long it did before.
fn served(model: &LlmModel, name: &str, current: Option<&str>, now: &Time) -> (Option<Time>, Option<i64>) {
    let before = model.status.iter().flat_map(|status| &status.versions);
    let before = before.into_iter().find(|version| version.name == name);
    let since = before.and_then(|version| version.serving_since.clone());
    let seconds = before.and_then(|version| version.served_seconds);
    if current == Some(name) {
        return (Some(since.unwrap_or_else(|| now.clone())), seconds);
    }
    let last = since.map(|since| now.0.duration_since(since.0).as_secs().max(0));
    (None, last.map(|last| last + seconds.unwrap_or(0)).or(seconds))
}

fn memory(facts: &Facts<'_>, name: &str) -> Option<i64> {
    i64::try_from(facts.observed.growth(name)?.bytes).ok()
}

fn perplexity(version: &Version) -> Option<PerplexityChange> {
    let (compression, measured) = (version.compression.as_ref()?, version.measured()?);
    Some(PerplexityChange {
        before: measured.perplexity_before.clone(),
        after: measured.perplexity_after.clone(),
        increase: measured.increase.clone(),
        limit: compression.max_perplexity_increase.clone(),
    })
}

fn weights(version: &Version) -> WeightsFacts {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let report = &version.report;
    WeightsFacts {
        file: version.file().into(),
        bytes: number(report.bytes),
        format: report.model.format.clone(),
        architecture: report.model.architecture.clone(),
        quantization: report.model.quantization.clone(),
        parameters: number(report.model.parameters),
        context_length: number(report.model.context_length),
    }
}
