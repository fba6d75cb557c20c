//! An HTTP/1.1 server of one file that misbehaves on demand: one request a connection.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;
use tokio::task::{JoinHandle, JoinSet};

/// How one request is answered.
#[derive(Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    content: Vec<u8>,
    honours_ranges: bool,
    /// `None`: the answer has no Content-Length.
    declared: Option<usize>,
    sent: usize,
    then_silence: bool,
    /// The answer waits until so many requests are under way.
    together: Option<Arc<Barrier>>,
}

impl Reply {
    /// The whole file, or its rest where asked.
    pub(crate) fn file(content: &[u8]) -> Self {
        Self {
            status: 200,
            headers: Vec::new(),
            content: content.to_vec(),
            honours_ranges: true,
            declared: Some(content.len()),
            sent: content.len(),
            then_silence: false,
            together: None,
        }
    }

    /// A status without a file.
    pub(crate) fn status(status: u16) -> Self {
        let mut reply = Self::file(b"");
        reply.status = status;
        reply
    }

    /// The same with another status.
    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn etag(self, etag: &str) -> Self {
        self.header("ETag", etag)
    }

    /// Sends so many bytes of the body at most, then closes the connection.
    pub(crate) fn cut_after(mut self, bytes: usize) -> Self {
        self.sent = bytes;
        self
    }

    /// Sends so many bytes of the body at most, then nothing, and keeps the connection open.
    pub(crate) fn stall_after(mut self, bytes: usize) -> Self {
        self.then_silence = true;
        self.cut_after(bytes)
    }

    /// Answers requests for the rest with everything.
    pub(crate) fn ignoring_ranges(mut self) -> Self {
        self.honours_ranges = false;
        self
    }

    /// Waits with its answer until as many requests are under way as the barrier is for.
    pub(crate) fn together(mut self, barrier: &Arc<Barrier>) -> Self {
        self.together = Some(barrier.clone());
        self
    }

    /// Does not tell the file's size.
    pub(crate) fn without_length(mut self) -> Self {
        self.declared = None;
        self
    }
}

/// One request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Its target.
    pub path: String,
    /// Its headers by lower-case name.
    pub headers: BTreeMap<String, String>,
}

/// A running server; it ends with this value.
pub(crate) struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Answers with these replies in turn, then with the last one for ever.
    pub(crate) async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let mut replies: VecDeque<Reply> = replies.into_iter().collect();
        Self::choosing(move |_| match replies.len() {
            1 => replies[0].clone(),
            _ => replies.pop_front().unwrap(),
        })
        .await
    }

    /// Answers each request with what `choose` says.
    pub(crate) async fn choosing(choose: impl FnMut(&Seen) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let choose = Arc::new(Mutex::new(choose));
        let log = seen.clone();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (choose, log) = (choose.clone(), log.clone());
                connections.spawn(async move {
                    // The client may hang up at any time.
                    let _ = answer(stream, |seen| (choose.lock().unwrap())(seen), &log).await;
                });
            }
        });
        Self { address, seen, task }
    }

    /// Its base URL with a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(stream: TcpStream, choose: impl FnOnce(&Seen) -> Reply, log: &Mutex<Vec<Seen>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let seen = read_head(&mut stream).await?;
    let reply = choose(&seen);
    let etag = reply
        .headers
        .iter()
        .find(|(name, _)| *name == "ETag")
        .map(|(_, value)| value);
    let same_version = match seen.headers.get("if-range") {
        Some(wanted) => Some(wanted) == etag,
        None => true,
    };
    let asked = seen.headers.get("range").and_then(|range| range_bounds(range));
    log.lock().unwrap().push(seen);
    let first = asked.filter(|_| reply.honours_ranges && same_version && reply.status == 200);
    let total = reply.content.len();
    if let Some(barrier) = &reply.together {
        barrier.wait().await;
    }
    let (status, body) = match first {
        Some((first, end)) if first < total => (206, &reply.content[first..end.min(total)]),
        Some(_) => (416, &reply.content[total..]),
        None => (reply.status, &reply.content[..]),
    };
    let mut head = format!("HTTP/1.1 {status} Status\r\nConnection: close\r\n");
    if reply.declared.is_some() {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    match (status, first) {
        (206, Some((first, end))) => {
            head += &format!("Content-Range: bytes {first}-{}/{total}\r\n", end.min(total) - 1);
        }
        (416, _) => head += &format!("Content-Range: bytes */{total}\r\n"),
        _ => {}
    }
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += "\r\n";
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body[..reply.sent.min(body.len())]).await?;
    stream.flush().await?;
    if reply.then_silence {
        std::future::pending::<()>().await;
    }
    stream.shutdown().await
}

async fn read_head(stream: &mut BufReader<TcpStream>) -> std::io::Result<Seen> {
    let mut lines = stream.lines();
    let first = lines.next_line().await?.unwrap_or_default();
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = BTreeMap::new();
    while let Some(line) = lines.next_line().await?.filter(|line| !line.is_empty()) {
        if let Some((name, value)) = line.split_once(':') {
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    Ok(Seen { path, headers })
}

/// First byte of a range, and the one behind its last.
fn range_bounds(range: &str) -> Option<(usize, usize)> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let end = if last.is_empty() {
        usize::MAX
    } else {
        last.parse::<usize>().ok()? + 1
    };
    Some((first.parse().ok()?, end))
}
