//! `atelier-operator`.

use atelier_operator::{cli::Args, run::run};
use clap::Parser;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    telemetry::init("atelier-operator");
    run(args).await
}
