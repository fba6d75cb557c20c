//! The methods of a model that embeds or reranks.

use std::sync::Arc;

use rpc::{
    body,
    v1::{self, inference_server::Inference},
};
use tonic::{Request, Response, Status};

use super::{
    reply,
    service::Chunks,
    status::{status, wrong_task},
};
use crate::{
    cli::Task,
    serve::api::{self, EncodeApi, Error},
};

/// What the methods work with.
pub struct Encoding {
    api: Arc<EncodeApi>,
}

impl Encoding {
    /// The methods over the state of the HTTP API.
    pub fn new(api: Arc<EncodeApi>) -> Self {
        Self { api }
    }

    /// Whether a request for `task` can be taken now.
    fn check(&self, task: Task) -> Result<(), Status> {
        let serves = self.api.task();
        if serves != task {
            return Err(wrong_task(serves, task));
        }
        // Connections stay open while the last answers are written.
        match self.api.is_stopping() {
            true => Err(status(&Error::Stopping)),
            false => Ok(()),
        }
    }

    /// Refuses what only a model that writes has.
    fn refuse<T>(&self) -> Result<Response<T>, Status> {
        Err(wrong_task(self.api.task(), Task::Generate))
    }
}

#[tonic::async_trait]
impl Inference for Encoding {
    async fn embed(&self, request: Request<v1::EmbedRequest>) -> Result<Response<v1::EmbedResponse>, Status> {
        self.check(Task::Embed)?;
        let found = api::embed(&self.api, &body::embed(request.into_inner())).await;
        let found = found.map_err(|error| status(&error))?;
        Ok(Response::new(reply::embeddings(self.api.describe(), found)))
    }

    async fn rerank(&self, request: Request<v1::RerankRequest>) -> Result<Response<v1::RerankResponse>, Status> {
        self.check(Task::Rerank)?;
        let found = api::rank(&self.api, &body::rerank(request.into_inner())).await;
        let found = found.map_err(|error| status(&error))?;
        Ok(Response::new(reply::ranking(self.api.describe(), found)))
    }

    async fn list_models(&self, _: Request<v1::ListModelsRequest>) -> Result<Response<v1::ListModelsResponse>, Status> {
        Ok(Response::new(v1::ListModelsResponse {
            models: vec![reply::model(self.api.describe())],
        }))
    }

    async fn generate(&self, _: Request<v1::GenerateRequest>) -> Result<Response<v1::GenerateResponse>, Status> {
        self.refuse()
    }

    type GenerateStreamStream = Chunks<v1::GenerateChunk>;

    async fn generate_stream(
        &self,
        _: Request<v1::GenerateRequest>,
    ) -> Result<Response<Self::GenerateStreamStream>, Status> {
        self.refuse()
    }

    async fn chat(&self, _: Request<v1::ChatRequest>) -> Result<Response<v1::ChatResponse>, Status> {
        self.refuse()
    }

    type ChatStreamStream = Chunks<v1::ChatChunk>;

    async fn chat_stream(&self, _: Request<v1::ChatRequest>) -> Result<Response<Self::ChatStreamStream>, Status> {
        self.refuse()
    }
}
