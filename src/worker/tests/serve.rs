//! The real program with the real model over real sockets.

#[path = "serve/grpc.rs"]
mod grpc;
#[path = "serve/memory.rs"]
mod memory;
#[path = "serve/structured.rs"]
mod structured;
mod support;
#[path = "serve/tools.rs"]
mod tools;
#[path = "serve/trace.rs"]
mod trace;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use support::{Worker, refused, sse};

const QUESTION: &str = "Name the capital city of France.";
const ANSWER: &str = "The capital city of France is Paris.";

fn question(more: Value) -> Value {
    let mut body = json!({
        "model": "m",
        "messages": [{"role": "user", "content": QUESTION}],
        "temperature": 0,
    });
    body.as_object_mut()
        .expect("an object")
        .extend(more.as_object().cloned().unwrap_or_default());
    body
}

#[tokio::test]
async fn chats_are_answered_whole_and_in_pieces() -> Result<()> {
    let worker = Worker::start(&[]).await?;
    let whole = worker.post("/v1/chat/completions", &question(json!({}))).await?;
    let choice = &whole["choices"][0];
    ensure!(
        choice["message"] == json!({"role": "assistant", "content": ANSWER}),
        "{whole}"
    );
    ensure!(choice["finish_reason"] == "stop", "{whole}");
    let usage = &whole["usage"];
    ensure!(
        (
            &usage["prompt_tokens"],
            &usage["completion_tokens"],
            &usage["total_tokens"]
        ) == (&json!(37), &json!(8), &json!(45)),
        "{whole}"
    );
    ensure!(usage["prompt_tokens_details"] == json!({"cached_tokens": 0}), "{whole}");
    // A model that answers its own way is not surprised.
    let mean = usage["mean_nll"].as_f64().context("no mean_nll")?;
    ensure!((0.0..1.0).contains(&mean), "{whole}");
    let answer = worker
        .send("/v1/chat/completions", &question(json!({})).to_string())
        .await?;
    let header = answer.headers()["x-atelier-mean-nll"].to_str()?.parse::<f64>()?;
    ensure!((header - mean).abs() < 0.01, "{header} and {mean}");
    let metrics = worker.metrics().await?;
    ensure!(
        metrics.contains("atelier_request_mean_nll_count{model_name=\"m\"} 2"),
        "{metrics}"
    );

    let streamed = question(json!({"stream": true, "stream_options": {"include_usage": true}}));
    let events = sse(worker.send("/v1/chat/completions", &streamed.to_string()).await?).await?;
    ensure!(events.last().is_some_and(|event| event == "[DONE]"), "{events:?}");
    let events: Vec<Value> = events
        .iter()
        .filter_map(|event| serde_json::from_str(event).ok())
        .collect();
    ensure!(
        events[0]["choices"][0]["delta"]["role"] == "assistant",
        "{:?}",
        events[0]
    );
    let text: String = events
        .iter()
        .filter_map(|event| event["choices"][0]["delta"]["content"].as_str())
        .collect();
    ensure!(text == ANSWER, "{text}");
    let last = events.last().context("no events")?;
    ensure!(
        // An equal prompt before it left its two full pages of 16 tokens.
        last["usage"]["total_tokens"] == 45
            && last["usage"]["prompt_tokens_details"]["cached_tokens"] == 32
            && last["choices"] == json!([]),
        "{last}"
    );
    ensure!(last["usage"]["mean_nll"].is_number(), "{last}");

    let stopped = worker
        .post("/v1/chat/completions", &question(json!({"stop": ["city", " is P"]})))
        .await?;
    ensure!(
        stopped["choices"][0]["message"]["content"] == "The capital ",
        "{stopped}"
    );
    ensure!(stopped["choices"][0]["finish_reason"] == "stop", "{stopped}");

    let cut = question(json!({"max_tokens": 3, "logprobs": true, "top_logprobs": 2}));
    let cut = worker.post("/v1/chat/completions", &cut).await?;
    ensure!(cut["choices"][0]["finish_reason"] == "length", "{cut}");
    let entries = cut["choices"][0]["logprobs"]["content"]
        .as_array()
        .context("no logprobs")?;
    ensure!(entries.len() == 3 && entries[1]["token"] == " capital", "{cut}");
    ensure!(
        entries
            .iter()
            .all(|entry| entry["top_logprobs"][0]["logprob"] == entry["logprob"]),
        "{cut}"
    );
    Ok(())
}

