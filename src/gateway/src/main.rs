//! `atelier-gateway`.

use atelier_gateway::{config::Args, run::run};
use clap::Parser;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    telemetry::init("atelier-gateway");
    run(args).await
}
