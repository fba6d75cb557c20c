//! Every name that two components, or two releases, must agree on.
//!
//! Changing one of these orphans what an earlier release created: the children would no longer be
//! found, or a field manager would no longer own what it wrote.

use std::collections::BTreeMap;

use crate::room::Role;

/// API group of all kinds.
pub const GROUP: &str = "atelier.dev";
/// The one served version.
pub const VERSION: &str = "v1alpha1";

/// Longest name of an LlmModel, in characters. The longest name derived from it is the prepare
/// Job's, `<model>-v-0123456789-prepare`, which must stay a DNS label (63 characters).
pub const MODEL_NAME_MAX: usize = 40;

/// Who manages an object; all children carry it. Watches of the operator and the gateway select by it.
pub const LABEL_MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Value of [`LABEL_MANAGED_BY`].
pub const MANAGED_BY: &str = "atelier";
/// Kind of the owner in lower case.
pub const LABEL_NAME: &str = "app.kubernetes.io/name";
/// Value of [`LABEL_NAME`] on the children of an LlmModel.
pub const NAME_LLMMODEL: &str = "llmmodel";
/// Name of the owner.
pub const LABEL_INSTANCE: &str = "app.kubernetes.io/instance";
/// What part of the owner an object is: one of the `COMPONENT_` values.
pub const LABEL_COMPONENT: &str = "app.kubernetes.io/component";
/// Value of [`LABEL_COMPONENT`]: pods that answer requests, and what surrounds them.
pub const COMPONENT_SERVE: &str = "serve";
/// Value of [`LABEL_COMPONENT`]: the Jobs that verify and compress weights before they are served.
pub const COMPONENT_PREPARE: &str = "prepare";
/// Value of [`LABEL_COMPONENT`]: the claim that holds compressed weights.
pub const COMPONENT_WEIGHTS: &str = "weights";
/// Value of [`LABEL_COMPONENT`]: the list of adapters that pods are to have.
pub const COMPONENT_ADAPTERS: &str = "adapters";
/// The LlmModel an object belongs to. Services pass it on to their EndpointSlices, where the gateway
/// reads it.
pub const LABEL_MODEL: &str = "atelier.dev/model";
/// Value of [`LABEL_NAME`] on the children of a FineTuneJob.
pub const NAME_FINETUNEJOB: &str = "finetunejob";
/// Value of [`LABEL_COMPONENT`]: the Job that reads and cleans the data of a training.
pub const COMPONENT_DATA: &str = "data";
/// Value of [`LABEL_COMPONENT`]: the Job that trains, and what surrounds it.
pub const COMPONENT_TRAIN: &str = "train";
/// Value of [`LABEL_COMPONENT`]: the claim for data, checkpoints and outputs of trainings.
pub const COMPONENT_TUNE: &str = "tune";
/// The FineTuneJob an object belongs to.
pub const LABEL_JOB: &str = "atelier.dev/fine-tune-job";
/// On a FineTuneJob that another one made: that one's name. It is a run of its schedule or a trial of its sweep.
pub const LABEL_PARENT: &str = "atelier.dev/fine-tune-parent";
/// On pods that mount the volume of a training: the name of its claim.
pub const LABEL_VOLUME: &str = "atelier.dev/volume";
/// On Jobs of a FineTuneJob, and on its trials: digest of the part of the spec that they were made from.
pub const ANNOTATION_PLAN: &str = "atelier.dev/plan";
/// On Jobs and children of a FineTuneJob: digest of how their pods were to run, which changes no result.
pub const ANNOTATION_SHAPE: &str = "atelier.dev/shape";
/// On a Job that trains: the version that it starts from and its digest, as JSON.
pub const ANNOTATION_BASE: &str = "atelier.dev/base";
/// On a Job: how many in a row before it ended without telling how.
pub const ANNOTATION_LOST: &str = "atelier.dev/lost";
/// On a trial: its settings as JSON, by paths under `hyperparameters`.
pub const ANNOTATION_TRIAL: &str = "atelier.dev/trial";
/// On a run of a schedule: when it was due, in RFC 3339.
pub const ANNOTATION_SCHEDULED: &str = "atelier.dev/scheduled";
/// Value of [`LABEL_NAME`] on the children of a Room.
pub const NAME_ROOM: &str = "room";
/// Value of [`LABEL_COMPONENT`]: what lets members in.
pub const COMPONENT_ACCESS: &str = "access";
/// Value of [`LABEL_COMPONENT`]: the Jobs that read the sources of a Room, and what surrounds them.
pub const COMPONENT_INGEST: &str = "ingest";
/// Value of [`LABEL_COMPONENT`]: the Jobs that try to make a Room leak, and what surrounds them.
pub const COMPONENT_REDTEAM: &str = "redteam";
/// The Room an object belongs to.
pub const LABEL_ROOM: &str = "atelier.dev/room";
/// On a Room, set by people: another value than before asks for its sources to be read at once. On its Jobs: the value
/// that they answer.
pub const ANNOTATION_SYNC: &str = "atelier.dev/sync";
/// Finalizer of Rooms: what is in them goes before they do.
pub const FINALIZER_ROOM: &str = "atelier.dev/room-contents";
/// Value of [`LABEL_NAME`] on the children of a ShadowDeployment, and on ShadowDeployments that an LlmModel makes.
pub const NAME_SHADOWDEPLOYMENT: &str = "shadowdeployment";
/// Value of [`LABEL_COMPONENT`]: the report of a ShadowDeployment.
pub const COMPONENT_REPORT: &str = "report";
/// The ShadowDeployment an object belongs to.
pub const LABEL_SHADOW: &str = "atelier.dev/shadow-deployment";
/// Finalizer of ShadowDeployments: the gateway forgets their pairs before they go.
pub const FINALIZER_SHADOW: &str = "atelier.dev/shadow-pairs";
/// Key of the report in the ConfigMap of a ShadowDeployment.
pub const REPORT_KEY: &str = "report.json";
/// The version an object belongs to; passed on like [`LABEL_MODEL`].
pub const LABEL_VERSION: &str = "atelier.dev/version";

