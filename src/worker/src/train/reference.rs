//! The loss of what was published last on the data of today, computed by the engine that serves it.

use std::{path::Path, sync::Arc};

use checkpoint::Checkpoint;
use engine::{
    Cache, Device, Dtype, Engine, EngineOptions, Event, Events, ModelOptions, Ops, Request, available_threads,
    lora::Adapter,
};
use protocol::tune::{Objective, OutputKind, TrainFailure};
use train::{IGNORE, Sequence};

use super::{
    data::{Example, Lengths as _, Tokens},
    failure::{permanent, reasons, temporary},
    suites::Asker,
};

/// Texts that are computed at the same time.
const AT_ONCE: usize = 8;
/// Tokens of one pass.
const BATCH_TOKENS: usize = 512;

impl Asker<'_> {
    /// The loss of an output on the validation part. `None` if it cannot be measured so: pairs have a loss of another
    /// kind, and the engine loads no outputs but low-rank matrices and weights.
    ///
    /// # Errors
    /// When it cannot be loaded or computed.
    pub fn loss(&self, output: &Path, kind: OutputKind, validation: &Tokens) -> Result<Option<f64>, TrainFailure> {
        if self.plan.objective == Objective::DPO {
            return Ok(None);
        }
        let refused = |why: &dyn std::fmt::Display| {
            let message = format!("failed to measure the current output {}: {why}", output.display());
            permanent(reasons::INVALID_PLAN, message)
        };
        let path = match kind {
            OutputKind::Weights => output,
            OutputKind::Adapter => &self.plan.model,
        };
        let file = Checkpoint::open(path).map_err(|error| refused(&error))?;
        let threads = self.threads.map_or_else(available_threads, |threads| threads as usize);
        let no_cache: Option<Cache> = None;
        let options = EngineOptions {
            model: ModelOptions {
                device: Device::Cpu,
                dtype: Dtype::Fp32,
                ops: Ops::Own,
                context_length: self.context_length,
                threads,
                cache: no_cache,
            },
            max_concurrent_sequences: AT_ONCE,
            max_batch_tokens: BATCH_TOKENS,
            max_queue: AT_ONCE,
            prefix_cache: false,
            kv_cache_tokens: None,
        };
        let engine = Engine::start(file, options).map_err(|error| refused(&error))?;
        let adapter = match kind {
            OutputKind::Weights => None,
            OutputKind::Adapter => match Adapter::load(output, engine.config(), Dtype::Fp32) {
                Ok(adapter) => Some(Arc::new(adapter)),
                Err(error) => {
                    tracing::warn!("the current output is not measured: {error}");
                    return Ok(None);
                }
            },
        };
        let (mut loss, mut weight) = (0.0, 0.0);
        let mut number = 0;
        while number < validation.count() {
            let end = validation.count().min(number + AT_ONCE as u64);
            let mut asked = Vec::new();
            for text in number..end {
                let read = validation.read(text);
                let example = read.map_err(|error| temporary(reasons::INTERNAL, error.to_string()))?;
                let Example::One(text) = example else { return Ok(None) };
                let request = request(&text, adapter.clone());
                asked.push((engine.submit(request).map_err(|error| refused(&error))?, text));
            }
            for (events, text) in asked {
                loss += learned(events, &text).map_err(|why| refused(&why))?;
                weight += text.targets() as f64;
            }
            number = end;
        }
        Ok((weight > 0.0).then_some(loss / weight))
    }
}

fn request(text: &Sequence, adapter: Option<Arc<Adapter>>) -> Request {
    let last = text.targets.last().copied();
    // Texts end with something that is learned.
    let tokens = text.tokens.iter().copied().chain(last.filter(|last| *last != IGNORE));
    Request {
        prompt: tokens.filter_map(|token| u32::try_from(token).ok()).collect(),
        max_tokens: 0,
        prompt_logprobs: Some(0),
        adapter,
        ..Request::default()
    }
}

/// The sum of the losses at the places that are learned.
fn learned(mut events: Events, text: &Sequence) -> Result<f64, String> {
    while let Some(event) = events.blocking_recv() {
        match event {
            Event::Prompt { logprobs, .. } => {
                let places = text
                    .targets
                    .iter()
                    .zip(&logprobs)
                    .filter(|(target, _)| **target != IGNORE);
                return Ok(places.map(|(_, place)| -f64::from(place.chosen.logprob)).sum());
            }
            Event::Failed(failure) => return Err(failure.to_string()),
            Event::Token { .. } | Event::Finished(_) => {}
        }
    }
    Err("the engine has ended".into())
}
