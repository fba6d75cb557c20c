//! The stream of a watch, event by event.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    Action, On,
    body::{self, Body},
    proxy::Shared,
};

/// Between a lost event and the end of its watch.
const GAP: Duration = Duration::from_millis(500);

/// Passes events on, each as the plan has it.
pub fn follow(shared: Arc<Shared>, mut upstream: kube::client::Body) -> Body {
    let mut ends = shared.ends.subscribe();
    let stream = async_stream::stream! {
        let mut rest = BytesMut::new();
        let mut gone_at = None::<Instant>;
        loop {
            let frame = tokio::select! {
                frame = upstream.frame() => frame,
                _ = ends.recv() => {
                    yield Ok(Frame::data(gone()));
                    return;
                }
                () = at(gone_at) => {
                    yield Ok(Frame::data(gone()));
                    return;
                }
            };
            let data = match frame {
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
                Some(Err(error)) => {
                    yield Err(error);
                    return;
                }
                None => return,
            };
            rest.extend_from_slice(&data);
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line = rest.split_to(end + 1).freeze();
                match is_event(&line).then(|| shared.due(On::Event)).flatten() {
                    Some(Action::Lose) => {
                        gone_at.get_or_insert(Instant::now() + GAP);
                        continue;
                    }
                    Some(Action::Delay(pause)) => sleep(Duration::from_millis(pause)).await,
                    Some(Action::Gone) => {
                        yield Ok(Frame::data(gone()));
                        return;
                    }
                    Some(Action::End) => return,
                    _ => {}
                }
                yield Ok(Frame::data(line));
            }
        }
    };
    StreamBody::new(stream).boxed_unsync()
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Whether it tells of a change, and not only how far the watch is.
fn is_event(line: &[u8]) -> bool {
    let parsed = serde_json::from_slice::<Value>(line);
    parsed.is_ok_and(|event| matches!(event["type"].as_str(), Some("ADDED" | "MODIFIED" | "DELETED")))
}

fn gone() -> Bytes {
    let event = json!({"type": "ERROR", "object": body::status(410)});
    Bytes::from(format!("{event}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bookmarks_are_no_events() {
        assert!(is_event(br#"{"type":"ADDED","object":{}}"#));
        assert!(!is_event(br#"{"type":"BOOKMARK","object":{}}"#));
        assert!(!is_event(&gone()));
    }
}
