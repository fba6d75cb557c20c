//! Adapters beside a model.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::ModelSource;
use crate::common::pattern;

/// An adapter (LoRA) that is loaded beside the model, without a restart: a directory with
/// `adapter_config.json` and `adapter_model.safetensors`, as PEFT writes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.source.provider)")
    .message("adapters[].source must not be provider: an adapter needs weights")
    .field_path(".source"))]
pub struct Adapter {
    /// Name by which callers address it, as `<model>:<name>`.
    #[schemars(length(min = 1, max = 40), regex(pattern = pattern::DNS_LABEL))]
    pub name: String,
    /// Where its two files are: huggingFace, objectStore (a folder), oci and persistentVolumeClaim (`path`
    /// is the directory), or fineTuneJob. What has to be mounted, and Secrets that are new to the pods, replaces the
    /// pods one by one; later outputs of a fineTuneJob do not.
    /// `sha256` is compared with the digest in `status.adapters`.
    pub source: ModelSource,
}
