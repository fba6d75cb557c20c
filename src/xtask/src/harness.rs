//! The operator against a control plane without nodes: faults and scale. The work is done by `e2e/harness`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::home::Home;
use crate::lock::CacheLock;
use crate::toolbox::{go, postgres};
use crate::ui::Stage;
use crate::{cargo, process};

/// What CI tries of the faults.
const SHORT: [&str; 3] = ["--short", "--jobs", "32"];

/// Tries faults between the operator and the API server.
pub fn fault(home: &Home, args: &[String]) -> Result<()> {
    process::pass(built(home, "fault")?.args(args))
}

/// The few of them that CI has time for.
pub fn fault_short(home: &Home) -> Result<()> {
    process::pass(built(home, "fault")?.args(SHORT))
}

/// Works on many models at once, and fails where that takes more than the committed limits.
pub fn scale(home: &Home, args: &[String]) -> Result<()> {
    process::pass(built(home, "scale")?.args(args))
}

/// [`command`], where nothing else holds the cache.
fn built(home: &Home, subcommand: &str) -> Result<Command> {
    let _lock = CacheLock::take(home)?;
    let stage = Stage::begin("harness");
    let command = command(home, &stage, subcommand)?;
    stage.done("built");
    Ok(command)
}

/// The harness, with the control plane and the operator that it runs.
pub fn command(home: &Home, stage: &Stage, subcommand: &str) -> Result<Command> {
    let programs = programs(home, stage)?;
    let Programs {
        cluster,
        operator,
        harness,
    } = programs;
    let mut command = process::command(harness);
    command.arg("--cluster-program").arg(cluster);
    command.arg("--operator").arg(operator);
    command.arg("--crds").arg(home.repo.join("crds"));
    command.arg(subcommand);
    Ok(command)
}

/// [`command`] for a gateway that it starts on the first core: load, database and API server have the second one, so that they
/// cost the gateway nothing.
pub fn beside_gateway(home: &Home, stage: &Stage, subcommand: &str) -> Result<Command> {
    postgres::ensure(home, stage)?;
    let gateway = cargo::release(home, stage, &["atelier-gateway"])?;
    let gateway = gateway.first().context("cargo built nothing")?;
    let harness = command(home, stage, subcommand)?;
    let mut command = process::command("taskset");
    command
        .args(["--cpu-list", "1"])
        .arg(harness.get_program())
        .args(harness.get_args());
    command.env(postgres::VARIABLE, postgres::bin(home));
    command.arg("--gateway").arg(gateway);
    Ok(command)
}

struct Programs {
    cluster: PathBuf,
    operator: PathBuf,
    harness: PathBuf,
}

fn programs(home: &Home, stage: &Stage) -> Result<Programs> {
    let cluster = go::ensure_cluster_program(home, stage)?;
    // One at a time: the harness wants what is for tests alone.
    let build = |package| -> Result<PathBuf> {
        let mut built = cargo::release(home, stage, &[package])?;
        built.pop().context("cargo built nothing")
    };
    Ok(Programs {
        cluster,
        operator: build("atelier-operator")?,
        harness: build("atelier-harness")?,
    })
}
