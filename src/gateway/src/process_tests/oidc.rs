//! Tokens of another identity provider, which publishes its keys on loopback.

use std::{
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{KeyPair, PublicKeyData};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{CHAT, behind_tls::Certified, refused, within};
use crate::{
    oidc::Issuers,
    testing::{TestGateway, Worker},
};

/// An identity provider.
struct Provider {
    issuer: String,
    published: Published,
}

/// Its keys; `None` while it is down.
type Published = Arc<Mutex<Option<Vec<Value>>>>;

/// A key of its own, by id.
struct Key {
    id: &'static str,
    pair: KeyPair,
}

impl Key {
    fn new(id: &'static str) -> Self {
        Self {
            id,
            pair: KeyPair::generate().unwrap(),
        }
    }

    /// What it publishes: a point of P-256, after a byte that says so.
    fn public(&self) -> Value {
        let point = self.pair.der_bytes();
        let part = |range| URL_SAFE_NO_PAD.encode(&point[range]);
        let (x, y) = (part(1..33), part(33..65));
        json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.id, "x": x, "y": y})
    }

    fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.id.into());
        let key = EncodingKey::from_ec_der(&self.pair.serialize_der());
        encode(&header, claims, &key).unwrap()
    }
}

impl Provider {
    async fn start(keys: &[&Key]) -> Self {
        Self::behind(None, keys).await
    }

    /// One that speaks TLS, if it has a certificate.
    async fn behind(certified: Option<&Certified>, keys: &[&Key]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if certified.is_some() { "https" } else { "http" };
        let issuer = format!("{scheme}://{}", listener.local_addr().unwrap());
        let published: Published = Published::default();
        let discovery = json!({"issuer": issuer, "jwks_uri": format!("{issuer}/keys")});
        let published_keys = async |State(published): State<Published>| {
            let keys = published.lock().unwrap().clone();
            keys.map(|keys| Json(json!({"keys": keys})))
                .ok_or(StatusCode::SERVICE_UNAVAILABLE)
        };
        let router = Router::new()
            .route(
                "/.well-known/openid-configuration",
                get(async move || Json(discovery.clone())),
            )
            .route("/keys", get(published_keys))
            .with_state(published.clone());
        match certified {
            Some(certified) => certified.serve(listener, router),
            None => drop(tokio::spawn(axum::serve(listener, router).into_future())),
        }
        let this = Self { issuer, published };
        this.publish(keys);
        this
    }

    fn publish(&self, keys: &[&Key]) {
        // Kinds of keys that nobody here knows are passed over.
        let others = [json!({"kty": "new", "kid": "other"})];
        let keys = keys.iter().map(|key| key.public()).chain(others);
        *self.published.lock().unwrap() = Some(keys.collect());
    }

    fn go_down(&self) {
        *self.published.lock().unwrap() = None;
    }

    /// Jane's claims, which are good for five minutes.
    fn claims(&self) -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        json!({"iss": self.issuer, "aud": ["atelier"], "sub": "jane", "exp": now + 300, "groups": ["staff"]})
    }

    /// A gateway that trusts it, and whose users have no prefix: its jane is the one who may use everything in `ns`.
    async fn gateway(&self, worker: &Worker) -> TestGateway {
        let settings = json!([{"issuer": self.issuer, "audience": "atelier", "usernamePrefix": ""}]);
        let issuers = Issuers::new(serde_json::from_value(settings).unwrap()).unwrap();
        TestGateway::start(&[worker], |timing| timing.issuers = issuers).await
    }
}

#[tokio::test]
async fn an_issuer_may_have_an_authority_of_its_own() {
    let (key, certified) = (Key::new("1"), Certified::new("127.0.0.1"));
    let provider = Provider::behind(Some(&certified), &[&key]).await;
    let worker = worker().await;
    let ask_trusting = async |pem: &str| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), pem).unwrap();
        let settings = json!([{
            "issuer": provider.issuer, "audience": "atelier", "usernamePrefix": "", "caFile": file.path(),
        }]);
        let issuers = Issuers::new(serde_json::from_value(settings).unwrap()).unwrap();
        let gateway = TestGateway::start(&[&worker], |timing| timing.issuers = issuers).await;
        ask(&gateway, &key.sign(&provider.claims())).await
    };
    assert_eq!(ask_trusting(&certified.pem).await.status(), StatusCode::OK);
    let other = Certified::new("127.0.0.1").pem;
    refused(ask_trusting(&other).await, 503, "authentication_unavailable").await;
}

