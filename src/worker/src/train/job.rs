//! One attempt: from the plan to the last words.

use std::{path::Path, sync::atomic::AtomicBool};

use artifacts::digest::Digest;
use checkpoint::Checkpoint;
use engine::{ModelConfig, available_threads, set_threads, text::Tokenizer};
use prometheus::Registry;
use protocol::tune::{Method, Objective, TrainFailure, TrainOutcome, TrainPlan};
use telemetry::Readiness;
use tokio::runtime::Handle;
use train::Trainer;

use super::{
    checkpoints::{self, Checkpoints, Saved},
    compute::Compute,
    data::{self, Batching, Dataset, Renderer, Stream},
    durable,
    failure::{of_prepare, of_train, permanent, reasons, temporary},
    finish::Finish,
    members::{self, Begin},
    metrics::Metrics,
    plan,
    progress::Reporter,
    retention, samples,
    session::{End, Session},
    state::State,
    suites::{self, Asker},
};
use crate::serve::chat_template::ChatTemplate;

/// What an attempt has of its process.
pub struct Process<'a> {
    /// Whether somebody said stop.
    pub stop: &'a AtomicBool,
    /// Where metrics are registered.
    pub registry: &'a Registry,
    /// Whether it is at work.
    pub readiness: &'a Readiness,
    /// Where what is asynchronous runs.
    pub runtime: Handle,
    /// Threads to compute with.
    pub threads: Option<u64>,
}

/// Trains; returns the last words. `None` if another process of the training has them.
///
/// # Errors
/// Why it broke off.
pub fn run(plan: &TrainPlan, process: &Process<'_>) -> Result<Option<TrainOutcome>, TrainFailure> {
    let rank = members::rank(plan)?;
    let own = |error: prometheus::Error| temporary(reasons::INTERNAL, format!("failed to register metrics: {error}"));
    let metrics = Metrics::new(process.registry, &plan.run).map_err(own)?;
    let mut reporter = Reporter::new(metrics, rank == 0);
    let threads = process
        .threads
        .map_or_else(available_threads, |threads| threads as usize);
    set_threads(threads);
    // Held until the end: nobody else writes meanwhile.
    let _lock = match rank {
        0 => Some(checkpoints::lock(&plan.checkpoints)?),
        _ => None,
    };
    if rank == 0 {
        retention::tidy(plan);
    }
    let words = attempt(plan, rank, process, &mut reporter)?;
    // What was interrupted is to come again, whatever its rank: a process without words has done its part.
    Ok(words.filter(|words| rank == 0 || matches!(words, TrainOutcome::Interrupted(_))))
}

fn attempt(
    plan: &TrainPlan,
    rank: usize,
    process: &Process<'_>,
    reporter: &mut Reporter,
) -> Result<Option<TrainOutcome>, TrainFailure> {
    let stopped = || process.stop.load(std::sync::atomic::Ordering::Relaxed);
    let interrupted = |reporter: &Reporter| Ok(Some(TrainOutcome::Interrupted(reporter.progress())));
    let digest = base_digest(plan)?;
    // States name it: whether the plan does must make no difference.
    let plan = &TrainPlan {
        digest: Some(digest.clone()),
        ..plan.clone()
    };
    let model = Checkpoint::open(&plan.model).map_err(|error| of_base(&plan.model, &error))?;
    let tokenizer = Tokenizer::from_metadata(&model.header().metadata).map_err(|error| of_base(&plan.model, &error))?;
    let config = ModelConfig::from_header(model.header()).map_err(|error| of_base(&plan.model, &error))?;
    let template = template(plan, &tokenizer)?;
    let length = length(plan, config.context_length)?;
    let renderer = || Renderer {
        tokenizer: &tokenizer,
        template: template.as_ref(),
        objective: plan.objective,
        length,
    };
    let asker = Asker {
        plan,
        context_length: config.context_length,
        threads: process.threads,
        runtime: process.runtime.clone(),
    };
    asker.check()?;

    if rank == 0 {
        durable::sweep(&plan.outputs, Some(&plan.run));
        durable::sweep(&plan.outputs, Some(&suites::scratch(&plan.run)));
    }
    data::sweep(&plan.dataset);
    let data_digest = data::manifest(&plan.dataset)?.report.digest;
    let tokens_key = plan::tokens_key(plan, &data_digest, &digest, length);
    let prepared = data::prepare(&plan.dataset, &plan.checkpoints, &tokens_key, &renderer(), &stopped)?;
    let Some(dataset) = prepared else {
        return interrupted(reporter);
    };
    say(&dataset);
    if plan.gate.is_some() && dataset.validation.is_none() && plan.suites.is_empty() {
        let message = "the gate has nothing to compare: hold back a validation part, or name suites";
        return Err(permanent(reasons::INVALID_PLAN, message));
    }
    let batching = Batching {
        batch_tokens: usize::try_from(plan.hyperparameters.batch_tokens).unwrap_or(usize::MAX),
        packing: plan.hyperparameters.packing.then_some(length),
        texts: if plan.objective == Objective::DPO { 2 } else { 1 },
        seed: plan.hyperparameters.seed,
    };
    let (total, passes) = steps(plan, &dataset, &batching)?;

    let key = plan::key(plan, &data_digest, &digest);
    let states = Checkpoints::new(&plan.checkpoints, &hex::encode(&key[..8]), plan.checkpoint.keep);
    if rank == 0 {
        states.tidy();
    }
    let found = states.latest();
    let finished = found
        .as_ref()
        .is_some_and(|saved| saved.state.stopped || saved.step >= total);
    if finished && rank > 0 {
        tracing::info!("everything is learned: the first process publishes it");
        return Ok(None);
    }
    // The others have gone when everything is learned.
    let mut group: Box<dyn train::collective::Group> = match finished {
        true => Box::new(train::collective::Alone),
        false => members::meet(plan, rank, key)?,
    };
    let threads = process.threads.map(|threads| threads as usize);
    let here = Compute::here(plan, threads.unwrap_or_else(available_threads))?;
    let own = match found.as_ref().and_then(|saved| saved.state.compute.as_ref()) {
        Some(begun) => begun.on(&here, threads),
        None => here.clone(),
    };
    let Begin { step: begin, compute } = members::agree(
        &mut *group,
        Begin {
            step: found.as_ref().map_or(0, |saved| saved.step),
            compute: own,
        },
    )?;
    let compute = if rank == 0 { compute } else { compute.on(&here, threads) };
    set_threads(compute.threads);
    let trainer = Trainer::new(model, &compute.plan(plan), total).map_err(of_train)?;
    process.readiness.set_ready(true);

    let events = plan.checkpoints.join("runs");
    reporter.begin_events(&events, begin);
    let questions = match rank {
        0 => samples::questions(&plan.dataset, &renderer())?,
        _ => Vec::new(),
    };
    let mut session = Session {
        plan,
        renderer: renderer(),
        dataset: &dataset,
        batching,
        checkpoints: &states,
        stop: process.stop,
        trainer,
        group,
        reporter,
        state: State::default(),
        saved: None,
        questions,
    };
    if begin > 0 {
        session.resume(state_of(&states, begin, found)?)?;
    }
    session.state.compute = Some(compute);
    match session.learn(passes)? {
        End::Interrupted => {
            session.reporter.flush();
            interrupted(session.reporter)
        }
        End::Finished if rank > 0 => Ok(None),
        End::Finished => {
            let finish = Finish {
                base: digest,
                events: &events,
                asker: &asker,
            };
            finish.run(session).map(Some)
        }
    }
}

