//! Feedback: whose it is, and what it is tied to.

use futures::future::join_all;
use store::{
    Database,
    feedback::{Feedback, Kept, give},
    testing::{Postgres, TestDatabase},
};

use super::{ask, check, drained, ready, strict, within};

fn thumb(value: &str) -> Feedback {
    Feedback {
        kind: "thumbs".into(),
        value: value.into(),
        comment: None,
    }
}

async fn say(database: &Database, author: &str, id: &str, feedback: &Feedback) -> Option<Kept> {
    within(give(database, author, id, feedback)).await.unwrap()
}

/// `jane` got the answer to `r`, by version `v-1` with adapter `lora`.
async fn answered() -> TestDatabase {
    let test = Postgres::shared().database().await;
    let log = ready(&test.database, strict()).await;
    ask(&log, "r").await.unwrap();
    drained(&log).await;
    test
}

const ROWS: &str = "SELECT count(*) FROM feedback";

#[tokio::test]
async fn feedback_is_tied_to_what_answered() {
    let test = answered().await;
    // By the request's id, and by the answer's own.
    for id in ["r", "chatcmpl-r"] {
        let kept = say(&test.database, "jane", id, &thumb("up")).await.unwrap();
        assert_eq!(kept.revision, 1);
        assert_eq!(kept.answer.request, "r");
        assert_eq!((&*kept.answer.namespace, &*kept.answer.model), ("ns", "m"));
        assert_eq!(kept.answer.adapter.as_deref(), Some("lora"));
        assert_eq!(kept.answer.version.as_deref(), Some("v-1"));
    }
    assert_eq!(test.number(ROWS).await, 1, "the same is said once");
}

#[tokio::test]
async fn strangers_know_of_no_answer() {
    let test = answered().await;
    for (author, id) in [("joe", "r"), ("joe", "chatcmpl-r"), ("jane", "none"), ("joe", "none")] {
        assert_eq!(
            say(&test.database, author, id, &thumb("up")).await,
            None,
            "{author} {id}"
        );
    }
    assert_eq!(test.number(ROWS).await, 0);
}

#[tokio::test]
async fn a_changed_mind_overwrites_nothing() {
    let test = answered().await;
    for (value, revision) in [("up", 1), ("down", 2), ("down", 2), ("up", 3)] {
        let kept = say(&test.database, "jane", "r", &thumb(value)).await.unwrap();
        assert_eq!(kept.revision, revision);
    }
    let rating = Feedback {
        kind: "rating".into(),
        value: "4".into(),
        comment: Some("good".into()),
    };
    assert_eq!(say(&test.database, "jane", "r", &rating).await.unwrap().revision, 1);
    assert_eq!(test.number(ROWS).await, 4);
    assert!(check(&test.database).await.is_sound());
}

#[tokio::test]
async fn the_same_said_at_many_replicas_at_once_is_said_once() {
    let test = answered().await;
    let up = thumb("up");
    let said = join_all((0..16).map(|_| say(&test.database, "jane", "r", &up))).await;
    assert!(said.iter().flatten().all(|kept| kept.revision == 1));
    assert_eq!((said.len(), test.number(ROWS).await), (16, 1));
}

#[tokio::test]
async fn the_last_of_requests_with_the_same_id_is_meant() {
    let test = answered().await;
    let log = ready(&test.database, strict()).await;
    let first = say(&test.database, "jane", "r", &thumb("up")).await.unwrap();
    ask(&log, "r").await.unwrap();
    drained(&log).await;
    let second = say(&test.database, "jane", "r", &thumb("up")).await.unwrap();
    assert_ne!(first.answer.place, second.answer.place);
    assert_eq!(test.number(ROWS).await, 2);
}
