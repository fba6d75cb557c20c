//! `cargo xtask scale`: the operator with many models on one API server, beside the Deployment controller.

mod census;
mod figures;
mod peer;
mod storm;
mod world;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{control_plane::ControlPlane, kubelet::Kubelet};
use figures::Figures;
use world::World;

/// How much is measured.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// LlmModels, all in one namespace.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub objects: u32,
    /// Seconds for which the steady state is watched.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub window: u64,
    /// Seconds of the storm of a hundred changes a second.
    #[arg(long, default_value_t = 10)]
    pub storm: u64,
    /// Print one JSON object instead of lines, and judge nothing.
    #[arg(long)]
    pub json: bool,
}

/// Measures and judges.
///
/// # Errors
/// When a figure is above its limit, or nothing could be measured.
pub async fn run(program: &Path, crds: &Path, operator: &Path, options: &Options) -> Result<()> {
    let plane = ControlPlane::start(program, crds).await?;
    let _kubelet = Kubelet::start(plane.admin.clone());
    let figures = measure(&plane, operator, options).await?;
    if options.json {
        println!(
            "{}",
            serde_json::to_string(&figures).context("failed to print the figures")?
        );
        return Ok(());
    }
    print!("{figures}");
    let above = figures.above_limits();
    if above.is_empty() {
        return Ok(());
    }
    bail!("beyond the limits:\n  {}", above.join("\n  "))
}

async fn measure(plane: &ControlPlane, operator: &Path, options: &Options) -> Result<Figures> {
    let count = usize::try_from(options.objects).context("the machine is too small")?;
    eprintln!("the Deployment controller: {count} Deployments");
    let peer_seconds = peer::replica_sets(&plane.admin, count).await?;

    let mut world = World::start(plane, operator).await?;
    let idle_bytes = world.operator.resident()?;
    eprintln!("the operator: {count} models");
    let mut children = census::of_deployments(&plane.admin, world::NAMESPACE);
    let mut ready = census::of_ready_models(&plane.admin, world::NAMESPACE);
    let begun = Instant::now();
    world.create(count).await?;
    let children_seconds = (children.reach(count).await? - begun).as_secs_f64();
    let ready_seconds = (ready.reach(count).await? - begun).as_secs_f64();
    drop(children);
    eprintln!("a model: {}", world.effort(count).await?);

    eprintln!("the steady state: {} s", options.window);
    world.settled().await?;
    let idle_writes = world.writes_in(Duration::from_secs(options.window)).await?;
    let resident_bytes = world.operator.resident()?;

    eprintln!("a restart");
    let restart_seconds = world.restart(count).await?.as_secs_f64();

    eprintln!("a storm: {} s", options.storm);
    let delays = storm::run(&plane.admin, count, Duration::from_secs(options.storm)).await?;
    Ok(Figures {
        objects: options.objects,
        peer_seconds,
        children_seconds,
        ready_seconds,
        idle_writes_per_minute: idle_writes.values().fold(0.0, |sum, count| sum + count) * 60.0 / options.window as f64,
        idle_writes,
        idle_bytes,
        resident_bytes,
        restart_seconds,
        change_median_seconds: storm::quantile(&delays, 0.5),
        change_p99_seconds: storm::quantile(&delays, 0.99),
    })
}
