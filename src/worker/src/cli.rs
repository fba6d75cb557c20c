//! The command line. The operator writes it for pods; people write it too.

use std::{fmt, net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};
use engine::{Device, Dtype};

use crate::shared_weights::Own;

/// Prepares, serves and explains large language models.
#[derive(Debug, Parser)]
#[command(name = "atelier-worker", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// One command each.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serves a model over an OpenAI-compatible HTTP API.
    Serve(Serve),
    /// Fetches and verifies weights, compresses them if asked to, and reports what they are.
    Prepare(Prepare),
    /// Asks a model questions with known answers and reports its scores.
    Evaluate(Evaluate),
    /// Trains a model, or something beside one, on a cleaned data set, and publishes what passes.
    Train(Train),
    /// Gives a directory to a user, as root: the node's cache, which the kubelet makes.
    Own(Own),
    /// Explains a weights file.
    Inspect(artifacts::inspect::Args),
}

/// Arguments of `prepare`.
#[derive(Clone, Debug, Args)]
pub struct Prepare {
    /// Where the weights come from.
    #[command(flatten)]
    pub source: artifacts::prepare::Args,
    /// What becomes of them.
    #[command(flatten)]
    pub compression: compress::Args,
}

/// A model and how it is computed.
#[derive(Clone, Debug, Args)]
pub struct Model {
    /// The model: a GGUF file, or a directory with safetensors files, config.json and tokenizer.json.
    #[arg(long = "model", value_name = "PATH")]
    pub path: PathBuf,
    /// SHA-256 that the model must have, as `inspect` prints it: `sha256:` and 64 hex digits.
    #[arg(long)]
    pub digest: Option<String>,
    /// Tokens that one conversation may have, answer included, or one text of --task embed and rerank.
    /// Default: what the model was trained for.
    #[arg(long, value_name = "TOKENS", value_parser = positive())]
    pub context_length: Option<u64>,
    /// Requests computed at the same time. Their contexts need not all fit the memory.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = positive())]
    pub max_concurrent_sequences: u64,
    /// Tokens of one forward pass. Default: 512, on a GPU and with --task embed and rerank 2048.
    #[arg(long, value_name = "TOKENS", value_parser = positive())]
    pub max_batch_tokens: Option<u64>,
    /// Tokens whose keys and values are kept at most. Default: enough for all concurrent requests, as far
    /// as the memory limit allows.
    #[arg(long, value_name = "TOKENS", value_parser = positive())]
    pub kv_cache_tokens: Option<u64>,
    /// Numeric type to compute in: bf16 or fp32. Default: bf16, with --task embed and rerank what is
    /// faster without changing the results.
    #[arg(long)]
    pub dtype: Option<Dtype>,
    /// What computes: cpu, cuda or cuda:N.
    #[arg(long, default_value_t = Device::Cpu)]
    pub device: Device,
    /// Directory that keeps what makes the next start faster: packed weights by digest, and which way of
    /// multiplying is fastest on this machine.
    #[arg(long, value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,
    /// Lock file that is held, shared, for as long as the process runs: the weights lie in the node's cache.
    #[arg(long, value_name = "FILE")]
    pub weights_lock: Option<PathBuf>,
    /// File to create when the model has another SHA-256 than --digest says.
    #[arg(long, value_name = "FILE")]
    pub damage_note: Option<PathBuf>,
    /// Threads to compute with. Default: the cores that this process may use.
    #[arg(long, value_name = "N", value_parser = positive())]
    pub threads: Option<u64>,
    /// System message of conversations that bring none.
    #[arg(long, value_name = "TEXT")]
    pub system_prompt: Option<String>,
    /// Chat template (Jinja) to use instead of the one in the weights file.
    #[arg(long, value_name = "FILE")]
    pub chat_template: Option<PathBuf>,
    /// Directory with a LoRA adapter as a training publishes it, with its manifest.json: every request that names no
    /// other adapter is computed with it.
    #[arg(long, value_name = "DIR")]
    pub tuned: Option<PathBuf>,
    /// SHA-256 that it must have, as its manifest says: `sha256:` and 64 hex digits.
    #[arg(long, value_name = "DIGEST", requires = "tuned")]
    pub tuned_digest: Option<String>,
    /// SHA-256 of the model that it must have been trained on. Default: the manifest's word is not looked at.
    #[arg(long, value_name = "DIGEST", requires = "tuned")]
    pub tuned_base: Option<String>,
}

