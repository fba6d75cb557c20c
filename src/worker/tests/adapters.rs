//! Adapters of the real model, over real sockets.

mod support;
#[path = "adapters/tuned.rs"]
mod tuned;
#[path = "adapters/wanted.rs"]
mod wanted;

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use checkpoint::Checkpoint;
use engine::{
    ModelConfig,
    lora::{Description, Module, Projection, write},
};
use reqwest::Method;
use serde_json::{Value, json};

use support::{Worker, refused, sse};

const TARGETS: [Projection; 2] = [Projection::Query, Projection::Value];
const RANK: usize = 4;
/// What an adapter of this rank and these projections takes in bf16.
const BYTES: usize = 30 * RANK * (576 + 576 + 576 + 192) * 2;
const ADAPTERS: &str = "/admin/adapters";

fn model() -> Result<ModelConfig> {
    Ok(ModelConfig::from_header(Checkpoint::open(&support::model())?.header())?)
}

/// Writes an adapter with small random weights.
fn adapter(directory: &Path, seed: u64, model: &ModelConfig) -> Result<()> {
    write_adapter(directory, seed, 0.25, model)
}

/// Writes an adapter with random weights of at most half of `size`.
fn write_adapter(directory: &Path, seed: u64, size: f32, model: &ModelConfig) -> Result<()> {
    let mut state = seed;
    let mut random = |count: i64| -> Vec<f32> {
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        (0..count * RANK as i64).map(|_| next() * size).collect()
    };
    let mut modules = Vec::new();
    for layer in 0..model.layers {
        for projection in TARGETS {
            modules.push(Module {
                layer,
                projection,
                rank: RANK,
                a: random(projection.inputs(model)),
                b: random(projection.outputs(model)),
            });
        }
    }
    let description = Description {
        base: "SmolLM2-135M-Instruct".into(),
        rank: RANK,
        alpha: 8.0,
        rank_stabilized: false,
        dropout: 0.0,
        targets: TARGETS.into(),
        layers: None,
        ranks: Default::default(),
        alphas: Default::default(),
    };
    std::fs::create_dir_all(directory)?;
    Ok(write(directory, &description, &modules)?)
}

fn story(model: &str, tokens: usize, stream: bool) -> Value {
    json!({"model": model, "prompt": "Once upon a time", "temperature": 0, "max_tokens": tokens, "stream": stream})
}

async fn answer(worker: &Worker, model: &str) -> Result<String> {
    let answer = worker.post("/v1/completions", &story(model, 12, false)).await?;
    ensure!(answer["model"] == model, "{answer}");
    let text = answer["choices"][0]["text"].as_str();
    Ok(text.context("no text")?.into())
}

async fn done(response: reqwest::Response) -> Result<Value> {
    let (status, text) = (response.status(), response.text().await?);
    ensure!(status == 200, "{status}: {text}");
    Ok(serde_json::from_str(&text)?)
}

