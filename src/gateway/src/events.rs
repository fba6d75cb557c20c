//! Server-sent events: where one ends, and how an error is told as one.

use bytes::{Bytes, BytesMut};

use crate::error::Error;

/// Passes whole events on and holds back the beginning of one, so that a stream which breaks inside
/// an event can still end in a well-formed one.
#[derive(Debug, Default)]
pub struct WholeEvents {
    partial: BytesMut,
}

/// An event longer than this is passed on in pieces.
const MAX_HELD: usize = 1 << 20;

impl WholeEvents {
    /// Takes the next bytes and returns those that may pass.
    pub fn push(&mut self, data: Bytes) -> Option<Bytes> {
        if self.partial.is_empty() && end_of_events(&data) == data.len() {
            return Some(data).filter(|data| !data.is_empty());
        }
        self.partial.extend_from_slice(&data);
        let end = match end_of_events(&self.partial) {
            0 if self.partial.len() > MAX_HELD => self.partial.len(),
            end => end,
        };
        Some(self.partial.split_to(end).freeze()).filter(|whole| !whole.is_empty())
    }

    /// What is left when the stream ended well.
    pub fn finish(&mut self) -> Option<Bytes> {
        Some(self.partial.split().freeze()).filter(|rest| !rest.is_empty())
    }

    /// The event that tells the client of `error`; what was held back is dropped.
    pub fn fail(&mut self, error: &Error) -> Bytes {
        self.partial.clear();
        format!("event: error\ndata: {}\n\n", error.body()).into()
    }
}

/// The length of `bytes` up to and including the last blank line.
pub fn end_of_events(bytes: &[u8]) -> usize {
    (1..=bytes.len())
        .rev()
        .find(|end| {
            let head = &bytes[..*end];
            head.ends_with(b"\n\n") || head.ends_with(b"\n\r\n")
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn passed(pieces: &[&'static str]) -> (Vec<String>, WholeEvents) {
        let mut events = WholeEvents::default();
        let passed = pieces
            .iter()
            .filter_map(|piece| events.push(Bytes::from_static(piece.as_bytes())));
        let passed = passed.map(|whole| String::from_utf8(whole.to_vec()).unwrap()).collect();
        (passed, events)
    }

    #[rstest]
    #[case(&["data: a\n\n"], &["data: a\n\n"], "")]
    #[case(&["data: a\n\ndata: b\n\n"], &["data: a\n\ndata: b\n\n"], "")]
    #[case(&["data: a\r\n\r\n"], &["data: a\r\n\r\n"], "")]
    #[case(&["data: a\n", "\n"], &["data: a\n\n"], "")]
    #[case(&["data: a\n\nda", "ta: b\n\n"], &["data: a\n\n", "data: b\n\n"], "")]
    #[case(&["data: a\n\nda", "ta"], &["data: a\n\n"], "data")]
    #[case(&["", "x"], &[], "x")]
    fn only_whole_events_pass(#[case] pieces: &[&'static str], #[case] whole: &[&str], #[case] rest: &str) {
        let (passed, mut events) = passed(pieces);
        assert_eq!(passed, whole);
        assert_eq!(events.finish().unwrap_or_default(), rest);
    }

    #[test]
    fn an_endless_event_is_not_held_for_ever() {
        let mut events = WholeEvents::default();
        let piece = Bytes::from(vec![b'x'; 64 << 10]);
        let held = (0..).take_while(|_| events.push(piece.clone()).is_none()).count();
        assert!(held <= MAX_HELD / piece.len());
    }

    #[test]
    fn a_failure_is_a_whole_event_of_its_own() {
        let (_, mut events) = passed(&["data: {\"half"]);
        let told = events.fail(&Error::UpstreamFailed { model: "m".into() });
        let told = std::str::from_utf8(&told).unwrap();
        let data = told
            .strip_prefix("event: error\ndata: ")
            .unwrap()
            .strip_suffix("\n\n")
            .unwrap();
        let json: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!(json["error"]["code"], "upstream_failed");
        assert_eq!(events.finish(), None);
    }
}
