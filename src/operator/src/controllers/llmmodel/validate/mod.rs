//! What a spec asks for, with defaults filled in, or every fault of it. Pure.

mod accelerator;
mod adapters;
mod autoscaling;
mod canary;
pub mod guardrails;
mod node_cache;
mod suite;
mod unsupported;

use api::{
    LlmModel, LlmModelSpec,
    common::{GatewayApiRoute, Placement, PodOverrides},
    llmmodel::{
        AtelierEngine, Autoscaling, ForeignEngine, ImagePullPolicy, ModelSource, Prompt, RolloutStrategy, Task,
    },
    names::{ANNOTATION_PAUSED, ANNOTATION_PROMOTE},
    reasons,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};
use protocol::PrepareReport;

use super::{
    accelerator::Accelerator, compression::Compression, follow, source::Source, trouble::Trouble, version::Tuned,
};
use crate::controllers::common::gateway_api;
pub use adapters::Adapter;
pub use canary::{Canary, Step};
pub use node_cache::{NodeCache, offered};
pub use suite::Suite;

/// What the children of LlmModels need to know of this installation.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Image of worker pods.
    pub worker_image: String,
    /// When nodes pull it.
    pub worker_pull_policy: ImagePullPolicy,
    /// Image of pods that read and clean data, if trainings are offered; it is pulled likewise.
    pub data_image: Option<String>,
    /// Namespace of the gateway.
    pub gateway_namespace: String,
    /// What claims for compressed weights ask for.
    pub storage: Storage,
    /// Where pods of a node share weights, if that is allowed.
    pub node_cache: Option<NodeCache>,
    /// Where workers send traces, if they do.
    pub otlp_endpoint: Option<String>,
}

/// What claims for compressed weights ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// Their StorageClass; `None` is the cluster's default.
    pub class_name: Option<String>,
    /// How volumes may be mounted.
    pub access_modes: Vec<String>,
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            class_name: None,
            access_modes: vec!["ReadWriteOnce".into()],
        }
    }
}

impl Storage {
    /// Whether pods on several nodes may mount one volume.
    pub fn is_shared(&self) -> bool {
        self.access_modes.iter().any(|mode| mode.ends_with("Many"))
    }
}

/// The LlmModel that children belong to.
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
    /// The canary step that somebody promoted.
    pub promoted: Option<String>,
}

/// A spec that this release can fulfil.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What the model is for.
    pub task: Task,
    /// Where the weights are.
    pub source: Source,
    /// The FineTuneJob that the source follows; what it has published is filled in later.
    pub follows: Option<String>,
    /// The adapter that it has published, beside the weights of its base.
    pub tuned: Option<Tuned>,
    /// What is known of the weights of its base.
    pub base: Option<PrepareReport>,
    /// Why it is not known where the weights are.
    pub waiting: Option<Trouble>,
    /// What is loaded beside them.
    pub adapters: Vec<Adapter>,
    /// How they are made smaller before they are served.
    pub compress: Option<Compression>,
    /// How they are computed.
    pub engine: EngineSettings,
    /// What computes instead of our own engine.
    pub foreign: Option<ForeignEngine>,
    /// Texts before every conversation.
    pub prompt: Prompt,
    /// Version to serve instead of the one that the spec describes.
    pub pin: Option<String>,
    /// Pods of each live version, unless their number follows the load.
    pub replicas: i32,
    /// How it does.
    pub autoscaling: Option<Autoscaling>,
    /// CPU request of a pod.
    pub cpu: String,
    /// Memory of a pod; by default it is estimated.
    pub memory: Option<String>,
    /// Devices of a pod.
    pub accelerator: Option<Accelerator>,
    /// Devices that one copy of the model is split over.
    pub tensor_parallel: i32,
    /// Where pods run.
    pub placement: Placement,
    /// What people add to pods.
    pub overrides: PodOverrides,
    /// How a version takes over from the one before.
    pub strategy: RolloutStrategy,
    /// By which steps, with strategy Canary.
    pub canary: Option<Canary>,
    /// What a version must pass before.
    pub evaluation: Vec<Suite>,
    /// The ShadowDeployment by which it is compared before it gets traffic.
    pub shadow: Option<String>,
    /// The way in beside Atelier's gateway.
    pub route: Option<GatewayApiRoute>,
    /// Versions to keep beside those that serve.
    pub history_limit: usize,
}

/// The engine's settings; the context length depends on the model when it is not given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineSettings {
    /// Tokens of one sequence.
    pub context_length: Option<u64>,
    /// Tokens of one forward pass.
    pub max_batch_tokens: u64,
    /// Sequences computed at the same time.
    pub max_concurrent_sequences: u64,
    /// Requests that may wait.
    pub max_queue: u64,
    /// Whether beginnings of prompts are kept for later ones.
    pub prefix_cache: bool,
}

/// CPU request when the spec gives none.
const DEFAULT_CPU: &str = "1";

