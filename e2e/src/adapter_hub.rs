//! A server with the interface of the Hugging Face Hub that pods can reach, with a repository for each adapter.

use std::path::Path;

use anyhow::{Context, Result};
use axum::{Json, Router, routing::get};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::settings::HOST_ADDRESS;

const FILES: [&str; 2] = ["adapter_config.json", "adapter_model.safetensors"];
const COMMIT: &str = "1111111111111111111111111111111111111111";

/// A running server; it ends with this value.
pub struct AdapterHub {
    endpoint: String,
    task: JoinHandle<()>,
}

impl AdapterHub {
    /// Serves the adapter in each subdirectory of `dir` that is named as the repository `team/<name>`.
    pub async fn start(dir: &Path, names: &[&str]) -> Result<Self> {
        let mut router = Router::new();
        for name in names {
            let mut siblings = Vec::new();
            for file in FILES {
                let content = std::fs::read(dir.join(name).join(file)).context("failed to read an adapter")?;
                let sha256 = hex::encode(Sha256::digest(&content));
                siblings.push(json!({"rfilename": file, "lfs": {"sha256": sha256, "size": content.len()}}));
                let path = format!("/team/{name}/resolve/{COMMIT}/{file}");
                router = router.route(&path, get(async move || content));
            }
            let listing = json!({"sha": COMMIT, "siblings": siblings});
            let path = format!("/api/models/team/{name}/revision/{{revision}}");
            router = router.route(&path, get(async move || Json(listing)));
        }
        let listener = TcpListener::bind((HOST_ADDRESS, 0))
            .await
            .context("failed to listen where pods reach this machine")?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let task = tokio::spawn(async move {
            // It ends when the task is aborted.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { endpoint, task })
    }

    /// An adapter of a spec: a repository under a name.
    pub fn adapter(&self, name: &str, repository: &str) -> Value {
        let source = json!({"huggingFace": {"repo": format!("team/{repository}"), "endpoint": self.endpoint}});
        json!({"name": name, "source": source})
    }
}

impl Drop for AdapterHub {
    fn drop(&mut self) {
        self.task.abort();
    }
}
