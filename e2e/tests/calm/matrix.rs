//! Who may ask what: each kind of principal against each kind of name.

use anyhow::{Result, ensure};
use api::conditions::types;
use atelier_e2e::gateway::{self, Gateway, question};
use atelier_e2e::namespace::ASKER;
use atelier_e2e::{Model, Namespace, model, wait, with_namespace};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, Role, RoleBinding};
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const RBAC: &str = "rbac.authorization.k8s.io";
/// Where the local cluster's gateway looks for API keys.
const KEYS: &str = "atelier-api-keys";

/// Status codes of a principal's requests, in the order of [`names`].
type Expected = [u16; 7];

const MAY_ALL: Expected = [200, 503, 503, 404, 404, 404, 404];
const MAY_NONE: Expected = [403; 7];

/// A model that serves, one that is off, one of another namespace, and names of things that do not exist.
fn names(first: &Namespace, second: &Namespace) -> [String; 7] {
    let (a, b) = (&first.name, &second.name);
    [
        format!("{a}/m"),
        format!("{a}/off"),
        format!("{b}/off"),
        format!("{a}/m:nothing"),
        format!("{a}/m@v-0000000000"),
        format!("{a}/nothing"),
        format!("{b}/nothing"),
    ]
}

fn account(namespace: &Namespace, name: &str) -> Value {
    json!({"kind": "ServiceAccount", "name": name, "namespace": namespace.name})
}

fn group(name: &str) -> Value {
    json!({"apiGroup": RBAC, "kind": "Group", "name": name})
}

fn binding(name: &str, kind: &str, role: &str, subject: Value) -> Value {
    json!({
        "metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC, "kind": kind, "name": role},
        "subjects": [subject],
    })
}

async fn principal(namespace: &Namespace, name: &str) -> Result<Gateway> {
    if name != ASKER {
        namespace
            .create_object::<ServiceAccount>(json!({"metadata": {"name": name}}))
            .await?;
    }
    let token = gateway::token(&namespace.client, &namespace.name, name, &[api::names::AUDIENCE]).await?;
    Gateway::new(Some(token))
}

async fn status(gateway: &Gateway, name: &str) -> Result<u16> {
    let body = question(name, "Say yes.", 1, false);
    Ok(gateway.send("/v1/chat/completions", &body).await?.0.as_u16())
}

#[tokio::test]
async fn every_kind_of_principal_may_ask_what_is_bound_to_it_and_nothing_else() -> Result<()> {
    with_namespace("matrix-a", async |first| {
        with_namespace("matrix-b", async |second| {
            let api_key = format!("atl-{}", first.name);
            let outcome = matrix(&first, &second, &api_key).await;
            // What lies outside of the namespaces is removed in any case.
            let everywhere = Api::<ClusterRoleBinding>::all(first.client.clone());
            let gone = everywhere.delete(&first.name, &DeleteParams::default()).await;
            let keys = Api::<Secret>::namespaced(first.client.clone(), KEYS);
            let revoked = keys.delete(&first.name, &DeleteParams::default()).await;
            outcome?;
            gone?;
            revoked?;
            Ok(())
        })
        .await
    })
    .await
}

async fn matrix(first: &Namespace, second: &Namespace, api_key: &str) -> Result<()> {
    let model = Model::create(first, "m", model::bundled()).await?;
    for namespace in [first, second] {
        let mut off = model::bundled();
        off["replicas"] = json!(0);
        let off = Model::create(namespace, "off", off).await?;
        off.condition(types::SERVING, "False", "ScaledToZero").await?;
    }
    model.ready().await?;

    let narrow = principal(first, "narrow").await?;
    let rules =
        json!([{"apiGroups": ["atelier.dev"], "resources": ["llmmodels"], "resourceNames": ["m"], "verbs": ["infer"]}]);
    first
        .create_object::<Role>(json!({"metadata": {"name": "narrow"}, "rules": rules}))
        .await?;
    first
        .create_object::<RoleBinding>(binding("narrow", "Role", "narrow", account(first, "narrow")))
        .await?;
    let reader = principal(first, "reader").await?;
    let rules = json!([{"apiGroups": ["atelier.dev"], "resources": ["llmmodels"], "verbs": ["get", "list", "watch", "update"]}]);
    first
        .create_object::<Role>(json!({"metadata": {"name": "reader"}, "rules": rules}))
        .await?;
    first
        .create_object::<RoleBinding>(binding("reader", "Role", "reader", account(first, "reader")))
        .await?;
    let guests = group(&format!("system:serviceaccounts:{}", second.name));
    first
        .create_object::<RoleBinding>(binding("guests", "ClusterRole", "atelier-infer", guests))
        .await?;
    let everywhere = principal(first, "everywhere").await?;
    let bound = binding(
        &first.name,
        "ClusterRole",
        "atelier-infer",
        account(first, "everywhere"),
    );
    Api::<ClusterRoleBinding>::all(first.client.clone())
        .create(&PostParams::default(), &serde_json::from_value(bound)?)
        .await?;
    let bot = Gateway::new(Some(api_key.to_owned()))?;
    let bots = format!("bots-of-{}", first.name);
    let secret: Secret = serde_json::from_value(json!({
        "metadata": {"name": first.name},
        "type": "atelier.dev/api-key",
        "stringData": {"sha256": hex::encode(Sha256::digest(api_key)), "user": "bot", "groups": bots},
    }))?;
    Api::<Secret>::namespaced(first.client.clone(), KEYS)
        .create(&PostParams::default(), &secret)
        .await?;
    second
        .create_object::<RoleBinding>(binding("bots", "ClusterRole", "atelier-infer", group(&bots)))
        .await?;

    let nobody = principal(first, "nobody").await?;
    let table: [(&str, &Gateway, Expected); 7] = [
        (
            "bound in its namespace",
            &first.gateway().await?,
            [200, 503, 403, 404, 404, 404, 403],
        ),
        ("bound to one model", &narrow, [200, 403, 403, 404, 404, 403, 403]),
        ("bound by its group, too", &second.gateway().await?, MAY_ALL),
        ("bound in all namespaces", &everywhere, MAY_ALL),
        ("an API key of a group", &bot, [403, 403, 503, 403, 403, 403, 404]),
        ("with other verbs", &reader, MAY_NONE),
        ("bound to nothing", &nobody, MAY_NONE),
    ];
    let names = names(first, second);
    for (who, gateway, expected) in table {
        for (name, expected) in names.iter().zip(expected) {
            // A decision of before the binding holds for ten seconds.
            wait::until(&format!("{who} to get {expected} for {name}"), async || {
                Ok((status(gateway, name).await? == expected).then_some(()))
            })
            .await?;
        }
    }
    ensure!(nobody.models().await?.is_empty() && reader.models().await?.is_empty());

    // What is taken away is gone soon, and a key at once.
    first
        .api::<RoleBinding>()
        .delete("narrow", &DeleteParams::default())
        .await?;
    wait::until("the narrow binding to be gone", async || {
        Ok((status(&narrow, &names[0]).await? == StatusCode::FORBIDDEN).then_some(()))
    })
    .await
}
