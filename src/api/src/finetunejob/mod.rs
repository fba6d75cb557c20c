//! FineTuneJob: training a model, an adapter, or both from scratch.

mod architecture;
mod dataset;
mod evaluate;
mod hyperparameters;
mod prepare;
mod run;
mod status;
mod sweep;

pub use architecture::{Architecture, Experts, ModelFamily};
pub use dataset::{DataSplit, Dataset, DatasetFormat, DatasetSource, FeedbackData, HttpData, RoomData, SqlData};
pub use evaluate::{EarlyStopping, EvaluateDuring, RegressionGate, RegressionReference};
pub use hyperparameters::{Hyperparameters, LearningRateSchedule, Lora, Optimizer};
pub use prepare::{Dedup, MinHash, PersonalData, Prepare, Quality};
pub use run::{Checkpoint, ConcurrencyPolicy, Parallelism, Schedule, TuneStorage, VolumeAccess};
pub use status::{
    BaseStatus, CheckpointStatus, DatasetStatus, FineTuneJobStatus, Measurement, OutcomeStatus, OutputKind,
    OutputStatus, Phase, ReportStatus, ResourceUse, RunStatus, TrialStatus,
};
pub use sweep::{Sweep, SweepAlgorithm, SweepDimension};

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::common::{ModelVersionRef, Placement, PodOverrides, Resources, pattern};

/// What is to be trained, on what, and how.
#[skip_serializing_none]
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "atelier.dev",
    version = "v1alpha1",
    kind = "FineTuneJob",
    plural = "finetunejobs",
    shortname = "ftj",
    category = "atelier",
    namespaced,
    status = "FineTuneJobStatus",
    derive = "PartialEq",
    cel,
    doc = "Training: of an adapter, of all weights of a model, or of a model from scratch.",
    printcolumn(name = "Base", type_ = "string", json_path = ".spec.base.name", description = "The model that is trained"),
    printcolumn(name = "Method", type_ = "string", json_path = ".spec.method"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Step", type_ = "integer", json_path = ".status.step"),
    printcolumn(name = "Of", type_ = "integer", json_path = ".status.totalSteps"),
    printcolumn(name = "Loss", type_ = "string", json_path = ".status.loss"),
    printcolumn(name = "Eval", type_ = "string", json_path = ".status.evalLoss", description = "Loss on the validation set"),
    printcolumn(name = "ETA", type_ = "string", json_path = ".status.eta", description = "When it should end"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Tokens/s", type_ = "string", json_path = ".status.tokensPerSecond", priority = 1),
    printcolumn(name = "Output", type_ = "string", json_path = ".status.output.digest", priority = 1),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$')")
        .message("FineTuneJob metadata.name must be at most 40 characters of a-z, 0-9 and '-', start with a letter and end with a letter or digit"),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.base) != has(self.architecture)")
    .message("spec needs exactly one of base (the model to train) and architecture (a model from scratch)"))]
#[x_kube(validation = Rule::new("has(self.architecture) == (self.method == 'Pretrain')")
    .message("spec.architecture goes with method Pretrain and only with it: use base for every other method"))]
#[x_kube(validation = Rule::new("self.method != 'Pretrain' || self.objective == 'CausalLM'")
    .message("spec.objective must be CausalLM with method Pretrain")
    .field_path(".objective"))]
#[x_kube(validation = Rule::new("(self.objective in ['DPO', 'KTO']) == (self.dataset.format == 'Preference')")
    .message("spec.dataset.format must be Preference with objectives DPO and KTO, and another format with SFT and CausalLM")
    .field_path(".dataset.format"))]
#[x_kube(validation = Rule::new("self.objective != 'SFT' || self.dataset.format != 'Text'")
    .message("spec.objective SFT needs conversations or prompts with answers: for plain text use objective CausalLM")
    .field_path(".objective"))]
#[x_kube(validation = Rule::new("!has(self.hyperparameters) || !has(self.hyperparameters.lora) || self.method in ['LoRA', 'QLoRA']")
    .message("spec.hyperparameters.lora applies to methods LoRA and QLoRA only: leave it out or choose one of these"))]
#[x_kube(validation = Rule::new("!has(self.hyperparameters) || !has(self.hyperparameters.virtualTokens) || self.method in ['Prefix', 'Prompt']")
    .message("spec.hyperparameters.virtualTokens applies to methods Prefix and Prompt only: leave it out or choose one of these"))]
#[x_kube(validation = Rule::new("!has(self.hyperparameters) || !has(self.hyperparameters.bottleneck) || self.method == 'Adapter'")
    .message("spec.hyperparameters.bottleneck applies to method Adapter only: leave it out or choose that method"))]
#[x_kube(validation = Rule::new("!has(self.hyperparameters) || !has(self.hyperparameters.beta) || self.objective in ['DPO', 'KTO']")
    .message("spec.hyperparameters.beta applies to objectives DPO and KTO only: leave it out or choose one of these"))]
