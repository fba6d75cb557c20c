//! The way to the cluster.

use anyhow::{Context as _, Result, anyhow};
use api::{FineTuneJob, LlmModel, ShadowDeployment};
use kube::{Api, Client, Config, config::KubeConfigOptions};

use crate::args::ModelName;

/// What the API server says, in its words alone.
pub fn told(error: kube::Error) -> anyhow::Error {
    match error {
        kube::Error::Api(status) => anyhow!(status.message),
        error => error.into(),
    }
}

/// The cluster of a context.
pub struct Cluster {
    /// A client of its API server.
    pub client: Client,
    namespace: String,
}

impl Cluster {
    /// The cluster of the named context, or of the current one.
    ///
    /// # Errors
    /// When there is no such context, or it makes no sense.
    pub async fn connect(context: Option<String>) -> Result<Self> {
        let options = KubeConfigOptions {
            context,
            ..KubeConfigOptions::default()
        };
        let config = Config::from_kubeconfig(&options).await;
        let config = config.context("failed to use the kubeconfig")?;
        let namespace = config.default_namespace.clone();
        let client = Client::try_from(config).context("failed to build a Kubernetes client")?;
        Ok(Self { client, namespace })
    }

    /// The namespace of a named model.
    pub fn namespace_of<'a>(&'a self, model: &'a ModelName) -> &'a str {
        self.namespace_or(model.namespace.as_deref())
    }

    /// A namespace, or that of the context where none is named.
    pub fn namespace_or<'a>(&'a self, given: Option<&'a str>) -> &'a str {
        given.unwrap_or(&self.namespace)
    }

    /// Requests for the trainings of a namespace.
    pub fn trainings(&self, namespace: &str) -> Api<FineTuneJob> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Requests for the comparisons of a namespace.
    pub fn shadows(&self, namespace: &str) -> Api<ShadowDeployment> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Requests for the models beside a named one.
    pub fn models(&self, model: &ModelName) -> Api<LlmModel> {
        Api::namespaced(self.client.clone(), self.namespace_of(model))
    }

    /// A model.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn model(&self, model: &ModelName) -> Result<LlmModel> {
        let found = self.models(model).get(&model.name).await;
        found
            .map_err(told)
            .with_context(|| format!("failed to get the model {}", model.name))
    }
}
