//! Words of pairs, and the report that shows them.

use std::{collections::HashSet, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{Response, header},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use store::audit::{
    Log, Mode, Settings,
    content::{KeyRing, erase},
};
use tempfile::TempDir;

use super::{
    super::{refused, within},
    support::{CANDIDATE, OPERATOR, Stage, asked, events, question, spec},
};
use crate::{audit::Recorder, testing::Worker};

const REPORT: &str = "/v1/shadows/ns/s/report";
const PAGE: &str = "/v1/shadows/ns/s/report.html";
/// Who may read numbers, and words as well.
const READER: &str = "reader";
const AUDITOR: &str = "auditor";
/// Words of each answer.
const WORDS: usize = 30;

/// The question number `n` of a request.
fn number(body: &Value) -> usize {
    let text = body["messages"][0]["content"].as_str().unwrap();
    text.strip_prefix("question ").unwrap().parse().unwrap()
}

/// A worker that answers question `n` with `n` words that all say, and others of its own.
async fn worker(own: &'static str) -> Worker {
    Worker::reading(move |received| {
        let body = asked(received);
        let n = number(&body);
        let word = |at: usize| {
            if at < n {
                format!("w{at} ")
            } else {
                format!("{own}{at} ")
            }
        };
        let words: Vec<_> = (0..WORDS).map(word).collect();
        let (kind, text) = if body["stream"] == true {
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            ("text/event-stream", events(&words))
        } else {
            let answer =
                json!({"choices": [{"index": 0, "message": {"content": words.concat()}, "finish_reason": "stop"}]});
            ("application/json", answer.to_string())
        };
        Response::builder()
            .header(header::CONTENT_TYPE, kind)
            .body(Body::from(text))
            .unwrap()
    })
    .await
}

/// A stage with an audit trail, and keys for words.
struct Keeping {
    stage: Stage,
    log: Arc<Log>,
    _keys: TempDir,
    _workers: [Worker; 2],
}

impl Keeping {
    async fn start(retention: Value) -> Self {
        let workers = [worker("live").await, worker("candidate").await];
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("k1"), "0a".repeat(32)).unwrap();
        let keys = KeyRing::read(dir.path(), "k1").unwrap();
        let mut kept = None;
        let stage = Stage::start(&workers[0], &workers[1], |timing| {
            let database = timing.database.clone().unwrap();
            let settings = Settings {
                mode: Mode::Strict,
                capacity: 1024,
                patience: Duration::from_secs(30),
                vault: None,
            };
            let log = Log::start(database.clone(), settings).unwrap();
            timing.audit = Recorder::new(log.clone(), database).with_keys(Some(keys));
            kept = Some(log);
        })
        .await;
        let log = kept.unwrap();
        within(async {
            while !log.stats().up {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        for (token, verbs) in [(READER, &["get"][..]), (AUDITOR, &["get", "audit"])] {
            stage.gateway.reviewer.know(token, token);
            for verb in verbs {
                stage.gateway.reviewer.allow_in(token, verb, "ns", "s");
            }
        }
        let this = Self {
            stage,
            log,
            _keys: dir,
            _workers: workers,
        };
        this.retain(retention, json!({}));
        let known = HashSet::from(["uid-s".to_owned()]);
        this.stage.gateway.gateway.shadows.catalog.retain(&known);
        this
    }

    /// The ShadowDeployment asks for this.
    fn retain(&self, retention: Value, status: Value) {
        let mut spec = spec(CANDIDATE);
        spec["retention"] = retention;
        self.stage.shadow("s", spec, status);
    }

    async fn ask(&self, n: usize) {
        assert_eq!(self.stage.ask(&question(&format!("question {n}"))).await.0, 200);
    }

    async fn paired(&self, count: usize) {
        self.stage.collected("s", |pairs| pairs.pairs.len() == count).await;
    }

    /// Words that are kept, once there are so many.
    async fn kept(&self, count: i64) {
        within(async {
            while self.count().await != count {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }

    async fn count(&self) -> i64 {
        self.stage.test.number("SELECT count(*) FROM shadow_content").await
    }

    async fn put(&self, token: &str, report: &Value) -> reqwest::Response {
        let url = format!("http://{}{REPORT}?uid=uid-s", self.stage.gateway.address);
        let request = self.stage.gateway.client.put(url).bearer_auth(token);
        within(request.body(report.to_string()).send()).await.unwrap()
    }

    /// The pairs that the report shows; none if it shows no words.
    async fn examples(&self, token: &str) -> Option<Vec<Value>> {
        let response = self.stage.send(token, Method::GET, REPORT).await;
        assert_eq!(response.status(), StatusCode::OK);
        let report: Value = within(response.json()).await.unwrap();
        assert_eq!(report["pairs"], example()["pairs"]);
        report["content"]["kept"].as_array().cloned()
    }

    async fn expire(&self) {
        self.stage.gateway.gateway.shadows.expire_words().await;
    }
}

/// A report as the operator writes it.
fn example() -> Value {
    let mut report: Value = serde_json::from_str(include_str!("../../../../shadow/examples/report.json")).unwrap();
    report["namespace"] = "ns".into();
    report["name"] = "s".into();
    report["uid"] = "uid-s".into();
    report["content"] = "withheld".into();
    report
}

#[tokio::test]
async fn the_most_different_pairs_are_in_the_report_for_who_may_read_them() {
    let keeping = Keeping::start(json!({"content": "7d", "prompts": true})).await;
    let stage = &keeping.stage;
    for n in (0..25).rev() {
        keeping.ask(n).await;
    }
    keeping.paired(25).await;
    assert!(stage.collect("s", 0).await.keeps_words);
    within(async {
        let few = "SELECT count(*) FROM shadow_content WHERE likeness < 0.65";
        while stage.test.number(few).await != 20 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(keeping.count().await, 20);
    // Before the verdict there is none, and only the operator writes one.
    refused(
        stage.send(AUDITOR, Method::GET, REPORT).await,
        404,
        "shadow_report_not_found",
    )
    .await;
    refused(keeping.put(AUDITOR, &example()).await, 404, "shadow_not_found").await;
    let mut other = example();
    other["uid"] = "another".into();
    refused(keeping.put(OPERATOR, &other).await, 400, "invalid_field").await;
    assert_eq!(keeping.put(OPERATOR, &example()).await.status(), StatusCode::NO_CONTENT);
    keeping.retain(json!({"content": "7d", "prompts": true}), json!({"verdict": "Promote"}));

    let examples = keeping.examples(AUDITOR).await.unwrap();
    // The less alike, the earlier; 20 to 24 were too much alike.
    let questions: Vec<_> = examples.iter().map(|it| it["prompt"].as_str().unwrap()).collect();
    let expected: Vec<_> = (0..20).map(|n| format!("question {n}")).collect();
    assert_eq!(questions, expected);
    assert_eq!(
        (&examples[3]["metric"], &examples[3]["score"]),
        (&json!("RougeL"), &json!(0.1))
    );
    assert!(examples[0]["primary"].as_str().unwrap().starts_with("live0 live1"));
    assert!(examples[0]["candidate"].as_str().unwrap().starts_with("candidate0"));
    let page = stage.send(AUDITOR, Method::GET, PAGE).await;
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    let page = within(page.text()).await.unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("candidate0 candidate1"));
    // Whose words were shown, and to whom, is in the trail.
    assert!(keeping.log.drain(Duration::from_secs(60)).await);
    let shown = "SELECT count(*) FROM audit WHERE kind = 'shown' AND subject = 'jane' AND event ->> 'shadow' = 's'";
    assert_eq!(stage.test.number(shown).await, 2);
    let read = "SELECT count(*) FROM audit WHERE kind = 'opened' AND subject = 'auditor'";
    assert_eq!(stage.test.number(read).await, 2);

    // Others get the numbers alone, or nothing.
    assert_eq!(keeping.examples(READER).await, None);
    let page = within(stage.send(READER, Method::GET, PAGE).await.text())
        .await
        .unwrap();
    assert!(!page.contains("candidate0"));
    refused(stage.send("good", Method::GET, REPORT).await, 404, "shadow_not_found").await;
    refused(stage.send("unknown", Method::GET, PAGE).await, 401, "invalid_api_key").await;
    assert_eq!(stage.test.number(shown).await, 2, "nothing was shown to them");

    // In the database nothing can be read.
    let readable = "SELECT count(*) FROM shadow_content WHERE position('candidate0' IN encode(sealed, 'escape')) > 0";
    assert_eq!(stage.test.number(readable).await, 0);
    let forgotten = stage.send(OPERATOR, Method::DELETE, "/v1/shadows/ns/s?uid=uid-s").await;
    assert_eq!(forgotten.status(), StatusCode::NO_CONTENT);
    for table in ["shadow_content", "shadow_report"] {
        let count = stage.test.number(&format!("SELECT count(*) FROM {table}")).await;
        assert_eq!(count, 0, "{table}");
    }
}

#[tokio::test]
async fn words_are_kept_only_where_the_spec_asks_for_it_and_as_far() {
    let keeping = Keeping::start(Value::Null).await;
    keeping.ask(1).await;
    keeping.paired(1).await;
    keeping.retain(json!({"content": "7d"}), json!({}));
    // What is the same needs no words, and who wants no copies has none.
    keeping.ask(WORDS).await;
    keeping.paired(2).await;
    let request = keeping.stage.gateway.request(Method::POST, "/v1/chat/completions");
    let request = request.header("x-atelier-shadow", "off");
    let request = request.body(question("question 2").to_string());
    assert_eq!(within(request.send()).await.unwrap().status(), 200);
    keeping.stage.until("s", "opted_out", 1).await;
    keeping.ask(3).await;
    keeping.paired(3).await;
    keeping.kept(1).await;
    assert_eq!(keeping.put(OPERATOR, &example()).await.status(), StatusCode::NO_CONTENT);
    let examples = keeping.examples(AUDITOR).await.unwrap();
    assert_eq!((examples.len(), &examples[0]["prompt"]), (1, &json!("")));
    assert_eq!(examples[0]["score"], 0.1);
}

#[tokio::test]
async fn words_expire_are_erased_with_their_users_keys_and_go_when_the_spec_changes() {
    let keeping = Keeping::start(json!({"content": "7d"})).await;
    let test = &keeping.stage.test;
    for n in 1..4 {
        keeping.ask(n).await;
    }
    keeping.paired(3).await;
    keeping.kept(3).await;
    assert_eq!(keeping.put(OPERATOR, &example()).await.status(), StatusCode::NO_CONTENT);
    test.tamper("UPDATE shadow_content SET at = at - interval '8 days' WHERE likeness = (SELECT min(likeness) FROM shadow_content)")
        .await;
    assert_eq!(
        keeping.examples(AUDITOR).await.unwrap().len(),
        2,
        "what is due is not shown"
    );
    keeping.expire().await;
    assert_eq!(keeping.count().await, 2);
    let erased = erase(&test.database, "ns", "jane", "she asked for it").await.unwrap();
    assert_eq!(erased.contents, 2);
    assert_eq!(keeping.examples(AUDITOR).await.unwrap().len(), 0);
    keeping.retain(json!({}), json!({"verdict": "Reject"}));
    keeping.expire().await;
    assert_eq!((keeping.count().await, keeping.examples(AUDITOR).await), (0, None));
}
