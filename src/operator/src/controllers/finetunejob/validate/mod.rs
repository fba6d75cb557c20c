//! What a spec asks for, with defaults filled in, or every fault of it. Pure.

mod data;
mod fit;
pub mod hyperparameters;
pub mod number;
mod owner;
mod shape;

use std::collections::BTreeMap;

use api::{
    FineTuneJob,
    finetunejob::{
        Architecture, EarlyStopping, FineTuneJobSpec, Method, Objective, RegressionGate, RegressionReference,
    },
    llmmodel::EvaluationSuite,
    reasons,
};
use kube::ResourceExt;
use protocol::tune;
use serde_json::json;

use super::{
    schedule::Timetable,
    sweep::{self, Candidate},
};
use crate::controllers::{
    common::{canonical, trouble::Trouble},
    llmmodel::{source::Source, validate::Settings},
};
pub use fit::EVAL_LOSS;
use number::{natural, percent, positive};
pub use owner::{Owner, Role};

/// Characters that the name of a child adds at most: `-t1000`, and `-202601020304`.
const TRIAL_SUFFIX: usize = 6;
const RUN_SUFFIX: usize = 13;
/// Seconds between two checkpoints when the spec does not say.
const CHECKPOINT_SECONDS: u64 = 600;

/// A spec that this release can fulfil.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// As it is written, for what is passed on as it is.
    pub spec: FineTuneJobSpec,
    /// `p-` and ten hex digits over everything that changes the result.
    pub key: String,
    /// Likewise over what a saved state depends on: the same without what only measures.
    pub state: String,
    /// `r-` and ten hex digits over how its pods run.
    pub shape: String,
    /// How it gets there.
    pub course: Course,
    /// What a record looks like.
    pub format: tune::DataFormat,
    /// Cleaning.
    pub stages: tune::Stages,
    /// Parts held back.
    pub split: tune::Split,
    /// Settings of the training.
    pub hyperparameters: tune::Hyperparameters,
    /// When its state is saved.
    pub checkpoint: tune::Checkpointing,
    /// When it ends early.
    pub early_stopping: Option<tune::EarlyStopping>,
    /// What its result must pass.
    pub gate: Option<tune::Gate>,
    /// Suites of questions, and where those are that do not come with the worker.
    pub suites: Vec<(String, Option<Source>)>,
    /// What their scores must be.
    pub limits: BTreeMap<String, tune::SuiteLimits>,
    /// Processes that train together.
    pub members: u32,
}

/// How a FineTuneJob gets to its result.
#[derive(Clone, Debug)]
pub enum Course {
    /// It trains once.
    Train,
    /// Its trials do, with these settings.
    Sweep(Vec<Candidate>),
    /// Its runs do, at these times.
    Schedule(Timetable),
}

/// What the spec asks for.
///
/// # Errors
/// One trouble that names every field this release cannot fulfil, or every one that makes no sense.
pub fn validate(job: &FineTuneJob, settings: &Settings) -> Result<Wanted, Trouble> {
    let spec = &job.spec;
    let fields = unsupported(spec);
    if !fields.is_empty() {
        let message = format!(
            "this release does not support {}: remove it from the spec",
            fields.join(", ")
        );
        return Err(Trouble::new(reasons::NOT_SUPPORTED, message));
    }
    if settings.data_image.is_none() {
        let message =
            "this installation prepares no data: the operator runs without --data-image, which the chart sets";
        return Err(Trouble::new(reasons::NOT_SUPPORTED, message));
    }
    let fault = |message: String| Trouble::new(reasons::INVALID_SPEC, message);
    if let Some(too_long) = name_fault(job) {
        return Err(fault(too_long));
    }
    wanted(spec, settings).map_err(fault)
}

