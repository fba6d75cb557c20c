//! Training: what the operator asks of `atelier-data` and `atelier-worker train`, and what they answer.
//!
//! ```text
//!  FineTuneJob -> DataPlan -> [atelier-data prepare] -> a directory of records and DatasetManifest
//!              -> TrainPlan -> [atelier-worker train] -> checkpoints, and an output with OutputManifest
//! ```
//!
//! Both plans travel as JSON in the environment variable [`PLAN_VARIABLE`]; answers are the last words of a pod, and
//! until then lines of its log.

mod data;
mod hyperparameters;
mod layout;
mod number;
mod train;

pub use data::{
    Contaminant, DataFormat, DataOutcome, DataPlan, DataProgress, DataReport, DataSource, DataSourceKind,
    DatasetManifest, Dedup, MinHash, PersonalData, Quality, Sample, SourceReport, Split, SplitCounts, Stages,
};
pub use hyperparameters::{Adapter, Hyperparameters, LoraSettings, Optimizer, Schedule, Warmup};
pub use layout::{MANIFEST, checkpoints_dir, data_dir, output_dir, outputs_dir, records_file};
pub use train::{
    Architecture, Checkpointing, EarlyStopping, Gate, GateOutcome, GateReference, Members, Method, Objective,
    OutputKind, OutputManifest, SuiteLimits, TrainFailure, TrainOutcome, TrainPlan, TrainProgress, TrainReport,
    TrainSample,
};

/// Environment variable with the plan.
pub const PLAN_VARIABLE: &str = "ATELIER_PLAN";
