//! `cargo xtask bench gateway`: the gateway beside others, one core each, in front of an upstream that answers at once.
//!
//! The gateway reads its models, workers and permissions from a real API server. Load and upstream share the other core:
//! what they cost is the same for all, and is taken off where it says "added".

mod http;
mod load;
mod peers;
mod process;
mod replica;
pub mod rooms;
pub mod shadow;
pub mod soak;
mod upstream;
mod world;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;

use crate::control_plane::ControlPlane;
use load::Target;
use replica::Replica;
use store::testing::Postgres;
use world::{GUARDED, QUICK, SLOW, World};

/// What is measured.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// The gateway.
    #[arg(long)]
    pub gateway: PathBuf,
    /// Envoy's program.
    #[arg(long)]
    pub envoy: PathBuf,
    /// A directory with the Python package `litellm[proxy]`.
    #[arg(long)]
    pub litellm: PathBuf,
    /// How often each is measured, in turns.
    #[arg(long, default_value_t = 3)]
    pub rounds: u32,
    /// Streams that are open at once, or as many as the limit of open files allows.
    #[arg(long, default_value_t = 10_000)]
    pub streams: u32,
}

/// The core of the gateways; whoever calls this keeps us on another one.
const CORE: usize = 0;
const RATE: u32 = 1000;
const PACED: Duration = Duration::from_secs(5);
const FLAT_OUT: Duration = Duration::from_secs(4);
const CONNECTIONS: u32 = 32;
/// Files that a process has open for other things than streams.
const SPARE_FILES: u32 = 250;
/// Streams whose tokens are paid for together.
const STREAMS: u32 = 20;

/// All figures; several of one kind are of several rounds. Times in seconds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures {
    ours: Side,
    envoy: Side,
    /// Requests a second of LiteLLM, flat out.
    litellm_rate: Vec<f64>,
    /// Processor time of the gateway for each event of a stream.
    stream_event_seconds: Vec<f64>,
    /// Streams that were open.
    streams: u32,
    /// Memory that they took.
    streams_bytes: f64,
    /// With guardrails, and an audit trail that the database may lag behind.
    full: Side,
    /// With an audit trail that the database has to have first.
    strict: Side,
}

/// What one gateway did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Side {
    /// Added to the time of a request, half of them more.
    added_p50: Vec<f64>,
    /// One in a hundred more.
    added_p99: Vec<f64>,
    /// Requests a second, flat out.
    rate: Vec<f64>,
}

/// Measures and prints one JSON object.
///
/// # Errors
/// When something does not run, or a request fails.
pub async fn run(program: &Path, crds: &Path, options: &Options) -> Result<()> {
    let plane = ControlPlane::start(program, crds).await?;
    let world = World::start(&plane).await?;
    let gateway = Replica::start(&world, &options.gateway, CORE, &[]).await?;
    let envoy = peers::envoy(&options.envoy, plane.dir(), world.upstream, CORE).await?;
    let direct = Target {
        address: world.upstream,
        model: QUICK,
        token: None,
    };
    let ours = gateway.target(&world, QUICK);
    let mut figures = Figures::default();
    for round in 1..=options.rounds {
        eprintln!("round {round} of {}", options.rounds);
        let base = at_pace(&direct).await?;
        for (target, side) in [(&ours, &mut figures.ours), (&envoy.target, &mut figures.envoy)] {
            let [p50, p99] = at_pace(target).await?;
            side.added_p50.push(p50 - base[0]);
            side.added_p99.push(p99 - base[1]);
            side.rate.push(load::flat_out(target, FLAT_OUT, CONNECTIONS).await?);
        }
        figures
            .stream_event_seconds
            .push(event_seconds(&gateway, &gateway.target(&world, QUICK)).await?);
    }
    let streams = options.streams.min(process::open_files()? / 2 - SPARE_FILES);
    eprintln!("{streams} streams");
    let before = gateway.process.resident()?;
    let open = load::open_streams(&gateway.target(&world, SLOW), streams).await?;
    figures.streams = streams;
    figures.streams_bytes = gateway.process.resident()? - before;
    drop(open);
    drop(envoy);
    drop(gateway);
    audited(&world, options, plane.dir(), &mut figures).await?;
    eprintln!("LiteLLM");
    let litellm = peers::litellm(&options.litellm, plane.dir(), world.upstream, CORE).await?;
    for _ in 0..options.rounds {
        let rate = load::flat_out(&litellm.target, FLAT_OUT, CONNECTIONS).await?;
        figures.litellm_rate.push(rate);
    }
    println!(
        "{}",
        serde_json::to_string(&figures).context("failed to print the figures")?
    );
    Ok(())
}

/// Median and 99th percentile of requests at a pace that nobody finds hard.
async fn at_pace(target: &Target) -> Result<[f64; 2]> {
    // Connections and caches first.
    load::paced(target, RATE, Duration::from_millis(500), CONNECTIONS).await?;
    let mut seconds = load::paced(target, RATE, PACED, CONNECTIONS).await?;
    Ok([0.5, 0.99].map(|share| load::quantile(&mut seconds, share)))
}

/// With an audit trail in a database that syncs as one in production does, and shares the core of the load.
async fn audited(world: &World, options: &Options, dir: &Path, figures: &mut Figures) -> Result<()> {
    let postgres = Postgres::start_with(&[]);
    let database = postgres.database().await;
    let url = format!("--database-url-file={}", database.url_file.path().display());
    let direct = Target {
        address: world.upstream,
        model: QUICK,
        token: None,
    };
    let spool = format!("--audit-spool-dir={}", dir.join("spool").display());
    for (mode, model, side) in [
        ("buffered", GUARDED, &mut figures.full),
        ("strict", QUICK, &mut figures.strict),
    ] {
        eprintln!("audit {mode}");
        let flags = [url.clone(), format!("--audit-mode={mode}"), spool.clone()];
        let gateway = Replica::start(world, &options.gateway, CORE, &flags).await?;
        let target = gateway.target(world, model);
        for _ in 0..options.rounds {
            let base = at_pace(&direct).await?;
            let [p50, p99] = at_pace(&target).await?;
            side.added_p50.push(p50 - base[0]);
            side.added_p99.push(p99 - base[1]);
            side.rate.push(load::flat_out(&target, FLAT_OUT, CONNECTIONS).await?);
        }
    }
    Ok(())
}

/// Processor time of the gateway for each event that it passes on.
async fn event_seconds(gateway: &Replica, target: &Target) -> Result<f64> {
    let streams = load::open_streams(target, STREAMS).await?;
    let before = gateway.process.seconds()?;
    load::finish(streams).await?;
    let spent = gateway.process.seconds()? - before;
    Ok(spent / f64::from(STREAMS) / upstream::EVENTS as f64)
}
