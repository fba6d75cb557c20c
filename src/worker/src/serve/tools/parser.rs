//! Reads calls out of an answer while it is written.

use super::{Style, ToolCall, hermes, llama, mistral};

/// Bytes from which on a call is long.
const LONG: usize = 64;

/// A part of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// For the user.
    Text(String),
    /// For a tool. It comes as a whole: only a whole call is known to be one.
    Call(ToolCall),
}

/// What stands where a call may begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Calls, and the length of what they were read from.
    Calls(Vec<ToolCall>, usize),
    /// More has to come before that is known.
    Incomplete,
    /// No call: so many bytes are text.
    Text(usize),
}

/// Takes an answer apart.
#[derive(Clone, Debug)]
pub struct Parser {
    style: Style,
    /// Names of the tools; a call of another one is text.
    names: Vec<String>,
    /// What is not decided yet.
    held: String,
    /// Whether anything was text: where calls must come first, none can follow.
    text_has_begun: bool,
    /// Whether what is held is the beginning of a call, and long.
    is_long: bool,
}

impl Parser {
    /// For a model that writes in `style` and knows these tools.
    pub fn new(style: Style, names: Vec<String>) -> Self {
        Self {
            style,
            names,
            held: String::new(),
            text_has_begun: false,
            is_long: false,
        }
    }

    /// Adds to the answer.
    pub fn push(&mut self, text: &str) -> Vec<Piece> {
        self.held.push_str(text);
        // A call ends in one of these; until then there is no use in reading a long one again and again.
        match self.is_long && !text.contains(['}', ']', '>']) {
            true => Vec::new(),
            false => self.take(false),
        }
    }

    /// The answer is over.
    pub fn finish(&mut self) -> Vec<Piece> {
        self.take(true)
    }

    fn take(&mut self, end: bool) -> Vec<Piece> {
        self.is_long = false;
        let mut pieces = Vec::new();
        while !self.held.is_empty() {
            let Some(start) = self.opening(end) else {
                // No call in sight.
                let kept = if end {
                    0
                } else {
                    self.held.len() - self.held.trim_end().len()
                };
                self.text(self.held.len() - kept, &mut pieces);
                break;
            };
            // Space before a call is not worth showing.
            self.text(
                self.held.get(..start).map_or(0, |text| text.trim_end().len()),
                &mut pieces,
            );
            let skipped = self.held.len() - self.held.trim_start().len();
            let rest = &self.held[skipped..];
            match self.read(rest, end) {
                Reading::Calls(calls, length) => {
                    self.held.drain(..skipped + length);
                    pieces.extend(calls.into_iter().map(Piece::Call));
                }
                Reading::Incomplete if !end => {
                    self.is_long = self.held.len() > LONG;
                    break;
                }
                Reading::Incomplete => self.text(self.held.len(), &mut pieces),
                Reading::Text(length) => self.text(skipped + length.max(1), &mut pieces),
            }
        }
        pieces
    }

    /// Where a call begins or may begin, in bytes.
    fn opening(&self, end: bool) -> Option<usize> {
        match self.style {
            Style::Hermes => mark(&self.held, hermes::OPEN, end),
            Style::Mistral => mark(&self.held, mistral::OPEN, end),
            Style::Llama => llama::opening(&self.held, self.text_has_begun),
        }
    }

    fn read(&self, text: &str, end: bool) -> Reading {
        let reading = match self.style {
            Style::Hermes => hermes::read(text, end),
            Style::Mistral => mistral::read(text, end),
            Style::Llama => llama::read(text),
        };
        match reading {
            Reading::Calls(calls, length) if calls.iter().any(|call| !self.names.contains(&call.name)) => {
                Reading::Text(length)
            }
            reading => reading,
        }
    }

    /// Moves so many bytes of what is held to the pieces, or up to the end of the character there.
    fn text(&mut self, mut length: usize, pieces: &mut Vec<Piece>) {
        while !self.held.is_char_boundary(length) {
            length += 1;
        }
        if length == 0 {
            return;
        }
        let rest = self.held.split_off(length);
        let text = std::mem::replace(&mut self.held, rest);
        self.text_has_begun = true;
        match pieces.last_mut() {
            Some(Piece::Text(before)) => before.push_str(&text),
            _ => pieces.push(Piece::Text(text)),
        }
    }
}

/// Where `mark` begins in `text`, or, before the `end`, where it may begin once more comes.
fn mark(text: &str, mark: &str, end: bool) -> Option<usize> {
    let whole = text.find(mark);
    let partial = || {
        let ends = text.char_indices().rev().take(mark.len()).map(|(start, _)| start);
        ends.filter(|start| mark.starts_with(&text[*start..])).last()
    };
    match end {
        true => whole,
        false => whole.or_else(partial),
    }
}

#[cfg(test)]
mod tests;
