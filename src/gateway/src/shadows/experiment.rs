//! A comparison under way in this process: which requests it chooses, and the copies that wait.

use std::{
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use ::shadow::sample::{Asker, Key as SampleKey, Percent, Sampler, TokenBucket};
use api::shadowdeployment::{Candidate, ComparedMetric};
use axum::http::HeaderMap;
use serde_json::Value;
use store::shadows::Key;
use tokio::sync::{OnceCell, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    drops::Drop,
    metrics::Metrics,
    pair::Job,
    spec::{Comparison, Settings, Words},
    tally::Tally,
    words::Bar,
};

/// Copies of one comparison under way at once.
const CONCURRENT: usize = 16;
/// Of so many copies, one asks the serving version once more.
const BASELINE_EVERY: u64 = 5;

/// A comparison under way.
pub struct Experiment {
    /// What it is known by.
    pub key: Key,
    /// The LlmModel whose requests are copied.
    pub model: String,
    /// What answers in the dark.
    pub candidate: Candidate,
    /// What is measured.
    pub metrics: Vec<ComparedMetric>,
    /// What was counted.
    pub tally: Tally,
    /// Whether the database knows of it.
    pub opened: OnceCell<()>,
    /// How different answers must be for their words to be kept.
    pub bar: Bar,
    /// Places for copies under way.
    pub places: Arc<Semaphore>,
    /// Cancelled when it ends.
    pub ended: CancellationToken,
    chosen: RwLock<Chosen>,
    bucket: Mutex<Option<TokenBucket>>,
    jobs: mpsc::UnboundedSender<Job>,
    waiting: AtomicUsize,
    copies: AtomicU64,
    has_answered: AtomicBool,
    started: Instant,
    shown: Metrics,
}

struct Chosen {
    sampler: Sampler,
    settings: Settings,
    primary_version: Option<String>,
}

impl Experiment {
    /// One that begins, and the copies that it will hand over.
    pub fn begin(key: Key, comparison: Comparison, shown: Metrics) -> (Self, mpsc::UnboundedReceiver<Job>) {
        let (jobs, receiver) = mpsc::unbounded_channel();
        let started = Instant::now();
        let this = Self {
            chosen: RwLock::new(Chosen {
                sampler: Sampler::new(&key.uid, comparison.settings.percent),
                settings: comparison.settings.clone(),
                primary_version: comparison.primary_version,
            }),
            bucket: Mutex::new(
                comparison
                    .settings
                    .max_per_second
                    .map(|rate| TokenBucket::new(rate, Duration::ZERO)),
            ),
            key,
            model: comparison.model,
            candidate: comparison.candidate,
            metrics: comparison.metrics,
            tally: Tally::default(),
            opened: OnceCell::new(),
            bar: Bar::default(),
            places: Arc::new(Semaphore::new(CONCURRENT)),
            ended: CancellationToken::new(),
            jobs,
            waiting: AtomicUsize::new(0),
            copies: AtomicU64::new(0),
            has_answered: AtomicBool::new(false),
            started,
            shown,
        };
        (this, receiver)
    }

    /// Goes on with other settings.
    pub fn change(&self, comparison: Comparison) {
        let now = self.started.elapsed();
        let rate = comparison.settings.max_per_second;
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        match (&mut *bucket, rate) {
            (Some(bucket), Some(rate)) => bucket.set_rate(rate, now),
            (bucket, rate) => *bucket = rate.map(|rate| TokenBucket::new(rate, now)),
        }
        drop(bucket);
        let mut chosen = self.chosen.write().unwrap_or_else(PoisonError::into_inner);
        chosen.sampler.set_percent(comparison.settings.percent);
        chosen.settings = comparison.settings;
        chosen.primary_version = comparison.primary_version;
    }

    /// Whether there is a key that it chooses.
    pub fn chooses_any(&self) -> bool {
        self.with(|chosen| chosen.sampler.percent() > Percent::from_millionths(0))
    }

    /// The cluster of a request if it is chosen.
    pub fn choose(&self, caller: &str, headers: &HeaderMap, request_id: &str, outline: &Value) -> Option<String> {
        self.with(|chosen| {
            let header = chosen.settings.header.as_deref().and_then(|name| headers.get(name));
            let asker = Asker {
                caller,
                header: header.and_then(|value| value.to_str().ok()),
                request_id,
            };
            let key = SampleKey::of(chosen.settings.key, &asker, outline);
            chosen.sampler.includes(&key).then(|| chosen.sampler.cluster(&key))
        })
    }

    /// Takes the place of one copy in this second.
    pub fn has_rate(&self) -> bool {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.started.elapsed();
        bucket.as_mut().is_none_or(|bucket| bucket.take(now))
    }

    /// Hands a copy over, if there is room for one more that waits.
    pub fn push(&self, job: Job) -> Result<(), Drop> {
        let most = self.with(|chosen| chosen.settings.queue);
        let room = |waiting: usize| (waiting < most).then_some(waiting + 1);
        self.waiting
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, room)
            .map_err(|_| Drop::Queue)?;
        self.jobs.send(job).map_err(|_| Drop::Stopped)
    }

    /// A copy does not wait any more.
    pub fn taken(&self) {
        self.waiting.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether the next copy asks the serving version once more.
    pub fn wants_baseline(&self) -> bool {
        self.copies
            .fetch_add(1, Ordering::Relaxed)
            .is_multiple_of(BASELINE_EVERY)
    }

    /// Copies that were handed over, or for which there was no room.
    #[cfg(test)]
    pub fn copies(&self) -> u64 {
        self.copies.load(Ordering::Relaxed)
    }

    /// The version that is compared with, if the operator has said which.
    pub fn primary_version(&self) -> Option<String> {
        self.with(|chosen| chosen.primary_version.clone())
    }

    /// Time after which a copy is given up, if the spec says.
    pub fn timeout(&self) -> Option<Duration> {
        self.with(|chosen| chosen.settings.timeout)
    }

    /// What is kept of words.
    pub fn words(&self) -> Words {
        self.with(|chosen| chosen.settings.words)
    }

    /// The candidate has a worker. From now on, having none is its failure.
    pub fn is_ready(&self) {
        self.has_answered.store(true, Ordering::Relaxed);
    }

    /// Whether the candidate ever had a worker.
    pub fn was_ready(&self) -> bool {
        self.has_answered.load(Ordering::Relaxed)
    }

    /// A request that was chosen gives no pair.
    pub fn dropped(&self, why: Drop, has_begun: bool) {
        self.tally.dropped(why, has_begun);
        self.shown.dropped(&self.key.namespace, &self.key.name, why);
    }

    /// What is counted of it is shown there.
    pub fn shown(&self) -> &Metrics {
        &self.shown
    }

    fn with<T>(&self, read: impl FnOnce(&Chosen) -> T) -> T {
        read(&self.chosen.read().unwrap_or_else(PoisonError::into_inner))
    }
}
