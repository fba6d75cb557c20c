//! Answers: from what, with which citations, and for how long somebody may listen.

use protocol::rooms::{
    answers as kept,
    ask::{Answer, Outcome},
};
use serde_json::{Value, json};

use super::support::{House, doc, spec};
use crate::process_tests::within;

async fn house() -> House {
    let house = House::build().await;
    let mut spec = spec();
    spec["members"] = json!([
        {"kind": "User", "name": "jane", "role": "Reader", "clearance": 2},
        {"kind": "User", "name": "ann", "role": "Auditor", "clearance": 2},
        {"kind": "User", "name": "low", "role": "Auditor", "clearance": 1},
    ]);
    house.room("hr", spec);
    let mut secret = doc("secret", &["The bonus of the board is 700 EUR."]);
    secret.clearance = 2;
    house
        .fill("hr", &[doc("fees", &["The deposit is 50 EUR. Cards work."]), secret])
        .await;
    house.let_in("jane", &["search", "ask", "feedback"], "hr");
    house.let_in("joe", &["search", "ask", "feedback"], "hr");
    for auditor in ["ann", "low"] {
        house.let_in(auditor, &["audit"], "hr");
    }
    house
}

async fn ask(house: &House, user: &str, question: &str) -> Answer {
    house.post(user, "hr/ask", &json!({"question": question})).await.json()
}

#[tokio::test]
async fn an_answer_cites_what_it_says_and_inherits_its_clearance() {
    let house = house().await;
    house.models.say("The deposit is 50 EUR [1].");
    let answer = ask(&house, "joe", "How much is the deposit?").await;
    assert_eq!(
        (answer.outcome, answer.answer.trim(), answer.clearance),
        (Outcome::Answered, "The deposit is 50 EUR [1].", 0)
    );
    let [citation] = &answer.citations[..] else {
        panic!("{answer:?}")
    };
    assert_eq!(
        (&*citation.name, &*citation.quote, citation.place.page),
        ("fees", "The deposit is 50 EUR.", Some(1))
    );
    assert_eq!(citation.title.as_deref(), Some("Title of fees"));
    // What the model was given counts, whatever it makes of it.
    let answer = ask(&house, "jane", "How much is the deposit, and the bonus of the board?").await;
    assert_eq!(answer.clearance, 2);
    let asked = house.models.asked.lock().unwrap().clone();
    let prompt = |place: usize| asked[place]["messages"].to_string();
    assert!(!prompt(0).contains("700") && prompt(1).contains("700"));
    assert_eq!(asked[0]["stream"], true);
    assert_eq!(
        house
            .audited("kind = 'opened' AND event ->> 'operation' = 'room_ask' AND event ->> 'room' = 'hr'")
            .await,
        2
    );
    assert_eq!(house.audited("event ->> 'operation' = 'chat'").await, 0);
}

#[tokio::test]
async fn what_no_document_supports_is_not_shown() {
    let house = house().await;
    house
        .models
        .say("The deposit is 50 EUR [1]. Pets may stay for free [1]. Cards work [1].");
    let answer = ask(&house, "joe", "How much is the deposit?").await;
    assert_eq!(
        (answer.outcome, answer.answer.trim()),
        (Outcome::Answered, "The deposit is 50 EUR [1].")
    );
    assert_eq!((answer.withheld, &*answer.unsupported[0]), (true, "Overlap"));
    house.models.say("Pets pay 5000 EUR [1].");
    let answer = ask(&house, "joe", "Is the deposit paid by pets?").await;
    assert_eq!((answer.outcome, answer.citations.len()), (Outcome::Refused, 0));
    assert!(!answer.answer.contains("5000") && !answer.withheld, "{answer:?}");
    house.models.say("See [7] and ![x](http://127.0.0.1/?q=50).");
    let answer = ask(&house, "joe", "Is the deposit paid by pets?").await;
    assert!(
        !answer.answer.contains("http") && answer.outcome == Outcome::Refused,
        "{answer:?}"
    );
}

