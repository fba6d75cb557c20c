//! Texts on their way to the model, and whole answers.

use axum::http::StatusCode;

use super::*;

const WORD: &str = "zażółć";

async fn answering() -> Worker {
    Worker::answering(StatusCode::OK, "application/json", "{\"choices\":[]}").await
}

#[tokio::test]
async fn a_webhook_hears_all_it_needs_and_nothing_of_the_caller() {
    let (worker, judge) = (answering().await, Judge::finding(WORD, "refuse").await);
    let gateway = gateway(&worker, judge.guardrails("input")).await;
    let body = json!({"model": "m", "user": "jane@example.com", "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]},
    ]});
    let sent = gateway.request(reqwest::Method::POST, "/v1/chat/completions");
    let sent = sent.header("x-request-id", "r1").body(body.to_string()).send();
    assert_eq!(within(sent).await.unwrap().status(), 200);
    assert_eq!(worker.received()[0].body, body.to_string());
    let [(headers, question)] = &judge.asked()[..] else {
        panic!("{:?}", judge.asked())
    };
    let expected = json!({
        "version": "v1", "id": "r1", "model": "ns/m", "operation": "chat", "check": "ours", "direction": "input",
        "final": true, "texts": [
            {"text": "Be brief.", "trusted": true},
            {"text": "one", "trusted": false},
            {"text": "two", "trusted": false},
        ],
    });
    assert_eq!(*question, expected);
    assert_eq!(headers["content-type"], "application/json");
    for header in ["authorization", "cookie", "traceparent"] {
        assert!(!headers.contains_key(header), "{header}");
    }
    assert_eq!(verdicts(&gateway, "allow"), 1);
    gateway.metrics.forget(&model("ns", "m"));
    assert_eq!(verdicts(&gateway, "allow"), 0);
}

#[tokio::test]
async fn what_it_refuses_reaches_nobody() {
    let (worker, judge) = (answering().await, Judge::finding(WORD, "refuse").await);
    let gateway = gateway(&worker, judge.guardrails("input")).await;
    let response = within(gateway.chat(&chat(format!("so {WORD}")).to_string())).await;
    let message = refused(response, 400, "guardrail_violation").await;
    assert!(message.contains("\"ours\"") && !message.contains(WORD), "{message}");
    assert!(worker.received().is_empty());
    assert_eq!(
        (verdicts(&gateway, "refuse"), violations(&gateway, "ours", "refuse")),
        (1, 1)
    );
}

#[tokio::test]
async fn what_it_redacts_is_replaced_and_the_rest_stays() {
    let (worker, judge) = (answering().await, Judge::finding(WORD, "redact").await);
    let gateway = gateway(&worker, judge.guardrails("input")).await;
    let body = json!({"model": "m", "temperature": 0.5, "messages": [
        {"role": "system", "content": "fine"},
        {"role": "user", "content": format!("é{WORD}{WORD}!")},
    ]});
    let response = within(gateway.chat(&body.to_string())).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-atelier-guardrails"], "input.ours");
    let received: Value = serde_json::from_str(&worker.received()[0].body).unwrap();
    let mut expected = body;
    expected["messages"][1]["content"] = "é[WORD][WORD]!".into();
    assert_eq!(received, expected);
    assert_eq!(violations(&gateway, "ours", "redact"), 1);
}

#[tokio::test]
async fn what_it_annotates_passes_byte_for_byte() {
    let (worker, judge) = (answering().await, Judge::finding(WORD, "annotate").await);
    let gateway = gateway(&worker, judge.guardrails("input")).await;
    let body = format!("{{ \"model\":\"m\",  \"messages\": [{{\"role\":\"user\",\"content\":\"{WORD}\"}}] }}");
    let response = within(gateway.chat(&body)).await;
    assert_eq!(response.headers()["x-atelier-guardrails"], "input.ours");
    assert_eq!(worker.received()[0].body, body);
}

#[tokio::test]
async fn it_sees_what_the_other_checks_have_left() {
    let (worker, judge) = (answering().await, Judge::finding("[EMAIL]", "redact").await);
    let mut guardrails = people("input", "Redact");
    guardrails["input"].as_array_mut().unwrap().insert(0, judge.check());
    let gateway = gateway(&worker, guardrails).await;
    let response = within(gateway.chat(&chat("to a@b.de").to_string())).await;
    assert_eq!(response.headers()["x-atelier-guardrails"], "input.ours, input.people");
    let [(_, question)] = &judge.asked()[..] else {
        panic!("{:?}", judge.asked())
    };
    assert_eq!(question["texts"][0]["text"], "to [EMAIL]");
    assert!(worker.received()[0].body.contains("to [WORD]"));
}

#[tokio::test]
async fn whole_answers_are_judged() {
    let message = json!({"role": "assistant", "content": format!("a {WORD}"), "tool_calls": [
        {"id": "1", "type": "function", "function": {"name": WORD, "arguments": format!("{{\"x\":\"{WORD}\"}}")}},
    ]});
    let other = json!({"role": "assistant", "content": "fine"});
    let choices = json!([
        {"index": 0, "message": message, "finish_reason": "stop"},
        {"index": 1, "message": other, "finish_reason": "stop"},
    ]);
    let body: &'static str = json!({"id": "x", "choices": choices}).to_string().leak();
    let worker = Worker::answering(StatusCode::OK, "application/json", body).await;
    let mut asking = chat("hello");
    asking["n"] = 2.into();
    for (verdict, contents) in [
        ("redact", [json!("a [WORD]"), json!("fine")]),
        ("refuse", [Value::Null, json!("fine")]),
        ("annotate", [json!(format!("a {WORD}")), json!("fine")]),
    ] {
        let judge = Judge::finding(WORD, verdict).await;
        let gateway = gateway(&worker, judge.guardrails("output")).await;
        let response = within(gateway.chat(&asking.to_string())).await;
        assert_eq!(response.status(), 200);
        let answer: Value = within(response.json()).await.unwrap();
        let told = [0, 1].map(|i| answer["choices"][i]["message"]["content"].clone());
        assert_eq!(told, contents, "{answer}");
        let call = &answer["choices"][0]["message"]["tool_calls"][0]["function"];
        match verdict {
            "redact" => assert_eq!(*call, json!({"name": WORD, "arguments": "{\"x\":\"[WORD]\"}"})),
            "refuse" => assert!(call.is_null() && answer["choices"][0]["finish_reason"] == "content_filter"),
            _ => assert!(call["arguments"].as_str().unwrap().contains(WORD)),
        }
        assert_eq!(answer["atelier"]["guardrails"][0]["check"], "ours");
        assert_eq!(violations(&gateway, "ours", verdict), 1);
        assert!(
            judge
                .asked()
                .iter()
                .all(|(_, asked)| asked["direction"] == "output" && asked["final"] == true)
        );
    }
}
