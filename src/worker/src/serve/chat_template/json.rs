//! JSON in templates as Python's `json.dumps` writes it, which is what models were trained on: a space
//! after commas and colons, no escapes but those that JSON needs.

use std::io::{Result, Write};

use minijinja::{Error, ErrorKind, Value, value::Kwargs};
use serde::Serialize as _;
use serde_json::{
    Serializer,
    ser::{Formatter, PrettyFormatter},
};

/// The filter `tojson`.
///
/// # Errors
/// When the value has no JSON, or with options other than `indent`.
pub fn dump(value: &Value, options: Kwargs) -> std::result::Result<Value, Error> {
    let indent: Option<usize> = options.get("indent")?;
    // Ours are so anyway.
    let _: (Option<bool>, Option<Value>) = (options.get("ensure_ascii")?, options.get("separators")?);
    options.assert_all_used()?;
    let mut text = Vec::new();
    let written = match indent {
        Some(indent) => {
            let indent = " ".repeat(indent.min(16));
            let formatter = PrettyFormatter::with_indent(indent.as_bytes());
            value.serialize(&mut Serializer::with_formatter(&mut text, formatter))
        }
        None => value.serialize(&mut Serializer::with_formatter(&mut text, Spaced)),
    };
    let fault = |error: String| Error::new(ErrorKind::BadSerialization, error);
    written.map_err(|error| fault(error.to_string()))?;
    let text = String::from_utf8(text).map_err(|error| fault(error.to_string()))?;
    Ok(Value::from_safe_string(text))
}

struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> Result<()> {
        separate(writer, first)
    }

    fn begin_object_key<W: Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> Result<()> {
        separate(writer, first)
    }

    fn begin_object_value<W: Write + ?Sized>(&mut self, writer: &mut W) -> Result<()> {
        writer.write_all(b": ")
    }
}

fn separate<W: Write + ?Sized>(writer: &mut W, first: bool) -> Result<()> {
    match first {
        true => Ok(()),
        false => writer.write_all(b", "),
    }
}
