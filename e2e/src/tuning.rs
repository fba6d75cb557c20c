//! A FineTuneJob under test.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use api::FineTuneJob;
use api::finetunejob::{FineTuneJobStatus, Phase};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::namespace::Namespace;
use crate::settings::DIALOGUES_IMAGE;
use crate::wait;

/// A training takes minutes where others compute beside it.
const PATIENCE: Duration = Duration::from_secs(900);

/// One FineTuneJob in a case's namespace.
#[derive(Clone)]
pub struct Tuning {
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name.
    pub name: String,
    api: Api<FineTuneJob>,
}

/// A spec that trains the model `base` on one file of dialogues, as quickly as that can be.
pub fn on_dialogues(base: &str, file: &str) -> Value {
    json!({
        "base": {"name": base},
        "method": "LoRA",
        "dataset": {
            "format": "Chat",
            "sources": [{"name": "dialogues", "oci": {
                "image": DIALOGUES_IMAGE, "path": format!("english/{file}"), "pullPolicy": "Never",
            }}],
            "split": {"validation": "10%"},
        },
        "hyperparameters": {
            "learningRate": "1e-3",
            "batchTokens": 256,
            "steps": 30,
            "lora": {"r": 8, "targets": ["q_proj", "k_proj", "v_proj", "o_proj"]},
        },
        "checkpoint": {"everySteps": 10},
        "resources": {"cpu": "200m"},
    })
}

impl Tuning {
    /// Creates a job with a spec.
    pub async fn create(namespace: &Namespace, name: &str, spec: Value) -> Result<Self> {
        namespace
            .create_object::<FineTuneJob>(json!({
                "apiVersion": "atelier.dev/v1alpha1",
                "kind": "FineTuneJob",
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

    /// The object as it is now.
    pub async fn get(&self) -> Result<FineTuneJob> {
        self.api.get(&self.name).await.context("failed to get the job")
    }

    /// What is known of it.
    pub async fn status(&self) -> Result<FineTuneJobStatus> {
        Ok(self.get().await?.status.unwrap_or_default())
    }

    /// Merges a change into the object.
    pub async fn patch(&self, change: Value) -> Result<()> {
        self.api
            .patch(&self.name, &PatchParams::default(), &Patch::Merge(change))
            .await
            .context("failed to change the job")
            .map(drop)
    }

    /// Waits until its status is as wanted.
    pub async fn until(&self, what: &str, is: impl Fn(&FineTuneJobStatus) -> bool) -> Result<FineTuneJobStatus> {
        let what = format!("the job {} {what}", self.name);
        let status = wait::within(PATIENCE, &what, async || {
            let status = self.status().await?;
            let is_over = matches!(status.phase, Some(Phase::Failed | Phase::Succeeded));
            Ok((is(&status) || is_over).then_some(status))
        })
        .await?;
        ensure!(is(&status), "gave up waiting for {what}: {status:?}");
        Ok(status)
    }

    /// Waits until it has published.
    pub async fn succeeded(&self) -> Result<FineTuneJobStatus> {
        self.until("to have succeeded", |status| status.phase == Some(Phase::Succeeded))
            .await
    }

    /// Waits until it has ended without a result, and returns why.
    pub async fn failed(&self) -> Result<String> {
        let status = self
            .until("to have failed", |status| status.phase == Some(Phase::Failed))
            .await?;
        let told = status
            .conditions
            .iter()
            .find(|it| it.type_ == "Failed" && it.status == "True");
        Ok(told.context("no condition says why")?.message.clone())
    }

    /// The digest of what it published.
    pub async fn output(&self) -> Result<String> {
        let output = self.succeeded().await?.output.context("nothing was published")?;
        ensure!(output.digest.starts_with("sha256:"), "{output:?}");
        Ok(output.digest)
    }
}