/// Set to `"true"` on an object of ours to make the operator leave its children alone; status is
/// still reported.
pub const ANNOTATION_PAUSED: &str = "atelier.dev/paused";

/// On a child: digest of what the operator last applied, so that an unchanged child is not written.
/// On a worker pod: digest of the template that it was made from.
pub const ANNOTATION_APPLIED: &str = "atelier.dev/applied";
/// On a Deployment whose version no longer serves: since when, in RFC 3339. It is deleted a little later.
pub const ANNOTATION_RETIRED: &str = "atelier.dev/retired";
/// On a Deployment that waits without pods for those of the version before: how many it will have.
pub const ANNOTATION_REPLICAS: &str = "atelier.dev/replicas";
/// On a ControllerRevision: the source of its weights as JSON. Other than the data it may change: the
/// same weights can move.
pub const ANNOTATION_SOURCE: &str = "atelier.dev/source";
/// On a ControllerRevision: what its version scored, as JSON.
pub const ANNOTATION_EVALUATION: &str = "atelier.dev/evaluation";
/// On a ControllerRevision: why its version was stopped on trial, as JSON. It is not tried again.
pub const ANNOTATION_STOPPED: &str = "atelier.dev/stopped";
/// On a ControllerRevision: the memory that its version's replicas get instead of the estimate, as JSON.
pub const ANNOTATION_MEMORY: &str = "atelier.dev/memory";
/// On an LlmModel, set by people: the canary step that may be left, as `<version>/<step>`; or `<version>/shadow`, by which
/// a version goes on whatever its comparisons say.
pub const ANNOTATION_PROMOTE: &str = "atelier.dev/promote";
/// On a claim for compressed weights: the report on their source as JSON.
pub const ANNOTATION_REPORT: &str = "atelier.dev/report";
/// On a worker pod: its chat template, which the pod reads as a file.
pub const ANNOTATION_CHAT_TEMPLATE: &str = "atelier.dev/chat-template";

/// On a worker pod: the list of adapters that its kubelet was told of, so that it looks at once.
pub const ANNOTATION_ADAPTERS: &str = "atelier.dev/adapters";
/// On a worker pod with an engine of others: where its metrics are, as `<port>/<path>`.
pub const ANNOTATION_METRICS: &str = "atelier.dev/metrics";

