//! What a spec asks for, given what the FineTuneJobs that it names have published. Pure.

use api::{
    LlmModelSpec,
    finetunejob::{OutputKind, OutputStatus, Phase},
    llmmodel::PruningMethod,
    names, reasons,
};
use protocol::{AdapterSource, PrepareReport};

use super::{Followed, Job, OUTPUTS, are_digits, claim_of, directory, on_volume};
use crate::controllers::llmmodel::{
    dereference::Observed,
    source::Source,
    trouble::Trouble,
    validate::{Adapter, Wanted},
    version::{Tuned, TunedPlace, Version},
};

/// `wanted` with what the FineTuneJobs that it follows have published, or with the reason why that is not known.
pub fn resolved(mut wanted: Wanted, observed: &Observed) -> Wanted {
    if let Some(job) = wanted.follows.clone() {
        match source(&job, &wanted, observed) {
            Ok(found) => {
                wanted.source = found.source;
                wanted.tuned = found.tuned;
                wanted.base = found.base;
            }
            Err(trouble) => wanted.waiting = Some(served_on(&job, trouble, observed)),
        }
    }
    let adapters = std::mem::take(&mut wanted.adapters).into_iter();
    wanted.adapters = adapters.filter_map(|it| adapter(it, observed)).collect();
    wanted
}

/// What is wrong without a job: nothing, as long as a version serves what it has published. It was deleted then, and
/// whoever deleted it may make it anew.
fn served_on(name: &str, trouble: Trouble, observed: &Observed) -> Trouble {
    let of_job = |version: &Version| {
        let job = claim_of(version).and_then(names::job_of_tune_claim)?;
        // Runs and trials publish on the volume of the job that they are of.
        let rest = name.strip_prefix(job)?;
        let number = rest.strip_prefix("-t").or(rest.strip_prefix('-'));
        let is_child = number.is_some_and(|it| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit()));
        (rest.is_empty() || is_child).then(|| version.name.clone())
    };
    let mut versions = observed.versions().into_iter();
    let served = versions.find_map(|it| of_job(&it).filter(|version| observed.deployment(version).is_some()));
    match served {
        Some(version) if !observed.followed.contains_key(name) => {
            let message = format!(
                "FineTuneJob {name} that spec.source.fineTuneJob names was deleted, and its volume goes with the last \
                 pod that uses it: version {version} serves on from there, but cannot move to another node. Create \
                 the job again to follow it, or give spec.source other weights"
            );
            Trouble::new(reasons::WAITING_FOR_FINE_TUNE_JOB, message)
        }
        _ => trouble,
    }
}

/// What the source of a model leads to.
struct Found {
    source: Source,
    tuned: Option<Tuned>,
    base: Option<PrepareReport>,
}

fn source(name: &str, wanted: &Wanted, observed: &Observed) -> Result<Found, Trouble> {
    let (job, output) = published(name, "spec.source.fineTuneJob", &observed.followed)?;
    let path = directory(&output.digest);
    if output.kind == OutputKind::Weights {
        return Ok(Found {
            source: on_volume(job.claim.clone(), Some(path)),
            tuned: None,
            base: None,
        });
    }
    let unusable = |why: &str| {
        let message = format!("FineTuneJob {name} publishes adapters, and {why}");
        Trouble::new(reasons::OUTPUT_UNUSABLE, message)
    };
    if wanted.foreign.is_some() {
        return Err(unusable(
            "spec.engine.openAICompatible serves complete weights only: use spec.engine.atelier, or train with method Full",
        ));
    }
    let pruning = wanted.compress.as_ref().and_then(|it| it.pruning.as_ref());
    if pruning.is_some_and(|it| it.method == PruningMethod::Structured) {
        return Err(unusable(
            "spec.compress.pruning.method Structured changes the shapes that they were trained beside: choose another \
             method, or train with method Full",
        ));
    }
    let (source, base) = base(name, job, output, observed)?;
    let place = TunedPlace {
        claim: job.claim.clone(),
        path,
    };
    let tuned = Tuned {
        digest: output.digest.clone(),
        place,
    };
    Ok(Found {
        source,
        tuned: Some(tuned),
        base,
    })
}

