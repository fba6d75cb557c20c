//! One try at a worker, and a second one beside it when its answer is late.
//!
//! "Late" is later than 95 of 100 answers of the version begin. Whichever worker begins first answers, and the other
//! one's connection is closed, upon which it stops computing.

use std::{net::SocketAddr, pin::pin, time::Duration};

use axum::http::{HeaderMap, Response, StatusCode};
use futures::future::{Either, select};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout};

use super::{Attempts, Proxy, Request};
use crate::{
    catalog::{Active, Lease, Model, Retry},
    upstream::Failure,
};

type Sent = Result<Response<Incoming>, Failure>;

impl Proxy {
    /// Sends `request` to the worker of `lease`, and says what came of it, and where.
    pub(super) async fn attempt(
        &self,
        request: &Request,
        lease: Lease,
        is_canary: bool,
        active: &Active,
        attempts: &mut Attempts,
    ) -> (Sent, Lease) {
        let begun = Instant::now();
        let is_last = || !is_canary && (attempts.are_spent() || self.other(request, attempts, &lease).is_none());
        let patience = request.deadline.share(is_last);
        let mut headers = request.headers.clone();
        request.trace.attempt(&lease, &mut headers);
        let mut first = pin!(self.post(request, lease.endpoint().address, headers, patience));
        let Some(delay) = self.delay(request, &lease, is_canary || attempts.are_spent()) else {
            let sent = first.await;
            self.note_first_byte(request, &lease, &sent, begun);
            return (sent, lease);
        };
        if let Ok(sent) = timeout(delay, &mut first).await {
            self.note_first_byte(request, &lease, &sent, begun);
            return (sent, lease);
        }
        let Some((other, _retry)) = self.second(request, &lease, active, attempts) else {
            return (first.await, lease);
        };
        self.attempts.with_label_values(&["hedged"]).inc();
        let mut headers = request.headers.clone();
        let beside = request.trace.beside(&other, &mut headers);
        let patience = patience.saturating_sub(delay);
        let second = pin!(self.post(request, other.endpoint().address, headers, patience));
        match select(first, second).await {
            Either::Left((sent, _)) if is_good(&sent) => {
                beside.loses("hedge_lost");
                (sent, lease)
            }
            Either::Left((sent, second)) => {
                self.failed_beside(lease, &sent, attempts);
                request.trace.takes(beside, "hedged");
                (second.await, other)
            }
            Either::Right((sent, _)) if is_good(&sent) => {
                self.attempts.with_label_values(&["hedge_won"]).inc();
                request.trace.takes(beside, "hedged");
                (sent, other)
            }
            Either::Right((sent, first)) => {
                self.failed_beside(other, &sent, attempts);
                beside.loses("hedge_failed");
                (first.await, lease)
            }
        }
    }

    async fn post(&self, request: &Request, worker: SocketAddr, headers: HeaderMap, patience: Duration) -> Sent {
        let (path, body) = (request.operation.path(), request.body.bytes.clone());
        self.upstream.post(worker, path, headers, body, patience).await
    }

    /// After which time a second worker gets the request, if any does: a version on trial has no worker to spare.
    fn delay(&self, request: &Request, lease: &Lease, is_alone: bool) -> Option<Duration> {
        let hedges = self.hedges && request.begins_soon && !is_alone;
        hedges.then(|| lease.endpoint().stats().first_bytes().late())?
    }

    fn note_first_byte(&self, request: &Request, lease: &Lease, sent: &Sent, begun: Instant) {
        if self.hedges && request.begins_soon && is_good(sent) {
            lease.endpoint().stats().first_bytes().record(begun.elapsed());
        }
    }

    /// Another worker, if the budget of retries has room for what it may compute.
    fn second(&self, request: &Request, lease: &Lease, active: &Active, attempts: &Attempts) -> Option<(Lease, Retry)> {
        let other = self.other(request, attempts, lease)?;
        Some((other, active.retry()?))
    }

    /// The best worker beside that of `lease`.
    fn other(&self, request: &Request, attempts: &Attempts, lease: &Lease) -> Option<Lease> {
        let Model { namespace, name, .. } = &*request.model;
        let model = self.catalog.model(namespace, name)?;
        let passed_over = attempts.passed_over(Some(lease));
        self.pick(request, &model, &passed_over).ok()?
    }

    /// One of two tries failed while the other one goes on.
    fn failed_beside(&self, mut lease: Lease, sent: &Sent, attempts: &mut Attempts) {
        attempts.failed_beside(&lease, matches!(sent, Err(Failure::Broken | Failure::Timeout)));
        let status = sent.as_ref().map(Response::status);
        let outcome = match status {
            Ok(StatusCode::TOO_MANY_REQUESTS) => "full",
            Ok(StatusCode::SERVICE_UNAVAILABLE) => "unavailable",
            Ok(_) => "failed",
            Err(Failure::Connect) => "connect",
            Err(Failure::Broken) => "broken",
            Err(Failure::Timeout) => "timeout",
        };
        match status {
            Ok(StatusCode::TOO_MANY_REQUESTS) => lease.abstain(),
            Ok(StatusCode::SERVICE_UNAVAILABLE) => lease.turned_away(),
            Err(Failure::Connect) => {
                lease.turned_away();
                lease.endpoint().suspect();
            }
            _ => lease.failed(),
        }
        self.attempts.with_label_values(&[outcome]).inc();
    }
}

/// Whether another worker need not be waited for.
fn is_good(sent: &Sent) -> bool {
    sent.as_ref().is_ok_and(|response| {
        let status = response.status();
        !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS
    })
}
