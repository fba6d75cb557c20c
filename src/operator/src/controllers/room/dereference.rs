//! What exists now: one Room and everything that it depends on, read from the API server and the gateway.

use api::{
    LlmModel, Room,
    common::ModelRef,
    llmmodel::{Provider, Task},
    names, reasons,
};
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Event, Pod, ServiceAccount},
    networking::v1::NetworkPolicy,
    rbac::v1::{Role, RoleBinding},
};
use kube::ResourceExt;
use protocol::rooms::state::State;
use serde_json::json;
use tokio::try_join;

use super::validate::Owner;
use crate::{
    cluster::Cluster,
    controllers::common::{
        canonical,
        dereference::{DereferenceError, events_of, read},
        ownership::owned,
        trouble::Trouble,
    },
};

/// What belongs to one Room.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// What members and the ingestion may do.
    pub roles: Vec<Role>,
    /// Who they are.
    pub bindings: Vec<RoleBinding>,
    /// Who the ingestion is.
    pub accounts: Vec<ServiceAccount>,
    /// Whom it may talk to.
    pub policies: Vec<NetworkPolicy>,
    /// Runs over the sources.
    pub jobs: Vec<Job>,
    /// Attempts to make the Room leak.
    pub tests: Vec<Job>,
    /// Pods of these.
    pub pods: Vec<Pod>,
    /// Events about Jobs and pods that hang.
    pub events: Vec<Event>,
    /// The models that the spec names.
    pub models: Models,
    /// What the gateway says is in the Room, where it was asked.
    pub state: Option<State>,
}

/// The models that the spec names.
#[derive(Clone, Debug)]
pub struct Models {
    /// What turns text into vectors.
    pub embedder: Result<Embedder, Trouble>,
    /// What is wrong with the others.
    pub others: Option<Trouble>,
}

impl Default for Models {
    fn default() -> Self {
        Self {
            embedder: Err(Trouble::new(reasons::MODEL_NOT_READY, "spec.embedding is not known")),
            others: None,
        }
    }
}

/// What turns text into vectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Embedder {
    /// Its name, as requests have it.
    pub model: String,
    /// What its vectors depend on.
    pub digest: String,
}

/// Everything that belongs to `owner`.
///
/// # Errors
/// See [`DereferenceError`].
pub async fn observe(cluster: &Cluster, owner: &Owner, room: &Room) -> Result<Observed, DereferenceError> {
    let namespace = owner.namespace.as_str();
    let labels = names::selector_string(&names::room_labels(&owner.name));
    let labels = labels.as_str();
    let (roles, bindings, accounts, policies, jobs) = try_join!(
        cluster.list::<Role>(namespace, labels),
        cluster.list::<RoleBinding>(namespace, labels),
        cluster.list::<ServiceAccount>(namespace, labels),
        cluster.list::<NetworkPolicy>(namespace, labels),
        cluster.list::<Job>(namespace, labels),
    )?;
    // After their Jobs: one that has ended has pods that say how.
    let pods = cluster.list::<Pod>(namespace, labels).await?;
    let reference = &owner.reference;
    let jobs = owned(jobs, reference);
    let events = events_of(cluster, namespace, &pods, &jobs).await;
    let is_test = |job: &Job| {
        job.labels()
            .get(names::LABEL_COMPONENT)
            .is_some_and(|it| it == names::COMPONENT_REDTEAM)
    };
    let (tests, jobs) = jobs.into_iter().partition(is_test);
    Ok(Observed {
        roles: owned(roles, reference),
        bindings: owned(bindings, reference),
        accounts: owned(accounts, reference),
        policies: owned(policies, reference),
        jobs,
        tests,
        pods,
        events,
        models: models(cluster, namespace, room).await?,
        state: None,
    })
}

async fn models(cluster: &Cluster, namespace: &str, room: &Room) -> Result<Models, DereferenceError> {
    let spec = &room.spec;
    let embedding = lookup(cluster, namespace, &spec.embedding).await?;
    let mut others = Vec::new();
    for (field, reference, task) in [
        ("spec.model", &spec.model, Task::Generate),
        ("spec.reranker", &spec.reranker, Task::Rerank),
    ] {
        if let Some(reference) = reference {
            let found = lookup(cluster, namespace, reference).await?;
            others.extend(usable(field, reference, found.as_ref(), task).err());
        }
    }
    let messages: Vec<_> = others.into_iter().map(|trouble| trouble.message).collect();
    Ok(Models {
        embedder: embedder(&spec.embedding, embedding.as_ref()),
        others: (!messages.is_empty()).then(|| Trouble::new(reasons::MODEL_NOT_READY, messages.join("; "))),
    })
}

