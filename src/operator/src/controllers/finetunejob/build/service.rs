//! How the pods of a training find each other.

use api::names::{COMPONENT_TRAIN, train_job};
use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};
use protocol::ports::TRAIN_RING;

use super::Builder;

/// A Service without an address of its own: each pod has a name in it.
pub fn build(builder: &Builder<'_>) -> Service {
    Service {
        metadata: builder.metadata(train_job(&builder.owner.name), COMPONENT_TRAIN),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".into()),
            ports: Some(vec![ServicePort {
                name: Some("ring".into()),
                port: TRAIN_RING.into(),
                target_port: Some(IntOrString::Int(TRAIN_RING.into())),
                ..ServicePort::default()
            }]),
            // They meet before they are ready for anything.
            publish_not_ready_addresses: Some(true),
            selector: Some(builder.selector(COMPONENT_TRAIN)),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}
