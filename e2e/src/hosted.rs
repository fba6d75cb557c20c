//! A service with OpenAI's API on this machine, which pods reach: it stands in for a hosted one.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use futures::stream;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::namespace::Namespace;
use crate::settings::{HOST_ADDRESS, SYSTEM_NAMESPACE};

/// What the service calls its only model.
pub const MODEL: &str = "large-2026";

/// The Role by which the gateway reads Secrets, as the chart calls it.
const ROLE: &str = "atelier-gateway-provider-secrets";

/// What the chart makes for a namespace in `gateway.providerSecrets.namespaces`.
pub async fn let_the_gateway_read(namespace: &Namespace) -> Result<()> {
    let rules = json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]);
    namespace
        .create_object::<Role>(json!({"metadata": {"name": ROLE}, "rules": rules}))
        .await?;
    let account = json!({"kind": "ServiceAccount", "name": api::names::GATEWAY, "namespace": SYSTEM_NAMESPACE});
    namespace
        .create_object::<RoleBinding>(json!({
            "metadata": {"name": ROLE},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": ROLE},
            "subjects": [account],
        }))
        .await?;
    Ok(())
}

/// A running service; it ends with this value.
pub struct Hosted {
    url: String,
    seen: Seen,
    task: JoinHandle<()>,
}

/// The requests that had the right key.
type Seen = Arc<Mutex<Vec<Value>>>;

#[derive(Clone)]
struct Service {
    expected: String,
    seen: Seen,
    says: Says,
}

/// What it says.
#[derive(Clone)]
enum Says {
    /// A greeting.
    Hello,
    /// The same again and again, in streams, which never come to an end.
    Endless(&'static str),
    /// What a function makes of the request.
    Told(Arc<dyn Fn(&Value) -> String + Send + Sync>),
}

impl Hosted {
    /// A service that wants to see `key`.
    pub async fn start(key: &str) -> Result<Self> {
        Self::serve(key, Says::Hello).await
    }

    /// The same, of which streams never end: twice in a second they say `sentence`.
    pub async fn endless(key: &str, sentence: &'static str) -> Result<Self> {
        Self::serve(key, Says::Endless(sentence)).await
    }

    /// The same, which says what a function makes of a request.
    pub async fn telling(key: &str, tell: impl Fn(&Value) -> String + Send + Sync + 'static) -> Result<Self> {
        Self::serve(key, Says::Told(Arc::new(tell))).await
    }

    async fn serve(key: &str, says: Says) -> Result<Self> {
        let seen = Seen::default();
        let service = Service {
            expected: format!("Bearer {key}"),
            seen: seen.clone(),
            says,
        };
        let router = Router::new()
            .route("/v1/chat/completions", post(chat))
            .with_state(service);
        let listener = TcpListener::bind((HOST_ADDRESS, 0))
            .await
            .context("failed to listen where pods reach this machine")?;
        let url = format!("http://{}/v1", listener.local_addr()?);
        let task = tokio::spawn(async move {
            // It ends when the task is aborted.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { url, seen, task })
    }

    /// A spec whose key is `api` of the Secret `keys`.
    pub fn spec(&self) -> Value {
        let key = json!({"name": "keys", "key": "api"});
        let model = json!({"url": self.url, "model": MODEL, "credentialsSecretRef": key});
        json!({"source": {"provider": {"openAICompatible": model}}})
    }

    /// The requests so far that had the right key.
    pub fn seen(&self) -> Vec<Value> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn chat(State(service): State<Service>, headers: HeaderMap, Json(request): Json<Value>) -> Response {
    let shown = headers.get(header::AUTHORIZATION).and_then(|it| it.to_str().ok());
    if shown != Some(&service.expected) {
        let message = format!("Incorrect API key provided: {}", shown.unwrap_or("none"));
        let body = json!({"error": {"message": message, "type": "invalid_request_error", "code": "invalid_api_key"}});
        return (StatusCode::UNAUTHORIZED, Json(body)).into_response();
    }
    let streams = request["stream"] == true;
    let text = match &service.says {
        Says::Endless(sentence) if streams => return endless(sentence),
        Says::Told(tell) => tell(&request),
        Says::Hello | Says::Endless(_) => "Hello there".to_owned(),
    };
    service
        .seen
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(request);
    let usage = json!({"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9});
    if !streams {
        let message = json!({"role": "assistant", "content": text});
        let choices = json!([{"index": 0, "message": message, "finish_reason": "stop"}]);
        return Json(json!({"id": "chatcmpl-1", "model": MODEL, "choices": choices, "usage": usage})).into_response();
    }
    let chunk = |choices: Value| json!({"id": "chatcmpl-1", "model": MODEL, "choices": choices});
    let (first, rest) = text.split_at(text.find(' ').map_or(0, |space| space + 1));
    let mut last = chunk(json!([]));
    last["usage"] = usage;
    let chunks = [
        chunk(json!([{"index": 0, "delta": {"role": "assistant", "content": first}, "finish_reason": null}])),
        chunk(json!([{"index": 0, "delta": {"content": rest}, "finish_reason": null}])),
        chunk(json!([{"index": 0, "delta": {}, "finish_reason": "stop"}])),
        last,
    ];
    let events: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    let events = events + "data: [DONE]\n\n";
    ([(header::CONTENT_TYPE, "text/event-stream")], events).into_response()
}

fn endless(sentence: &'static str) -> Response {
    let choices = json!([{"index": 0, "delta": {"content": sentence}, "finish_reason": null}]);
    let event = format!(
        "data: {}\n\n",
        json!({"id": "chatcmpl-1", "model": MODEL, "choices": choices})
    );
    let events = stream::unfold(event, async |event| {
        tokio::time::sleep(Duration::from_millis(500)).await;
        Some((Ok::<_, Infallible>(Bytes::from(event.clone())), event))
    });
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(events)).into_response()
}
