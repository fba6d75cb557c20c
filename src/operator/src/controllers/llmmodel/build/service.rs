//! How the gateway finds the pods of a version: by the EndpointSlices of a headless Service, which
//! carry its labels.

use api::names::PORT_API;
use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};
use protocol::ports::WORKER_API;

use super::Builder;
use crate::controllers::llmmodel::version::Version;

/// The Service of a version.
pub fn build(builder: &Builder<'_>, version: &Version) -> Service {
    Service {
        metadata: builder.version_metadata(version),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".into()),
            ports: Some(vec![ServicePort {
                name: Some(PORT_API.into()),
                port: WORKER_API.into(),
                protocol: Some("TCP".into()),
                target_port: Some(IntOrString::String(PORT_API.into())),
                ..ServicePort::default()
            }]),
            selector: Some(builder.selector(version)),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}
