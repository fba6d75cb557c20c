//! The real program with encoders: a real one that embeds and a small one that scores.

#[path = "encode/grpc.rs"]
mod grpc;
mod support;

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use support::{Worker, cross_encoder, minilm, refused};

async fn embedder(more: &[&str]) -> Result<Worker> {
    let model = minilm();
    let model = model.to_str().context("a path")?;
    let args = [
        "--model",
        model,
        "--task",
        "embed",
        "--dtype",
        "fp32",
        "--context-length",
        "256",
    ];
    Worker::start(&[&args, more].concat()).await
}

fn vector(value: &Value) -> Vec<f64> {
    let numbers = value.as_array().into_iter().flatten();
    numbers.filter_map(Value::as_f64).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[tokio::test]
async fn texts_get_vectors_in_both_formats() -> Result<()> {
    let worker = embedder(&[]).await?;
    let texts = [
        "A dog chases a ball.",
        "A puppy runs after a ball.",
        "Interest rates rose again.",
    ];
    let body = json!({"model": "m", "input": texts, "user": "u"});
    let answer = worker.post("/v1/embeddings", &body).await?;
    ensure!(answer["object"] == "list" && answer["model"] == "m", "{answer}");
    let vectors: Vec<Vec<f64>> = (0..3)
        .map(|index| vector(&answer["data"][index]["embedding"]))
        .collect();
    ensure!(
        vectors
            .iter()
            .all(|vector| vector.len() == 384 && (dot(vector, vector) - 1.0).abs() < 1e-5)
    );
    let (near, far) = (dot(&vectors[0], &vectors[1]), dot(&vectors[0], &vectors[2]));
    ensure!(near > 0.5 && far < 0.2, "{near}, {far}");
    let tokens = answer["usage"]["total_tokens"].as_u64().context("no usage")?;
    ensure!(tokens == 8 + 9 + 7, "{answer}");

    // The same by its tokens, in the other format, alone.
    let body = json!({"model": "m", "input": texts[0], "encoding_format": "base64"});
    let packed = worker.post("/v1/embeddings", &body).await?;
    let bytes = STANDARD.decode(packed["data"][0]["embedding"].as_str().context("no text")?)?;
    let numbers = bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|bytes| f64::from(f32::from_le_bytes(*bytes)));
    let unpacked: Vec<f64> = numbers.collect();
    ensure!((dot(&unpacked, &vectors[0]) - 1.0).abs() < 1e-5);
    // [CLS] and [SEP] around "hello".
    let both = json!({"model": "m", "input": ["hello", [101, 7592, 102]], "dimensions": 64});
    let both = worker.post("/v1/embeddings", &both).await?;
    let [text, tokens] = [0, 1].map(|index| vector(&both["data"][index]["embedding"]));
    ensure!(text.len() == 64 && (dot(&text, &tokens) - 1.0).abs() < 1e-5, "{both}");

    let models = worker.get("/v1/models").await?;
    ensure!(
        models["data"][0]["id"] == "m" && models["data"][0]["max_model_len"] == 256,
        "{models}"
    );
    Ok(())
}

