//! Models that follow FineTuneJobs: nothing edits their spec when a training publishes.
//!
//! ```text
//! FineTuneJob status.output -- Weights --> source: a directory on the job's volume, looked at as any other
//!                           +- Adapter --> source: the base's own, pinned to what its version found
//!                                          tuned:  a directory on the job's volume, a part of the version
//! ```
//!
//! Snapshots of versions hold what this leads to, so that none needs the job afterwards.

mod followers;
mod look;
mod resolve;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use api::{
    LlmModelSpec,
    finetunejob::{OutputStatus, Phase},
    llmmodel::PersistentVolumeClaimSource,
    names,
};
use protocol::tune::output_dir;

use super::{source::Source, trouble::Trouble, version::Version};
pub use followers::Followers;
pub use look::look;
pub use resolve::{missed, resolved};

/// The directory of all outputs on the volume of a FineTuneJob.
pub const OUTPUTS: &str = "outputs";
/// Hex digits of a SHA-256.
const DIGITS: usize = 64;

/// FineTuneJobs by their names. One that is not in it does not exist.
pub type Followed = BTreeMap<String, Job>;

/// A FineTuneJob, as far as a model that follows it needs to know.
#[derive(Clone, Debug)]
pub struct Job {
    /// The claim of its volume.
    pub claim: String,
    /// Where it is on its way.
    pub phase: Option<Phase>,
    /// Why it failed.
    pub failure: Option<String>,
    /// What it published last.
    pub output: Option<OutputStatus>,
    /// What that belongs beside, if it is an adapter that a model's source follows.
    pub base: Option<Result<Version, Trouble>>,
}

/// The FineTuneJobs that a spec names.
pub fn jobs(spec: &LlmModelSpec) -> BTreeSet<&str> {
    let sources = std::iter::once(&spec.source).chain(spec.adapters.iter().map(|it| &it.source));
    let jobs = sources.filter_map(|source| source.fine_tune_job.as_ref());
    jobs.map(|job| job.name.as_str()).collect()
}

/// The volume of a FineTuneJob, whose outputs are not known yet.
pub fn volume(job: &str) -> Source {
    on_volume(names::tune_claim(job), None)
}

/// Whether a source is an output on the volume of a FineTuneJob.
pub fn is_output(source: &Source) -> bool {
    let Source::PersistentVolumeClaim(claim) = source else {
        return false;
    };
    let digits = claim.path.as_deref().and_then(|path| path.strip_prefix("outputs/"));
    names::job_of_tune_claim(&claim.claim_name).is_some() && digits.is_some_and(are_digits)
}

/// The claim of a FineTuneJob that pods of a version mount for what the version itself is made of.
pub fn claim_of(version: &Version) -> Option<&str> {
    let tuned = version.tuned.as_ref().map(|tuned| tuned.place.claim.as_str());
    tuned.or_else(|| version.artifact().is_none().then(|| claim_of_source(&version.source))?)
}

/// The claim of a FineTuneJob that a source is on.
pub fn claim_of_source(source: &Source) -> Option<&str> {
    match source {
        Source::PersistentVolumeClaim(claim) if is_output(source) => Some(&claim.claim_name),
        _ => None,
    }
}

/// The directory of an output on its volume.
fn directory(digest: &str) -> String {
    output_dir(Path::new(""), digest).to_string_lossy().into_owned()
}

fn on_volume(claim_name: String, path: Option<String>) -> Source {
    Source::PersistentVolumeClaim(PersistentVolumeClaimSource {
        claim_name,
        path,
        sha256: None,
    })
}

fn are_digits(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