fn wanted(spec: &FineTuneJobSpec, settings: &Settings) -> Result<Wanted, String> {
    let split = data::split(&spec.dataset)?;
    fit::check(spec, &split)?;
    let evaluate = spec.evaluate.clone().unwrap_or_default();
    let (key, state) = keys(spec);
    Ok(Wanted {
        key,
        state,
        shape: shape::of(spec, settings),
        course: match (&spec.sweep, &spec.schedule) {
            (Some(asked), _) => Course::Sweep(sweep::candidates(spec, asked)?),
            (None, Some(schedule)) => Course::Schedule(Timetable::new(schedule)?),
            (None, None) => Course::Train,
        },
        format: data::format(spec.dataset.format),
        stages: data::stages(spec.dataset.prepare.as_ref())?,
        split,
        hyperparameters: hyperparameters::of(spec)?,
        checkpoint: checkpoint(spec),
        early_stopping: evaluate.early_stopping.as_ref().map(early_stopping).transpose()?,
        gate: evaluate.gate.as_ref().map(gate).transpose()?,
        suites: evaluate
            .suites
            .iter()
            .map(|suite| (suite.name.clone(), suite.source.as_ref().and_then(Source::of_file)))
            .collect(),
        limits: limits(&evaluate.suites)?,
        members: spec
            .parallelism
            .as_ref()
            .and_then(|it| u32::try_from(it.data).ok())
            .unwrap_or(1),
        spec: spec.clone(),
    })
}

/// What there is no code for, beside what the schema refuses.
fn unsupported(spec: &FineTuneJobSpec) -> Vec<String> {
    let mut fields = data::unsupported(&spec.dataset);
    let resources = spec.resources.as_ref();
    fields.extend(
        resources
            .and_then(|it| it.accelerator.as_ref())
            .map(|_| "spec.resources.accelerator".to_owned()),
    );
    let split = resources.and_then(|it| it.tensor_parallel).filter(|parts| *parts > 1);
    fields.extend(split.map(|_| "spec.resources.tensorParallel".to_owned()));
    let cache = spec.placement.as_ref().and_then(|placement| placement.node_cache);
    fields.extend(
        cache
            .filter(|asked| *asked)
            .map(|_| "spec.placement.nodeCache".to_owned()),
    );
    for suite in spec.evaluate.iter().flat_map(|evaluate| &evaluate.suites) {
        let field = |name: &str| format!("spec.evaluate.suites[{}].{name}", suite.name);
        let source = suite.source.as_ref();
        let place = source.and_then(Source::of_file);
        let is_mounted = place.is_some_and(|place| !matches!(&place, Source::Oci(oci) if oci.is_artifact()));
        fields.extend((source.is_some() && !is_mounted).then(|| field("source other than an image or a claim")));
    }
    // The schema refuses these; an older one may not.
    fields.extend((spec.method == Method::Prompt).then(|| "spec.method Prompt".to_owned()));
    fields.extend((spec.objective == Objective::KTO).then(|| "spec.objective KTO".to_owned()));
    fields
}

/// Children are FineTuneJobs as well, with names as long as theirs may be.
fn name_fault(job: &FineTuneJob) -> Option<String> {
    let (what, suffix) = match (&job.spec.sweep, &job.spec.schedule) {
        (Some(_), _) => ("spec.sweep", TRIAL_SUFFIX),
        (None, Some(_)) => ("spec.schedule", RUN_SUFFIX),
        (None, None) => return None,
    };
    let longest = api::names::MODEL_NAME_MAX - suffix;
    (job.name_any().len() > longest).then(|| {
        format!(
            "metadata.name is too long: with {what} it may have {longest} characters, so that the names of its children \
             fit; create it under a shorter name"
        )
    })
}

