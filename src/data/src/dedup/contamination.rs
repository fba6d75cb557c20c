//! Texts of evaluation suites among the data: a model that has seen the questions is measured on nothing.
//!
//! The rule is that of GPT-3 (Brown et al. 2020, appendix C, "Details of Test Set Contamination Studies"): a record counts
//! that has 13 consecutive words in common with a text, in lower case and without punctuation. GPT-3 takes fewer words for
//! suites of short texts; here a text of fewer counts where all of it is in a record. Texts of fewer than five words
//! ("yes", "the capital of France") are in many records that have nothing to do with them, and do not count.

use std::{
    collections::HashSet,
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use super::words;

/// Consecutive words that give a text away.
const WORDS: usize = 13;
/// Fewest words of a text that counts.
const FEWEST: usize = 5;
const BASE: u64 = 0x9E6C_63D0_876A_9A35;

/// Why texts cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("decontaminate: {}: {source}", .file.display())]
    Read {
        /// Which.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is not what it should be.
    #[error("decontaminate: {}:{line}: {what}", .file.display())]
    Line {
        /// Of this file.
        file: PathBuf,
        /// From 1 on.
        line: u64,
        /// What is wrong.
        what: String,
    },
}

/// Texts that must not be learned from.
#[derive(Debug, Default)]
pub struct Contamination {
    /// Hashes of their consecutive words, by how many these are.
    grams: [HashSet<u64, ahash::RandomState>; WORDS + 1],
}

impl Contamination {
    /// Reads one text a line. A line that is JSON has a text in each of its strings; in a file called `.jsonl` or `.json`,
    /// a line that is not JSON is an error.
    ///
    /// # Errors
    /// With file and line.
    pub fn read(files: &[PathBuf]) -> Result<Self, Error> {
        let mut texts = Self::default();
        for file in files {
            let failed = |source| Error::Read {
                file: file.clone(),
                source,
            };
            let mut lines = BufReader::new(File::open(file).map_err(failed)?);
            let mut bytes = Vec::new();
            for line in 1.. {
                bytes.clear();
                if lines.read_until(b'\n', &mut bytes).map_err(failed)? == 0 {
                    break;
                }
                texts.take_line(&bytes, file).map_err(|what| Error::Line {
                    file: file.clone(),
                    line,
                    what,
                })?;
            }
        }
        Ok(texts)
    }

    fn take_line(&mut self, bytes: &[u8], file: &Path) -> Result<(), String> {
        let line = std::str::from_utf8(bytes).map_err(|error| format!("not UTF-8: {error}"))?;
        let line = line.trim_start_matches('\u{FEFF}').trim();
        let has_to_be_json = file.extension().is_some_and(|it| it == "jsonl" || it == "json");
        if line.is_empty() {
            return Ok(());
        }
        if has_to_be_json || line.starts_with(['{', '[', '"']) {
            match serde_json::from_str(line) {
                Ok(value) => {
                    self.take_value(&value);
                    return Ok(());
                }
                Err(error) if has_to_be_json => return Err(format!("not JSON: {error}")),
                Err(_) => {}
            }
        }
        self.take(line);
        Ok(())
    }

    fn take_value(&mut self, value: &serde_json::Value) {
        match value {
            serde_json::Value::String(text) => self.take(text),
            serde_json::Value::Array(values) => values.iter().for_each(|value| self.take_value(value)),
            serde_json::Value::Object(fields) => fields.values().for_each(|value| self.take_value(value)),
            _ => {}
        }
    }

    fn take(&mut self, text: &str) {
        let mut count = 0;
        words::each(text, |_| count += 1);
        if count < FEWEST {
            return;
        }
        let words = count.min(WORDS);
        let mut window = Window::new(words);
        words::each(text, |word| {
            if let Some(gram) = window.push(word) {
                self.grams[words].insert(gram);
            }
        });
    }

    /// Whether `text` gives one of the texts away.
    pub fn is_contaminated(&self, text: &str) -> bool {
        let known = (FEWEST..=WORDS).filter(|words| !self.grams[*words].is_empty());
        let mut windows: Vec<_> = known.map(|words| (&self.grams[words], Window::new(words))).collect();
        let mut is_found = false;
        if !windows.is_empty() {
            words::each(text, |word| {
                for (grams, window) in &mut windows {
                    is_found |= window.push(word).is_some_and(|gram| grams.contains(&gram));
                }
            });
        }
        is_found
    }
}

/// The last words of a text, and a polynomial over their hashes.
struct Window {
    words: [u64; WORDS],
    size: usize,
    count: usize,
    hash: u64,
    /// What the oldest word was multiplied with.
    oldest: u64,
}

impl Window {
    fn new(size: usize) -> Self {
        Self {
            words: [0; WORDS],
            size,
            count: 0,
            hash: 0,
            oldest: (1..size).fold(1, |power: u64, _| power.wrapping_mul(BASE)),
        }
    }

    fn push(&mut self, word: u64) -> Option<u64> {
        let gone = std::mem::replace(&mut self.words[self.count % self.size], word);
        self.hash = self.hash.wrapping_sub(gone.wrapping_mul(self.oldest));
        self.hash = self.hash.wrapping_mul(BASE).wrapping_add(word);
        self.count += 1;
        (self.count >= self.size).then_some(self.hash)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use rstest::rstest;

    use super::*;

    fn read(name: &str, content: &[u8]) -> Result<Contamination, Error> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(name);
        File::create(&file).unwrap().write_all(content).unwrap();
        Contamination::read(&[file])
    }

    const LONG: &str = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen";

    #[rstest]
    #[case::whole(LONG, true)]
    #[case::thirteen(
        "so: Two, three four FIVE six seven eight-nine ten eleven twelve thirteen fourteen, indeed",
        true
    )]
    #[case::twelve("three four five six seven eight nine ten eleven twelve thirteen fourteen", false)]
    #[case::short_text_within("They asked: what is the capital of France? Paris.", true)]
    #[case::short_text_in_part("what is the capital of Spain", false)]
    #[case::too_short_to_count("the answer is forty two", false)]
    #[case::nothing("", false)]
    fn overlap_is_found(#[case] text: &str, #[case] expected: bool) {
        let lines = format!("{LONG}\n\nWhat is the capital of France?\nforty two\n");
        assert_eq!(
            read("suite.txt", lines.as_bytes()).unwrap().is_contaminated(text),
            expected
        );
    }

    #[rstest]
    #[case(r#"{"messages": [{"content": "what is the capital of France"}]}"#, "suite.jsonl")]
    #[case(r#""what is the capital of France""#, "suite.txt")]
    #[case("{what is the capital of France}", "suite.txt")]
    #[case("\u{FEFF}what is the capital of France\r", "suite.txt")]
    fn lines_may_be_json(#[case] line: &str, #[case] name: &str) {
        let texts = read(name, line.as_bytes()).unwrap();
        assert!(texts.is_contaminated("What is the capital of France?"));
        assert!(!texts.is_contaminated("messages content"));
    }

    #[rstest]
    #[case("suite.jsonl", b"{}\n{\"a\": \n", "suite.jsonl:2: not JSON")]
    #[case("suite.txt", b"a\nb\n\xFF\n", "suite.txt:3: not UTF-8")]
    fn what_is_wrong_is_said_with_the_line(#[case] name: &str, #[case] content: &[u8], #[case] expected: &str) {
        let error = read(name, content).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Contamination::read(&["/no/such/file".into()]).unwrap_err().to_string();
        assert!(error.contains("/no/such/file"), "{error}");
    }
}