/// Field manager of the children of LlmModels and of their status.
pub const FIELD_MANAGER_LLMMODEL: &str = "atelier-llmmodel";

/// Field manager of the children of FineTuneJobs and of their status.
pub const FIELD_MANAGER_FINETUNEJOB: &str = "atelier-finetunejob";

/// Field manager of the children of Rooms, and of their status.
pub const FIELD_MANAGER_ROOM: &str = "atelier-room";

/// Field manager of the children of ShadowDeployments, and of their status.
pub const FIELD_MANAGER_SHADOWDEPLOYMENT: &str = "atelier-shadowdeployment";

/// Name of the operator: its Deployment, its ServiceAccount, its Lease and the reporter of Events.
pub const OPERATOR: &str = "atelier-operator";
/// Name of the gateway: its Deployment, its ServiceAccount and its Service.
pub const GATEWAY: &str = "atelier-gateway";
/// Name of the Lease by which operators elect their leader.
pub const LEASE: &str = OPERATOR;

/// Audience that ServiceAccount tokens must be issued for.
pub const AUDIENCE: &str = "atelier";
/// RBAC verb on `llmmodels/<name>` that allows asking a model.
pub const VERB_INFER: &str = "infer";
/// RBAC verb on `rooms/<name>` that allows finding chunks.
pub const VERB_SEARCH: &str = "search";
/// RBAC verb on `rooms/<name>` that allows getting answers from a model.
pub const VERB_ASK: &str = "ask";
/// RBAC verb on `rooms/<name>` that allows saying what answers were worth.
pub const VERB_FEEDBACK: &str = "feedback";
/// RBAC verb on `rooms/<name>` that allows adding documents.
pub const VERB_CONTRIBUTE: &str = "contribute";
/// RBAC verb on `rooms/<name>` that allows removing documents and releasing those that were set aside.
pub const VERB_CURATE: &str = "curate";
/// RBAC verb on `rooms/<name>` that allows trying to make the Room leak.
pub const VERB_REDTEAM: &str = "redteam";
/// RBAC verb on `rooms/<name>` that allows reading who asked what, and on `shadowdeployments/<name>` reading the words of
/// pairs, where they are kept.
pub const VERB_AUDIT: &str = "audit";
/// RBAC verb on `rooms/<name>` that allows filling it from its sources, which its own Jobs do, and taking away what
/// is in it once it is being deleted, which the operator does.
pub const VERB_INGEST: &str = "ingest";

/// RBAC verb on `shadowdeployments/<name>` that allows reading what was measured of pairs, and having it forgotten, which
/// the operator does.
pub const VERB_COLLECT: &str = "collect";

/// Name of the serving container in worker pods.
pub const CONTAINER_WORKER: &str = "worker";
/// Name of the container of the prepare Job, and of the init container that fetches weights.
pub const CONTAINER_PREPARE: &str = "prepare";
/// Name of the init container that hands over the directory of the node's cache.
pub const CONTAINER_NODE_CACHE: &str = "node-cache";
/// Name of the container of the Job that evaluates a version.
pub const CONTAINER_EVALUATE: &str = "evaluate";
/// Name of the container that reads and cleans data.
pub const CONTAINER_DATA: &str = "data";
/// Name of the container that reads the sources of a Room.
pub const CONTAINER_INGEST: &str = "ingest";
/// Name of the container that tries to make a Room leak.
pub const CONTAINER_REDTEAM: &str = "redteam";
/// Name of the container that trains.
pub const CONTAINER_TRAIN: &str = "train";
/// Name of the Service port for the worker's API; the gateway picks EndpointSlice ports by it.
pub const PORT_API: &str = "http";
/// Name of the metrics port of an engine of others, where it is not that of its API.
pub const PORT_METRICS: &str = "metrics";
/// Name of the port for probes and metrics.
pub const PORT_ADMIN: &str = "admin";

pub use crate::conditions::types::READY as CONDITION_READY;

