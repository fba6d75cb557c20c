//! The thread that owns an encoder's tensors: takes texts, computes passes, sends rows.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc,
};

use checkpoint::Checkpoint;
use engine_sys::InferenceMode;
use tokio::sync::oneshot;

use super::{Encoded, EncoderConfig, EncoderOptions, network::Network, normalize, precision};
use crate::{Dtype, Gauges, LoadError, gauges::Place, set_threads};

/// A request on its way to the thread.
pub(super) struct Job {
    texts: Vec<Encoded>,
    rows: Vec<Option<Vec<f32>>>,
    /// Texts that were taken into a pass.
    taken: usize,
    answer: oneshot::Sender<Result<Vec<Vec<f32>>, String>>,
    place: Place,
}

impl Job {
    pub fn new(texts: Vec<Encoded>, answer: oneshot::Sender<Result<Vec<Vec<f32>>, String>>, place: Place) -> Self {
        Self {
            rows: vec![None; texts.len()],
            texts,
            taken: 0,
            answer,
            place,
        }
    }

    /// Sends what there is, once the place is free again.
    fn finish(self, outcome: Result<(), String>) {
        drop(self.place);
        let rows = outcome.map(|()| self.rows.into_iter().flatten().collect());
        // Whoever asked may have gone.
        let _ = self.answer.send(rows);
    }
}

/// Loads and warms up, on the thread that will compute.
pub(super) fn load(
    file: &Checkpoint,
    config: &EncoderConfig,
    options: &EncoderOptions,
) -> Result<(Network, Dtype), LoadError> {
    let _inference = InferenceMode::enter();
    set_threads(options.threads);
    let network = Network::load(file, config.clone())?;
    let (network, dtype) = precision::choose(network, config, options.precision)?;
    let shortest = Encoded::of_tokens(vec![0]);
    let longest = Encoded::of_tokens(vec![0; options.max_length]);
    for text in [&shortest, &longest] {
        let rows = network.forward(&[text])?;
        if rows.iter().flatten().any(|number| !number.is_finite()) {
            return Err(LoadError::NotFinite);
        }
    }
    // What was read, converted and tried out is not needed again.
    engine_sys::release_memory();
    Ok((network, dtype))
}

/// Answers requests until no more can come and all are answered.
pub(super) fn run(
    network: &Network,
    config: &EncoderConfig,
    options: &EncoderOptions,
    gauges: &Gauges,
    queue: &mpsc::Receiver<Job>,
) {
    let _inference = InferenceMode::enter();
    let mut jobs = VecDeque::new();
    loop {
        if !receive(&mut jobs, queue) {
            return;
        }
        jobs.retain(|job: &Job| !job.answer.is_closed());
        let pass = plan(&mut jobs, options.max_batch_tokens);
        let mut running: Vec<usize> = pass.iter().map(|(job, _)| *job).collect();
        running.dedup();
        gauges.report(running.len(), 0, 0);
        let fault = compute(network, &mut jobs, &pass).err();
        let done = |job: &Job, index: usize| match &fault {
            Some(fault) if running.contains(&index) => Some(Err(fault.clone())),
            _ => job.rows.iter().all(Option::is_some).then_some(Ok(())),
        };
        for (index, mut job) in std::mem::take(&mut jobs).into_iter().enumerate() {
            match done(&job, index) {
                Some(outcome) => {
                    if !config.cross_encoder {
                        job.rows.iter_mut().flatten().for_each(|row| normalize(row));
                    }
                    job.finish(outcome);
                }
                None => jobs.push_back(job),
            }
        }
        gauges.report(0, 0, 0);
    }
}

/// Takes new requests; waits for one if there is nothing else to do. False when no more can come and
/// none is left.
fn receive(jobs: &mut VecDeque<Job>, queue: &mpsc::Receiver<Job>) -> bool {
    if jobs.is_empty() {
        match queue.recv() {
            Ok(job) => jobs.push_back(job),
            Err(_) => return false,
        }
    }
    jobs.extend(queue.try_iter());
    true
}

/// Chooses the texts of the next pass, as (request, text): one of each request in turn, so that a
/// large one does not hold up small ones, until they have `most` tokens together.
fn plan(jobs: &mut VecDeque<Job>, most: usize) -> Vec<(usize, usize)> {
    let (mut pass, mut tokens) = (Vec::new(), 0);
    loop {
        let before = pass.len();
        for (index, job) in jobs.iter_mut().enumerate() {
            let Some(text) = job.texts.get(job.taken) else { continue };
            if !pass.is_empty() && tokens + text.tokens.len() > most {
                pass.sort_unstable();
                return pass;
            }
            tokens += text.tokens.len();
            pass.push((index, job.taken));
            job.taken += 1;
        }
        if pass.len() == before {
            pass.sort_unstable();
            return pass;
        }
    }
}

/// Computes one pass and keeps its rows. Whatever goes wrong in it is told and harms nothing else: the
/// network does not change by computing.
fn compute(network: &Network, jobs: &mut VecDeque<Job>, pass: &[(usize, usize)]) -> Result<(), String> {
    if pass.is_empty() {
        return Ok(());
    }
    let texts: Vec<&Encoded> = pass.iter().map(|(job, text)| &jobs[*job].texts[*text]).collect();
    let outcome = catch_unwind(AssertUnwindSafe(|| network.forward(&texts)));
    let fault = match outcome {
        Ok(Ok(rows)) if rows.iter().flatten().all(|number| number.is_finite()) => {
            for ((job, text), row) in pass.iter().zip(rows) {
                jobs[*job].rows[*text] = Some(row);
            }
            return Ok(());
        }
        Ok(Ok(_)) => "the network gave infinite or undefined numbers".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the encoder met a fault of its own".into(),
    };
    tracing::error!(error = fault, texts = pass.len(), "failed to compute a pass");
    Err(fault)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn job(lengths: &[usize]) -> Job {
        let texts = lengths.iter().map(|length| Encoded::of_tokens(vec![0; *length]));
        let gauges = Arc::new(Gauges::default());
        Job::new(texts.collect(), oneshot::channel().0, Place::take(&gauges, 1).unwrap())
    }

    #[test]
    fn requests_take_turns_within_the_budget() {
        let mut jobs: VecDeque<Job> = [job(&[10, 10, 10, 10]), job(&[20]), job(&[5, 5])].into();
        assert_eq!(plan(&mut jobs, 50), [(0, 0), (0, 1), (1, 0), (2, 0), (2, 1)]);
        assert_eq!(plan(&mut jobs, 50), [(0, 2), (0, 3)]);
        assert_eq!(plan(&mut jobs, 50), []);
    }

    #[test]
    fn a_text_beyond_the_budget_has_a_pass_for_itself() {
        let mut jobs: VecDeque<Job> = [job(&[60, 3])].into();
        assert_eq!(plan(&mut jobs, 50), [(0, 0)]);
        assert_eq!(plan(&mut jobs, 50), [(0, 1)]);
    }
}
