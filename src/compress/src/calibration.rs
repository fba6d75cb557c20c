//! The text that is computed: its first part to calibrate on, its last to measure perplexity with.

use std::path::Path;

use engine::{ModelConfig, text::Tokenizer};

use crate::Error;

/// English prose on varied subjects and some code, written for this purpose.
const SAMPLE: &str = include_str!("sample.txt");
/// Longest window in tokens.
const WINDOW: usize = 512;
/// Most windows to calibrate on; what follows is not used.
const MAX_CALIBRATION: usize = 128;
/// Most windows to measure with.
const MAX_HELD_OUT: usize = 32;
/// Bytes of a file that are read at most: many times what the windows can hold.
const MAX_BYTES: usize = 16 << 20;

/// Windows of tokens, all of one length.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Windows {
    /// To calibrate on.
    pub calibration: Vec<Vec<u32>>,
    /// To measure with: none of their tokens was calibrated on.
    pub held_out: Vec<Vec<u32>>,
}

/// The text of a file, or the sample.
pub(crate) fn text(path: Option<&Path>) -> Result<String, Error> {
    let Some(path) = path else { return Ok(SAMPLE.into()) };
    let mut bytes = std::fs::read(path).map_err(|error| {
        let message = format!("failed to read {}: {error}", path.display());
        Error::Calibration(message)
    })?;
    bytes.truncate(MAX_BYTES);
    // Cutting may have split a character.
    let valid = bytes.utf8_chunks().next().map_or(0, |chunk| chunk.valid().len());
    if bytes.len() - valid > 3 {
        return Err(Error::Calibration(format!(
            "{} is not UTF-8 at byte {valid}; convert it",
            path.display()
        )));
    }
    bytes.truncate(valid);
    let text = String::from_utf8(bytes).map_err(|error| Error::Calibration(error.to_string()))?;
    match path.extension().is_some_and(|extension| extension == "jsonl") {
        true => joined(&text, path),
        false => Ok(text),
    }
}

/// The texts of JSON lines.
fn joined(lines: &str, path: &Path) -> Result<String, Error> {
    let mut texts = Vec::new();
    let all = lines.lines().enumerate();
    for (index, line) in all.filter(|(_, line)| !line.trim().is_empty()) {
        let value: Option<serde_json::Value> = serde_json::from_str(line).ok();
        match value.as_ref().and_then(|value| value.get("text")?.as_str()) {
            Some(text) => texts.push(text.to_owned()),
            // The last line of a file that was cut.
            None if lines.len() + 4 > MAX_BYTES => break,
            None => {
                return Err(Error::Calibration(format!(
                    "line {} of {} is no JSON object with a string \"text\"",
                    index + 1,
                    path.display()
                )));
            }
        }
    }
    Ok(texts.join("\n\n"))
}

/// Cuts `text` into windows: three quarters to calibrate on, the last quarter held out.
pub(crate) fn windows(text: &str, tokenizer: &Tokenizer, config: &ModelConfig) -> Result<Windows, Error> {
    let length = WINDOW.min(config.context_length);
    let encode = |text: &str, begin| tokenizer.encode(text, begin).map_err(Error::Calibration);
    let begin = encode("", true)?;
    let tokens = encode(text, false)?;
    if let Some(token) = tokens.iter().find(|token| i64::from(**token) >= config.vocabulary_size) {
        let message = format!("token {token} is outside the vocabulary of {}", config.vocabulary_size);
        return Err(Error::Calibration(message));
    }
    let each = length.saturating_sub(begin.len());
    let count = tokens.len().checked_div(each).unwrap_or_default();
    if count < 2 || each < 2 {
        return Err(Error::Calibration(format!(
            "it has {} tokens, at least {} are needed: one window of {length} to calibrate on and one to measure with; \
             give a longer text",
            tokens.len(),
            2 * each
        )));
    }
    let mut all: Vec<Vec<u32>> = tokens
        .chunks_exact(each)
        .take(MAX_CALIBRATION + MAX_HELD_OUT)
        .map(|window| [&begin, window].concat())
        .collect();
    let held_out = (all.len() / 4).clamp(1, MAX_HELD_OUT);
    let held_out = all.split_off(all.len() - held_out);
    all.truncate(MAX_CALIBRATION);
    Ok(Windows {
        calibration: all,
        held_out,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::source::tests::tiny;

    fn cut(text: &str) -> Result<Windows, Error> {
        let (header, config) = tiny();
        windows(text, &Tokenizer::from_metadata(&header.metadata).unwrap(), &config)
    }

    fn file(name: &str, content: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::File::create(&path).unwrap().write_all(content).unwrap();
        (dir, path)
    }

    #[test]
    fn the_last_quarter_is_held_out_and_shares_no_token() {
        let text: String = (0..1000u32).map(|i| char::from(b'a' + (i % 26) as u8)).collect();
        let found = cut(&text).unwrap();
        // 1000 bytes are 1000 tokens, the tiny context holds 64.
        assert_eq!((found.calibration.len(), found.held_out.len()), (12, 3));
        let tokens = [found.calibration, found.held_out].concat().concat();
        let (header, _) = tiny();
        let whole = Tokenizer::from_metadata(&header.metadata)
            .unwrap()
            .encode(&text, false)
            .unwrap();
        assert_eq!(tokens, whole[..15 * 64]);
    }

    #[test]
    fn a_short_text_is_refused_with_what_it_lacks() {
        let message = cut(&"x".repeat(127)).unwrap_err().to_string();
        assert!(message.contains("127") && message.contains("128"), "{message}");
        assert!(cut(&"x".repeat(128)).is_ok());
        assert!(cut("").is_err());
    }

    #[test]
    fn json_lines_are_joined_and_bad_ones_named() {
        let (_dir, path) = file("c.jsonl", b"{\"text\":\"one\"}\n\n{\"text\":\"two\",\"id\":2}\n");
        assert_eq!(text(Some(&path)).unwrap(), "one\n\ntwo");
        let (_dir, path) = file("c.jsonl", b"{\"text\":\"one\"}\n{\"txt\":\"two\"}\n");
        assert!(text(Some(&path)).unwrap_err().to_string().contains("line 2"));
    }

    #[test]
    fn text_that_is_not_utf_8_or_not_there_is_refused() {
        let (_dir, path) = file("c.txt", b"abc\xff\xfe\xfd\xfcdef");
        assert!(text(Some(&path)).unwrap_err().to_string().contains("byte 3"));
        assert!(
            text(Some(Path::new("/nonexistent/c.txt")))
                .unwrap_err()
                .to_string()
                .contains("/nonexistent")
        );
    }

    #[test]
    fn the_sample_is_long_enough_to_measure_with() {
        // A token of the common vocabularies is 4 to 5 bytes of English.
        assert!(SAMPLE.len() >= 10 * WINDOW * 5, "{}", SAMPLE.len());
    }
}
