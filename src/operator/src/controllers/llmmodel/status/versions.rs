//! The history.

use api::llmmodel::{CanaryStatus, PerplexityChange, VersionState, VersionStatus, WeightsFacts};

use crate::controllers::llmmodel::{dereference::Observed, version::Version};

/// Most versions that the status may list.
const MAX: usize = 128;

/// The versions in the history, newest first.
pub fn list(
    observed: &Observed,
    current: Option<&str>,
    wanted: Option<&str>,
    canary: Option<&CanaryStatus>,
) -> Vec<VersionStatus> {
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
                _ if canary_step.is_some() => VersionState::Canary,
                name if Some(name) == wanted => VersionState::Preparing,
                _ => VersionState::Retired,
            };
            let trouble = version.trouble();
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
                evaluation: Vec::new(),
                served_seconds: None,
            }
        })
        .collect()
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