/// Name of the Deployment, Service, PodDisruptionBudget, NetworkPolicy and ControllerRevision of one
/// version. The gateway, `kubectl atelier` and people's dashboards depend on it.
pub fn version_child(model: &str, version: &str) -> String {
    format!("{model}-{version}")
}

/// Name of the Job that prepares one version. Its pods' termination messages hold the report.
pub fn prepare_job(model: &str, version: &str) -> String {
    format!("{}-prepare", version_child(model, version))
}

/// Name of the Job that evaluates a version; `key` tells which one, and on what.
pub fn evaluate_job(model: &str, key: &str) -> String {
    format!("{}-evaluate", version_child(model, key))
}

/// Name of the claim that holds the compressed weights of an artifact's key.
pub fn weights_claim(model: &str, key: &str) -> String {
    format!("{model}-{key}")
}

/// Name of the ConfigMap that lists the adapters of a model.
pub fn adapters(model: &str) -> String {
    format!("{model}-adapters")
}

/// The FineTuneJob whose claim has this name, if it is one by its name.
pub fn job_of_tune_claim(claim: &str) -> Option<&str> {
    claim.strip_suffix("-tune").filter(|job| job.len() <= MODEL_NAME_MAX)
}

/// Name of the ResourceClaimTemplate for the devices of a model's pods; `key` tells which devices.
pub fn device_claims(model: &str, key: &str) -> String {
    format!("{model}-d-{key}")
}

/// Name of the claim for the data, checkpoints and outputs of a FineTuneJob, which its children share.
pub fn tune_claim(job: &str) -> String {
    format!("{job}-tune")
}

/// Name of the Job that reads and cleans the data of a FineTuneJob.
pub fn data_job(job: &str) -> String {
    format!("{job}-data")
}

/// Name of the Job of a FineTuneJob that trains, and of the Service by which its pods find each other. Their host
/// names are this name and their number.
pub fn train_job(job: &str) -> String {
    format!("{job}-train")
}

/// Name of a trial of a sweep.
pub fn trial(job: &str, number: usize) -> String {
    format!("{job}-t{number}")
}

/// Name of the Role and the RoleBinding for the members of a Room in one role.
pub fn room_role(room: &str, role: Role) -> String {
    format!("{room}-room-{}", role.as_str())
}

/// Name of the ServiceAccount, the Role, the RoleBinding and the NetworkPolicy of what reads the sources of a Room.
pub fn room_ingest(room: &str) -> String {
    format!("{room}-room-ingest")
}

/// Name of the Job that reads the sources of a Room for the `run`th time.
pub fn ingest_job(room: &str, run: i64) -> String {
    format!("{room}-ingest-{run}")
}

/// Name of the ServiceAccount, the Role, the RoleBinding and the NetworkPolicy of what tries to make a Room leak.
pub fn room_redteam(room: &str) -> String {
    format!("{room}-room-redteam")
}

/// Name of the Job that tries to make a Room leak for the `run`th time.
pub fn redteam_job(room: &str, run: i64) -> String {
    format!("{room}-redteam-{run}")
}

/// Name of the ConfigMap with the report of a ShadowDeployment; `digest` is the beginning of the hex digits of its SHA-256.
pub fn shadow_report(shadow: &str, digest: &str) -> String {
    format!("{shadow}-report-{digest}")
}

/// Name of the NetworkPolicy by which a ShadowDeployment with a route lets proxies reach the pods of a model.
pub fn shadow_policy(shadow: &str, model: &str) -> String {
    format!("{shadow}-route-{model}")
}

/// Name of the ShadowDeployment that `rollout.gates.shadow` of a model makes for a version; `digest` has ten hex digits of
/// the model's name, for names that are too long to stand in it.
pub fn gate_shadow(model: &str, version: &str, digest: &str) -> String {
    let whole = version_child(model, version);
    if whole.len() <= MODEL_NAME_MAX {
        return whole;
    }
    let beginning: String = model.chars().take(MODEL_NAME_MAX - 12 - 12).collect();
    format!("{}-{digest}-{version}", beginning.trim_end_matches('-'))
}

