//! The handle of a running encoder, which everybody but its thread holds.

use std::sync::{Arc, mpsc};

use checkpoint::Checkpoint;
use tokio::sync::oneshot;

use super::{
    Encoded, EncoderConfig, Precision,
    thread::{self, Job},
};
use crate::{
    Dtype, Gauges, LoadError, SubmitError,
    gauges::{Place, StopMark},
};

/// How an encoder is to be run.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderOptions {
    /// Type to compute in.
    pub precision: Precision,
    /// Tokens that one text may have, marks included.
    pub max_length: usize,
    /// Tokens of one pass; a text that is longer has a pass for itself.
    pub max_batch_tokens: usize,
    /// Requests that may wait beside those being computed.
    pub max_queue: usize,
    /// Threads of one operation.
    pub threads: usize,
}

/// The rows of a request when they are there: for each text its pooled vector, of length one, or of a
/// cross-encoder its logit. Dropping it cancels what is not computed yet.
pub type Rows = oneshot::Receiver<Result<Vec<Vec<f32>>, String>>;

/// A running encoder. Its thread ends when the last clone is dropped and its requests are done.
#[derive(Clone)]
pub struct Encoder {
    jobs: mpsc::Sender<Job>,
    config: Arc<EncoderConfig>,
    options: Arc<EncoderOptions>,
    dtype: Dtype,
    gauges: Arc<Gauges>,
}

impl Encoder {
    /// Loads the weights of `file` and computes a few texts. Returns when requests can be answered at
    /// full speed.
    ///
    /// # Errors
    /// When the model cannot be loaded or not be served with these options.
    pub fn start(file: Checkpoint, options: EncoderOptions) -> Result<Self, LoadError> {
        let config = Arc::new(EncoderConfig::from_header(file.header())?);
        check(&options, &config)?;
        let options = Arc::new(options);
        let gauges = Arc::new(Gauges::default());
        let (jobs, queue) = mpsc::channel();
        let (loaded, outcome) = mpsc::channel();
        let work = {
            let (config, options, gauges) = (config.clone(), options.clone(), gauges.clone());
            move || {
                let _stopped = StopMark(gauges.clone());
                match thread::load(&file, &config, &options) {
                    Ok((network, dtype)) => {
                        drop(file);
                        if loaded.send(Ok(dtype)).is_ok() {
                            thread::run(&network, &config, &options, &gauges, &queue);
                        }
                    }
                    Err(error) => drop(loaded.send(Err(error))),
                }
            }
        };
        std::thread::Builder::new()
            .name("encoder".into())
            .spawn(work)
            .map_err(|error| LoadError::Thread(error.to_string()))?;
        match outcome.recv() {
            Ok(Ok(dtype)) => Ok(Self {
                jobs,
                config,
                options,
                dtype,
                gauges,
            }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(LoadError::Thread("it ended while it loaded the model".into())),
        }
    }

    /// Queues texts to be encoded.
    ///
    /// # Errors
    /// When a text cannot be encoded, or too many requests wait already.
    pub fn submit(&self, texts: Vec<Encoded>) -> Result<Rows, SubmitError> {
        texts.iter().try_for_each(|text| self.check(text))?;
        // Those being computed are those of one pass: there is always room for one of them.
        let place = Place::take(&self.gauges, self.options.max_queue + 1).ok_or_else(|| SubmitError::QueueFull {
            waiting: self.gauges.waiting(),
        })?;
        let (sender, rows) = oneshot::channel();
        let job = Job::new(texts, sender, place);
        self.jobs.send(job).map_err(|_| SubmitError::Stopped)?;
        Ok(rows)
    }

    fn check(&self, text: &Encoded) -> Result<(), SubmitError> {
        let vocabulary = self.config.vocabulary_size as usize;
        if text.tokens.is_empty() {
            return Err(SubmitError::EmptyPrompt);
        }
        if text.tokens.len() > self.options.max_length {
            return Err(SubmitError::TextTooLong {
                text: text.tokens.len(),
                most: self.options.max_length,
            });
        }
        let strange = text.tokens.iter().find(|token| **token as usize >= vocabulary);
        if let Some(token) = strange {
            return Err(SubmitError::UnknownToken {
                token: *token,
                vocabulary,
            });
        }
        Ok(())
    }

    /// The network's dimensions.
    pub fn config(&self) -> &EncoderConfig {
        &self.config
    }

    /// The options it was started with.
    pub fn options(&self) -> &EncoderOptions {
        &self.options
    }

    /// The type that it computes in.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// What it is doing.
    pub fn gauges(&self) -> &Gauges {
        &self.gauges
    }
}

fn check(options: &EncoderOptions, config: &EncoderConfig) -> Result<(), LoadError> {
    let refuse = |text: String| Err(LoadError::Options(text));
    if options.max_length == 0 || options.max_batch_tokens == 0 {
        return refuse("the longest text and the tokens of a batch must be at least 1".into());
    }
    if options.max_length > config.context_length {
        return refuse(format!(
            "texts of {} tokens are longer than the {} positions that the model has",
            options.max_length, config.context_length
        ));
    }
    if config.cross_encoder && config.token_types < 2 {
        return refuse("a model with one kind of tokens cannot tell the texts of a pair apart".into());
    }
    Ok(())
}
