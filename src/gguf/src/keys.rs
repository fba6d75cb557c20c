//! The metadata keys of one family, which begin with its name.

use std::fmt::Display;

use crate::{Error, Metadata};

/// Reads keys by their name without the family's.
pub(crate) struct Keys<'a> {
    metadata: &'a Metadata,
    architecture: &'static str,
}

impl<'a> Keys<'a> {
    pub fn new(metadata: &'a Metadata, architecture: &'static str) -> Self {
        Self { metadata, architecture }
    }

    /// A dimension that must be there.
    pub fn positive(&self, key: &str) -> Result<u64, Error> {
        match self.metadata.unsigned(&self.name(key))? {
            value @ 1..=0x7fff_ffff => Ok(value),
            other => Err(self.impossible(key, other, "expected 1 to 2147483647")),
        }
    }

    /// A dimension with a default.
    pub fn optional(&self, key: &str) -> Result<Option<u64>, Error> {
        self.has(key).then(|| self.positive(key)).transpose()
    }

    /// A number that may be zero.
    pub fn unsigned(&self, key: &str) -> Result<Option<u64>, Error> {
        self.has(key)
            .then(|| self.metadata.unsigned(&self.name(key)))
            .transpose()
    }

    /// A float with a default.
    pub fn float(&self, key: &str) -> Result<Option<f64>, Error> {
        self.has(key).then(|| self.required_float(key)).transpose()
    }

    /// A float that must be there.
    pub fn required_float(&self, key: &str) -> Result<f64, Error> {
        self.metadata.float(&self.name(key))
    }

    /// A text with a default.
    pub fn string(&self, key: &str) -> Result<Option<&'a str>, Error> {
        self.has(key).then(|| self.metadata.string(&self.name(key))).transpose()
    }

    /// A flag with a default.
    pub fn bool(&self, key: &str) -> Result<Option<bool>, Error> {
        self.has(key).then(|| self.metadata.bool(&self.name(key))).transpose()
    }

    /// The error of a value that no network has.
    pub fn impossible(&self, key: &str, found: u64, why: impl Display) -> Error {
        Error::invalid(
            format!("metadata key {:?}", self.name(key)),
            format!("{found} cannot be: {why}"),
        )
    }

    /// The error of a value that other networks have.
    pub fn unsupported(&self, key: &str, found: impl Display, supported: &'static str) -> Error {
        Error::Unsupported {
            key: self.name(key),
            found: found.to_string().chars().take(64).collect(),
            supported,
        }
    }

    fn has(&self, key: &str) -> bool {
        self.metadata.get(&self.name(key)).is_some()
    }

    fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture)
    }
}
