//! Names and values as PostgreSQL reads them, whatever its settings are.

use sqlparser::ast::Value;

use super::Refusal;

/// A quoted name.
pub fn name(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// A string. With a backslash in it, it is written so that `standard_conforming_strings` does not matter: a string that
/// ends elsewhere than we think would be the end of all this.
pub fn string(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    match text.contains('\\') {
        true => format!("E'{}'", quoted.replace('\\', "\\\\")),
        false => format!("'{quoted}'"),
    }
}

/// A literal.
///
/// # Errors
/// For bytes, bits, parameters and strings of other languages.
pub fn value(value: &Value) -> Result<String, Refusal> {
    match value {
        Value::Number(digits, false) => number(digits),
        Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) | Value::UnicodeStringLiteral(text) => {
            text_of(text)
        }
        Value::DollarQuotedString(text) => text_of(&text.value),
        Value::Boolean(true) => Ok("TRUE".into()),
        Value::Boolean(false) => Ok("FALSE".into()),
        Value::Null => Ok("NULL".into()),
        Value::Placeholder(_) => Err(Refusal::Feature("a parameter")),
        _ => Err(Refusal::Feature("a literal of that form")),
    }
}

/// The text of a literal that must be a string.
///
/// # Errors
/// When it is something else.
pub fn text(value: &Value) -> Result<&str, Refusal> {
    match value {
        Value::SingleQuotedString(text) => Ok(text),
        _ => Err(Refusal::Feature("something else than a string here")),
    }
}

/// A whole number.
pub fn whole(value: &Value) -> Option<u64> {
    match value {
        Value::Number(digits, false) => digits.parse().ok(),
        _ => None,
    }
}

fn text_of(text: &str) -> Result<String, Refusal> {
    match text.contains('\0') {
        true => Err(Refusal::Feature("a NUL in a string")),
        false => Ok(string(text)),
    }
}

fn number(digits: &str) -> Result<String, Refusal> {
    let is_number = digits.len() <= 64
        && digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'))
        && digits.parse::<f64>().is_ok_and(f64::is_finite);
    match is_number {
        true => Ok(digits.to_owned()),
        false => Err(Refusal::Feature("a number of that form")),
    }
}
