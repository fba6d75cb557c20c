//! `kubectl atelier shadow list`.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use api::ShadowDeployment;
use kube::{ResourceExt as _, api::ListParams};

use super::progress::named;
use crate::{
    cluster::{Cluster, told},
    text::{clean, print},
    versions::aligned,
};

const HEAD: [&str; 6] = ["SHADOW", "MODEL", "CANDIDATE", "PAIRS", "VERDICT", "REASON"];
const NONE: &str = "-";

/// Prints the comparisons of a namespace.
///
/// # Errors
/// When they cannot be listed, or nobody reads it.
pub async fn list(cluster: &Cluster, namespace: &str) -> Result<ExitCode> {
    let found = cluster.shadows(namespace).list(&ListParams::default()).await;
    let found = found
        .map_err(told)
        .with_context(|| format!("failed to list the ShadowDeployments of namespace {namespace}"))?;
    let text = match found.items.as_slice() {
        [] => format!("there are no ShadowDeployments in namespace {namespace}\n"),
        shadows => {
            let mut rows = vec![HEAD.map(String::from)];
            rows.extend(shadows.iter().map(row));
            aligned(&rows)
        }
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn row(shadow: &ShadowDeployment) -> [String; 6] {
    let status = shadow.status.clone().unwrap_or_default();
    let candidate = &shadow.spec.candidate;
    let or_none = |text: Option<String>| text.unwrap_or_else(|| NONE.into());
    [
        shadow.name_any(),
        shadow.spec.model.name.clone(),
        or_none(candidate.version.clone().or_else(|| candidate.model.clone())),
        or_none(status.pairs.map(|pairs| pairs.to_string())),
        or_none(status.verdict.map(named)),
        or_none(status.reason.map(|reason| clean(&reason))),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_comparison_is_a_row() {
        let shadow: ShadowDeployment = serde_json::from_value(json!({
            "apiVersion": "atelier.dev/v1alpha1", "kind": "ShadowDeployment",
            "metadata": {"name": "s", "namespace": "n"},
            "spec": {
                "model": {"name": "m"}, "candidate": {"model": "other"}, "compare": {"primary": {"metric": "Errors"}},
            },
            "status": {"pairs": 300, "verdict": "Reject", "reason": "Worse"},
        }))
        .unwrap();
        assert_eq!(row(&shadow), ["s", "m", "other", "300", "Reject", "Worse"]);
    }
}
