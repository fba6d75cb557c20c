//! Who may ask what, and how refusals look.

use anyhow::{Result, ensure};
use atelier_e2e::gateway::{self, Gateway, question, read};
use atelier_e2e::namespace::ASKER;
use atelier_e2e::{Model, Namespace, model, with_namespace};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::api::{DeleteParams, PostParams};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// Status and `error.code` of a chat request.
async fn refusal(gateway: &Gateway, model: &str) -> Result<(StatusCode, String, Value)> {
    let (status, body) = gateway.chat(model, "Hello").await?;
    let code = body["error"]["code"].as_str().unwrap_or_default().to_owned();
    ensure!(
        body["error"]["message"].is_string(),
        "not an error in OpenAI's shape: {body}"
    );
    Ok((status, code, body))
}

#[tokio::test]
async fn only_valid_tokens_for_this_audience_are_let_in() -> Result<()> {
    with_namespace("tokens", async |namespace| {
        let gateway = namespace.gateway().await?;
        let wrong_audience = gateway::token(
            &namespace.client,
            &namespace.name,
            ASKER,
            &["https://elsewhere.example"],
        )
        .await?;
        let altered = format!("{}x", gateway.token());
        let unsigned = {
            let mut parts: Vec<&str> = gateway.token().split('.').collect();
            parts[2] = "";
            parts.join(".")
        };
        for (what, token) in [
            ("no token", None),
            ("an empty token", Some(String::new())),
            ("garbage", Some("garbage".into())),
            ("an altered token", Some(altered)),
            ("an unsigned token", Some(unsigned)),
            ("a token for another audience", Some(wrong_audience)),
            ("a token whose object is gone", Some(orphan_token(&namespace).await?)),
        ] {
            let (status, code, body) = refusal(&gateway.with_token(token), "any/model").await?;
            ensure!(status == StatusCode::UNAUTHORIZED, "{what}: {status} {body}");
            ensure!(code == "invalid_api_key", "{what}: {body}");
        }
        Ok(())
    })
    .await
}

/// A token bound to a Secret that has been deleted since: valid in form and signature, and void.
async fn orphan_token(namespace: &Namespace) -> Result<String> {
    let secret: Secret = namespace.create_object(json!({"metadata": {"name": "bound"}})).await?;
    let request = serde_json::from_value(json!({
        "metadata": {},
        "spec": {
            "audiences": [api::names::AUDIENCE],
            "boundObjectRef": {"apiVersion": "v1", "kind": "Secret", "name": "bound", "uid": secret.metadata.uid},
        },
    }))?;
    let accounts = namespace.api::<ServiceAccount>();
    let token = accounts
        .create_token_request(ASKER, &PostParams::default(), &request)
        .await?;
    namespace
        .api::<Secret>()
        .delete("bound", &DeleteParams::default())
        .await?;
    gateway::issued(token)
}

