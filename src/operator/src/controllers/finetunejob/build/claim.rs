//! Where data, checkpoints and outputs lie.

use api::{finetunejob::VolumeAccess, names};
use k8s_openapi::{
    api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements},
    apimachinery::pkg::api::resource::Quantity,
};

use super::Builder;
use crate::controllers::common::quantity::nanos;

const DEFAULT_SIZE: &str = "10Gi";

/// The claim of a FineTuneJob that is nobody's child.
pub fn build(builder: &Builder<'_>) -> PersistentVolumeClaim {
    let asked = builder.wanted.spec.storage.clone().unwrap_or_default();
    let size = asked.size.unwrap_or_else(|| DEFAULT_SIZE.into());
    PersistentVolumeClaim {
        metadata: builder.metadata(builder.volume(), names::COMPONENT_TUNE),
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(access_modes(builder)),
            resources: Some(VolumeResourceRequirements {
                requests: Some([("storage".to_owned(), Quantity(size))].into()),
                ..VolumeResourceRequirements::default()
            }),
            storage_class_name: asked.class_name.or_else(|| builder.settings.storage.class_name.clone()),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    }
}

/// How the volume may be mounted.
fn access_modes(builder: &Builder<'_>) -> Vec<String> {
    let asked = builder
        .wanted
        .spec
        .storage
        .as_ref()
        .map(|it| it.access_modes.as_slice());
    match asked {
        Some(modes @ [_, ..]) => modes
            .iter()
            .copied()
            .map(VolumeAccess::as_str)
            .map(Into::into)
            .collect(),
        _ => builder.settings.storage.access_modes.clone(),
    }
}

/// Whether pods on several nodes may mount the volume.
pub fn is_shared(builder: &Builder<'_>) -> bool {
    access_modes(builder).iter().any(|mode| mode.ends_with("Many"))
}

/// Whether a claim asks for as much as another one. Everything else about a claim cannot be changed, and volumes do not
/// shrink.
pub fn is_large_enough(live: &PersistentVolumeClaim, desired: &PersistentVolumeClaim) -> bool {
    let size = |claim: &PersistentVolumeClaim| {
        let requests = claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?;
        nanos(&requests.get("storage")?.0)
    };
    size(live) >= size(desired)
}
