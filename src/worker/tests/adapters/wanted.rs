//! Adapters that come and go as a file says, while requests are answered.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use axum::{Json, Router, routing::get};
use protocol::{AdapterReport, AdapterState, AdaptersAnswer, AdaptersReport};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{ADAPTERS, Worker, adapter, answer, done, model, refused, sse, story};
use crate::support;

/// Longest wait for a state, which only a fault reaches.
const PATIENCE: Duration = Duration::from_secs(120);
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// The list of a worker, and the directories around it.
struct Place {
    root: tempfile::TempDir,
}

impl Place {
    fn new() -> Result<Self> {
        Ok(Self {
            root: support::temporary_dir()?,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Replaces the list at once, as the kubelet does.
    fn want(&self, id: &str, adapters: Value) -> Result<()> {
        let list = json!({"id": id, "adapters": adapters}).to_string();
        std::fs::write(self.path("list.new"), list)?;
        Ok(std::fs::rename(self.path("list.new"), self.path("list.json"))?)
    }

    /// An adapter in a directory of this place.
    fn mounted(&self, name: &str, directory: &str) -> Value {
        let source = json!({"mounted": {"mount": self.path(directory)}});
        json!({"name": name, "key": format!("s-{directory}"), "source": source})
    }

    async fn start(&self) -> Result<Worker> {
        let [list, store] = ["list.json", "store"].map(|name| self.path(name).display().to_string());
        Worker::start(&["--adapters", &list, "--adapter-store", &store]).await
    }

    fn stored(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("store")).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect()
    }
}

async fn told(worker: &Worker) -> Result<AdaptersReport> {
    let answer = done(worker.admin(Method::GET, ADAPTERS, "").await?).await?;
    let answer: AdaptersAnswer = serde_json::from_value(answer)?;
    answer.wanted.context("the worker has read no list")
}

/// Waits until the worker tells of these states of the list with this id.
async fn until(worker: &Worker, id: &str, states: &[(&str, AdapterState)]) -> Result<Vec<AdapterReport>> {
    let mut last = AdaptersReport::default();
    let look = async {
        loop {
            last = told(worker).await?;
            let found: Vec<_> = last.adapters.iter().map(|it| (it.name.as_str(), it.state)).collect();
            if last.id == id && found == states {
                return Ok(last.adapters.clone());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, look).await {
        Ok(found) => found,
        Err(_) => bail!("{states:?} of {id} did not come: {last:?}"),
    }
}

/// A server with the interface of the Hub and the repository `team/adapter`.
async fn hub(directory: &Path) -> Result<String> {
    let mut router = Router::new();
    let mut siblings = Vec::new();
    for name in ["adapter_config.json", "adapter_model.safetensors"] {
        let content = std::fs::read(directory.join(name))?;
        let sha256 = hex::encode(Sha256::digest(&content));
        siblings.push(json!({"rfilename": name, "lfs": {"sha256": sha256, "size": content.len()}}));
        let path = format!("/team/adapter/resolve/{COMMIT}/{name}");
        router = router.route(&path, get(async move || content));
    }
    let listing = json!({"sha": COMMIT, "siblings": siblings});
    let router = router.route(
        "/api/models/team/adapter/revision/main",
        get(async move || Json(listing)),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(endpoint)
}

/// Asks for these models in turn until it is stopped; tells how many answers there were.
async fn ask(worker: Arc<Worker>, models: [&'static str; 2], stop: Arc<AtomicBool>) -> Result<usize> {
    let mut answers = 0;
    while !stop.load(Ordering::Relaxed) {
        for model in models {
            worker.post("/v1/completions", &story(model, 4, false)).await?;
            answers += 1;
        }
    }
    Ok(answers)
}

#[tokio::test]
async fn adapters_follow_the_list_and_no_request_fails() -> Result<()> {
    use AdapterState::{Failed, Ready};
    let (model, place) = (model()?, Place::new()?);
    for (directory, seed) in [("one", 1), ("two", 2), ("hub", 3)] {
        adapter(&place.path(directory), seed, &model)?;
    }
    std::fs::create_dir(place.path("broken"))?;
    let (one, broken) = (place.mounted("a", "one"), place.mounted("broken", "broken"));
    place.want("1", json!([one, broken]))?;

    // It is ready when each is loaded or has failed.
    let worker = Arc::new(place.start().await?);
    let first = told(&worker).await?.adapters;
    let states: Vec<_> = first.iter().map(|it| (it.name.as_str(), it.state)).collect();
    ensure!(states == [("a", Ready), ("broken", Failed)], "{first:?}");
    let message = first[1].message.clone().unwrap_or_default();
    ensure!(message.contains("adapter_config.json"), "{message}");
    let (base, with_one) = (answer(&worker, "m").await?, answer(&worker, "m:a").await?);
    ensure!(base != with_one, "the adapter changes nothing: {base}");

    let stop = Arc::new(AtomicBool::new(false));
    let users = [["m", "m"], ["m", "m:a"]].map(|models| tokio::spawn(ask(worker.clone(), models, stop.clone())));

    // One more, from a server.
    let source = json!({"huggingFace": {"repo": "team/adapter", "revision": "main", "endpoint": hub(&place.path("hub")).await?}});
    let fetched = json!({"name": "b", "key": "s-hub", "source": source});
    place.want("2", json!([one, fetched, broken]))?;
    let found = until(&worker, "2", &[("a", Ready), ("b", Ready), ("broken", Failed)]).await?;
    ensure!(found[1].revision.as_deref() == Some(COMMIT), "{found:?}");
    ensure!(place.stored() == ["s-hub"], "{:?}", place.stored());
    let with_hub = answer(&worker, "m:b").await?;
    ensure!(with_hub != base && with_hub != with_one, "{with_hub}");

    // Another source under the same name, and the list is pinned to what was found.
    let mut pinned = fetched.clone();
    pinned["digest"] = json!(found[1].digest);
    place.want("3", json!([place.mounted("a", "two"), pinned, broken]))?;
    let swapped = until(&worker, "3", &[("a", Ready), ("b", Ready), ("broken", Failed)]).await?;
    ensure!(
        swapped[0].digest != found[0].digest && swapped[1] == found[1],
        "{swapped:?}"
    );
    ensure!(answer(&worker, "m:a").await? != with_one, "still the old adapter");

    // One goes, while a request uses it; what was broken is mended.
    let running = worker
        .send("/v1/completions", &story("m:b", 60, true).to_string())
        .await?;
    adapter(&place.path("broken"), 4, &model)?;
    place.want("4", json!([place.mounted("a", "two"), broken]))?;
    until(&worker, "4", &[("a", Ready), ("broken", Ready)]).await?;
    let gone = worker
        .send("/v1/completions", &story("m:b", 4, false).to_string())
        .await?;
    refused(gone, 404).await?;
    let events = sse(running).await?;
    ensure!(
        events.last().is_some_and(|event| event == "[DONE]"),
        "{:?}",
        events.last()
    );
    ensure!(place.stored().is_empty(), "{:?}", place.stored());

    // A list that is none changes nothing; without a list nothing is wanted.
    std::fs::write(place.path("list.json"), "{")?;
    ensure!(answer(&worker, "m:a").await.is_ok() && told(&worker).await?.id == "4");
    stop.store(true, Ordering::Relaxed);
    for user in users {
        let answers = user.await??;
        ensure!(answers > 0, "a user got no answer");
    }
    std::fs::remove_file(place.path("list.json"))?;
    until(&worker, "", &[]).await?;
    Ok(())
}

#[tokio::test]
async fn another_adapter_than_the_pinned_one_is_refused() -> Result<()> {
    let (model, place) = (model()?, Place::new()?);
    adapter(&place.path("one"), 1, &model)?;
    let mut pinned = place.mounted("a", "one");
    pinned["digest"] = json!(format!("sha256:{}", "0".repeat(64)));
    place.want("1", json!([pinned]))?;
    let worker = place.start().await?;
    let found = until(&worker, "1", &[("a", AdapterState::Failed)]).await?;
    let message = found[0].message.clone().unwrap_or_default();
    ensure!(message.contains("expected sha256:000"), "{message}");
    let missing = worker
        .send("/v1/completions", &story("m:a", 4, false).to_string())
        .await?;
    refused(missing, 404).await?;
    Ok(())
}
