//! Small JSON files of untrusted origin: bounded in size, every fault named by file and field.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::Error;

/// Largest settings file. Those of real models have some kilobytes; the tokenizer's lists its added
/// tokens.
const MAX_SETTINGS: u64 = 16 << 20;

/// The text of a file of at most `limit` bytes; `None` if there is no such file.
pub(crate) fn text(file: &Path, limit: u64) -> Result<Option<String>, Error> {
    let open = match File::open(file) {
        Ok(open) => open,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(file)(error)),
    };
    let mut bytes = Vec::new();
    open.take(limit + 1).read_to_end(&mut bytes).map_err(Error::io(file))?;
    if bytes.len() as u64 > limit {
        let why = format!("it has more than {limit} bytes, which no real model's does");
        return Err(Error::invalid(file, "the file", why));
    }
    let text = String::from_utf8(bytes).map_err(|_| Error::invalid(file, "the file", "the text is not UTF-8"))?;
    Ok(Some(text))
}

/// A settings file that is one JSON object.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub file: PathBuf,
    object: Map<String, Value>,
}

impl Settings {
    /// Reads a file that must be there.
    pub fn read(dir: &Path, name: &str) -> Result<Self, Error> {
        Self::find(dir, name)?.ok_or_else(|| {
            let advice = "a directory of safetensors files needs it; copy it from where the model came from";
            Error::missing(&dir.join(name), advice)
        })
    }

    /// Reads a file, if there is one.
    pub fn find(dir: &Path, name: &str) -> Result<Option<Self>, Error> {
        let file = dir.join(name);
        match value(&file)? {
            Some(Value::Object(object)) => Ok(Some(Self { file, object })),
            Some(_) => Err(Error::invalid(&file, "the file", "expected a JSON object")),
            None => Ok(None),
        }
    }

    /// The value of a field, if it has one.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.object.get(field).filter(|value| !value.is_null())
    }

    /// Whether the field is there, `null` included.
    pub fn has(&self, field: &str) -> bool {
        self.object.contains_key(field)
    }

    /// The object in a field, if there is one.
    pub fn object(&self, field: &str) -> Result<Option<Self>, Error> {
        match self.get(field) {
            Some(Value::Object(object)) => Ok(Some(Self {
                file: self.file.clone(),
                object: object.clone(),
            })),
            Some(_) => Err(self.invalid(field, "expected an object")),
            None => Ok(None),
        }
    }

    /// A number of at least one that must be there.
    pub fn positive(&self, field: &str) -> Result<u64, Error> {
        self.optional(field)?
            .ok_or_else(|| self.invalid(field, "the file does not have it"))
    }

    /// A number of at least one.
    pub fn optional(&self, field: &str) -> Result<Option<u64>, Error> {
        let read = |value: &Value| match value.as_u64() {
            Some(number @ 1..=0x7fff_ffff) => Ok(number),
            _ => Err(self.invalid(field, "expected a whole number from 1 to 2147483647")),
        };
        self.get(field).map(read).transpose()
    }

    /// A number with or without a fraction.
    pub fn float(&self, field: &str) -> Result<Option<f64>, Error> {
        let read = |value: &Value| value.as_f64().ok_or_else(|| self.invalid(field, "expected a number"));
        self.get(field).map(read).transpose()
    }

    /// True or false.
    pub fn flag(&self, field: &str) -> Result<Option<bool>, Error> {
        let read = |value: &Value| {
            let flag = value.as_bool();
            flag.ok_or_else(|| self.invalid(field, "expected true or false"))
        };
        self.get(field).map(read).transpose()
    }

    /// Names of the fields that are true.
    pub fn flags(&self) -> impl Iterator<Item = &str> {
        let set = self.object.iter().filter(|(_, value)| **value == Value::Bool(true));
        set.map(|(name, _)| name.as_str())
    }

    /// A text.
    pub fn text(&self, field: &str) -> Result<Option<&str>, Error> {
        match self.get(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.invalid(field, "expected a string")),
        }
    }

    /// Refuses a field whose value is not the only one that we compute.
    pub fn only(&self, field: &str, expected: &Value, default: &Value, why: &str) -> Result<(), Error> {
        let found = self.get(field).unwrap_or(default);
        match found == expected {
            true => Ok(()),
            false => Err(self.unsupported(field, why)),
        }
    }

    /// The error of a field that is not as it should be.
    pub fn invalid(&self, field: &str, why: impl Into<String>) -> Error {
        Error::invalid(&self.file, format!("field {field:?}"), why)
    }

    /// The error of a field that asks for what we do not compute.
    pub fn unsupported(&self, field: &str, why: impl Into<String>) -> Error {
        let found = self.object.get(field).map_or("not set".into(), Value::to_string);
        Error::unsupported(&self.file, format!("field {field:?} is {found}"), why)
    }
}

/// A settings file of any shape, if there is one.
pub(crate) fn value(file: &Path) -> Result<Option<Value>, Error> {
    let Some(text) = text(file, MAX_SETTINGS)? else {
        return Ok(None);
    };
    let value = serde_json::from_str(&text).map_err(|error| Error::invalid(file, "the file", error.to_string()))?;
    Ok(Some(value))
}
