//! API keys, for callers without a ServiceAccount.

use anyhow::{Result, ensure};
use atelier_e2e::gateway::Gateway;
use atelier_e2e::{Model, Namespace, model, wait, with_namespace};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Where the local cluster's gateway looks for them.
const KEYS: &str = "atelier-api-keys";

async fn until(gateway: &Gateway, model: &Model, expected: StatusCode) -> Result<Value> {
    wait::until("the gateway to answer otherwise", async || {
        let (status, body) = gateway.chat(&model.address(), "Say yes.").await?;
        Ok((status == expected).then_some(body))
    })
    .await
}

async fn let_in(namespace: &Namespace, user: &str) -> Result<()> {
    let subject = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user});
    namespace
        .create_object::<RoleBinding>(json!({
            "metadata": {"name": "bot"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "atelier-infer"},
            "subjects": [subject],
        }))
        .await
        .map(drop)
}

#[tokio::test]
async fn an_api_key_works_from_its_creation_until_its_end() -> Result<()> {
    with_namespace("keys", async |namespace| {
        let model = Model::create(&namespace, "m", model::bundled()).await?;
        model.ready().await?;
        // As unique as the namespace, which has a random name.
        let (user, key) = (format!("{}-bot", namespace.name), format!("atl-{}", namespace.name));
        let bot = Gateway::new(Some(key.clone()))?;
        let (status, body) = bot.chat(&model.address(), "Say yes.").await?;
        ensure!(status == StatusCode::UNAUTHORIZED, "{status} {body}");
        ensure!(body["error"]["code"] == "invalid_api_key", "{body}");

        let secrets = Api::<Secret>::namespaced(namespace.client.clone(), KEYS);
        let secret: Secret = serde_json::from_value(json!({
            "metadata": {"name": user},
            "type": "atelier.dev/api-key",
            "stringData": {"sha256": hex::encode(Sha256::digest(&key)), "user": user, "groups": "bots"},
        }))?;
        secrets.create(&PostParams::default(), &secret).await?;
        let outcome = used(&namespace, &model, &bot, &user).await;
        secrets.delete(&user, &DeleteParams::default()).await?;
        outcome?;
        let body = until(&bot, &model, StatusCode::UNAUTHORIZED).await?;
        ensure!(body["error"]["code"] == "invalid_api_key", "{body}");
        ensure!(!body.to_string().contains(&key), "{body}");
        Ok(())
    })
    .await
}

/// Known, and then let in.
async fn used(namespace: &Namespace, model: &Model, bot: &Gateway, user: &str) -> Result<()> {
    let body = until(bot, model, StatusCode::FORBIDDEN).await?;
    ensure!(body["error"]["code"] == "model_forbidden", "{body}");
    let_in(namespace, user).await?;
    until(bot, model, StatusCode::OK).await?;
    Ok(())
}
