//! Clients of others, unmodified.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use atelier_e2e::gateway::Gateway;
use atelier_e2e::settings::{self, SYSTEM_NAMESPACE};
use atelier_e2e::{Model, Namespace, model, with_namespace};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};
use tokio::process::Command;

/// Runs a script with what is in `packages`, as a program that asks `model`.
async fn python(script: &str, packages: PathBuf, gateway: &Gateway, model: &Model, embedder: &str) -> Result<()> {
    let output = Command::new("python3")
        .args(["-c", script])
        .env("PYTHONPATH", packages)
        .env("OPENAI_BASE_URL", format!("{}/v1", settings::gateway_url()?))
        .env("OPENAI_API_KEY", gateway.token())
        .env("MODEL", model.address())
        .env("EMBEDDER", embedder)
        .env("NO_PROXY", "*")
        .output()
        .await
        .context("failed to start python3")?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{stdout}{stderr}");
    ensure!(stdout.trim_end().ends_with("all good"), "{stdout}{stderr}");
    Ok(())
}

async fn served(namespace: &Namespace) -> Result<(Model, Gateway)> {
    let model = Model::create(namespace, "m", model::bundled()).await?;
    model.ready().await?;
    Ok((model, namespace.gateway().await?))
}

#[tokio::test]
async fn the_python_client_lists_chats_streams_and_completes() -> Result<()> {
    with_namespace("openai", async |namespace| {
        let (model, gateway) = served(&namespace).await?;
        let script = include_str!("openai_client.py");
        python(script, settings::openai_package()?, &gateway, &model, "").await
    })
    .await
}

#[tokio::test]
#[ignore = "fetches packages of others: cargo xtask e2e calm --peers --case clients_of_others"]
async fn clients_of_others_chat_stream_call_tools_and_embed() -> Result<()> {
    with_namespace("clients", async |namespace| {
        let (model, gateway) = served(&namespace).await?;
        let embedder = Model::create(&namespace, "e", model::encoder()).await?;
        embedder.ready().await?;
        let embedder = embedder.address();
        for (script, packages) in [
            (include_str!("openai_more_client.py"), settings::openai_package()?),
            (include_str!("langchain_client.py"), settings::langchain_package()?),
            (include_str!("litellm_client.py"), settings::litellm_package()?),
        ] {
            python(script, packages, &gateway, &model, &embedder).await?;
        }
        grpcurl(&namespace, &model, &gateway).await
    })
    .await
}

/// A client that knows nothing but what the server says of itself.
async fn grpcurl(namespace: &Namespace, model: &Model, gateway: &Gateway) -> Result<()> {
    let pods = Api::<Pod>::namespaced(namespace.client.clone(), SYSTEM_NAMESPACE);
    let selector = "app.kubernetes.io/name=atelier,app.kubernetes.io/component=gateway";
    let pod = pods.list(&ListParams::default().labels(selector)).await?.items.pop();
    let address = pod
        .and_then(|pod| pod.status?.pod_ip)
        .context("no gateway has an address")?;
    let messages = json!([{"role": "user", "content": "Name the capital city of France."}]);
    let sampling = json!({"temperature": 0});
    let question = json!({"model": model.address(), "messages": messages, "max_tokens": 16, "sampling": sampling});
    let run = async |token: &str| {
        Command::new(settings::grpcurl_program()?)
            .args(["-plaintext", "-H", &format!("authorization: Bearer {token}")])
            .args(["-d", &question.to_string()])
            .arg(format!("{address}:{}", protocol::ports::GATEWAY_GRPC))
            .arg("atelier.v1.Inference/ChatStream")
            .output()
            .await
            .context("failed to start grpcurl")
    };
    let output = run(gateway.token()).await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let chunks = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>();
    let chunks = chunks.collect::<Result<Vec<_>, _>>()?;
    let text: String = chunks
        .iter()
        .filter_map(|chunk| chunk["choice"]["content"].as_str())
        .collect();
    ensure!(text.contains("Paris") && chunks.len() > 2, "{chunks:?}");
    let last = chunks.last().context("nothing was streamed")?;
    ensure!(last["usage"]["completionTokens"].as_u64() > Some(0), "{last}");

    let refused = run("nobody").await?;
    let told = String::from_utf8_lossy(&refused.stderr);
    ensure!(told.contains("Unauthenticated"), "{told}");
    Ok(())
}
