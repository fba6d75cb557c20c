//! Members of a Room, by their roles: one Role and one RoleBinding for each role that somebody has.

use api::{
    names::{COMPONENT_ACCESS, GROUP, room_role},
    room::{Member, MemberKind, Role as RoomRole},
};
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject};

use super::{Access, metadata};
use crate::controllers::room::validate::Owner;

/// The API group of Roles, users and groups.
pub const RBAC: &str = "rbac.authorization.k8s.io";

/// What members may do, and who they are.
pub fn members(owner: &Owner, members: &[Member]) -> Vec<Access> {
    let mut found = Vec::new();
    for role in RoomRole::ALL {
        let subjects = members.iter().filter(|member| member.role == role);
        let subjects: Vec<_> = subjects.map(|member| subject(owner, member)).collect();
        if subjects.is_empty() {
            continue;
        }
        let name = room_role(&owner.name, role);
        let rules = vec![rule("rooms", &owner.name, role.verbs())];
        found.push(access(owner, name, COMPONENT_ACCESS, rules, subjects));
    }
    found
}

/// A Role with these rules, bound to these.
pub fn access(owner: &Owner, name: String, component: &str, rules: Vec<PolicyRule>, subjects: Vec<Subject>) -> Access {
    Access {
        role: Role {
            metadata: metadata(owner, name.clone(), component),
            rules: Some(rules),
        },
        binding: RoleBinding {
            metadata: metadata(owner, name.clone(), component),
            role_ref: RoleRef {
                api_group: Some(RBAC.into()),
                kind: "Role".into(),
                name,
            },
            subjects: Some(subjects),
        },
    }
}

/// These verbs on one object of ours.
pub fn rule(resource: &str, name: &str, verbs: &[&str]) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec![GROUP.into()]),
        resources: Some(vec![resource.into()]),
        resource_names: Some(vec![name.into()]),
        verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
        ..PolicyRule::default()
    }
}

fn subject(owner: &Owner, member: &Member) -> Subject {
    match member.kind {
        MemberKind::User => named("User", &member.name),
        MemberKind::Group => named("Group", &member.name),
        MemberKind::ServiceAccount => {
            let (namespace, name) = member.name.split_once('/').unwrap_or((&owner.namespace, &member.name));
            account(namespace, name)
        }
    }
}

fn named(kind: &str, name: &str) -> Subject {
    Subject {
        api_group: Some(RBAC.into()),
        kind: kind.into(),
        name: name.into(),
        namespace: None,
    }
}

/// A ServiceAccount.
pub fn account(namespace: &str, name: &str) -> Subject {
    Subject {
        api_group: None,
        kind: "ServiceAccount".into(),
        name: name.into(),
        namespace: Some(namespace.into()),
    }
}
