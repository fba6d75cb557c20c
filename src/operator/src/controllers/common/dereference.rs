//! Reads objects of our kinds, and what ails pods.

use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Event, Pod},
};
use kube::{Resource, ResourceExt};

use crate::{
    cluster::{self, Cluster, ClusterError},
    controllers::llmmodel::diagnose::{hangs, needs_events},
};

/// Why the present could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DereferenceError {
    /// The API server did not tell.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The stored object is none that this release knows.
    #[error("failed to read {kind} {name} as this release knows it: {source}; apply the CRD of this release")]
    Foreign {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Where it differs.
        source: serde_json::Error,
    },
}

/// An object of ours as it is now; `None` when there is none.
///
/// # Errors
/// See [`DereferenceError`].
pub async fn read<K: cluster::Kind>(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
) -> Result<Option<K>, DereferenceError> {
    let Some(raw) = cluster.get_raw::<K>(namespace, name).await? else {
        return Ok(None);
    };
    let parsed = serde_json::from_value(raw).map_err(|source| DereferenceError::Foreign {
        kind: cluster::kind::<K>(),
        name: name.into(),
        source,
    })?;
    Ok(Some(parsed))
}

/// Events about pods and Jobs that hang. They only explain: without them everything else goes on.
pub async fn events_of(cluster: &Cluster, namespace: &str, pods: &[Pod], jobs: &[Job]) -> Vec<Event> {
    let mut events = Vec::new();
    let pods_that = pods.iter().filter(|pod| needs_events(pod)).map(Pod::meta);
    let jobs_that = jobs.iter().filter(|job| hangs(job, pods)).map(Job::meta);
    for meta in pods_that.chain(jobs_that) {
        let uid = meta.uid.as_deref().unwrap_or_default();
        let about = format!("involvedObject.uid={uid}");
        match cluster.list_fields::<Event>(namespace, &about).await {
            Ok(found) => events.extend(found),
            Err(error) => tracing::warn!(namespace, name = meta.name, %error, "failed to learn why a pod hangs"),
        }
    }
    events
}

/// The pods of a Job, newest first.
pub fn pods_of<'a>(pods: &'a [Pod], job: &Job) -> Vec<&'a Pod> {
    let uid = job.uid();
    let is_its = |pod: &&Pod| pod.owner_references().iter().any(|it| Some(&it.uid) == uid.as_ref());
    let mut pods: Vec<_> = pods.iter().filter(is_its).collect();
    pods.sort_by_key(|pod| {
        let created = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
        std::cmp::Reverse((created, pod.name_any()))
    });
    pods
}
