//! The small parts around the model, each a `type` with settings, or a `Sequence` of such.

use serde_json::Value;

use super::growth;

/// What may happen to a text first.
pub(super) const NORMALIZERS: &[&str] = &[
    "BertNormalizer",
    "NFC",
    "NFD",
    "NFKC",
    "NFKD",
    "Lowercase",
    "StripAccents",
    "Strip",
    "Prepend",
    "Replace",
];
/// What may cut it into words.
pub(super) const PRE_TOKENIZERS: &[&str] = &[
    "BertPreTokenizer",
    "ByteLevel",
    "Digits",
    "Split",
    "Metaspace",
    "Whitespace",
    "WhitespaceSplit",
    "Punctuation",
];
/// What may put marks around it.
pub(super) const POST_PROCESSORS: &[&str] = &["TemplateProcessing", "ByteLevel", "BertProcessing"];

/// Most steps of a sequence; real ones have up to five.
const MAX_STEPS: usize = 16;
/// Largest part, in bytes of JSON; real ones have some kilobytes.
const MAX_PART: usize = 64 << 10;

/// Expressions of known tokenizers. Others are refused: there is no telling how long the matcher
/// takes for one, and a hostile one takes forever.
const PATTERNS: [&str; 6] = [
    // GPT-2
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    // Llama 3
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    // Qwen 2, 2.5 and 3
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    // Mistral Nemo and later
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    // Runs of digits, and single ones.
    r"\p{N}{1,3}",
    r"\d",
];

/// The `type` of a part.
pub(super) fn kind(part: &Value) -> Option<&str> {
    part["type"].as_str()
}

/// The steps of a sequence; a part by itself is its only step, none has none.
pub(super) fn steps(part: &Value) -> Vec<&Value> {
    match kind(part) {
        None => Vec::new(),
        Some("Sequence") => {
            let lists = ["normalizers", "pretokenizers", "processors", "decoders"];
            let steps = lists.iter().filter_map(|list| part[list].as_array());
            steps.flatten().collect()
        }
        Some(_) => vec![part],
    }
}

/// Checks the part called `field`: of known types, in one sequence at most, with known expressions.
pub(super) fn check(field: &str, part: &Value, allowed: &[&str]) -> Result<(), String> {
    if part.is_null() {
        return Ok(());
    }
    if part.to_string().len() > MAX_PART {
        return Err(format!(
            "field {field:?} has more than {MAX_PART} bytes, which no real model's does"
        ));
    }
    let steps = steps(part);
    if steps.len() > MAX_STEPS {
        return Err(format!(
            "field {field:?} has {} steps, at most {MAX_STEPS} are supported",
            steps.len()
        ));
    }
    if kind(part).is_none() {
        return Err(format!("field {field:?} has no type"));
    }
    for step in steps {
        if !kind(step).is_some_and(|kind| allowed.contains(&kind)) {
            return Err(format!(
                "field {field:?} is {}: {} are supported",
                shortened(step),
                allowed.join(", ")
            ));
        }
        check_pattern(field, step)?;
        growth::check(field, step)?;
    }
    Ok(())
}

fn check_pattern(field: &str, step: &Value) -> Result<(), String> {
    match step["pattern"]["Regex"].as_str() {
        Some(pattern) if !PATTERNS.contains(&pattern) => Err(format!(
            "field {field:?} splits by the expression {}, which is not one of the known tokenizers (GPT-2, Llama 3, \
             Qwen 2 and 3, Mistral)",
            shortened(&step["pattern"]["Regex"])
        )),
        _ => Ok(()),
    }
}

/// A part as it stands, short enough for a message.
pub(super) fn shortened(part: &Value) -> String {
    part.to_string().chars().take(120).collect()
}
