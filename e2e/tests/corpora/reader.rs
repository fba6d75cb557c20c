//! A Room with texts, and somebody who reads in it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use api::conditions::types;
use atelier_e2e::gateway::{self, Gateway};
use atelier_e2e::{Namespace, Room, room, wait};
use futures::{StreamExt, TryStreamExt, stream};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// Texts are read by one process on a share of one core.
const PATIENCE: Duration = Duration::from_secs(3600);
/// Requests at once.
const AT_ONCE: usize = 4;

/// Somebody who may bring texts, and ask.
pub struct Reader {
    pub room: Room,
    pub gateway: Gateway,
}

impl Reader {
    /// Makes a Room, brings texts and waits until it has read them.
    pub async fn with(
        namespace: &Namespace,
        name: &str,
        extra: Value,
        texts: &[(String, impl AsRef<[u8]>)],
    ) -> Result<Self> {
        let mut spec = json!({
            "members": [{"kind": "ServiceAccount", "name": name, "role": "Curator"}],
            "embedding": {"name": "minilm"},
            "sources": [{"name": "texts", "upload": {"maxSize": "4Mi"}}],
        });
        for (field, value) in extra.as_object().into_iter().flatten() {
            spec[field] = value.clone();
        }
        let room = Room::create(namespace, name, spec).await?;
        let gateway = room::person(namespace, name).await?;
        wait::until("the reader to be let in", async || {
            let (status, body) = gateway::read(gateway.get(&room.at("")).await?).await?;
            ensure!(status == StatusCode::OK, "{status}: {body}");
            Ok(Some(()))
        })
        .await?;
        stream::iter(texts)
            .map(|(file, text)| room.upload(&gateway, "texts", file, text))
            .buffer_unordered(AT_ONCE)
            .try_collect::<Vec<_>>()
            .await?;
        wait::within(PATIENCE, "all texts to be read", async || {
            let status = room.get().await?.status.unwrap_or_default();
            let quarantined = status.quarantined.iter().map(|it| it.documents).sum::<i64>();
            let read = status.documents.unwrap_or_default() + quarantined;
            ensure!(read == texts.len() as i64, "{read} of {} are read", texts.len());
            Ok(Some(()))
        })
        .await?;
        room.condition(types::READY, "True").await?;
        Ok(Self { room, gateway })
    }

    /// Names of the documents that a search finds, the best first, each once.
    pub async fn documents(&self, query: &str, hits: usize) -> Result<Vec<String>> {
        let mut names: Vec<String> = Vec::new();
        for hit in self.hits(query, hits).await? {
            let name = hit["name"].as_str().context("a hit without a name")?.to_owned();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// What a search finds.
    pub async fn hits(&self, query: &str, hits: usize) -> Result<Vec<Value>> {
        let body = json!({"query": query, "top_k": hits});
        let (status, found) = self.gateway.send(&self.room.at("/search"), &body).await?;
        ensure!(status == StatusCode::OK, "the search answered {status}: {found}");
        Ok(found["hits"].as_array().context("the search has no hits")?.clone())
    }
}

/// The vectors of texts, as the encoder gives them to anybody.
pub async fn vectors(namespace: &Namespace, texts: &[String]) -> Result<Vec<Vec<f64>>> {
    let gateway = namespace.gateway().await?;
    let model = format!("{}/minilm", namespace.name);
    let embed = async |texts: &[String]| {
        let body = json!({"model": model, "input": texts});
        let (status, answer) = gateway.send("/v1/embeddings", &body).await?;
        ensure!(status == StatusCode::OK, "the encoder answered {status}: {answer}");
        let data = answer["data"].as_array().context("the encoder gives no data")?;
        let vector = |one: &Value| serde_json::from_value(one["embedding"].clone()).context("no vector");
        data.iter().map(vector).collect::<Result<Vec<Vec<f64>>>>()
    };
    let mut all = Vec::new();
    for some in texts.chunks(32) {
        all.extend(embed(some).await?);
    }
    Ok(all)
}
