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
use crate::serve::generation::{Broken, Generation, Output, Spent};

/// What the answer of an index had to say, and what it took so far.
pub type Step = (usize, Result<Vec<Output>, Broken>, Spent);

/// Answers on their way.
pub struct Steps<S> {
    /// All that they say, as they say it.
    pub steps: S,
    /// How many tokens of the prompt did not have to be computed.
    pub cached: usize,
}

/// Follows several answers.
///
/// # Errors
/// When the first answer fails before it begins: then the client hears of it by a status.
pub async fn steps(mut generations: Vec<Generation>) -> Result<Steps<impl Stream<Item = Step> + Send>, Error> {
    let first = match generations.first_mut() {
        Some(generation) => generation.next().await?.unwrap_or_default(),
        None => Vec::new(),
    };
    let cached = generations.first().map_or(0, Generation::cached);
    let first = stream::once(async { (0, Ok(first), Spent::default()) });
    Ok(Steps {
        steps: first.chain(merged(generations)),
        cached,
    })
}

/// Streams several answers as they are made. `choices` makes the choices of pieces out of an output
/// of the answer with that index, or none if there is nothing to show. With `prompt_tokens`, the
/// tokens used come last.
///
/// # Errors
/// When the first answer fails before it begins.
pub async fn respond(
    frame: Frame,
    generations: Vec<Generation>,
    mut choices: impl FnMut(usize, Output) -> Vec<Value> + Send + 'static,
    prompt_tokens: Option<usize>,
) -> Result<Response, Error> {
    let mut spent = vec![Spent::default(); generations.len()];
    let Steps { steps, cached } = steps(generations).await?;
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
            spent[index] = so_far;
            for output in outputs {
                for choice in choices(index, output) {
                    yield event(&frame.around(vec![choice], None));
                }
            }
        }
        if let Some(prompt) = prompt_tokens {
            let spent = spent.iter().copied().sum();
            yield event(&frame.around(Vec::new(), Some(Usage { prompt, cached, spent })));
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
                    let step = (index, Ok(outputs?), generation.spent());
                    Some((step, Some(generation)))
                }
                Err(broken) => Some(((index, Err(broken), generation.spent()), None)),
            }
        })
        .boxed()
    };
    stream::select_all(generations.into_iter().enumerate().map(one))
}
