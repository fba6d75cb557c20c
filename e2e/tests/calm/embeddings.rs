//! An encoder beside a chat model.

use anyhow::{Context, Result, ensure};
use atelier_e2e::gateway::Gateway;
use atelier_e2e::{Model, model, with_namespace};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// Width of all-MiniLM-L6-v2.
const WIDTH: usize = 384;

async fn embed(gateway: &Gateway, model: &str, texts: &[&str]) -> Result<Vec<Vec<f64>>> {
    let (status, body) = gateway
        .send("/v1/embeddings", &json!({"model": model, "input": texts}))
        .await?;
    ensure!(status == StatusCode::OK, "the embeddings answered {status}: {body}");
    let data = body["data"].as_array().with_context(|| format!("no data in {body}"))?;
    let vector = |item: &Value| serde_json::from_value(item["embedding"].clone()).context("no vector");
    data.iter().map(vector).collect()
}

fn cosine(left: &[f64], right: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(left, right) / (dot(left, left) * dot(right, right)).sqrt()
}

#[tokio::test]
async fn an_embedding_model_serves_beside_a_chat_model() -> Result<()> {
    with_namespace("embed", async |namespace| {
        let chat = Model::create(&namespace, "chat", model::bundled()).await?;
        let encoder = Model::create(&namespace, "minilm", model::encoder()).await?;
        let object = encoder.ready().await?;
        chat.ready().await?;
        let gateway = namespace.gateway().await?;

        let texts = [
            "How do I reset my password?",
            "I forgot my password.",
            "The soup needs more salt.",
        ];
        let vectors = embed(&gateway, &encoder.address(), &texts).await?;
        ensure!(vectors.len() == 3 && vectors.iter().all(|vector| vector.len() == WIDTH));
        let (near, far) = (cosine(&vectors[0], &vectors[1]), cosine(&vectors[0], &vectors[2]));
        ensure!(near > 0.6 && far < 0.3, "related texts {near}, unrelated ones {far}");

        let status = object.status.unwrap_or_default();
        let weights = status.versions[0].weights.as_ref().context("no facts in the status")?;
        ensure!(
            (weights.format.as_str(), weights.architecture.as_str()) == ("safetensors", "bert"),
            "{weights:?}"
        );
        ensure!(status.estimate.unwrap_or_default().kv_per_token == 0);
        ensure!(gateway.models().await? == ["chat", "minilm"]);

        let question = json!({"messages": [{"role": "user", "content": "Hello"}], "input": "Hello"});
        for (model, path, right) in [
            (&encoder, "/v1/chat/completions", "/v1/embeddings"),
            (&chat, "/v1/embeddings", "/v1/chat/completions"),
            (&chat, "/v1/rerank", "/v1/chat/completions"),
        ] {
            let mut body = question.clone();
            body["model"] = json!(model.address());
            let (status, body) = gateway.send(path, &body).await?;
            ensure!(
                status == StatusCode::BAD_REQUEST && body["error"]["code"] == "wrong_task",
                "{status}: {body}"
            );
            let message = body["error"]["message"].as_str().unwrap_or_default();
            ensure!(message.contains(right), "{message}");
        }
        Ok(())
    })
    .await
}