/// State by name.
async fn states(worker: &Worker) -> Result<Vec<(String, String)>> {
    let list = done(worker.admin(Method::GET, ADAPTERS, "").await?).await?;
    let list = list["adapters"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(list
        .iter()
        .map(|one| (text(&one["name"]), text(&one["state"])))
        .collect())
}

#[tokio::test]
async fn an_adapter_that_gives_no_numbers_fails_its_requests_alone() -> Result<()> {
    let (model, root) = (model()?, support::temporary_dir()?);
    write_adapter(&root.path().join("broken"), 1, 1e30, &model)?;
    let worker = Worker::start(&["--adapters-dir", root.path().to_str().context("a path")?]).await?;
    let base = answer(&worker, "m").await?;
    let bad = story("m:broken", 12, false).to_string();
    for _ in 0..2 {
        let (beside, bad, after) = tokio::join!(
            answer(&worker, "m"),
            worker.send("/v1/completions", &bad),
            answer(&worker, "m")
        );
        let error = refused(bad?, 500).await?;
        let message = error["message"].as_str().unwrap_or_default();
        ensure!(
            error["code"] == "computation_failed" && message.contains("no finite logits"),
            "{error}"
        );
        ensure!(beside? == base && after? == base, "the fault reached others");
    }
    let failures = "atelier_request_failures_total{model_name=\"m\",reason=\"not_finite\"} 2";
    let metrics = worker.metrics().await?;
    ensure!(metrics.contains(failures), "{metrics}");
    Ok(())
}

#[tokio::test]
async fn adapters_come_and_go_while_requests_stream() -> Result<()> {
    let (model, root) = (model()?, support::temporary_dir()?);
    let (at_start, later) = (root.path().join("at-start"), root.path().join("later"));
    adapter(&at_start.join("first"), 1, &model)?;
    adapter(&later, 2, &model)?;
    let worker = Worker::start(&["--adapters-dir", at_start.to_str().context("a path")?]).await?;
    let base = answer(&worker, "m").await?;
    let first = answer(&worker, "m:first").await?;
    ensure!(base != first, "the adapter changes nothing: {base}");

    let running = worker
        .send("/v1/completions", &story("m", 100, true).to_string())
        .await?;
    refused(
        worker
            .send("/v1/completions", &story("m:second", 4, false).to_string())
            .await?,
        404,
    )
    .await?;
    let body = json!({"name": "second", "path": later}).to_string();
    let added = done(worker.admin(Method::POST, ADAPTERS, &body).await?).await?;
    let expected = json!({
        "name": "second", "model": "m:second", "digest": added["digest"], "state": "loaded", "in_use": false,
        "bytes": BYTES, "rank": 4, "targets": ["q_proj", "v_proj"], "base": "SmolLM2-135M-Instruct", "requests": 0,
    });
    ensure!(added == expected, "{added}");
    let second = answer(&worker, "m:second").await?;
    ensure!(second != base && second != first, "{second}");
    let events = sse(running).await?;
    ensure!(
        events.last().is_some_and(|event| event == "[DONE]"),
        "{:?}",
        events.last()
    );

    let models = worker.get("/v1/models").await?;
    let models = models["data"].as_array().cloned().unwrap_or_default();
    let ids = models
        .iter()
        .map(|model| (model["id"].clone(), model["parent"].clone()));
    let ids: Vec<_> = ids.collect();
    let expected = [
        (json!("m"), Value::Null),
        (json!("m:first"), json!("m")),
        (json!("m:second"), json!("m")),
    ];
    ensure!(ids == expected, "{models:?}");
    ensure!(worker.get("/v1/models/m:second").await?["parent"] == "m");

    // Deleted while a request uses it: that one finishes, the next finds nothing.
    let running = worker
        .send("/v1/completions", &story("m:second", 60, true).to_string())
        .await?;
    done(worker.admin(Method::DELETE, "/admin/adapters/second", "").await?).await?;
    let error = refused(
        worker
            .send("/v1/completions", &story("m:second", 4, false).to_string())
            .await?,
        404,
    )
    .await?;
    ensure!(
        error["code"] == "model_not_found" && error["param"] == "model",
        "{error}"
    );
    let events = sse(running).await?;
    ensure!(
        events.last().is_some_and(|event| event == "[DONE]"),
        "{:?}",
        events.last()
    );
    ensure!(states(&worker).await? == [("first".into(), "loaded".into())]);

    // Other files under the same name are another adapter.
    adapter(&at_start.join("first"), 3, &model)?;
    let again = done(worker.admin(Method::POST, ADAPTERS, r#"{"name": "first"}"#).await?).await?;
    ensure!(again["requests"] == 1, "{again}");
    ensure!(answer(&worker, "m:first").await? != first, "still the old adapter");
    Ok(())
}

#[tokio::test]
async fn a_small_budget_keeps_the_latest_and_reloads_the_others() -> Result<()> {
    let (model, root) = (model()?, support::temporary_dir()?);
    adapter(&root.path().join("a"), 1, &model)?;
    adapter(&root.path().join("b"), 2, &model)?;
    std::fs::create_dir(root.path().join("broken"))?;
    let budget = (BYTES + 100).to_string();
    let directory = root.path().to_str().context("a path")?;
    let worker = Worker::start(&["--adapters-dir", directory, "--adapter-memory", &budget]).await?;
    let state = |a: &str, b: &str| [("a".to_owned(), a.to_owned()), ("b".to_owned(), b.to_owned())];
    ensure!(states(&worker).await? == state("on disk", "loaded"));
    let chat =
        json!({"model": "m:a", "messages": [{"role": "user", "content": "Hi."}], "temperature": 0, "max_tokens": 4});
    let first = worker.post("/v1/chat/completions", &chat).await?;
    ensure!(states(&worker).await? == state("loaded", "on disk"));
    answer(&worker, "m:b").await?;
    let again = worker.post("/v1/chat/completions", &chat).await?;
    ensure!(first["choices"] == again["choices"], "{first} and {again}");

    // A request that uses the only place there is.
    let running = worker
        .send("/v1/completions", &story("m:a", 400, true).to_string())
        .await?;
    let busy = worker
        .send("/v1/completions", &story("m:b", 4, false).to_string())
        .await?;
    ensure!(busy.headers()["retry-after"] == "1", "no Retry-After");
    let error = refused(busy, 503).await?;
    ensure!(error["code"] == "adapter_memory_full", "{error}");

    let metrics = worker.admin(Method::GET, "/metrics", "").await?.text().await?;
    for line in [
        "atelier_adapters{model_name=\"m\",state=\"loaded\"} 1",
        "atelier_adapters{model_name=\"m\",state=\"on_disk\"} 1",
        "atelier_adapter_loads_total{model_name=\"m\"} 5",
        "atelier_adapter_evictions_total{model_name=\"m\"} 4",
        "atelier_adapter_requests_total{adapter=\"a\",model_name=\"m\"} 3",
        "atelier_adapter_requests_total{adapter=\"b\",model_name=\"m\"} 1",
    ] {
        ensure!(metrics.contains(line), "no {line} in {metrics}");
    }
    ensure!(metrics.contains("atelier_adapter_load_seconds_total"), "{metrics}");

    let rescanned = done(worker.admin(Method::POST, ADAPTERS, "").await?).await?;
    ensure!(rescanned["refused"][0]["name"] == "b", "{rescanned}");
    ensure!(rescanned["refused"][1]["name"] == "broken", "{rescanned}");
    ensure!(rescanned["budget"] == BYTES + 100, "{rescanned}");
    drop(running);
    Ok(())
}

#[tokio::test]
async fn adapters_that_cannot_be_are_refused_with_the_reason() -> Result<()> {
    let (model, root) = (model()?, support::temporary_dir()?);
    let (good, foreign) = (root.path().join("good"), root.path().join("foreign"));
    adapter(&good, 1, &model)?;
    let mut other = model.clone();
    other.hidden_size = 960;
    adapter(&foreign, 1, &other)?;
    let worker = Worker::start(&["--adapter-memory", &(2 * BYTES).to_string()]).await?;
    let body = |name: &str, path: &Path| json!({"name": name, "path": path}).to_string();
    for (body, status, code, text) in [
        ("".into(), 400, "invalid_json", "--adapters-dir"),
        ("{".into(), 400, "invalid_json", "EOF"),
        (
            r#"{"name": "x", "file": ""}"#.into(),
            400,
            "invalid_json",
            "unknown field `file`",
        ),
        (r#"{"name": "x"}"#.into(), 400, "missing_field", "\"path\" is missing"),
        (body("No_Label", &good), 400, "invalid_field", "lower-case letters"),
        (
            body("x", &root.path().join("nowhere")),
            400,
            "invalid_adapter",
            "nowhere/adapter_config.json",
        ),
        (
            body("x", &foreign),
            400,
            "invalid_adapter",
            "layers.0.self_attn.q_proj.lora_A.weight\" has the shape [4, 960], the model served here and rank 4 call for [4, 576]; \
             the adapter says that it was made for \"SmolLM2-135M-Instruct\"",
        ),
    ] {
        let error = refused(worker.admin(Method::POST, ADAPTERS, &body).await?, status).await?;
        ensure!(error["code"] == code, "{body}: {error}");
        let message = error["message"].as_str().unwrap_or_default();
        ensure!(message.contains(text), "{body}: {error}");
    }
    for name in ["m:x", "m:", "m:../x", "mx", "x:m"] {
        let error = refused(
            worker
                .send("/v1/completions", &story(name, 4, false).to_string())
                .await?,
            404,
        )
        .await?;
        ensure!(error["code"] == "model_not_found", "{name}: {error}");
    }
    let error = refused(worker.admin(Method::DELETE, "/admin/adapters/x", "").await?, 404).await?;
    ensure!(error["code"] == "adapter_not_found", "{error}");
    ensure!(states(&worker).await?.is_empty());
    Ok(())
}
