//! Who reads the sources: nobody but the gateway knows its token, and it may do nothing but fill this Room.

use api::names::{COMPONENT_INGEST, VERB_INFER, VERB_INGEST, room_ingest};
use k8s_openapi::api::core::v1::ServiceAccount;

use super::{
    Access,
    members::{access, account as subject, rule},
    metadata,
};
use crate::controllers::room::validate::Owner;

/// The ServiceAccount. Others may annotate it, for the workload identity of a cloud.
pub fn account(owner: &Owner) -> ServiceAccount {
    ServiceAccount {
        metadata: metadata(owner, room_ingest(&owner.name), COMPONENT_INGEST),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

/// What it may do: fill the Room, and ask the embedding model.
pub fn ingestion(owner: &Owner, embedding: &str) -> Access {
    let name = room_ingest(&owner.name);
    let rules = vec![
        rule("rooms", &owner.name, &[VERB_INGEST]),
        rule("llmmodels", embedding, &[VERB_INFER]),
    ];
    let subjects = vec![subject(&owner.namespace, &name)];
    access(owner, name, COMPONENT_INGEST, rules, subjects)
}
