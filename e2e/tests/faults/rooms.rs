//! A Room whose parts are killed while it reads another edition of its book.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use api::conditions::types;
use atelier_e2e::gateway::{self, Gateway};
use atelier_e2e::settings::SYSTEM_NAMESPACE;
use atelier_e2e::{Model, Namespace, Room, model, operator, room, wait, with_namespace};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, ResourceExt as _};
use reqwest::StatusCode;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::{ALONE, database};

const CHAPTERS: usize = 12;
const JOBS: &str = "batch.kubernetes.io/job-name";

/// The book: each chapter names the edition.
fn book(edition: &str) -> String {
    let chapter = |number: usize| {
        let sentence = format!("The lighthouse of chapter {number} shines for the {edition} edition of this book. ");
        format!("## Chapter {number}\n\n{}\n\n", sentence.repeat(12))
    };
    (1..=CHAPTERS).map(chapter).collect()
}

#[tokio::test]
async fn no_half_edition_is_ever_found() -> Result<()> {
    let _alone = ALONE.lock().await;
    with_namespace("editions", async |namespace| {
        database::upgrade(true).await?;
        let encoder = Model::create(&namespace, "minilm", model::encoder()).await?;
        encoder.ready().await?;
        let room = library(&namespace).await?;
        let outcome = read_again(&namespace, &room).await;
        // It goes once the database has forgotten it, so not without one.
        let gone = room.delete().await;
        outcome.and(gone).and(database::remove().await)
    })
    .await
}

async fn library(namespace: &Namespace) -> Result<Room> {
    let spec = json!({
        "members": [{"kind": "ServiceAccount", "name": "jane", "role": "Curator"}],
        "embedding": {"name": "minilm"},
        "sources": [{"name": "books", "upload": {}}],
        "ingestion": {"chunk": {"tokens": 128, "overlap": 0}},
    });
    Room::create(namespace, "library", spec).await
}

async fn read_again(namespace: &Namespace, room: &Room) -> Result<()> {
    let jane = room::person(namespace, "jane").await?;
    wait::until("the curator to be let in", async || {
        Ok(jane.get(&room.at("")).await?.status().is_success().then_some(()))
    })
    .await?;
    room.upload(&jane, "books", "book.md", book("first")).await?;
    room.sync().await?;
    room.condition(types::READY, "True").await?;
    let chunks = found(room, &jane).await?.context("nothing is found")?.1;

    let reader = Reader::start(room, &jane);
    room.upload(&jane, "books", "book.md", book("second")).await?;
    // Uploads are read by themselves. Whatever is killed meanwhile, in whatever order it dies.
    for turn in 0..2 {
        job_begins(namespace, turn).await?;
        kill(namespace, JOBS).await?;
        operator::kill(&namespace.client).await?;
    }
    kill(namespace, &format!("{}=minilm", api::names::LABEL_MODEL)).await?;
    let pods = Api::<Pod>::namespaced(namespace.client.clone(), SYSTEM_NAMESPACE);
    pods.delete("atelier-postgres-0", &now()).await?;
    wait::until("the second edition", async || {
        let found = found(room, &jane).await?;
        Ok(found.filter(|(edition, _)| edition == "second"))
    })
    .await?;
    room.condition(types::READY, "True").await?;
    let searches = reader.stop().await?;
    let (edition, again) = found(room, &jane).await?.context("nothing is found")?;
    ensure!(
        (&*edition, again) == ("second", chunks),
        "{again} chunks of the {edition} edition, not {chunks}"
    );
    println!("{searches} searches found a whole edition");
    ensure!(searches > 0, "nobody searched");
    Ok(())
}

/// Waits until a Job reads the book, the one from before being gone.
async fn job_begins(namespace: &Namespace, turn: usize) -> Result<()> {
    let pods: Api<Pod> = namespace.api();
    wait::until(&format!("somebody to read the book, turn {turn}"), async || {
        let pods = pods.list(&ListParams::default().labels(JOBS)).await?.items;
        let runs = |pod: &Pod| {
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            pod.metadata.deletion_timestamp.is_none() && phase == Some("Running")
        };
        Ok(pods.iter().any(runs).then_some(()))
    })
    .await
}

fn now() -> DeleteParams {
    DeleteParams::default().grace_period(0)
}

async fn kill(namespace: &Namespace, selector: &str) -> Result<()> {
    let pods: Api<Pod> = namespace.api();
    for pod in pods.list(&ListParams::default().labels(selector)).await?.items {
        // It may end by itself before.
        let _ = pods.delete(&pod.name_any(), &now()).await;
    }
    Ok(())
}

/// The edition that is found, and how many chunks of it; nothing while the Room cannot answer. Two editions are an error.
async fn found(room: &Room, somebody: &Gateway) -> Result<Option<(String, usize)>> {
    let body = json!({"query": "lighthouse edition of this book", "top_k": 100});
    let Ok((status, found)) = gateway::read(somebody.post(&room.at("/search"), body.to_string()).await?).await else {
        return Ok(None);
    };
    if status.is_server_error() {
        return Ok(None);
    }
    ensure!(status == StatusCode::OK, "the search answered {status}: {found}");
    let hits = found["hits"].as_array().context("the search has no hits")?;
    let texts = hits.iter().filter_map(|hit| hit["text"].as_str());
    let editions: BTreeSet<_> = texts
        .flat_map(|text| {
            ["first", "second"]
                .into_iter()
                .filter(|edition| text.contains(&format!("the {edition} edition")))
        })
        .collect();
    match editions.into_iter().collect::<Vec<_>>()[..] {
        [edition] => Ok(Some((edition.to_owned(), hits.len()))),
        ref editions => bail!("{} hits are of the editions {editions:?}", hits.len()),
    }
}

/// Somebody who searches all the time.
struct Reader {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Result<usize>>,
}

impl Reader {
    fn start(room: &Room, somebody: &Gateway) -> Self {
        let (room, somebody) = (room.clone(), somebody.clone());
        let stop = Arc::new(AtomicBool::new(false));
        let is_over = stop.clone();
        let task = tokio::spawn(async move {
            let (mut searches, mut whole) = (0, None);
            while !is_over.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(50)).await;
                let Some((_, chunks)) = found(&room, &somebody).await? else {
                    continue;
                };
                searches += 1;
                let whole = *whole.get_or_insert(chunks);
                ensure!(chunks == whole, "{chunks} of {whole} chunks are found");
            }
            Ok(searches)
        });
        Self { stop, task }
    }

    async fn stop(self) -> Result<usize> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await?
    }
}
