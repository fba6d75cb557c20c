//! `atelier-gateway`.

use atelier_gateway::{audit, config::Args, run::run};
use clap::Parser;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    telemetry::init("atelier-gateway");
    match args.command.clone() {
        Some(command) => audit::run_command(command, &args.audit).await,
        None => run(args).await,
    }
}
