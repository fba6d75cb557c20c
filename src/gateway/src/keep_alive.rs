//! Signs of life for a client whose stream cannot begin yet, because its model sleeps: load balancers and browsers cut
//! connections that are silent for a minute.

use std::{convert::Infallible, pin::Pin, time::Duration};

use axum::{
    body::Body,
    http::{Response, StatusCode, header},
    response::IntoResponse,
};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use http_body_util::{BodyExt, Limited};
use tokio::time::timeout;

use crate::{error::Error, events::WholeEvents};

/// After so long a silence a sign is given.
const INTERVAL: Duration = Duration::from_secs(10);
/// A comment, which clients of server-sent events pass over.
const SIGN: Bytes = Bytes::from_static(b": waiting for a worker\n\n");
/// A longer refusal is not passed on.
const MAX_REFUSAL: usize = 64 << 10;

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Error>> + Send>>;

/// `answer` as it is when it comes soon. Later it is a stream that has begun with signs of life, and a refusal its
/// `error` event.
///
/// # Errors
/// Those of `answer`.
pub async fn during(
    answer: impl Future<Output = Result<Response<Body>, Error>> + Send + 'static,
) -> Result<Response<Body>, Error> {
    let mut answer: Answer = Box::pin(answer);
    if let Ok(answer) = timeout(INTERVAL, &mut answer).await {
        return answer;
    }
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    let signs = stream::once(async { Ok(SIGN) }).chain(stream::unfold(Some(answer), wait).flatten());
    Ok((StatusCode::OK, headers, Body::from_stream(signs)).into_response())
}

type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, axum::Error>> + Send>>;

/// The next sign of life, or the answer, after which nothing comes.
async fn wait(answer: Option<Answer>) -> Option<(Pieces, Option<Answer>)> {
    let mut answer = answer?;
    let pieces = match timeout(INTERVAL, &mut answer).await {
        Err(_) => return Some((one(SIGN), Some(answer))),
        Ok(Ok(response)) if response.status().is_success() => Box::pin(response.into_body().into_data_stream()),
        Ok(Ok(response)) => one(refused(response).await),
        Ok(Err(error)) => one(WholeEvents::default().fail(&error)),
    };
    Some((pieces, None))
}

fn one(piece: Bytes) -> Pieces {
    stream::once(async { Ok::<_, Infallible>(piece) })
        .map(|piece| piece.map_err(axum::Error::new))
        .boxed()
}

/// The event that tells of a worker's refusal, in the worker's words.
async fn refused(response: Response<Body>) -> Bytes {
    let body = Limited::new(response.into_body(), MAX_REFUSAL).collect().await;
    let told = body
        .ok()
        .and_then(|body| serde_json::from_slice::<serde_json::Value>(&body.to_bytes()).ok());
    match told.filter(|told| told["error"].is_object()) {
        Some(told) => format!("event: error\ndata: {told}\n\n").into(),
        None => WholeEvents::default().fail(&Error::Refused),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn text(answer: Result<Response<Body>, Error>, after: u64) -> (Response<()>, String) {
        let late = async move {
            tokio::time::sleep(Duration::from_secs(after)).await;
            answer
        };
        let (parts, body) = during(late).await.unwrap_or_else(Error::into_response).into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (
            Response::from_parts(parts, ()),
            String::from_utf8(body.to_vec()).unwrap(),
        )
    }

    fn streamed() -> Result<Response<Body>, Error> {
        Ok(Response::new(Body::from("data: {}\n\n")))
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_comes_soon_is_not_touched() {
        let (head, body) = text(streamed(), 5).await;
        assert_eq!((body.as_str(), head.headers().len()), ("data: {}\n\n", 0));
        let (head, body) = text(Err(Error::Overloaded), 5).await;
        assert_eq!(head.status(), 503);
        assert!(body.starts_with("{\"error\""), "{body}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_answer_comes_after_signs_of_life() {
        let (head, body) = text(streamed(), 35).await;
        assert_eq!(head.headers()[header::CONTENT_TYPE], "text/event-stream");
        assert_eq!(body, ": waiting for a worker\n\n".repeat(3) + "data: {}\n\n");
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_refusal_is_an_event() {
        let (head, body) = text(Err(Error::Overloaded), 15).await;
        assert_eq!(head.status(), 200);
        let event = body
            .strip_prefix(": waiting for a worker\n\nevent: error\ndata: ")
            .unwrap();
        assert!(
            event.contains("gateway_overloaded") && event.ends_with("}\n\n"),
            "{event}"
        );

        let refusal = |body: &'static str| {
            let mut response = Response::new(Body::from(body));
            *response.status_mut() = StatusCode::BAD_REQUEST;
            Ok(response)
        };
        let (_, body) = text(refusal("{\"error\":\n{\"code\":\"wrong\"}}"), 15).await;
        assert!(
            body.ends_with("event: error\ndata: {\"error\":{\"code\":\"wrong\"}}\n\n"),
            "{body}"
        );
        let (_, body) = text(refusal("no JSON"), 15).await;
        assert!(body.contains("request_refused"), "{body}");
    }
}
