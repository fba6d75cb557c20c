//! The live answer, written down as it passes.
//!
//! What passes is copied: pieces share the buffers of their connection, which would otherwise be held as a whole as long as
//! one of their bytes is. Nothing is parsed and nobody is waited for; there is room, or the rest is not written down.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use ::shadow::answer::{Answer, Failure, Outcome};
use axum::{
    body::Body,
    http::{HeaderValue, Response, header},
};
use bytes::Bytes;
use hyper::body::{Body as _, Frame, SizeHint};
use tokio::sync::oneshot;

use super::{
    drops::Drop,
    hearing::Hearing,
    memory::{Memory, Share},
};
use crate::{error::Error, proxy::ServedBy};

/// The longest answer that is written down, in bytes on the wire.
const LONGEST: usize = 4 << 20;
/// Room is taken in pieces of so many bytes.
const ROOM: usize = 16 << 10;

/// Those who want to hear a live answer.
pub struct Tap {
    started: Instant,
    memory: Memory,
    listeners: Vec<oneshot::Sender<Arc<Heard>>>,
}

/// A live answer that has ended, in whatever way.
pub struct Heard {
    /// The version that gave it, of a model with workers.
    pub version: Option<String>,
    streams: bool,
    bytes: Vec<u8>,
    /// Until which byte, and when.
    marks: Vec<(usize, f64)>,
    end: End,
    total: f64,
    _share: Share,
}

#[derive(Clone, Copy)]
enum End {
    /// It is whole.
    Whole,
    /// Its caller left.
    Left,
    /// It failed.
    Failed(Failure),
    /// Not all of it is here.
    Dropped(Drop),
}

/// Passes `answer` on, for `tap` to hear it if there is one. Whether there is changes nothing about it.
///
/// # Errors
/// Those of `answer`.
pub async fn listen(
    tap: Option<Tap>,
    answer: impl Future<Output = Result<Response<Body>, Error>>,
) -> Result<Response<Body>, Error> {
    let answer = answer.await;
    match tap {
        Some(tap) => tap.hear(answer),
        None => answer,
    }
}

impl Tap {
    /// For nobody yet, of a request that is sent now.
    pub fn new(memory: Memory) -> Self {
        Self {
            started: Instant::now(),
            memory,
            listeners: Vec::new(),
        }
    }

    /// One more who wants to hear it.
    pub fn add(&mut self) -> oneshot::Receiver<Arc<Heard>> {
        let (sender, receiver) = oneshot::channel();
        self.listeners.push(sender);
        receiver
    }

    /// Whether nobody wants to hear it.
    pub fn is_empty(&self) -> bool {
        self.listeners.iter().all(oneshot::Sender::is_closed)
    }

    fn hear(self, answer: Result<Response<Body>, Error>) -> Result<Response<Body>, Error> {
        let mut recording = Recording {
            version: None,
            streams: false,
            bytes: Vec::new(),
            marks: Vec::new(),
            share: self.memory.share(),
            started: self.started,
            end: None,
            listeners: self.listeners,
        };
        let response = match answer {
            Ok(response) => response,
            Err(error) => {
                recording.tell(End::Failed(Failure::of_status(error.status().as_u16())));
                return Err(error);
            }
        };
        recording.version = response.extensions().get::<ServedBy>().map(|served| served.0.clone());
        if !response.status().is_success() {
            recording.tell(End::Failed(Failure::of_status(response.status().as_u16())));
            return Ok(response);
        }
        let headers = response.headers();
        if headers.contains_key(header::CONTENT_ENCODING) {
            // Nobody asks for that.
            recording.tell(End::Failed(Failure::Malformed));
            return Ok(response);
        }
        let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        recording.streams = kind.is_some_and(|kind| kind.starts_with(b"text/event-stream"));
        Ok(response.map(|body| {
            let mut passage = Passage { body, recording };
            passage.note_end();
            Body::new(passage)
        }))
    }
}

/// What is written down of an answer under way. When it is dropped before the end, its caller has left.
struct Recording {
    version: Option<String>,
    streams: bool,
    bytes: Vec<u8>,
    marks: Vec<(usize, f64)>,
    share: Share,
    started: Instant,
    end: Option<End>,
    listeners: Vec<oneshot::Sender<Arc<Heard>>>,
}

impl Recording {
    fn piece(&mut self, bytes: &[u8]) {
        if self.end.is_some() || bytes.is_empty() {
            return;
        }
        let length = self.bytes.len() + bytes.len();
        if length > LONGEST {
            return self.tell(End::Dropped(Drop::Size));
        }
        if !self.share.grow(length.next_multiple_of(ROOM)) {
            return self.tell(End::Dropped(Drop::Memory));
        }
        self.bytes.extend_from_slice(bytes);
        self.marks.push((length, self.started.elapsed().as_secs_f64()));
    }

    /// It ends so. Only the first end counts.
    fn tell(&mut self, end: End) {
        if self.end.is_some() {
            return;
        }
        self.end = Some(end);
        let heard = Arc::new(Heard {
            version: self.version.take(),
            streams: self.streams,
            bytes: std::mem::take(&mut self.bytes),
            marks: std::mem::take(&mut self.marks),
            end,
            total: self.started.elapsed().as_secs_f64(),
            _share: std::mem::replace(&mut self.share, Memory::default().share()),
        });
        for listener in self.listeners.drain(..) {
            // Whoever is gone does not want to know.
            let _ = listener.send(heard.clone());
        }
    }
}

