//! As little HTTP as a load generator and its upstream need: whoever measures must cost less than what is measured.

use anyhow::{Context, Result, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Reads messages whose body has an announced length.
pub struct Connection {
    stream: TcpStream,
    held: Vec<u8>,
}

/// Longer messages are not understood.
const MAX_MESSAGE: usize = 1 << 20;

impl Connection {
    /// Takes over a stream.
    ///
    /// # Errors
    /// When the stream is closed already.
    pub fn new(stream: TcpStream) -> Result<Self> {
        stream
            .set_nodelay(true)
            .context("failed to set an option of a socket")?;
        Ok(Self {
            stream,
            held: Vec::with_capacity(16 << 10),
        })
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// When the other side is gone.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).await.context("a connection broke")
    }

    /// Reads a whole message and returns its first line; `None` at the end of the connection.
    ///
    /// # Errors
    /// When the message is not whole, or of another kind.
    pub async fn receive(&mut self) -> Result<Option<String>> {
        loop {
            if let Some(head) = find(&self.held, b"\r\n\r\n") {
                let text = std::str::from_utf8(&self.held[..head]).context("a head is not text")?;
                let first = text.lines().next().unwrap_or_default().to_owned();
                let whole = head + 4 + length(text)?;
                if self.held.len() >= whole {
                    self.held.drain(..whole);
                    return Ok(Some(first));
                }
            }
            if !self.more().await? {
                ensure!(self.held.is_empty(), "a message broke off");
                return Ok(None);
            }
        }
    }

    /// Reads until `end` has come, and forgets all of it.
    ///
    /// # Errors
    /// When it does not come.
    pub async fn skip_past(&mut self, end: &[u8]) -> Result<()> {
        loop {
            if let Some(place) = find(&self.held, end) {
                self.held.drain(..place + end.len());
                return Ok(());
            }
            let keep = self.held.len().min(end.len());
            self.held.drain(..self.held.len() - keep);
            ensure!(self.more().await?, "a stream broke off");
        }
    }

    async fn more(&mut self) -> Result<bool> {
        ensure!(self.held.len() < MAX_MESSAGE, "a message is too long");
        let read = self
            .stream
            .read_buf(&mut self.held)
            .await
            .context("a connection broke")?;
        Ok(read > 0)
    }
}

fn length(head: &str) -> Result<usize> {
    for line in head.lines() {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        if name.eq_ignore_ascii_case("content-length") {
            return value.trim().parse().context("a length is no number");
        }
        if name.eq_ignore_ascii_case("transfer-encoding") {
            bail!("a message has no announced length: {head}");
        }
    }
    Ok(0)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
