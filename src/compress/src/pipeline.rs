//! From a source to a result in the store.

mod run;

use std::path::PathBuf;

use protocol::{CompressionReport, Progress, Stage};

use crate::{
    Error, Options, Quantization, calibration,
    error::{increase, percent},
    plan::Plan,
    prune::layers,
    source::Source,
    store::{Key, Made, Store, Work},
};
use run::Run;

/// What to compress.
pub struct Job {
    /// The weights, verified: a GGUF file, or a directory of safetensors files.
    pub source: PathBuf,
    /// Its digest, `sha256:` and 64 hex digits.
    pub digest: String,
    /// Its size.
    pub bytes: u64,
    /// What is to come of it.
    pub options: Options,
}

/// A result in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its file, relative to the store.
    pub file: String,
    /// Digest of the file, `sha256:` and 64 hex digits.
    pub digest: String,
    /// Size of the file.
    pub bytes: u64,
    /// What it cost.
    pub report: CompressionReport,
}

/// Compresses, or finds what an earlier run made of the same. Tells progress as it comes, without
/// speed. Sets libtorch's threads; nothing else may use it meanwhile.
///
/// # Errors
/// When the source cannot be read or computed, the store cannot be written, or the result is worse
/// than allowed; then nothing of it stays in the store.
pub fn run(job: Job, mut on_progress: impl FnMut(Progress)) -> Result<Outcome, Error> {
    engine::set_threads(engine::available_threads());
    let _no_gradients = tch::no_grad_guard();
    let text = calibration::text(job.options.calibration.as_deref())?;
    let store = Store::open(&job.options.store)?;
    let key = Key::new(&job.digest, &text, &job.options).name();
    if let Some(made) = store.made(&key) {
        tracing::info!("{} was made before", Store::file(&made.digest));
        let (before, after) = made.perplexities();
        gate(&job, before, after)?;
        return Ok(outcome(&job, &made));
    }
    let source = Source::open(&job.source)?;
    let tokenizer = engine::text::Tokenizer::from_metadata(&source.header().metadata)?;
    let windows = calibration::windows(&text, &tokenizer, source.config())?;
    let count = layers::count(source.config().layers, &job.options)?;
    let mut plan = Plan::new(&source, &job.options, &[])?;
    // What can be refused without work is refused by now.
    let work = Work::open(&store, &key)?;
    store.remove_stale();
    if count > 0 {
        let total = source.config().layers as u64;
        let report = |layer| on_progress(scoring(layer as u64, total));
        let gone = layers::least_influential(&source, &windows, &work, count, report).map_err(|error| {
            let needed = run::needed(&plan, &windows, source.config(), &job.options);
            error.or_no_space(store.dir(), needed)
        })?;
        plan = Plan::new(&source, &job.options, &gone)?;
    }
    let mut run = Run::start(&source, &job.options, windows, plan, &store, &work, &mut on_progress)?;
    let (before, after) = run.all()?;
    tracing::info!(
        "perplexity {before:.4} before, {after:.4} after: {}",
        increase(before, after)
    );
    if let Err(refusal) = gate(&job, before, after) {
        drop(run);
        work.remove()?;
        return Err(refusal);
    }
    let made = Made {
        digest: run.publish(&store)?,
        bytes: run.bytes(),
        before: before.to_string(),
        after: after.to_string(),
    };
    drop(run);
    store.remember(&key, &made)?;
    work.remove()?;
    Ok(outcome(&job, &made))
}

/// The layers are looked at, and nothing is written yet.
fn scoring(layer: u64, total: u64) -> Progress {
    Progress {
        stage: Stage::Calibrating,
        bytes: 0,
        total: None,
        bytes_per_second: 0,
        layers: Some(layer),
        total_layers: Some(total),
    }
}

/// Lets a result through that is as good as allowed; never one that gives no numbers.
fn gate(job: &Job, before: f64, after: f64) -> Result<(), Error> {
    let within = job
        .options
        .max_increase
        .is_none_or(|limit| after / before - 1.0 <= limit);
    match before.is_finite() && after.is_finite() && within {
        true => Ok(()),
        false => Err(Error::PerplexityExceeded(Box::new(report(job, before, after)))),
    }
}

fn outcome(job: &Job, made: &Made) -> Outcome {
    let (before, after) = made.perplexities();
    Outcome {
        file: Store::file(&made.digest),
        digest: format!("sha256:{}", made.digest),
        bytes: made.bytes,
        report: report(job, before, after),
    }
}

/// What was asked for and what it cost.
fn report(job: &Job, before: f64, after: f64) -> CompressionReport {
    let Options {
        quantization,
        method,
        group_size: _,
        pruning,
        structure: _,
        max_increase,
        calibration: _,
        store: _,
    } = &job.options;
    let structured = job.options.structured();
    CompressionReport {
        source_digest: job.digest.clone(),
        source_bytes: job.bytes,
        quantization: name_of(*quantization).into(),
        method: method.map(|method| format!("{method:?}").to_uppercase()),
        pruning: pruning.map(|(pruning, _)| format!("{pruning:?}")),
        structure: structured.map(|(structure, _)| format!("{structure:?}")),
        sparsity: pruning.map(|(_, sparsity)| sparsity.to_string()),
        perplexity_before: format!("{before:.4}"),
        perplexity_after: format!("{after:.4}"),
        increase: increase(before, after),
        limit: max_increase.map(percent),
    }
}

fn name_of(quantization: Quantization) -> &'static str {
    match quantization {
        Quantization::None => "None",
        Quantization::BF16 => "BF16",
        Quantization::FP16 => "FP16",
        Quantization::Int8 => "Int8",
        Quantization::Int4 => "Int4",
    }
}

#[cfg(test)]
mod directories;
#[cfg(test)]
mod tests;