impl std::ops::Drop for Recording {
    fn drop(&mut self) {
        self.tell(End::Left);
    }
}

/// The body on its way.
struct Passage {
    body: Body,
    recording: Recording,
}

impl Passage {
    /// A body of known length is not polled for its end.
    fn note_end(&mut self) {
        if self.body.is_end_stream() {
            self.recording.tell(End::Whole);
        }
    }
}

impl hyper::body::Body for Passage {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.recording.piece(data);
                }
                self.note_end();
            }
            Some(Err(_)) => self.recording.tell(End::Failed(Failure::Broken)),
            None => self.recording.tell(End::Whole),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Heard {
    /// What was answered.
    ///
    /// # Errors
    /// Why not all of it is known.
    pub fn answer(&self) -> Result<Answer, Drop> {
        if let End::Failed(failure) = self.end
            && self.bytes.is_empty()
        {
            return Ok(Answer::failed(failure, self.total));
        }
        if let End::Dropped(why) = self.end {
            return Err(why);
        }
        let mut hearing = Hearing::new(self.streams);
        let mut begin = 0;
        for (end, at) in &self.marks {
            if !hearing.piece(&self.bytes[begin..*end], *at) {
                break;
            }
            begin = *end;
        }
        let mut answer = hearing.finish(self.total);
        match self.end {
            End::Left => answer.outcome = Outcome::Abandoned,
            End::Failed(failure) => answer.outcome = Outcome::Failed(failure),
            End::Whole | End::Dropped(_) => {}
        }
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use ::shadow::answer::Finish;
    use futures::stream;
    use http_body_util::BodyExt;

    use super::*;

    const EVENT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n";
    const END: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";

    fn streaming(pieces: Vec<Result<&'static str, std::io::Error>>) -> Response<Body> {
        let mut response = Response::new(Body::from_stream(stream::iter(pieces)));
        let kind = HeaderValue::from_static("text/event-stream");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }

    /// What is heard of a response of which the caller reads so many pieces.
    async fn heard(response: Result<Response<Body>, Error>, pieces: usize) -> Result<Answer, Drop> {
        let mut tap = Tap::new(Memory::default());
        let listener = tap.add();
        let mut response = listen(Some(tap), std::future::ready(response)).await;
        if let Ok(response) = &mut response {
            for _ in 0..pieces {
                if response.body_mut().frame().await.is_none() {
                    break;
                }
            }
        }
        drop(response);
        listener.await.unwrap().answer()
    }

    #[tokio::test]
    async fn a_stream_is_heard_to_its_end() {
        let answer = heard(Ok(streaming(vec![Ok(EVENT), Ok(EVENT), Ok(END)])), 9)
            .await
            .unwrap();
        assert_eq!(
            (&*answer.text, answer.outcome),
            ("HiHi", Outcome::Finished(Finish::Stop))
        );
        assert!(answer.timings.first_token.is_some());
    }

    #[tokio::test]
    async fn a_body_of_known_length_ends_with_its_last_byte() {
        let body = r#"{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}"#;
        let answer = heard(Ok(Response::new(Body::from(body))), 1).await.unwrap();
        assert_eq!((&*answer.text, answer.outcome), ("Hi", Outcome::Finished(Finish::Stop)));
        assert_eq!(answer.timings.first_token, None);
    }

    #[tokio::test]
    async fn who_leaves_before_the_end_abandons_it() {
        let answer = heard(Ok(streaming(vec![Ok(EVENT), Ok(EVENT), Ok(END)])), 1)
            .await
            .unwrap();
        assert_eq!((&*answer.text, answer.outcome), ("Hi", Outcome::Abandoned));
        // Before the head came as well.
        let mut tap = Tap::new(Memory::default());
        let listener = tap.add();
        drop(listen(Some(tap), std::future::pending()));
        assert!(listener.await.is_err());
    }

    #[tokio::test]
    async fn failures_are_told_apart() {
        let broken = vec![Ok(EVENT), Err(std::io::Error::other("reset"))];
        let answer = heard(Ok(streaming(broken)), 9).await.unwrap();
        assert_eq!(
            (&*answer.text, answer.outcome),
            ("Hi", Outcome::Failed(Failure::Broken))
        );
        let mut refused = Response::new(Body::from("no"));
        *refused.status_mut() = axum::http::StatusCode::TOO_MANY_REQUESTS;
        let answer = heard(Ok(refused), 1).await.unwrap();
        assert_eq!(answer.outcome, Outcome::Failed(Failure::Overloaded));
        let answer = heard(Err(Error::UpstreamFailed { model: "m".into() }), 0)
            .await
            .unwrap();
        assert_eq!(answer.outcome, Outcome::Failed(Failure::Server));
    }

    #[tokio::test]
    async fn what_is_too_long_passes_and_is_not_heard() {
        let piece = "x".repeat(LONGEST / 2 + 1);
        let pieces = vec![Ok::<_, std::io::Error>(piece.clone()), Ok(piece.clone())];
        let mut tap = Tap::new(Memory::default());
        let listener = tap.add();
        let response = Response::new(Body::from_stream(stream::iter(pieces)));
        let response = listen(Some(tap), std::future::ready(Ok(response))).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body.len(), 2 * piece.len());
        assert_eq!(listener.await.unwrap().answer().unwrap_err(), Drop::Size);
    }
}
