//! Connections to workers.

use std::{net::SocketAddr, time::Duration};

use axum::http::{HeaderMap, Method, Request, Response, Uri};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::timeout;

/// How long workers may take.
#[derive(Clone, Copy, Debug)]
pub struct UpstreamTimeouts {
    /// To accept a connection.
    pub connect: Duration,
    /// To begin their answer, all tries together: an unstreamed one begins when it is complete.
    pub first_byte: Duration,
    /// Between two pieces of an answer.
    pub idle: Duration,
}

impl Default for UpstreamTimeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            first_byte: Duration::from_secs(600),
            idle: Duration::from_secs(120),
        }
    }
}

/// Why a request got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// There was no connection: the worker has not seen the request.
    Connect,
    /// The connection broke before the answer: the worker may have seen the request.
    Broken,
    /// The answer did not begin in time.
    Timeout,
}

/// Idle connections live shorter than any NAT or conntrack entry on the way.
const POOL_IDLE: Duration = Duration::from_secs(30);
const POOL_IDLE_PER_WORKER: usize = 128;
/// A worker whose node vanished is noticed after about this time, while it is silent or sent to.
const DEAD_PEER: Duration = Duration::from_secs(20);

/// Sends requests to workers over pooled HTTP/1.1 connections.
pub struct Upstream {
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Upstream {
    /// Without connections yet.
    pub fn new(timeouts: UpstreamTimeouts) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(timeouts.connect));
        connector.set_nodelay(true);
        connector.set_keepalive(Some(DEAD_PEER / 2));
        connector.set_keepalive_interval(Some(DEAD_PEER / 4));
        connector.set_keepalive_retries(Some(2));
        connector.set_tcp_user_timeout(Some(DEAD_PEER));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(POOL_IDLE_PER_WORKER)
            .build(connector);
        Self { client }
    }

    /// Posts `body` to `path` at `address`, and returns when the head of the answer is there, within `patience`.
    ///
    /// # Errors
    /// When there is none. Dropping the future, or later the answer's body, closes the connection.
    pub async fn post(
        &self,
        address: SocketAddr,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
        patience: Duration,
    ) -> Result<Response<Incoming>, Failure> {
        let uri = Uri::builder()
            .scheme("http")
            .authority(address.to_string())
            .path_and_query(path)
            .build()
            .expect("a socket address and one of our paths make a URI");
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        match timeout(patience, self.client.request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => {
                tracing::debug!(%address, error = &error as &dyn std::error::Error, "a worker did not answer");
                Err(if error.is_connect() {
                    Failure::Connect
                } else {
                    Failure::Broken
                })
            }
            Err(_) => Err(Failure::Timeout),
        }
    }
}
