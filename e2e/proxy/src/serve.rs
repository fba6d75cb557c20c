//! Connections and requests.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::BodyExt as _;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinSet, time::sleep};

use crate::{
    Action, Call, On, Verb,
    body::{self, Body},
    call,
    log::Entry,
    proxy::{Answer, Caller, Shared},
    watch,
};

/// Why a request gets no answer: its connection is closed.
#[derive(Debug)]
enum Silence {
    Planned,
    Upstream(kube::Error),
    Operator(hyper::Error),
}

impl std::fmt::Display for Silence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Planned => f.write_str("the plan says so"),
            Self::Upstream(error) => write!(f, "the API server: {error}"),
            Self::Operator(error) => write!(f, "the operator: {error}"),
        }
    }
}

impl std::error::Error for Silence {}

/// Serves connections until it is dropped, which closes them.
pub async fn listen(shared: Arc<Shared>, listener: TcpListener, caller: Caller) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Too many open files, for a moment.
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (shared, caller) = (shared.clone(), caller.clone());
        connections.spawn(async move {
            let service = service_fn(move |request| answer(shared.clone(), caller.clone(), request));
            // A connection that breaks is what this program is for.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(shared: Arc<Shared>, caller: Caller, request: Request<Incoming>) -> Result<Response<Body>, Silence> {
    let (head, incoming) = request.into_parts();
    let body = incoming.collect().await.map_err(Silence::Operator)?.to_bytes();
    let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
    let call = Call::parse(&head.method, path, query);
    let path = match &shared.namespace {
        Some(namespace) => call::narrowed(path, namespace),
        None => path.to_owned(),
    };
    let uri = if query.is_empty() {
        path
    } else {
        format!("{path}?{query}")
    };
    let mut request = Request::new(kube::client::Body::from(body.to_vec()));
    *request.method_mut() = head.method;
    *request.headers_mut() = head.headers;
    body::strip_hop_by_hop(request.headers_mut());
    *request.uri_mut() = uri.parse::<Uri>().map_err(|_| Silence::Planned)?;

    let exchange = Exchange { shared, caller, uri };
    match call {
        Some(call) if call.is_write() => exchange.write(call, request).await,
        Some(call) if call.is_read() => exchange.read(request).await,
        Some(call) if call.verb == Verb::Watch => exchange.watch(request).await,
        _ => Ok(exchange.forward(request).await?.into()),
    }
}

struct Exchange {
    shared: Arc<Shared>,
    caller: Caller,
    uri: String,
}

type Outgoing = Request<kube::client::Body>;

impl Exchange {
    async fn write(self, call: Call, request: Outgoing) -> Result<Response<Body>, Silence> {
        let turn = self.shared.turn.lock().await;
        self.check_admitted()?;
        let action = self.shared.due(On::Write);
        match action {
            Some(Action::Refuse(code)) => return Ok(body::refusal(code)),
            Some(Action::Drop) => return Err(Silence::Planned),
            Some(Action::Delay(pause)) => sleep(Duration::from_millis(pause)).await,
            _ => {}
        }
        let answer = self.forward(request).await?;
        self.shared.record(Entry {
            incarnation: self.caller.incarnation,
            call,
            status: answer.status.as_u16(),
        });
        if action == Some(Action::Kill) {
            self.shared.kill(&self.caller);
            return Err(Silence::Planned);
        }
        drop(turn);
        match action {
            Some(Action::Mask(code)) => Ok(body::refusal(code)),
            Some(Action::DropAnswer) => Err(Silence::Planned),
            Some(Action::DelayAnswer(pause)) => {
                sleep(Duration::from_millis(pause)).await;
                Ok(answer.into())
            }
            _ => Ok(answer.into()),
        }
    }

    async fn read(self, request: Outgoing) -> Result<Response<Body>, Silence> {
        match self.shared.due(On::Read) {
            Some(Action::Refuse(code)) => return Ok(body::refusal(code)),
            Some(Action::Drop) => return Err(Silence::Planned),
            Some(Action::Delay(pause)) => sleep(Duration::from_millis(pause)).await,
            Some(Action::Stale) => {
                if let Some(answer) = self.shared.recall(&self.uri) {
                    return Ok(answer.into());
                }
            }
            _ => {}
        }
        let answer = self.forward(request).await?;
        self.shared.remember(&self.uri, answer.clone());
        Ok(answer.into())
    }

    async fn watch(self, request: Outgoing) -> Result<Response<Body>, Silence> {
        match self.shared.due(On::Watch) {
            Some(Action::Refuse(code)) => return Ok(body::refusal(code)),
            Some(Action::Drop) => return Err(Silence::Planned),
            Some(Action::Delay(pause)) => sleep(Duration::from_millis(pause)).await,
            _ => {}
        }
        self.check_admitted()?;
        let answer = self.shared.upstream.send(request).await.map_err(Silence::Upstream)?;
        let (mut head, upstream) = answer.into_parts();
        body::strip_hop_by_hop(&mut head.headers);
        Ok(Response::from_parts(head, watch::follow(self.shared, upstream)))
    }

    async fn forward(&self, request: Outgoing) -> Result<Answer, Silence> {
        self.check_admitted()?;
        let answer = self.shared.upstream.send(request).await.map_err(Silence::Upstream)?;
        let (mut head, upstream) = answer.into_parts();
        body::strip_hop_by_hop(&mut head.headers);
        let body = upstream.collect().await.map_err(Silence::Upstream)?.to_bytes();
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
        })
    }

    /// A dead operator's last calls reach nothing.
    fn check_admitted(&self) -> Result<(), Silence> {
        let admitted = self.caller.admitted.load(Ordering::SeqCst);
        admitted.then_some(()).ok_or(Silence::Planned)
    }
}

impl From<Answer> for Response<Body> {
    fn from(answer: Answer) -> Self {
        let Answer { status, headers, body } = answer;
        let mut response = Response::new(body::whole(Bytes::clone(&body)));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}
