//! The audit trail and feedback on a real PostgreSQL.

#![allow(clippy::unwrap_used, reason = "a test says where it failed by panicking")]

mod content;
mod erasure;
mod faults;
mod feedback;
mod killed;
mod retention;
mod seals;
mod spending;
mod throughput;
mod trail;

use std::{future::Future, path::Path, sync::Arc, time::Duration};

use serde_json::json;
use store::{
    Database,
    audit::{
        Draft, Kind, Log, Mode, Range, Report, Settings, Unavailable,
        content::{KeyRing, Limits, Vault},
        verify,
    },
};

/// Fails a test that hangs. Nothing is measured.
async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future)
        .await
        .expect("the test hangs")
}

/// Settings of a test that shall not wait.
fn strict() -> Settings {
    Settings {
        mode: Mode::Strict,
        capacity: 4096,
        patience: Duration::from_secs(30),
        vault: None,
    }
}

fn buffered(spool: &Path) -> Settings {
    Settings {
        mode: Mode::Buffered { spool: spool.into() },
        ..strict()
    }
}

/// A log whose database takes rows.
async fn ready(database: &Database, settings: Settings) -> Arc<Log> {
    let log = Log::start(database.clone(), settings).unwrap();
    until_up(&log).await;
    log
}

async fn until_up(log: &Log) {
    within(async {
        while !log.stats().up {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

fn opening(request: &str) -> Draft {
    let event = json!({"namespace": "ns", "model": "m", "adapter": "lora"});
    Draft::new(Kind::Opened, request, "jane", &event)
}

/// A request from its beginning to its end.
async fn ask(log: &Arc<Log>, request: &str) -> Result<(), Unavailable> {
    let (opened, committed) = log.open(opening(request))?;
    let outcome = committed.wait().await;
    let event = json!({"opened": opened.place().seq, "version": "v-1", "answer": format!("chatcmpl-{request}")});
    opened.close(Draft::new(Kind::Closed, request, "jane", &event));
    outcome
}

async fn drained(log: &Log) {
    assert!(log.drain(Duration::from_secs(60)).await, "{:?}", log.stats());
}

async fn check(database: &Database) -> Report {
    within(verify(database, Range::default(), None, &[])).await.unwrap()
}

/// Key-encryption keys of which `active` wraps. Each has its id in its bytes.
fn keys(ids: &[&str], active: &str) -> KeyRing {
    let dir = tempfile::tempdir().unwrap();
    for id in ids {
        let key = format!("{id:0<64}").replace(|c: char| !c.is_ascii_hexdigit(), "0");
        std::fs::write(dir.path().join(id), key).unwrap();
    }
    KeyRing::read(dir.path(), active).unwrap()
}

const LIMITS: Limits = Limits {
    longest: 64 << 10,
    memory: 1 << 20,
};

/// Settings of a log that keeps contents, by the key `a`.
fn keeping(settings: Settings) -> Settings {
    Settings {
        vault: Some(Vault::new(keys(&["a"], "a"), LIMITS)),
        ..settings
    }
}

/// A request of `subject` with what it asks, from its beginning to its end.
async fn tell(log: &Arc<Log>, request: &str, subject: &str, asked: &str) -> Result<(), Unavailable> {
    let event = json!({"namespace": "ns", "model": "m"});
    let content = log.content("ns", asked.as_bytes())?;
    let (opened, committed) = log.open(Draft::with(Kind::Opened, request, subject, &event, content))?;
    let outcome = committed.wait().await;
    let mut answer = log.gather("ns");
    for piece in ["an answer ", "to ", asked] {
        if let Some(answer) = &mut answer {
            answer.push(piece.as_bytes());
        }
    }
    let event = json!({"opened": opened.place().seq});
    opened.close(Draft::with(Kind::Closed, request, subject, &event, answer));
    outcome
}
