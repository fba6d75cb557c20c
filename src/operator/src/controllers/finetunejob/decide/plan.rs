//! What a pass decides.

use api::{
    FineTuneJob,
    finetunejob::{BaseStatus, DatasetStatus, OutputStatus, ReportStatus, RunStatus, TrialStatus},
};
use jiff::Timestamp;
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{PersistentVolumeClaim, Service},
    networking::v1::NetworkPolicy,
};
use protocol::tune::TrainReport;

use crate::controllers::common::trouble::Trouble;

/// What is to be done, and what is true.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// How far it is.
    pub stage: Stage,
    /// Key of the training that this is about.
    pub key: Option<String>,
    /// To be there, at least as large.
    pub claim: Option<PersistentVolumeClaim>,
    /// To be there.
    pub policies: Vec<NetworkPolicy>,
    /// To be there.
    pub service: Option<Service>,
    /// To be made.
    pub jobs: Vec<Job>,
    /// Jobs whose pods are to wait, or not to wait any more.
    pub suspend: Vec<(String, bool)>,
    /// Jobs to be deleted: names and uids.
    pub delete: Vec<(String, String)>,
    /// FineTuneJobs to be made.
    pub create: Vec<FineTuneJob>,
    /// FineTuneJobs to be deleted: names and uids.
    pub delete_children: Vec<(String, String)>,
    /// Jobs in a row that ended without telling how, where one more did.
    pub lost: Option<i32>,
    /// What is started from.
    pub base: Option<BaseStatus>,
    /// The data that are learned from.
    pub dataset: Option<DatasetStatus>,
    /// What trials do.
    pub trials: Option<Vec<TrialStatus>>,
    /// What runs do.
    pub runs: Option<Vec<RunStatus>>,
    /// What a run published.
    pub output: Option<OutputStatus>,
    /// When the last run was due.
    pub last_scheduled: Option<Timestamp>,
    /// When the next one is.
    pub next_scheduled: Option<Timestamp>,
}

/// How far a FineTuneJob is.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Stage {
    /// Nothing is known.
    #[default]
    Unknown,
    /// The spec cannot be fulfilled.
    Refused(Trouble),
    /// Something has to come first.
    Waiting(Trouble),
    /// Data are read; after this trouble.
    Preparing(Option<Trouble>),
    /// The queue has not admitted it.
    Queued,
    /// `spec.suspend` is set.
    Suspended,
    /// Weights change; after this trouble.
    Training(Option<Trouble>),
    /// Trials are under way: so many of so many have ended.
    Sweeping(usize, usize),
    /// The schedule is followed; this run is under way.
    Following(Option<String>),
    /// It is over.
    Ended(End),
}

/// How a FineTuneJob ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// The result is published.
    Published(Box<TrainReport>),
    /// The gate kept it from being published.
    Rejected(Box<TrainReport>),
    /// The data are those of the run before.
    Unchanged,
    /// This trial is the best.
    Best(String, Box<OutputStatus>, Option<Box<ReportStatus>>),
    /// There is no result.
    Failed(Trouble),
    /// As the status says already.
    Known,
}