#[tokio::test]
async fn a_completion_repeats_its_prompt_with_logprobs() -> Result<()> {
    let worker = Worker::start(&[]).await?;
    let body = json!({
        "model": "m", "prompt": "The capital of France is", "temperature": 0,
        "max_tokens": 2, "echo": true, "logprobs": 1,
    });
    let whole = worker.post("/v1/completions", &body).await?;
    let choice = &whole["choices"][0];
    ensure!(choice["text"] == "The capital of France is Paris.", "{whole}");
    let logprobs = &choice["logprobs"];
    ensure!(logprobs["token_logprobs"][0].is_null(), "{whole}");
    ensure!(logprobs["text_offset"] == json!([0, 3, 11, 14, 21, 24, 30]), "{whole}");
    ensure!(logprobs["tokens"][5] == " Paris", "{whole}");

    // Scoring a text gives the numbers that writing it gave.
    let body = json!({
        "model": "m", "prompt": choice["text"], "max_tokens": 0, "echo": true, "logprobs": 1,
    });
    let scored = worker.post("/v1/completions", &body).await?;
    let scored = &scored["choices"][0]["logprobs"]["token_logprobs"];
    for index in 1..7 {
        let of = |values: &Value| values[index].as_f64().unwrap_or(f64::NAN);
        let (written, again) = (of(&logprobs["token_logprobs"]), of(scored));
        ensure!((written - again).abs() < 0.1, "token {index}: {written} and {again}");
    }

    Ok(())
}

