//! `atelier-fault-proxy`: the proxy as a program, for an operator that somebody else runs.

use std::path::PathBuf;

use anyhow::{Context, Result};
use atelier_fault_proxy::{Plan, Proxy};
use clap::Parser;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

/// Stands between an operator and its API server and makes the latter misbehave by a plan.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// How the API server is reached, with the operator's own credentials.
    #[arg(long)]
    kubeconfig: PathBuf,
    /// Port on loopback for the operator, which connects by plain HTTP.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Show the operator this namespace only.
    #[arg(long)]
    namespace: Option<String>,
    /// Faults drawn from this seed.
    #[arg(long, conflicts_with = "plan")]
    seed: Option<u64>,
    /// Faults as text: `write 3: drop-answer, read 7: stale`. `kill` ends this program with exit code 3.
    #[arg(long)]
    plan: Option<Plan>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let args = Args::parse();
    let plan = match (args.seed, args.plan) {
        (Some(seed), _) => Plan::of_seed(seed),
        (None, Some(plan)) => plan,
        (None, None) => Plan::default(),
    };
    let kubeconfig = Kubeconfig::read_from(&args.kubeconfig).context("failed to read the kubeconfig")?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .context("failed to use the kubeconfig")?;
    config.default_retry = false;
    let proxy = Proxy::new(
        Client::try_from(config).context("failed to build a client")?,
        args.namespace,
    );
    proxy.arm(&plan);
    let door = proxy.open(args.port).await?;
    println!("http://{} with {plan}", door.address);
    tokio::select! {
        () = proxy.killed() => std::process::exit(3),
        stopped = tokio::signal::ctrl_c() => stopped.context("failed to wait for the end"),
    }
}
