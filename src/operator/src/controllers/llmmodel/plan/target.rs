//! How far the version that the spec asks for is, and what brings it further.

use api::reasons;
use k8s_openapi::api::batch::v1::Job;
use kube::{Resource, ResourceExt};
use protocol::{CompressionReport, PrepareReport};

use super::{Plan, Step, Target, number};
use crate::controllers::llmmodel::{
    build::{self, Builder},
    compression::Compression,
    dereference::Observed,
    diagnose::Asked,
    drift,
    prepare::{self, Preparation},
    trouble::Trouble,
    version::Version,
};

/// The target, with the Jobs and claims that it takes.
pub fn plan(builder: &Builder<'_>, observed: &Observed) -> Plan {
    let mut plan = Plan::nothing(Target::Preparing(None));
    let wanted = builder.wanted;
    let target = match (&wanted.pin, &wanted.waiting, &wanted.compress) {
        (Some(pin), ..) => pinned(observed, pin),
        (None, Some(trouble), _) => waiting(trouble),
        (None, None, None) => match looked_at(builder, observed, &mut plan) {
            Ok(report) => Target::Known(Box::new(Version::new(builder.wanted, report))),
            Err(target) => target,
        },
        (None, None, Some(compression)) => compressed(builder, observed, compression, &mut plan),
    };
    let is_pinned = builder.wanted.pin.is_some();
    plan.target = if is_pinned { target } else { untried(target, observed) };
    plan
}

/// What the spec asks for depends on a FineTuneJob.
fn waiting(trouble: &Trouble) -> Target {
    match trouble.reason == reasons::WAITING_FOR_FINE_TUNE_JOB {
        true => Target::Preparing(Some(trouble.clone())),
        false => Target::Refused(trouble.clone()),
    }
}

/// A version that was stopped on trial is not tried again, unless somebody names it.
fn untried(target: Target, observed: &Observed) -> Target {
    let known = target.version().and_then(|version| observed.version(&version.name));
    known
        .and_then(|version| version.stopped)
        .map_or(target, Target::Refused)
}

fn pinned(observed: &Observed, pin: &str) -> Target {
    let Some(version) = observed.version(pin) else {
        let message =
            format!("spec.version {pin} is not in status.versions: name one of these, or remove spec.version");
        return Target::Refused(Trouble::new(reasons::VERSION_NOT_FOUND, message));
    };
    match version.lost_too_much() {
        Some(trouble) => {
            let message = format!("spec.version {pin} was rejected: {}", trouble.message);
            Target::Refused(Trouble { message, ..trouble })
        }
        None => Target::Known(Box::new(version)),
    }
}

/// What is known of the wanted source; the Job that looks at it is planned while it is not.
fn looked_at(builder: &Builder<'_>, observed: &Observed, plan: &mut Plan) -> Result<PrepareReport, Target> {
    // The model whose weights they are has looked already, and pins what was trained on.
    if let Some(report) = &builder.wanted.base {
        return Ok(report.clone());
    }
    let key = builder.wanted.source.key();
    let known = observed.versions().into_iter().find(|version| {
        // That of a compressed version is about the result.
        version.report.compression.is_none() && version.source.key() == key
    });
    if let Some(known) = known {
        return Ok(known.report);
    }
    let job = builder.prepare_job();
    let asked = asked(builder, build::PREPARE_MEMORY, false);
    match follow(job, observed, &asked, plan) {
        Preparation::Done(report) => Ok(*report),
        Preparation::Rejected(_) | Preparation::Lost => Err(Target::Preparing(None)),
        Preparation::Underway(trouble) => Err(Target::Preparing(trouble)),
        Preparation::Failed(trouble) => Err(Target::Refused(trouble)),
    }
}

