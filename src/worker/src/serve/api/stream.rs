//! Answers as server-sent events.

use std::convert::Infallible;

use axum::response::{
    IntoResponse, Response,
    sse::{Event, KeepAlive, Sse},
};
use futures::{Stream, StreamExt as _, stream};
use serde_json::Value;

use super::{
    answer::{Frame, Usage},
    error::Error,
};
use crate::serve::generation::{Broken, Generation, Output};

/// What one generation had to say, and how many tokens it has by now.
type Step = (usize, Result<Vec<Output>, Broken>, usize);

/// Streams several answers as they are made. `choice` makes a choice of a piece out of an output of
/// the answer with that index, or none if there is nothing to show. With `prompt_tokens`, the tokens
/// used come last.
///
/// # Errors
/// When the first answer fails before it begins: then the client hears of it by a status.
pub async fn respond(
    frame: Frame,
    mut generations: Vec<Generation>,
    mut choice: impl FnMut(usize, Output) -> Option<Value> + Send + 'static,
    prompt_tokens: Option<usize>,
) -> Result<Response, Error> {
    let first = match generations.first_mut() {
        Some(generation) => generation.next().await?.unwrap_or_default(),
        None => Vec::new(),
    };
    let cached = generations.first().map_or(0, Generation::cached);
    let mut tokens = vec![0; generations.len()];
    let steps = stream::once(async { (0, Ok(first), 0) }).chain(merged(generations));
    let events = async_stream::stream! {
        let mut steps = std::pin::pin!(steps);
        while let Some((index, outputs, so_far)) = steps.next().await {
            let outputs = match outputs {
                Ok(outputs) => outputs,
                Err(broken) => {
                    yield event(&Error::from(broken).body());
                    return;
                }
            };
            tokens[index] = so_far;
            for output in outputs {
                if let Some(choice) = choice(index, output) {
                    yield event(&frame.around(vec![choice], None));
                }
            }
        }
        if let Some(prompt) = prompt_tokens {
            let answer = tokens.iter().sum();
            yield event(&frame.around(Vec::new(), Some(Usage { prompt, cached, answer })));
        }
        yield Event::default().data("[DONE]");
    };
    let events = events.map(Ok::<_, Infallible>);
    Ok(Sse::new(events).keep_alive(KeepAlive::default()).into_response())
}

fn event(value: &Value) -> Event {
    Event::default().data(value.to_string())
}

fn merged(generations: Vec<Generation>) -> impl Stream<Item = Step> + Send {
    let one = |(index, generation): (usize, Generation)| {
        stream::unfold(Some(generation), move |generation| async move {
            let mut generation = generation?;
            match generation.next().await {
                Ok(outputs) => {
                    let step = (index, Ok(outputs?), generation.tokens());
                    Some((step, Some(generation)))
                }
                Err(broken) => Some(((index, Err(broken), generation.tokens()), None)),
            }
        })
        .boxed()
    };
    stream::select_all(generations.into_iter().enumerate().map(one))
}
