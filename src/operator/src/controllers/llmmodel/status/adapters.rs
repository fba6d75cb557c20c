//! What became of the adapters beside a model.

use std::collections::BTreeSet;

use api::{
    conditions::{Finding, types},
    llmmodel::{AdapterState, AdapterStatus},
    reasons,
};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use protocol::{AdapterReport, AdapterState as Told, WantedAdapter};

use super::Facts;
use crate::controllers::llmmodel::{adapters::is_ready, dereference::version_of, follow};

/// Longest message of one adapter.
const MESSAGE_MAX: usize = 1024;

/// Each adapter of the spec, in order of names, as the ready pods of the version `current` have it.
pub fn list(facts: &Facts<'_>, current: Option<&str>) -> Vec<AdapterStatus> {
    let observed = facts.observed;
    let ready = |pod: &&Pod| current.is_some() && version_of(*pod) == current && is_ready(pod);
    let pods: Vec<_> = observed.pods.iter().filter(ready).map(ResourceExt::name_any).collect();
    // Pods that are about to be replaced may lack what an adapter needs: they do not tell of failures.
    let latest = current.map(|version| observed.pods_of(version)).unwrap_or_default();
    let latest: BTreeSet<_> = latest.into_iter().map(ResourceExt::name_any).collect();
    let wanted = observed.wanted_adapters(&facts.owner.name).unwrap_or_default();
    let status = |name: &String| {
        let wanted = wanted.adapters.iter().find(|it| it.name == *name);
        let reports: Vec<_> = pods.iter().map(|pod| report(facts, pod, wanted)).collect();
        let count = |state: Told| reports.iter().flatten().filter(|it| it.state == state).count();
        let ready = count(Told::Ready);
        let tells = pods.iter().zip(&reports).filter(|(pod, _)| latest.contains(*pod));
        let failed = tells
            .filter_map(|(_, report)| *report)
            .find(|it| it.state == Told::Failed);
        let digest = wanted.and_then(|it| it.digest.clone());
        let state = match failed {
            Some(_) => AdapterState::Failed,
            None if ready > 0 && ready == pods.len() => AdapterState::Ready,
            None if pods.is_empty() && was_ready(facts, name, digest.as_ref()) => AdapterState::Ready,
            None => AdapterState::Loading,
        };
        // Without an output there is nothing that a pod could tell of.
        let missed = follow::missed(&facts.model.spec, name, &observed.followed);
        let state = match &missed {
            Some(trouble) if wanted.is_none() => match trouble.reason.as_str() {
                reasons::WAITING_FOR_FINE_TUNE_JOB => AdapterState::Loading,
                _ => AdapterState::Failed,
            },
            _ => state,
        };
        let message = failed.and_then(|it| it.message.as_deref());
        let message = message.or(missed.as_ref().map(|trouble| trouble.message.as_str()));
        AdapterStatus {
            name: name.clone(),
            digest,
            state,
            ready_pods: i32::try_from(ready).unwrap_or(i32::MAX),
            message: message.map(shortened),
        }
    };
    let mut list: Vec<_> = facts.model.spec.adapters.iter().map(|it| status(&it.name)).collect();
    list.sort_by(|a, b| a.name.cmp(&b.name));
    list
}

/// Whether all adapters can be asked for; nothing where the spec has none.
pub fn finding(list: &[AdapterStatus]) -> Option<Finding> {
    let finding = |status: bool, reason: &str, message: String| {
        Some(Finding::new(types::ADAPTERS_READY, status, reason, message))
    };
    let failed: Vec<_> = list.iter().filter(|it| it.state == AdapterState::Failed).collect();
    let loading = list.iter().filter(|it| it.state == AdapterState::Loading);
    let loading: Vec<_> = loading.map(|it| it.name.as_str()).collect();
    match (list, failed.as_slice(), loading.as_slice()) {
        ([], ..) => None,
        (_, [], []) => finding(true, reasons::ADAPTERS_LOADED, "all adapters are loaded".into()),
        (_, [], loading) => {
            let message = format!("adapters on their way: {}", loading.join(", "));
            finding(false, reasons::ADAPTERS_LOADING, message)
        }
        (_, failed, _) => {
            let tell =
                |it: &&AdapterStatus| format!("adapter {}: {}", it.name, it.message.as_deref().unwrap_or_default());
            let message = failed.iter().map(tell).collect::<Vec<_>>().join("; ");
            finding(false, reasons::ADAPTER_FAILED, message)
        }
    }
}

/// What a pod says of an adapter as it is wanted now.
fn report<'a>(facts: &Facts<'a>, pod: &str, wanted: Option<&WantedAdapter>) -> Option<&'a AdapterReport> {
    let wanted = wanted?;
    let reports = &facts.observed.adapters.get(pod)?.adapters;
    reports
        .iter()
        .find(|it| (&it.name, &it.key) == (&wanted.name, &wanted.key))
}

/// Whether an adapter was ready before the last pod stopped, and is the same since.
fn was_ready(facts: &Facts<'_>, name: &str, digest: Option<&String>) -> bool {
    let before = facts.model.status.iter().flat_map(|status| &status.adapters);
    let mut before = before.filter(|it| it.name == name && it.state == AdapterState::Ready);
    digest.is_some() && before.any(|it| it.digest.as_ref() == digest)
}

fn shortened(message: &str) -> String {
    match message.len() > MESSAGE_MAX {
        true => format!("{}…", &message[..message.floor_char_boundary(MESSAGE_MAX)]),
        false => message.to_owned(),
    }
}

#[cfg(test)]
mod tests;
