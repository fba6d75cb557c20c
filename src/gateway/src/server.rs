//! Sockets: accepting connections, and letting go of them without breaking requests.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::Router;
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{Instant, sleep, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tower::Service;

use crate::tls::Tls;

/// What is spoken on connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1, for the API.
    Http1,
    /// HTTP/2, for gRPC.
    Http2,
}

/// Bounds on connections, and the course of a shutdown.
#[derive(Clone, Copy, Debug)]
pub struct ServerSettings {
    /// What is spoken on connections.
    pub protocol: Protocol,
    /// Connections open at once; more wait to be accepted.
    pub max_connections: usize,
    /// Longest wait for a request's head, on a new connection or between requests. Longer than load
    /// balancers keep idle connections (60 s is common), so that they never send into a closing one.
    pub head_timeout: Duration,
    /// How long connections are still accepted after the signal to stop: until the news has
    /// reached every node's proxy.
    pub drain_delay: Duration,
    /// How long after the signal to stop the last request is cut off.
    pub drain_deadline: Duration,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            protocol: Protocol::Http1,
            max_connections: 8192,
            head_timeout: Duration::from_secs(75),
            drain_delay: Duration::from_secs(5),
            drain_deadline: Duration::from_secs(55),
        }
    }
}

/// A client that vanished without a goodbye is noticed when it is silent for this long.
const PROBE_AFTER: Duration = Duration::from_secs(30);
const PROBE_EVERY: Duration = Duration::from_secs(10);
/// A client that takes none of its answer for this long is cut off: it holds a place at a worker.
const STALLED: Duration = Duration::from_secs(120);

/// Largest request head in bytes; beyond it the answer is 431.
const MAX_HEAD: usize = 64 << 10;
const MAX_HEADERS: usize = 100;
/// Calls under way on one connection of HTTP/2.
const MAX_STREAMS: u32 = 1024;

/// Where a request comes from: the other end of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// Tells requests of one connection where they come from.
#[derive(Clone)]
struct Told {
    router: Router,
    peer: Peer,
}

impl Service<hyper::Request<Incoming>> for Told {
    type Response = <Router as Service<hyper::Request<Incoming>>>::Response;
    type Error = <Router as Service<hyper::Request<Incoming>>>::Error;
    type Future = <Router as Service<hyper::Request<Incoming>>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Service::<hyper::Request<Incoming>>::poll_ready(&mut self.router, context)
    }

    fn call(&mut self, mut request: hyper::Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        self.router.call(request)
    }
}

/// Serves `router` on `listener`, behind `tls` if there is one, until `stop` completes and the requests under way have ended, or
/// the deadline has come. `draining` is called when `stop` completes.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<Arc<Tls>>,
    settings: ServerSettings,
    stop: impl Future<Output = ()>,
    draining: impl FnOnce(),
) {
    let graceful = GracefulShutdown::new();
    let cut = CancellationToken::new();
    let accepting = accept(&listener, &router, tls.as_ref(), settings, &graceful, &cut);
    let until_drained = async {
        stop.await;
        draining();
        let deadline = Instant::now() + settings.drain_deadline;
        sleep(settings.drain_delay.min(settings.drain_deadline)).await;
        deadline
    };
    let deadline = tokio::select! {
        () = accepting => unreachable!("accepting goes on until it is dropped"),
        deadline = until_drained => deadline,
    };
    drop(listener);
    tracing::info!(connections = graceful.count(), "finishing the requests under way");
    if timeout_at(deadline, graceful.shutdown()).await.is_err() {
        tracing::warn!("cutting off requests at the end of the grace period");
        cut.cancel();
    }
}

async fn accept(
    listener: &TcpListener,
    router: &Router,
    tls: Option<&Arc<Tls>>,
    settings: ServerSettings,
    graceful: &GracefulShutdown,
    cut: &CancellationToken,
) {
    let room = Arc::new(Semaphore::new(settings.max_connections));
    loop {
        let place = room
            .clone()
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, or the peer left already. Neither is helped by haste.
                tracing::warn!(%error, "failed to accept a connection");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (tls, watcher) = (tls.cloned(), graceful.watcher());
        let router = Told {
            router: router.clone(),
            peer: Peer(peer),
        };
        let serving = async move {
            if let Err(error) = tune(&stream) {
                tracing::debug!(%error, "failed to set socket options");
            }
            let Some(tls) = tls else {
                return connection(stream, router, settings, watcher).await;
            };
            match tls.accept(stream, settings.protocol).await {
                Ok(stream) => connection(stream, router, settings, watcher).await,
                Err(error) => tracing::debug!(%error, "a caller does not speak TLS"),
            }
        };
        let cut = cut.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = serving => {}
                () = cut.cancelled() => {}
            }
            drop(place);
        });
    }
}

async fn connection<S>(stream: S, router: Told, settings: ServerSettings, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (io, service) = (TokioIo::new(stream), TowerToHyperService::new(router));
    let outcome = match settings.protocol {
        Protocol::Http1 => {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(settings.head_timeout)
                .max_header_size(MAX_HEAD)
                .max_headers(MAX_HEADERS)
                .serve_connection(io, service);
            watcher.watch(connection).await
        }
        Protocol::Http2 => {
            let connection = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_header_list_size(MAX_HEAD as u32)
                .max_concurrent_streams(MAX_STREAMS)
                .keep_alive_interval(PROBE_AFTER)
                .serve_connection(io, service);
            watcher.watch(connection).await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(error = &error as &dyn std::error::Error, "a connection ended early");
    }
}

fn tune(stream: &TcpStream) -> io::Result<()> {
    // Tokens are small and must not wait for each other.
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let probes = TcpKeepalive::new().with_time(PROBE_AFTER).with_interval(PROBE_EVERY);
    socket.set_tcp_keepalive(&probes)?;
    socket.set_tcp_user_timeout(Some(STALLED))
}