#[tokio::test]
async fn forbidden_and_unknown_models_look_the_same() -> Result<()> {
    with_namespace("forbidden", async |namespace| {
        let model = Model::create(&namespace, "m", model::bundled()).await?;
        model.ready().await?;
        namespace
            .create_object::<ServiceAccount>(json!({"metadata": {"name": "stranger"}}))
            .await?;
        let token = gateway::token(&namespace.client, &namespace.name, "stranger", &[api::names::AUDIENCE]).await?;
        let stranger = Gateway::new(Some(token))?;
        let (status, code, body) = refusal(&stranger, &model.address()).await?;
        ensure!(
            (status, &code[..]) == (StatusCode::FORBIDDEN, "model_forbidden"),
            "{status} {body}"
        );
        let unknown = format!("{}/x", namespace.name);
        let (status, _, other) = refusal(&stranger, &unknown).await?;
        ensure!(status == StatusCode::FORBIDDEN);
        // But for the name that the caller gave.
        let replaced = other.to_string().replace(&unknown, &model.address());
        let expected = body.to_string();
        ensure!(replaced == expected, "{replaced}\n{expected}");
        ensure!(stranger.models().await?.is_empty());

        let asker = namespace.gateway().await?;
        let (status, code, body) = refusal(&asker, &unknown).await?;
        ensure!(
            (status, &code[..]) == (StatusCode::NOT_FOUND, "model_not_found"),
            "{status} {body}"
        );
        let (status, _, body) = refusal(&asker, "default/smollm2").await?;
        ensure!(
            status == StatusCode::FORBIDDEN,
            "another namespace's model: {status} {body}"
        );
        ensure!(
            !asker.ask("m", "Say yes.").await?.is_empty(),
            "a short name finds the one model the caller may ask"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn bad_requests_are_told_what_is_wrong() -> Result<()> {
    with_namespace("bad-requests", async |namespace| {
        let model = Model::create(&namespace, "m", model::bundled()).await?;
        model.ready().await?;
        let gateway = namespace.gateway().await?;
        let address = model.address();
        let with = |field: &str, value: Value| {
            let mut body = question(&address, "Hello", 8, false);
            body[field] = value;
            body.to_string()
        };
        for (what, body, says) in [
            ("no JSON", "{".to_owned(), "JSON"),
            ("no model", r#"{"messages": []}"#.to_owned(), "model"),
            (
                "a model that is a number",
                r#"{"model": 1, "messages": []}"#.to_owned(),
                "model",
            ),
            ("no messages", json!({"model": address}).to_string(), "messages"),
            (
                "a temperature below zero",
                with("temperature", json!(-1)),
                "temperature",
            ),
            ("a top_p above one", with("top_p", json!(1.5)), "top_p"),
            (
                "more tokens than the context",
                with("max_tokens", json!(100_000)),
                "max_tokens",
            ),
        ] {
            let (status, answer) = read(gateway.post("/v1/chat/completions", body).await?).await?;
            ensure!(status == StatusCode::BAD_REQUEST, "{what}: {status} {answer}");
            let message = answer["error"]["message"].as_str().unwrap_or_default();
            ensure!(message.contains(says), "{what}: {answer}");
        }
        let (status, answer) = read(gateway.get("/v1/nothing").await?).await?;
        ensure!(status == StatusCode::NOT_FOUND, "{answer}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_gigabyte_is_refused_without_being_read() -> Result<()> {
    with_namespace("gigabyte", async |namespace| {
        let gateway = namespace.gateway().await?;
        let piece = bytes::Bytes::from(vec![b' '; 1 << 20]);
        let pieces = futures::stream::iter((0..1024).map(move |_| Ok::<_, std::io::Error>(piece.clone())));
        let response = gateway
            .post("/v1/chat/completions", reqwest::Body::wrap_stream(pieces))
            .await;
        // The gateway may close the connection before it is all sent; if its answer came through, it says 413.
        if let Ok(response) = response {
            ensure!(
                response.status() == StatusCode::PAYLOAD_TOO_LARGE,
                "{}",
                response.status()
            );
        }
        ensure!(gateway.models().await?.is_empty(), "the gateway serves on");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_short_name_in_two_namespaces_is_ambiguous() -> Result<()> {
    with_namespace("twin-a", async |first| {
        with_namespace("twin-b", async |second| {
            for namespace in [&first, &second] {
                // It need not serve to be found.
                let mut spec = model::bundled();
                spec["replicas"] = json!(0);
                Model::create(namespace, "twin", spec).await?;
            }
            second
                .create_object::<k8s_openapi::api::rbac::v1::RoleBinding>(json!({
                    "metadata": {"name": "guest"},
                    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "atelier-infer"},
                    "subjects": [{"kind": "ServiceAccount", "name": ASKER, "namespace": first.name}],
                }))
                .await?;
            let gateway = first.gateway().await?;
            let (status, code, body) = atelier_e2e::wait::until("both models to be known", async || {
                let answer = refusal(&gateway, "twin").await?;
                Ok((answer.1 == "model_ambiguous").then_some(answer))
            })
            .await?;
            ensure!(status == StatusCode::BAD_REQUEST, "{code} {body}");
            let message = body["error"]["message"].as_str().unwrap_or_default();
            for namespace in [&first, &second] {
                ensure!(message.contains(&format!("{}/twin", namespace.name)), "{message}");
            }
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_model_that_is_not_ready_says_when_to_come_back() -> Result<()> {
    with_namespace("not-ready", async |namespace| {
        let mut spec = model::bundled();
        spec["replicas"] = json!(0);
        let model = Model::create(&namespace, "m", spec).await?;
        let gateway = namespace.gateway().await?;
        let response = atelier_e2e::wait::until("the model to be known", async || {
            let body = question(&model.address(), "Hello", 8, false);
            let response = gateway.post("/v1/chat/completions", body.to_string()).await?;
            Ok((response.status() != StatusCode::NOT_FOUND).then_some(response))
        })
        .await?;
        ensure!(
            response.headers().contains_key("retry-after"),
            "{:?}",
            response.headers()
        );
        let (status, body) = read(response).await?;
        ensure!(status == StatusCode::SERVICE_UNAVAILABLE, "{status} {body}");
        ensure!(body["error"]["code"] == "model_not_ready", "{body}");
        Ok(())
    })
    .await
}
