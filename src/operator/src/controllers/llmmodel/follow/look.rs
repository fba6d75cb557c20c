//! FineTuneJobs and the bases of what they published, read from the API server.

use api::{
    FineTuneJob, LlmModel,
    common::ModelVersionRef,
    conditions::{self, types},
    finetunejob::{FineTuneJobStatus, OutputKind, OutputStatus},
    names, reasons,
};
use k8s_openapi::api::apps::v1::ControllerRevision;
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::{Followed, Job, jobs};
use crate::{
    cluster::{Cluster, ClusterError, Kind},
    controllers::llmmodel::{trouble::Trouble, version::Version},
};

/// Runs belong to a schedule, and trials to a sweep, which may be a run.
const MOST_OWNERS: usize = 3;

/// The FineTuneJobs that the spec of a model names. What cannot be read counts as not there.
///
/// # Errors
/// See [`ClusterError`].
pub async fn look(cluster: &Cluster, model: &LlmModel) -> Result<Followed, ClusterError> {
    let namespace = model.namespace().unwrap_or_default();
    let followed = model.spec.source.fine_tune_job.as_ref().map(|job| job.name.as_str());
    let mut found = Followed::new();
    for name in jobs(&model.spec) {
        let Some(job) = get::<FineTuneJob>(cluster, &namespace, name).await? else {
            continue;
        };
        let claim = names::tune_claim(&root(cluster, &namespace, &job).await?);
        let base = job.spec.base.clone();
        let FineTuneJobStatus {
            phase,
            conditions,
            output,
            ..
        } = job.status.unwrap_or_default();
        let is_adapter = output.as_ref().is_some_and(|it| it.kind == OutputKind::Adapter);
        let base = match base.filter(|_| is_adapter && followed == Some(name)) {
            Some(asked) => {
                let trained = trained_on(&asked, output.as_ref());
                Some(base_of(cluster, &namespace, name, &trained).await?)
            }
            None => None,
        };
        let failure = conditions::find(&conditions, types::FAILED).filter(|it| it.status == "True");
        let job = Job {
            claim,
            phase,
            failure: failure.map(|it| it.message.clone()),
            output,
            base,
        };
        found.insert(name.to_owned(), job);
    }
    Ok(found)
}

/// Name of the FineTuneJob whose volume a job uses: the one that it is a run or a trial of.
async fn root(cluster: &Cluster, namespace: &str, job: &FineTuneJob) -> Result<String, ClusterError> {
    let mut name = job.name_any();
    let mut owner = owner(job);
    for _ in 0..MOST_OWNERS {
        let Some(above) = owner else { break };
        let found = get::<FineTuneJob>(cluster, namespace, &above).await?;
        owner = found.as_ref().and_then(self::owner);
        name = above;
    }
    Ok(name)
}

fn owner(job: &FineTuneJob) -> Option<String> {
    let mut owners = job.owner_references().iter();
    let owner = owners.find(|owner| owner.kind == FineTuneJob::kind(&()))?;
    Some(owner.name.clone())
}

/// The version that an output was trained on: the model may have another one since.
fn trained_on(asked: &ModelVersionRef, output: Option<&OutputStatus>) -> ModelVersionRef {
    let recorded = output.and_then(|output| output.base_version.clone());
    ModelVersionRef {
        name: asked.name.clone(),
        version: recorded.or_else(|| asked.version.clone()),
    }
}

/// The version whose weights an adapter belongs beside.
async fn base_of(
    cluster: &Cluster,
    namespace: &str,
    job: &str,
    asked: &ModelVersionRef,
) -> Result<Result<Version, Trouble>, ClusterError> {
    let ModelVersionRef { name, version } = asked;
    let missing = |what: String| {
        let message = format!("{what}, which FineTuneJob {job} has trained: its adapter belongs beside these weights");
        Err(Trouble::new(reasons::REFERENCE_NOT_FOUND, message))
    };
    let Some(model) = get::<LlmModel>(cluster, namespace, name).await? else {
        return Ok(missing(format!("there is no LlmModel {name}")));
    };
    let current = model.status.and_then(|status| status.current_version);
    let Some(version) = version.clone().or(current) else {
        return Ok(missing(format!("no version serves of LlmModel {name}")));
    };
    let revision = names::version_child(name, &version);
    let revision = cluster.get::<ControllerRevision>(namespace, &revision).await?;
    match revision.as_ref().and_then(Version::from_revision) {
        Some(version) => Ok(Ok(version)),
        None => Ok(missing(format!("there is no version {version} of LlmModel {name}"))),
    }
}

async fn get<K>(cluster: &Cluster, namespace: &str, name: &str) -> Result<Option<K>, ClusterError>
where
    K: Kind + DeserializeOwned,
{
    let Some(raw) = cluster.get_raw::<K>(namespace, name).await? else {
        return Ok(None);
    };
    match serde_json::from_value(raw) {
        Ok(object) => Ok(Some(object)),
        // One object of another release must not keep a model from being looked after.
        Err(error) => {
            tracing::warn!(namespace, name, kind = %K::kind(&()), %error, "failed to read an object as this release knows it");
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adapter_belongs_beside_what_it_was_trained_on() {
        let asked = ModelVersionRef {
            name: "small".into(),
            version: None,
        };
        let output = |base_version: Option<&str>| OutputStatus {
            digest: "sha256:aa".into(),
            uri: "pvc://x".into(),
            kind: OutputKind::Adapter,
            base_version: base_version.map(Into::into),
            evaluation: Vec::new(),
        };
        let version = |output: &OutputStatus| trained_on(&asked, Some(output)).version;
        assert_eq!(version(&output(Some("v-1"))).as_deref(), Some("v-1"));
        // One of an earlier release does not say.
        assert_eq!(version(&output(None)), None);
    }
}
