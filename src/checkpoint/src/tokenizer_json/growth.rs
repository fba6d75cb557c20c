//! Parts that make a text longer. A short file could make it a million times as long, step by step.

use serde_json::Value;

use super::parts::{kind, shortened};

/// Most pieces that a text is put between, and most tokens of one; real ones have up to five.
const MAX_PIECES: usize = 16;

/// Checks that a step of the part called `field` adds no more than a few marks to a text.
pub(super) fn check(field: &str, step: &Value) -> Result<(), String> {
    let grows = match kind(step) {
        Some("Replace") => replaces_by_more(step),
        Some("TemplateProcessing") => repeats(step),
        _ => false,
    };
    match grows {
        true => Err(format!(
            "field {field:?} is {}: it makes texts many times longer, which no real model's does",
            shortened(step)
        )),
        false => Ok(()),
    }
}

/// Whether what is put in has more characters than what it is put in for.
fn replaces_by_more(step: &Value) -> bool {
    let count = |text: &Value| text.as_str().map(|text| text.chars().count());
    // Expressions match at least one character where they match anything.
    let found = count(&step["pattern"]["String"]).unwrap_or(1);
    count(&step["content"]).unwrap_or_default() > found
}

/// Whether a template has a text more than once, or a great many marks.
fn repeats(step: &Value) -> bool {
    let too_many = |template: &Value| {
        let pieces: &[Value] = template.as_array().map_or(&[], Vec::as_slice);
        let texts = |id: &str| pieces.iter().filter(|piece| piece["Sequence"]["id"] == id).count();
        pieces.len() > MAX_PIECES || texts("A") > 1 || texts("B") > 1
    };
    let long = |mark: &Value| mark["ids"].as_array().is_some_and(|ids| ids.len() > MAX_PIECES);
    let marks = step["special_tokens"].as_object();
    ["single", "pair"].iter().any(|template| too_many(&step[template]))
        || marks.is_some_and(|marks| marks.values().any(long))
}