/// See [`Wanted::key`] and [`Wanted::state`].
fn keys(spec: &FineTuneJobSpec) -> (String, String) {
    let mut parts = json!({
        "base": spec.base,
        "architecture": spec.architecture,
        "method": spec.method,
        "objective": spec.objective,
        "dataset": spec.dataset,
        "hyperparameters": spec.hyperparameters,
        "members": spec.parallelism,
        "evaluate": spec.evaluate,
        "sweep": spec.sweep,
    });
    // How a source is reached changes nothing about what is there.
    let sources = parts.pointer_mut("/dataset/sources").and_then(|it| it.as_array_mut());
    for source in sources.into_iter().flatten() {
        for reached in ["pullPolicy", "pullSecrets"] {
            let oci = source.get_mut("oci").and_then(|oci| oci.as_object_mut());
            oci.and_then(|oci| oci.remove(reached));
        }
    }
    let key = format!("p-{}", canonical::digest(&parts, 10));
    if let Some(evaluate) = parts.get_mut("evaluate").and_then(|it| it.as_object_mut()) {
        evaluate.remove("gate");
        evaluate.remove("suites");
    }
    (key, canonical::digest(&parts, 10))
}

fn checkpoint(spec: &FineTuneJobSpec) -> tune::Checkpointing {
    match &spec.checkpoint {
        None => tune::Checkpointing {
            every_steps: None,
            every_seconds: Some(CHECKPOINT_SECONDS),
            keep: 2,
        },
        Some(given) => tune::Checkpointing {
            every_steps: given.every_steps.map(natural),
            every_seconds: given.every_minutes.map(|minutes| 60 * natural(minutes)),
            keep: u32::try_from(given.keep).unwrap_or(1),
        },
    }
}

fn early_stopping(given: &EarlyStopping) -> Result<tune::EarlyStopping, String> {
    Ok(tune::EarlyStopping {
        patience: u32::try_from(given.patience).unwrap_or(1),
        min_delta: number::decimal("spec.evaluate.earlyStopping.minDelta", &given.min_delta)?,
    })
}

/// What the scores of suites must be, where the spec says so.
fn limits(suites: &[EvaluationSuite]) -> Result<BTreeMap<String, tune::SuiteLimits>, String> {
    let number = |suite: &EvaluationSuite, name: &str, text: &Option<String>| {
        let field = format!("spec.evaluate.suites[{}].{name}", suite.name);
        text.as_ref().map(|text| number::decimal(&field, text)).transpose()
    };
    let mut limits = BTreeMap::new();
    for suite in suites {
        let of_suite = tune::SuiteLimits {
            min_score: number(suite, "minScore", &suite.min_score)?,
            max_regression: number(suite, "maxRegression", &suite.max_regression)?,
        };
        if of_suite != tune::SuiteLimits::default() {
            limits.insert(suite.name.clone(), of_suite);
        }
    }
    Ok(limits)
}

fn gate(given: &RegressionGate) -> Result<tune::Gate, String> {
    Ok(tune::Gate {
        against: match given.against {
            RegressionReference::Base => tune::GateReference::Base,
            RegressionReference::Current => tune::GateReference::Current,
        },
        current: None,
        max_regression: percent("spec.evaluate.gate.maxRegression", &given.max_regression)?,
    })
}

/// The shape of a model from scratch.
pub fn architecture(given: &Architecture) -> tune::Architecture {
    let hidden = natural(given.hidden_size);
    tune::Architecture {
        layers: natural(given.layers),
        hidden_size: hidden,
        feed_forward_size: given
            .feed_forward_size
            .map_or_else(|| (hidden * 8).div_ceil(3).div_ceil(64) * 64, natural),
        heads: natural(given.heads),
        kv_heads: natural(given.kv_heads.unwrap_or(given.heads)),
        context_length: natural(given.context_length),
        tie_embeddings: given.tie_embeddings,
    }
}

/// A range of a sweep: both ends, in order.
pub fn range(field: &str, min: &str, max: &str, logarithmic: bool) -> Result<(f64, f64), String> {
    let (from, to) = (number::decimal(field, min)?, number::decimal(field, max)?);
    if from > to {
        return Err(format!("{field}: min {min} is greater than max {max}"));
    }
    if logarithmic {
        positive(&format!("{field}.min, for a logarithmic range,"), min)?;
    }
    Ok((from, to))
}

#[cfg(test)]
mod tests;
