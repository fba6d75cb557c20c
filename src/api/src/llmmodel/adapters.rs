//! Adapters beside a model.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::ModelSource;
use crate::common::pattern;

/// An adapter (LoRA) that is loaded beside the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.source.provider)")
    .message("adapters[].source must not be provider: an adapter needs weights")
    .field_path(".source"))]
pub struct Adapter {
    /// Name by which callers address it, as `<model>:<name>`.
    #[schemars(length(min = 1, max = 40), regex(pattern = pattern::DNS_LABEL))]
    pub name: String,
    /// Where its weights come from.
    pub source: ModelSource,
}
