//! What each component may do in the cluster: the one table that the chart's roles are rendered from.
//!
//! The components run under these rights in all tests on a cluster, so a missing grant shows as a 403
//! there. A grant that nothing uses is a defect as well.

use crate::names;

/// A right and why it is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// API group; the core group is `""`.
    pub group: &'static str,
    /// Plurals, with the subresource where it is one: `llmmodels/status`.
    pub resources: &'static [&'static str],
    /// Names of the only objects meant. Empty: all.
    pub names: &'static [&'static str],
    /// What may be done.
    pub verbs: &'static [&'static str],
    /// What the component needs it for.
    pub why: &'static str,
}

/// A component and its rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Component {
    /// Value of the label `app.kubernetes.io/component`.
    pub component: &'static str,
    /// Name of its ServiceAccount, and of its roles and bindings.
    pub account: &'static str,
    /// Rights in all namespaces.
    pub cluster: &'static [Grant],
    /// Rights in the namespace that Atelier is installed in.
    pub own_namespace: &'static [Grant],
}

/// All components that talk to the API server. Workers do not: they get no token.
pub const COMPONENTS: &[Component] = &[
    Component {
        component: "operator",
        account: names::OPERATOR,
        cluster: OPERATOR,
        own_namespace: OPERATOR_OWN_NAMESPACE,
    },
    Component {
        component: "gateway",
        account: names::GATEWAY,
        cluster: GATEWAY,
        own_namespace: GATEWAY_OWN_NAMESPACE,
    },
];

const READ: &[&str] = &["get", "list", "watch"];
const OWN: &[&str] = &["get", "list", "watch", "create", "patch", "delete"];

/// What members of Rooms and their ingestion may be allowed to do with a Room.
const PASSED_ON: &[&str] = &[
    names::VERB_SEARCH,
    names::VERB_ASK,
    names::VERB_FEEDBACK,
    names::VERB_CONTRIBUTE,
    names::VERB_CURATE,
    names::VERB_REDTEAM,
    names::VERB_AUDIT,
    names::VERB_INGEST,
];

const fn grant(
    group: &'static str,
    resources: &'static [&'static str],
    verbs: &'static [&'static str],
    why: &'static str,
) -> Grant {
    Grant {
        group,
        resources,
        names: &[],
        verbs,
        why,
    }
}

