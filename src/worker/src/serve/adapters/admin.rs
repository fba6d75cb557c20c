//! `/admin/adapters` on the admin port.

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    routing::{delete, get},
};
use engine::lora::Summary;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::{Adapters, error::Refusal};

/// The adapters, once the base model is loaded: the admin port answers before.
#[derive(Clone, Default)]
pub struct Slot(Arc<OnceLock<Arc<Adapters>>>);

impl Slot {
    /// Says that the base model is loaded.
    pub fn fill(&self, adapters: Arc<Adapters>) {
        // A second time does not happen, and would change nothing.
        let _ = self.0.set(adapters);
    }

    fn get(&self) -> Result<&Arc<Adapters>, Refusal> {
        self.0.get().ok_or_else(Refusal::loading)
    }
}

/// The routes of the admin port.
pub fn routes(slot: Slot) -> Router {
    Router::new()
        .route("/admin/adapters", get(list).post(add))
        .route("/admin/adapters/{name}", delete(remove))
        .with_state(slot)
}

/// An adapter to be loaded.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Add {
    name: String,
    /// Its directory; the one with its name in `--adapters-dir` when it is left out.
    path: Option<PathBuf>,
}

async fn list(State(slot): State<Slot>) -> Result<Json<Value>, Refusal> {
    Ok(Json(describe_all(slot.get()?)))
}

/// Loads one adapter; without a body, everything in `--adapters-dir`.
async fn add(State(slot): State<Slot>, body: Bytes) -> Result<Json<Value>, Refusal> {
    let adapters = slot.get()?.clone();
    if body.is_empty() {
        return blocking(move || rescan(&adapters)).await;
    }
    let Add { name, path } = serde_json::from_slice(&body).map_err(Refusal::body)?;
    let below = || adapters.directory.as_ref().map(|directory| directory.join(&name));
    let path = path.or_else(below).ok_or_else(Refusal::no_path)?;
    blocking(move || {
        let summary = adapters.registry.add(&name, &path)?;
        tracing::info!(adapter = name, id = %summary.id, bytes = summary.bytes, "loaded an adapter");
        Ok(Json(describe(&adapters, &summary)))
    })
    .await
}

fn rescan(adapters: &Adapters) -> Result<Json<Value>, Refusal> {
    if adapters.directory.is_none() {
        return Err(Refusal::body("it is empty, and there is no --adapters-dir"));
    }
    let refused = adapters
        .scan()
        .map_err(|error| Refusal::internal(format!("{error:#}")))?;
    let refused = refused
        .iter()
        .map(|refused| json!({"name": refused.name, "message": refused.error.to_string()}));
    let refused: Vec<Value> = refused.collect();
    let mut answer = describe_all(adapters);
    answer["refused"] = json!(refused);
    Ok(Json(answer))
}

/// Forgets an adapter; requests under way finish with it.
async fn remove(State(slot): State<Slot>, Path(name): Path<String>) -> Result<Json<Value>, Refusal> {
    slot.get()?.registry.remove(&name)?;
    tracing::info!(adapter = name, "deleted an adapter");
    Ok(Json(json!({"name": name, "deleted": true})))
}

async fn blocking(
    work: impl FnOnce() -> Result<Json<Value>, Refusal> + Send + 'static,
) -> Result<Json<Value>, Refusal> {
    spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(Refusal::internal(error)))
}

fn describe_all(adapters: &Adapters) -> Value {
    let list = adapters.registry.list();
    let list: Vec<Value> = list.iter().map(|summary| describe(adapters, summary)).collect();
    json!({
        "adapters": list,
        "bytes": adapters.registry.bytes(),
        "budget": adapters.registry.budget(),
        "wanted": adapters.report(),
    })
}

fn describe(adapters: &Adapters, summary: &Summary) -> Value {
    let targets: Vec<&str> = summary.targets.iter().map(|target| target.name()).collect();
    json!({
        "name": summary.name,
        "model": format!("{}:{}", adapters.served_name, summary.name),
        "digest": summary.id.prefixed(),
        "state": if summary.loaded { "loaded" } else { "on disk" },
        "in_use": summary.in_use,
        "bytes": summary.bytes,
        "rank": summary.rank,
        "targets": targets,
        "base": summary.base,
        "requests": summary.requests,
    })
}