#[tokio::test]
async fn bad_requests_are_told_what_is_wrong() -> Result<()> {
    let worker = embedder(&[]).await?;
    let path = "/v1/embeddings";
    let input = |input: Value| json!({"model": "m", "input": input});
    let with = |field: &str, value: Value| {
        let mut body = input(json!("a"));
        body[field] = value;
        body
    };
    for (path, body, code, param, says) in [
        (
            path,
            json!({"model": "m"}),
            "missing_field",
            json!("input"),
            "\"input\" is missing",
        ),
        (path, input(json!([])), "invalid_field", json!("input"), "not empty"),
        (
            path,
            input(json!(vec![""; 2049])),
            "invalid_field",
            json!("input"),
            "at most 2048 inputs",
        ),
        (
            path,
            input(json!(vec![vec![7; 256]; 1200])),
            "invalid_field",
            json!("input"),
            "300000 tokens",
        ),
        (
            path,
            input(json!([30522])),
            "unknown_token",
            Value::Null,
            "vocabulary of 30522",
        ),
        (
            path,
            input(json!([vec![7; 257]])),
            "context_length_exceeded",
            Value::Null,
            "up to 256",
        ),
        (
            path,
            with("dimensions", json!(385)),
            "invalid_field",
            json!("dimensions"),
            "from 1 to 384",
        ),
        (
            path,
            with("dimensions", json!(0)),
            "invalid_field",
            json!("dimensions"),
            "from 1 to 384",
        ),
        (
            path,
            with("encoding_format", json!("x")),
            "invalid_field",
            json!("encoding_format"),
            "base64",
        ),
        (
            path,
            with("model", json!("x")),
            "model_not_found",
            json!("model"),
            "not served here",
        ),
        ("/v1/rerank", json!({}), "wrong_task", Value::Null, "use /v1/embeddings"),
        (
            "/v1/chat/completions",
            json!({}),
            "wrong_task",
            Value::Null,
            "served for embed",
        ),
    ] {
        let status = if code == "model_not_found" { 404 } else { 400 };
        let error = refused(worker.send(path, &body.to_string()).await?, status).await?;
        ensure!(error["code"] == code && error["param"] == param, "{path}: {error}");
        ensure!(
            error["message"].as_str().is_some_and(|text| text.contains(says)),
            "{path}: {error}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn many_requests_share_the_encoder_and_are_counted() -> Result<()> {
    let worker = embedder(&["--max-queue", "64"]).await?;
    let text = |index: usize| "ships and storms ".repeat(1 + index % 7);
    let bodies = (0..24).map(|index| json!({"model": "m", "input": [text(index), text(index + 1)]}));
    let bodies: Vec<Value> = bodies.collect();
    let answers = bodies.iter().map(|body| worker.post("/v1/embeddings", body));
    let answers = futures::future::try_join_all(answers).await?;
    // Whatever was computed beside it, a text has one vector.
    for (index, answer) in answers.iter().enumerate() {
        let again = &answers[index % 7]["data"][0]["embedding"];
        let cosine = dot(&vector(&answer["data"][0]["embedding"]), &vector(again));
        ensure!((cosine - 1.0).abs() < 1e-5, "{index}: {cosine}");
    }
    let metrics = worker.metrics().await?;
    for line in [
        "vllm:request_success_total{finished_reason=\"stop\",model_name=\"m\"} 24",
        "atelier_encoded_texts_total{model_name=\"m\"} 48",
        "vllm:num_requests_waiting{model_name=\"m\"} 0",
    ] {
        ensure!(metrics.contains(line), "{line} is not in:\n{metrics}");
    }
    Ok(())
}

#[tokio::test]
async fn documents_are_ranked() -> Result<()> {
    let dir = support::temporary_dir()?;
    cross_encoder::write_to(dir.path())?;
    let model = dir.path().to_str().context("a path")?;
    let args = [
        "--model",
        model,
        "--task",
        "rerank",
        "--dtype",
        "fp32",
        "--context-length",
        "32",
    ];
    let worker = Worker::start(&args).await?;
    let documents = json!(["paris", {"text": "bread"}, "paris is france", "what"]);
    let body = json!({"model": "m", "query": "what is france", "documents": documents});
    let all = worker.post("/v1/rerank", &body).await?;
    let results = all["results"].as_array().context("no results")?;
    let scores: Vec<f64> = results
        .iter()
        .filter_map(|result| result["relevance_score"].as_f64())
        .collect();
    ensure!(scores.len() == 4 && scores.is_sorted_by(|a, b| a > b), "{all}");
    ensure!(scores.iter().all(|score| (0.0..=1.0).contains(score)), "{all}");
    // Marks, three words of the query, and the words of the documents.
    ensure!(all["usage"]["total_tokens"] == 4 * 6 + 1 + 1 + 3 + 1, "{all}");

    let mut body = body;
    body["top_n"] = json!(2);
    body["return_documents"] = json!(true);
    body["raw_scores"] = json!(true);
    let best = worker.post("/v1/rerank", &body).await?;
    ensure!(
        best["results"].as_array().is_some_and(|results| results.len() == 2),
        "{best}"
    );
    for (best, all) in best["results"].as_array().into_iter().flatten().zip(results) {
        ensure!(best["index"] == all["index"], "{best}, {all}");
        let logit = best["relevance_score"].as_f64().context("no score")?;
        let score = all["relevance_score"].as_f64().context("no score")?;
        ensure!((1.0 / (1.0 + (-logit).exp()) - score).abs() < 1e-5, "{best}, {all}");
        let given = &documents[best["index"].as_u64().context("no index")? as usize];
        let text = given["text"].as_str().or(given.as_str());
        ensure!(best["document"]["text"].as_str() == text, "{best}");
    }
    let error = refused(worker.send("/v1/embeddings", "{}").await?, 400).await?;
    ensure!(error["code"] == "wrong_task", "{error}");
    Ok(())
}

#[tokio::test]
async fn a_model_is_refused_for_what_it_cannot_do() -> Result<()> {
    let dir = support::temporary_dir()?;
    cross_encoder::write_to(dir.path())?;
    let (scores, embeds) = (dir.path().to_owned(), minilm());
    let (scores, embeds) = (scores.to_str().context("a path")?, embeds.to_str().context("a path")?);
    for (args, says) in [
        (vec!["--model", embeds], "--task embed or --task rerank"),
        (
            vec!["--model", embeds, "--task", "rerank"],
            "serve it with --task embed",
        ),
        (
            vec!["--model", scores, "--task", "embed"],
            "serve it with --task rerank",
        ),
        (vec!["--task", "embed"], "serve it with --task generate"),
        (
            vec!["--model", embeds, "--task", "embed", "--context-length", "513"],
            "longer than the 512 positions",
        ),
        (
            vec!["--model", embeds, "--task", "embed", "--system-prompt", "x"],
            "--system-prompt",
        ),
    ] {
        let (code, log) = Worker::fails(&args).await?;
        ensure!(code == Some(1) && log.contains(says), "{args:?}: {code:?}\n{log}");
    }
    Ok(())
}