const OPERATOR: &[Grant] = &[
    grant(
        names::GROUP,
        &["llmmodels"],
        READ,
        "What people ask for; the spec is theirs and is never written.",
    ),
    grant(names::GROUP, &["llmmodels/status"], &["patch"], "What became of it."),
    grant(
        names::GROUP,
        &["llmmodels/finalizers"],
        &["update"],
        "Children name their model as owner; OwnerReferencesPermissionEnforcement asks for this right. Finalizers are not used.",
    ),
    grant(
        names::GROUP,
        &["finetunejobs"],
        READ,
        "What people want trained; specs are theirs and are never written.",
    ),
    grant(
        names::GROUP,
        &["finetunejobs"],
        &["create", "delete"],
        "Runs of a schedule and trials of a sweep, which are FineTuneJobs too: they are made whole, never changed, and \
         deleted when they are not needed any more.",
    ),
    grant(names::GROUP, &["finetunejobs/status"], &["patch"], "What became of it."),
    grant(
        names::GROUP,
        &["finetunejobs/finalizers"],
        &["update"],
        "Children name their FineTuneJob as owner; OwnerReferencesPermissionEnforcement asks for this right.",
    ),
    grant(
        names::GROUP,
        &["rooms"],
        READ,
        "Who may enter which Room, and what is in it; specs are theirs and are never written.",
    ),
    grant(
        names::GROUP,
        &["rooms"],
        &["patch"],
        "The finalizer alone, by which the contents of a Room go before it does. It is metadata, for which there is no subresource.",
    ),
    grant(names::GROUP, &["rooms/status"], &["patch"], "What became of it."),
    grant(
        names::GROUP,
        &["rooms/finalizers"],
        &["update"],
        "Children name their Room as owner; OwnerReferencesPermissionEnforcement asks for this right.",
    ),
    grant(
        names::GROUP,
        &["rooms"],
        PASSED_ON,
        "Passed on to members of a Room and to its ingestion: nobody may grant what they do not hold. `escalate` and `bind` \
         would allow granting anything. `ingest` is used as well: it empties a Room that is being deleted.",
    ),
    grant(
        names::GROUP,
        &["llmmodels"],
        &[names::VERB_INFER],
        "Passed on to the ingestion of a Room, for its embedding model alone.",
    ),
    grant(
        names::GROUP,
        &["shadowdeployments"],
        READ,
        "What people want compared; specs are theirs and are never written.",
    ),
    grant(
        names::GROUP,
        &["shadowdeployments"],
        &["create", "delete", "patch"],
        "Comparisons that `rollout.gates.shadow` of a model asks for: they are made whole, and deleted with the version. Of \
         others the finalizer alone is written, by which the gateway forgets their pairs before they go.",
    ),
    grant(
        names::GROUP,
        &["shadowdeployments/status"],
        &["patch"],
        "What became of it.",
    ),
    grant(
        names::GROUP,
        &["shadowdeployments/finalizers"],
        &["update"],
        "Reports name their ShadowDeployment as owner; OwnerReferencesPermissionEnforcement asks for this right.",
    ),
    grant(
        names::GROUP,
        &["shadowdeployments"],
        &[names::VERB_COLLECT],
        "What the gateway has measured of pairs, and to have it forgotten.",
    ),
    grant(
        "rbac.authorization.k8s.io",
        &["roles", "rolebindings"],
        OWN,
        "Members of a Room by their roles, and its ingestion. Of rights they hold what the operator holds at most.",
    ),
    grant(
        "",
        &["serviceaccounts"],
        OWN,
        "Who the ingestion of a Room is. No token of theirs is ever asked for.",
    ),
    grant("apps", &["deployments"], OWN, "Workers of each live version."),
    grant(
        "apps",
        &["controllerrevisions"],
        OWN,
        "The immutable snapshot of each version.",
    ),
    grant(
        "batch",
        &["jobs"],
        OWN,
        "The step that verifies weights before they are served; the steps of a training; the reading of a Room's sources.",
    ),
    grant(
        "",
        &["persistentvolumeclaims"],
        OWN,
        "Where compressed weights and what trainings need and make are kept: claims of its own only, under names that follow from the owner's.",
    ),
    grant(
        "resource.k8s.io",
        &["resourceclaimtemplates"],
        OWN,
        "Accelerators of pods by dynamic resource allocation.",
    ),
    grant(
        "",
        &["configmaps"],
        OWN,
        "The list of adapters of a model, which its pods mount, and reports of ShadowDeployments; read by label, and written \
         under names of its own only.",
    ),
    grant(
        "",
        &["services"],
        OWN,
        "How the gateway finds the workers of a version, and pods of a training each other.",
    ),
    grant(
        "policy",
        &["poddisruptionbudgets"],
        OWN,
        "Drained nodes leave enough workers.",
    ),
    grant(
        "autoscaling",
        &["horizontalpodautoscalers"],
        OWN,
        "They choose the number of workers where a model asks for autoscaling.",
    ),
    grant(
        "apiregistration.k8s.io",
        &["apiservices"],
        &["create"],
        "Metrics for autoscalers, where no other provider has them. Names cannot restrict creation.",
    ),
    Grant {
        group: "apiregistration.k8s.io",
        resources: &["apiservices"],
        names: &["v1beta1.external.metrics.k8s.io"],
        verbs: &["get", "patch"],
        why: "Metrics for autoscalers: the certificates by which the API server knows the operator.",
    },
    Grant {
        group: "rbac.authorization.k8s.io",
        resources: &["clusterrolebindings"],
        names: &[names::OPERATOR],
        verbs: &["get"],
        why: "The owner of that APIService, with which it goes: behind it nobody would answer.",
    },
    grant(
        "networking.k8s.io",
        &["networkpolicies"],
        OWN,
        "Workers are reached from the gateway only.",
    ),
    grant(
        "gateway.networking.k8s.io",
        &["httproutes"],
        &["get", "list", "create", "patch", "delete"],
        "The way in that a model asks for by spec.route, where the cluster has a Gateway API.",
    ),
    grant(
        "",
        &["pods"],
        READ,
        "Why workers and prepare steps do not start, and their reports.",
    ),
    grant(
        "",
        &["pods/resize"],
        &["patch"],
        "More memory for workers whose estimate was too small.",
    ),
    grant(
        "",
        &["pods"],
        &["patch"],
        "An annotation, by which the kubelet brings a new list of adapters into a pod at once.",
    ),
    grant(
        "",
        &["pods/log"],
        &["get"],
        "How far prepare steps are: the report of a pod can be read only when it has ended.",
    ),
    grant(
        "",
        &["events"],
        &["list"],
        "Why a pod hangs: missing volumes and Secrets are only told there.",
    ),
    grant(
        "events.k8s.io",
        &["events"],
        &["create", "patch"],
        "What happened to a model, for `kubectl describe`.",
    ),
];

const OPERATOR_OWN_NAMESPACE: &[Grant] = &[
    grant(
        "coordination.k8s.io",
        &["leases"],
        &["create"],
        "Election of the leader. Names cannot restrict creation.",
    ),
    Grant {
        group: "coordination.k8s.io",
        resources: &["leases"],
        names: &[names::LEASE],
        verbs: &["get", "patch"],
        why: "Election of the leader.",
    },
];

