//! An LlmModel under test.

use anyhow::{Context, Result, ensure};
use api::LlmModel;
use api::conditions::{self, types};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use crate::kubectl;
use crate::namespace::Namespace;
use crate::settings::{ENCODER_IMAGE, MODEL_IMAGE};
use crate::wait;

/// One LlmModel in a case's namespace.
#[derive(Clone)]
pub struct Model {
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name.
    pub name: String,
    api: Api<LlmModel>,
}

/// A spec with the bundled model, small enough for several on one machine.
pub fn bundled() -> Value {
    with_source(json!({"oci": {"image": MODEL_IMAGE, "pullPolicy": "Never"}}))
}

/// A spec with an encoder.
pub fn encoder() -> Value {
    json!({
        "task": "Embed",
        "source": {"oci": {"image": ENCODER_IMAGE, "pullPolicy": "Never"}},
        "resources": {"cpu": "100m"},
    })
}

/// A spec with any source, small enough for several on one machine.
pub fn with_source(source: Value) -> Value {
    json!({
        "source": source,
        "engine": {"atelier": {"contextLength": 512, "maxConcurrentSequences": 2}},
        "resources": {"cpu": "100m"},
    })
}

impl Model {
    /// Creates a model with a spec.
    pub async fn create(namespace: &Namespace, name: &str, spec: Value) -> Result<Self> {
        namespace
            .create_object::<LlmModel>(json!({
                "apiVersion": "atelier.dev/v1alpha1",
                "kind": "LlmModel",
                "metadata": {"name": name},
                "spec": spec,
            }))
            .await?;
        Ok(Self {
            namespace: namespace.clone(),
            name: name.into(),
            api: namespace.api(),
        })
    }

    /// The name by which the gateway knows it from anywhere.
    pub fn address(&self) -> String {
        format!("{}/{}", self.namespace.name, self.name)
    }

    /// The object as it is now.
    pub async fn get(&self) -> Result<LlmModel> {
        self.api.get(&self.name).await.context("failed to get the model")
    }

    /// Merges a change into the object.
    pub async fn patch(&self, change: Value) -> Result<()> {
        self.api
            .patch(&self.name, &PatchParams::default(), &Patch::Merge(change))
            .await
            .context("failed to change the model")
            .map(drop)
    }

    /// Waits until the spec as it is now serves with all its replicas.
    pub async fn ready(&self) -> Result<LlmModel> {
        let what = format!("the model {} to be ready", self.name);
        wait::until(&what, async || {
            let model = self.get().await?;
            Ok(is_ready(&model).then_some(model))
        })
        .await
    }

    /// Waits until a condition has a status and a reason that were computed from the spec as it is now.
    pub async fn condition(&self, type_: &str, status: &str, reason: &str) -> Result<Condition> {
        let what = format!(
            "condition {type_}={status} with reason {reason} on the model {}",
            self.name
        );
        wait::until(&what, async || {
            let model = self.get().await?;
            let found = current(&model, type_).filter(|found| found.status == status && found.reason == reason);
            Ok(found.cloned())
        })
        .await
    }

    /// Waits until the model says that it is not ready for a reason, and returns what it says. A stranger must find
    /// the same by `kubectl describe`, in a condition and in an Event.
    pub async fn not_ready(&self, reason: &str) -> Result<String> {
        let message = self.condition(types::READY, "False", reason).await?.message;
        let args = ["describe", "llmmodel", &self.name, "--namespace", &self.namespace.name];
        let event = format!("Warning  {reason} ");
        wait::until(&format!("an Event with reason {reason}"), async || {
            let described = kubectl::succeed(&args, "").await?;
            ensure!(described.contains(&message), "{message:?} is not in {described}");
            Ok(described.contains(&event).then_some(()))
        })
        .await?;
        Ok(message)
    }

    /// The version that answers requests.
    pub async fn version(&self) -> Result<String> {
        current_version(&self.get().await?)
    }

    /// Waits until exactly one pod serves the current version and is ready, and returns its name.
    pub async fn serving_pod(&self) -> Result<String> {
        wait::until("one serving pod", async || {
            let pods = self.namespace.serving_pods(&self.name, &self.version().await?).await?;
            let mut alive = pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
            Ok(match (alive.next(), alive.next()) {
                (Some(pod), None) if is_pod_ready(pod) => Some(pod.name_any()),
                _ => None,
            })
        })
        .await
    }

    /// Waits until nothing but the current version's children, the history and finished Jobs is left.
    pub async fn settled(&self) -> Result<Vec<String>> {
        wait::until("old versions to be gone", async || {
            let version = self.version().await?;
            let current = api::names::version_child(&self.name, &version);
            let children = self.namespace.children().await?;
            let old = children.iter().any(|child| {
                let (kind, name) = child.split_once('/').unwrap_or_default();
                let has_history = matches!(
                    kind,
                    "ConfigMap" | "ControllerRevision" | "Job" | "PersistentVolumeClaim"
                ) || name.contains("prepare");
                !has_history && !name.starts_with(&current)
            });
            Ok((!old).then_some(children))
        })
        .await
    }
}

/// The version that answers requests.
pub fn current_version(model: &LlmModel) -> Result<String> {
    let version = model.status.as_ref().and_then(|status| status.current_version.clone());
    let version = version.context("the model has no current version")?;
    let digits = version.strip_prefix("v-").unwrap_or_default();
    ensure!(
        digits.len() == 10 && digits.bytes().all(|b| b.is_ascii_hexdigit()),
        "{version:?} is no name of a version"
    );
    Ok(version)
}

/// A condition that was computed from the spec as it is now.
pub fn current<'a>(model: &'a LlmModel, type_: &str) -> Option<&'a Condition> {
    let found = conditions::find(&model.status.as_ref()?.conditions, type_)?;
    (found.observed_generation == model.metadata.generation).then_some(found)
}

fn is_ready(model: &LlmModel) -> bool {
    current(model, types::READY).is_some_and(|ready| ready.status == "True")
}

fn is_pod_ready(pod: &k8s_openapi::api::core::v1::Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|list| list.iter().any(|c| c.type_ == "Ready" && c.status == "True"))
}
