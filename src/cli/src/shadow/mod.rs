//! `kubectl atelier shadow`.

mod list;
mod progress;
mod report;

use std::process::ExitCode;

use anyhow::Result;

use crate::{args::ShadowCommand, cluster::Cluster};

/// Shows something of ShadowDeployments.
///
/// # Errors
/// When it is not there.
pub async fn run(cluster: &Cluster, command: &ShadowCommand) -> Result<ExitCode> {
    match command {
        ShadowCommand::List { namespace } => list::list(cluster, cluster.namespace_or(namespace.as_deref())).await,
        ShadowCommand::Report {
            shadow,
            output,
            words,
            caller,
        } => report::print(cluster, shadow, *output, words.then_some(caller)).await,
    }
}
