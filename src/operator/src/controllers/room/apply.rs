//! Brings the children to what the plan says. Each write stands alone: a crash between any two is repaired by the next
//! pass.

use api::names::FIELD_MANAGER_ROOM;
use k8s_openapi::api::{
    batch::v1::Job,
    rbac::v1::{Role, RoleBinding},
};

use super::{build::Access, decide::Plan, dereference::Observed, validate::Owner};
use crate::{
    cluster::Cluster,
    controllers::common::{
        apply::{ApplyError, Writer},
        drift,
    },
};

/// Deletes, and then writes: nobody keeps a right because something else cannot be written.
///
/// # Errors
/// The first failure. Of members none keeps the others from being let in; what comes after them is left to the next pass.
pub async fn apply(cluster: &Cluster, owner: &Owner, plan: &Plan, observed: &Observed) -> Result<(), ApplyError> {
    let namespace = &owner.namespace;
    let writer = Writer {
        cluster,
        manager: FIELD_MANAGER_ROOM,
        namespace,
        owner: &owner.reference,
    };
    let mut first = Ok(());
    for (name, uid) in &plan.delete_bindings {
        first = first.and(
            cluster
                .delete::<RoleBinding>(namespace, name, uid)
                .await
                .map_err(Into::into),
        );
    }
    for (name, uid) in &plan.delete_roles {
        first = first.and(cluster.delete::<Role>(namespace, name, uid).await.map_err(Into::into));
    }
    for access in &plan.access {
        first = first.and(ensure_access(&writer, observed, access).await);
    }
    first?;
    for account in &plan.accounts {
        writer.ensure(&observed.accounts, account).await?;
    }
    for policy in &plan.policies {
        writer.ensure(&observed.policies, policy).await?;
    }
    for (name, uid) in &plan.delete_jobs {
        cluster.delete::<Job>(namespace, name, uid).await?;
    }
    if let Some(job) = &plan.job {
        writer.ensure(&observed.jobs, job).await?;
    }
    if let Some(test) = &plan.test {
        writer.ensure(&observed.tests, test).await?;
    }
    Ok(())
}

async fn ensure_access(writer: &Writer<'_>, observed: &Observed, access: &Access) -> Result<(), ApplyError> {
    writer.ensure_as(&observed.roles, &access.role, has_rules).await?;
    writer
        .ensure_as(&observed.bindings, &access.binding, has_subjects)
        .await
}

/// Whether a Role is what is wanted and nothing more: elsewhere additions of others do no harm.
fn has_rules(desired: &Role, live: &Role) -> bool {
    drift::is_applied(desired, live) && desired.rules == live.rules
}

/// Likewise of a RoleBinding.
fn has_subjects(desired: &RoleBinding, live: &RoleBinding) -> bool {
    drift::is_applied(desired, live) && desired.subjects == live.subjects
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controllers::room::{
        build::members_access,
        testing::{room, the_owner},
    };

    #[test]
    fn an_additional_member_of_somebody_else_is_found() {
        let members = json!([{"kind": "User", "name": "jane", "role": "Reader"}]);
        let spec = room(json!({"members": members})).spec;
        let access = members_access(&the_owner(), &spec.members).remove(0);
        let (role, binding) = (drift::stamped(access.role), drift::stamped(access.binding));
        assert!(has_rules(&role, &role) && has_subjects(&binding, &binding));

        let mut more = binding.clone();
        let joe = more.subjects.as_ref().unwrap()[0].clone();
        more.subjects.as_mut().unwrap().push(joe);
        assert!(drift::is_applied(&binding, &more), "elsewhere it would be let pass");
        assert!(!has_subjects(&binding, &more));

        let mut more = role.clone();
        more.rules.as_mut().unwrap()[0].verbs.push("purge".into());
        assert!(!has_rules(&role, &more));
    }
}
