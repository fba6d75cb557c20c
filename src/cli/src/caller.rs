//! Somebody who calls the gateway.

use anyhow::{Context as _, Result, bail, ensure};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, Request,
    body::{Bytes, Incoming},
    client::conn::http1,
    header,
};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{Api, api::PostParams};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    args::As,
    cluster::{Cluster, told},
    gateway::GatewayPod,
};

/// The media type of JSON.
const JSON: &str = "application/json";

/// A gateway, and what shows it who calls.
pub struct Caller {
    gateway: GatewayPod,
    token: String,
}

impl Caller {
    /// As the options say; ServiceAccounts are those of `namespace`.
    ///
    /// # Errors
    /// When no gateway is there to be called, or nobody to call it.
    pub async fn new(cluster: &Cluster, namespace: &str, options: &As) -> Result<Self> {
        let gateway = GatewayPod::find(&cluster.client, &options.system_namespace).await?;
        ensure!(
            gateway.option("--tls-cert-file").is_none(),
            "this gateway speaks TLS, with a certificate for another name than its pod's: ask it at its own address"
        );
        let token = token(cluster, namespace, options, &gateway).await?;
        Ok(Self { gateway, token })
    }

    /// The body of a good answer to JSON.
    ///
    /// # Errors
    /// With what the gateway says where it does not give one.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Incoming> {
        self.send(Method::POST, path, JSON, body.to_string().into()).await
    }

    /// A good answer as a whole, to what is sent as `media_type`.
    ///
    /// # Errors
    /// See [`Self::post`].
    pub async fn upload<T: DeserializeOwned>(&self, path: &str, media_type: &str, body: Bytes) -> Result<T> {
        whole(self.send(Method::POST, path, media_type, body).await?).await
    }

    /// What is at a path.
    ///
    /// # Errors
    /// See [`Self::post`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        whole(self.send(Method::GET, path, JSON, Bytes::new()).await?).await
    }

    async fn send(&self, method: Method, path: &str, kind: &str, body: Bytes) -> Result<Incoming> {
        let stream = self.gateway.connect(protocol::ports::GATEWAY_API).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .context("failed to speak HTTP")?;
        // It ends with the answer, and says why there.
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, api::names::GATEWAY)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::CONTENT_TYPE, kind)
            .body(Full::new(body));
        let request = request.context("$ATELIER_TOKEN holds what is no token")?;
        let response = sender
            .send_request(request)
            .await
            .context("the gateway does not answer")?;
        let status = response.status();
        if status.is_success() {
            return Ok(response.into_body());
        }
        let told = response.into_body().collect().await;
        let told = told.context("the answer broke off")?.to_bytes();
        let error = serde_json::from_slice::<Value>(&told).unwrap_or_default();
        bail!("the gateway answers {status}: {}", message(&error["error"]))
    }
}

/// An answer of which all is wanted.
///
/// # Errors
/// When it does not come, or is not what it should be.
pub async fn whole<T: DeserializeOwned>(answer: Incoming) -> Result<T> {
    let answer = answer.collect().await.context("the answer broke off")?.to_bytes();
    serde_json::from_slice(&answer).context("the gateway answers what this program does not know: update one of them")
}

/// What an error of the gateway says to people.
pub fn message(error: &Value) -> &str {
    error["message"].as_str().unwrap_or("no reason given")
}

async fn token(cluster: &Cluster, namespace: &str, options: &As, gateway: &GatewayPod) -> Result<String> {
    let Some(account) = &options.service_account else {
        let token = std::env::var("ATELIER_TOKEN").ok().filter(|token| !token.is_empty());
        return token
            .context("nobody asks: name a --service-account, or put a token or an API key into $ATELIER_TOKEN");
    };
    let request = TokenRequest {
        spec: Some(TokenRequestSpec {
            audiences: Some(vec![
                gateway.option("--audience").unwrap_or(api::names::AUDIENCE).into(),
            ]),
            ..TokenRequestSpec::default()
        }),
        ..TokenRequest::default()
    };
    let accounts = Api::<ServiceAccount>::namespaced(cluster.client.clone(), namespace);
    let made = accounts
        .create_token_request(account, &PostParams::default(), &request)
        .await;
    let made = made
        .map_err(told)
        .with_context(|| format!("failed to get a token of the ServiceAccount {namespace}/{account}"))?;
    let token = made.status.and_then(|status| status.token);
    token.context("the API server issued no token")
}
