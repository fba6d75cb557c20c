//! Models that somebody else hosts.

use anyhow::{Result, ensure};
use api::conditions::types;
use atelier_e2e::gateway::{self, Gateway};
use atelier_e2e::hosted::{Hosted, MODEL, let_the_gateway_read};
use atelier_e2e::{Model, Namespace, kubectl, wait, with_namespace};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::api::{Patch, PatchParams};
use reqwest::StatusCode;
use serde_json::{Value, json};

const KEY: &str = "sk-of-this-test";

/// Asks until the answer has this status, and returns it: the gateway looks at Secrets again after a moment.
async fn until(gateway: &Gateway, model: &Model, status: StatusCode, code: &str) -> Result<Value> {
    wait::until(&format!("an answer with {status} {code}"), async || {
        let (got, body) = gateway.chat(&model.address(), "Hello").await?;
        let has_code = body["error"]["code"].as_str().unwrap_or_default() == code;
        Ok((got == status && has_code).then_some(body))
    })
    .await
}

#[tokio::test]
async fn a_hosted_model_answers_with_a_key_from_a_secret() -> Result<()> {
    with_namespace("hosted", async |namespace| {
        let hosted = Hosted::start(KEY).await?;
        let model = Model::create(&namespace, "m", hosted.spec()).await?;
        let ready = model.condition(types::READY, "True", "Serving").await?;
        ensure!(ready.message.contains("Secret keys"), "{}", ready.message);
        let asker = namespace.gateway().await?;

        // Without the right to read it, and then without the Secret.
        let body = until(&asker, &model, StatusCode::SERVICE_UNAVAILABLE, "provider_credentials").await?;
        let told = body["error"]["message"].as_str().unwrap_or_default().to_owned();
        for part in [&*model.address(), "\"keys\"", "gateway.providerSecrets.namespaces"] {
            ensure!(told.contains(part), "{part:?} is not in {told:?}");
        }
        let_the_gateway_read(&namespace).await?;
        wait::until("the gateway to miss the Secret", async || {
            let (_, body) = asker.chat(&model.address(), "Hello").await?;
            let told = body["error"]["message"].as_str().unwrap_or_default();
            Ok(told.contains("does not exist").then_some(()))
        })
        .await?;

        let secret = json!({"metadata": {"name": "keys"}, "stringData": {"api": KEY}});
        namespace.create_object::<Secret>(secret).await?;
        let answer = until(&asker, &model, StatusCode::OK, "").await?;
        ensure!(answer["model"] == model.address(), "{answer}");
        ensure!(answer["choices"][0]["message"]["content"] == "Hello there", "{answer}");
        let streamed = asker.stream(&model.address(), "Hello", 16).await?;
        ensure!(streamed.done && streamed.text == "Hello there", "{streamed:?}");
        let seen = hosted.seen();
        ensure!(
            seen.len() >= 2 && seen.iter().all(|it| it["model"] == MODEL),
            "{seen:?}"
        );

        wrong_key(&hosted, &namespace, &asker).await
    })
    .await
}

/// Another model, whose key the service does not know until it is changed.
async fn wrong_key(hosted: &Hosted, namespace: &Namespace, asker: &Gateway) -> Result<()> {
    let mut spec = hosted.spec();
    spec["source"]["provider"]["openAICompatible"]["credentialsSecretRef"]["name"] = "other".into();
    let secret = json!({"metadata": {"name": "other"}, "stringData": {"api": "sk-wrong"}});
    namespace.create_object::<Secret>(secret).await?;
    let other = Model::create(namespace, "other", spec).await?;
    other.condition(types::READY, "True", "Serving").await?;
    let body = until(asker, &other, StatusCode::BAD_GATEWAY, "provider_refused_key").await?;
    ensure!(!body.to_string().contains("sk-"), "{body}");
    // What the service refuses is read again at once.
    let change = json!({"stringData": {"api": KEY}});
    let secrets = namespace.api::<Secret>();
    secrets
        .patch("other", &PatchParams::default(), &Patch::Merge(change))
        .await?;
    let answer = asker.ask(&other.address(), "Hello").await?;
    ensure!(answer == "Hello there", "{answer}");
    Ok(())
}

#[tokio::test]
async fn a_hosted_model_reads_truthfully_and_has_no_children() -> Result<()> {
    with_namespace("hosted-reads", async |namespace| {
        let hosted = Hosted::start(KEY).await?;
        let model = Model::create(&namespace, "m", hosted.spec()).await?;
        model.condition(types::READY, "True", "Serving").await?;
        let children = namespace.children().await?;
        ensure!(children.is_empty(), "{children:?}");
        let args = ["get", "llm", "m", "--namespace", &namespace.name];
        let printed = kubectl::succeed(&args, "").await?;
        let row = printed.lines().nth(1).unwrap_or_default();
        ensure!(
            row.contains("Serving") && row.contains("http://atelier-gateway."),
            "{printed}"
        );
        // No version and no pods: the columns are empty, and not zero of one.
        ensure!(!row.contains("v-") && !row.contains("0/"), "{printed}");

        namespace
            .create_object::<ServiceAccount>(json!({"metadata": {"name": "stranger"}}))
            .await?;
        let token = gateway::token(&namespace.client, &namespace.name, "stranger", &[api::names::AUDIENCE]).await?;
        let stranger = Gateway::new(Some(token))?;
        let unknown = format!("{}/x", namespace.name);
        let (status, forbidden) = stranger.chat(&model.address(), "Hello").await?;
        ensure!(status == StatusCode::FORBIDDEN, "{status} {forbidden}");
        let (status, other) = stranger.chat(&unknown, "Hello").await?;
        ensure!(status == StatusCode::FORBIDDEN, "{status} {other}");
        let replaced = other.to_string().replace(&unknown, &model.address());
        ensure!(replaced == forbidden.to_string()[..], "{replaced}\n{forbidden}");

        // What makes no sense with it is refused by name, here by the operator.
        model
            .patch(json!({"spec": {"prompt": {"system": "Be brief."}}}))
            .await?;
        let message = model.not_ready("NotSupported").await?;
        ensure!(message.contains("spec.prompt with spec.source.provider"), "{message}");
        let asker = namespace.gateway().await?;
        until(&asker, &model, StatusCode::SERVICE_UNAVAILABLE, "model_not_ready").await?;
        ensure!(hosted.seen().is_empty());
        Ok(())
    })
    .await
}
