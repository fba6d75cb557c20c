//! Whatever is wrong with a candidate or with the database, whoever asks gets the same answer.

use std::{convert::Infallible, time::Duration};

use axum::{
    body::Body,
    http::{Response, StatusCode, header},
};
use bytes::Bytes;
use futures::{StreamExt, stream};
use reqwest::Method;
use rstest::rstest;
use serde_json::json;
use sqlx::Connection as _;
use store::testing::Postgres;

use super::{
    super::{refused, within},
    support::{self, CANDIDATE, OPERATOR, Stage, copied, events, question, says, spec},
};
use crate::testing::Worker;

/// A stream without end.
fn endless() -> Response<Body> {
    let event = Bytes::from("data: {\"choices\":[{\"delta\":{\"content\":\"again \"}}]}\n\n");
    let events = stream::repeat(event).then(|event| async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ok::<_, Infallible>(event)
    });
    Response::builder()
        .header(header::CONTENT_TYPE, "text/event-stream")
        .body(Body::from_stream(events))
        .unwrap()
}

/// A body that never begins.
fn silent() -> Response<Body> {
    let silence = stream::pending::<Result<Bytes, Infallible>>();
    Response::builder()
        .header(header::CONTENT_TYPE, "text/event-stream")
        .body(Body::from_stream(silence))
        .unwrap()
}

async fn failing(how: &str) -> Worker {
    match how {
        "dead" => {
            let worker = Worker::start(silent).await;
            worker.kill();
            worker
        }
        "silent" => Worker::start(silent).await,
        "endless" => Worker::start(endless).await,
        "broken" => Worker::answering(StatusCode::OK, "text/event-stream", "data: {\"choices\":[]}\n\n").await,
        "html" => Worker::answering(StatusCode::OK, "text/html", "<html>").await,
        _ => Worker::answering(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "no").await,
    }
}

#[rstest]
#[case("dead")]
#[case("silent")]
#[case("endless")]
#[case("broken")]
#[case("html")]
#[case("always 500")]
#[tokio::test]
async fn a_candidate_that_fails_changes_no_answer_and_is_counted(#[case] how: &str) {
    let live = Worker::reading(says(&["The ", "sum ", "is ", "five."])).await;
    let candidate = failing(how).await;
    let stage = Stage::start(&live, &candidate, |_| {}).await;
    let mut spec = spec(CANDIDATE);
    spec["limits"] = json!({"timeout": "500ms"});
    stage.shadow("s", spec, json!({}));
    let mut body = question("2 + 3?");
    body["stream"] = true.into();
    for _ in 0..3 {
        // It ends while the candidate is still silent: nobody waits for it.
        let (status, text) = stage.ask(&body).await;
        assert_eq!((status, text), (200, events(&["The ", "sum ", "is ", "five."])));
    }
    let pairs = stage.collected("s", |pairs| pairs.pairs.len() == 3).await;
    for pair in &pairs.pairs {
        assert_eq!(
            (pair.scores["Errors"].primary, pair.scores["Errors"].candidate),
            (Some(0.0), 1.0)
        );
        assert_eq!(pair.scores["TTFT"].candidate, 0.5, "as long as it may");
        assert_eq!(pair.scores["RougeL"].candidate, 0.0);
    }
    assert_eq!(stage.copies("s", "failed"), 3);
    // It was asked once for each.
    assert!(copied(&candidate).len() <= 3);
}

#[tokio::test]
async fn a_live_answer_does_not_wait_for_its_copy() {
    let (live, pieces) = Worker::streaming("text/event-stream").await;
    let candidate = Worker::start(silent).await;
    let stage = Stage::set(&live, &candidate).await;
    let mut body = question("2 + 3?");
    body["stream"] = true.into();
    let body = body.to_string();
    let mut answer = within(stage.gateway.chat(&body)).await;
    let words: Vec<_> = events(&["a ", "b"])
        .split_inclusive("\n\n")
        .map(str::to_owned)
        .collect();
    // Each piece arrives while the candidate says nothing.
    for word in &words {
        pieces.send(Bytes::from(word.clone())).await.unwrap();
        assert_eq!(within(answer.chunk()).await.unwrap().unwrap(), word.as_bytes());
    }
    drop(pieces);
    assert_eq!(within(answer.chunk()).await.unwrap(), None);
    assert_eq!(stage.copies("s", "paired"), 0);
}

