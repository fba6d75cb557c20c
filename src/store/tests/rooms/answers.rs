//! Answers inherit the clearance of what they were made of, and what is said about them does, too.

use std::time::Duration;

use rooms::{Acl, Clearance, Verb};
use serde_json::json;
use store::audit::{Draft, Kind, Log, Mode, Place, Settings, content};
use store::feedback::{Feedback, give};
use store::rooms::{
    Error, FromDatabase, Kept, Text, asked, erase_answers, expire_answers, finish_answer, keep_answer, keep_databases,
    load, said, texts,
};

use super::support::{Room, doc, grant_to, open_doc, room, visible, within};

/// What jane gets to see for an answer.
async fn context(room: &Room, clearance: u8) -> Vec<Text> {
    let grant = room.grant(Verb::Ask, clearance);
    let loaded = load(room.database(), &grant).await.unwrap().unwrap();
    let hits = visible(&loaded.index, &grant);
    texts(room.database(), &grant, 1, Some(loaded.head.revision), &hits)
        .await
        .unwrap()
}

/// Opens a request of jane's in the audit trail.
async fn opened(room: &Room, request: &str) -> Place {
    let settings = Settings {
        mode: Mode::Strict,
        capacity: 64,
        patience: Duration::from_secs(30),
        vault: None,
    };
    let log = Log::start(room.database().clone(), settings).unwrap();
    within(async {
        while !log.stats().up {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let event = json!({"namespace": "ns", "model": "m"});
    let (opened, committed) = log.open(Draft::new(Kind::Opened, request, "jane", &event)).unwrap();
    within(committed.wait()).await.unwrap();
    let place = opened.place().clone();
    opened.close(Draft::new(Kind::Closed, request, "jane", &json!({"opened": place.seq})));
    assert!(log.drain(Duration::from_secs(60)).await);
    place
}

#[tokio::test]
async fn what_is_said_needs_the_clearance_of_the_answer() {
    let room = room().await;
    let database = room.database();
    room.fill(&[open_doc("a", &["a"]), doc("b", &["b"], 3, Acl::everyone())])
        .await;
    for (request, clearance) in [("low", 0), ("high", 3)] {
        let place = opened(&room, request).await;
        let context = context(&room, clearance).await;
        let kept = keep_answer(
            database,
            &room.grant(Verb::Ask, clearance),
            &place,
            1,
            &context,
            Kept::default(),
        )
        .await
        .unwrap();
        assert_eq!(kept, Clearance(clearance));
        for value in ["up", "down"] {
            let feedback = Feedback {
                kind: "thumbs".into(),
                value: value.into(),
                comment: Some(format!("about {request}")),
            };
            give(database, "jane", request, &feedback).await.unwrap().unwrap();
        }
    }
    let auditor = |clearance| grant_to(&room.key, Verb::Audit, "ann", &[], clearance);
    for (clearance, comments) in [
        (0, &["about low"][..]),
        (2, &["about low"]),
        (3, &["about high", "about low"]),
    ] {
        let (mut all, next) = said(database, &auditor(clearance), None).await.unwrap();
        all.sort_by(|a, b| a.comment.cmp(&b.comment));
        let found: Vec<_> = all.iter().map(|said| said.comment.as_deref().unwrap()).collect();
        assert_eq!((&*found, next), (comments, None));
        assert!(
            all.iter()
                .all(|said| said.value == "down" && said.author == "jane" && said.generation == 1)
        );
    }
    let (all, _) = said(database, &auditor(3), None).await.unwrap();
    let last = all.last().map(|said| said.place.clone());
    assert!(said(database, &auditor(3), last.as_ref()).await.unwrap().0.is_empty());

    // Another turn with more of it: it stays as high as it was.
    let low = opened(&room, "turns").await;
    let grant = room.grant(Verb::Ask, 3);
    keep_answer(database, &grant, &low, 1, &context(&room, 3).await, Kept::default())
        .await
        .unwrap();
    keep_answer(database, &grant, &low, 1, &context(&room, 0).await, Kept::default())
        .await
        .unwrap();
    let highest = "SELECT max(clearance)::bigint FROM room_answer WHERE cardinality(chunks) = 3";
    assert_eq!(room.test.number(highest).await, 3);

    room.test
        .tamper("UPDATE room_answer SET at = now() - interval '31 days' WHERE clearance = 0")
        .await;
    let month = Duration::from_secs(30 * 24 * 3600);
    assert_eq!(
        expire_answers(database, &room.ingest(), month, month)
            .await
            .unwrap()
            .answers,
        1
    );
    assert_eq!(said(database, &auditor(3), None).await.unwrap().0.len(), 1);
}

#[tokio::test]
async fn who_is_erased_has_asked_nothing_that_can_be_read() {
    let room = room().await;
    room.fill(&[doc("a", &["a"], 0, Acl::everyone())]).await;
    let database = room.database();
    let context = context(&room, 0).await;
    for (user, seq) in [("jane", 1), ("jane", 2), ("joe", 3)] {
        let place = Place { chain: "c".into(), seq };
        let grant = grant_to(&room.key, Verb::Ask, user, &[], 3);
        let kept = Kept {
            question: Some("why?"),
            ..Kept::default()
        };
        keep_answer(database, &grant, &place, 1, &context, kept).await.unwrap();
        finish_answer(database, &grant, &place, Some("because"), "answered")
            .await
            .unwrap();
    }
    assert_eq!(erase_answers(database, "elsewhere", "jane").await.unwrap(), 0);
    let erased = content::erase(database, &room.key.namespace, "jane", "request 4711").await;
    assert_eq!(erased.unwrap().room_answers, 2);
    let evidence = "SELECT count(*) FROM audit WHERE kind = 'erased' AND event ->> 'room_answers' = '2'";
    assert_eq!(room.test.number(evidence).await, 1);
    let left = "SELECT count(*) FROM room_answer WHERE question IS NOT NULL OR answer IS NOT NULL";
    assert_eq!(room.test.number(left).await, 1);
    assert_eq!(room.test.number("SELECT count(*) FROM room_answer").await, 3);
    // A second time there is nothing left.
    assert_eq!(erase_answers(database, &room.key.namespace, "jane").await.unwrap(), 0);
}

#[tokio::test]
async fn a_context_that_the_asker_does_not_see_is_refused() {
    let room = room().await;
    room.fill(&[doc("b", &["b"], 3, Acl::everyone())]).await;
    let context = context(&room, 3).await;
    let place = Place {
        chain: "c".into(),
        seq: 1,
    };
    let refused = keep_answer(
        room.database(),
        &room.grant(Verb::Ask, 2),
        &place,
        1,
        &context,
        Kept::default(),
    )
    .await;
    assert!(matches!(refused, Err(Error::Disagreement(_))), "{refused:?}");
    assert_eq!(room.test.number("SELECT count(*) FROM room_answer").await, 0);
}

#[tokio::test]
async fn an_answer_of_databases_needs_what_they_need_then_and_later() {
    let room = room().await;
    let database = room.database();
    room.fill(&[open_doc("a", &["a"])]).await;
    let place = Place {
        chain: "c".into(),
        seq: 1,
    };
    let ledger = [FromDatabase {
        source: "ledger".into(),
        clearance: Clearance(2),
        statement: Some("SELECT 1".into()),
    }];
    let kept = Kept {
        request: "r",
        question: Some("q"),
        databases: &ledger,
    };
    let refused = keep_answer(database, &room.grant(Verb::Ask, 1), &place, 1, &[], kept).await;
    assert!(matches!(refused, Err(Error::Disagreement(_))), "{refused:?}");
    let grant = room.grant(Verb::Ask, 2);
    let clearance = keep_answer(database, &grant, &place, 1, &[], kept).await.unwrap();
    assert_eq!(clearance, Clearance(2));
    let seen = async |clearance| {
        asked(database, &room.grant(Verb::Ask, clearance), None, 9)
            .await
            .unwrap()
    };
    assert_eq!(seen(2).await[0].statements, ["SELECT 1"]);
    assert!(seen(1).await.is_empty());
    // The spec says that it needs more now.
    let keep =
        async |databases: &[(&str, Clearance)]| keep_databases(database, &room.ingest(), databases).await.unwrap();
    keep(&[("other", Clearance(9)), ("ledger", Clearance(3))]).await;
    assert!(seen(2).await.is_empty());
    assert_eq!(seen(3).await[0].question.as_deref(), Some("q"));
    // It needs less again, which says nothing of what was answered.
    keep(&[("ledger", Clearance(0))]).await;
    assert!(seen(2).await.is_empty());
    // It is none of the Room's any more.
    keep(&[("other", Clearance(0))]).await;
    let [left] = &seen(3).await[..] else {
        panic!("one is left")
    };
    assert_eq!((left.question.as_ref(), left.statements.len()), (None, 0));
}