fn compressed(builder: &Builder<'_>, observed: &Observed, compression: &Compression, plan: &mut Plan) -> Target {
    let wanted = builder.wanted;
    let key = compression.key(&wanted.source);
    let claim = observed.claim(&builder.owner.name, &key);
    // Measured before, under this limit or another one.
    for known in observed.versions() {
        let is_same = known
            .compression
            .as_ref()
            .is_some_and(|it| it.key(&known.source) == key);
        let Some(measured) = known.measured().filter(|_| is_same) else {
            continue;
        };
        let is_asked_again = known.compression.as_ref() == Some(compression);
        let is_allowed = match known.rejection {
            Some(_) => !is_asked_again && compression.allows(measured),
            None => is_asked_again || compression.allows(measured),
        };
        if !is_allowed {
            return rejected(builder, observed, measured.clone(), &known, plan);
        }
        let is_there = claim.is_some_and(|claim| claim.meta().deletion_timestamp.is_none());
        if known.rejection.is_none() && is_there {
            return Target::Known(Box::new(Version::new(wanted, known.report)));
        }
    }
    // It is made anew as soon as it is gone.
    if claim.is_some_and(|claim| claim.meta().deletion_timestamp.is_some()) {
        return Target::Preparing(None);
    }
    // The claim remembers what was found, so that nothing but its own Job matters from then on.
    let source = match claim.and_then(build::report_of) {
        Some(report) => report,
        None => match looked_at(builder, observed, plan) {
            Ok(report) => report,
            Err(target) => return target,
        },
    };
    if claim.is_none() {
        plan.claims.push(builder.claim(compression, &source));
    }
    plan.step = Step::Compress;
    let job = builder.compress_job(compression, &source);
    let memory = build::compress_memory(builder, compression, &source);
    match follow(job, observed, &asked(builder, &memory, true), plan) {
        Preparation::Done(report) => {
            let version = Version::new(wanted, *report);
            // A snapshot cannot be changed: what was measured first stands.
            let before = observed.version(&version.name).filter(|it| it.rejection.is_none());
            let report = before.map_or(version.report, |it| it.report);
            Target::Known(Box::new(Version::new(wanted, report)))
        }
        Preparation::Rejected(measured) => {
            let version = Version::rejected(wanted, source, *measured);
            refuse(builder, observed, &version, plan)
        }
        Preparation::Underway(trouble) => Target::Preparing(trouble),
        Preparation::Failed(trouble) => Target::Refused(trouble),
        Preparation::Lost => Target::Preparing(None),
    }
}

/// The wanted version by what was measured of `known`, which differs in its limit at most.
fn rejected(
    builder: &Builder<'_>,
    observed: &Observed,
    measured: CompressionReport,
    known: &Version,
    plan: &mut Plan,
) -> Target {
    let report = match known.rejection {
        Some(_) => known.report.clone(),
        None => PrepareReport {
            digest: measured.source_digest.clone(),
            bytes: measured.source_bytes,
            ..known.report.clone()
        },
    };
    refuse(
        builder,
        observed,
        &Version::rejected(builder.wanted, report, measured),
        plan,
    )
}

/// Keeps the evidence, once.
fn refuse(builder: &Builder<'_>, observed: &Observed, version: &Version, plan: &mut Plan) -> Target {
    if observed.version(&version.name).is_none() {
        let snapshot = builder.snapshot(version, number(observed, &version.name));
        plan.snapshot = Some(drift::stamped(snapshot));
    }
    let lost = || Trouble::new(protocol::report::reasons::PERPLEXITY_EXCEEDED, "");
    Target::Refused(version.trouble().unwrap_or_else(lost))
}

/// Plans a Job and says how far it is.
fn follow(desired: Job, observed: &Observed, asked: &Asked<'_>, plan: &mut Plan) -> Preparation {
    let desired = drift::stamped(desired);
    let found = observed.jobs.iter().find(|job| job.name_any() == desired.name_any());
    let preparation = match found {
        // Built anew: a change of the placement or of the worker may be what it needs.
        Some(found) if !drift::same_stamp(found, &desired) => return Preparation::Lost,
        Some(found) => prepare::outcome(found, &observed.pods_of_job(found), &observed.events, asked),
        None => Preparation::Underway(None),
    };
    if preparation != Preparation::Lost {
        plan.jobs.push(desired);
    }
    preparation
}

fn asked<'a>(builder: &'a Builder<'_>, memory: &'a str, compresses: bool) -> Asked<'a> {
    Asked {
        source: &builder.wanted.source,
        worker_image: &builder.settings.worker_image,
        engine_image: None,
        accelerator: None,
        memory,
        cpu: &builder.wanted.cpu,
        prepare_memory: memory,
        compresses,
    }
}
