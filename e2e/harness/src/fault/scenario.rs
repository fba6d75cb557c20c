//! What people do to a model while things go wrong.

use anyhow::{Context, Result};
use api::LlmModel;
use clap::ValueEnum;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use serde_json::{Value, json};

use super::world::World;

/// A story with one model. The faults happen in its last part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Scenario {
    /// A model comes to be.
    Create,
    /// A serving model gets another prompt, a second replica and an adapter.
    Update,
    /// A serving model gets other weights.
    Source,
    /// A model that was changed is pinned to the version before.
    Rollback,
    /// Good, then three kinds of bad, then good again.
    Regret,
    /// A model comes to be whose weights are compressed.
    Compress,
    /// A model is deleted in the middle of a rollout.
    Delete,
    /// A serving model is deleted, and one of the same name created at once.
    Recreate,
    /// The namespace is deleted in the middle of a rollout.
    NamespaceDelete,
}

/// What is left when a scenario is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A model that serves.
    Serving,
    /// A namespace without a model.
    Nothing,
    /// Not even the namespace.
    NoNamespace,
}

impl Scenario {
    /// How it is called on the command line and in names.
    pub fn name(self) -> String {
        let value = self.to_possible_value();
        value.map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// What is there before anything goes wrong.
    pub async fn set_up(self, world: &World<'_>) -> Result<()> {
        match self {
            Self::Create | Self::Compress => Ok(()),
            Self::Update | Self::Source | Self::Regret | Self::Delete | Self::Recreate | Self::NamespaceDelete => {
                world.create(first()).await?;
                world.settled().await
            }
            Self::Rollback => {
                world.create(first()).await?;
                world.settled().await?;
                world.replace(second()).await?;
                world.settled().await
            }
        }
    }

    /// The part in which things go wrong.
    pub async fn play(self, world: &World<'_>) -> Result<()> {
        match self {
            Self::Create => world.create(first()).await,
            Self::Compress => world.create(compressed()).await,
            Self::Update => world.replace(second()).await,
            Self::Source => world.replace(other_weights()).await,
            Self::Rollback => {
                let before = world.model().await?;
                let status = before.status.unwrap_or_default();
                let current = status.current_version.unwrap_or_default();
                let mut others = status.versions.iter().filter(|version| version.name != current);
                let version = others.next().context("there is no version to go back to")?;
                let mut spec = first();
                spec["version"] = json!(version.name);
                world.replace(spec).await
            }
            Self::Regret => regret(world).await,
            Self::Delete => {
                start_rollout(world).await?;
                world.delete().await
            }
            Self::Recreate => {
                world.delete().await?;
                world
                    .until_some("the model to be gone", async || match world.create(second()).await {
                        Ok(()) => Ok(Some(())),
                        Err(error) => Err(error),
                    })
                    .await
            }
            Self::NamespaceDelete => {
                start_rollout(world).await?;
                world.delete_namespace().await
            }
        }
    }

    /// What is left in the end.
    pub fn end(self) -> End {
        match self {
            Self::Delete => End::Nothing,
            Self::NamespaceDelete => End::NoNamespace,
            _ => End::Serving,
        }
    }

    /// The spec that leads to the same state when it is all that ever was, but for the history.
    pub fn equals(self) -> Option<Value> {
        match self {
            Self::Update | Self::Recreate => Some(second()),
            Self::Source => Some(other_weights()),
            Self::Rollback | Self::Regret => Some(first()),
            Self::Create | Self::Compress | Self::Delete | Self::NamespaceDelete => None,
        }
    }
}

/// Weights that cannot be prepared, a pin to nothing, and workers that never start; each is waited for.
async fn regret(world: &World<'_>) -> Result<()> {
    world.replace(of_image("localhost/models/broken:1")).await?;
    world
        .until("the broken weights to be refused", is_seen_and_refused)
        .await?;
    let mut pinned = first();
    pinned["version"] = json!("v-0000000000");
    world.replace(pinned).await?;
    world.until("the pin to be refused", is_seen_and_refused).await?;
    world.replace(of_image("localhost/models/crashing:1")).await?;
    world
        .until("the crashing version to be seen", is_seen_and_refused)
        .await?;
    world.replace(first()).await
}

/// Changes the model and waits until the new version's pods are asked for, and the status says which it is.
async fn start_rollout(world: &World<'_>) -> Result<()> {
    let before = world.model().await?.status.unwrap_or_default().current_version;
    world.replace(other_weights()).await?;
    let deployments = Api::<Deployment>::namespaced(world.plane.admin.clone(), &world.namespace);
    world
        .until_some("the rollout to begin", async || {
            let count = deployments.list(&Default::default()).await?.items.len();
            let model = world.model().await?;
            let status = model.status.unwrap_or_default();
            let is_told = status.candidate_version.is_some() || status.current_version != before;
            Ok((count > 1 && is_told).then_some(()))
        })
        .await
}

fn is_seen_and_refused(model: &LlmModel) -> bool {
    let Some(status) = &model.status else { return false };
    let generation = model.metadata.generation;
    let refused = status
        .conditions
        .iter()
        .any(|it| it.observed_generation == generation && it.type_ == "Progressing" && it.status == "False");
    status.observed_generation == generation && refused
}

fn first() -> Value {
    of_image("localhost/models/small:1")
}

fn second() -> Value {
    let mut spec = first();
    spec["prompt"] = json!({"system": "You are a patient teacher."});
    spec["replicas"] = json!(2);
    spec["adapters"] = json!([{"name": "tone", "source": {"huggingFace": {"repo": "team/tone"}}}]);
    spec
}

fn other_weights() -> Value {
    of_image("localhost/models/small:2")
}

fn compressed() -> Value {
    let mut spec = first();
    spec["compress"] = json!({"quantization": "Int4", "method": "RTN", "maxPerplexityIncrease": "5%"});
    spec
}

fn of_image(image: &str) -> Value {
    json!({
        "source": {"oci": {"image": image, "pullPolicy": "Never"}},
        "engine": {"atelier": {"contextLength": 512, "maxConcurrentSequences": 2}},
        "resources": {"cpu": "100m"},
    })
}
