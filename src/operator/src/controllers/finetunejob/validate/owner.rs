//! The FineTuneJob that children belong to.

use api::{
    FineTuneJob,
    names::{ANNOTATION_PAUSED, ANNOTATION_SCHEDULED, LABEL_PARENT},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};

/// The FineTuneJob that children belong to.
#[derive(Clone, Debug)]
pub struct Owner {
    /// Its name.
    pub name: String,
    /// Its namespace, and that of the children.
    pub namespace: String,
    /// Its uid.
    pub uid: String,
    /// What children carry.
    pub reference: OwnerReference,
    /// Whether its children are to be left alone.
    pub paused: bool,
    /// The FineTuneJob that made it, if one did.
    pub parent: Option<Parent>,
}

/// The FineTuneJob that made another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Its name.
    pub name: String,
    /// What for.
    pub role: Role,
}

/// What a FineTuneJob is made for by another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A run of a schedule: it reads its data anew.
    Run,
    /// A trial of a sweep: it learns from its parent's data.
    Trial,
}

impl Owner {
    /// The owner's facts; `None` for an object that the API server did not fill in.
    pub fn new(job: &FineTuneJob) -> Option<Self> {
        Some(Self {
            name: job.name_any(),
            namespace: job.namespace()?,
            uid: job.uid()?,
            reference: job.controller_owner_ref(&())?,
            paused: job
                .annotations()
                .get(ANNOTATION_PAUSED)
                .is_some_and(|value| value == "true"),
            parent: parent(job),
        })
    }

    /// The one whose volume is used.
    pub fn root(&self) -> &str {
        self.parent.as_ref().map_or(&self.name, |parent| &parent.name)
    }

    /// Whether it learns from its parent's data.
    pub fn is_trial(&self) -> bool {
        self.parent.as_ref().is_some_and(|parent| parent.role == Role::Trial)
    }
}

/// A label alone makes no child: anybody can set it.
fn parent(job: &FineTuneJob) -> Option<Parent> {
    let name = job.labels().get(LABEL_PARENT)?;
    let owns = |owner: &OwnerReference| owner.kind == "FineTuneJob" && owner.name == *name;
    job.owner_references().iter().any(owns).then(|| Parent {
        name: name.clone(),
        role: match job.annotations().contains_key(ANNOTATION_SCHEDULED) {
            true => Role::Run,
            false => Role::Trial,
        },
    })
}
