//! A namespace for each case: restricted pod security, an identity that may ask the models in it, and
//! everything in it printed when the case fails.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;

use anyhow::{Context, Result, anyhow};
use api::LlmModel;
use futures::FutureExt as _;
use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace as Object, PersistentVolumeClaim, Pod, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::RoleBinding;
use k8s_openapi::api::resource::v1::ResourceClaimTemplate;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::gateway::{self, Gateway};
use crate::kubectl;

/// The ServiceAccount that may ask the models of its namespace.
pub const ASKER: &str = "asker";

/// One case's own namespace.
#[derive(Clone)]
pub struct Namespace {
    /// A client with all rights.
    pub client: Client,
    /// Its generated name.
    pub name: String,
}

/// Runs a case in a fresh namespace, which is deleted afterwards. `name` begins the namespace's name.
pub async fn with_namespace(name: &str, case: impl AsyncFnOnce(Namespace) -> Result<()>) -> Result<()> {
    // A second call returns an error that says it has been done.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::try_default()
        .await
        .context("failed to configure a client: run these tests by `cargo xtask e2e`")?;
    let namespace = Namespace::create(client, name).await?;
    let result = AssertUnwindSafe(case(namespace.clone())).catch_unwind().await;
    let result = result.unwrap_or_else(|_| Err(anyhow!("the case panicked")));
    if result.is_err() {
        eprintln!("{}", namespace.dump().await);
    }
    namespace.delete().await?;
    result
}

impl Namespace {
    async fn create(client: Client, name: &str) -> Result<Self> {
        let labels = [("pod-security.kubernetes.io/enforce", "restricted")];
        let object = Object {
            metadata: ObjectMeta {
                generate_name: Some(format!("{name}-")),
                labels: Some(owned(&labels)),
                ..ObjectMeta::default()
            },
            ..Object::default()
        };
        let created = Api::<Object>::all(client.clone())
            .create(&PostParams::default(), &object)
            .await
            .context("failed to create a namespace")?;
        let namespace = Self {
            client,
            name: created.name_any(),
        };
        namespace
            .create_object::<ServiceAccount>(json!({"metadata": {"name": ASKER}}))
            .await?;
        namespace
            .create_object::<RoleBinding>(json!({
                "metadata": {"name": ASKER},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "atelier-infer"},
                "subjects": [{"kind": "ServiceAccount", "name": ASKER, "namespace": namespace.name}],
            }))
            .await?;
        Ok(namespace)
    }

    /// Allows pods that the standards `restricted` and `baseline` refuse.
    pub async fn allow_privileged(&self) -> Result<()> {
        let labels = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}});
        Api::<Object>::all(self.client.clone())
            .patch(&self.name, &PatchParams::default(), &Patch::Merge(labels))
            .await
            .context("failed to label the namespace")?;
        Ok(())
    }

    /// Requests for one kind in this namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// Creates an object from JSON.
    pub async fn create_object<K>(&self, object: Value) -> Result<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
        K: Clone + DeserializeOwned + std::fmt::Debug + serde::Serialize,
    {
        let object: K = serde_json::from_value(object).context("failed to read an object of this test")?;
        self.api::<K>()
            .create(&PostParams::default(), &object)
            .await
            .with_context(|| format!("failed to create a {}", K::kind(&())))
    }

    /// The gateway, as the identity that may ask the models of this namespace.
    pub async fn gateway(&self) -> Result<Gateway> {
        let token = gateway::token(&self.client, &self.name, ASKER, &[api::names::AUDIENCE]).await?;
        Gateway::new(Some(token))
    }

    /// Names of all objects that Atelier made in this namespace, as `Kind/name`, in order.
    pub async fn children(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        names.extend(self.children_of::<ConfigMap>().await?);
        names.extend(self.children_of::<ControllerRevision>().await?);
        names.extend(self.children_of::<Deployment>().await?);
        names.extend(self.children_of::<HorizontalPodAutoscaler>().await?);
        names.extend(self.children_of::<Job>().await?);
        names.extend(self.children_of::<NetworkPolicy>().await?);
        names.extend(self.children_of::<PersistentVolumeClaim>().await?);
        names.extend(self.children_of::<Pod>().await?);
        names.extend(self.children_of::<PodDisruptionBudget>().await?);
        names.extend(self.children_of::<ResourceClaimTemplate>().await?);
        names.extend(self.children_of::<Service>().await?);
        names.sort();
        Ok(names)
    }

    async fn children_of<K>(&self) -> Result<Vec<String>>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
        K: Clone + DeserializeOwned + std::fmt::Debug,
    {
        let selector = format!("{}={}", api::names::LABEL_MANAGED_BY, api::names::MANAGED_BY);
        let list = self.api::<K>().list(&ListParams::default().labels(&selector)).await;
        let list = list.with_context(|| format!("failed to list {}", K::plural(&())))?;
        Ok(list
            .iter()
            .map(|object| format!("{}/{}", K::kind(&()), object.name_any()))
            .collect())
    }

    /// The pods that serve a version of a model.
    pub async fn serving_pods(&self, model: &str, version: &str) -> Result<Vec<Pod>> {
        let selector = api::names::selector_string(&api::names::serving_selector(model, version));
        let list = self.api::<Pod>().list(&ListParams::default().labels(&selector)).await;
        Ok(list.context("failed to list pods")?.items)
    }

    /// Deletes a model and waits until it is gone.
    pub async fn delete_model(&self, name: &str) -> Result<()> {
        let models = self.api::<LlmModel>();
        models.delete(name, &DeleteParams::default()).await?;
        crate::wait::until("the model to be gone", async || {
            Ok(models.get_opt(name).await?.is_none().then_some(()))
        })
        .await
    }

    /// Deletes it with all that it holds; the cluster does so in the background.
    async fn delete(&self) -> Result<()> {
        let namespaces = Api::<Object>::all(self.client.clone());
        namespaces
            .delete(&self.name, &DeleteParams::background())
            .await
            .context("failed to delete a namespace")?;
        Ok(())
    }

    /// Everything that helps to understand a failure.
    async fn dump(&self) -> String {
        let mut text = format!("--- namespace {}\n", self.name);
        for args in [
            vec![
                "get",
                "llmmodels,finetunejobs,rooms,shadowdeployments",
                "--output",
                "yaml",
                "--show-managed-fields=false",
            ],
            vec![
                "get",
                "deployments,horizontalpodautoscalers,jobs,pods",
                "--output",
                "wide",
            ],
            vec!["get", "events", "--sort-by=.lastTimestamp"],
            vec![
                "logs",
                "--selector",
                "app.kubernetes.io/managed-by=atelier",
                "--tail=40",
                "--prefix",
                "--all-containers",
            ],
        ] {
            let args = [&["--namespace", &self.name][..], &args].concat();
            match kubectl::run(&args, "").await {
                Ok(output) => text.push_str(&format!(
                    "--- kubectl {}\n{}{}",
                    args.join(" "),
                    output.stdout,
                    output.stderr
                )),
                Err(error) => text.push_str(&format!("--- kubectl {}: {error:#}\n", args.join(" "))),
            }
        }
        text
    }
}

fn owned(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}