/// Other processes see the states of the first one a little later on some volumes.
fn state_of(states: &Checkpoints, step: u64, found: Option<Saved>) -> Result<Saved, TrainFailure> {
    match found.filter(|saved| saved.step == step) {
        Some(saved) => Ok(saved),
        None => states.read(step).map_err(|why| {
            let path = states.path(step);
            let message = format!(
                "rank 0 begins at the state {}, which this process cannot read: {why}",
                path.display()
            );
            temporary(reasons::INTERNAL, message)
        }),
    }
}

fn base_digest(plan: &TrainPlan) -> Result<String, TrainFailure> {
    let found = match &plan.digest {
        Some(expected) => artifacts::digest::verify(&plan.model, expected),
        None => Digest::of_model(&plan.model).map(|digest| digest.prefixed()),
    };
    found.map_err(of_prepare)
}

fn of_base(model: &Path, error: &dyn std::fmt::Display) -> TrainFailure {
    let message = format!("failed to load the base {}: {error}", model.display());
    permanent(reasons::INVALID_BASE, message)
}

fn template(plan: &TrainPlan, tokenizer: &Tokenizer) -> Result<Option<ChatTemplate>, TrainFailure> {
    let source = plan.template.as_deref().or(tokenizer.chat_template());
    let marks = [tokenizer.begin(), tokenizer.end()].map(|token| token.map_or("", |token| tokenizer.name(token)));
    let template = source.map(|source| ChatTemplate::new(source.into(), marks)).transpose();
    template.map_err(|error| permanent(reasons::INVALID_PLAN, format!("{error:#}")))
}

/// Most tokens of input of one text.
fn length(plan: &TrainPlan, trained: usize) -> Result<usize, TrainFailure> {
    let context = match (&plan.architecture, plan.method) {
        (Some(architecture), Method::Pretrain) => architecture.context_length,
        _ => trained as u64,
    };
    let settings = &plan.hyperparameters;
    let length = settings.sequence_length.unwrap_or(settings.batch_tokens.min(context));
    if length > context {
        let message = format!("sequenceLength {length} is more than the context of the model, {context}");
        return Err(permanent(reasons::INVALID_PLAN, message));
    }
    Ok(usize::try_from(length).unwrap_or(usize::MAX))
}

/// Changes of the weights, and passes after which all epochs are over.
fn steps(plan: &TrainPlan, dataset: &Dataset, batching: &Batching) -> Result<(u64, Option<u64>), TrainFailure> {
    let settings = &plan.hyperparameters;
    if let Some(steps) = settings.steps {
        return Ok((steps, None));
    }
    let passes = Stream::passes(&dataset.train, batching, settings.epochs);
    let passes = passes.map_err(|error| temporary(reasons::INTERNAL, format!("failed to read the tokens: {error}")))?;
    let each = settings.gradient_accumulation * plan::processes(plan) as u64;
    Ok((passes.div_ceil(each), Some(passes)))
}

fn say(dataset: &Dataset) {
    for (part, counts) in &dataset.summary.parts {
        tracing::info!(
            part,
            records = counts.records,
            texts = counts.texts,
            tokens = counts.tokens,
            cut = counts.cut,
            skipped = ?counts.skipped,
            "the data"
        );
    }
}
