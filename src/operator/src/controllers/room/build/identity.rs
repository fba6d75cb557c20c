//! Who reads the sources, and who tests the Room: nobody but the gateway knows their tokens, and they may do nothing but fill
//! this Room, or try to make it leak.

use api::names::{
    COMPONENT_INGEST, COMPONENT_REDTEAM, VERB_INFER, VERB_INGEST, VERB_REDTEAM, room_ingest, room_redteam,
};
use k8s_openapi::api::core::v1::ServiceAccount;

use super::{
    Access,
    members::{access, account as subject, rule},
    metadata,
};
use crate::controllers::room::validate::Owner;

/// The ServiceAccount of what reads the sources. Others may annotate it, for the workload identity of a cloud.
pub fn ingestion_account(owner: &Owner) -> ServiceAccount {
    account(owner, room_ingest(&owner.name), COMPONENT_INGEST)
}

/// Likewise of what tests the Room.
pub fn red_team_account(owner: &Owner) -> ServiceAccount {
    account(owner, room_redteam(&owner.name), COMPONENT_REDTEAM)
}

fn account(owner: &Owner, name: String, component: &str) -> ServiceAccount {
    ServiceAccount {
        metadata: metadata(owner, name, component),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

/// What whoever tests the Room may do, while it is being tested: to the gateway, that account has all clearance that there is.
pub fn red_team(owner: &Owner) -> Access {
    let name = room_redteam(&owner.name);
    let rules = vec![rule("rooms", &owner.name, &[VERB_REDTEAM])];
    let subjects = vec![subject(&owner.namespace, &name)];
    access(owner, name, COMPONENT_REDTEAM, rules, subjects)
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
