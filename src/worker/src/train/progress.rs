//! How a training tells how far it is: lines of the log, metrics, and files for TensorBoard.

use std::{
    io::{self, Write as _},
    path::Path,
    time::{Duration, Instant},
};

use protocol::tune::{TrainOutcome, TrainProgress};
use train::StepReport;

use super::{metrics::Metrics, state::State, tensorboard::EventFile};

/// Least time between two lines.
const INTERVAL: Duration = Duration::from_secs(2);
/// How far back speeds look.
const MEMORY: Duration = Duration::from_secs(30);

/// Tells how far a training is.
pub struct Reporter {
    metrics: Metrics,
    events: Option<EventFile>,
    /// Only one process of a training speaks.
    speaks: bool,
    progress: TrainProgress,
    said: Option<Instant>,
    speed: Speed,
}

impl Reporter {
    /// One that has nothing to tell yet.
    pub fn new(metrics: Metrics, speaks: bool) -> Self {
        Self {
            metrics,
            events: None,
            speaks,
            progress: TrainProgress {
                stage: "Loading".into(),
                ..TrainProgress::default()
            },
            said: None,
            speed: Speed::default(),
        }
    }

    /// Begins the file for TensorBoard. A training goes on without one.
    pub fn begin_events(&mut self, directory: &Path, step: u64) {
        if !self.speaks {
            return;
        }
        match EventFile::create(directory, step) {
            Ok(events) => self.events = Some(events),
            Err(error) => tracing::warn!("failed to write for TensorBoard in {}: {error}", directory.display()),
        }
    }

    /// Says where the training begins.
    pub fn begin(&mut self, step: u64, total: u64, state: &State) {
        self.progress.step = step;
        self.progress.total_steps = total;
        self.progress.checkpoint = (step > 0).then_some(step);
        self.progress.eval_loss = state.measured.map(|it| it.loss);
        self.metrics.step.set(step as f64);
        self.metrics.total_steps.set(total as f64);
        self.speed = Speed::default();
    }

    /// Says what it does now; not more often than all the rest, as some measure after every step.
    pub fn stage(&mut self, stage: &str) {
        if self.progress.stage != stage {
            self.progress.stage = stage.into();
            self.say_in_time();
        }
    }

    /// Tells of a step.
    pub fn step(&mut self, step: u64, report: &StepReport, epoch: f64, state: &State) {
        let progress = &mut self.progress;
        progress.step = step;
        progress.epoch = epoch;
        progress.loss = Some(state.last_loss());
        progress.learning_rate = report.learning_rate;
        progress.tokens_per_second = self.speed.add(report.tokens, Instant::now());
        let left = progress.total_steps.saturating_sub(step);
        progress.remaining_seconds = self
            .speed
            .seconds_each_step()
            .map(|each| (left as f64 * each).ceil() as u64);
        let metrics = &self.metrics;
        metrics.step.set(step as f64);
        metrics.epoch.set(epoch);
        metrics.loss.set(report.loss);
        metrics.learning_rate.set(report.learning_rate);
        metrics.gradient_norm.set(report.gradient_norm);
        metrics.tokens.inc_by(report.tokens as f64);
        metrics.tokens_per_second.set(progress.tokens_per_second);
        let own = [
            ("loss", report.loss),
            ("learning_rate", report.learning_rate),
            ("grad_norm", report.gradient_norm),
            ("epoch", epoch),
            ("num_tokens", state.tokens as f64),
            ("train_tokens_per_second", progress.tokens_per_second),
        ];
        let more = report.metrics.iter().map(|(name, value)| (*name, *value));
        self.event(step, own.into_iter().chain(more));
        self.say_in_time();
    }

    /// Tells of a measurement.
    pub fn measured(&mut self, step: u64, loss: f64) {
        self.progress.eval_loss = Some(loss);
        self.metrics.eval_loss.set(loss);
        self.event(step, [("eval_loss", loss)]);
        tracing::info!(step, loss, "measured on the validation part");
    }

    /// Tells of a checkpoint.
    pub fn saved(&mut self, step: u64, took: Duration) {
        self.progress.checkpoint = Some(step);
        self.metrics.checkpoint_step.set(step as f64);
        self.metrics.checkpoint_seconds.set(took.as_secs_f64());
        tracing::info!(step, seconds = took.as_secs_f64(), "saved the state");
        if let Some(events) = &mut self.events {
            let _ = events.flush();
        }
    }

    /// How far it is.
    pub fn progress(&self) -> TrainProgress {
        TrainProgress {
            memory: resident(),
            ..self.progress.clone()
        }
    }

    /// Completes the file for TensorBoard.
    pub fn flush(&mut self) {
        if let Some(events) = &mut self.events
            && let Err(error) = events.flush()
        {
            tracing::warn!("failed to write for TensorBoard: {error}");
        }
    }

    fn say_in_time(&mut self) {
        if self.said.is_none_or(|said| said.elapsed() >= INTERVAL) {
            self.say();
        }
    }

    fn say(&mut self) {
        self.said = Some(Instant::now());
        let progress = self.progress();
        self.metrics.memory.set(progress.memory as f64);
        if self.speaks {
            let line = serde_json::to_string(&TrainOutcome::Running(progress)).expect("it has text keys only");
            // Nothing depends on it.
            let _ = writeln!(io::stdout(), "{line}");
        }
    }

    fn event<'a>(&mut self, step: u64, values: impl IntoIterator<Item = (&'a str, f64)>) {
        if let Some(events) = &mut self.events
            && let Err(error) = events.add(step, values)
        {
            tracing::warn!("failed to write for TensorBoard: {error}");
            self.events = None;
        }
    }
}

/// Tokens and steps each second, of late.
#[derive(Debug, Default)]
struct Speed {
    last: Option<Instant>,
    seconds: f64,
    tokens: f64,
    steps: f64,
}

impl Speed {
    fn add(&mut self, tokens: u64, now: Instant) -> f64 {
        if let Some(last) = self.last {
            let passed = now.duration_since(last).as_secs_f64();
            let kept = (-passed / MEMORY.as_secs_f64()).exp();
            self.seconds = self.seconds * kept + passed;
            self.tokens = self.tokens * kept + tokens as f64;
            self.steps = self.steps * kept + 1.0;
        }
        self.last = Some(now);
        if self.seconds > 0.0 {
            self.tokens / self.seconds
        } else {
            0.0
        }
    }

    fn seconds_each_step(&self) -> Option<f64> {
        (self.steps > 0.0).then(|| self.seconds / self.steps)
    }
}

/// Memory that this process holds, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() << 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speed_is_that_of_late() {
        let start = Instant::now();
        let mut speed = Speed::default();
        assert_eq!(speed.add(100, start), 0.0);
        let mut last = 0.0;
        for second in 1..=10 {
            last = speed.add(100, start + Duration::from_secs(second));
        }
        assert!((last - 100.0).abs() < 1e-9, "{last}");
        assert_eq!(speed.seconds_each_step(), Some(1.0));
        for second in 11..=200 {
            last = speed.add(300, start + Duration::from_secs(second));
        }
        assert!((299.0..300.5).contains(&last), "{last}");
    }

    #[test]
    fn a_process_has_memory() {
        assert!(resident() > 1 << 20);
    }
}
