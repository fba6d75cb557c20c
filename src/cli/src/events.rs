//! Server-sent events, however the network cuts them.

/// A stream that was read up to somewhere.
#[derive(Debug, Default)]
pub struct Events {
    line: Vec<u8>,
}

/// What an event carries.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// JSON, for whoever knows the stream.
    Data(Vec<u8>),
    /// There is no more.
    End,
}

impl Events {
    /// Takes more of the stream; the events that end in it, in order.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for &byte in bytes {
            if byte != b'\n' {
                self.line.push(byte);
                continue;
            }
            events.extend(event(&self.line));
            self.line.clear();
        }
        events
    }
}

fn event(line: &[u8]) -> Option<Event> {
    let data = line.strip_prefix(b"data:")?.trim_ascii();
    Some(match data {
        b"[DONE]" => Event::End,
        data => Event::Data(data.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_the_same_wherever_the_stream_is_cut() {
        let stream = ": keep-alive\n\ndata: {\"text\":\"Zażółć\"}\r\n\r\nid: 1\ndata:{}\n\ndata: [DONE]\n\n";
        let data = |text: &str| Event::Data(text.as_bytes().into());
        let expected = [data("{\"text\":\"Zażółć\"}"), data("{}"), Event::End];
        for cut in 0..stream.len() {
            let (first, second) = stream.as_bytes().split_at(cut);
            let mut events = Events::default();
            let got: Vec<_> = events.take(first).into_iter().chain(events.take(second)).collect();
            assert_eq!(got, expected, "cut at {cut}");
        }
    }
}
