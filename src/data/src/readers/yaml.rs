//! YAML: conversations in the form of chatterbot-corpus (`categories` and `conversations`, a list of lists of
//! alternating turns), or a list of records.

use std::io::Read as _;
use std::path::Path;

use protocol::tune::DataFormat;
use serde_json::Value;

use super::{Item, Settings, Sink, broken, decode};
use crate::failure::{Result, disk};
use crate::record::{Bad, Dialogue, reasons};

/// Bytes of a file: it is read as a whole.
const MAX_BYTES: u64 = 32 << 20;
/// Marks in it that a value may stand behind. What is made of a value takes a hundred times the memory of its mark.
const MAX_MARKS: usize = 2_000_000;

pub(super) fn read(path: &Path, settings: &Settings, sink: &mut Sink<'_>) -> Result<()> {
    let mut text = Vec::new();
    let reader = decode::open(path).map_err(disk("open", path))?;
    if let Err(error) = reader.take(MAX_BYTES + 1).read_to_end(&mut text) {
        return sink(broken(&error));
    }
    if text.len() as u64 > MAX_BYTES {
        let why = format!("is YAML of more than {} MiB; convert it to JSON Lines", MAX_BYTES >> 20);
        return sink(Item::Broken(why));
    }
    let is_mark = |byte: &&u8| matches!(byte, b',' | b':' | b'-' | b'?' | b'[' | b'{' | b'\n' | b'\r');
    if text.iter().filter(is_mark).count() > MAX_MARKS {
        let why = "is YAML of too many values; convert it to JSON Lines, or make several files of it";
        return sink(Item::Broken(why.into()));
    }
    let read = match super::text(&text) {
        Ok(text) => serde_yaml_ng::from_str::<serde_yaml_ng::Value>(text),
        Err(bad) => return sink(Item::Bad { line: 1, bad }),
    };
    let value = match read {
        Ok(value) => value,
        Err(error) => return sink(Item::Broken(format!("is no YAML: {error}"))),
    };
    drop(text);
    if let Some(conversations) = value.get("conversations").and_then(serde_yaml_ng::Value::as_sequence) {
        return dialogues(conversations, settings, sink);
    }
    let serde_yaml_ng::Value::Sequence(records) = value else {
        return sink(Item::Unknown(
            "is YAML without `conversations`, and no list of records".into(),
        ));
    };
    for (line, record) in (1..).zip(records) {
        sink(match serde_json::to_value(&record) {
            Ok(value) => Item::Value { line, value },
            Err(error) => Item::Bad {
                line,
                bad: Bad::new(reasons::INVALID_JSON, format!("has no form in JSON: {error}")),
            },
        })?;
    }
    Ok(())
}

fn dialogues(conversations: &[serde_yaml_ng::Value], settings: &Settings, sink: &mut Sink<'_>) -> Result<()> {
    if !matches!(settings.format, DataFormat::Chat | DataFormat::PromptCompletion) {
        return sink(Item::Unknown(
            "holds conversations, which are Chat or PromptCompletion".into(),
        ));
    }
    for (line, conversation) in (1..).zip(conversations) {
        let turns = conversation.as_sequence().map(Vec::as_slice).unwrap_or_default();
        let texts: Option<Vec<String>> = turns.iter().map(said).collect();
        let Some(texts) = texts.filter(|texts| texts.len() > 1) else {
            let what = "is no conversation: a list of at least two texts, question and answer in turn";
            let bad = Bad::new(reasons::MISSING_FIELD, what);
            sink(Item::Bad { line, bad })?;
            continue;
        };
        for value in Dialogue(texts).values(settings.format) {
            sink(Item::Value { line, value })?;
        }
    }
    Ok(())
}

/// What is said: `yes` and `42` are no texts in YAML, and are meant so.
fn said(turn: &serde_yaml_ng::Value) -> Option<String> {
    match serde_json::to_value(turn).ok()? {
        Value::String(text) => Some(text),
        other @ (Value::Bool(_) | Value::Number(_)) => Some(other.to_string()),
        _ => None,
    }
}