const GATEWAY: &[Grant] = &[
    grant(
        names::GROUP,
        &["llmmodels"],
        &["list", "watch"],
        "Which models there are and which version serves.",
    ),
    grant(
        "discovery.k8s.io",
        &["endpointslices"],
        &["list", "watch"],
        "Which workers are ready.",
    ),
    grant(
        names::GROUP,
        &["rooms"],
        &["list", "watch"],
        "Which Rooms there are, and how much their members see.",
    ),
    grant(
        names::GROUP,
        &["shadowdeployments"],
        &["list", "watch"],
        "Which requests are copied, and for what comparison.",
    ),
    grant(
        "rbac.authorization.k8s.io",
        &["roles", "rolebindings", "clusterroles", "clusterrolebindings"],
        &["list", "watch"],
        "When rights change: what was decided on Rooms is asked anew at once. Nothing of them is kept.",
    ),
    grant(
        "authentication.k8s.io",
        &["tokenreviews"],
        &["create"],
        "Who a caller is.",
    ),
    grant(
        "authorization.k8s.io",
        &["subjectaccessreviews"],
        &["create"],
        "Whether a caller may ask a model, enter a Room, or collect pairs.",
    ),
];

const GATEWAY_OWN_NAMESPACE: &[Grant] = &[Grant {
    group: "coordination.k8s.io",
    resources: &["leases"],
    names: &[names::LEASE],
    verbs: &["list", "watch"],
    why: "Whether an operator is alive: without one no requests are copied.",
}];

#[cfg(test)]
mod tests {
    use super::*;

    fn grants() -> impl Iterator<Item = &'static Grant> {
        COMPONENTS
            .iter()
            .flat_map(|component| component.cluster.iter().chain(component.own_namespace))
    }

    #[test]
    fn nothing_is_granted_wholesale() {
        for grant in grants() {
            let all = [grant.resources, grant.verbs].concat();
            assert!(
                !grant.group.contains('*') && !all.iter().any(|word| word.contains('*')),
                "{grant:?}"
            );
            assert!(!grant.why.is_empty(), "{grant:?}");
        }
    }

    #[test]
    fn nobody_reads_secrets_or_becomes_somebody_else() {
        let forbidden_resources = ["secrets", "serviceaccounts/token", "pods/exec", "nodes"];
        let forbidden_verbs = ["impersonate", "escalate", "bind", "deletecollection"];
        for grant in grants() {
            assert!(
                !grant.resources.iter().any(|it| forbidden_resources.contains(it)),
                "{grant:?}"
            );
            assert!(!grant.verbs.iter().any(|it| forbidden_verbs.contains(it)), "{grant:?}");
            // Rights in all namespaces are looked at when they change, and given to nobody.
            let is_of_all = |it: &&str| it.starts_with("clusterrole");
            let is_looked_at = grant.verbs.iter().all(|verb| READ.contains(verb));
            assert!(!grant.resources.iter().any(is_of_all) || is_looked_at, "{grant:?}");
        }
    }

    /// Verbs that the API server itself knows nothing of.
    fn is_of_ours(verb: &str) -> bool {
        PASSED_ON.contains(&verb) || [names::VERB_INFER, names::VERB_COLLECT].contains(&verb)
    }

    #[test]
    fn every_role_of_a_room_can_be_passed_on() {
        let held: Vec<_> = OPERATOR
            .iter()
            .filter(|grant| grant.group == names::GROUP && grant.resources == ["rooms"])
            .flat_map(|grant| grant.verbs)
            .collect();
        for role in crate::room::Role::ALL {
            assert!(role.verbs().iter().all(|verb| held.contains(&verb)), "{role:?}");
        }
        // And what cannot is in no role.
        let mut passed = crate::room::Role::ALL.into_iter().flat_map(crate::room::Role::verbs);
        assert!(passed.all(|verb| PASSED_ON.contains(verb)));
    }

    #[test]
    fn specs_of_our_kinds_are_never_written() {
        for grant in grants().filter(|grant| grant.group == names::GROUP) {
            let is_written = |verb: &&&str| !READ.contains(verb);
            let writes: Vec<_> = grant.verbs.iter().filter(is_written).collect();
            // Children of a FineTuneJob are made and deleted whole.
            let is_made = grant.resources == ["finetunejobs"] && writes == [&"create", &"delete"];
            // Comparisons of a rollout are made and deleted whole, too; of others the finalizer is written.
            let is_made =
                is_made || grant.resources == ["shadowdeployments"] && writes == [&"create", &"delete", &"patch"];
            // Of a Room, the finalizer: what else is written there no test here can see.
            let is_finalizer = grant.resources == ["rooms"] && writes == [&"patch"];
            let is_no_write = writes.iter().all(|verb| is_of_ours(verb));
            assert!(
                is_no_write || is_made || is_finalizer || grant.resources.iter().all(|it| it.contains('/')),
                "{grant:?}"
            );
        }
    }

    #[test]
    fn what_is_applied_may_be_created_and_patched() {
        // Server-side apply of an object that does not exist needs both.
        for grant in grants().filter(|grant| grant.verbs.contains(&"delete") && grant.group != names::GROUP) {
            assert!(
                grant.verbs.contains(&"create") && grant.verbs.contains(&"patch"),
                "{grant:?}"
            );
        }
    }
}
