//! The events of an answer, however the network cuts them.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// What an event tells.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// More of the answer.
    Text(String),
    /// There is no more.
    End,
}

/// A stream that was read up to somewhere.
#[derive(Debug, Default)]
pub struct Events {
    line: Vec<u8>,
}

impl Events {
    /// Takes more of the stream; what it tells, in order.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Result<Event>> {
        let mut events = Vec::new();
        for &byte in bytes {
            if byte != b'\n' {
                self.line.push(byte);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            events.extend(event(&line).transpose());
        }
        events
    }
}

fn event(line: &[u8]) -> Result<Option<Event>> {
    let Some(data) = line.strip_prefix(b"data:") else {
        return Ok(None);
    };
    let data = data.trim_ascii();
    if data == b"[DONE]" {
        return Ok(Some(Event::End));
    }
    let event: Value = serde_json::from_slice(data).context("the gateway sent an event that is not JSON")?;
    if let Some(error) = event.get("error") {
        bail!(
            "the answer ends here: {}",
            error["message"].as_str().unwrap_or("no reason given")
        );
    }
    let text = event["choices"][0]["delta"]["content"]
        .as_str()
        .filter(|text| !text.is_empty());
    Ok(text.map(|text| Event::Text(text.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = ": keep-alive\n\ndata: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\n\
        data: {\"choices\":[{\"delta\":{\"content\":\"Zażółć\"}}]}\r\n\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"!\"}}]}\n\n\
        data: {\"choices\":[],\"usage\":{}}\n\ndata: [DONE]\n\n";

    #[test]
    fn the_answer_is_the_same_wherever_the_stream_is_cut() {
        let expected = [Event::Text("Zażółć".into()), Event::Text("!".into()), Event::End];
        for cut in 0..STREAM.len() {
            let (first, second) = STREAM.as_bytes().split_at(cut);
            let mut events = Events::default();
            let got: Result<Vec<_>> = events.take(first).into_iter().chain(events.take(second)).collect();
            assert_eq!(got.unwrap(), expected, "cut at {cut}");
        }
    }

    #[test]
    fn an_error_in_the_stream_is_told() {
        let got = Events::default().take(b"data: {\"error\":{\"message\":\"the worker broke\"}}\n\n");
        assert!(got[0].as_ref().unwrap_err().to_string().contains("the worker broke"));
    }
}
