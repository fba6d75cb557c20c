//! Where compressed weights are kept: one claim for each artifact, whatever versions are served from it.

use api::names;
use k8s_openapi::{
    api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements},
    apimachinery::pkg::api::resource::Quantity,
};
use kube::ResourceExt;
use protocol::PrepareReport;

use super::Builder;
use crate::controllers::llmmodel::compression::Compression;

/// What block storage is commonly given out in.
const GIB: u64 = 1 << 30;

/// The claim of what `compression` makes of the wanted source.
pub fn build(builder: &Builder<'_>, compression: &Compression, source: &PrepareReport) -> PersistentVolumeClaim {
    let storage = &builder.settings.storage;
    let model = &builder.owner.name;
    let mut labels = names::model_labels(model);
    labels.insert(names::LABEL_COMPONENT.into(), names::COMPONENT_WEIGHTS.into());
    let gibibytes = compression.estimate(source).disk.div_ceil(GIB);
    let name = names::weights_claim(model, &compression.key(&builder.wanted.source));
    let mut metadata = builder.metadata(name, labels);
    let found = serde_json::to_string(source).expect("our own types are representable as JSON");
    metadata.annotations = Some([(names::ANNOTATION_REPORT.to_owned(), found)].into());
    PersistentVolumeClaim {
        metadata,
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(storage.access_modes.clone()),
            resources: Some(VolumeResourceRequirements {
                requests: Some([("storage".to_owned(), Quantity(format!("{gibibytes}Gi")))].into()),
                ..VolumeResourceRequirements::default()
            }),
            storage_class_name: storage.class_name.clone(),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    }
}

/// What was found at the source before a claim was made.
pub fn report(claim: &PersistentVolumeClaim) -> Option<PrepareReport> {
    serde_json::from_str(claim.annotations().get(names::ANNOTATION_REPORT)?).ok()
}
