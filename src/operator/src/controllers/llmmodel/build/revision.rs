//! The immutable snapshot of a version.

use api::names::{self, ANNOTATION_SOURCE};
use k8s_openapi::{api::apps::v1::ControllerRevision, apimachinery::pkg::runtime::RawExtension};

use super::Builder;
use crate::controllers::llmmodel::version::Version;

/// The ControllerRevision of a version.
pub fn build(builder: &Builder<'_>, version: &Version, number: i64) -> ControllerRevision {
    let model = &builder.owner.name;
    let mut metadata = builder.metadata(
        names::version_child(model, &version.name),
        names::version_labels(model, &version.name),
    );
    metadata.annotations = Some([(ANNOTATION_SOURCE.to_owned(), version.place())].into());
    ControllerRevision {
        metadata,
        data: Some(RawExtension(version.data())),
        revision: number,
    }
}
