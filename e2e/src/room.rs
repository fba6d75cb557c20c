//! A Room under test, and people in it.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::gateway::{self, Gateway};
use crate::installation::with_database;
use crate::model::{self, Model};
use crate::namespace::{Namespace, with_namespace};
use crate::wait;

/// The same as [`with_namespace`], with a database and an encoder called `minilm`.
pub async fn with_encoder(name: &str, case: impl AsyncFnOnce(Namespace) -> Result<()>) -> Result<()> {
    with_namespace(name, async |namespace| {
        with_database().await?;
        Model::create(&namespace, "minilm", model::encoder())
            .await?
            .ready()
            .await?;
        case(namespace).await
    })
    .await
}

/// A ServiceAccount of a namespace, which is made here, as a caller of the gateway.
pub async fn person(namespace: &Namespace, name: &str) -> Result<Gateway> {
    namespace
        .create_object::<ServiceAccount>(json!({"metadata": {"name": name}}))
        .await?;
    let token = gateway::token(&namespace.client, &namespace.name, name, &[api::names::AUDIENCE]).await?;
    Gateway::new(Some(token))
}

/// One Room in a case's namespace.
#[derive(Clone)]
pub struct Room {
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name.
    pub name: String,
    api: Api<api::Room>,
}

impl Room {
    /// Creates a Room with a spec.
    pub async fn create(namespace: &Namespace, name: &str, spec: Value) -> Result<Self> {
        let object = json!({
            "apiVersion": "atelier.dev/v1alpha1",
            "kind": "Room",
            "metadata": {"name": name},
            "spec": spec,
        });
        namespace.create_object::<api::Room>(object).await?;
        Ok(Self {
            namespace: namespace.clone(),
            name: name.into(),
            api: namespace.api(),
        })
    }

    /// Something of it, as a path of the gateway.
    pub fn at(&self, rest: &str) -> String {
        format!("{}{}/{}{rest}", protocol::rooms::PREFIX, self.namespace.name, self.name)
    }

    /// The object as it is now.
    pub async fn get(&self) -> Result<api::Room> {
        self.api.get(&self.name).await.context("failed to get the Room")
    }

    /// Merges a change into the object.
    pub async fn patch(&self, change: Value) -> Result<()> {
        self.api
            .patch(&self.name, &PatchParams::default(), &Patch::Merge(change))
            .await
            .context("failed to change the Room")
            .map(drop)
    }

    /// Waits until a condition has a status that was computed from the spec as it is now.
    pub async fn condition(&self, type_: &str, status: &str) -> Result<api::Room> {
        let what = format!("condition {type_}={status} on the Room {}", self.name);
        wait::until(&what, async || {
            let room = self.get().await?;
            let generation = room.metadata.generation;
            let status_of = room.status.clone().unwrap_or_default();
            let current = status_of.observed_generation == generation;
            let found = status_of
                .conditions
                .iter()
                .any(|it| it.type_ == type_ && it.status == status);
            Ok((current && found).then_some(room))
        })
        .await
    }

    /// Has its sources read at once, and waits until that has succeeded.
    pub async fn sync(&self) -> Result<api::Room> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let wish = now.as_nanos().to_string();
        self.patch(json!({"metadata": {"annotations": {(api::names::ANNOTATION_SYNC): wish}}}))
            .await?;
        wait::until("the Room's sources to be read", async || {
            let room = self.get().await?;
            let sync = room.status.clone().unwrap_or_default().sync.unwrap_or_default();
            let answered = sync.requested.as_deref() == Some(&*wish) && sync.failures == 0;
            Ok(answered.then_some(room))
        })
        .await
    }

    /// Adds a document to a source as somebody, and returns its name in paths.
    pub async fn upload(
        &self,
        somebody: &Gateway,
        source: &str,
        file: &str,
        content: impl AsRef<[u8]>,
    ) -> Result<String> {
        let path = self.at(&format!("/documents?source={source}&file={file}"));
        let (status, body) = gateway::read(somebody.post(&path, content.as_ref().to_vec()).await?).await?;
        ensure!(
            status == StatusCode::OK,
            "the upload of {file} answered {status}: {body}"
        );
        Ok(body["id"].as_str().context("the upload has no id")?.into())
    }

    /// Searches as somebody; the documents' names by their scores.
    pub async fn search(&self, somebody: &Gateway, query: &str) -> Result<Vec<(String, String)>> {
        let (status, body) = somebody.send(&self.at("/search"), &json!({"query": query})).await?;
        ensure!(status == StatusCode::OK, "the search answered {status}: {body}");
        let hits = body["hits"].as_array().context("the search has no hits")?;
        let text = |hit: &Value, field: &str| hit[field].as_str().unwrap_or_default().to_owned();
        Ok(hits.iter().map(|hit| (text(hit, "name"), text(hit, "text"))).collect())
    }

    /// Asks as somebody.
    pub async fn ask(&self, somebody: &Gateway, question: &str) -> Result<Value> {
        let (status, body) = somebody.send(&self.at("/ask"), &json!({"question": question})).await?;
        ensure!(status == StatusCode::OK, "the question answered {status}: {body}");
        Ok(body)
    }

    /// Deletes it and waits until it is gone.
    pub async fn delete(&self) -> Result<()> {
        self.api.delete(&self.name, &DeleteParams::default()).await?;
        wait::until("the Room to be gone", async || {
            Ok(self.api.get_opt(&self.name).await?.is_none().then_some(()))
        })
        .await
    }
}
