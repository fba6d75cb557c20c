//! From a machine without a cluster to the first token, with everything built; and from
//! `kubectl apply` to Ready, and from zero replicas to the first token.

use std::time::Instant;

use anyhow::Result;

use super::report::Row;
use super::wake;
use crate::cluster::Cluster;
use crate::home::Home;
use crate::target::Target;
use crate::ui::Stage;
use crate::{deploy, images, quickstart, up};

const RUNS: usize = 3;

/// Takes the local cluster down, brings it up again and leaves it running.
pub fn run(home: &Home) -> Result<Vec<Row>> {
    let stage = Stage::begin("preparation");
    images::ensure(home, &stage)?;
    let cluster = Cluster::new(home)?;
    if cluster.was_started() {
        cluster.down(home, &stage)?;
    }
    stage.done("all built, no cluster");

    let target = Target::new(home, None)?;
    let started = Instant::now();
    let images = deploy::Images::local(&up::local(home, images::ensure)?)?;
    up::chart(home, &target, &images, false)?;
    let stage = Stage::begin("model");
    let model = quickstart::ensure(home, &stage, &target, &images)?;
    let before_asking = started.elapsed();
    let mut first_tokens = vec![quickstart::ask(&target, &model)?.first_token.as_secs_f64()];
    let up_seconds = before_asking.as_secs_f64() + first_tokens[0];

    let mut ready = Vec::new();
    for run in 1..=RUNS {
        stage.status(&format!("apply to Ready, run {run} of {RUNS}"));
        quickstart::remove(home, &target, &images)?;
        let started = Instant::now();
        quickstart::ensure(home, &stage, &target, &images)?;
        ready.push(started.elapsed().as_secs_f64());
        first_tokens.push(quickstart::ask(&target, &model)?.first_token.as_secs_f64());
    }
    let wake = wake::run(&stage, &target, &model)?;
    stage.done("measured");
    Ok(vec![
        Row::new(
            "up_to_first_token",
            "s",
            &[up_seconds],
            "everything built, no cluster; goal <= 60",
        ),
        Row::new(
            "apply_to_ready",
            "s",
            &ready,
            "the quickstart, images present; goal <= 15",
        ),
        Row::new("first_token", "s", &first_tokens, "through the gateway"),
        Row::new(
            "wake_seconds",
            "s",
            &wake,
            "from a request to its first token, with no pod before; goal < 3",
        ),
    ])
}
