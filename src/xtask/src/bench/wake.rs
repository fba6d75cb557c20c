//! A model that sleeps because nobody asks, and the first token for who wakes it.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::json;

use crate::process;
use crate::quickstart::{self, Model};
use crate::target::Target;
use crate::ui::Stage;

const RUNS: usize = 5;
/// The shortest that the API takes.
const IDLE_SECONDS: u32 = 10;
/// Longest wait for the last pod to go.
const PATIENCE: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(500);

/// Seconds from a request to its first token, each time from no pod at all.
pub fn run(stage: &Stage, target: &Target, model: &Model) -> Result<Vec<f64>> {
    let sleeps = json!({"spec": {"autoscaling": {
        "maxReplicas": 1, "scaleToZero": {"idleSeconds": IDLE_SECONDS, "holdSeconds": 120},
    }}});
    let mut patch = target.kubectl();
    patch.args(["patch", "llmmodel", &model.name, "--namespace", &model.namespace]);
    process::read(patch.args(["--type", "merge", "--patch", &sleeps.to_string()]))?;
    let mut seconds = Vec::new();
    for run in 1..=RUNS {
        stage.status(&format!("wake from zero, run {run} of {RUNS}"));
        fall_asleep(target, model)?;
        seconds.push(quickstart::ask(target, model)?.first_token.as_secs_f64());
    }
    Ok(seconds)
}

/// Waits until no pod of the model is left.
fn fall_asleep(target: &Target, model: &Model) -> Result<()> {
    let begun = Instant::now();
    loop {
        let mut get = target.kubectl();
        get.args(["get", "pods", "--namespace", &model.namespace, "--output", "name"]);
        get.args([
            "--selector",
            &format!("atelier.dev/model={},app.kubernetes.io/component=serve", model.name),
        ]);
        if process::read(&mut get)?.trim().is_empty() {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            bail!("the model {} does not fall asleep", model.address());
        }
        thread::sleep(POLL);
    }
}
