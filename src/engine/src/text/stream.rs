//! Tokens of an answer into text, piece by piece.

/// Text that may be shown now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// Complete characters, possibly none.
    pub text: String,
    /// A stop string was met: what is shown ends before it, and no more comes.
    pub stopped: bool,
}

/// Joins tokens into text. It holds back the beginning of a character whose other bytes have not
/// come, and whatever may turn out to be the beginning of a stop string.
#[derive(Clone, Debug)]
pub struct TextStream {
    stops: Vec<String>,
    /// Bytes of a character that is not complete.
    bytes: Vec<u8>,
    /// Text that may be the beginning of a stop string.
    held: String,
    stopped: bool,
    /// Leave out a space that the text begins with.
    skip_space: bool,
}

impl TextStream {
    /// A stream that ends at the first of `stops`; empty ones do not count.
    pub fn new(stops: &[String]) -> Self {
        Self {
            stops: stops.iter().filter(|stop| !stop.is_empty()).cloned().collect(),
            bytes: Vec::new(),
            held: String::new(),
            stopped: false,
            skip_space: false,
        }
    }

    /// The same without a space at the beginning, which tokenizers of the SentencePiece kind put in
    /// front of every text.
    pub fn without_leading_space(self) -> Self {
        Self {
            skip_space: true,
            ..self
        }
    }

    /// Adds the bytes of a token.
    pub fn push(&mut self, bytes: &[u8]) -> Piece {
        let skip = self.skip_space && bytes.first() == Some(&b' ');
        // Marks have no bytes; the text begins after them.
        self.skip_space &= bytes.is_empty();
        let bytes = if skip { &bytes[1..] } else { bytes };
        self.bytes.extend_from_slice(bytes);
        let complete = complete(&self.bytes);
        let rest = self.bytes.split_off(complete);
        let text = String::from_utf8_lossy(&self.bytes).into_owned();
        self.bytes = rest;
        self.release(&text, false)
    }

    /// The answer is over: what was held back is text after all.
    pub fn finish(&mut self) -> Piece {
        let bytes = std::mem::take(&mut self.bytes);
        self.release(&String::from_utf8_lossy(&bytes), true)
    }

    fn release(&mut self, text: &str, all: bool) -> Piece {
        if self.stopped {
            return Piece {
                text: String::new(),
                stopped: true,
            };
        }
        self.held.push_str(text);
        let first = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str())).min();
        if let Some(first) = first {
            self.held.truncate(first);
            self.stopped = true;
        }
        let keep = if all || self.stopped { 0 } else { self.possible_stop() };
        let rest = self.held.split_off(self.held.len() - keep);
        Piece {
            text: std::mem::replace(&mut self.held, rest),
            stopped: self.stopped,
        }
    }

    /// Length of the longest end of the held text that a stop string begins with.
    fn possible_stop(&self) -> usize {
        let longest = self.stops.iter().map(String::len).max().unwrap_or_default();
        let ends = self.held.char_indices().map(|(start, _)| &self.held[start..]);
        ends.filter(|end| end.len() < longest)
            .find(|end| self.stops.iter().any(|stop| stop.starts_with(end)))
            .map_or(0, str::len)
    }
}

/// How many of `bytes` are not the beginning of a character that could still be completed.
fn complete(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Err(error) = std::str::from_utf8(&bytes[at..]) {
        match error.error_len() {
            // Bytes that are no text: they are replaced, and what follows counts.
            Some(wrong) => at += error.valid_up_to() + wrong,
            None => return at + error.valid_up_to(),
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn pieces(stops: &[&str], tokens: &[&[u8]]) -> (Vec<String>, bool) {
        let stops: Vec<String> = stops.iter().map(|stop| (*stop).into()).collect();
        let mut stream = TextStream::new(&stops);
        let mut pieces: Vec<Piece> = tokens.iter().map(|bytes| stream.push(bytes)).collect();
        pieces.push(stream.finish());
        let stopped = pieces.last().unwrap().stopped;
        (pieces.into_iter().map(|piece| piece.text).collect(), stopped)
    }

    #[rstest]
    #[case(&[&b"a"[..], "é".as_bytes(), b"b"], &["a", "é", "b", ""])]
    #[case(&[&b"\xe2\x82"[..], b"\xac!"], &["", "€!", ""])]
    #[case(&[&b"\xf0\x9f"[..], b"\x98", b"\x80"], &["", "", "😀", ""])]
    #[case(&[&b"a\xff\xfeb"[..], b"c"], &["a\u{fffd}\u{fffd}b", "c", ""])]
    #[case(&[&b"a\xe2\x82"[..]], &["a", "\u{fffd}"])]
    #[case(&[&b"\xe2\x82"[..], b"x"], &["", "\u{fffd}x", ""])]
    fn only_whole_characters_are_shown(#[case] tokens: &[&[u8]], #[case] expected: &[&str]) {
        assert_eq!(pieces(&[], tokens).0, expected);
    }

    #[test]
    fn a_space_in_front_of_a_text_is_none_of_it() {
        let mut stream = TextStream::new(&[]).without_leading_space();
        let texts = [&b""[..], b" a", b" b"].map(|bytes| stream.push(bytes).text);
        assert_eq!(texts, ["", "a", " b"]);
        let mut stream = TextStream::new(&[]).without_leading_space();
        assert_eq!([&b"a"[..], b" b"].map(|bytes| stream.push(bytes).text), ["a", " b"]);
    }

    #[rstest]
    #[case(&["\n\n"], &[&b"a\n"[..], b"b\n", b"\nc"], &["a", "\nb", "", ""], true)]
    #[case(&["END"], &[&b"E"[..], b"N", b"x"], &["", "", "ENx", ""], false)]
    #[case(&["END"], &[&b"aEN"[..]], &["a", "EN"], false)]
    #[case(&["bc", "abcd"], &[&b"xab"[..], b"c"], &["x", "a", ""], true)]
    #[case(&["", "o"], &[&b"hello"[..], b"!"], &["hell", "", ""], true)]
    #[case(&["é!"], &["né".as_bytes(), b"?"], &["n", "é?", ""], false)]
    fn text_ends_before_the_first_stop(
        #[case] stops: &[&str],
        #[case] tokens: &[&[u8]],
        #[case] expected: &[&str],
        #[case] stopped: bool,
    ) {
        let (texts, ended) = pieces(stops, tokens);
        assert_eq!(texts, expected);
        assert_eq!(ended, stopped);
    }
}
