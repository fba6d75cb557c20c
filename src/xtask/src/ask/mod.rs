//! Asks a model through the gateway and prints the answer as it is made.

pub mod http;

use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// Longest answer.
const MAX_TOKENS: u32 = 256;
/// Pause between two tries.
const RETRY: Duration = Duration::from_millis(250);

/// A question to a model.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// `namespace/model` or `model`.
    pub model: &'a str,
    /// What the user says.
    pub prompt: &'a str,
    /// Bearer token for the gateway.
    pub token: &'a str,
}

/// How fast an answer came.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timing {
    /// From sending the question to the first piece of text.
    pub first_token: Duration,
    /// Pieces of text after the first each second; a piece is a token, or a few where one alone is no text.
    pub per_second: f64,
}

/// Sends the question to `http://<authority>` and writes each piece of the answer to `output` as it
/// comes. While it is refused, asks again for as long as `patience`: the gateway's caches follow the
/// apiserver with a short delay.
pub fn stream(authority: &str, question: Question<'_>, patience: Duration, output: &mut impl Write) -> Result<Timing> {
    let asked = Instant::now();
    let (started, response) = loop {
        let started = Instant::now();
        match open(authority, question) {
            Ok(response) => break (started, response),
            Err(error) if asked.elapsed() >= patience => return Err(error),
            Err(_) => thread::sleep(RETRY),
        }
    };
    let mut times = Vec::new();
    let mut ended = false;
    response.each_line(|line| {
        match event(line)? {
            Event::Text(piece) => {
                times.push(started.elapsed());
                write!(output, "{piece}")
                    .and_then(|()| output.flush())
                    .context("failed to print the answer")?;
            }
            Event::End => ended = true,
            Event::Other => {}
        }
        Ok(())
    })?;
    writeln!(output).context("failed to print the answer")?;
    match timing(&times) {
        Some(timing) if ended => Ok(timing),
        _ => bail!(
            "failed to get a whole answer: the stream broke off after {} pieces of text",
            times.len()
        ),
    }
}

/// Reads the times at which the pieces came, counted from the question.
fn timing(times: &[Duration]) -> Option<Timing> {
    let (first, last) = (times.first()?, times.last()?);
    let seconds = (*last - *first).as_secs_f64();
    let per_second = if seconds > 0.0 {
        (times.len() - 1) as f64 / seconds
    } else {
        0.0
    };
    Some(Timing {
        first_token: *first,
        per_second,
    })
}

/// Sends the question and waits for the head of a good answer.
fn open(authority: &str, question: Question<'_>) -> Result<http::Response<BufReader<TcpStream>>> {
    let body = json!({
        "model": question.model,
        "stream": true,
        "temperature": 0,
        "max_tokens": MAX_TOKENS,
        "messages": [{"role": "user", "content": question.prompt}],
    });
    let response = http::post(authority, "/v1/chat/completions", question.token, &body.to_string())?;
    match response.status {
        200 => Ok(response),
        status => bail!(
            "failed to get an answer: {authority} says {status}: {}",
            error_text(&response.text()?)
        ),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Event {
    Text(String),
    End,
    Other,
}

/// One line of the event stream.
fn event(line: &str) -> Result<Event> {
    let Some(data) = line.strip_prefix("data:").map(str::trim) else {
        return Ok(Event::Other);
    };
    if data == "[DONE]" {
        return Ok(Event::End);
    }
    let value: Value = serde_json::from_str(data).with_context(|| format!("failed to read the event {data:?}"))?;
    if value.get("error").is_some() {
        bail!("failed to get a whole answer: {}", error_text(data));
    }
    match value.pointer("/choices/0/delta/content").and_then(Value::as_str) {
        Some(text) if !text.is_empty() => Ok(Event::Text(text.into())),
        _ => Ok(Event::Other),
    }
}

/// The message in an error of the OpenAI shape, or the whole text.
fn error_text(body: &str) -> String {
    let value: Option<Value> = serde_json::from_str(body).ok();
    let message = value
        .as_ref()
        .and_then(|value| value.pointer("/error/message"))
        .and_then(Value::as_str);
    message.unwrap_or(body).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_told_apart() {
        for (line, expected) in [
            (
                r#"data: {"choices":[{"delta":{"content":"Paris"}}]}"#,
                Event::Text("Paris".into()),
            ),
            (
                r#"data: {"choices":[{"delta":{"role":"assistant","content":""}}]}"#,
                Event::Other,
            ),
            (r#"data: {"choices":[],"usage":{}}"#, Event::Other),
            ("data: [DONE]", Event::End),
            (": keep-alive", Event::Other),
            ("", Event::Other),
        ] {
            assert_eq!(event(line).unwrap(), expected, "{line}");
        }
    }

    #[test]
    fn the_rate_counts_what_came_after_the_first_piece() {
        let times = [100, 150, 200].map(Duration::from_millis);
        let timing = timing(&times).unwrap();
        assert_eq!(timing.first_token, Duration::from_millis(100));
        assert!((timing.per_second - 20.0).abs() < 1e-9, "{timing:?}");
        assert_eq!(super::timing(&[]), None);
    }

    #[test]
    fn an_error_in_the_stream_is_told() {
        let error = event(r#"data: {"error":{"message":"the worker went away"}}"#).unwrap_err();
        assert!(error.to_string().contains("the worker went away"), "{error}");
    }

    #[test]
    fn an_error_body_of_any_kind_gives_a_text() {
        assert_eq!(error_text(r#"{"error":{"message":"no such model"}}"#), "no such model");
        assert_eq!(error_text("Bad Gateway\n"), "Bad Gateway");
    }
}
