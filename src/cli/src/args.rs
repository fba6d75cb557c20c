//! The command line.

use std::path::PathBuf;

use clap::{Args as Options, Parser, Subcommand, ValueEnum};

/// Where the README installs Atelier.
const SYSTEM_NAMESPACE: &str = "atelier-system";

/// Looks after the models of a cluster.
#[derive(Debug, Parser)]
#[command(name = "kubectl-atelier", bin_name = "kubectl atelier", version)]
pub struct Args {
    /// The context of the kubeconfig. Default: the current one.
    #[arg(long, global = true)]
    pub context: Option<String>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// One command each.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Look after the audit trail.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Talk to a model.
    Chat(Chat),
    /// Search and ask documents.
    #[command(subcommand)]
    Room(RoomCommand),
    /// Look at candidates that answer in the dark.
    #[command(subcommand)]
    Shadow(ShadowCommand),
    /// Look at trainings.
    #[command(subcommand)]
    Tune(TuneCommand),
    /// Show the history of a model: what served when, with which weights, and what was refused why.
    Versions {
        /// Which model.
        #[command(flatten)]
        model: ModelName,
    },
    /// Bring a version of the history back.
    Rollback {
        /// Which model.
        #[command(flatten)]
        model: ModelName,
        /// The version. Default: the newest that has served and serves no longer.
        version: Option<String>,
        /// Change the model, instead of saying what would be changed.
        #[arg(long)]
        yes: bool,
    },
}

/// Whom to talk to, and as whom.
#[derive(Debug, Options)]
pub struct Chat {
    /// Which model.
    #[command(flatten)]
    pub model: ModelName,
    /// What to say. Default: the lines of the standard input, of which each is answered before the next.
    pub prompt: Option<String>,
    /// How freely words are chosen, from 0 (always the likeliest) to 2. Default: the model's own.
    #[arg(long)]
    pub temperature: Option<f64>,
    /// As whom.
    #[command(flatten)]
    pub caller: As,
}

/// As whom to call which gateway.
#[derive(Debug, Options)]
pub struct As {
    /// A ServiceAccount in the same namespace, as which you ask; you need the right to create its tokens. Default: the
    /// token or API key in $ATELIER_TOKEN.
    #[arg(long)]
    pub service_account: Option<String>,
    /// The namespace that Atelier is installed in.
    #[arg(long, default_value = SYSTEM_NAMESPACE)]
    pub system_namespace: String,
}

/// A model by its names.
#[derive(Debug, Options)]
pub struct ModelName {
    /// The model.
    #[arg(value_name = "MODEL")]
    pub name: String,
    /// Its namespace. Default: that of the context.
    #[arg(long, short)]
    pub namespace: Option<String>,
}

/// What can be done with Rooms.
#[derive(Debug, Subcommand)]
pub enum RoomCommand {
    /// Ask a question. The answer comes with what it cites.
    Ask {
        /// Which Room.
        #[command(flatten)]
        room: RoomName,
        /// The question.
        question: String,
        /// As whom.
        #[command(flatten)]
        caller: As,
    },
    /// List the documents that you see, or those that are set aside.
    Documents {
        /// Which Room.
        #[command(flatten)]
        room: RoomName,
        /// Those that are set aside, with the reasons; it takes the role of a curator.
        #[arg(long)]
        quarantined: bool,
        /// As whom.
        #[command(flatten)]
        caller: As,
    },
    /// Find what documents say, the best first.
    Search {
        /// Which Room.
        #[command(flatten)]
        room: RoomName,
        /// What to look for.
        query: String,
        /// The most that is shown, from 1 to 100. Default: as the Room says.
        #[arg(long)]
        top: Option<u32>,
        /// As whom.
        #[command(flatten)]
        caller: As,
    },
    /// Add files to a source that takes uploads. They can be found once the Room has read them.
    Upload {
        /// Which Room.
        #[command(flatten)]
        room: RoomName,
        /// The files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// The source. Default: the only one that takes uploads from you.
        #[arg(long)]
        source: Option<String>,
        /// As whom.
        #[command(flatten)]
        caller: As,
    },
}

