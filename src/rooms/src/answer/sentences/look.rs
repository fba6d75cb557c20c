//! Looking ahead in a text that may go on.

/// A text that is there as a whole, or only as far as it has come.
#[derive(Clone, Copy)]
pub struct Look<'a> {
    text: &'a str,
    is_whole: bool,
}

impl<'a> Look<'a> {
    pub fn new(text: &'a str, is_whole: bool) -> Self {
        Self { text, is_whole }
    }

    /// What is there from `at` on.
    pub fn rest(&self, at: usize) -> &'a str {
        self.text.get(at..).unwrap_or_default()
    }

    /// The character at `at`, or that the text ends there; nothing while nobody knows.
    pub fn char(&self, at: usize) -> Option<Option<char>> {
        match self.rest(at).chars().next() {
            Some(c) => Some(Some(c)),
            None if self.is_whole => Some(None),
            None => None,
        }
    }

    /// Where the characters from `at` on end of which `is_one` is true; nothing while nobody knows.
    pub fn skip(&self, at: usize, is_one: impl Fn(char) -> bool) -> Option<usize> {
        match self.rest(at).find(|c| !is_one(c)) {
            Some(length) => Some(at + length),
            None if self.is_whole => Some(self.text.len()),
            None => None,
        }
    }

    /// Where `pattern` is from `at` on, or that it never comes; nothing while nobody knows.
    pub fn find(&self, at: usize, pattern: &str) -> Option<Option<usize>> {
        match self.rest(at).find(pattern) {
            Some(place) => Some(Some(at + place)),
            None if self.is_whole => Some(None),
            None => None,
        }
    }
}
