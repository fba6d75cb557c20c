//! A worker with a script instead of a model: real HTTP on a loopback port.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderMap, Response, StatusCode, header},
};
use bytes::Bytes;
use futures::stream;
use http_body_util::BodyExt;
use tokio::{
    net::TcpListener,
    sync::mpsc,
    task::{AbortHandle, JoinSet},
};

/// A request as the worker got it.
#[derive(Clone, Debug)]
pub struct Received {
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
}

/// What the worker answers with.
type Script = dyn Fn(&Received) -> Response<Body> + Send + Sync;

/// A listening worker.
pub struct Worker {
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    serving: AbortHandle,
}

impl Worker {
    /// Answers every request by `script`.
    pub async fn start(script: impl Fn() -> Response<Body> + Send + Sync + 'static) -> Self {
        Self::reading(move |_| script()).await
    }

    /// Answers every request by `script`, which reads it.
    pub async fn reading(script: impl Fn(&Received) -> Response<Body> + Send + Sync + 'static) -> Self {
        let received = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Script> = Arc::new(script);
        let router = Router::new().fallback({
            let received = received.clone();
            move |request: Request| {
                let (received, script) = (received.clone(), script.clone());
                async move {
                    let (parts, body) = request.into_parts();
                    let body = body.collect().await.unwrap().to_bytes();
                    let one = Received {
                        path: parts.uri.path().into(),
                        headers: parts.headers,
                        body: String::from_utf8(body.to_vec()).unwrap(),
                    };
                    received.lock().unwrap().push(one.clone());
                    script(&one)
                }
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // Connections live in the serving task's set: aborting it resets them all, as SIGKILL would.
        let serving = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let service = hyper_util::service::TowerToHyperService::new(router.clone());
                let io = hyper_util::rt::TokioIo::new(stream);
                connections.spawn(hyper::server::conn::http1::Builder::new().serve_connection(io, service));
            }
        });
        Self {
            address,
            received,
            serving: serving.abort_handle(),
        }
    }

    /// Answers each request with the same whole body.
    pub async fn answering(status: StatusCode, content_type: &'static str, body: &'static str) -> Self {
        Self::start(move || {
            Response::builder()
                .status(status)
                .header(header::CONTENT_TYPE, content_type)
                .body(Body::from(body))
                .unwrap()
        })
        .await
    }

    /// Streams what the test sends: the channel's end is the end of the stream. One request only.
    pub async fn streaming(content_type: &'static str) -> (Self, mpsc::Sender<Bytes>) {
        let (sender, receiver) = mpsc::channel::<Bytes>(1);
        let receiver = Mutex::new(Some(receiver));
        let worker = Self::start(move || {
            let mut receiver = receiver.lock().unwrap().take().expect("one request");
            let pieces = stream::poll_fn(move |cx| receiver.poll_recv(cx));
            let body = Body::from_stream(futures::StreamExt::map(pieces, Ok::<_, Infallible>));
            Response::builder()
                .header(header::CONTENT_TYPE, content_type)
                .body(body)
                .unwrap()
        });
        (worker.await, sender)
    }

    /// The requests so far.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Dies on the spot, connections included.
    pub fn kill(&self) {
        self.serving.abort();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
    }
}