/// The weights that an adapter belongs beside, and what was found there if that is known. An output that was served
/// before stays with its weights, whatever has become of the model that they are of.
fn base(
    name: &str,
    job: &Job,
    output: &OutputStatus,
    observed: &Observed,
) -> Result<(Source, Option<PrepareReport>), Trouble> {
    let mut versions = observed.versions().into_iter();
    let before = versions.find(|version| version.tuned.as_ref().is_some_and(|it| it.digest == output.digest));
    let now = match &job.base {
        Some(Ok(version)) if version.tuned.is_some() => {
            let message = format!(
                "FineTuneJob {name} publishes an adapter of a model that follows a FineTuneJob itself: one adapter \
                 beside another is not supported. Train from the model with the weights, or with method Full"
            );
            Err(Trouble::new(reasons::OUTPUT_UNUSABLE, message))
        }
        Some(Ok(version)) => Ok(version),
        Some(Err(trouble)) => Err(trouble.clone()),
        None => {
            let message = format!("FineTuneJob {name} publishes an adapter and names no base that it belongs beside");
            Err(Trouble::new(reasons::OUTPUT_UNUSABLE, message))
        }
    };
    match (before, now) {
        (Some(before), now) => {
            // How the place is reached may have changed.
            let same = now.ok().filter(|now| now.source.key() == before.source.key());
            let source = same.map_or_else(|| before.source.clone(), |now| now.source.clone());
            Ok((source, source_report(&before)))
        }
        (None, now) => now.map(|now| (now.source.clone(), source_report(now))),
    }
}

/// What was found at the source of a version; nothing where only what was made of it is known.
fn source_report(version: &Version) -> Option<PrepareReport> {
    let is_of_source = version.compression.is_none() || version.rejection.is_some();
    is_of_source.then(|| version.report.clone())
}

/// An adapter with what its FineTuneJob has published; `None` as long as there is nothing.
fn adapter(adapter: Adapter, observed: &Observed) -> Option<Adapter> {
    let Some(job) = &adapter.follows else {
        return Some(adapter);
    };
    let source = match output_of_adapter(&adapter.name, job, &observed.followed) {
        Ok((job, output)) => on_volume(job.claim.clone(), Some(directory(&output.digest))),
        // What pods have loaded they keep.
        Err(_) => loaded(&adapter.name, job, observed)?,
    };
    Some(Adapter { source, ..adapter })
}

/// What pods were told last.
fn loaded(name: &str, job: &str, observed: &Observed) -> Option<Source> {
    let mut lists = observed
        .config_maps
        .iter()
        .filter_map(crate::controllers::llmmodel::build::adapters_of);
    let known = lists.find_map(|list| list.adapters.into_iter().find(|it| it.name == name))?;
    match known.source {
        AdapterSource::Mounted { path: Some(path), .. } if are_digits(&path) => {
            Some(on_volume(names::tune_claim(job), Some(format!("{OUTPUTS}/{path}"))))
        }
        _ => None,
    }
}

/// Why the adapter `name` of a spec has no output to load.
pub fn missed(spec: &LlmModelSpec, name: &str, followed: &Followed) -> Option<Trouble> {
    let adapter = spec.adapters.iter().find(|it| it.name == name)?;
    let job = adapter.source.fine_tune_job.as_ref()?;
    output_of_adapter(name, &job.name, followed).err()
}

fn output_of_adapter<'a>(
    name: &str,
    job: &str,
    followed: &'a Followed,
) -> Result<(&'a Job, &'a OutputStatus), Trouble> {
    let field = format!("spec.adapters[{name}].source.fineTuneJob");
    let (found, output) = published(job, &field, followed)?;
    match output.kind {
        OutputKind::Adapter => Ok((found, output)),
        OutputKind::Weights => {
            let message = format!(
                "FineTuneJob {job} that {field} names publishes complete weights, not an adapter: name it in \
                 spec.source of a model of its own"
            );
            Err(Trouble::new(reasons::OUTPUT_UNUSABLE, message))
        }
    }
}

/// A job and what it published last.
fn published<'a>(name: &str, field: &str, followed: &'a Followed) -> Result<(&'a Job, &'a OutputStatus), Trouble> {
    let Some(job) = followed.get(name) else {
        let message = format!(
            "FineTuneJob {name} that {field} names does not exist in this namespace: create it or name another. What \
             it has published before is served on"
        );
        return Err(Trouble::new(reasons::REFERENCE_NOT_FOUND, message));
    };
    let Some(output) = &job.output else {
        let message = match (job.phase, &job.failure) {
            (Some(Phase::Failed), why) => format!(
                "FineTuneJob {name} is in phase Failed and has published nothing{}",
                why.as_ref().map(|why| format!(": {why}")).unwrap_or_default()
            ),
            (phase, _) => format!(
                "FineTuneJob {name} has published nothing yet: it is in phase {:?}",
                phase.unwrap_or(Phase::Pending)
            ),
        };
        return Err(Trouble::new(reasons::WAITING_FOR_FINE_TUNE_JOB, message));
    };
    // It becomes a path.
    if !output.digest.strip_prefix("sha256:").is_some_and(are_digits) {
        let message = format!(
            "FineTuneJob {name} says that it has published {:?}: that is no digest",
            output.digest
        );
        return Err(Trouble::new(reasons::OUTPUT_UNUSABLE, message));
    }
    Ok((job, output))
}
