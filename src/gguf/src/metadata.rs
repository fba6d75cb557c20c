//! The key-value part of the header.

use std::collections::BTreeMap;
use std::io::Read;

use crate::Error;
use crate::source::Source;

/// A metadata value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Unsigned integers of 8 to 64 bits.
    Unsigned(u64),
    /// Signed integers of 8 to 64 bits.
    Signed(i64),
    /// Floats of 32 or 64 bits.
    Float(f64),
    /// A boolean.
    Bool(bool),
    /// UTF-8 text.
    String(String),
    /// An array of one element type.
    Array(Array),
}

/// An array of metadata; arrays of arrays are refused, no known model has them.
#[derive(Clone, Debug, PartialEq)]
pub enum Array {
    /// Unsigned integers of 8 to 64 bits.
    Unsigned(Vec<u64>),
    /// Signed integers of 8 to 64 bits.
    Signed(Vec<i64>),
    /// Floats of 32 or 64 bits.
    Float(Vec<f64>),
    /// Booleans.
    Bool(Vec<bool>),
    /// UTF-8 texts.
    String(Vec<String>),
}

impl Value {
    /// The type's name in error messages.
    fn type_name(&self) -> &'static str {
        match self {
            Self::Unsigned(_) => "an unsigned integer",
            Self::Signed(_) => "a signed integer",
            Self::Float(_) => "a float",
            Self::Bool(_) => "a boolean",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
        }
    }
}

/// The metadata of one file, by key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata(BTreeMap<String, Value>);

impl Metadata {
    /// The value of `key`, if the file has it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// All keys and values, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The text under `key`.
    ///
    /// # Errors
    /// When the key is missing or is no text.
    pub fn string(&self, key: &str) -> Result<&str, Error> {
        match self.required(key)? {
            Value::String(text) => Ok(text),
            other => Err(wrong(key, "a string", other)),
        }
    }

    /// The non-negative integer under `key`, of whatever width.
    ///
    /// # Errors
    /// When the key is missing or is no such integer.
    pub fn unsigned(&self, key: &str) -> Result<u64, Error> {
        match self.required(key)? {
            Value::Unsigned(value) => Ok(*value),
            Value::Signed(value) if *value >= 0 => Ok(value.unsigned_abs()),
            other => Err(wrong(key, "an unsigned integer", other)),
        }
    }

    /// The float under `key`.
    ///
    /// # Errors
    /// When the key is missing or is no float.
    pub fn float(&self, key: &str) -> Result<f64, Error> {
        match self.required(key)? {
            Value::Float(value) => Ok(*value),
            other => Err(wrong(key, "a float", other)),
        }
    }

    /// The boolean under `key`.
    ///
    /// # Errors
    /// When the key is missing or is no boolean.
    pub fn bool(&self, key: &str) -> Result<bool, Error> {
        match self.required(key)? {
            Value::Bool(value) => Ok(*value),
            other => Err(wrong(key, "a boolean", other)),
        }
    }

    /// The texts under `key`.
    ///
    /// # Errors
    /// When the key is missing or is no array of texts.
    pub fn strings(&self, key: &str) -> Result<&[String], Error> {
        match self.required(key)? {
            Value::Array(Array::String(texts)) => Ok(texts),
            other => Err(wrong(key, "an array of strings", other)),
        }
    }

    /// The integers under `key`.
    ///
    /// # Errors
    /// When the key is missing or is no array of integers.
    pub fn integers(&self, key: &str) -> Result<Vec<i64>, Error> {
        match self.required(key)? {
            Value::Array(Array::Signed(values)) => Ok(values.clone()),
            Value::Array(Array::Unsigned(values)) => Ok(values.iter().map(|value| *value as i64).collect()),
            other => Err(wrong(key, "an array of integers", other)),
        }
    }

    fn required(&self, key: &str) -> Result<&Value, Error> {
        self.get(key).ok_or_else(|| Error::MissingKey { key: key.into() })
    }

    pub(crate) fn read<R: Read>(source: &mut Source<R>, count: u64) -> Result<Self, Error> {
        // A key's length, a value's type and a value of one byte.
        source.require(count, 8 + 4 + 1, "the metadata")?;
        let mut entries = BTreeMap::new();
        for index in 0..count {
            let key = source.string(&format!("the name of metadata key {index}"))?;
            let what = format!("metadata key {key:?}");
            let kind = source.u32(&what)?;
            let value = read_value(source, kind, &what)?;
            if entries.insert(key, value).is_some() {
                return Err(Error::invalid(what, "the key appears twice"));
            }
        }
        Ok(Self(entries))
    }
}

impl FromIterator<(String, Value)> for Metadata {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

fn wrong(key: &str, expected: &'static str, found: &Value) -> Error {
    Error::WrongType {
        key: key.into(),
        expected,
        found: found.type_name(),
    }
}

fn read_value<R: Read>(source: &mut Source<R>, kind: u32, what: &str) -> Result<Value, Error> {
    Ok(match kind {
        0 => Value::Unsigned(source.array::<1>(what)?[0].into()),
        1 => Value::Signed(i8::from_le_bytes(source.array(what)?).into()),
        2 => Value::Unsigned(u16::from_le_bytes(source.array(what)?).into()),
        3 => Value::Signed(i16::from_le_bytes(source.array(what)?).into()),
        4 => Value::Unsigned(source.u32(what)?.into()),
        5 => Value::Signed(i32::from_le_bytes(source.array(what)?).into()),
        6 => Value::Float(f32::from_le_bytes(source.array(what)?).into()),
        7 => match source.array::<1>(what)?[0] {
            0 => Value::Bool(false),
            1 => Value::Bool(true),
            other => return Err(Error::invalid(what, format!("{other} is no boolean"))),
        },
        8 => Value::String(source.string(what)?),
        9 => Value::Array(read_array(source, what)?),
        10 => Value::Unsigned(source.u64(what)?),
        11 => Value::Signed(i64::from_le_bytes(source.array(what)?)),
        12 => Value::Float(f64::from_le_bytes(source.array(what)?)),
        other => return Err(Error::invalid(what, format!("value type {other} is unknown"))),
    })
}

fn read_array<R: Read>(source: &mut Source<R>, what: &str) -> Result<Array, Error> {
    let kind = source.u32(what)?;
    let count = source.u64(what)?;
    let item = match kind {
        0 | 1 | 7 => 1,
        2 | 3 => 2,
        4..=6 => 4,
        8 | 10..=12 => 8,
        9 => return Err(Error::invalid(what, "arrays of arrays are not supported")),
        other => return Err(Error::invalid(what, format!("element type {other} is unknown"))),
    };
    source.require(count, item, what)?;
    let mut array = match kind {
        0 | 2 | 4 | 10 => Array::Unsigned(Vec::new()),
        1 | 3 | 5 | 11 => Array::Signed(Vec::new()),
        6 | 12 => Array::Float(Vec::new()),
        7 => Array::Bool(Vec::new()),
        _ => Array::String(Vec::new()),
    };
    for _ in 0..count {
        match (&mut array, read_value(source, kind, what)?) {
            (Array::Unsigned(values), Value::Unsigned(value)) => values.push(value),
            (Array::Signed(values), Value::Signed(value)) => values.push(value),
            (Array::Float(values), Value::Float(value)) => values.push(value),
            (Array::Bool(values), Value::Bool(value)) => values.push(value),
            (Array::String(values), Value::String(value)) => values.push(value),
            _ => unreachable!("the element type determines the value's variant"),
        }
    }
    Ok(array)
}
