//! Cleaning of single records: nothing here knows of other records.
//!
//! ```text
//!  clean: broken encodings, invisible characters, NFC -> punctuation -> personal data, replaced
//!  judge: empty? -> language? -> limits? -> personal data? -> flags of known recipes
//! ```

mod language;
mod personal;
mod punctuation;
mod quality;
#[cfg(test)]
mod tests;
mod unicode;

use std::borrow::Cow;

use protocol::tune::{Quality, Stages};

use self::personal::Personal;

/// Cleans texts and judges them. One serves any number of threads.
#[derive(Debug)]
pub struct Cleaner {
    normalizes_unicode: bool,
    normalizes_punctuation: bool,
    languages: Vec<whatlang::Lang>,
    quality: Option<Quality>,
    personal: Option<Personal>,
}

/// Why stages cannot be carried out.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// A language that is not known.
    #[error("stages.language[{index}]: {code:?} is not known; known are {}", language::codes())]
    Language {
        /// Its place in the list.
        index: usize,
        /// As it was given.
        code: String,
    },
    /// A share that is none.
    #[error("stages.quality.{field}: {value} is not between 0 and 1")]
    Share {
        /// Of this field.
        field: &'static str,
        /// As it was given.
        value: f64,
    },
    /// No number of words is allowed.
    #[error("stages.quality.minWords: {min} is more than maxWords, which is {max}")]
    Words {
        /// Fewest words.
        min: u32,
        /// Most words.
        max: u32,
    },
}

/// What becomes of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It stays.
    Keep {
        /// Rules of recipes that it breaks, each once: `gopher.stopWords`.
        flags: Vec<&'static str>,
    },
    /// It goes.
    Drop {
        /// `empty`, `language`, `pii`, or a limit: `quality.minWords`.
        reason: &'static str,
    },
}

impl Cleaner {
    /// Makes `stages` ready; deduplication is not its business.
    ///
    /// # Errors
    /// With the field that makes no sense.
    pub fn new(stages: &Stages) -> Result<Self, Error> {
        let languages = stages.language.iter().enumerate().map(|(index, code)| {
            language::find(code).ok_or_else(|| Error::Language {
                index,
                code: code.clone(),
            })
        });
        let languages = languages.collect::<Result<_, _>>()?;
        stages.quality.as_ref().map(quality::check).transpose()?;
        Ok(Self {
            normalizes_unicode: stages.normalize_unicode,
            normalizes_punctuation: stages.punctuation,
            languages,
            quality: stages.quality.clone(),
            personal: Personal::new(stages.pii),
        })
    }

    /// Cleans one text of a record.
    pub fn clean<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        if self.normalizes_unicode {
            apply(&mut text, unicode::normalize);
        }
        if self.normalizes_punctuation {
            apply(&mut text, punctuation::normalize);
        }
        if let Some(personal) = &self.personal {
            apply(&mut text, |text| personal.redact(text));
        }
        text
    }

    /// Whether personal data are not to be kept.
    pub fn hides(&self) -> bool {
        self.personal.is_some()
    }

    /// What may be kept of a text to be looked at, whatever becomes of its record.
    pub fn veiled<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match &self.personal {
            Some(personal) => personal.veiled(text),
            None => text.into(),
        }
    }

    /// Judges a whole record: its texts after cleaning, joined by empty lines.
    pub fn judge(&self, text: &str) -> Verdict {
        let measures = quality::Measures::of(text);
        if measures.words.is_empty() {
            return Verdict::Drop { reason: "empty" };
        }
        if self.is_other_language(text, &measures) {
            return Verdict::Drop { reason: "language" };
        }
        let exceeded = self
            .quality
            .as_ref()
            .and_then(|limits| quality::exceeded(limits, &measures));
        if let Some(reason) = exceeded {
            return Verdict::Drop { reason };
        }
        if self.personal.as_ref().is_some_and(|personal| personal.is_dropped(text)) {
            return Verdict::Drop { reason: "pii" };
        }
        Verdict::Keep {
            flags: quality::flags(&measures),
        }
    }

    /// Telling the language of a text takes longer than all the rest, and most texts leave no doubt.
    fn is_other_language(&self, text: &str, measures: &quality::Measures) -> bool {
        if self.languages.is_empty() {
            return false;
        }
        let evident = measures.evident_language().and_then(language::find);
        let is_wanted = evident.is_some_and(|language| self.languages.contains(&language));
        !is_wanted && language::is_other(text, &self.languages)
    }
}

/// Applies a step, and keeps what is borrowed borrowed.
fn apply(text: &mut Cow<'_, str>, step: impl Fn(&str) -> Cow<'_, str>) {
    match text {
        Cow::Borrowed(whole) => *text = step(whole),
        Cow::Owned(whole) => {
            if let Cow::Owned(changed) = step(whole) {
                *whole = changed;
            }
        }
    }
}
