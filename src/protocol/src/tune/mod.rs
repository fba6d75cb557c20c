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
mod layout;
mod train;

pub use data::{
    DataFormat, DataOutcome, DataPlan, DataProgress, DataReport, DataSource, DataSourceKind, DatasetManifest, Dedup,
    MinHash, PersonalData, Quality, Sample, SourceReport, Split, SplitCounts, Stages,
};
pub use layout::{MANIFEST, checkpoints_dir, data_dir, output_dir, outputs_dir, records_file};
pub use train::{
    Adapter, Architecture, Checkpointing, EarlyStopping, Gate, GateOutcome, GateReference, Hyperparameters,
    LoraSettings, Members, Method, Objective, Optimizer, OutputKind, OutputManifest, Schedule, TrainFailure,
    TrainOutcome, TrainPlan, TrainProgress, TrainReport, TrainSample, Warmup,
};

/// Environment variable with the plan.
pub const PLAN_VARIABLE: &str = "ATELIER_PLAN";
