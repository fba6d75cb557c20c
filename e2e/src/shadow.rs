//! A ShadowDeployment under test, and users whose requests are copied.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use api::ShadowDeployment;
use api::conditions::{self, types};
use api::names::REPORT_KEY;
use api::shadowdeployment::{ShadowDeploymentStatus, Verdict};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::namespace::Namespace;
use crate::{installation, wait};

/// Hundreds of pairs take minutes where a few cores compute all answers.
const PATIENCE: Duration = Duration::from_secs(1800);

/// One ShadowDeployment in a case's namespace.
#[derive(Clone)]
pub struct Shadow {
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name.
    pub name: String,
    api: Api<ShadowDeployment>,
}

/// A spec that copies every request to `model`.
pub fn spec(model: &str, candidate: &Value, compare: &Value, stop: &Value) -> Value {
    json!({
        "model": {"name": model},
        "candidate": candidate,
        "sample": {"percent": "100%"},
        "compare": compare,
        "stop": stop,
    })
}

/// A body whose answer is as long as `tokens` and as free as `temperature`; no two of them are one conversation.
pub fn question(model: &str, (user, number): (u64, u64), tokens: u32, temperature: f64) -> Value {
    // Some that a small model knows, and many that it has to make up.
    const ASKED: [&str; 8] = [
        "Name three things that you find in a kitchen",
        "Say in one sentence what a river is",
        "Which animals live on a farm",
        "Write a short greeting to a friend",
        "What is the weather like in winter",
        "Describe the taste of bread",
        "Give one reason to learn a language",
        "Tell me about the moon",
    ];
    let asked = ASKED[(user.wrapping_mul(5).wrapping_add(number) % ASKED.len() as u64) as usize];
    json!({
        "model": model,
        "messages": [{"role": "user", "content": format!("{asked}. This is question {number} of user {user}.")}],
        "max_tokens": tokens,
        "temperature": temperature,
        "stream": true,
    })
}

/// Rows that a table of the database has of the ShadowDeployment with this `uid`.
pub async fn rows(table: &str, uid: &str) -> Result<u64> {
    let count = format!("select count(*) from {table} where uid = '{uid}'");
    Ok(installation::sql(&count).await?.trim().parse()?)
}

impl Shadow {
    /// Creates one with a spec.
    pub async fn create(namespace: &Namespace, name: &str, spec: Value) -> Result<Self> {
        namespace
            .create_object::<ShadowDeployment>(json!({
                "apiVersion": "atelier.dev/v1alpha1",
                "kind": "ShadowDeployment",
                "metadata": {"name": name},
                "spec": spec,
            }))
            .await?;
        Ok(Self::at(namespace, name))
    }

    /// Creates one that is nothing but a template, for every version of `model`.
    pub async fn template(namespace: &Namespace, name: &str, model: &str, compare: &Value, stop: &Value) -> Result<()> {
        let candidate = json!({"version": "v-0000000000"});
        namespace
            .create_object::<ShadowDeployment>(json!({
                "apiVersion": "atelier.dev/v1alpha1",
                "kind": "ShadowDeployment",
                "metadata": {"name": name, "annotations": {api::names::ANNOTATION_PAUSED: "true"}},
                "spec": spec(model, &candidate, compare, stop),
            }))
            .await
            .map(drop)
    }

    /// One that there is.
    pub fn at(namespace: &Namespace, name: &str) -> Self {
        Self {
            namespace: namespace.clone(),
            name: name.into(),
            api: namespace.api(),
        }
    }

    /// The object as it is now.
    pub async fn get(&self) -> Result<ShadowDeployment> {
        self.api
            .get(&self.name)
            .await
            .context("failed to get the ShadowDeployment")
    }

    /// What is known of it.
    pub async fn status(&self) -> Result<ShadowDeploymentStatus> {
        Ok(self.get().await?.status.unwrap_or_default())
    }

    /// Merges a change into the object.
    pub async fn patch(&self, change: Value) -> Result<()> {
        self.api
            .patch(&self.name, &PatchParams::default(), &Patch::Merge(change))
            .await
            .context("failed to change the ShadowDeployment")
            .map(drop)
    }

    /// Waits until it has a verdict.
    pub async fn verdict(&self) -> Result<(Verdict, ShadowDeploymentStatus)> {
        wait::within(PATIENCE, &format!("the verdict of {}", self.name), async || {
            let status = self.status().await?;
            Ok(status.verdict.map(|verdict| (verdict, status)))
        })
        .await
    }

    /// Waits for so many pairs.
    pub async fn pairs(&self, count: i64) -> Result<ShadowDeploymentStatus> {
        wait::within(PATIENCE, &format!("{count} pairs"), async || {
            let status = self.status().await?;
            Ok((status.pairs.unwrap_or(0) >= count || status.verdict.is_some()).then_some(status))
        })
        .await
    }

    /// Waits until requests are copied.
    pub async fn comparing(&self) -> Result<()> {
        wait::until(&format!("the ShadowDeployment {} to compare", self.name), async || {
            let status = self.status().await?;
            Ok(conditions::is_true(&status.conditions, types::READY).then_some(()))
        })
        .await
    }

    /// Waits until it says that it is not ready for a reason, and returns what it says.
    pub async fn not_ready(&self, reason: &str) -> Result<String> {
        let what = format!("the ShadowDeployment {} not to be ready: {reason}", self.name);
        wait::until(&what, async || {
            let status = self.status().await?;
            let ready = conditions::find(&status.conditions, types::READY);
            let ready = ready.filter(|ready| ready.status == "False" && ready.reason == reason);
            Ok(ready.map(|ready| ready.message.clone()))
        })
        .await
    }

    /// The report that its status names, which nobody can change.
    pub async fn report(&self) -> Result<Value> {
        let name = self.status().await?.report.context("the status names no report")?;
        let map: ConfigMap = self.namespace.api().get(&name).await?;
        if map.immutable != Some(true) {
            bail!("the report {name} can be changed");
        }
        let data: BTreeMap<_, _> = map.data.unwrap_or_default();
        let text = data.get(REPORT_KEY).context("the report has no content")?;
        serde_json::from_str(text).context("the report is no JSON")
    }

    /// Deletes it and waits until it is gone.
    pub async fn delete(&self) -> Result<()> {
        self.api.delete(&self.name, &DeleteParams::default()).await?;
        wait::until("the ShadowDeployment to be gone", async || {
            Ok(self.api.get_opt(&self.name).await?.is_none().then_some(()))
        })
        .await
    }
}