/// Arguments of `evaluate`.
#[derive(Clone, Debug, Args)]
pub struct Evaluate {
    /// What is asked.
    #[command(flatten)]
    pub model: Model,
    /// Suite of questions: the name of one that comes with the worker, or NAME=FILE. Several may be given.
    #[arg(long = "suite", value_name = "NAME[=FILE]", required = true)]
    pub suites: Vec<String>,
    /// File for the report. Default: the container's termination message.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

/// Arguments of `train`.
#[derive(Clone, Debug, Args)]
pub struct Train {
    /// File with the plan, as JSON. Default: the environment variable ATELIER_PLAN.
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// File for the last words. Default: the container's termination message.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Threads to compute with. Default: the cores that this process may use.
    #[arg(long, value_name = "N", value_parser = positive())]
    pub threads: Option<u64>,
    /// Address of probes and metrics.
    #[arg(long, default_value = "127.0.0.1:9090")]
    pub admin_listen: SocketAddr,
}

/// Arguments of `serve`.
#[derive(Clone, Debug, Args)]
pub struct Serve {
    /// What is served.
    #[command(flatten)]
    pub model: Model,
    /// What the model is for.
    #[arg(long, value_name = "TASK", value_enum, default_value_t = Task::Generate)]
    pub task: Task,
    /// Name under which requests ask for the model.
    #[arg(long, value_name = "NAME")]
    pub served_name: String,
    /// Requests that may wait; more are told to come back later.
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub max_queue: u64,
    /// Whether what was computed of a prompt is kept for later ones of the same user that begin alike.
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    pub prefix_cache: bool,
    /// Directory whose every subdirectory is a LoRA adapter (adapter_config.json and
    /// adapter_model.safetensors, as peft writes them); requests ask for it as NAME:SUBDIRECTORY.
    #[arg(long, value_name = "DIR")]
    pub adapters_dir: Option<PathBuf>,
    /// File that lists the LoRA adapters which are wanted, as the operator writes it. It is looked at again and
    /// again: adapters come and go while requests are answered.
    #[arg(
        long,
        value_name = "FILE",
        requires = "adapter_store",
        conflicts_with = "adapters_dir"
    )]
    pub adapters: Option<PathBuf>,
    /// Writable directory for adapters of that list which have to be fetched.
    #[arg(long, value_name = "DIR", requires = "adapters")]
    pub adapter_store: Option<PathBuf>,
    /// Memory that loaded adapters may take together; those not used for longest make room.
    #[arg(long, value_name = "BYTES", default_value_t = 256 << 20)]
    pub adapter_memory: u64,
    /// Address of the API.
    #[arg(long, default_value = "127.0.0.1:8000")]
    pub listen: SocketAddr,
    /// Address of the gRPC API (`atelier.v1.Inference`, health and reflection). Default: none.
    #[arg(long, value_name = "ADDR")]
    pub grpc_listen: Option<SocketAddr>,
    /// Address of probes and metrics.
    #[arg(long, default_value = "127.0.0.1:9090")]
    pub admin_listen: SocketAddr,
}

/// What a model is served for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Task {
    /// Text that goes on: /v1/chat/completions and /v1/completions.
    Generate,
    /// Vectors of texts: /v1/embeddings.
    Embed,
    /// Scores of documents for a query, by a cross-encoder: /v1/rerank.
    Rerank,
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Generate => "generate",
            Self::Embed => "embed",
            Self::Rerank => "rerank",
        })
    }
}

fn positive() -> clap::builder::RangedU64ValueParser {
    value_parser!(u64).range(1..=u32::MAX.into())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