/// A model; one that this release does not know is as good as none.
async fn lookup(
    cluster: &Cluster,
    namespace: &str,
    reference: &ModelRef,
) -> Result<Option<LlmModel>, DereferenceError> {
    match read::<LlmModel>(cluster, namespace, &reference.name).await {
        Err(DereferenceError::Foreign { .. }) => Ok(None),
        other => other,
    }
}

/// What turns text into vectors, by the model that serves now.
fn embedder(reference: &ModelRef, found: Option<&LlmModel>) -> Result<Embedder, Trouble> {
    let model = usable("spec.embedding", reference, found, Task::Embed)?;
    let namespace = model.namespace().unwrap_or_default();
    let name = model.name_any();
    if let Some(provider) = &model.spec.source.provider {
        return Ok(Embedder {
            model: format!("{namespace}/{name}"),
            digest: hosted(provider),
        });
    }
    let version = model.status.as_ref().and_then(|status| status.current_version.clone());
    let version = version.unwrap_or_default();
    // Everything that its vectors depend on is in its name.
    Ok(Embedder {
        model: format!("{namespace}/{name}@{version}"),
        digest: version,
    })
}

/// A digest of what is asked of a provider: prices and keys change no vector.
fn hosted(provider: &Provider) -> String {
    let provider = Provider {
        pricing: None,
        ..provider.clone()
    };
    let mut asked = json!(provider);
    for service in asked
        .as_object_mut()
        .into_iter()
        .flat_map(|services| services.values_mut())
    {
        if let Some(fields) = service.as_object_mut() {
            fields.remove("credentialsSecretRef");
        }
    }
    format!("provider:{}", canonical::digest(&asked, 16))
}

/// Whether a model can be asked for what the Room needs it for.
fn usable<'a>(
    field: &str,
    reference: &ModelRef,
    found: Option<&'a LlmModel>,
    task: Task,
) -> Result<&'a LlmModel, Trouble> {
    let name = &reference.name;
    let trouble = |message: String| Trouble::new(reasons::MODEL_NOT_READY, message);
    let Some(model) = found else {
        return Err(trouble(format!(
            "LlmModel {name}, which {field} names, does not exist in this namespace, or is none that this release knows: \
             create it, and this goes on"
        )));
    };
    if model.spec.task != task {
        return Err(trouble(format!(
            "LlmModel {name}, which {field} names, has task {:?}: name one with task {task:?}",
            model.spec.task
        )));
    }
    let is_hosted = model.spec.source.provider.is_some();
    let has_version = model
        .status
        .as_ref()
        .is_some_and(|status| status.current_version.is_some());
    match is_hosted || has_version {
        true => Ok(model),
        false => Err(trouble(format!(
            "LlmModel {name}, which {field} names, has no version that serves yet: `kubectl describe llm {name}` tells why"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::room::testing::model;

    fn reference() -> ModelRef {
        ModelRef { name: "e".into() }
    }

    #[test]
    fn a_model_is_what_the_room_needs_it_for_or_is_told() {
        let found = model("e", "Embed");
        let embedder = embedder(&reference(), Some(&found)).unwrap();
        assert_eq!(embedder.model, "ns/e@v-0123456789");
        assert_eq!(embedder.digest, "v-0123456789");
        let mut without = found.clone();
        without.status = None;
        for (found, words) in [
            (None, "does not exist"),
            (Some(&model("e", "Generate")), "name one with task Embed"),
            (Some(&without), "no version that serves"),
        ] {
            let trouble = super::embedder(&reference(), found).unwrap_err();
            assert_eq!(trouble.reason, reasons::MODEL_NOT_READY);
            assert!(trouble.message.contains(words), "{}", trouble.message);
        }
    }

    #[test]
    fn a_hosted_model_has_no_version_and_still_a_digest() {
        let mut found = model("e", "Embed");
        let of = |found: &LlmModel| embedder(&reference(), Some(found)).unwrap();
        found.status = None;
        found.spec.source = serde_json::from_value(json!({
            "provider": {"openAI": {"model": "small", "credentialsSecretRef": {"name": "key", "key": "key"}}},
        }))
        .unwrap();
        let first = of(&found);
        let service = found.spec.source.provider.as_mut().unwrap().open_ai.as_mut().unwrap();
        service.credentials_secret_ref.name = "another".into();
        assert_eq!(of(&found), first);
        assert_eq!(first.model, "ns/e");
        assert!(!first.digest.starts_with("v-"), "{}", first.digest);
        found
            .spec
            .source
            .provider
            .as_mut()
            .unwrap()
            .open_ai
            .as_mut()
            .unwrap()
            .model = "large".into();
        assert_ne!(of(&found).digest, first.digest);
    }
}