/// A Room by its names.
#[derive(Debug, Options)]
pub struct RoomName {
    /// The Room.
    #[arg(value_name = "ROOM")]
    pub name: String,
    /// Its namespace. Default: that of the context.
    #[arg(long, short)]
    pub namespace: Option<String>,
}

/// What can be done with ShadowDeployments.
#[derive(Debug, Subcommand)]
pub enum ShadowCommand {
    /// Show the comparisons of a namespace, with their verdicts.
    List {
        /// The namespace. Default: that of the context.
        #[arg(long, short)]
        namespace: Option<String>,
    },
    /// Show what came of a comparison, with intervals drawn; before its verdict, what is known so far.
    Report {
        /// Which comparison.
        #[command(flatten)]
        shadow: ShadowName,
        /// In which form; html is one page that needs nothing else.
        #[arg(long, short, value_enum, default_value_t = ReportOutput::Text)]
        output: ReportOutput,
        /// Ask the gateway for the report: it has the words of the most different pairs, where the spec has them kept and you
        /// have the verb audit on the ShadowDeployment.
        #[arg(long)]
        words: bool,
        /// As whom, with --words.
        #[command(flatten)]
        caller: As,
    },
}

/// The form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportOutput {
    /// Lines for a terminal.
    Text,
    /// As it is kept.
    Json,
    /// A page.
    Html,
}

/// A comparison by its names.
#[derive(Debug, Options)]
pub struct ShadowName {
    /// The ShadowDeployment.
    #[arg(value_name = "SHADOW")]
    pub name: String,
    /// Its namespace. Default: that of the context.
    #[arg(long, short)]
    pub namespace: Option<String>,
}

/// What can be done with trainings.
#[derive(Debug, Subcommand)]
pub enum TuneCommand {
    /// Show the trainings of a namespace, with what they are at.
    List {
        /// The namespace. Default: that of the context.
        #[arg(long, short)]
        namespace: Option<String>,
    },
    /// Follow a training until it ends: its progress, its loss as a curve, its trials. The exit status is 0 when it
    /// succeeded and 1 when it failed. Where the output is no terminal, each change is a line.
    Watch {
        /// Which training.
        #[command(flatten)]
        job: JobName,
    },
}

/// A training by its names.
#[derive(Debug, Options)]
pub struct JobName {
    /// The FineTuneJob.
    #[arg(value_name = "JOB")]
    pub name: String,
    /// Its namespace. Default: that of the context.
    #[arg(long, short)]
    pub namespace: Option<String>,
}

/// What can be done with the audit trail.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Find out whether it is as it was written, and where not. The exit status tells.
    Verify(Verify),
}

/// What to verify, and by what.
#[derive(Debug, Options)]
pub struct Verify {
    /// The namespace that Atelier is installed in.
    #[arg(long, short, default_value = SYSTEM_NAMESPACE)]
    pub namespace: String,
    /// Rows from then on, such as 2026-11-01T00:00:00Z. Default: from the first on.
    #[arg(long)]
    pub since: Option<String>,
    /// Rows before then. Default: up to the last.
    #[arg(long)]
    pub until: Option<String>,
    /// A file here with the Ed25519 public key, in PEM, that roots must be signed by. Default: signatures are not looked at.
    #[arg(long)]
    pub key_file: Option<PathBuf>,
    /// A file here with roots as they were told outside. Default: none.
    #[arg(long)]
    pub anchor_file: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
        let args = Args::parse_from(["kubectl-atelier", "rollback", "m", "-n", "models", "v-0123456789"]);
        let Command::Rollback { model, version, yes } = args.command else {
            panic!("not a rollback")
        };
        assert_eq!(
            (&*model.name, model.namespace.as_deref(), version.as_deref(), yes),
            ("m", Some("models"), Some("v-0123456789"), false)
        );
    }
}
