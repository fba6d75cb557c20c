//! The thread that owns every tensor: takes requests, computes passes, sends events.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc,
    time::{Duration, Instant},
};

use checkpoint::Checkpoint;
use engine_sys::InferenceMode;
use tokio::sync::mpsc::UnboundedSender;

use crate::{
    EngineOptions, Event, Gauges, KvCache, LoadError, Model, PAGE, Request, SelfBench, cache_size::CacheSize,
    error::brief, gauges::Place, pages::Pages, scheduler::Scheduler, sequence::Sequence, set_threads, step,
    warm_up::warm_up,
};

/// How often the memory limit is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Bytes of a block that goes back to the system at once. Smaller ones, as the inputs of most layers, are used again without
/// the system having to clear them: that costs prompts 2 % of their speed.
const MAPPED: i32 = 4 << 20;
/// Bytes of smaller ones that a heap may keep.
const KEPT: i32 = 32 << 20;

/// A request on its way to the engine thread.
pub(crate) struct Job {
    pub request: Request,
    pub events: UnboundedSender<Event>,
    pub place: Place,
}

/// What the engine thread computes with.
pub(crate) struct Loaded {
    model: Model,
    cache: KvCache,
    size: CacheSize,
}

/// Loads and warms up, on the thread that will compute.
pub(crate) fn load(file: &Checkpoint, options: &EngineOptions) -> Result<Loaded, LoadError> {
    let _inference = InferenceMode::enter();
    set_threads(options.model.threads);
    if options.model.packs() {
        SelfBench::choose(options.model.cache.as_ref())?;
    }
    let model = Model::load(file, &options.model)?;
    let size = CacheSize::new(model.config(), options)?;
    let cache = model.cache(size.reserved())?;
    warm_up(&model, &cache, options)?;
    // What was read, converted and tried out is not needed again.
    engine_sys::release_memory();
    // Logits of many tokens are such blocks, of ever other sizes: among others they tear heaps to pieces, which then grow to
    // several times of what is in use.
    if !engine_sys::map_large_blocks(MAPPED, KEPT) {
        tracing::warn!("the allocator keeps its own limits: more memory may be held than is used");
    }
    tracing::info!(
        tokens = size.now() * PAGE,
        most_tokens = size.reserved() * PAGE,
        "the cache of keys and values has room"
    );
    Ok(Loaded { model, cache, size })
}

/// Answers requests until no more can come and all are answered.
pub(crate) fn run(loaded: Loaded, options: &EngineOptions, gauges: &Gauges, queue: &mpsc::Receiver<Job>) {
    let _inference = InferenceMode::enter();
    let pages = Pages::new(loaded.cache.pages(), options.prefix_cache);
    let mut thread = EngineThread {
        scheduler: Scheduler::new(options, pages),
        loaded,
        options,
        next_look: Instant::now(),
    };
    let mut open = true;
    thread.report(gauges);
    while open || !thread.scheduler.is_idle() {
        open = thread.receive(queue);
        let goes_on = thread.turn();
        thread.report(gauges);
        if !goes_on {
            return;
        }
    }
}

struct EngineThread<'a> {
    loaded: Loaded,
    options: &'a EngineOptions,
    scheduler: Scheduler,
    next_look: Instant,
}

impl EngineThread<'_> {
    /// Takes new requests; waits for one if there is nothing else to do. False when no more can come.
    fn receive(&mut self, queue: &mpsc::Receiver<Job>) -> bool {
        if self.scheduler.is_idle() {
            match queue.recv() {
                Ok(job) => self.push(job),
                Err(_) => return false,
            }
        }
        loop {
            match queue.try_recv() {
                Ok(job) => self.push(job),
                Err(error) => return error == mpsc::TryRecvError::Empty,
            }
        }
    }

    fn push(&mut self, job: Job) {
        self.scheduler
            .push(Sequence::new(job, self.options.model.context_length));
    }

    /// One forward pass and what goes with it. Whatever goes wrong in it, a panic too, fails the
    /// requests under way and nothing else: the next ones find an engine with an empty cache. False if the
    /// device computes nothing any more.
    fn turn(&mut self) -> bool {
        let turn = AssertUnwindSafe(|| {
            self.follow_the_memory_limit();
            self.scheduler.forget_cancelled();
            self.scheduler.admit();
            step::run(&self.loaded.model, &self.loaded.cache, &mut self.scheduler)
        });
        let fault = match catch_unwind(turn) {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => brief(&error),
            Err(_) => "the engine met a fault of its own".into(),
        };
        tracing::error!(
            error = fault,
            requests = self.scheduler.running().len(),
            "failed to compute a pass"
        );
        self.scheduler.fail_running(&fault);
        match self.loaded.model.recover() {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(error = brief(&error), "the device is lost");
                false
            }
        }
    }

    fn report(&self, gauges: &Gauges) {
        let running = self.scheduler.running();
        let cached = running.iter().map(Sequence::computed).sum();
        gauges.report(running.len(), cached, self.scheduler.pages().limit() * PAGE);
    }

    fn follow_the_memory_limit(&mut self) {
        let now = Instant::now();
        if now < self.next_look {
            return;
        }
        self.next_look = now + LOOK;
        let before = self.scheduler.pages().limit();
        let limit = self.loaded.size.now();
        if limit != before {
            self.scheduler.pages_mut().set_limit(limit);
            tracing::info!(tokens = limit * PAGE, "the cache's size changed with the memory limit");
        }
    }
}
