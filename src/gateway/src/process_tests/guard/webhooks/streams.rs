//! Answers that come in pieces.

use super::super::streams::{DONE, Streamer, chunk, content, events};
use super::*;

const WORD: &str = "zażółć gęślą jaźń";

/// A long text with `WORD` in two places, in pieces that cut it anywhere.
fn pieces(length: usize) -> (String, Vec<String>) {
    let filler = "A sentence about nothing, said again and again. ".repeat(30);
    let text = format!("{filler}{WORD} {filler}{WORD}.");
    let chars: Vec<char> = text.chars().collect();
    let pieces = chars.chunks(length).map(|piece| piece.iter().collect());
    (text, pieces.collect())
}

fn told(pieces: &[String]) -> Vec<String> {
    let chunks = pieces.iter().map(|piece| chunk(0, json!({"content": piece}), None));
    let end = [chunk(0, json!({}), Some("stop")), DONE.into()];
    chunks.chain(end).collect()
}

#[tokio::test]
async fn what_it_finds_is_replaced_wherever_it_is_cut() {
    let streamer = Streamer::start().await;
    let judge = Judge::finding(WORD, "redact").await;
    let gateway = gateway(&streamer.worker, judge.guardrails("output")).await;
    for length in [1, 7, 500, 10_000] {
        let (text, pieces) = pieces(length);
        streamer.says(told(&pieces));
        let events = events(&gateway, json!({})).await;
        assert_eq!(content(&events, 0), text.replace(WORD, "[WORD]"), "pieces of {length}");
        let last = events.last().unwrap();
        assert_eq!(last["choices"][0]["finish_reason"], "stop");
        assert_eq!(last["atelier"]["guardrails"][0]["found"], json!({"WORD": 2}));
        // No more than the window and a piece is shown at once, and the last time it says so.
        let asked: Vec<_> = judge.asked.lock().unwrap().drain(..).collect();
        let window = |question: &Value| question["texts"][0]["text"].as_str().unwrap().chars().count();
        assert!(
            asked.iter().all(|(_, question)| window(question) <= 768 + length),
            "pieces of {length}"
        );
        let finals: Vec<_> = asked
            .iter()
            .map(|(_, question)| question["final"].as_bool().unwrap())
            .collect();
        let (last, before) = finals.split_last().unwrap();
        assert!(*last && !before.contains(&true), "{finals:?}");
        assert_eq!(before.len() > 2, length < 1000, "{finals:?}");
    }
}

#[tokio::test]
async fn what_it_refuses_ends_the_stream_before_it_is_told() {
    let streamer = Streamer::start().await;
    let judge = Judge::finding(WORD, "refuse").await;
    let gateway = gateway(&streamer.worker, judge.guardrails("output")).await;
    let (text, pieces) = pieces(40);
    streamer.says(told(&pieces));
    let events = events(&gateway, json!({})).await;
    let content = content(&events, 0);
    assert!(
        text.starts_with(&content) && !content.is_empty() && !content.contains("zaż"),
        "{content}"
    );
    let last = events.last().unwrap();
    assert_eq!(last["choices"][0]["finish_reason"], "content_filter");
    assert_eq!(last["atelier"]["guardrails"][0]["action"], "refuse");
    assert_eq!(violations(&gateway, "ours", "refuse"), 1);
}

#[tokio::test]
async fn without_a_verdict_a_stream_ends_with_an_error() {
    let streamer = Streamer::start().await;
    let (text, pieces) = pieces(40);
    streamer.says(told(&pieces));
    for policy in ["Fail", "Ignore"] {
        let judge = Judge::start(async |question| {
            let text = question["texts"][0]["text"].as_str().unwrap();
            let verdict = if text.contains(WORD) { "?" } else { "allow" };
            said(&json!({"verdict": verdict}))
        });
        let judge = judge.await;
        let mut guardrails = judge.guardrails("output");
        guardrails["output"][0]["webhook"]["failurePolicy"] = policy.into();
        let gateway = gateway(&streamer.worker, guardrails).await;
        if policy == "Ignore" {
            assert_eq!(content(&events(&gateway, json!({})).await, 0), text);
            continue;
        }
        let mut body = chat("hello");
        body["stream"] = true.into();
        let response = within(gateway.chat(&body.to_string())).await;
        let told = within(response.text()).await.unwrap();
        let (events, error) = told.split_once("event: error\n").unwrap();
        assert!(
            error.contains("guardrail_unavailable") && error.contains("ours"),
            "{error}"
        );
        assert!(events.contains("A sentence") && !events.contains("zaż"), "{events}");
        assert!(verdicts(&gateway, "nonsense") > 0);
    }
}

#[tokio::test]
async fn texts_of_a_choice_are_judged_together_and_choices_apart() {
    let streamer = Streamer::start().await;
    let judge = Judge::finding("bad", "refuse").await;
    let gateway = gateway(&streamer.worker, judge.guardrails("output")).await;
    let call = json!({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "{\"x\":\"bad\"}"}}]});
    streamer.says([
        chunk(0, json!({"role": "assistant", "content": "well"}), None),
        chunk(1, json!({"role": "assistant", "content": "fine"}), None),
        chunk(0, call, None),
        chunk(0, json!({}), Some("tool_calls")),
        chunk(1, json!({}), Some("stop")),
        DONE.into(),
    ]);
    let events = events(&gateway, json!({"n": 2})).await;
    assert_eq!(
        (content(&events, 0), content(&events, 1)),
        (String::new(), "fine".into())
    );
    let told = events.iter().map(Value::to_string).collect::<String>();
    assert!(!told.contains("bad"), "{told}");
    let questions = judge.asked();
    let texts = |at: usize| questions[at].1["texts"].as_array().unwrap().len();
    assert_eq!((questions.len(), texts(0), texts(1)), (2, 2, 1));
}