#[tokio::test]
async fn a_full_queue_drops_copies_and_delays_nobody() {
    let live = Worker::reading(says(&["five"])).await;
    let candidate = Worker::start(silent).await;
    let stage = Stage::start(&live, &candidate, |_| {}).await;
    let mut spec = spec(CANDIDATE);
    spec["limits"] = json!({"timeout": "1h", "queue": 2});
    stage.shadow("s", spec, json!({}));
    // Some are under way and two wait; the rest finds no room.
    for i in 0..40 {
        assert_eq!(stage.ask(&question(&format!("{i}"))).await.0, 200);
    }
    let pairs = stage.collected("s", |pairs| pairs.dropped.contains_key("queue")).await;
    assert!(pairs.pairs.is_empty());
    let dropped = pairs.dropped["queue"];
    assert!((20..=38).contains(&dropped), "{dropped}");
    // Who waits when the comparison ends is told apart.
    stage.shadow("s", support::spec(CANDIDATE), json!({"verdict": "Reject"}));
    stage.until("s", "stopped", 2).await;
}

#[tokio::test]
async fn a_candidate_that_was_never_ready_is_waited_for_and_one_that_is_gone_has_failed() {
    let live = Worker::reading(says(&["five"])).await;
    let candidate = Worker::reading(says(&["six"])).await;
    let stage = Stage::set(&live, &candidate).await;
    stage.gateway.set_workers("m", CANDIDATE, &[]);
    assert_eq!(stage.ask(&question("1")).await.0, 200);
    stage.until("s", "not_ready", 1).await;
    stage.gateway.set_workers("m", CANDIDATE, &[candidate.address]);
    assert_eq!(stage.ask(&question("2")).await.0, 200);
    stage.until("s", "paired", 1).await;
    stage.gateway.set_workers("m", CANDIDATE, &[]);
    assert_eq!(stage.ask(&question("3")).await.0, 200);
    stage.until("s", "failed", 1).await;
}

#[tokio::test]
async fn who_leaves_early_gives_no_pair() {
    let (live, pieces) = Worker::streaming("text/event-stream").await;
    let candidate = Worker::reading(says(&["six"])).await;
    let stage = Stage::set(&live, &candidate).await;
    let mut body = question("2 + 3?");
    body["stream"] = true.into();
    let mut answer = within(stage.gateway.chat(&body.to_string())).await;
    let first = Bytes::from("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n");
    pieces.send(first.clone()).await.unwrap();
    assert_eq!(within(answer.chunk()).await.unwrap().unwrap(), first);
    drop(answer);
    let pairs = stage
        .collected("s", |pairs| pairs.dropped.contains_key("abandoned"))
        .await;
    assert_eq!((pairs.pairs.len(), pairs.dropped["abandoned"]), (0, 1));
    drop(pieces);
}

#[tokio::test]
async fn a_live_answer_that_fails_is_a_pair_of_its_own_kind() {
    let live = Worker::answering(StatusCode::INTERNAL_SERVER_ERROR, "application/json", "{}").await;
    let candidate = Worker::reading(says(&["six"])).await;
    let stage = Stage::set(&live, &candidate).await;
    assert_eq!(stage.ask(&question("2 + 3?")).await.0, 500);
    let pairs = stage.collected("s", |pairs| pairs.pairs.len() == 1).await;
    let scores = &pairs.pairs[0].scores;
    assert_eq!((scores["Errors"].primary, scores["Errors"].candidate), (Some(1.0), 0.0));
    assert_eq!(scores.len(), 1, "there is nothing else to compare");
}

#[tokio::test]
async fn without_the_database_nothing_is_copied_and_nobody_notices() {
    let live = Worker::reading(says(&["five"])).await;
    let candidate = Worker::reading(says(&["six"])).await;
    let stage = Stage::set(&live, &candidate).await;
    assert_eq!(stage.ask(&question("1")).await.0, 200);
    stage.until("s", "paired", 1).await;
    // It refuses everybody from now on.
    let name = stage.test.name.clone();
    let admin = Postgres::shared();
    let close = |is_open: bool| {
        let name = name.clone();
        async move {
            let mut connection = sqlx::PgConnection::connect(&admin.url("postgres")).await.unwrap();
            for statement in [
                format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS {is_open}"),
                format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"),
            ] {
                sqlx::query(sqlx::AssertSqlSafe(statement))
                    .execute(&mut connection)
                    .await
                    .unwrap();
            }
        }
    };
    close(false).await;
    for i in 0..5 {
        let (status, _) = stage.ask(&question(&format!("while it is gone {i}"))).await;
        assert_eq!(status, 200);
    }
    stage.until("s", "database", 5).await;
    assert_eq!(
        copied(&candidate).len(),
        1,
        "what could be lost without a trace is not sent"
    );
    refused(
        stage
            .send(OPERATOR, Method::GET, "/v1/shadows/ns/s/pairs?uid=uid-s")
            .await,
        503,
        "shadows_unavailable",
    )
    .await;
    close(true).await;
    let pairs = stage
        .collected("s", |pairs| pairs.dropped.get("database") == Some(&5))
        .await;
    assert_eq!(pairs.pairs.len(), 1);
}
