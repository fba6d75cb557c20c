//! How pods get accelerators: as an extended resource, or by a claim for devices of a class.

use api::names::{self, COMPONENT_SERVE, LABEL_COMPONENT};
use k8s_openapi::{
    api::{
        core::v1::{PodResourceClaim, ResourceClaim, ResourceRequirements, Toleration},
        resource::v1::{
            DeviceClaim, DeviceRequest, ExactDeviceRequest, ResourceClaimSpec, ResourceClaimTemplate,
            ResourceClaimTemplateSpec,
        },
    },
    apimachinery::pkg::api::resource::Quantity,
};

use super::Builder;
use crate::controllers::llmmodel::{accelerator::Accelerator, canonical};

/// Name of a pod's claim, and of the one request in it.
const CLAIM: &str = "accelerator";

/// Adds the devices to what a container gets. Extended resources cannot be overcommitted: the limit is the request.
pub fn add(resources: &mut ResourceRequirements, asked: Option<&Accelerator>) {
    let Some(asked) = asked else { return };
    match asked.resource() {
        Some(name) => {
            let quantity = Quantity(asked.count.to_string());
            for amounts in [&mut resources.limits, &mut resources.requests] {
                amounts.get_or_insert_default().insert(name.into(), quantity.clone());
            }
        }
        None => {
            resources.claims = Some(vec![ResourceClaim {
                name: CLAIM.into(),
                request: None,
            }]);
        }
    }
}

/// The claims of a pod.
pub fn claims(builder: &Builder<'_>) -> Option<Vec<PodResourceClaim>> {
    let (name, _, _) = wanted(builder)?;
    Some(vec![PodResourceClaim {
        name: CLAIM.into(),
        resource_claim_name: None,
        resource_claim_template_name: Some(name),
    }])
}

/// Lets pods onto nodes that are kept for pods with such devices.
pub fn tolerations(asked: Option<&Accelerator>) -> Option<Vec<Toleration>> {
    let taint = asked?.taint()?;
    Some(vec![Toleration {
        key: Some(taint.into()),
        operator: Some("Exists".into()),
        effect: Some("NoSchedule".into()),
        ..Toleration::default()
    }])
}

/// What the claims of pods are made from. Its name follows from what it asks for: it cannot be changed.
pub fn template(builder: &Builder<'_>) -> Option<ResourceClaimTemplate> {
    let (name, class, count) = wanted(builder)?;
    let mut labels = names::model_labels(&builder.owner.name);
    labels.insert(LABEL_COMPONENT.into(), COMPONENT_SERVE.into());
    let request = DeviceRequest {
        name: CLAIM.into(),
        exactly: Some(ExactDeviceRequest {
            allocation_mode: Some("ExactCount".into()),
            count: Some(count.into()),
            device_class_name: class.into(),
            ..ExactDeviceRequest::default()
        }),
        first_available: None,
    };
    Some(ResourceClaimTemplate {
        metadata: builder.metadata(name, labels),
        spec: ResourceClaimTemplateSpec {
            metadata: None,
            spec: ResourceClaimSpec {
                devices: Some(DeviceClaim {
                    requests: Some(vec![request]),
                    ..DeviceClaim::default()
                }),
            },
        },
    })
}

/// Name, class and number of the devices that pods claim.
fn wanted<'a>(builder: &Builder<'a>) -> Option<(String, &'a str, i32)> {
    let asked = builder.wanted.accelerator.as_ref()?;
    let class = asked.class()?;
    let key = canonical::digest(&(class, asked.count), 8);
    Some((names::device_claims(&builder.owner.name, &key), class, asked.count))
}
