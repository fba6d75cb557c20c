//! A server with the interface of the Hugging Face Hub that pods can reach, with one repository.

use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Response, StatusCode, header};
use axum::response::IntoResponse as _;
use axum::{Json, Router, routing::get};
use bytes::Bytes;
use serde_json::json;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::settings::HOST_ADDRESS;

/// The repository.
pub const REPOSITORY: &str = "team/small";
/// The token that it asks for.
pub const TOKEN: &str = "hf_of_the_tests";
const README: &[u8] = b"# Small";

/// A running server; it ends with this value.
pub struct HubServer {
    /// Its base URL.
    pub endpoint: String,
    state: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    weights: Bytes,
    sha256: String,
    /// What the branch `main` stands for.
    commit: Mutex<String>,
    /// Commits that weights were asked for.
    asked: Mutex<Vec<String>>,
}

impl HubServer {
    /// Serves `weights` as the repository's `small.gguf`.
    pub async fn start(weights: impl Into<Bytes>, commit: &str) -> Result<Self> {
        let weights = weights.into();
        let state = Arc::new(Shared {
            sha256: hex::encode(Sha256::digest(&weights)),
            weights,
            commit: Mutex::new(commit.into()),
            asked: Mutex::default(),
        });
        let listener = TcpListener::bind((HOST_ADDRESS, 0))
            .await
            .context("failed to listen where pods reach this machine")?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let router = Router::new()
            .route("/api/models/team/small/revision/{revision}", get(listing))
            .route("/team/small/resolve/{commit}/{file}", get(file))
            .with_state(state.clone());
        let task = tokio::spawn(async move {
            // It ends when the task is aborted.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { endpoint, state, task })
    }

    /// Moves the branch to another commit.
    pub fn move_branch(&self, commit: &str) {
        *self.state.commit.lock().expect("no request panics") = commit.into();
    }

    /// The commits that weights were asked for, so far.
    pub fn asked(&self) -> Vec<String> {
        self.state.asked.lock().expect("no request panics").clone()
    }
}

impl Drop for HubServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn may_read(headers: &HeaderMap) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    given.and_then(|value| value.strip_prefix("Bearer ")) == Some(TOKEN)
}

async fn listing(State(state): State<Arc<Shared>>, Path(revision): Path<String>, headers: HeaderMap) -> Response<Body> {
    if !may_read(&headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let branch = state.commit.lock().expect("no request panics").clone();
    let commit = match revision.as_str() {
        "main" => branch,
        commit => commit.to_owned(),
    };
    let blob = |content: &[u8]| {
        let header = format!("blob {}\0", content.len());
        hex::encode(Sha1::new().chain_update(header).chain_update(content).finalize())
    };
    let size = state.weights.len();
    Json(json!({"id": REPOSITORY, "sha": commit, "siblings": [
        {"rfilename": "README.md", "size": README.len(), "blobId": blob(README)},
        {"rfilename": "small.gguf", "size": size, "blobId": "0".repeat(40), "lfs": {"sha256": state.sha256, "size": size}},
    ]}))
    .into_response()
}

async fn file(
    State(state): State<Arc<Shared>>,
    Path((commit, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response<Body> {
    if !may_read(&headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    match name.as_str() {
        "small.gguf" => {
            state.asked.lock().expect("no request panics").push(commit);
            state.weights.clone().into_response()
        }
        "README.md" => README.into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}