async fn worker() -> Worker {
    Worker::answering(StatusCode::OK, "application/json", "{}").await
}

async fn ask(gateway: &TestGateway, token: &str) -> reqwest::Response {
    let request = gateway
        .client
        .post(format!("http://{}/v1/chat/completions", gateway.address))
        .bearer_auth(token)
        .body(CHAT);
    within(request.send()).await.unwrap()
}

#[tokio::test]
async fn a_token_of_a_trusted_issuer_is_as_good_as_kubernetes_own() {
    let key = Key::new("1");
    let provider = Provider::start(&[&key]).await;
    let worker = worker().await;
    let gateway = provider.gateway(&worker).await;
    let token = key.sign(&provider.claims());
    for _ in 0..3 {
        assert_eq!(ask(&gateway, &token).await.status(), StatusCode::OK);
    }
    assert_eq!(
        gateway.reviewer.token_reviews(),
        0,
        "no such token goes to the API server"
    );
    let mut claims = provider.claims();
    claims["sub"] = "joe".into();
    refused(ask(&gateway, &key.sign(&claims)).await, 403, "model_forbidden").await;
    // Kubernetes' own tokens go on to work.
    assert_eq!(within(gateway.chat(CHAT)).await.status(), StatusCode::OK);
}

#[rstest]
#[case::audience("aud", json!("elsewhere"))]
#[case::no_audience("aud", Value::Null)]
#[case::expired("exp", json!(1_000_000_000))]
#[case::no_end("exp", Value::Null)]
#[case::not_yet("nbf", json!(9_000_000_000_u64))]
#[case::no_user("sub", json!(""))]
#[case::reserved("sub", json!("system:admin"))]
#[tokio::test]
async fn a_token_with_a_wrong_claim_is_refused(#[case] claim: &str, #[case] value: Value) {
    let key = Key::new("1");
    let provider = Provider::start(&[&key]).await;
    let worker = worker().await;
    let gateway = provider.gateway(&worker).await;
    let mut claims = provider.claims();
    match value {
        Value::Null => drop(claims.as_object_mut().unwrap().remove(claim)),
        value => claims[claim] = value,
    }
    let message = refused(ask(&gateway, &key.sign(&claims)).await, 401, "invalid_api_key").await;
    assert!(message.contains(&provider.issuer), "{message}");
    assert!(worker.received().is_empty());
}

#[tokio::test]
async fn nobody_else_can_sign() {
    let (key, foreign) = (Key::new("1"), Key::new("1"));
    let provider = Provider::start(&[&key]).await;
    let worker = worker().await;
    let gateway = provider.gateway(&worker).await;
    let claims = provider.claims();
    let good = key.sign(&claims);
    let [header, payload, _] = good.split('.').collect::<Vec<_>>()[..] else {
        panic!("{good}");
    };
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    // Signed with what everybody can read, as if it were a secret.
    let public = key.public().to_string();
    let symmetric = EncodingKey::from_secret(public.as_bytes());
    let mut hmac = Header::new(Algorithm::HS256);
    hmac.kid = Some("1".into());
    for token in [
        foreign.sign(&claims),
        format!("{header}.{payload}."),
        format!("{none}.{payload}."),
        encode(&hmac, &claims, &symmetric).unwrap(),
    ] {
        refused(ask(&gateway, &token).await, 401, "invalid_api_key").await;
    }
    assert!(worker.received().is_empty());
}

#[tokio::test]
async fn a_new_key_is_found_and_an_old_one_outlives_an_outage() {
    let (first, second) = (Key::new("1"), Key::new("2"));
    let provider = Provider::start(&[&first]).await;
    provider.go_down();
    let worker = worker().await;
    let gateway = provider.gateway(&worker).await;
    let claims = provider.claims();
    let down = refused(
        ask(&gateway, &first.sign(&claims)).await,
        503,
        "authentication_unavailable",
    )
    .await;
    assert!(down.contains("keys cannot be read"), "{down}");

    // Another gateway, as the first one asks again only after a while.
    provider.publish(&[&first, &second]);
    let gateway = provider.gateway(&worker).await;
    assert_eq!(ask(&gateway, &first.sign(&claims)).await.status(), StatusCode::OK);
    assert_eq!(ask(&gateway, &second.sign(&claims)).await.status(), StatusCode::OK);
    provider.go_down();
    let mut claims = claims;
    claims["jti"] = "another".into();
    assert_eq!(ask(&gateway, &first.sign(&claims)).await.status(), StatusCode::OK);
}
