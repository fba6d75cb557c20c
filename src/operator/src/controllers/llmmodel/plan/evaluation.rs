//! A version is asked questions with known answers before it gets traffic.

use api::reasons;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::ResourceExt;
use protocol::{EvaluationOutcome, EvaluationReport};

use super::{Plan, Target, number};
use crate::controllers::llmmodel::{
    build::{self, Builder},
    dereference::Observed,
    diagnose::{self, Asked},
    drift,
    evaluation::{Evaluation, suites_key},
    jobs,
    trouble::Trouble,
    version::Version,
};

/// Scores that were just learned, to be kept beside the snapshot of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scores {
    /// The version.
    pub version: String,
    /// What it scored.
    pub evaluation: Evaluation,
}

/// Lets the target through when it has passed; what serves, and what a person named, is not asked.
pub fn gated(
    target: Target,
    builder: &Builder<'_>,
    observed: &Observed,
    current: Option<&str>,
    plan: &mut Plan,
) -> Target {
    let suites = &builder.wanted.evaluation;
    let Target::Known(version) = &target else {
        return target;
    };
    if suites.is_empty() || builder.wanted.pin.is_some() || current == Some(&version.name) {
        return target;
    }
    let own = match scores(version, builder, observed, plan) {
        Ok(own) => own,
        Err(Wait::For(trouble)) => return Target::Evaluating(version.clone(), trouble),
        Err(Wait::InVain(trouble)) => return Target::Refused(trouble),
    };
    // What it is compared with is asked the same, if it was not before.
    let serving = current.and_then(|name| observed.version(name));
    let serving = match serving
        .map(|serving| scores(&serving, builder, observed, plan))
        .transpose()
    {
        Ok(serving) => serving,
        Err(Wait::For(trouble)) => return Target::Evaluating(version.clone(), trouble),
        Err(Wait::InVain(trouble)) => return Target::Refused(trouble),
    };
    match own.trouble(&version.name, suites, serving.as_ref()) {
        Some(trouble) => {
            plan.refused = Some(version.name.clone());
            Target::Refused(trouble)
        }
        None => target,
    }
}

/// Why there are no scores.
enum Wait {
    /// They come; the trouble is that of the last attempt.
    For(Option<Trouble>),
    /// They do not come until somebody changes something.
    InVain(Trouble),
}

/// What a version scored; the Job that tells is planned while that is not known.
fn scores(version: &Version, builder: &Builder<'_>, observed: &Observed, plan: &mut Plan) -> Result<Evaluation, Wait> {
    let suites = &builder.wanted.evaluation;
    let key = suites_key(suites);
    let kept = observed.version(&version.name);
    if kept.is_none() {
        let snapshot = builder.snapshot(version, number(observed, &version.name));
        plan.snapshot = Some(drift::stamped(snapshot));
    }
    let known = kept.and_then(|version| version.evaluation);
    if let Some(known) = known.filter(|known| known.key == key) {
        return Ok(known);
    }
    let desired = drift::stamped(builder.evaluation_job(version, suites));
    let found = observed.jobs.iter().find(|job| job.name_any() == desired.name_any());
    let course = match found {
        // Built anew, as a prepare step is.
        Some(found) if !drift::same_stamp(found, &desired) => Course::Lost,
        Some(found) => course(found, builder, observed, version),
        None => Course::Underway(None),
    };
    if course != Course::Lost {
        plan.jobs.push(desired);
    }
    match course {
        Course::Scored(report) => {
            let evaluation = Evaluation { key, report };
            plan.scores.push(Scores {
                version: version.name.clone(),
                evaluation: evaluation.clone(),
            });
            Ok(evaluation)
        }
        Course::Underway(trouble) => Err(Wait::For(trouble)),
        Course::Failed(trouble) => Err(Wait::InVain(trouble)),
        Course::Lost => Err(Wait::For(None)),
    }
}

/// How far the Job is.
#[derive(Debug, PartialEq, Eq)]
enum Course {
    Scored(EvaluationReport),
    Underway(Option<Trouble>),
    Failed(Trouble),
    /// It ended well and its scores are lost with its pod, or it is to be another one.
    Lost,
}

fn course(job: &Job, builder: &Builder<'_>, observed: &Observed, version: &Version) -> Course {
    let pods = observed.pods_of_job(job);
    if let Some(report) = pods.iter().find_map(|pod| scored(pod)) {
        return Course::Scored(report);
    }
    let memory = build::memory(builder, version);
    let asked = Asked {
        source: &version.source,
        worker_image: &builder.settings.worker_image,
        engine_image: None,
        accelerator: builder.wanted.accelerator.as_ref(),
        memory: &memory,
        cpu: &builder.wanted.cpu,
        prepare_memory: build::PREPARE_MEMORY,
        compresses: false,
    };
    let trouble =
        diagnose::pods(&pods, &observed.events, &asked).or_else(|| diagnose::pods_of_job(job, &observed.events));
    if let Some(why) = jobs::ended(job, "Failed") {
        let trouble = trouble
            .unwrap_or_else(|| Trouble::new(reasons::EVALUATION_FAILED, format!("the evaluation failed: {why}")));
        return Course::Failed(jobs::with_way_out(trouble, job));
    }
    match jobs::ended(job, "Complete") {
        Some(_) => Course::Lost,
        None => Course::Underway(trouble),
    }
}

fn scored(pod: &Pod) -> Option<EvaluationReport> {
    let (0, message) = jobs::last_message(pod)? else {
        return None;
    };
    match EvaluationOutcome::parse(message)? {
        EvaluationOutcome::Scored(report) => Some(report),
        EvaluationOutcome::Failed(_) => None,
    }
}
