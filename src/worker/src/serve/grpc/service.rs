//! The methods of a model that writes.

use std::{pin::Pin, sync::Arc};

use futures::{Stream, StreamExt as _, future::try_join_all};
use rpc::{
    body,
    v1::{self, inference_server::Inference},
};
use tonic::{Request, Response, Status};

use super::{
    reply,
    status::{status, wrong_task},
};
use crate::{
    cli::Task,
    serve::{
        api::{self, Api, Caller, Chat, Completions, Error, Frame, Steps, Usage},
        generation::{Generation, Output, Spent},
        trace::span_of,
    },
};

/// What the methods work with.
pub struct Service {
    api: Arc<Api>,
}

/// Pieces of answers.
pub type Chunks<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl Service {
    /// The methods over the state of the HTTP API.
    pub fn new(api: Arc<Api>) -> Self {
        Self { api }
    }

    /// Connections stay open while the last answers are written: what comes over them now is for
    /// another worker.
    fn check(&self) -> Result<(), Error> {
        match self.api.is_stopping() {
            true => Err(Error::Stopping),
            false => Ok(()),
        }
    }

    async fn completions(&self, request: Request<v1::GenerateRequest>) -> Result<Completions, Error> {
        self.check()?;
        api::begin_completions(&self.api, &caller(&request)?, &body::completion(request.into_inner())?).await
    }

    async fn conversation(&self, request: Request<v1::ChatRequest>) -> Result<Chat, Error> {
        self.check()?;
        api::begin_chat(&self.api, &caller(&request)?, &body::chat(request.into_inner())?).await
    }
}

#[tonic::async_trait]
impl Inference for Service {
    async fn generate(&self, request: Request<v1::GenerateRequest>) -> Result<Response<v1::GenerateResponse>, Status> {
        let completions = self.completions(request).await.map_err(|error| status(&error))?;
        let answers = try_join_all(completions.generations.into_iter().map(api::whole));
        let answers = answers.await.map_err(|error| status(&error))?;
        let (frame, tokenizer) = (
            Frame::new(&completions.model, "cmpl", "text_completion"),
            self.api.tokenizer(),
        );
        let usage = Usage::new(completions.prompt_tokens, &answers);
        let choices = answers.into_iter().enumerate();
        Ok(Response::new(v1::GenerateResponse {
            id: frame.id().into(),
            model: frame.model().into(),
            created: frame.created(),
            choices: choices
                .map(|(index, answer)| reply::completion(tokenizer, index, answer))
                .collect(),
            usage: Some(reply::usage(usage)),
        }))
    }

    type GenerateStreamStream = Chunks<v1::GenerateChunk>;

    async fn generate_stream(
        &self,
        request: Request<v1::GenerateRequest>,
    ) -> Result<Response<Self::GenerateStreamStream>, Status> {
        let completions = self.completions(request).await.map_err(|error| status(&error))?;
        let (frame, tokenizer) = (
            Frame::new(&completions.model, "cmpl", "text_completion"),
            self.api.tokenizer().clone(),
        );
        let prompt_tokens = completions.prompt_tokens;
        let chunk = move |event| {
            let (choices, usage) = match event {
                Event::Output(index, output) => {
                    let piece = reply::completion_piece(&tokenizer, index, output);
                    (piece.into_iter().map(Some).collect(), None)
                }
                Event::End(usage) => (vec![None], Some(reply::usage(usage))),
            };
            let chunk = |choice| v1::GenerateChunk {
                id: frame.id().into(),
                choice,
                usage,
            };
            choices.into_iter().map(chunk).collect()
        };
        stream(completions.generations, prompt_tokens, chunk).await
    }

