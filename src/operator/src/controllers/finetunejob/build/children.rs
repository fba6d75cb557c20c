//! FineTuneJobs that a FineTuneJob makes: trials of a sweep, and runs of a schedule.

use std::collections::BTreeMap;

use api::{
    FineTuneJob,
    finetunejob::FineTuneJobSpec,
    names::{
        self, ANNOTATION_PLAN, ANNOTATION_SCHEDULED, ANNOTATION_SHAPE, ANNOTATION_TRIAL, LABEL_MANAGED_BY, LABEL_NAME,
        LABEL_PARENT, MANAGED_BY, NAME_FINETUNEJOB,
    },
};
use jiff::{Timestamp, tz::TimeZone};
use kube::api::ObjectMeta;

use super::Builder;
use crate::controllers::finetunejob::sweep::{self, Candidate};

/// A trial with these settings; the first one has number 1.
pub fn trial(builder: &Builder<'_>, number: usize, candidate: &Candidate) -> Result<FineTuneJob, String> {
    let settings = serde_json::to_string(candidate).expect("maps of strings are representable as JSON");
    Ok(child(
        builder,
        names::trial(&builder.owner.name, number),
        (ANNOTATION_TRIAL, settings),
        sweep::settled(&builder.wanted.spec, candidate)?,
    ))
}

/// The run that is due at a time.
pub fn run(builder: &Builder<'_>, scheduled: Timestamp) -> FineTuneJob {
    let spec = FineTuneJobSpec {
        schedule: None,
        suspend: false,
        ..builder.wanted.spec.clone()
    };
    let name = run_name(&builder.owner.name, scheduled);
    child(builder, name, (ANNOTATION_SCHEDULED, scheduled.to_string()), spec)
}

/// Runs are told apart by minutes: cron has nothing finer.
fn run_name(job: &str, scheduled: Timestamp) -> String {
    let minute = scheduled.to_zoned(TimeZone::UTC).strftime("%Y%m%d%H%M");
    format!("{job}-{minute}")
}

fn child(builder: &Builder<'_>, name: String, why: (&str, String), spec: FineTuneJobSpec) -> FineTuneJob {
    let owner = builder.owner;
    let labels = [
        (LABEL_MANAGED_BY, MANAGED_BY),
        (LABEL_NAME, NAME_FINETUNEJOB),
        (LABEL_PARENT, &owner.name),
    ];
    let annotations: BTreeMap<String, String> = [
        (ANNOTATION_PLAN.to_owned(), builder.wanted.key.clone()),
        (ANNOTATION_SHAPE.to_owned(), builder.wanted.shape.clone()),
        (why.0.to_owned(), why.1),
    ]
    .into();
    FineTuneJob {
        metadata: ObjectMeta {
            name: Some(name),
            namespace: Some(owner.namespace.clone()),
            labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
            annotations: Some(annotations),
            owner_references: Some(vec![owner.reference.clone()]),
            ..ObjectMeta::default()
        },
        spec,
        status: None,
    }
}
