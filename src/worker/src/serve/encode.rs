//! `serve --task embed` and `--task rerank`: an encoder instead of a model that writes.

use std::{sync::Arc, time::Instant};

use anyhow::{Result, bail};
use checkpoint::Checkpoint;
use engine::{
    available_threads,
    encoder::{Encoder, EncoderConfig, EncoderOptions, TextEncoder},
};

use crate::cli::{Serve, Task};

/// Tokens of one pass, where the command line says nothing: enough to keep every core busy, little
/// enough for its intermediate results to stay in the processor's cache.
const BATCH_TOKENS: u64 = 2048;

/// An encoder that can answer.
pub struct LoadedEncoder {
    /// Name under which requests ask for it.
    pub served_name: String,
    /// What it is for.
    pub task: Task,
    /// The network.
    pub encoder: Encoder,
    /// Its tokenizer.
    pub tokenizer: Arc<TextEncoder>,
}

/// Loads what `args` ask for.
///
/// # Errors
/// When the model is no encoder, or one for the other task.
pub fn load(args: &Serve) -> Result<LoadedEncoder> {
    let started = Instant::now();
    args.model.verify()?;
    for (flag, given) in [
        ("--system-prompt", args.model.system_prompt.is_some()),
        ("--chat-template", args.model.chat_template.is_some()),
    ] {
        if given {
            bail!(
                "failed to set {flag}: a model that is served with --task {} has no conversations",
                args.task
            );
        }
    }
    let file = Checkpoint::open(&args.model.path)?;
    let config = EncoderConfig::from_header(file.header())?;
    match (args.task, config.cross_encoder) {
        (Task::Rerank, false) => {
            bail!(
                "failed to serve {}: it scores no pairs of texts; serve it with --task embed",
                args.model.path.display()
            )
        }
        (Task::Embed, true) => {
            bail!(
                "failed to serve {}: it scores pairs of texts; serve it with --task rerank",
                args.model.path.display()
            )
        }
        _ => {}
    }
    let max_length = args
        .model
        .context_length
        .map_or(config.max_length, |length| length as usize);
    let tokenizer = Arc::new(TextEncoder::from_metadata(&file.header().metadata, max_length)?);
    let options = EncoderOptions {
        precision: args.model.dtype.into(),
        max_length,
        max_batch_tokens: args.model.max_batch_tokens.unwrap_or(BATCH_TOKENS) as usize,
        max_queue: args.max_queue as usize,
        threads: args
            .model
            .threads
            .map_or_else(available_threads, |threads| threads as usize),
    };
    let encoder = Encoder::start(file, options)?;
    tracing::info!(
        seconds = started.elapsed().as_secs_f64(),
        dtype = %encoder.dtype(),
        threads = encoder.options().threads,
        max_length,
        "loaded"
    );
    Ok(LoadedEncoder {
        served_name: args.served_name.clone(),
        task: args.task,
        encoder,
        tokenizer,
    })
}
