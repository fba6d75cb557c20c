//! `atelier-gateway audit ...`: what is done with the trail instead of serving.

mod content;
mod verify;

use std::path::PathBuf;

use clap::Subcommand;
use k8s_openapi::jiff::Timestamp;

use super::AuditArgs;

/// What can be done instead of serving.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Look after the audit trail.
    #[command(subcommand)]
    Audit(AuditCommand),
}

/// What can be done with the audit trail.
#[derive(Clone, Debug, Subcommand)]
pub enum AuditCommand {
    /// Find out whether it is as it was written, and where not.
    Verify(VerifyArgs),
    /// Make what a user asked and got at the models and in the Rooms of a namespace unreadable for everybody, for ever. Rows
    /// stay.
    Erase(EraseArgs),
    /// Print the rows of a request, with what was asked and answered. That this was done is written down.
    Show(ShowArgs),
    /// Wrap all data keys by the key-encryption key --audit-content-key.
    Rewrap,
}

/// Options of `audit verify`.
#[derive(Clone, Debug, clap::Args)]
pub struct VerifyArgs {
    /// Rows from then on, such as 2026-11-01T00:00:00Z. Default: from the first on.
    #[arg(long)]
    pub since: Option<Timestamp>,
    /// Rows before then. Default: up to the last.
    #[arg(long)]
    pub until: Option<Timestamp>,
    /// A file with the Ed25519 public key, in PEM, that roots must be signed by. Default: signatures are not looked at.
    #[arg(long)]
    pub key_file: Option<PathBuf>,
    /// A file with roots as they were told outside. Default: none.
    #[arg(long)]
    pub anchor_file: Option<PathBuf>,
}

/// Options of `audit erase`.
#[derive(Clone, Debug, clap::Args)]
pub struct EraseArgs {
    /// The namespace of the models and Rooms.
    #[arg(long)]
    pub namespace: String,
    /// The user, as Kubernetes names it.
    #[arg(long)]
    pub user: String,
    /// Why, for the audit trail.
    #[arg(long)]
    pub reason: String,
}

/// Options of `audit show`.
#[derive(Clone, Debug, clap::Args)]
pub struct ShowArgs {
    /// The request: the x-request-id of its answer.
    #[arg(long)]
    pub request: String,
    /// Whose request, as Kubernetes names them. Default: anybody's.
    #[arg(long)]
    pub user: Option<String>,
    /// Why, for the audit trail.
    #[arg(long)]
    pub reason: String,
}

/// Runs a command, and prints what it finds.
///
/// # Errors
/// When it cannot be done, or the trail is not as it was written.
pub async fn run(command: Command, args: &AuditArgs) -> anyhow::Result<()> {
    let Command::Audit(command) = command;
    match command {
        AuditCommand::Verify(wish) => verify::run(wish, args).await,
        AuditCommand::Erase(wish) => content::erase(wish, args).await,
        AuditCommand::Show(wish) => content::show(wish, args).await,
        AuditCommand::Rewrap => content::rewrap(args).await,
    }
}
