//! Our processes put to the test on a control plane without nodes: `cargo xtask fault`, `cargo xtask scale` and
//! `cargo xtask bench gateway`.

mod control_plane;
mod fault;
mod gateway;
mod kubelet;
mod metrics;
mod model;
mod operator;
mod pgvector;
mod scale;
mod wait;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

/// Runs our processes against a real API server, without nodes.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// The program that `e2e/cluster` builds, which is every component of Kubernetes.
    #[arg(long, global = true, default_value = "atelier-cluster")]
    cluster_program: PathBuf,
    /// Directory of our CRDs.
    #[arg(long, global = true, default_value = "crds")]
    crds: PathBuf,
    /// The operator.
    #[arg(long, global = true, default_value = "atelier-operator")]
    operator: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Faults between the operator and the API server.
    Fault(fault::Options),
    /// Many models on one API server.
    Scale(scale::Options),
    /// The gateway beside others.
    Gateway(gateway::Options),
    /// A gateway with many Rooms.
    GatewayRooms(gateway::rooms::Options),
    /// pgvector beside the search in Rooms.
    Pgvector(pgvector::Options),
    /// What copies for ShadowDeployments cost users.
    GatewayShadow(gateway::shadow::Options),
    /// Gateways under load for long, while they are killed in turns.
    GatewaySoak(gateway::soak::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    // Someone else may have chosen already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = Cli::parse();
    let work = async {
        match &cli.command {
            Command::Fault(options) => fault::run(&cli.cluster_program, &cli.crds, &cli.operator, options).await,
            Command::Gateway(options) => gateway::run(&cli.cluster_program, &cli.crds, options).await,
            Command::GatewayShadow(options) => gateway::shadow::run(&cli.cluster_program, &cli.crds, options).await,
            Command::GatewayRooms(options) => gateway::rooms::run(&cli.cluster_program, &cli.crds, options).await,
            Command::GatewaySoak(options) => gateway::soak::run(&cli.cluster_program, &cli.crds, options).await,
            Command::Pgvector(options) => pgvector::run(options).await,
            Command::Scale(options) => scale::run(&cli.cluster_program, &cli.crds, &cli.operator, options).await,
        }
    };
    // Whatever was started ends with the future.
    let result = tokio::select! {
        result = work => result,
        () = interrupted() => Err(anyhow::anyhow!("interrupted")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Waits until somebody wants this to end.
async fn interrupted() {
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => terminate.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate => {}
    }
}
