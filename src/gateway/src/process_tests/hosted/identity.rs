//! Azure by workload identity: a ServiceAccount's token for one of Entra's, and that for an answer.

use std::sync::Mutex;

use axum::{
    body::Body,
    http::{Response, StatusCode},
};
use rstest::rstest;
use serde_json::{Value, json};

use super::{ANSWER, CHAT, gateway, refused, within};
use crate::{
    hosted::NoKey,
    testing::{TestGateway, Worker},
};

async fn asking(azure: &Worker, entra: &Worker) -> TestGateway {
    let identity = json!({"clientId": "client", "tenantId": "tenant", "serviceAccountName": "asker"});
    let provider = json!({"azureOpenAI": {
        "endpoint": format!("http://{}", azure.address), "deployment": "d", "apiVersion": "2024-10-21",
        "workloadIdentity": identity,
    }});
    let gateway = gateway(provider, |timing| timing.provider = Some(entra.address)).await;
    gateway.secrets.set("asker", Ok("token-of-asker"));
    gateway
}

/// Issues a token after the other.
async fn entra() -> Worker {
    let number = Mutex::new(0);
    Worker::start(move || {
        let mut number = number.lock().unwrap();
        *number += 1;
        let token = json!({"token_type": "Bearer", "expires_in": 3599, "access_token": format!("entra-{number}")});
        Response::new(Body::from(token.to_string()))
    })
    .await
}

/// What Azure was shown.
fn shown(azure: &Worker) -> Vec<String> {
    let received = azure.received();
    assert!(received.iter().all(|it| it.headers.get("api-key").is_none()));
    let shown = received.iter().map(|it| it.headers["authorization"].to_str().unwrap());
    shown.map(Into::into).collect()
}

#[tokio::test]
async fn a_token_is_exchanged_once_and_shown() {
    let azure = Worker::answering(StatusCode::OK, "application/json", ANSWER).await;
    let entra = entra().await;
    let gateway = asking(&azure, &entra).await;
    for _ in 0..2 {
        assert_eq!(within(gateway.chat(CHAT)).await.status(), 200);
    }
    assert_eq!(shown(&azure), ["Bearer entra-1", "Bearer entra-1"]);
    let exchanges = entra.received();
    assert_eq!(exchanges.len(), 1);
    assert_eq!(exchanges[0].path, "/tenant/oauth2/v2.0/token");
    for field in [
        "grant_type=client_credentials",
        "client_id=client",
        "client_assertion=token-of-asker",
        "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer",
        "scope=https%3A%2F%2Fcognitiveservices.azure.com%2F.default",
    ] {
        assert!(
            exchanges[0].body.split('&').any(|it| it == field),
            "{}",
            exchanges[0].body
        );
    }
}

#[tokio::test]
async fn a_token_that_azure_refuses_is_exchanged_anew() {
    let answers = Mutex::new([401].into_iter());
    let azure = Worker::start(move || {
        let status = answers.lock().unwrap().next().unwrap_or(200);
        Response::builder().status(status).body(Body::from(ANSWER)).unwrap()
    });
    let (azure, entra) = (azure.await, entra().await);
    let gateway = asking(&azure, &entra).await;
    assert_eq!(within(gateway.chat(CHAT)).await.status(), 200);
    assert_eq!(shown(&azure), ["Bearer entra-1", "Bearer entra-2"]);
}

#[rstest]
#[case(NoKey::Forbidden, "serviceaccounts/token and resourceNames [asker]")]
#[case(NoKey::NoSecret, "does not exist: create it")]
#[case(NoKey::Unavailable, "the Kubernetes API server or Microsoft Entra does not answer")]
#[tokio::test]
async fn without_a_token_of_the_account_nobody_is_asked(#[case] why: NoKey, #[case] text: &str) {
    let azure = Worker::answering(StatusCode::OK, "application/json", ANSWER).await;
    let entra = entra().await;
    let gateway = asking(&azure, &entra).await;
    gateway.secrets.set("asker", Err(why));
    let message = refused(within(gateway.chat(CHAT)).await, 503, "provider_credentials").await;
    assert!(message.contains(text), "{message}");
    assert!(azure.received().is_empty() && entra.received().is_empty());
}

#[rstest]
#[case::no_federation(401, json!({"error_description": "AADSTS70021: No record for token-of-asker"}), "(AADSTS70021)")]
#[case::no_tenant(400, json!({"error": "invalid_request"}), "(no code)")]
#[case::an_outage(503, json!({}), "try again")]
#[case::no_token(200, json!({"expires_in": 10}), "try again")]
#[case::a_redirect(302, json!({}), "try again")]
#[tokio::test]
async fn what_entra_refuses_is_told_without_the_token(#[case] status: u16, #[case] body: Value, #[case] text: &str) {
    let azure = Worker::answering(StatusCode::OK, "application/json", ANSWER).await;
    let entra = Worker::start(move || {
        let builder = Response::builder()
            .status(status)
            .header("location", "http://127.0.0.1:9/");
        builder.body(Body::from(body.to_string())).unwrap()
    });
    let entra = entra.await;
    let gateway = asking(&azure, &entra).await;
    let message = refused(within(gateway.chat(CHAT)).await, 503, "provider_credentials").await;
    assert!(
        message.contains(text) && !message.contains("token-of-asker"),
        "{message}"
    );
    assert!(azure.received().is_empty());
}
