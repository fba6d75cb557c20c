//! The operator while nothing changes: what it holds in memory, and what it writes.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use super::report::{Row, resident};
use crate::home::Home;
use crate::process;
use crate::target::Target;
use crate::ui::Stage;

/// How long the cluster is watched.
const WINDOW: Duration = Duration::from_secs(60);
/// Left alone before that, so that what `up` set off has settled.
const SETTLE: Duration = Duration::from_secs(20);
/// Heartbeats and questions about rights, which are no change of anything.
const HEARTBEATS: [&str; 5] = [
    "leases",
    "nodes",
    "tokenreviews",
    "subjectaccessreviews",
    "serviceaccounts",
];

/// Measures on the local cluster, which must run with at least one model.
pub fn run(home: &Home, stage: &Stage) -> Result<Vec<Row>> {
    let target = Target::new(home, None)?;
    target.require()?;
    stage.status("letting the cluster settle");
    thread::sleep(SETTLE);
    let before = writes(&target)?;
    stage.status(&format!("watching for {} s", WINDOW.as_secs()));
    thread::sleep(WINDOW);
    let grown = grown(&before, &writes(&target)?);
    // The sum of nothing is minus zero.
    let total = grown.iter().fold(0.0, |total, (_, count)| total + count);
    let by_resource: Vec<String> = grown
        .iter()
        .map(|(resource, count)| format!("{resource}: {count}"))
        .collect();
    let memory = resident(operator_pid()?)? as f64;
    Ok(vec![
        Row::new(
            "idle_writes",
            "writes",
            &[total],
            format!(
                "of anybody in 60 s, heartbeats aside; goal 0 {}",
                by_resource.join(", ")
            ),
        ),
        Row::new("operator_rss", "bytes", &[memory], "idle; goal < 40 MB"),
    ])
}

/// Writes that the apiserver has seen so far, by resource.
fn writes(target: &Target) -> Result<BTreeMap<String, f64>> {
    let metrics = process::read(target.kubectl().args(["get", "--raw", "/metrics"]))?;
    Ok(count_writes(&metrics))
}

fn count_writes(metrics: &str) -> BTreeMap<String, f64> {
    let mut counts = BTreeMap::new();
    for line in metrics.lines() {
        let Some((labels, value)) = line
            .strip_prefix("apiserver_request_total{")
            .and_then(|rest| rest.split_once("} "))
        else {
            continue;
        };
        let label = |name: &str| {
            let (_, rest) = labels.split_once(&format!("{name}=\""))?;
            rest.split('"').next()
        };
        let wrote = matches!(
            label("verb"),
            Some("POST" | "PUT" | "PATCH" | "APPLY" | "DELETE" | "DELETECOLLECTION")
        );
        let resource = label("resource").unwrap_or_default();
        if wrote && !HEARTBEATS.contains(&resource) {
            *counts.entry(resource.to_owned()).or_insert(0.0) += value.trim().parse::<f64>().unwrap_or_default();
        }
    }
    counts
}

/// Resources that were written to between two counts.
fn grown(before: &BTreeMap<String, f64>, after: &BTreeMap<String, f64>) -> Vec<(String, f64)> {
    let difference = |(resource, count): (&String, &f64)| {
        (
            resource.clone(),
            count - before.get(resource).copied().unwrap_or_default(),
        )
    };
    after.iter().map(difference).filter(|(_, count)| *count > 0.0).collect()
}

/// The operator's process. The cluster's processes are visible from outside of it.
fn operator_pid() -> Result<u32> {
    let entries = std::fs::read_dir("/proc").context("failed to list processes")?;
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .find(|pid: &u32| runs(*pid, "atelier-operator"))
        .context("failed to find the operator's process")
}

fn runs(pid: u32, program: &str) -> bool {
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let first = command.split(|byte| *byte == 0).next().unwrap_or_default();
    Path::new(&*String::from_utf8_lossy(first))
        .file_name()
        .is_some_and(|name| name == program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_writes_count_and_heartbeats_do_not() {
        let before = r#"
apiserver_request_total{code="200",group="apps",resource="deployments",verb="PATCH"} 3
apiserver_request_total{code="200",group="",resource="pods",verb="GET"} 9
apiserver_request_total{code="200",group="coordination.k8s.io",resource="leases",verb="PUT"} 5
"#;
        let after = r#"
apiserver_request_total{code="200",group="apps",resource="deployments",verb="PATCH"} 4
apiserver_request_total{code="201",group="",resource="events",verb="POST"} 1
apiserver_request_total{code="200",group="",resource="pods",verb="GET"} 12
apiserver_request_total{code="200",group="coordination.k8s.io",resource="leases",verb="PUT"} 8
"#;
        let grown = grown(&count_writes(before), &count_writes(after));
        assert_eq!(grown, [("deployments".to_owned(), 1.0), ("events".to_owned(), 1.0)]);
    }
}