    async fn chat(&self, request: Request<v1::ChatRequest>) -> Result<Response<v1::ChatResponse>, Status> {
        let mut chat = self.conversation(request).await.map_err(|error| status(&error))?;
        let answers = try_join_all(chat.generations.into_iter().map(api::whole));
        let answers = answers.await.map_err(|error| status(&error))?;
        let (frame, tokenizer) = (
            Frame::new(&chat.model, "chatcmpl", "chat.completion"),
            self.api.tokenizer(),
        );
        let usage = Usage::new(chat.prompt_tokens, &answers);
        let choices = chat.speakers.iter_mut().zip(answers).enumerate();
        Ok(Response::new(v1::ChatResponse {
            id: frame.id().into(),
            model: frame.model().into(),
            created: frame.created(),
            choices: choices
                .map(|(index, (speaker, answer))| reply::choice(tokenizer, index, speaker.reply(answer)))
                .collect(),
            usage: Some(reply::usage(usage)),
        }))
    }

    type ChatStreamStream = Chunks<v1::ChatChunk>;

    async fn chat_stream(&self, request: Request<v1::ChatRequest>) -> Result<Response<Self::ChatStreamStream>, Status> {
        let chat = self.conversation(request).await.map_err(|error| status(&error))?;
        let (frame, tokenizer) = (
            Frame::new(&chat.model, "chatcmpl", "chat.completion.chunk"),
            self.api.tokenizer().clone(),
        );
        let (prompt_tokens, mut speakers) = (chat.prompt_tokens, chat.speakers);
        let chunk = move |event| {
            let (choices, usage) = match event {
                Event::Output(index, output) => {
                    let deltas = speakers[index].hear(output).into_iter();
                    let deltas = deltas.filter_map(|delta| reply::delta(&tokenizer, index, delta));
                    (deltas.map(Some).collect(), None)
                }
                Event::End(usage) => (vec![None], Some(reply::usage(usage))),
            };
            let chunk = |choice| v1::ChatChunk {
                id: frame.id().into(),
                choice,
                usage,
            };
            choices.into_iter().map(chunk).collect()
        };
        stream(chat.generations, prompt_tokens, chunk).await
    }

    async fn embed(&self, _: Request<v1::EmbedRequest>) -> Result<Response<v1::EmbedResponse>, Status> {
        Err(wrong_task(Task::Generate, Task::Embed))
    }

    async fn rerank(&self, _: Request<v1::RerankRequest>) -> Result<Response<v1::RerankResponse>, Status> {
        Err(wrong_task(Task::Generate, Task::Rerank))
    }

    async fn list_models(&self, _: Request<v1::ListModelsRequest>) -> Result<Response<v1::ListModelsResponse>, Status> {
        Ok(Response::new(v1::ListModelsResponse {
            models: self.api.models().into_iter().map(reply::model).collect(),
        }))
    }
}

fn caller<T>(request: &Request<T>) -> Result<Caller, Error> {
    let user = request.metadata().get(protocol::headers::USER);
    let caller = Caller::of_header(user.map(|value| value.as_encoded_bytes()))?;
    Ok(caller.traced(span_of(request.extensions())))
}

/// What a stream tells.
enum Event {
    /// More of the answer of an index.
    Output(usize, Output),
    /// All answers are complete.
    End(Usage),
}

/// Streams answers in chunks. A caller that hangs up drops the stream and with it the answers.
async fn stream<T: Send + 'static>(
    generations: Vec<Generation>,
    prompt: usize,
    mut chunks: impl FnMut(Event) -> Vec<T> + Send + 'static,
) -> Result<Response<Chunks<T>>, Status> {
    let mut spent = vec![Spent::default(); generations.len()];
    let Steps { steps, cached } = api::steps(generations).await.map_err(|error| status(&error))?;
    let stream = async_stream::try_stream! {
        let mut steps = std::pin::pin!(steps);
        while let Some((index, outputs, so_far)) = steps.next().await {
            spent[index] = so_far;
            for output in outputs.map_err(|broken| status(&broken.into()))? {
                for chunk in chunks(Event::Output(index, output)) {
                    yield chunk;
                }
            }
        }
        let spent = spent.iter().copied().sum();
        for chunk in chunks(Event::End(Usage { prompt, cached, spent })) {
            yield chunk;
        }
    };
    Ok(Response::new(Box::pin(stream)))
}
