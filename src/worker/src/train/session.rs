//! The loop: steps, measurements and checkpoints, until there is nothing left to learn or somebody says stop.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use protocol::tune::{Method, TrainFailure, TrainPlan};
use train::{Trainer, Weights, Work, collective::Group};

use super::{
    checkpoints::{Checkpoints, Saved},
    data::{self, Batching, Dataset, Renderer, Stream},
    failure::{io_at, of_train, permanent, reasons},
    measure, members,
    progress::Reporter,
    samples::{self, Question},
    state::{At, Before, State},
};

/// Time between two checkpoints where the plan does not say.
const SAVE_EVERY: Duration = Duration::from_secs(600);
/// Measurements of a training where the plan does not say.
const MEASUREMENTS: u64 = 20;
/// Records that a failure names.
const NAMED: usize = 8;

/// A training in one process.
pub struct Session<'a> {
    /// What is asked.
    pub plan: &'a TrainPlan,
    /// How texts become tokens.
    pub renderer: Renderer<'a>,
    /// What is learned from.
    pub dataset: &'a Dataset,
    /// How records are put together.
    pub batching: Batching,
    /// Where states are saved.
    pub checkpoints: &'a Checkpoints,
    /// Whether somebody said stop.
    pub stop: &'a AtomicBool,
    /// What computes.
    pub trainer: Trainer,
    /// The other processes.
    pub group: Box<dyn Group>,
    /// Who is told.
    pub reporter: &'a mut Reporter,
    /// What is known so far.
    pub state: State,
    /// What was saved last, and at which step.
    pub saved: Option<(u64, State)>,
    /// Prompts that base and result answer.
    pub questions: Vec<Question>,
}

/// How a loop ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Everything is learned, or nothing gets better.
    Finished,
    /// Somebody said stop; the state is saved.
    Interrupted,
}

