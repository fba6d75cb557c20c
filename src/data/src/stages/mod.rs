//! A stand-in until the stages are there: it counts words.

use std::borrow::Cow;

use protocol::tune::Stages;

/// Cleans nothing.
pub struct Cleaner {
    min_words: usize,
}

/// What becomes of a record.
pub enum Verdict {
    /// It stays.
    Keep {
        /// Rules that would have struck.
        flags: Vec<&'static str>,
    },
    /// It goes.
    Drop {
        /// Why.
        reason: &'static str,
    },
}

impl Cleaner {
    /// Takes every setting.
    pub fn new(stages: &Stages) -> Result<Self, std::convert::Infallible> {
        let least = stages.quality.as_ref().and_then(|quality| quality.min_words);
        Ok(Self {
            min_words: least.unwrap_or(0) as usize,
        })
    }

    /// The text as it is.
    pub fn clean<'a>(&self, text: &'a str) -> Cow<'a, str> {
        Cow::Borrowed(text)
    }

    /// Drops what has fewer words than it should.
    pub fn judge(&self, text: &str) -> Verdict {
        match text.split_whitespace().count() < self.min_words {
            true => Verdict::Drop {
                reason: "quality.minWords",
            },
            false => Verdict::Keep { flags: Vec::new() },
        }
    }
}
