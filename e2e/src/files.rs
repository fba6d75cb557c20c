//! A file server on this machine that pods can reach, with faults on demand.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode, header};
use axum::{Router, routing::get};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::settings::HOST_ADDRESS;

const CHUNK: usize = 64 * 1024;

/// How the server treats a request for its one file.
#[derive(Clone, Copy, Debug)]
pub enum Behaviour {
    /// Sends it, from where the client asks.
    Whole,
    /// Answers with a status and no file.
    Status(StatusCode),
    /// Cuts the connection after so many bytes, the first `times` times.
    Cut {
        /// Bytes of each cut answer.
        after: usize,
        /// Answers that are cut.
        times: usize,
    },
    /// Sends so many bytes, then nothing more, and keeps the connection open.
    Stall {
        /// Bytes before the silence.
        after: usize,
    },
}

/// A running file server; it ends with this value.
pub struct FileServer {
    /// Where the file is.
    pub url: String,
    /// SHA-256 of the file, as 64 hex digits.
    pub sha256: String,
    state: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    content: Bytes,
    behaviour: Behaviour,
    served: AtomicUsize,
    headers: Mutex<Vec<HeaderMap>>,
}

impl FileServer {
    /// Serves one file as `/model.gguf`.
    pub async fn start(content: impl Into<Bytes>, behaviour: Behaviour) -> Result<Self> {
        let content = content.into();
        let sha256 = hex::encode(Sha256::digest(&content));
        let state = Arc::new(Shared {
            content,
            behaviour,
            served: AtomicUsize::new(0),
            headers: Mutex::default(),
        });
        let listener = TcpListener::bind((HOST_ADDRESS, 0))
            .await
            .context("failed to listen where pods reach this machine")?;
        let url = format!("http://{}/model.gguf", listener.local_addr()?);
        let router = Router::new().route("/model.gguf", get(serve)).with_state(state.clone());
        let task = tokio::spawn(async move {
            // It ends when the task is aborted.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            url,
            sha256,
            state,
            task,
        })
    }

    /// The headers of all requests so far.
    pub fn requests(&self) -> Vec<HeaderMap> {
        self.state.headers.lock().expect("no request panics").clone()
    }
}

impl Drop for FileServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(State(state): State<Arc<Shared>>, headers: HeaderMap) -> Response<Body> {
    let total = state.content.len();
    let range = range(&headers, total).filter(|range| !range.is_empty());
    state.headers.lock().expect("no request panics").push(headers);
    let turn = state.served.fetch_add(1, Ordering::Relaxed);
    let rest = state.content.slice(range.clone().unwrap_or(0..total));
    let (send, then) = match state.behaviour {
        Behaviour::Status(status) => return empty(status),
        Behaviour::Whole => (rest.len(), End::Complete),
        Behaviour::Cut { after, times } if turn < times => (after.min(rest.len()), End::Cut),
        Behaviour::Cut { .. } => (rest.len(), End::Complete),
        Behaviour::Stall { after } => (after.min(rest.len()), End::Silence),
    };
    let mut response = Response::builder()
        .header(header::CONTENT_LENGTH, rest.len())
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::ETAG, "\"one\"");
    if let Some(Range { start, end }) = range {
        response = response
            .status(StatusCode::PARTIAL_CONTENT)
            .header(header::CONTENT_RANGE, format!("bytes {start}-{}/{total}", end - 1));
    }
    response
        .body(body(rest.slice(..send), then))
        .expect("all headers are valid")
}

/// What follows the bytes that are sent.
enum End {
    Complete,
    Cut,
    Silence,
}

fn body(bytes: Bytes, end: End) -> Body {
    let chunks = (0..bytes.len())
        .step_by(CHUNK)
        .map(move |at| Ok(bytes.slice(at..bytes.len().min(at + CHUNK))))
        .collect::<Vec<Result<Bytes, std::io::Error>>>();
    let chunks = stream::iter(chunks);
    match end {
        End::Complete => Body::from_stream(chunks),
        End::Cut => Body::from_stream(chunks.chain(stream::iter([Err(std::io::Error::other("cut"))]))),
        End::Silence => Body::from_stream(chunks.chain(stream::pending())),
    }
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// The bytes of `Range: bytes=N-` and `Range: bytes=N-M`.
pub fn range(headers: &HeaderMap, total: usize) -> Option<Range<usize>> {
    let range = headers.get(header::RANGE)?.to_str().ok()?;
    let (start, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let end = match last {
        "" => total,
        last => total.min(last.parse::<usize>().ok()? + 1),
    };
    Some(start.parse().ok()?..end)
}