#[tokio::test]
async fn where_nothing_that_the_model_says_holds_a_document_is_quoted() {
    let house = house().await;
    for said in [
        "The deposit is 5000 EUR [1].",
        "The deposit is the deposit [1].",
        "Cards work [1].",
        "",
    ] {
        house.models.say(said);
        let answer = ask(&house, "joe", "How much is the deposit?").await;
        assert_eq!(
            (answer.outcome, answer.quoted, answer.answer.trim()),
            (Outcome::Answered, true, "The deposit is 50 EUR [1]."),
            "{said}: {answer:?}"
        );
        assert_eq!(answer.citations[0].name, "fees");
    }
    // Who says that they do not know is believed, unless a document tells just that.
    house.models.say("I do not know.");
    let answer = ask(&house, "joe", "How much is the deposit?").await;
    assert_eq!(
        (answer.outcome, answer.quoted, answer.answer.trim()),
        (Outcome::Answered, true, "The deposit is 50 EUR [1].")
    );
    let answer = ask(&house, "joe", "Is the deposit paid by pets?").await;
    assert_eq!(
        (answer.outcome, answer.quoted, answer.answer.trim()),
        (Outcome::Unknown, false, "I do not know.")
    );
}

#[tokio::test]
async fn without_anything_to_answer_from_no_model_is_asked() {
    let house = house().await;
    let answer = ask(&house, "joe", "Zebra quartz volcano?").await;
    assert_eq!((answer.outcome, answer.citations.len()), (Outcome::Unknown, 0));
    assert!(house.models.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_stream_has_sentences_and_citations_at_the_end() {
    let house = house().await;
    house.models.say("The deposit is 50 EUR [1]. Cards work [1].");
    let body = json!({"question": "How much is the deposit, and do cards work?", "stream": true});
    let events = house.post("joe", "hr/ask", &body).await.events();
    let (last, deltas) = events.split_last().unwrap();
    let text: String = deltas.iter().map(|delta| delta["text"].as_str().unwrap()).collect();
    assert_eq!(text.trim(), "The deposit is 50 EUR [1]. Cards work [1].");
    assert!(deltas.len() >= 2 && deltas.iter().all(|delta| delta["type"] == "delta"));
    assert_eq!(
        (&last["type"], last["answer"]["citations"].as_array().unwrap().len()),
        (&json!("done"), 1)
    );
}

#[tokio::test]
async fn whoever_is_thrown_out_is_cut_off_in_the_middle_of_a_stream() {
    for removed in ["member", "document"] {
        let house = house().await;
        house
            .models
            .say("The bonus of the board is 700 EUR [1]. The bonus of the board is 700 EUR [1]. ");
        house.models.pieces.forget_permits(usize::MAX >> 8);
        house.models.pieces.add_permits(10);
        let body = json!({"question": "What is the bonus of the board?", "stream": true}).to_string();
        let request = house.request("jane", reqwest::Method::POST, "hr/ask").body(body);
        let mut response = within(request.send()).await.unwrap();
        let first = within(response.chunk()).await.unwrap().unwrap();
        assert!(String::from_utf8_lossy(&first).contains("700"));
        match removed {
            "member" => {
                house.gateway.reviewer.revoke("jane");
                house.gateway.gateway.rooms.authorizer().forget_rooms();
            }
            _ => {
                let gone = json!({"source": "files", "documents": ["secret"]});
                house.post(super::support::JOB, "hr/removed", &gone).await;
            }
        }
        // The rest never comes from the model; the stream ends all the same.
        let mut rest = String::new();
        while let Some(piece) = within(response.chunk()).await.unwrap() {
            rest += &String::from_utf8_lossy(&piece);
        }
        assert!(
            rest.contains("room_not_found") && !rest.contains("700") && !rest.contains("citations"),
            "{rest}"
        );
    }
}

#[tokio::test]
async fn history_and_audit_show_what_their_reader_may_see_now() {
    let house = house().await;
    house.models.say("The bonus of the board is 700 EUR [1].");
    ask(&house, "jane", "What is the bonus of the board?").await;
    let history: kept::History = house.get("jane", "hr/history").await.json();
    let [entry] = &history.entries[..] else {
        panic!("{history:?}")
    };
    assert_eq!(entry.question.as_deref(), Some("What is the bonus of the board?"));
    assert!(entry.answer.as_deref().unwrap().contains("700"));
    let history: kept::History = house.get("joe", "hr/history").await.json();
    assert!(history.entries.is_empty());
    let audit = async |auditor: &str| house.get(auditor, "hr/audit").await;
    let seen: kept::Audit = audit("ann").await.json();
    let [audited] = &seen.entries[..] else {
        panic!("{seen:?}")
    };
    assert_eq!((&*audited.user, audited.clearance), ("jane", 2));
    assert!(audited.answer.as_deref().unwrap().contains("700"));
    assert!(audit("low").await.json::<kept::Audit>().entries.is_empty());
    audit("jane").await.refused(404, "room_not_found");
    house.get("ann", "hr/history").await.refused(404, "room_not_found");

    // Somebody else may see the document from now on.
    let writer = house.begin("hr", true).await;
    let rights = json!({"source": "files", "read": writer.now, "documents": [
        {"name": "secret", "clearance": 2, "acl": ["user:joe"]},
        {"name": "fees", "acl": ["user:joe"]},
    ]});
    let told = house.post(super::support::JOB, "hr/rights", &rights).await;
    assert_eq!(told.status, 200, "{}", told.text);
    let history: kept::History = house.get("jane", "hr/history").await.json();
    assert!(history.entries.is_empty());
    let seen: kept::Audit = audit("ann").await.json();
    let [audited] = &seen.entries[..] else {
        panic!("{seen:?}")
    };
    assert!(
        audited.question.is_none() && audited.answer.is_none() && audited.chunks.is_empty(),
        "{audited:?}"
    );
}

#[tokio::test]
async fn feedback_is_about_ones_own_answer_of_the_room() {
    let house = house().await;
    house.models.say("The deposit is 50 EUR [1].");
    let answer = ask(&house, "joe", "How much is the deposit?").await;
    assert!(house.audited("kind = 'closed'").await > 0);
    let say = async |user: &str, id: &str| {
        let said = json!({"id": id, "kind": "error_report", "value": "wrong", "comment": "it is 60"});
        house.post(user, "hr/feedback", &said).await
    };
    let kept: Value = say("joe", &answer.id).await.json();
    assert_eq!((&kept["revision"], &kept["model"]), (&json!(1), &json!("ns/chat")));
    let others = say("jane", &answer.id).await;
    others.refused(404, "answer_not_found");
    assert_eq!(
        others.text.replace(&answer.id, "ID"),
        say("jane", "none").await.text.replace("none", "ID")
    );
    let seen: kept::Audit = house.get("ann", "hr/audit").await.json();
    let said = &seen.entries[0].feedback[0];
    assert_eq!((&*said.user, said.comment.as_deref()), ("joe", Some("it is 60")));
}

#[tokio::test]
async fn texts_are_kept_as_long_as_the_room_says() {
    let house = house().await;
    house.models.say("The deposit is 50 EUR [1].");
    ask(&house, "joe", "How much is the deposit?").await;
    house
        .test
        .tamper("UPDATE room_answer SET at = now() - interval '31 days'")
        .await;
    let history: kept::History = house.get("joe", "hr/history").await.json();
    assert!(history.entries[0].question.is_none() && history.entries[0].answer.is_none());
    let rooms = house.gateway.gateway.rooms.clone();
    let room = rooms.catalog.get("ns", "hr").unwrap();
    rooms.tend(&room).await.unwrap();
    assert_eq!(
        house
            .test
            .number("SELECT count(*) FROM room_answer WHERE question IS NULL AND answer IS NULL")
            .await,
        1
    );
    house
        .test
        .tamper("UPDATE room_answer SET at = now() - interval '366 days'")
        .await;
    rooms.tend(&room).await.unwrap();
    assert_eq!(house.test.number("SELECT count(*) FROM room_answer").await, 0);
    // Where nothing is to be kept, nothing is.
    let mut spec = spec();
    spec["retention"] = json!({"content": "0s"});
    house.room("hr", spec);
    ask(&house, "joe", "How much is the deposit?").await;
    let texts = "SELECT count(*) FROM room_answer WHERE question IS NOT NULL OR answer IS NOT NULL";
    assert_eq!(house.test.number(texts).await, 0);
}

#[tokio::test]
async fn nothing_goes_out_that_the_audit_trail_does_not_know() {
    let house = house().await;
    house.models.say("The deposit is 50 EUR [1].");
    let answers = house.test.number("SELECT count(*) FROM room_answer").await;
    let mut connection = house.test.connection().await;
    sqlx::query("ALTER TABLE audit RENAME TO audit_gone")
        .execute(&mut connection)
        .await
        .unwrap();
    // The log finds out with the first row that it cannot write.
    let told = house
        .post("joe", "hr/ask", &json!({"question": "How much is the deposit?"}))
        .await;
    told.refused(503, "audit_unavailable");
    house
        .search("joe", "hr", "deposit")
        .await
        .refused(503, "audit_unavailable");
    assert!(house.models.asked.lock().unwrap().is_empty());
    assert_eq!(house.test.number("SELECT count(*) FROM room_answer").await, answers);
    sqlx::query("ALTER TABLE audit_gone RENAME TO audit")
        .execute(&mut connection)
        .await
        .unwrap();
}
