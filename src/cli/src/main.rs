//! `kubectl atelier`: what is easier said than written as YAML.

mod args;
mod audit;
mod caller;
mod chat;
mod cluster;
mod events;
mod gateway;
mod rollback;
mod room;
mod shadow;
mod text;
mod tune;
mod versions;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser as _;

use args::{Args, AuditCommand, Command, TuneCommand};
use cluster::Cluster;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    run(Args::parse()).await.unwrap_or_else(|error| {
        // For people, wherever RUST_BACKTRACE is set.
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

async fn run(args: Args) -> Result<ExitCode> {
    let cluster = Cluster::connect(args.context).await?;
    match args.command {
        Command::Audit(AuditCommand::Verify(options)) => audit::verify(&cluster, &options).await,
        Command::Chat(options) => chat::run(&cluster, &options).await,
        Command::Room(command) => room::run(&cluster, &command).await,
        Command::Shadow(command) => shadow::run(&cluster, &command).await,
        Command::Tune(TuneCommand::List { namespace }) => {
            let namespace = cluster.namespace_or(namespace.as_deref());
            tune::list(&cluster, namespace).await.map(|()| ExitCode::SUCCESS)
        }
        Command::Tune(TuneCommand::Watch { job }) => tune::watch(&cluster, &job).await,
        Command::Versions { model } => versions::print(&cluster.model(&model).await?).map(|()| ExitCode::SUCCESS),
        Command::Rollback { model, version, yes } => rollback::run(&cluster, &model, version.as_deref(), yes).await,
    }
}
