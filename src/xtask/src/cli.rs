//! The command line.

use clap::{Args, Parser, Subcommand};

use crate::bench::{Against, Bench};
use crate::checks::Check;
use crate::fuzz::Target;

/// Builds, runs and checks Atelier.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    version,
    disable_help_subcommand = true
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// One command each.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// From a fresh checkout to a model that answers: installs what is missing, builds, starts a local cluster, installs the chart.
    Up(Up),
    /// Removes the local cluster and every trace of it.
    Down,
    /// Prints shell exports: `eval "$(cargo xtask env)"`.
    Env {
        /// The environment for calling cargo directly, instead of the running cluster's.
        #[arg(long)]
        build: bool,
    },
    /// Asks a model through the gateway and streams its answer.
    Ask {
        /// What to say to the model.
        prompt: String,
        /// The model, as `namespace/name`.
        #[arg(long, default_value = "default/smollm2")]
        model: String,
        /// A context of your kubeconfig instead of the local cluster.
        #[arg(long)]
        context: Option<String>,
    },
    /// Runs kubectl on the local cluster.
    #[command(disable_help_flag = true)]
    Kubectl {
        /// Passed on as they are.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Prints the logs of the operator, the gateway, the workers, the control plane or a pod.
    Logs {
        /// operator, gateway, worker, etcd, kube-apiserver, kubelet, …, or the name of a pod.
        #[arg(default_value = "operator")]
        what: String,
        /// Namespace of workers and of a named pod.
        #[arg(long, short, default_value = "default")]
        namespace: String,
        /// Keep printing what comes.
        #[arg(long, short)]
        follow: bool,
        /// Lines to begin with.
        #[arg(long, default_value_t = 200)]
        lines: usize,
        /// A context of your kubeconfig instead of the local cluster.
        #[arg(long)]
        context: Option<String>,
    },
    /// Builds the container images that changed and prints their names and sizes.
    Images {
        /// Only these, e.g. `operator gateway`.
        only: Vec<String>,
    },
    /// Writes the generated files: CRDs, RBAC, golden renders of the chart.
    Gen {
        /// Only say which are out of date, and fail if any is.
        #[arg(long)]
        check: bool,
    },
    /// Runs all that CI runs.
    Test {
        /// Leave out what needs the cluster.
        #[arg(long)]
        fast: bool,
        /// Only these checks, e.g. `--only format,clippy`.
        #[arg(long, value_delimiter = ',')]
        only: Vec<Check>,
    },
    /// Runs the tests on the local cluster.
    E2e {
        /// A test suite: the name of a directory in e2e/tests. All of them when left out, but `corpora` and
        /// `verdicts`, which print figures and take long, and `envoy`, which builds Envoy Gateway first.
        suite: Option<String>,
        /// Only the cases whose name contains this.
        #[arg(long)]
        case: Option<String>,
        /// Also the cases that serve with engines of others, which are built first: that takes minutes.
        #[arg(long)]
        peers: bool,
    },
    /// Runs the operator against an API server that misbehaves, and compares what comes of it.
    #[command(disable_help_flag = true)]
    Fault {
        /// Passed on as they are: `--seed 7`, `--seeds 0..100`, `--kills`, `--scenario update`; `--help` lists all.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Runs the operator with many models, and fails where that takes more than the committed limits.
    #[command(disable_help_flag = true)]
    Scale {
        /// Passed on as they are: `--objects 1000`; `--help` lists all.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Looks for inputs that break what reads files and requests of strangers.
    Fuzz {
        /// Only this one.
        target: Option<Target>,
        /// How long each of them is tried.
        #[arg(long, default_value_t = 180)]
        seconds: u64,
    },
    /// Measures speed and size on this machine.
    Bench {
        /// What to measure.
        what: Bench,
        /// Measure a peer on the same work in the same call, and print the ratios.
        #[arg(long, value_name = "PEER")]
        against: Option<Against>,
        /// How long `soak` goes on.
        #[arg(long, default_value_t = 30)]
        minutes: u64,
        /// Print one JSON object instead of a table.
        #[arg(long)]
        json: bool,
    },
}

/// Options of `up`.
#[derive(Debug, Args)]
pub struct Up {
    /// Use a cluster you have: a context of your kubeconfig.
    #[arg(long, requires_all = ["registry", "tag"])]
    pub context: Option<String>,
    /// Where that cluster's nodes pull the images: `<registry>/operator:<tag>` and so on.
    #[arg(long, requires = "context")]
    pub registry: Option<String>,
    /// Tag of those images.
    #[arg(long, requires = "context")]
    pub tag: Option<String>,
    /// With what Rooms take: the chart's own database, and the image of an embedding model.
    #[arg(long)]
    pub rooms: bool,
    /// Stop when the model is ready, without asking it anything.
    #[arg(long)]
    pub no_ask: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn kubectl_gets_its_options_untouched() {
        let cli = Cli::try_parse_from(["xtask", "kubectl", "get", "pods", "-A", "--help"]).unwrap();
        let Command::Kubectl { args } = cli.command else {
            panic!("not kubectl")
        };
        assert_eq!(args, ["get", "pods", "-A", "--help"]);
    }

    #[test]
    fn another_cluster_needs_images_it_can_pull() {
        assert!(Cli::try_parse_from(["xtask", "up", "--context", "a"]).is_err());
        assert!(Cli::try_parse_from(["xtask", "up", "--tag", "1"]).is_err());
        let all = [
            "xtask",
            "up",
            "--context",
            "a",
            "--registry",
            "r.example.com/x",
            "--tag",
            "1",
        ];
        assert!(Cli::try_parse_from(all).is_ok());
    }
}
