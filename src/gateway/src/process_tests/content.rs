//! What the audit trail keeps of requests and answers, and what becomes of it.

use std::{path::Path, sync::Arc, time::Duration};

use axum::http::StatusCode;
use bytes::Bytes;
use clap::Parser;
use reqwest::Method;
use serde_json::json;
use store::{
    audit::{
        Log, Mode, Range, Settings,
        content::{KeyRing, Limits, State, Vault, show},
        verify,
    },
    testing::{Postgres, TestDatabase},
};
use tempfile::TempDir;

use super::{EVENTS, STREAM, refused, within};
use crate::{
    audit::{Recorder, run_command},
    catalog::Model,
    config::Args,
    guard::Guards,
    testing::{TestGateway, Worker, model},
};

const ANSWER: &str = r#"{"id":"chatcmpl-7","choices":[{"message":{"content":"another secret"}}]}"#;
const ASKED: &str = r#"{"model":"ns/m","messages":[{"role":"user","content":"a secret"}]}"#;

/// A gateway that keeps what `ns/m` is asked and answers.
struct Keeping {
    gateway: TestGateway,
    log: Arc<Log>,
    test: TestDatabase,
    keys: TempDir,
}

impl Keeping {
    async fn start(worker: &Worker, limits: Limits) -> Self {
        let test = Postgres::shared().database().await;
        let keys = tempfile::tempdir().unwrap();
        std::fs::write(keys.path().join("k1"), "0a".repeat(32)).unwrap();
        let settings = Settings {
            mode: Mode::Strict,
            capacity: 64,
            patience: Duration::from_secs(30),
            vault: Some(Vault::new(KeyRing::read(keys.path(), "k1").unwrap(), limits)),
        };
        let log = Log::start(test.database.clone(), settings).unwrap();
        let recorder = Recorder::new(log.clone(), test.database.clone());
        let gateway = TestGateway::start(&[worker], |timing| timing.audit = recorder).await;
        within(async {
            while !log.stats().up {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        Self {
            gateway,
            log,
            test,
            keys,
        }
    }

    async fn ask(&self, request: &str, body: &str) -> reqwest::Response {
        let asked = self.gateway.request(Method::POST, "/v1/chat/completions");
        let asked = asked.header("x-request-id", request).body(body.to_owned());
        within(asked.send()).await.unwrap()
    }

    /// What was asked and answered, as far as it can be read.
    async fn read(&self, request: &str) -> Vec<Option<String>> {
        assert!(self.log.drain(Duration::from_secs(30)).await);
        let keys = KeyRing::read(self.keys.path(), "k1").unwrap();
        let shown = show(&self.test.database, &keys, request, Some("jane"), "a test").await;
        let text = |content| match content {
            State::Kept(text) => Some(String::from_utf8(text.to_vec()).unwrap()),
            _ => None,
        };
        shown.unwrap().into_iter().map(|shown| text(shown.content)).collect()
    }

    /// `atelier-gateway audit ...`
    async fn run(&self, command: &[&str]) -> anyhow::Result<()> {
        let path = |path: &Path| path.to_str().unwrap().to_owned();
        let (url, keys) = (path(self.test.url_file.path()), path(self.keys.path()));
        let common = ["--database-url-file", &url, "--audit-content-keys-dir", &keys];
        let args = Args::try_parse_from([&["atelier-gateway", "audit"], command, &common].concat())?;
        run_command(args.command.clone().unwrap(), &args.audit).await
    }

    async fn is_sound(&self) -> bool {
        let report = verify(&self.test.database, Range::default(), None, &[]).await.unwrap();
        report.is_sound()
    }
}

const LIMITS: Limits = Limits {
    longest: 1 << 16,
    memory: 1 << 20,
};

async fn answering() -> (Worker, Keeping) {
    let worker = Worker::answering(StatusCode::OK, "application/json", ANSWER).await;
    let keeping = Keeping::start(&worker, LIMITS).await;
    (worker, keeping)
}

#[tokio::test]
async fn requests_and_answers_are_kept_whole() {
    let (_worker, keeping) = answering().await;
    let answer = keeping.ask("r1", ASKED).await;
    within(answer.text()).await.unwrap();
    assert_eq!(keeping.read("r1").await, [Some(ASKED.into()), Some(ANSWER.into())]);
    // What is asked of nobody is nobody's content.
    refused(
        keeping.ask("r2", &ASKED.replace("ns/m", "ns/absent")).await,
        404,
        "model_not_found",
    )
    .await;
    assert_eq!(keeping.read("r2").await, [None]);
    assert!(keeping.is_sound().await);
}

#[tokio::test]
async fn a_stream_is_kept_as_far_as_it_came() {
    let (worker, tokens) = Worker::streaming(EVENTS).await;
    let keeping = Keeping::start(&worker, LIMITS).await;
    let mut answer = keeping.ask("r1", STREAM).await;
    let events = ["data: {\"id\":\"chatcmpl-8\"}\n\n", "data: {\"a\":1}\n\n"];
    for event in events {
        tokens.send(Bytes::from_static(event.as_bytes())).await.unwrap();
        within(answer.chunk()).await.unwrap().unwrap();
    }
    // The client leaves.
    drop(answer);
    within(tokens.closed()).await;
    within(async {
        while keeping.read("r1").await.len() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(keeping.read("r1").await, [Some(STREAM.into()), Some(events.concat())]);
}

#[tokio::test]
async fn the_request_is_kept_as_the_model_got_it() {
    let (_worker, keeping) = answering().await;
    let people = json!({"input": [{"name": "people", "detector": "PersonalData", "onViolation": "Redact"}]});
    keeping.gateway.catalog.apply_model(Model {
        guards: Some(Guards::of(&people)),
        ..model("ns", "m")
    });
    let asked = ASKED.replace("a secret", "pay to DE89 3704 0044 0532 0130 00");
    within(keeping.ask("r1", &asked).await.text()).await.unwrap();
    let kept = keeping.read("r1").await[0].clone().unwrap();
    assert!(kept.contains("pay to") && !kept.contains("DE89"), "{kept}");
}

#[tokio::test]
async fn operators_erase_one_user_and_the_trail_holds() {
    let (_worker, keeping) = answering().await;
    within(keeping.ask("r1", ASKED).await.text()).await.unwrap();
    assert_eq!(keeping.read("r1").await.len(), 2);
    let keys = ["--audit-content-key", "k1"];
    let show = ["show", "--request", "r1", "--reason", "incident 12", keys[0], keys[1]];
    keeping.run(&show).await.unwrap();
    let absent = show.map(|word| if word == "r1" { "none" } else { word });
    let error = keeping.run(&absent).await.unwrap_err().to_string();
    assert!(error.contains("no request \"none\""), "{error}");
    let erase = [
        "erase",
        "--namespace",
        "ns",
        "--user",
        "jane",
        "--reason",
        "request 4711",
    ];
    keeping.run(&[&erase[..], &keys].concat()).await.unwrap();
    assert_eq!(keeping.read("r1").await, [None, None]);
    keeping.run(&[&["verify"], &keys[..]].concat()).await.unwrap();
    // Nobody erases without saying why.
    assert!(keeping.run(&[&erase[..5], &keys].concat()).await.is_err());
}

#[tokio::test]
async fn operators_change_to_another_key() {
    let (_worker, keeping) = answering().await;
    within(keeping.ask("r1", ASKED).await.text()).await.unwrap();
    assert_eq!(keeping.read("r1").await.len(), 2);
    let rewrap = ["rewrap", "--audit-content-key", "k2"];
    let error = keeping.run(&rewrap).await.unwrap_err().to_string();
    assert!(error.contains("no key \"k2\""), "{error}");
    let (old, new) = (keeping.keys.path().join("k1"), keeping.keys.path().join("k2"));
    std::fs::write(&new, "0b".repeat(32)).unwrap();
    std::fs::rename(&old, old.with_file_name("..k1")).unwrap();
    let error = keeping.run(&rewrap).await.unwrap_err().to_string();
    assert!(error.contains("not all data keys"), "{error}");
    std::fs::rename(old.with_file_name("..k1"), &old).unwrap();
    keeping.run(&rewrap).await.unwrap();
    // The old one has gone for ever.
    std::fs::write(&old, "0c".repeat(32)).unwrap();
    assert_eq!(keeping.read("r1").await, [Some(ASKED.into()), Some(ANSWER.into())]);
}

#[tokio::test]
async fn a_request_that_cannot_be_kept_is_not_sent_on() {
    let worker = Worker::answering(StatusCode::OK, "application/json", ANSWER).await;
    let limits = Limits {
        longest: 1 << 16,
        memory: 1 << 10,
    };
    let keeping = Keeping::start(&worker, limits).await;
    let long = ASKED.replace("a secret", &"x".repeat(2000));
    refused(keeping.ask("r1", &long).await, 503, "audit_unavailable").await;
    assert_eq!(worker.received().len(), 0);
    within(keeping.ask("r2", ASKED).await.text()).await.unwrap();
    assert_eq!(keeping.read("r2").await.len(), 2);
}

#[tokio::test]
async fn options_keep_contents_and_let_them_expire_before_their_rows() {
    let test = Postgres::shared().database().await;
    let keys = tempfile::tempdir().unwrap();
    std::fs::write(keys.path().join("k1"), "0a".repeat(32)).unwrap();
    let with = |retention: &[&str]| {
        let path = |path: &Path| path.to_str().unwrap().to_owned();
        let (url, keys) = (path(test.url_file.path()), path(keys.path()));
        let options = ["--database-url-file", &url, "--audit-content", "encrypted"];
        let options = [
            &options[..],
            &["--audit-content-keys-dir", &keys, "--audit-content-key", "k1"],
        ];
        let often = ["--audit-seal-seconds", "1", "--audit-retention-seconds", "1"];
        let options = [&["atelier-gateway"], &options.concat()[..], &often, retention].concat();
        Args::parse_from(options).audit.recorder().unwrap()
    };
    let until = async |condition: &str| {
        within(async {
            while test.number(&format!("SELECT ({condition})::int::bigint")).await == 0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
    };
    let worker = Worker::answering(StatusCode::OK, "application/json", ANSWER).await;
    let recorder = with(&["--audit-retention-content", "1s"]);
    let gateway = TestGateway::start(&[&worker], |timing| timing.audit = recorder).await;
    // The tables are made meanwhile.
    within(async {
        while within(gateway.chat(ASKED)).await.status() != StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    until("(SELECT count(*) FROM audit WHERE event -> 'content' IS NOT NULL) >= 2").await;
    until("NOT EXISTS (SELECT FROM audit_content)").await;
    let report = verify(&test.database, Range::default(), None, &[]).await.unwrap();
    assert!(report.is_sound() && report.contents.expired >= 2, "{report:?}");
    // Another replica lets rows expire as well.
    let _other = with(&["--audit-retention-metadata", "1s"]);
    until("NOT EXISTS (SELECT FROM audit WHERE kind = 'opened')").await;
    let report = verify(&test.database, Range::default(), None, &[]).await.unwrap();
    assert!(report.is_sound() && report.pruned.is_some(), "{report:?}");
}