#[tokio::test]
async fn an_answer_of_another_model_is_scored_as_if_it_were_written_here() -> Result<()> {
    let worker = Worker::start(&["--dtype", "fp32"]).await?;
    let scored = async |more: Value| {
        let mut body = question(json!({"ended": true}));
        let more = more.as_object().cloned().unwrap_or_default();
        body.as_object_mut().context("an object")?.extend(more);
        let scored = worker.post("/internal/score", &body).await?;
        anyhow::Ok(serde_json::from_value::<protocol::score::Scored>(scored)?)
    };
    let answered = |text: &str| json!({"messages": [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": text}]});

    // Its own answer has the likelihood that writing it had, with the token that ended it.
    let written = worker
        .post("/v1/chat/completions", &question(json!({"logprobs": true})))
        .await?;
    let entries = written["choices"][0]["logprobs"]["content"]
        .as_array()
        .context("no logprobs")?;
    let nll: f64 = entries
        .iter()
        .filter_map(|entry| entry["logprob"].as_f64())
        .map(|it| -it)
        .sum();
    let open = answered(ANSWER).as_object().cloned().map(|mut body| {
        body.insert("ended".into(), false.into());
        Value::from(body)
    });
    let open = scored(open.context("an object")?).await?;
    ensure!(
        open.tokens == 8 && (open.nll - nll).abs() < 0.01,
        "{open:?} and {nll} in {written}"
    );
    let own = scored(answered(ANSWER)).await?;
    ensure!(own.tokens == 9 && own.nll >= open.nll, "{own:?} and {open:?}");
    // Nobody says this.
    let odd = scored(answered("Purple seventeen ladders quietly Paris.")).await?;
    let mean = |scored: protocol::score::Scored| scored.nll / scored.tokens as f64;
    ensure!(mean(odd) > mean(own) + 2.0, "{odd:?} and {own:?}");

    // A completion, too; and nothing where there is nothing.
    let body = json!({"model": "m", "prompt": "The capital of France is", "completion": " Paris", "ended": false});
    let paris = worker.post("/internal/score", &body).await?;
    ensure!(paris["tokens"] == 1, "{paris}");
    for body in [
        json!({"model": "m", "prompt": "x", "completion": ""}),
        json!({"model": "m", "messages": [{"role": "user", "content": "x"}]}),
        json!({"model": "m"}),
    ] {
        let answer = worker.send("/internal/score", &body.to_string()).await?;
        ensure!(answer.status() == 400, "{body}: {}", answer.status());
    }
    Ok(())
}

/// In single precision: in bfloat16, what is computed together decides how sums are rounded, and four
/// answers are not always computed together in the same way.
#[tokio::test]
async fn a_seed_makes_answers_repeat_and_differ_from_each_other() -> Result<()> {
    let worker = Worker::start(&["--dtype", "fp32"]).await?;
    let body = json!({"model": "m", "prompt": ["One", [2]], "n": 2, "max_tokens": 4, "seed": 7, "temperature": 1});
    let several = worker.post("/v1/completions", &body).await?;
    let texts = |answer: &Value| -> Vec<String> {
        let choices = answer["choices"].as_array().cloned().unwrap_or_default();
        choices.iter().map(|choice| choice["text"].to_string()).collect()
    };
    ensure!(texts(&several).len() == 4, "{several}");
    ensure!(
        texts(&several)[0] != texts(&several)[1],
        "two answers with one seed are equal: {several}"
    );
    let again = worker.post("/v1/completions", &body).await?;
    ensure!(texts(&several) == texts(&again), "{several} and then {again}");
    Ok(())
}

#[tokio::test]
async fn bad_requests_are_told_what_is_wrong() -> Result<()> {
    let worker = Worker::start(&["--max-concurrent-sequences", "1", "--max-queue", "0"]).await?;
    let long = "word ".repeat(600);
    let chat = "/v1/chat/completions";
    for (path, body, status, code, text) in [
        (chat, "{".into(), 400, "invalid_json", "EOF"),
        (chat, "[]".into(), 400, "invalid_json", "expected an object"),
        (
            chat,
            json!({"messages": []}).to_string(),
            400,
            "missing_field",
            "\"model\" is missing",
        ),
        (
            chat,
            json!({"model": "x"}).to_string(),
            404,
            "model_not_found",
            "\"x\" is not served here",
        ),
        (
            chat,
            question(json!({"messages": []})).to_string(),
            400,
            "invalid_field",
            "at least one message",
        ),
        (
            chat,
            question(json!({"temperature": 3})).to_string(),
            400,
            "invalid_field",
            "from 0 to 2",
        ),
        (
            chat,
            question(json!({"tools": [{}]})).to_string(),
            400,
            "invalid_field",
            "\"tools[0].type\" must be",
        ),
        (
            chat,
            question(json!({"functions": [{}]})).to_string(),
            400,
            "unsupported_field",
            "use tools",
        ),
        (
            chat,
            question(json!({"logit_bias": {"49152": 1}})).to_string(),
            400,
            "invalid_field",
            "logit_bias.49152",
        ),
        (
            chat,
            question(json!({"messages": [{"role": "user", "content": long}]})).to_string(),
            400,
            "context_length_exceeded",
            "context holds 512",
        ),
        (
            "/v1/completions",
            json!({"model": "m", "prompt": ""}).to_string(),
            400,
            "empty_prompt",
            "no tokens",
        ),
        (
            "/v1/completions",
            json!({"model": "m", "prompt": [49152]}).to_string(),
            400,
            "unknown_token",
            "outside the vocabulary of 49152",
        ),
        (
            "/v1/completions",
            " ".repeat(9 << 20),
            413,
            "body_too_large",
            "larger than",
        ),
        ("/v1/nothing", "{}".into(), 404, "no_route", "nothing at this path"),
    ] {
        let error = refused(worker.send(path, &body).await?, status).await?;
        ensure!(error["code"] == code, "{path}: {error}");
        ensure!(
            error["message"].as_str().is_some_and(|message| message.contains(text)),
            "{path}: {error}"
        );
    }

    let story =
        json!({"model": "m", "prompt": "Once upon a time", "temperature": 0, "max_tokens": 400, "stream": true})
            .to_string();
    let first = worker.send("/v1/completions", &story).await?;
    let second = worker.send("/v1/completions", &story).await?;
    ensure!(second.headers()["retry-after"] == "1", "no Retry-After");
    refused(second, 429).await?;
    // The client hangs up: the place is free again, long before 400 tokens are written.
    drop(first);
    let mut tries = 0;
    while refused(worker.send("/v1/completions", &story).await?, 429)
        .await
        .is_ok()
    {
        tries += 1;
        ensure!(tries < 10_000, "the abandoned answer is still computed");
    }
    Ok(())
}

#[tokio::test]
async fn a_stopping_worker_finishes_what_it_began() -> Result<()> {
    let worker = Worker::start(&[]).await?;
    let body = json!({"model": "m", "prompt": "Once upon a time", "temperature": 0, "max_tokens": 60, "stream": true});
    let answer = worker.send("/v1/completions", &body.to_string()).await?;
    worker.terminate()?;
    worker.until_not_ready().await?;
    let events = sse(answer).await?;
    ensure!(events.last().is_some_and(|event| event == "[DONE]"), "{events:?}");
    ensure!(worker.exit_code().await? == Some(0));
    Ok(())
}

#[tokio::test]
async fn system_prompt_and_template_are_used() -> Result<()> {
    let dir = support::temporary_dir()?;
    let template = dir.path().join("template.jinja");
    std::fs::write(
        &template,
        "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}",
    )?;
    let path = template.to_str().context("a path")?;
    let worker = Worker::start(&["--chat-template", path, "--system-prompt", "Be brief."]).await?;
    let tokens = async |messages: Value| {
        let body = question(json!({"messages": messages, "max_tokens": 1}));
        let answer = worker.post("/v1/chat/completions", &body).await?;
        anyhow::Ok(answer["usage"]["prompt_tokens"].clone())
    };
    let user = json!({"role": "user", "content": "Hi."});
    let without = tokens(json!([user])).await?;
    let with_same = tokens(json!([{"role": "system", "content": "Be brief."}, user])).await?;
    let with_other = tokens(json!([{"role": "system", "content": "Be very, very brief."}, user])).await?;
    ensure!(
        without == with_same && without != with_other,
        "{without}, {with_same}, {with_other}"
    );
    Ok(())
}

#[tokio::test]
async fn weights_that_cannot_be_served_are_refused() -> Result<()> {
    let dir = support::temporary_dir()?;
    let good = std::fs::read(support::model())?;
    let (truncated, foreign) = (dir.path().join("truncated.gguf"), dir.path().join("foreign.gguf"));
    std::fs::write(&truncated, &good[..good.len() / 2])?;
    std::fs::write(&foreign, b"PK\x03\x04 this is no model")?;
    let digest = format!("sha256:{}", "0".repeat(64));
    for (args, expected) in [
        (vec!["--model", truncated.to_str().context("a path")?], "truncated"),
        (vec!["--model", foreign.to_str().context("a path")?], "GGUF"),
        (vec!["--model", "/nowhere.gguf"], "/nowhere.gguf"),
        (vec!["--digest", &digest], "the file has sha256 b179c9523d0e6a0f"),
        (vec!["--context-length", "9000"], "8192"),
        (vec!["--chat-template", "/nowhere.jinja"], "/nowhere.jinja"),
    ] {
        let (code, log) = Worker::fails(&args).await?;
        ensure!(code == Some(1), "{args:?}: {code:?}\n{log}");
        ensure!(log.contains(expected), "{args:?}: {log}");
    }
    Ok(())
}