#[x_kube(validation = Rule::new("!has(self.evaluate) || !has(self.evaluate.suites) || size(self.evaluate.suites) == 0 || !(self.method in ['Adapter', 'Prefix'])")
    .message("spec.evaluate.suites are asked by the engine that serves, which loads nothing that methods Adapter and Prefix publish: leave them out, or use LoRA, QLoRA or Full"))]
#[x_kube(validation = Rule::new("self.method != 'Prompt'")
    .message("spec.method Prompt comes with a later release: use Prefix, LoRA or another method")
    .field_path(".method"))]
#[x_kube(validation = Rule::new("self.objective != 'KTO'")
    .message("spec.objective KTO comes with a later release: use DPO with pairs of answers")
    .field_path(".objective"))]
#[x_kube(validation = Rule::new("!has(self.sweep) || !has(self.schedule)")
    .message("spec takes at most one of sweep and schedule: run the sweep once and put its best settings into the scheduled job"))]
#[x_kube(validation = Rule::new("has(self.base) == has(oldSelf.base) && (!has(self.base) || self.base == oldSelf.base)")
    .message("spec.base cannot be changed: create another FineTuneJob for the other model")
    .field_path(".base"))]
#[x_kube(validation = Rule::new("self.method == oldSelf.method && self.objective == oldSelf.objective")
    .message("spec.method and spec.objective cannot be changed: create another FineTuneJob")
    .field_path(".method"))]
#[x_kube(validation = Rule::new("has(self.schedule) == has(oldSelf.schedule)")
    .message("spec.schedule cannot be added or removed later: create another FineTuneJob, or set schedule.suspend"))]
pub struct FineTuneJobSpec {
    /// The model to train. Cannot be changed later.
    pub base: Option<ModelVersionRef>,
    /// The model to create, for method Pretrain.
    pub architecture: Option<Architecture>,
    /// What is trained. Cannot be changed later.
    pub method: Method,
    /// What is learned from the data. Default: SFT. Cannot be changed later.
    #[serde(default)]
    pub objective: Objective,
    /// What is learned from.
    pub dataset: Dataset,
    /// Settings of the training. Default: those of the method, listed at each field.
    pub hyperparameters: Option<Hyperparameters>,
    /// Try several settings and keep the best. Default: one run with the settings given.
    pub sweep: Option<Sweep>,
    /// How the work is divided over pods. Default: one pod.
    pub parallelism: Option<Parallelism>,
    /// How often the state is saved, so that a lost pod costs little. Default: every 10 minutes.
    pub checkpoint: Option<Checkpoint>,
    /// Measurements during the training, and what the result must pass to be published.
    pub evaluate: Option<EvaluateDuring>,
    /// Train again at set times on fresh data: each run is a child FineTuneJob. Default: train once.
    pub schedule: Option<Schedule>,
    /// CPU, memory and accelerators of one pod. Default: from the estimate.
    pub resources: Option<Resources>,
    /// Where pods run.
    pub placement: Option<Placement>,
    /// LocalQueue of Kueue that admits the training. Default: none, it starts at once.
    #[schemars(length(min = 1, max = 253), regex(pattern = pattern::DNS_SUBDOMAIN))]
    pub queue_name: Option<String>,
    /// The volume for data, checkpoints and outputs. Runs of a schedule and trials of a sweep share that of their
    /// parent. It is deleted with the FineTuneJob. Default: 10Gi of the installation's StorageClass.
    pub storage: Option<TuneStorage>,
    /// Small additions to the pods.
    pub pod_overrides: Option<PodOverrides>,
    /// Stop the pods at the next checkpoint; unset it to go on from there. Default: false.
    #[serde(default)]
    pub suspend: bool,
    /// How often a failed attempt is repeated from the last checkpoint. Lost and preempted pods do not
    /// count. Default: 3.
    #[serde(default = "three")]
    #[schemars(range(min = 0, max = 100))]
    pub retries: i32,
    /// Seconds after its end at which its Jobs and their pods are deleted. The FineTuneJob, its status and its volume
    /// with everything that it published stay. Default: never.
    #[schemars(range(min = 0, max = 31_536_000))]
    pub ttl_seconds_after_finished: Option<i32>,
}

fn three() -> i32 {
    3
}

/// What is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Method {
    /// All weights of the base.
    Full,
    /// Low-rank matrices beside the weights.
    LoRA,
    /// The same, with the weights quantized to 4 bits meanwhile.
    QLoRA,
    /// Small layers between the layers.
    Adapter,
    /// Keys and values before every layer's own.
    Prefix,
    /// Vectors before the prompt.
    Prompt,
    /// All weights of a new model.
    Pretrain,
}

/// What is learned from the data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Objective {
    /// Supervised fine-tuning: answer as the examples do.
    #[default]
    SFT,
    /// Direct preference optimization: prefer the chosen of two answers.
    DPO,
    /// Kahneman-Tversky optimization: prefer answers marked good.
    KTO,
    /// Continue plain text.
    CausalLM,
}