impl Session<'_> {
    /// Goes on from a saved state.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn resume(&mut self, saved: Saved) -> Result<(), TrainFailure> {
        self.trainer.load(&saved.directory).map_err(of_train)?;
        tracing::info!(step = saved.step, "going on from {}", saved.directory.display());
        self.state = saved.state.clone();
        self.saved = Some((saved.step, saved.state));
        Ok(())
    }

    /// Learns.
    ///
    /// # Errors
    /// When data cannot be read, numbers run over, a state cannot be saved, or another process is lost.
    pub fn learn(&mut self, passes: Option<u64>) -> Result<End, TrainFailure> {
        let total = self.trainer.total_steps();
        let (rank, size) = (self.group.rank(), self.group.size());
        let accumulation = self.plan.hyperparameters.gradient_accumulation;
        let mut stream = Stream::new(&self.dataset.train, self.batching, passes);
        for _ in 0..self.trainer.step_number() {
            stream.step(rank, size, accumulation).map_err(unreadable)?;
        }
        self.reporter.begin(self.trainer.step_number(), total, &self.state);
        if self.trainer.step_number() == 0 && !self.look_at_base()? {
            return Ok(End::Interrupted);
        }
        let mut saved = Instant::now();
        loop {
            let step = self.trainer.step_number();
            let own = self.stop.load(Ordering::Relaxed);
            let mut stop = members::any(&mut *self.group, own)?;
            if !stop && self.is_to_be_measured(step, total) {
                self.reporter.stage("Evaluating");
                stop = !self.measure(step)?;
            }
            if stop {
                self.save(step)?;
                return Ok(End::Interrupted);
            }
            if self.state.stopped || step >= total {
                break;
            }
            if self.is_to_be_saved(step, saved) {
                self.save(step)?;
                saved = Instant::now();
            }
            self.reporter.stage("Training");
            let share = stream.step(rank, size, accumulation).map_err(unreadable)?;
            let work: Result<Vec<Work>, _> = share
                .batches
                .iter()
                .map(|batch| data::work(&self.dataset.train, batch))
                .collect();
            let begun = Instant::now();
            let report = self.trainer.step(&work.map_err(unreadable)?, &mut *self.group);
            let report = report.map_err(|error| self.explained(error, &share.all))?;
            self.state.seconds += begun.elapsed().as_secs_f64();
            self.state.add(report.loss, report.tokens);
            self.reporter.step(step + 1, &report, share.epoch, &self.state);
        }
        self.save(self.trainer.step_number())?;
        // The first one publishes alone: it must have saved before the others go.
        members::any(&mut *self.group, false)?;
        Ok(End::Finished)
    }

    /// Measures what there is to compare with. Returns whether it was completed.
    fn look_at_base(&mut self) -> Result<bool, TrainFailure> {
        self.reporter.stage("Evaluating");
        // Nothing is switched off where the weights themselves are trained: they are still those of the base.
        let weights = match self.plan.method {
            Method::Full | Method::Pretrain => Weights::Tuned,
            Method::LoRA | Method::QLoRA | Method::Adapter | Method::Prefix => Weights::Base,
        };
        let mut before = Before::default();
        if let Some(tokens) = &self.dataset.validation {
            let stopped = || self.stop.load(Ordering::Relaxed);
            let group = &mut *self.group;
            let part = ("validation", tokens);
            let loss = measure::mean(&self.trainer, part, &self.batching, weights, group, &stopped)?;
            if loss.is_none() {
                return Ok(false);
            }
            before.loss = loss;
        }
        // What a new model says at random tells nothing.
        if self.group.rank() == 0 && self.plan.method != Method::Pretrain {
            let (tokenizer, length) = (self.renderer.tokenizer, self.renderer.length);
            let perplexity = measure::general(&self.trainer, tokenizer, &self.batching, length, weights)?;
            // One that knows no language can be taught some all the same: there is nothing to compare with then.
            before.perplexity = Some(perplexity).filter(|perplexity| perplexity.is_finite());
            before.samples = samples::before(&self.trainer, &self.questions, &self.renderer, weights)?;
            tracing::info!(loss = before.loss, perplexity, "measured the base");
        }
        self.state.before = before;
        Ok(true)
    }

    fn is_to_be_measured(&self, step: u64, total: u64) -> bool {
        let every = self.plan.evaluate_every.unwrap_or(total / MEASUREMENTS).max(1);
        let done = self.state.measured.is_some_and(|measured| measured.step == step);
        self.dataset.validation.is_some() && step > 0 && !done && (step.is_multiple_of(every) || step == total)
    }

    /// Measures on the validation part. Returns whether it was completed.
    fn measure(&mut self, step: u64) -> Result<bool, TrainFailure> {
        let Some(tokens) = &self.dataset.validation else {
            return Ok(true);
        };
        let stopped = || self.stop.load(Ordering::Relaxed);
        let group = &mut *self.group;
        let part = ("validation", tokens);
        let loss = measure::mean(&self.trainer, part, &self.batching, Weights::Tuned, group, &stopped)?;
        let Some(loss) = loss else { return Ok(false) };
        self.reporter.measured(step, loss);
        match self.plan.early_stopping {
            None => self.state.measured = Some(At { step, loss }),
            Some(stopping) => {
                if self.state.measure(step, loss, stopping.min_delta) {
                    // It may be the one that is published.
                    self.save(step)?;
                } else if self.state.worse >= stopping.patience {
                    tracing::info!(step, "ending early: nothing got better {} times", self.state.worse);
                    self.state.stopped = true;
                }
            }
        }
        Ok(true)
    }

    fn is_to_be_saved(&self, step: u64, last: Instant) -> bool {
        let plan = &self.plan.checkpoint;
        let by_step = plan
            .every_steps
            .is_some_and(|every| step > 0 && step.is_multiple_of(every));
        let every = match (plan.every_seconds, plan.every_steps) {
            (Some(seconds), _) => Some(Duration::from_secs(seconds)),
            (None, None) => Some(SAVE_EVERY),
            (None, Some(_)) => None,
        };
        by_step || every.is_some_and(|every| step > 0 && last.elapsed() >= every)
    }

    fn save(&mut self, step: u64) -> Result<(), TrainFailure> {
        // Nothing was learned yet, or nothing since. What was measured since counts as well: an attempt that goes on
        // from here must come to the same end as this one, which other processes have already come to.
        if step == 0 || is_saved(self.saved.as_ref(), step, &self.state) {
            return Ok(());
        }
        self.saved = Some((step, self.state.clone()));
        if self.group.rank() == 0 {
            let begun = Instant::now();
            let write = |directory: &std::path::Path| self.trainer.save(directory);
            self.checkpoints.save(step, &self.state, write)?;
            self.reporter.saved(step, begun.elapsed());
        }
        Ok(())
    }

    /// Says which records were computed when numbers ran over.
    fn explained(&self, error: train::Error, all: &[Vec<data::Batch>]) -> TrainFailure {
        let train::Error::NotFinite { batch, .. } = &error else {
            return of_train(error);
        };
        let records: Vec<u64> = all
            .iter()
            .flatten()
            .nth(*batch)
            .into_iter()
            .flat_map(data::Batch::records)
            .collect();
        let lines: Vec<String> = records
            .iter()
            .take(NAMED)
            .filter_map(|record| Some(self.dataset.train.line(*record).ok()?.to_string()))
            .collect();
        let more = match records.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let kept = match &self.saved {
            Some((step, _)) => format!("the state of step {step} is kept"),
            None => "no state was saved before".into(),
        };
        let message = format!("{error}: train.jsonl lines {}{more}; {kept}", lines.join(", "));
        permanent(reasons::LOSS_NOT_FINITE, message)
    }
}

fn is_saved(saved: Option<&(u64, State)>, step: u64, state: &State) -> bool {
    saved.is_some_and(|(its_step, its_state)| *its_step == step && its_state == state)
}

fn unreadable(error: std::io::Error) -> TrainFailure {
    io_at("read the tokens of", std::path::Path::new("the training part"))(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_since_is_not_saved_yet() {
        let mut state = State::default();
        state.add(1.0, 10);
        let saved = (3, state.clone());
        assert!(!is_saved(None, 3, &state) && !is_saved(Some(&saved), 4, &state));
        assert!(is_saved(Some(&saved), 3, &state));
        state.stopped = true;
        assert!(!is_saved(Some(&saved), 3, &state));
    }
}
