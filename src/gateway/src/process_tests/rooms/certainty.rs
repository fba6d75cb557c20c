//! Sentences that their model was not certain of, in Rooms that want to know.

use protocol::rooms::ask::{Answer, Outcome};
use serde_json::{Value, json};

use super::support::{House, Telling, Told, doc, spec};

async fn house(answer: Value) -> House {
    let house = House::build().await;
    let mut spec = spec();
    spec["answer"] = answer;
    house.room("hr", spec);
    house
        .fill("hr", &[doc("fees", &["The deposit is 50 EUR. Cards work."])])
        .await;
    house.let_in("joe", &["ask"], "hr");
    house.models.say("The deposit is 50 EUR [1]. Cards work [1].");
    house
}

const QUESTION: &str = "How much is the deposit, and do cards work?";

async fn ask(house: &House, stream: bool) -> Told {
    let body = json!({"question": QUESTION, "stream": stream});
    house.post("joe", "hr/ask", &body).await
}

fn doubts(words: &[&str]) -> Telling {
    Telling::All(words.iter().map(ToString::to_string).collect())
}

fn wants(detectors: &[&str], ungrounded: &str) -> Value {
    json!({"detectors": detectors, "ungrounded": ungrounded})
}

const ALL: [&str; 3] = ["Citations", "Overlap", "Confidence"];

#[tokio::test]
async fn what_a_model_is_not_certain_of_is_not_shown() {
    let house = house(wants(&ALL, "Refuse")).await;
    house.models.tell(doubts(&[]));
    let answer: Answer = ask(&house, false).await.json();
    assert_eq!(answer.answer.trim(), "The deposit is 50 EUR [1]. Cards work [1].");
    house.models.tell(doubts(&["Cards", "work"]));
    let answer: Answer = ask(&house, false).await.json();
    assert_eq!(
        (answer.outcome, answer.answer.trim(), answer.withheld),
        (Outcome::Answered, "The deposit is 50 EUR [1].", true)
    );
    assert_eq!(answer.unsupported, ["Uncertain"]);
    assert_eq!(house.models.asked.lock().unwrap()[0]["logprobs"], true);
    // What stands in a document was written by no model.
    house.models.tell(doubts(&["The", "deposit", "is", "50", "EUR"]));
    let body = json!({"question": "How much is the deposit?"});
    let answer: Answer = house.post("joe", "hr/ask", &body).await.json();
    assert_eq!((answer.outcome, answer.quoted), (Outcome::Answered, true), "{answer:?}");
    assert_eq!(answer.answer.trim(), "The deposit is 50 EUR [1].");
}

#[tokio::test]
async fn or_it_is_marked() {
    let house = house(wants(&ALL, "Annotate")).await;
    house.models.tell(doubts(&["Cards", "work"]));
    let answer: Answer = ask(&house, false).await.json();
    assert!(answer.answer.contains("Cards work [1]. ⚠"), "{answer:?}");
    assert!(!answer.answer.contains("EUR [1]. ⚠") && answer.unsupported == ["Uncertain"]);
}

#[tokio::test]
async fn a_model_that_does_not_tell_answers_nothing() {
    let house = house(wants(&ALL, "Refuse")).await;
    for telling in [Telling::Nothing, Telling::Refused] {
        house.models.tell(telling);
        let told = ask(&house, false).await;
        told.refused(501, "room_model_unsure");
        assert!(
            told.text.contains("spec.answer.detectors") && told.text.contains("ns/chat"),
            "{}",
            told.text
        );
        assert!(!told.text.contains("50 EUR"));
        let events = ask(&house, true).await;
        assert!(
            events.text.contains("room_model_unsure") && !events.text.contains("50 EUR"),
            "{}",
            events.text
        );
    }
}

#[tokio::test]
async fn nobody_is_asked_for_what_the_room_does_not_want() {
    let house = house(wants(&["Citations", "Overlap"], "Refuse")).await;
    house.models.tell(Telling::Refused);
    let answer: Answer = ask(&house, false).await.json();
    assert_eq!(answer.outcome, Outcome::Answered);
    let asked = house.models.asked.lock().unwrap().clone();
    assert!(asked[0].get("logprobs").is_none(), "{asked:?}");
}