/// Labels by which everything of one ShadowDeployment is found.
pub fn shadow_labels(shadow: &str) -> BTreeMap<String, String> {
    [
        (LABEL_MANAGED_BY, MANAGED_BY),
        (LABEL_NAME, NAME_SHADOWDEPLOYMENT),
        (LABEL_INSTANCE, shadow),
        (LABEL_SHADOW, shadow),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

/// Labels by which everything of one Room is found.
pub fn room_labels(room: &str) -> BTreeMap<String, String> {
    [
        (LABEL_MANAGED_BY, MANAGED_BY),
        (LABEL_NAME, NAME_ROOM),
        (LABEL_INSTANCE, room),
        (LABEL_ROOM, room),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

/// Labels by which everything of one FineTuneJob is found.
pub fn job_labels(job: &str) -> BTreeMap<String, String> {
    [
        (LABEL_MANAGED_BY, MANAGED_BY),
        (LABEL_NAME, NAME_FINETUNEJOB),
        (LABEL_INSTANCE, job),
        (LABEL_JOB, job),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

/// Labels by which everything of one model is found; used by watches and when pruning.
pub fn model_labels(model: &str) -> BTreeMap<String, String> {
    [
        (LABEL_MANAGED_BY, MANAGED_BY),
        (LABEL_NAME, NAME_LLMMODEL),
        (LABEL_INSTANCE, model),
        (LABEL_MODEL, model),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

/// Labels of the children of one version, without the component.
pub fn version_labels(model: &str, version: &str) -> BTreeMap<String, String> {
    let mut labels = model_labels(model);
    labels.insert(LABEL_VERSION.into(), version.into());
    labels
}

/// Labels that select the serving pods of one version. They are a Deployment's immutable selector:
/// a change of this set cannot be rolled out.
pub fn serving_selector(model: &str, version: &str) -> BTreeMap<String, String> {
    [
        (LABEL_MODEL, model),
        (LABEL_VERSION, version),
        (LABEL_COMPONENT, COMPONENT_SERVE),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

/// A label selector in the notation of list requests and of the scale subresource: `a=b,c=d`.
pub fn selector_string(labels: &BTreeMap<String, String>) -> String {
    let pairs: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_s_comparison_has_a_name_that_its_kind_allows() {
        let version = "v-0123456789";
        assert_eq!(gate_shadow("small", version, "abcdef0123"), "small-v-0123456789");
        for length in [27, 28, 40] {
            let name = gate_shadow(&"m".repeat(length), version, "abcdef0123");
            assert!(name.len() <= MODEL_NAME_MAX && name.ends_with(version), "{name}");
        }
        assert!(gate_shadow(&"m".repeat(28), version, "abcdef0123").contains("abcdef0123"));
    }

    #[test]
    fn the_longest_child_is_a_dns_label() {
        let model = "m".repeat(MODEL_NAME_MAX);
        assert!(prepare_job(&model, "v-0123456789").len() <= 63);
        assert!(evaluate_job(&model, "e-0123456789").len() <= 63);
        // Names of FineTuneJobs are as long; 1024 pods are the most.
        assert!(format!("{}-1023", train_job(&model)).len() <= 63);
        // So are those of Rooms; a run a minute makes numbers of 8 digits in 190 years.
        assert!(ingest_job(&model, 99_999_999).len() <= 63);
        assert!(redteam_job(&model, 99_999_999).len() <= 63 && room_redteam(&model).len() <= 63);
        assert!(Role::ALL.iter().all(|role| room_role(&model, *role).len() <= 63));
    }

    #[test]
    fn selectors_read_as_kubectl_writes_them() {
        let selector = selector_string(&serving_selector("m", "v-0123456789"));
        assert_eq!(
            selector,
            "app.kubernetes.io/component=serve,atelier.dev/model=m,atelier.dev/version=v-0123456789"
        );
    }

    #[test]
    fn pods_of_a_version_match_its_selector() {
        let mut labels = version_labels("m", "v-0123456789");
        labels.insert(LABEL_COMPONENT.into(), COMPONENT_SERVE.into());
        let selector = serving_selector("m", "v-0123456789");
        assert!(selector.iter().all(|(key, value)| labels.get(key) == Some(value)));
    }
}
