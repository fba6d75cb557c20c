//! As much HTTP/1.1 as asking a model takes: one request, and a body that comes in pieces.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// Longest silence before we give up; the first token of a long prompt may take a while.
const SILENCE: Duration = Duration::from_secs(120);

/// An answer whose body is read as it comes.
#[derive(Debug)]
pub struct Response<R> {
    /// Status code.
    pub status: u16,
    body: Body<R>,
}

#[derive(Debug)]
enum Framing {
    /// Bytes still to come.
    Length(u64),
    /// Bytes still to come of the chunk at hand; `None` after the last chunk.
    Chunked(Option<u64>),
    UntilClose,
}

#[derive(Debug)]
struct Body<R> {
    reader: R,
    framing: Framing,
}

/// Sends a JSON body to `http://<authority><path>`.
pub fn post(authority: &str, path: &str, token: &str, json: &str) -> Result<Response<BufReader<TcpStream>>> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        json.len()
    );
    send(authority, &[head.as_bytes(), json.as_bytes()])
}

/// Asks for `http://<authority><path>`.
pub fn get(authority: &str, path: &str) -> Result<Response<BufReader<TcpStream>>> {
    let head = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    send(authority, &[head.as_bytes()])
}

fn send(authority: &str, parts: &[&[u8]]) -> Result<Response<BufReader<TcpStream>>> {
    let address = if authority.contains(':') {
        authority.to_owned()
    } else {
        format!("{authority}:80")
    };
    let mut stream = TcpStream::connect(&address).with_context(|| format!("failed to connect to {address}"))?;
    stream
        .set_read_timeout(Some(SILENCE))
        .context("failed to set a time limit")?;
    stream
        .write_all(&parts.concat())
        .with_context(|| format!("failed to send a request to {address}"))?;
    Response::read(BufReader::new(stream))
}

impl<R: BufRead> Response<R> {
    /// Reads the head and leaves the body for later.
    fn read(mut reader: R) -> Result<Self> {
        let status_line = read_line(&mut reader)?;
        let status = status_line
            .split_whitespace()
            .nth(1)
            .and_then(|code| code.parse().ok())
            .with_context(|| format!("failed to read the gateway's answer: it begins with {status_line:?}"))?;
        let mut framing = Framing::UntilClose;
        loop {
            let line = read_line(&mut reader)?;
            if line.is_empty() {
                break;
            }
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            let value = value.trim();
            if name.eq_ignore_ascii_case("transfer-encoding") && value.eq_ignore_ascii_case("chunked") {
                framing = Framing::Chunked(Some(0));
            } else if name.eq_ignore_ascii_case("content-length") {
                let length = value
                    .parse()
                    .with_context(|| format!("failed to read Content-Length {value:?}"))?;
                framing = Framing::Length(length);
            }
        }
        Ok(Self {
            status,
            body: Body { reader, framing },
        })
    }

    /// All that is left of the body.
    pub fn text(mut self) -> Result<String> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.body.next()? {
            bytes.extend(piece);
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Hands over each line of the body as soon as it is complete.
    pub fn each_line(mut self, mut take: impl FnMut(&str) -> Result<()>) -> Result<()> {
        let mut rest = Vec::new();
        while let Some(piece) = self.body.next()? {
            rest.extend(piece);
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                take(String::from_utf8_lossy(&line).trim_end())?;
            }
        }
        if rest.is_empty() {
            Ok(())
        } else {
            take(&String::from_utf8_lossy(&rest))
        }
    }
}

impl<R: BufRead> Body<R> {
    /// The next piece, or `None` at the end.
    fn next(&mut self) -> Result<Option<Vec<u8>>> {
        match self.framing {
            Framing::UntilClose => self.take(u64::MAX),
            Framing::Length(0) | Framing::Chunked(None) => Ok(None),
            Framing::Length(left) => {
                let piece = self.expect(left)?;
                self.framing = Framing::Length(left - piece.len() as u64);
                Ok(Some(piece))
            }
            Framing::Chunked(Some(0)) => {
                let line = read_line(&mut self.reader)?;
                let size = line.split(';').next().unwrap_or_default().trim();
                let size =
                    u64::from_str_radix(size, 16).with_context(|| format!("failed to read chunk size {size:?}"))?;
                self.framing = Framing::Chunked(Some(size).filter(|size| *size > 0));
                self.next()
            }
            Framing::Chunked(Some(left)) => {
                let piece = self.expect(left)?;
                let left = left - piece.len() as u64;
                self.framing = Framing::Chunked(Some(left));
                if left == 0 {
                    read_line(&mut self.reader)?;
                }
                Ok(Some(piece))
            }
        }
    }

    fn expect(&mut self, most: u64) -> Result<Vec<u8>> {
        self.take(most)?
            .context("failed to read the answer: the connection ended in the middle of it")
    }

    /// What is there, at most `most` bytes; `None` when the connection has ended.
    fn take(&mut self, most: u64) -> Result<Option<Vec<u8>>> {
        let buffer = self.reader.fill_buf().context("failed to read the answer")?;
        let length = buffer.len().min(usize::try_from(most).unwrap_or(usize::MAX));
        let piece = buffer[..length].to_vec();
        self.reader.consume(length);
        Ok(Some(piece).filter(|piece| !piece.is_empty()))
    }
}

/// One line of a head without its end.
fn read_line(reader: &mut impl BufRead) -> Result<String> {
    const LONGEST: u64 = 64 << 10;
    let mut line = String::new();
    let read = reader
        .take(LONGEST)
        .read_line(&mut line)
        .context("failed to read the answer's head")?;
    if read == 0 {
        bail!("failed to read the answer: the connection ended in the middle of it");
    }
    Ok(line.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(answer: &str) -> Result<(u16, Vec<String>)> {
        let response = Response::read(answer.as_bytes())?;
        let status = response.status;
        let mut lines = Vec::new();
        response.each_line(|line| {
            lines.push(line.to_owned());
            Ok(())
        })?;
        Ok((status, lines))
    }

    #[test]
    fn every_framing_gives_the_same_lines() {
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n5;x=1\r\n\ntwo\n\r\n0\r\n\r\n";
        let length = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\none\ntwo\nmore";
        let close = "HTTP/1.1 200 OK\r\n\r\none\ntwo";
        for answer in [chunked, length, close] {
            assert_eq!(
                lines(answer).unwrap(),
                (200, vec!["one".into(), "two".into()]),
                "{answer:?}"
            );
        }
    }

    #[test]
    fn a_broken_answer_is_an_error() {
        for answer in [
            "",
            "nonsense\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ] {
            assert!(lines(answer).is_err(), "{answer:?}");
        }
    }
}
