//! The thread that owns every tensor: takes requests, computes passes, sends events.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc,
};

use gguf::GgufFile;
use tokio::sync::mpsc::UnboundedSender;

use crate::{
    EngineOptions, Event, Gauges, KvCache, LoadError, Model, Request, gauges::Place, sequence::Sequence, set_threads,
    step, warm_up::warm_up,
};

/// A request on its way to the engine thread.
pub(crate) struct Job {
    pub request: Request,
    pub events: UnboundedSender<Event>,
    pub place: Place,
}

/// Loads and warms up, on the thread that will compute.
pub(crate) fn load(file: &GgufFile, options: &EngineOptions) -> Result<(Model, KvCache), LoadError> {
    let _no_grad = tch::no_grad_guard();
    set_threads(options.threads);
    let model = Model::load(file, options.dtype, options.context_length, options.threads)?;
    let cache = model.cache(options.max_concurrent_sequences, options.context_length)?;
    warm_up(&model, &cache, options)?;
    Ok((model, cache))
}

/// Answers requests until no more can come and all are answered.
pub(crate) fn run(model: Model, cache: KvCache, options: &EngineOptions, gauges: &Gauges, queue: &mpsc::Receiver<Job>) {
    let _no_grad = tch::no_grad_guard();
    let mut thread = EngineThread {
        model,
        cache,
        options,
        waiting: VecDeque::new(),
        running: Vec::new(),
    };
    let mut open = true;
    while open || !thread.is_idle() {
        open = thread.receive(queue);
        thread.forget_cancelled();
        thread.admit();
        thread.step();
        let cached = thread.running.iter().map(Sequence::cached).sum();
        gauges.report(thread.running.len(), cached);
    }
}

struct EngineThread<'a> {
    model: Model,
    cache: KvCache,
    options: &'a EngineOptions,
    waiting: VecDeque<Job>,
    running: Vec<Sequence>,
}

impl EngineThread<'_> {
    fn is_idle(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty()
    }

    /// Takes new requests; waits for one if there is nothing else to do. False when no more can come.
    fn receive(&mut self, queue: &mpsc::Receiver<Job>) -> bool {
        if self.is_idle() {
            match queue.recv() {
                Ok(job) => self.waiting.push_back(job),
                Err(_) => return false,
            }
        }
        loop {
            match queue.try_recv() {
                Ok(job) => self.waiting.push_back(job),
                Err(error) => return error == mpsc::TryRecvError::Empty,
            }
        }
    }

    fn forget_cancelled(&mut self) {
        self.waiting.retain(|job| !job.events.is_closed());
        self.running.retain(|sequence| !sequence.is_cancelled());
    }

    fn admit(&mut self) {
        let slots = 0..self.options.max_concurrent_sequences;
        let used: Vec<usize> = self.running.iter().map(Sequence::slot).collect();
        for slot in slots.filter(|slot| !used.contains(slot)) {
            let Some(job) = self.waiting.pop_front() else { return };
            self.running.push(Sequence::new(job, slot, self.options.context_length));
        }
    }

    /// One forward pass. Whatever goes wrong in it fails the requests under way and nothing else.
    fn step(&mut self) {
        if self.running.is_empty() {
            return;
        }
        let budget = self.options.max_batch_tokens;
        let pass = AssertUnwindSafe(|| step::run(&self.model, &self.cache, &mut self.running, budget));
        let fault = match catch_unwind(pass) {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the engine met a fault of its own".into(),
        };
        tracing::error!(error = fault, requests = self.running.len(), "failed to compute a pass");
        for sequence in self.running.drain(..) {
            sequence.fail(&fault);
        }
    }
}
