//! Traces of requests: a span for each, joined to the trace that the caller names, and below it what the engine did
//! for each answer. There are no spans of single tokens, and no text is on any.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use axum::http::{Extensions, HeaderMap, Request, Response, StatusCode};
use telemetry::{
    Tracing,
    trace::{KeyValue, Kind, Span},
};
use tower::{Layer, Service};

/// Before the name of a gRPC method.
const GRPC: &str = "/atelier.v1.Inference/";

/// Begins the span of each request for the model, by HTTP or gRPC.
#[derive(Clone)]
pub struct TraceLayer {
    tracing: Tracing,
    model: Arc<str>,
}

impl TraceLayer {
    /// Traces requests for the model of that name.
    pub fn new(tracing: Tracing, model: &str) -> Self {
        Self {
            tracing,
            model: model.into(),
        }
    }

    fn begin(&self, path: &str, headers: &HeaderMap) -> Span {
        let Some(operation) = operation(path).filter(|_| self.tracing.is_on()) else {
            return Span::default();
        };
        let span = self
            .tracing
            .begin(format!("{operation} {}", self.model), Kind::Server, headers);
        span.set("gen_ai.operation.name", operation);
        span.set("gen_ai.provider.name", "atelier");
        span.set("gen_ai.request.model", self.model.to_string());
        span
    }
}

/// The span that was begun for a request with these extensions.
pub fn span_of(extensions: &Extensions) -> Span {
    extensions.get().cloned().unwrap_or_default()
}

/// What a path asks for, in the words of the GenAI conventions.
fn operation(path: &str) -> Option<&'static str> {
    match path.strip_prefix(GRPC).unwrap_or(path) {
        "/v1/chat/completions" | "Chat" | "ChatStream" => Some("chat"),
        "/v1/completions" | "Generate" | "GenerateStream" => Some("text_completion"),
        "/v1/embeddings" | "Embed" => Some("embeddings"),
        "/v1/rerank" | "Rerank" => Some("rerank"),
        _ => None,
    }
}

impl<S> Layer<S> for TraceLayer {
    type Service = Traced<S>;

    fn layer(&self, inner: S) -> Traced<S> {
        Traced {
            inner,
            layer: self.clone(),
        }
    }
}

/// See [`TraceLayer`].
#[derive(Clone)]
pub struct Traced<S> {
    inner: S,
    layer: TraceLayer,
}

impl<S, B, R> Service<Request<B>> for Traced<S>
where
    S: Service<Request<B>, Response = Response<R>> + 'static,
    S::Future: Send,
    B: 'static,
    R: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let span = self.layer.begin(request.uri().path(), request.headers());
        request.extensions_mut().insert(span.clone());
        let response = self.inner.call(request);
        Box::pin(async move {
            let response = response.await?;
            describe(&span, response.status(), response.headers());
            Ok(response)
        })
    }
}

/// Says how a request was answered, or that the answer began. An answer on its way keeps the span.
fn describe(span: &Span, status: StatusCode, headers: &HeaderMap) {
    let code = headers.get("grpc-status").and_then(|code| code.to_str().ok());
    if let Some(code) = code.filter(|code| *code != "0") {
        span.set("rpc.response.status_code", code.to_owned());
        // INTERNAL and UNAVAILABLE; the others say that the caller was wrong.
        match code {
            "13" | "14" => span.fail(code),
            _ => span.set("error.type", code.to_owned()),
        }
        return;
    }
    span.set("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.fail(status.as_str());
    } else if status.is_client_error() {
        span.set("error.type", status.as_str().to_owned());
    }
}

/// What the engine does for one answer: it waits for its turn, its prompt is computed, its tokens are.
pub struct Phases {
    span: Span,
    submitted: Instant,
    /// When its turn came and when its prompt was computed. Both are known when the prompt is.
    prompt: Option<(Instant, Instant)>,
    prompt_tokens: usize,
    cached: usize,
    tokens: usize,
    is_over: bool,
}

impl Phases {
    /// Of an answer that the engine has just been asked for, on behalf of the request of `span`.
    pub fn new(span: Span) -> Self {
        Self {
            span,
            submitted: Instant::now(),
            prompt: None,
            prompt_tokens: 0,
            cached: 0,
            tokens: 0,
            is_over: false,
        }
    }

    /// The prompt, of so many tokens, was computed from `begun` to `computed`; `cached` of them were already.
    pub fn prompt(&mut self, begun: Instant, computed: Instant, tokens: usize, cached: usize) {
        self.prompt = Some((begun, computed));
        (self.prompt_tokens, self.cached) = (tokens, cached);
    }

    /// A token came.
    pub fn token(&mut self) {
        self.tokens += 1;
    }

    /// The answer is complete, or is not going to be for a reason of few.
    pub fn end(&mut self, error: Option<&str>) {
        if std::mem::replace(&mut self.is_over, true) || !self.span.is_recording() {
            return;
        }
        let now = Instant::now();
        let Some((begun, computed)) = self.prompt else {
            // It waited for its turn or for the end of its prompt: the engine has not said.
            self.span.past("queue", self.submitted, now, Vec::new(), error);
            return;
        };
        let count = |key, count: usize| KeyValue::new(key, i64::try_from(count).unwrap_or(i64::MAX));
        let of_prompt = vec![
            count("atelier.prompt_tokens", self.prompt_tokens),
            count("atelier.cached_tokens", self.cached),
        ];
        let of_answer = vec![count("atelier.output_tokens", self.tokens)];
        self.span.past("queue", self.submitted, begun, Vec::new(), None);
        self.span.past("prefill", begun, computed, of_prompt, None);
        self.span.past("decode", computed, now, of_answer, error);
    }
}

impl Drop for Phases {
    fn drop(&mut self) {
        self.end(Some("cancelled"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_for_the_model_are_traced() {
        for (path, expected) in [
            ("/v1/chat/completions", Some("chat")),
            ("/atelier.v1.Inference/GenerateStream", Some("text_completion")),
            ("/v1/models", None),
            ("/grpc.health.v1.Health/Check", None),
        ] {
            assert_eq!(operation(path), expected, "{path}");
        }
    }
}
