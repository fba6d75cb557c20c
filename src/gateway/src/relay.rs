//! The body of an answer on its way from a worker to a client.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use crate::{catalog::Lease, error::Error, events::WholeEvents, metrics::Observation, usage};

/// The worker's answer broke off or stalled; the client's connection is cut so that it can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the worker broke off its answer")]
pub struct Cut;

/// Passes a worker's answer on, piece by piece as it comes.
///
/// It ends in any case: a worker that breaks off or falls silent ends a stream with an `error`
/// event, and any other answer with a cut connection, which no client takes for a complete one.
/// Dropping it (the client left) closes the connection to the worker.
pub struct Relay<B> {
    worker: Option<B>,
    events: Option<WholeEvents>,
    model: String,
    idle_timeout: Duration,
    idle: Pin<Box<Sleep>>,
    observation: Observation,
    lease: Lease,
}

impl<B: Body<Data = Bytes> + Unpin> Relay<B> {
    /// Relays `worker`, an event stream if `streams`, for the model called `model`.
    pub fn new(
        worker: B,
        streams: bool,
        model: String,
        idle_timeout: Duration,
        observation: Observation,
        lease: Lease,
    ) -> Self {
        let mut relay = Self {
            worker: Some(worker),
            events: streams.then(WholeEvents::default),
            model,
            idle_timeout,
            idle: Box::pin(sleep(idle_timeout)),
            observation,
            lease,
        };
        relay.note_end();
        relay
    }

    /// Notes that nothing more will come: a body of known length is not polled for its end.
    fn note_end(&mut self) {
        if self.is_end_stream() {
            self.done();
        }
    }

    /// The answer is complete.
    fn done(&mut self) {
        self.lease.succeeded();
        self.observation.done();
    }

    /// Ends the answer before its time.
    fn break_off(&mut self, error: &Error) -> Option<Result<Frame<Bytes>, Cut>> {
        self.worker = None;
        self.lease.failed();
        self.observation.failed(error.code());
        tracing::warn!(model = self.model, code = error.code(), "an answer broke off");
        Some(match &mut self.events {
            Some(events) => Ok(Frame::data(events.fail(error))),
            None => Err(Cut),
        })
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Relay<B> {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let this = self.get_mut();
        loop {
            let Some(worker) = &mut this.worker else {
                return Poll::Ready(None);
            };
            let Poll::Ready(next) = Pin::new(worker).poll_frame(cx) else {
                ready!(this.idle.as_mut().poll(cx));
                let model = this.model.clone();
                return Poll::Ready(this.break_off(&Error::UpstreamTimeout { model }));
            };
            this.idle.as_mut().reset(Instant::now() + this.idle_timeout);
            let frame = match next {
                Some(Ok(frame)) => frame,
                Some(Err(_)) => {
                    let model = this.model.clone();
                    return Poll::Ready(this.break_off(&Error::UpstreamFailed { model }));
                }
                None => {
                    this.worker = None;
                    this.done();
                    let rest = this.events.as_mut().and_then(WholeEvents::finish);
                    return Poll::Ready(rest.map(|rest| Ok(Frame::data(rest))));
                }
            };
            if let Some(data) = frame.data_ref() {
                this.observation.piece(data);
                if let Some(usage) = usage::find(data) {
                    this.observation.used(usage);
                }
            }
            let Some(events) = &mut this.events else {
                this.note_end();
                return Poll::Ready(Some(Ok(frame)));
            };
            let whole = match frame.into_data() {
                Ok(data) => events.push(data),
                Err(_trailers) => None,
            };
            if let Some(whole) = whole {
                this.observation.first_token();
                this.lease.first_token();
                return Poll::Ready(Some(Ok(Frame::data(whole))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match (&self.worker, &self.events) {
            (Some(worker), None) => worker.is_end_stream(),
            (Some(_), Some(_)) => false,
            (None, _) => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.worker, &self.events) {
            (Some(worker), None) => worker.size_hint(),
            (Some(_), Some(_)) => SizeHint::default(),
            (None, _) => SizeHint::with_exact(0),
        }
    }
}
