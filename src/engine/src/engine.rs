//! The handle of a running model, which everybody but the engine thread holds.

use std::{
    sync::{Arc, mpsc},
    thread,
};

use checkpoint::Checkpoint;
use tokio::sync::mpsc::unbounded_channel;

use crate::{
    Device, Gauges, LoadError, ModelConfig, ModelOptions, Ops, Request, SubmitError,
    engine_thread::{self, Job},
    gauges::{Place, StopMark},
    request::Events,
};

/// How a model is to be run.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineOptions {
    /// How the network is computed.
    pub model: ModelOptions,
    /// Sequences computed at the same time.
    pub max_concurrent_sequences: usize,
    /// Tokens of one pass.
    pub max_batch_tokens: usize,
    /// Requests that may wait beside those being computed.
    pub max_queue: usize,
    /// Whether beginnings of prompts are kept for later ones.
    pub prefix_cache: bool,
    /// Tokens whose keys and values are held at most; by default as many as all concurrent sequences
    /// may have. The memory limit may leave less.
    pub kv_cache_tokens: Option<usize>,
}

/// A running model. The engine thread ends when the last clone is dropped and its requests are done.
#[derive(Clone)]
pub struct Engine {
    jobs: mpsc::Sender<Job>,
    config: Arc<ModelConfig>,
    options: Arc<EngineOptions>,
    gauges: Arc<Gauges>,
}

impl Engine {
    /// Loads the weights of `file` and computes everything once. Returns when requests can be
    /// answered at full speed.
    ///
    /// # Errors
    /// When the model cannot be loaded or not be served with these options.
    pub fn start(file: Checkpoint, options: EngineOptions) -> Result<Self, LoadError> {
        let config = Arc::new(ModelConfig::from_header(file.header())?);
        check(&options, &config)?;
        let options = Arc::new(options);
        let gauges = Arc::new(Gauges::default());
        let (jobs, queue) = mpsc::channel();
        let (loaded, outcome) = mpsc::channel();
        let thread = {
            let (options, gauges) = (options.clone(), gauges.clone());
            move || {
                let _stopped = StopMark(gauges.clone());
                match engine_thread::load(&file, &options) {
                    Ok(ready) => {
                        drop(file);
                        if loaded.send(Ok(())).is_ok() {
                            engine_thread::run(ready, &options, &gauges, &queue);
                        }
                    }
                    Err(error) => drop(loaded.send(Err(error))),
                }
            }
        };
        thread::Builder::new()
            .name("engine".into())
            .spawn(thread)
            .map_err(|error| LoadError::Thread(error.to_string()))?;
        match outcome.recv() {
            Ok(Ok(())) => Ok(Self {
                jobs,
                config,
                options,
                gauges,
            }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(LoadError::Thread("it ended while it loaded the model".into())),
        }
    }

    /// Queues a request; its events come through the returned channel.
    ///
    /// # Errors
    /// When the request cannot be answered, or too many wait already.
    pub fn submit(&self, request: Request) -> Result<Events, SubmitError> {
        self.check(&request)?;
        let most = self.options.max_concurrent_sequences + self.options.max_queue;
        let place = Place::take(&self.gauges, most).ok_or_else(|| SubmitError::QueueFull {
            waiting: self.gauges.waiting(),
        })?;
        let (sender, events) = unbounded_channel();
        let job = Job {
            request,
            events: sender,
            place,
        };
        self.jobs.send(job).map_err(|_| SubmitError::Stopped)?;
        Ok(events)
    }

    fn check(&self, request: &Request) -> Result<(), SubmitError> {
        let vocabulary = self.config.vocabulary_size as usize;
        let context = self.options.model.context_length;
        let for_answer = usize::from(request.max_tokens > 0);
        if request.prompt.is_empty() {
            return Err(SubmitError::EmptyPrompt);
        }
        if request.prompt.len() + for_answer > context {
            return Err(SubmitError::TooLong {
                prompt: request.prompt.len(),
                context,
            });
        }
        match request.prompt.iter().find(|token| **token as usize >= vocabulary) {
            Some(token) => Err(SubmitError::UnknownToken {
                token: *token,
                vocabulary,
            }),
            None => Ok(()),
        }
    }

    /// The network's dimensions.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The options it was started with.
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// What it is doing.
    pub fn gauges(&self) -> &Gauges {
        &self.gauges
    }
}

fn check(options: &EngineOptions, config: &ModelConfig) -> Result<(), LoadError> {
    let refuse = |text: String| Err(LoadError::Options(text));
    let context_length = options.model.context_length;
    let EngineOptions {
        max_concurrent_sequences,
        max_batch_tokens,
        ..
    } = *options;
    if context_length == 0 || max_concurrent_sequences == 0 || max_batch_tokens == 0 {
        return refuse("context length, concurrent sequences and batch tokens must be at least 1".into());
    }
    if context_length > config.context_length {
        return refuse(format!(
            "a context of {context_length} tokens is longer than the {} that the model was trained for",
            config.context_length
        ));
    }
    if options.model.ops == Ops::Own && options.model.device != Device::Cpu {
        return refuse(format!("the kernels of our own do not run on {}", options.model.device));
    }
    if max_batch_tokens < max_concurrent_sequences {
        return refuse(format!(
            "a pass of {max_batch_tokens} tokens has no room for one of each of {max_concurrent_sequences} sequences"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
