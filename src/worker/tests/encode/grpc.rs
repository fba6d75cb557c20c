//! Encoders over gRPC: what HTTP answers, by real clients.

use anyhow::{Context as _, Result, ensure};
use rpc::v1::{self, inference_client::InferenceClient};
use serde_json::json;
use tonic::{Code, Status, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::{
    cross_encoder, embedder,
    support::{self, Worker},
    vector,
};

const SERVICE: &str = "atelier.v1.Inference";

async fn connect(worker: &Worker) -> Result<Channel> {
    let channel = Channel::from_shared(worker.grpc())?.connect().await;
    channel.context("failed to connect")
}

fn texts(input: &[&str]) -> v1::EmbedRequest {
    v1::EmbedRequest {
        model: "m".into(),
        input: input.iter().map(|text| (*text).into()).collect(),
        dimensions: None,
    }
}

fn documents(documents: &[&str]) -> v1::RerankRequest {
    v1::RerankRequest {
        model: "m".into(),
        query: "what is france".into(),
        documents: documents.iter().map(|text| (*text).into()).collect(),
        top_n: None,
    }
}

/// The status of a call that must fail, as `code`, with the code of the HTTP API and these words.
fn refused<T>(answer: Result<T, Status>, code: Code, name: &str, says: &str) -> Result<()> {
    let status = answer.err().with_context(|| format!("not refused as {name}"))?;
    let told = status.metadata().get("x-atelier-code");
    ensure!(
        status.code() == code && told.is_some_and(|told| told == name) && status.message().contains(says),
        "{status:?}"
    );
    Ok(())
}

#[tokio::test]
async fn vectors_are_those_of_http() -> Result<()> {
    let worker = embedder(&[]).await?;
    let channel = connect(&worker).await?;
    let mut client = InferenceClient::new(channel.clone());
    let input = ["A dog chases a ball.", "Interest rates rose again."];
    for dimensions in [None, Some(64)] {
        let request = v1::EmbedRequest {
            dimensions,
            ..texts(&input)
        };
        let answer = client.embed(request).await?.into_inner();
        let body = json!({"model": "m", "input": input, "dimensions": dimensions});
        let http = worker.post("/v1/embeddings", &body).await?;
        ensure!(answer.model == "m" && answer.embeddings.len() == 2, "{answer:?}");
        for (index, embedding) in answer.embeddings.iter().enumerate() {
            let expected = vector(&http["data"][index]["embedding"]);
            ensure!(embedding.values.len() == dimensions.unwrap_or(384) as usize);
            let equal = |(ours, theirs): (&f32, &f64)| (f64::from(*ours) - theirs).abs() < 1e-6;
            ensure!(embedding.values.iter().zip(&expected).all(equal), "{index}");
        }
        let usage = answer.usage.context("no usage")?;
        ensure!(http["usage"]["prompt_tokens"] == usage.prompt_tokens, "{usage:?}");
    }

    let models = client.list_models(v1::ListModelsRequest {}).await?.into_inner().models;
    ensure!(
        models.len() == 1 && models[0].id == "m" && models[0].max_model_len == 256,
        "{models:?}"
    );

    let mut other = texts(&input);
    other.model = "x".into();
    refused(client.embed(other).await, Code::NotFound, "model_not_found", "\"x\"")?;
    refused(
        client.embed(texts(&[])).await,
        Code::InvalidArgument,
        "invalid_field",
        "\"input\" must be",
    )?;
    refused(
        client.embed(texts(&[""; 2049])).await,
        Code::InvalidArgument,
        "invalid_field",
        "at most 2048 inputs",
    )?;
    let mut wide = texts(&input);
    wide.dimensions = Some(385);
    refused(
        client.embed(wide).await,
        Code::InvalidArgument,
        "invalid_field",
        "from 1 to 384",
    )?;
    let huge = client.embed(texts(&[&" ".repeat(9 << 20)])).await;
    ensure!(
        huge.as_ref().is_err_and(|status| status.code() == Code::OutOfRange),
        "{huge:?}"
    );
    for answer in [
        client.rerank(documents(&["paris"])).await.map(drop),
        client.chat(v1::ChatRequest::default()).await.map(drop),
        client.chat_stream(v1::ChatRequest::default()).await.map(drop),
        client.generate(v1::GenerateRequest::default()).await.map(drop),
        client.generate_stream(v1::GenerateRequest::default()).await.map(drop),
    ] {
        refused(answer, Code::Unimplemented, "wrong_task", "serves task Embed, not")?;
    }

    let request = HealthCheckRequest {
        service: SERVICE.into(),
    };
    let mut states = HealthClient::new(channel.clone()).watch(request).await?.into_inner();
    let state = states.message().await?.context("no state")?;
    ensure!(state.status() == ServingStatus::Serving, "{state:?}");
    let reflection = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut replies = ServerReflectionClient::new(channel)
        .server_reflection_info(futures::stream::iter([reflection]))
        .await?
        .into_inner();
    let reply = replies.message().await?.and_then(|reply| reply.message_response);
    let Some(MessageResponse::ListServicesResponse(services)) = reply else {
        anyhow::bail!("no services: {reply:?}")
    };
    ensure!(
        services.service.iter().any(|service| service.name == SERVICE),
        "{services:?}"
    );
    drop(replies);

    worker.terminate()?;
    let state = states.message().await?.context("no state")?;
    ensure!(state.status() == ServingStatus::NotServing, "{state:?}");
    drop(states);
    ensure!(worker.exit_code().await? == Some(0));
    Ok(())
}

#[tokio::test]
async fn documents_are_ranked_as_over_http() -> Result<()> {
    let dir = support::temporary_dir()?;
    cross_encoder::write_to(dir.path())?;
    let model = dir.path().to_str().context("a path")?;
    let args = ["--model", model, "--task", "rerank", "--dtype", "fp32"];
    let worker = Worker::start(&[&args[..], &["--context-length", "32"]].concat()).await?;
    let mut client = InferenceClient::new(connect(&worker).await?);
    let texts = ["paris", "bread", "paris is france", "what"];
    for top_n in [None, Some(2)] {
        let request = v1::RerankRequest {
            top_n,
            ..documents(&texts)
        };
        let answer = client.rerank(request).await?.into_inner();
        let body = json!({"model": "m", "query": "what is france", "documents": texts, "top_n": top_n});
        let http = worker.post("/v1/rerank", &body).await?;
        let expected = http["results"].as_array().context("no results")?;
        ensure!(answer.results.len() == expected.len(), "{answer:?}, {http}");
        for (ours, theirs) in answer.results.iter().zip(expected) {
            let score = theirs["relevance_score"].as_f64().context("no score")?;
            ensure!(theirs["index"] == ours.index, "{answer:?}, {http}");
            ensure!(
                (f64::from(ours.relevance_score) - score).abs() < 1e-6,
                "{answer:?}, {http}"
            );
        }
        let usage = answer.usage.context("no usage")?;
        ensure!(http["usage"]["prompt_tokens"] == usage.prompt_tokens, "{usage:?}");
    }
    for (request, says) in [
        (documents(&[]), "1 to 1000 strings"),
        (documents(&["a"; 1001]), "1 to 1000 strings"),
        (
            v1::RerankRequest {
                top_n: Some(0),
                ..documents(&texts)
            },
            "\"top_n\" must be",
        ),
    ] {
        refused(
            client.rerank(request).await,
            Code::InvalidArgument,
            "invalid_field",
            says,
        )?;
    }
    let answer = client.embed(v1::EmbedRequest::default()).await;
    refused(
        answer,
        Code::Unimplemented,
        "wrong_task",
        "serves task Rerank, not Embed",
    )
}
