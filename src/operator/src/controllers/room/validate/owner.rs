//! The Room that children belong to.

use api::{
    Room,
    names::{ANNOTATION_PAUSED, ANNOTATION_SYNC},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};

/// The Room that children belong to.
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
    /// What somebody wrote to have its sources read at once.
    pub requested: Option<String>,
}

impl Owner {
    /// The owner's facts; `None` for an object that the API server did not fill in.
    pub fn new(room: &Room) -> Option<Self> {
        Some(Self {
            name: room.name_any(),
            namespace: room.namespace()?,
            uid: room.uid()?,
            reference: room.controller_owner_ref(&())?,
            paused: room
                .annotations()
                .get(ANNOTATION_PAUSED)
                .is_some_and(|value| value == "true"),
            requested: room.annotations().get(ANNOTATION_SYNC).cloned(),
        })
    }
}
