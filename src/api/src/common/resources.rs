//! CPU, memory and accelerators.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::pattern;

/// What one pod gets. Requests and limits are the same, except that CPU has no limit.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// CPU request, in cores: `2`, `500m`. Default: 1.
    #[schemars(length(max = 20), regex(pattern = pattern::QUANTITY))]
    pub cpu: Option<String>,
    /// Memory request and limit: `2Gi`. Default: what the estimate in the status says.
    #[schemars(length(max = 20), regex(pattern = pattern::QUANTITY))]
    pub memory: Option<String>,
    /// Accelerators of one pod. Atelier's own engine computes on one device of NVIDIA's, and needs a worker image that
    /// holds libtorch with CUDA; engines that `engine.openAICompatible` names take any. The usual taint of nodes with
    /// such devices is tolerated. Default: none, the CPU computes.
    pub accelerator: Option<Accelerator>,
    /// Number of accelerators that one copy of the model is split over. Default: 1.
    #[schemars(range(min = 1, max = 64))]
    pub tensor_parallel: Option<i32>,
}

/// Accelerators, either as an extended resource or through dynamic resource allocation.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.resourceName) != has(self.deviceClassName)")
    .message("accelerator needs exactly one of resourceName and deviceClassName"))]
pub struct Accelerator {
    /// Extended resource that a device plugin offers: `nvidia.com/gpu`.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[-._a-zA-Z0-9]+(/[-._a-zA-Z0-9]+)?$"))]
    pub resource_name: Option<String>,
    /// DeviceClass of dynamic resource allocation: `gpu.nvidia.com`.
    #[schemars(length(min = 1, max = 253), regex(pattern = pattern::DNS_SUBDOMAIN))]
    pub device_class_name: Option<String>,
    /// Devices for each pod. Default: 1.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 64))]
    pub count: i32,
}

fn one() -> i32 {
    1
}
