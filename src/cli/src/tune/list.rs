//! `kubectl atelier tune list`.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use api::{FineTuneJob, finetunejob::Phase};
use k8s_openapi::jiff::Timestamp;
use kube::{ResourceExt as _, api::ListParams};

use super::text::loss;
use crate::{
    cluster::{Cluster, told},
    text::clean,
    versions::{aligned, duration},
};

const HEAD: [&str; 9] = [
    "JOB",
    "METHOD",
    "BASE",
    "PHASE",
    "STEP",
    "LOSS",
    "VALIDATION",
    "LEFT",
    "OUTPUT",
];
const NONE: &str = "-";

/// Prints the trainings of a namespace.
///
/// # Errors
/// When they cannot be listed, or nobody reads it.
pub async fn list(cluster: &Cluster, namespace: &str) -> Result<()> {
    let found = cluster.trainings(namespace).list(&ListParams::default()).await;
    let found = found
        .map_err(told)
        .with_context(|| format!("failed to list the FineTuneJobs of namespace {namespace}"))?;
    let text = match found.items.as_slice() {
        [] => format!("there are no FineTuneJobs in namespace {namespace}\n"),
        jobs => table(jobs, Timestamp::now()),
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("failed to write to standard output")
}

fn table(jobs: &[FineTuneJob], now: Timestamp) -> String {
    let mut rows = vec![HEAD.map(String::from)];
    rows.extend(jobs.iter().map(|job| row(job, now)));
    aligned(&rows)
}

fn row(job: &FineTuneJob, now: Timestamp) -> [String; 9] {
    let status = job.status.clone().unwrap_or_default();
    let or_none = |text: Option<String>| text.unwrap_or_else(|| NONE.into());
    let step = match (status.step, status.total_steps) {
        (Some(step), Some(total)) => Some(format!("{step}/{total}")),
        (step, _) => step.map(|step| step.to_string()),
    };
    let phase = status.phase.unwrap_or(Phase::Pending);
    let left = status.eta.as_ref().map(|eta| eta.0.as_second() - now.as_second());
    let left = left.filter(|left| *left > 0 && phase == Phase::Training);
    let output = status.output.as_ref();
    [
        job.name_any(),
        format!("{:?}", job.spec.method),
        or_none(job.spec.base.as_ref().map(|base| base.name.clone())),
        format!("{phase:?}"),
        or_none(step),
        or_none(status.loss.as_deref().map(loss)),
        or_none(status.eval_loss.as_deref().map(loss)),
        or_none(left.map(duration)),
        or_none(output.map(|output| clean(&output.digest).chars().take(19).collect())),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn job(name: &str, spec: Value, status: Value) -> FineTuneJob {
        serde_json::from_value(json!({
            "apiVersion": "atelier.dev/v1alpha1", "kind": "FineTuneJob",
            "metadata": {"name": name, "namespace": "n"}, "spec": spec, "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn trainings_are_a_table() {
        let dataset = json!({"format": "Text", "sources": []});
        let jobs = [
            job(
                "tone",
                json!({"base": {"name": "small"}, "method": "LoRA", "dataset": dataset}),
                json!({"phase": "Training", "step": 20, "totalSteps": 100, "loss": "2.5", "eta": "2026-11-26T10:01:05Z"}),
            ),
            job(
                "nano",
                json!({"method": "Pretrain", "objective": "CausalLM", "dataset": dataset}),
                json!({"phase": "Succeeded", "evalLoss": "1.75", "output": {
                    "digest": "sha256:0123456789abcdef01", "uri": "u", "kind": "Weights",
                }}),
            ),
        ];
        assert_eq!(
            table(&jobs, "2026-11-26T10:00:00Z".parse().unwrap()),
            "JOB   METHOD    BASE   PHASE      STEP    LOSS    VALIDATION  LEFT  OUTPUT\n\
             tone  LoRA      small  Training   20/100  2.5000  -           1m5s  -\n\
             nano  Pretrain  -      Succeeded  -       -       1.7500      -     sha256:0123456789ab\n"
        );
    }
}
