//! The gRPC API, by real clients.

use anyhow::{Context as _, Result, ensure};
use rpc::v1::{self, FinishReason, generate_request::Prompt, inference_client::InferenceClient};
use tonic::{Code, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::support::Worker;

const SERVICE: &str = "atelier.v1.Inference";

async fn connect(worker: &Worker) -> Result<Channel> {
    let channel = Channel::from_shared(worker.grpc())?.connect().await;
    channel.context("failed to connect")
}

fn greedy() -> Option<v1::Sampling> {
    Some(v1::Sampling {
        temperature: Some(0.0),
        ..Default::default()
    })
}

pub fn question() -> v1::ChatRequest {
    v1::ChatRequest {
        model: "m".into(),
        messages: vec![v1::Message {
            role: "user".into(),
            content: "Name the capital city of France.".into(),
            ..Default::default()
        }],
        sampling: greedy(),
        ..Default::default()
    }
}

fn continuation(text: &str, max_tokens: u32) -> v1::GenerateRequest {
    v1::GenerateRequest {
        model: "m".into(),
        prompt: Some(Prompt::Text(text.into())),
        max_tokens: Some(max_tokens),
        sampling: greedy(),
        ..Default::default()
    }
}

#[tokio::test]
async fn answers_are_those_of_http() -> Result<()> {
    let worker = Worker::start(&[]).await?;
    let mut client = InferenceClient::new(connect(&worker).await?);

    let answer = client.chat(question()).await?.into_inner();
    let message = answer.choices[0].message.as_ref().context("no message")?;
    ensure!(message.content == "The capital city of France is Paris.", "{answer:?}");
    ensure!(answer.choices[0].finish_reason() == FinishReason::Stop, "{answer:?}");
    let usage = answer.usage.context("no usage")?;
    ensure!((usage.prompt_tokens, usage.completion_tokens) == (37, 8), "{usage:?}");
    ensure!(
        usage.mean_nll.is_some_and(|mean| (0.0..1.0).contains(&mean)),
        "{usage:?}"
    );

    let mut stream = client.chat_stream(question()).await?.into_inner();
    let (mut text, mut finish, mut last) = (String::new(), FinishReason::Unspecified, None);
    while let Some(chunk) = stream.message().await? {
        if let Some(delta) = &chunk.choice {
            text.push_str(&delta.content);
            finish = delta.finish_reason();
        }
        last = Some(chunk);
    }
    ensure!(text == message.content && finish == FinishReason::Stop, "{text:?}");
    let last = last.and_then(|chunk| chunk.usage).context("no usage")?;
    ensure!(last.completion_tokens == 8, "{last:?}");

    let mut request = continuation("The capital of France is", 2);
    request.logprobs = Some(1);
    let answer = client.generate(request.clone()).await?.into_inner();
    ensure!(answer.choices[0].text == " Paris.", "{answer:?}");
    let chosen = answer.choices[0].logprobs[0].chosen.as_ref().context("no logprob")?;
    ensure!(chosen.token == b" Paris" && chosen.logprob < 0.0, "{chosen:?}");

    // That token forbidden, and then nothing but it.
    for (bias, expected) in [(-100.0, false), (100.0, true)] {
        let mut request = request.clone();
        let sampling = request.sampling.get_or_insert_default();
        (sampling.logit_bias, sampling.temperature) = ([(chosen.id, bias)].into(), Some(1.0));
        let biased = client.generate(request).await?.into_inner();
        let text = &biased.choices[0].text;
        ensure!(
            (text == " Paris Paris") == expected && text.contains("Paris") == expected,
            "{text:?}"
        );
    }

    let mut request = continuation("Choose:", 9);
    request.constraint = Some(v1::Constraint {
        form: Some(v1::constraint::Form::Choice(v1::Choices {
            choices: vec!["left".into(), "right".into()],
        })),
    });
    let mut stream = client.generate_stream(request).await?.into_inner();
    let mut text = String::new();
    while let Some(chunk) = stream.message().await? {
        text.push_str(chunk.choice.map_or(String::new(), |choice| choice.text).as_str());
    }
    ensure!(text == "left" || text == "right", "{text:?}");

    let models = client.list_models(v1::ListModelsRequest {}).await?.into_inner().models;
    ensure!(
        models.len() == 1 && models[0].id == "m" && models[0].max_model_len == 512,
        "{models:?}"
    );

    let failed = client
        .embed(v1::EmbedRequest::default())
        .await
        .err()
        .context("it embeds")?;
    ensure!(
        failed.code() == Code::Unimplemented && failed.message().contains("task Generate"),
        "{failed}"
    );
    let mut other = question();
    other.model = "x".into();
    let failed = client.chat(other).await.err().context("it has x")?;
    ensure!(
        failed.code() == Code::NotFound && failed.message().contains("\"x\""),
        "{failed}"
    );
    let mut hot = question();
    hot.sampling.get_or_insert_default().temperature = Some(3.0);
    let failed = client.chat_stream(hot).await.err().context("it is hot")?;
    ensure!(
        failed.code() == Code::InvalidArgument && failed.message().contains("\"temperature\" must be"),
        "{failed}"
    );
    let huge = continuation(&" ".repeat(9 << 20), 1);
    let failed = client.generate(huge).await.err().context("it is huge")?;
    ensure!(failed.code() == Code::OutOfRange, "{failed}");
    Ok(())
}

#[tokio::test]
async fn who_hangs_up_makes_room_and_who_drains_says_so() -> Result<()> {
    let worker = Worker::start(&["--max-concurrent-sequences", "1", "--max-queue", "0"]).await?;
    let channel = connect(&worker).await?;
    let (mut client, mut health) = (
        InferenceClient::new(channel.clone()),
        HealthClient::new(channel.clone()),
    );

    let story = continuation("Once upon a time", 400);
    let first = client.generate_stream(story.clone()).await?;
    let refused = client.generate(story.clone()).await.err().context("there is room")?;
    ensure!(refused.code() == Code::ResourceExhausted, "{refused}");
    ensure!(
        refused
            .metadata()
            .get("x-atelier-code")
            .is_some_and(|code| code == "queue_full")
    );
    drop(first);
    let mut tries = 0;
    let mut stream = loop {
        match client.generate_stream(continuation("Once upon a time", 60)).await {
            Ok(stream) => break stream.into_inner(),
            Err(status) => ensure!(status.code() == Code::ResourceExhausted, "{status}"),
        }
        tries += 1;
        ensure!(tries < 10_000, "the abandoned answer is still computed");
    };

    let request = |service: &str| HealthCheckRequest {
        service: service.into(),
    };
    let mut states = health.watch(request(SERVICE)).await?.into_inner();
    let state = states.message().await?.context("no state")?;
    ensure!(state.status() == ServingStatus::Serving, "{state:?}");
    ensure!(health.check(request("")).await?.into_inner().status() == ServingStatus::Serving);

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
    let names: Vec<&str> = services.service.iter().map(|service| service.name.as_str()).collect();
    ensure!(
        names.contains(&SERVICE) && names.contains(&"grpc.health.v1.Health"),
        "{names:?}"
    );

    worker.terminate()?;
    let state = states.message().await?.context("no state")?;
    ensure!(state.status() == ServingStatus::NotServing, "{state:?}");
    drop(states);
    let mut last = None;
    while let Some(chunk) = stream.message().await? {
        last = Some(chunk);
    }
    let usage = last.and_then(|chunk| chunk.usage).context("the answer broke off")?;
    ensure!(usage.completion_tokens == 60, "{usage:?}");
    ensure!(worker.exit_code().await? == Some(0));
    Ok(())
}