/// The owner's facts; `None` for an object that the API server did not fill in.
pub fn owner(model: &LlmModel) -> Option<Owner> {
    Some(Owner {
        name: model.name_any(),
        namespace: model.namespace()?,
        uid: model.uid()?,
        reference: model.controller_owner_ref(&())?,
        paused: model
            .annotations()
            .get(ANNOTATION_PAUSED)
            .is_some_and(|value| value == "true"),
        promoted: model.annotations().get(ANNOTATION_PROMOTE).cloned(),
    })
}

/// What the spec asks for.
///
/// # Errors
/// One trouble that names every field this release cannot fulfil.
pub fn validate(model: &LlmModel) -> Result<Wanted, Trouble> {
    let spec = &model.spec;
    let fields = unsupported::fields(spec);
    let source = source(&spec.source);
    let (true, Some(source)) = (fields.is_empty(), source) else {
        let message = format!(
            "this release does not support {}: remove it from the spec",
            fields.join(", ")
        );
        return Err(Trouble::new(reasons::NOT_SUPPORTED, message));
    };
    let mut faults = autoscaling::faults(spec);
    faults.extend(accelerator::fault(spec));
    faults.extend(guardrails::invalid(spec));
    let route = spec.route.as_ref().map(|route| &route.gateway_api);
    faults.extend(route.and_then(|asked| gateway_api::fault(asked, &model.namespace().unwrap_or_default())));
    if !faults.is_empty() {
        return Err(Trouble::new(reasons::INVALID_SPEC, faults.join("; ")));
    }
    let engine = spec
        .engine
        .as_ref()
        .and_then(|engine| engine.atelier.clone())
        .unwrap_or_default();
    let resources = spec.resources.clone().unwrap_or_default();
    let rollout = spec.rollout.clone().unwrap_or_default();
    Ok(Wanted {
        task: spec.task,
        source,
        follows: spec.source.fine_tune_job.as_ref().map(|job| job.name.clone()),
        tuned: None,
        base: None,
        waiting: None,
        adapters: Adapter::of(spec),
        compress: spec.compress.as_ref().and_then(Compression::new),
        engine: EngineSettings::from(&engine),
        foreign: spec
            .engine
            .as_ref()
            .and_then(|engine| engine.open_ai_compatible.clone()),
        prompt: spec.prompt.clone().unwrap_or_default(),
        pin: spec.version.clone(),
        replicas: spec.replicas,
        autoscaling: spec.autoscaling.clone(),
        cpu: resources.cpu.unwrap_or_else(|| DEFAULT_CPU.into()),
        memory: resources.memory,
        accelerator: resources.accelerator.as_ref().and_then(Accelerator::new),
        tensor_parallel: resources.tensor_parallel.unwrap_or(1),
        // Spreading over zones is on unless it is switched off: that is not the type's own default.
        placement: spec.placement.clone().unwrap_or_else(|| Placement {
            spread_over_zones: true,
            ..Placement::default()
        }),
        overrides: spec.pod_overrides.clone().unwrap_or_default(),
        strategy: rollout.strategy,
        canary: Canary::of(spec),
        evaluation: Suite::of(spec),
        shadow: shadow_template(spec).map(ToOwned::to_owned),
        route: spec.route.as_ref().map(|route| route.gateway_api.clone()),
        history_limit: usize::try_from(rollout.history_limit).unwrap_or_default(),
    })
}

/// The ShadowDeployment that `rollout.gates.shadow` names.
pub fn shadow_template(spec: &LlmModelSpec) -> Option<&str> {
    let gates = spec.rollout.as_ref()?.gates.as_ref()?;
    Some(gates.shadow.as_ref()?.template.as_str())
}

fn source(source: &ModelSource) -> Option<Source> {
    let oci = source.oci.clone().map(Source::Oci);
    let http = || source.http.clone().map(Source::Http);
    let hub = || source.hugging_face.clone().map(Source::HuggingFace);
    let pvc = || {
        source
            .persistent_volume_claim
            .clone()
            .map(Source::PersistentVolumeClaim)
    };
    let store = || source.object_store.clone().map(Source::ObjectStore);
    let tuned = || source.fine_tune_job.as_ref().map(|job| follow::volume(&job.name));
    oci.or_else(http)
        .or_else(hub)
        .or_else(store)
        .or_else(pvc)
        .or_else(tuned)
}

impl From<&AtelierEngine> for EngineSettings {
    fn from(engine: &AtelierEngine) -> Self {
        let positive = |value: i32| u64::from(value.unsigned_abs());
        Self {
            context_length: engine.context_length.map(positive),
            max_batch_tokens: positive(engine.max_batch_tokens),
            max_concurrent_sequences: positive(engine.max_concurrent_sequences),
            max_queue: positive(engine.max_queue),
            prefix_cache: engine.prefix_cache.as_ref().is_none_or(|cache| cache.enabled),
        }
    }
}

#[cfg(test)]
mod tests;
