//! The audit trail and feedback on a real PostgreSQL.

#![allow(clippy::unwrap_used, reason = "a test says where it failed by panicking")]

mod faults;
mod feedback;
mod killed;
mod seals;
mod throughput;
mod trail;

use std::{future::Future, sync::Arc, time::Duration};

use serde_json::json;
use store::{
    Database,
    audit::{Draft, Kind, Log, Mode, Range, Report, Settings, Unavailable, verify},
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
    }
}

fn buffered(spool: &std::path::Path) -> Settings {
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
