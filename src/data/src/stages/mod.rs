//! A stand-in until the stages are there: it lets everything through.

use std::borrow::Cow;

use protocol::tune::Stages;

/// Cleans nothing.
pub struct Cleaner;

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
    pub fn new(_stages: &Stages) -> Result<Self, std::convert::Infallible> {
        Ok(Self)
    }

    /// The text as it is.
    pub fn clean<'a>(&self, text: &'a str) -> Cow<'a, str> {
        Cow::Borrowed(text)
    }

    /// Keeps all but what says that it is to go.
    pub fn judge(&self, text: &str) -> Verdict {
        match text.contains("drop me") {
            true => Verdict::Drop { reason: "quality" },
            false => Verdict::Keep { flags: Vec::new() },
        }
    }
}
