//! Requests: at a pace, as fast as they are answered, and as streams.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use tokio::net::TcpStream;

use super::{http::Connection, upstream};

/// Where requests go, and what they say.
#[derive(Clone, Debug)]
pub struct Target {
    /// The server.
    pub address: SocketAddr,
    /// The model that is asked.
    pub model: &'static str,
    /// What it wants to see, if anything.
    pub token: Option<String>,
}

/// The text of a request of about a kilobyte.
const WORDS: &str = "Tell me a story about a lighthouse keeper and the sea. ";

impl Target {
    fn request(&self, path: &str, stream: bool) -> Vec<u8> {
        self.request_with(path, stream, "")
    }

    fn request_with(&self, path: &str, stream: bool, more: &str) -> Vec<u8> {
        let text = WORDS.repeat(18);
        let body = match stream {
            false => serde_json::json!({"model": self.model, "messages": [{"role": "user", "content": text}]}),
            true => serde_json::json!({"model": self.model, "prompt": text, "stream": true}),
        };
        let body = body.to_string();
        let token = self.token.as_ref();
        let token = token
            .map(|token| format!("authorization: Bearer {token}\r\n"))
            .unwrap_or_default();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n{token}{more}content-length: {}\r\n\r\n",
            body.len()
        );
        (head + &body).into_bytes()
    }

    async fn connect(&self) -> Result<Connection> {
        let stream = TcpStream::connect(self.address).await;
        Connection::new(stream.with_context(|| format!("failed to connect to {}", self.address))?)
    }

    async fn exchange(connection: &mut Connection, request: &[u8]) -> Result<()> {
        connection.send(request).await?;
        let first = connection.receive().await?.context("the server hung up")?;
        ensure!(first.contains(" 200 "), "the server answered {first}");
        Ok(())
    }
}

/// Someone who asks a server again and again, over one connection as long as it holds.
pub struct Client {
    target: Target,
    connection: Option<Connection>,
}

impl Client {
    /// A client that has not connected yet.
    pub fn new(target: Target) -> Self {
        Self {
            target,
            connection: None,
        }
    }

    /// Asks under an id of the client's own.
    ///
    /// # Errors
    /// When there is no answer, or another one than 200.
    pub async fn ask(&mut self, id: &str) -> Result<()> {
        let more = format!("x-request-id: {id}\r\n");
        let request = self.target.request_with("/v1/chat/completions", false, &more);
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.target.connect().await?,
        };
        Target::exchange(&mut connection, &request).await?;
        self.connection = Some(connection);
        Ok(())
    }
}

/// Sends `rate` requests a second, whether they are answered in time or not, and returns how long each took from the
/// moment at which it should have been sent: a server that stalls does not make its own measure look good.
pub async fn paced(target: &Target, rate: u32, time: Duration, connections: u32) -> Result<Vec<f64>> {
    let request = target.request("/v1/chat/completions", false);
    let begin = Instant::now() + Duration::from_millis(100);
    let count = (f64::from(rate) * time.as_secs_f64()) as u32;
    let sender = async |first: u32| {
        let mut connection = target.connect().await?;
        let mut seconds = Vec::new();
        for number in (first..count).step_by(connections as usize) {
            let due = begin + Duration::from_secs_f64(f64::from(number) / f64::from(rate));
            // Timers are too coarse for what is measured here.
            while Instant::now() < due {
                tokio::task::yield_now().await;
            }
            Target::exchange(&mut connection, &request).await?;
            seconds.push(due.elapsed().as_secs_f64());
        }
        anyhow::Ok(seconds)
    };
    Ok(try_join_all((0..connections).map(sender)).await?.concat())
}

/// Sends the next request of each connection when the one before is answered, and returns how many were in a second.
pub async fn flat_out(target: &Target, time: Duration, connections: u32) -> Result<f64> {
    let request = target.request("/v1/chat/completions", false);
    let begun = Instant::now();
    let sender = async |_| {
        let mut connection = target.connect().await?;
        let mut count = 0_u64;
        while begun.elapsed() < time {
            Target::exchange(&mut connection, &request).await?;
            count += 1;
        }
        anyhow::Ok(count)
    };
    let counts = try_join_all((0..connections).map(sender)).await?;
    Ok(counts.iter().sum::<u64>() as f64 / begun.elapsed().as_secs_f64())
}

/// Opens streams and returns when all are open.
pub async fn open_streams(target: &Target, count: u32) -> Result<Vec<Connection>> {
    let request = target.request("/v1/completions", true);
    let mut streams = Vec::new();
    // Few at a time: the queue of connections that wait to be accepted is short.
    for batch in 0..count.div_ceil(100) {
        let open = async |_| {
            let mut connection = target.connect().await?;
            connection.send(&request).await?;
            connection.skip_past(b"data: ").await?;
            anyhow::Ok(connection)
        };
        let size = (count - batch * 100).min(100);
        streams.extend(try_join_all((0..size).map(open)).await?);
    }
    Ok(streams)
}

/// Reads streams to their end.
pub async fn finish(streams: Vec<Connection>) -> Result<()> {
    let read = async |mut stream: Connection| stream.skip_past(upstream::END).await;
    try_join_all(streams.into_iter().map(read)).await.map(drop)
}

/// A quantile of measured times.
pub fn quantile(seconds: &mut [f64], share: f64) -> f64 {
    seconds.sort_by(f64::total_cmp);
    let place = ((seconds.len() as f64 * share) as usize).min(seconds.len().saturating_sub(1));
    seconds.get(place).copied().unwrap_or(f64::NAN)
}
