//! Server-sent events of providers, however the network cuts them.

/// The bytes are no event stream, or an event is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoEvents;

/// An image in a base64 chunk is far below.
const MAX_EVENT: usize = 16 << 20;

/// Finds the data of events in pieces of a stream.
#[derive(Debug, Default)]
pub struct Decoder {
    line: Vec<u8>,
    data: Option<String>,
    after_return: bool,
}

impl Decoder {
    /// The data of the events that `bytes` complete, lines joined by newlines.
    ///
    /// # Errors
    /// When a line is not UTF-8, or an event does not end.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<String>, NoEvents> {
        let mut events = Vec::new();
        for byte in bytes {
            let ends_twice = std::mem::replace(&mut self.after_return, *byte == b'\r') && *byte == b'\n';
            match byte {
                _ if ends_twice => {}
                b'\n' | b'\r' => events.extend(self.end_line()?),
                byte => self.line.push(*byte),
            }
        }
        let held = self.line.len() + self.data.as_ref().map_or(0, String::len);
        if held > MAX_EVENT { Err(NoEvents) } else { Ok(events) }
    }

    /// The event that the end of the stream completes: some servers leave out the last blank line.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn finish(&mut self) -> Result<Option<String>, NoEvents> {
        let before = self.end_line()?;
        Ok(before.or_else(|| self.data.take()))
    }

    fn end_line(&mut self) -> Result<Option<String>, NoEvents> {
        let bytes = std::mem::take(&mut self.line);
        if bytes.is_empty() {
            return Ok(self.data.take());
        }
        let line = std::str::from_utf8(&bytes).map_err(|_| NoEvents)?;
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        // The names of events say nothing that their data does not.
        if field == "data" {
            let value = value.strip_prefix(' ').unwrap_or(value);
            match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.into()),
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
        let mut decoder = Decoder::default();
        let mut events: Vec<_> = pieces
            .into_iter()
            .flat_map(|piece| decoder.push(piece).unwrap())
            .collect();
        events.extend(decoder.finish().unwrap());
        events
    }

    #[rstest]
    #[case("data: a\n\ndata:b\n\n", &["a", "b"])]
    #[case("event: x\r\ndata: é\r\ndata: 2\r\n\r\n: comment\r\n\r\n", &["é\n2"])]
    #[case("data: a\r\rdata: [DONE]", &["a", "[DONE]"])]
    #[case("data\n\nid: 1\n\n", &[""])]
    fn events_are_found_wherever_they_are_cut(#[case] text: &str, #[case] events: &[&str]) {
        for cut in 0..=text.len() {
            let (before, after) = text.as_bytes().split_at(cut);
            assert_eq!(decode([before, after]), events, "cut at {cut}");
        }
        assert_eq!(decode(text.as_bytes().chunks(1)), events);
    }

    #[test]
    fn what_is_no_text_or_has_no_end_is_refused() {
        assert_eq!(Decoder::default().push(b"data: \xff\n"), Err(NoEvents));
        let mut decoder = Decoder::default();
        let piece = vec![b'x'; 1 << 20];
        assert!((0..32).any(|_| decoder.push(&piece).is_err()));
    }
}
