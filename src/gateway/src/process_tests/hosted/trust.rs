//! Providers whose certificates nobody usual vouches for.

use axum::Router;
use rstest::rstest;

use super::{super::behind_tls::Certified, ANSWER, CHAT, gateway, refused, within};
use crate::hosted::NoKey;

fn answering() -> Router {
    Router::new().fallback(async || ([("content-type", "application/json")], ANSWER))
}

fn spec(address: std::net::SocketAddr) -> serde_json::Value {
    serde_json::json!({"openAICompatible": {
        "url": format!("https://{address}/v1"), "model": "theirs", "caSecretRef": {"name": "ca", "key": "ca.crt"},
    }})
}

#[tokio::test]
async fn an_authority_of_one_s_own_is_trusted_where_it_is_named() {
    let (address, pem) = Certified::start("127.0.0.1", answering()).await;
    let trusting = gateway(spec(address), |_| {}).await;
    trusting.secrets.set("ca", Ok(&pem));
    for _ in 0..2 {
        assert_eq!(within(trusting.chat(CHAT)).await.status(), 200);
    }
    assert_eq!(trusting.secrets.reads(), 1);

    let other = gateway(spec(address), |_| {}).await;
    other.secrets.set("ca", Ok(&Certified::new("127.0.0.1").pem));
    refused(within(other.chat(CHAT)).await, 502, "provider_unreachable").await;
    let mut unnamed = spec(address);
    unnamed["openAICompatible"]
        .as_object_mut()
        .unwrap()
        .remove("caSecretRef");
    let unnamed = gateway(unnamed, |_| {}).await;
    refused(within(unnamed.chat(CHAT)).await, 502, "provider_unreachable").await;
}

#[rstest]
#[case(Ok("no certificate"), "PEM")]
#[case(Err(NoKey::NoSecret), "does not exist")]
#[case(Err(NoKey::Forbidden), "gateway.providerSecrets.namespaces")]
#[tokio::test]
async fn certificates_that_cannot_be_used_are_named(#[case] secret: Result<&'static str, NoKey>, #[case] text: &str) {
    let (address, _) = Certified::start("127.0.0.1", answering()).await;
    let gateway = gateway(spec(address), |_| {}).await;
    gateway.secrets.set("ca", secret);
    let message = refused(within(gateway.chat(CHAT)).await, 503, "provider_credentials").await;
    assert!(message.contains("Secret \"ca\"") && message.contains(text), "{message}");
}
