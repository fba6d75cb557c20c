//! The methods.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    http::{self, HeaderName, Method, header},
};
use http_body_util::{BodyExt, Limited};
use rpc::{
    body,
    v1::{self, inference_server::Inference},
};
use serde_json::{Map, Value, json};
use tonic::{Request, Response, Status, metadata::MetadataMap};
use tower::ServiceExt;

use super::{
    answer, status,
    stream::{self, ChatReader, Chunks},
};
use crate::{deadline, headers, metrics::Operation, routes::Gateway};

/// What of a caller's metadata counts, as in HTTP.
const PASSED: [HeaderName; 6] = [
    header::AUTHORIZATION,
    deadline::GRPC_TIMEOUT,
    headers::REQUEST_ID,
    headers::SHADOW,
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];
/// A whole answer with many vectors is far below.
const MAX_ANSWER: usize = 64 << 20;

/// Answers calls as the HTTP API would.
pub struct Service {
    gateway: Arc<Gateway>,
    http: Router,
}

impl Service {
    /// The methods over the HTTP API of `gateway`.
    pub fn new(gateway: Arc<Gateway>, http: Router) -> Self {
        Self { gateway, http }
    }

    async fn ask(
        &self,
        operation: Operation,
        metadata: &MetadataMap,
        body: Map<String, Value>,
    ) -> Result<http::Response<Body>, Status> {
        let request =
            request(operation, metadata, &body).map_err(|_| Status::invalid_argument("malformed metadata"))?;
        // It fails only where it is not ready, which it always is.
        let response = self
            .http
            .clone()
            .oneshot(request)
            .await
            .unwrap_or_else(|never| match never {});
        match response.status().is_success() {
            true => Ok(response),
            false => Err(status::of_response(response).await),
        }
    }

    async fn whole(
        &self,
        operation: Operation,
        metadata: &MetadataMap,
        body: Map<String, Value>,
    ) -> Result<Value, Status> {
        let response = self.ask(operation, metadata, body).await?;
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
        let body = body.map_err(|_| Status::internal("the model broke off its answer"))?;
        serde_json::from_slice(&body.to_bytes()).map_err(|_| Status::internal("the model answered something else"))
    }
}

/// The request of the HTTP API that says the same.
fn request(
    operation: Operation,
    metadata: &MetadataMap,
    body: &Map<String, Value>,
) -> http::Result<http::Request<Body>> {
    let given = metadata.as_ref();
    let mut request = http::Request::builder()
        .method(Method::POST)
        .uri(operation.path())
        .header(header::CONTENT_TYPE, "application/json");
    for name in PASSED {
        if let Some(value) = given.get(&name) {
            request = request.header(name, value);
        }
    }
    request.body(Body::from(Value::from(body.clone()).to_string()))
}

fn streaming(mut body: Map<String, Value>) -> Map<String, Value> {
    body.insert("stream".into(), true.into());
    body.insert("stream_options".into(), json!({"include_usage": true}));
    body
}

fn invalid(no_json: body::NoJson) -> Status {
    Status::invalid_argument(no_json.to_string())
}

#[tonic::async_trait]
impl Inference for Service {
    async fn generate(&self, request: Request<v1::GenerateRequest>) -> Result<Response<v1::GenerateResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let body = body::completion(request).map_err(invalid)?;
        let answer = self.whole(Operation::TextCompletion, &metadata, body).await?;
        Ok(Response::new(answer::completion(&answer)))
    }

    type GenerateStreamStream = Chunks<v1::GenerateChunk>;

    async fn generate_stream(
        &self,
        request: Request<v1::GenerateRequest>,
    ) -> Result<Response<Self::GenerateStreamStream>, Status> {
        let (metadata, _, request) = request.into_parts();
        let body = streaming(body::completion(request).map_err(invalid)?);
        let response = self.ask(Operation::TextCompletion, &metadata, body).await?;
        Ok(Response::new(stream::chunks(response, stream::completion)))
    }

    async fn chat(&self, request: Request<v1::ChatRequest>) -> Result<Response<v1::ChatResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let body = body::chat(request).map_err(invalid)?;
        let answer = self.whole(Operation::Chat, &metadata, body).await?;
        Ok(Response::new(answer::chat(&answer)))
    }

    type ChatStreamStream = Chunks<v1::ChatChunk>;

    async fn chat_stream(&self, request: Request<v1::ChatRequest>) -> Result<Response<Self::ChatStreamStream>, Status> {
        let (metadata, _, request) = request.into_parts();
        let body = streaming(body::chat(request).map_err(invalid)?);
        let response = self.ask(Operation::Chat, &metadata, body).await?;
        let mut reader = ChatReader::default();
        Ok(Response::new(stream::chunks(response, move |event| reader.read(event))))
    }

    async fn embed(&self, request: Request<v1::EmbedRequest>) -> Result<Response<v1::EmbedResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let answer = self
            .whole(Operation::Embeddings, &metadata, body::embed(request))
            .await?;
        Ok(Response::new(answer::embeddings(&answer)))
    }

    async fn rerank(&self, request: Request<v1::RerankRequest>) -> Result<Response<v1::RerankResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let answer = self.whole(Operation::Rerank, &metadata, body::rerank(request)).await?;
        Ok(Response::new(answer::ranking(&answer)))
    }

    async fn list_models(
        &self,
        request: Request<v1::ListModelsRequest>,
    ) -> Result<Response<v1::ListModelsResponse>, Status> {
        let caller = self
            .gateway
            .authenticator
            .authenticate(request.metadata().as_ref())
            .await;
        let caller = caller.map_err(status::of)?;
        let models = self.gateway.resolver.list(&caller).await.map_err(status::of)?;
        let model = |(id, model): (String, Arc<crate::catalog::Model>)| v1::Model {
            id,
            created: model.created.try_into().unwrap_or_default(),
            max_model_len: 0,
        };
        Ok(Response::new(v1::ListModelsResponse {
            models: models.into_iter().map(model).collect(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_of_the_metadata_is_passed_and_nothing_else() {
        let mut metadata = MetadataMap::new();
        for (name, value) in [
            ("authorization", "Bearer t"),
            ("grpc-timeout", "5S"),
            ("x-request-id", "r1"),
            ("x-atelier-shadow", "off"),
            ("x-remote-user", "root"),
        ] {
            metadata.insert(name, value.parse().unwrap());
        }
        let request = request(Operation::Chat, &metadata, &Map::new()).unwrap();
        let mut names: Vec<_> = request.headers().keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        let expected = [
            "authorization",
            "content-type",
            "grpc-timeout",
            "x-atelier-shadow",
            "x-request-id",
        ];
        assert_eq!(names, expected);
    }
}
