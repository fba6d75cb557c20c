//! What the fuzz targets `data_…` do with an input: readers of strangers' bytes, and what is done to what they read.

use std::fs;
use std::io;
use std::path::Path;

use protocol::tune::{DataFormat, Dedup, MinHash, PersonalData, Quality, Stages};
use serde_json::Value;

use crate::dedup::Deduplicator;
use crate::documents;
use crate::readers::{self, Item, Programs};
use crate::record::{self, Record};
use crate::stages::Cleaner;

/// Bytes of a record at most.
const MAX_BYTES: usize = 1 << 12;
/// All that records look like.
const FORMATS: [DataFormat; 4] = [
    DataFormat::Chat,
    DataFormat::PromptCompletion,
    DataFormat::Preference,
    DataFormat::Text,
];

/// Reads bytes as a file of this name, and records out of what is found. What is found in most files does not depend on
/// what is looked for; `dir` is written to.
///
/// # Errors
/// When the file cannot be written.
///
/// # Panics
/// When what is found cannot be true.
pub fn read(dir: &Path, input: &[u8], name: &str, formats: &[DataFormat]) -> io::Result<()> {
    read_with(&Programs::default(), dir, input, name, formats)
}

fn read_with(programs: &Programs, dir: &Path, input: &[u8], name: &str, formats: &[DataFormat]) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let path = dir.join("file");
    fs::write(&path, input)?;
    for format in formats {
        let settings = readers::Settings {
            format: *format,
            max_bytes: MAX_BYTES,
            scratch: dir.to_owned(),
            programs: programs.clone(),
        };
        let mut before = 0;
        let read = readers::read(&path, name, &settings, &mut |item| {
            let line = check(item);
            assert!(line.is_none_or(|line| line >= before), "{line:?} comes behind {before}");
            before = line.unwrap_or(before);
            Ok(())
        });
        read.expect("the disk works");
    }
    Ok(())
}

/// Reads records out of it; the line where it was.
fn check(item: Item) -> Option<u64> {
    match item {
        Item::Value { line, value } => {
            assert!(line > 0);
            FORMATS.into_iter().for_each(|format| value_as(value.clone(), format));
            Some(line)
        }
        Item::Bad { line, bad } => {
            assert!(line > 0 && !bad.what.is_empty() && !bad.reason.is_empty());
            Some(line)
        }
        Item::Text(text) => {
            assert!(text.len() <= MAX_BYTES);
            if let Ok(record) = Record::of_text(text) {
                comes_back(&record, DataFormat::Text);
            }
            None
        }
        Item::Unknown(why) | Item::Broken(why) | Item::Quarantined(why) => {
            assert!(!why.is_empty());
            None
        }
    }
}

fn value_as(value: Value, format: DataFormat) {
    match Record::of(value, format) {
        Ok(record) => comes_back(&record, format),
        Err(bad) => assert!(!bad.what.is_empty()),
    }
}

/// Whoever trains reads what was written.
fn comes_back(record: &Record, format: DataFormat) {
    assert!(record.check().is_ok());
    let line = record::line(&record.content(), "fuzz");
    assert!(!line.contains('\n'), "a record is a line");
    let value = serde_json::from_str(&line).expect("a record is JSON");
    assert_eq!(Record::of(value, format).as_ref(), Ok(record));
}

/// Reads bytes as JSON Lines.
///
/// # Errors
/// As for [`read`], as all of these.
pub fn jsonl(dir: &Path, input: &[u8]) -> io::Result<()> {
    read(dir, input, "a.jsonl", &[DataFormat::Chat])
}

/// Reads bytes as a list in JSON, or as what they say they are.
///
/// # Errors
/// As for [`read`].
pub fn json(dir: &Path, input: &[u8]) -> io::Result<()> {
    read(dir, input, "a.json", &[DataFormat::Chat])?;
    // PDF is left to other programs.
    match input.starts_with(b"%PDF-") {
        true => Ok(()),
        false => read(dir, input, "a", &[DataFormat::Text]),
    }
}

/// Reads bytes as a table of text.
///
/// # Errors
/// As for [`read`].
pub fn csv(dir: &Path, input: &[u8]) -> io::Result<()> {
    read(dir, input, "a.csv", &[DataFormat::Chat])?;
    read(dir, input, "a.tsv", &[DataFormat::Chat])
}

/// Reads bytes as YAML: records, or conversations in the form of chatterbot-corpus.
///
/// # Errors
/// As for [`read`].
pub fn yaml(dir: &Path, input: &[u8]) -> io::Result<()> {
    read(dir, input, "a.yml", &[DataFormat::Chat, DataFormat::PromptCompletion])
}

/// Reads bytes as Parquet, as a process of its own prints them: this program, which has to call [`rows`] when it starts.
/// What ends that process is no finding, and how often it happens is no secret.
///
/// # Errors
/// As for [`read`].
pub fn parquet(dir: &Path, input: &[u8]) -> io::Result<()> {
    let own = std::env::current_exe()?;
    let programs = Programs {
        rows: own.to_str().map(str::to_owned),
        ..Programs::default()
    };
    read_with(&programs, dir, input, "a.parquet", &[DataFormat::Chat])
}

/// Prints the rows of a Parquet file and ends, if the command line asks for that.
pub fn rows() {
    let mut arguments = std::env::args_os().skip(1);
    if let (Some(command), Some(file), None) = (arguments.next(), arguments.next(), arguments.next())
        && command == "rows"
    {
        let printed = readers::print(Path::new(&file), io::stdout().lock());
        if let Err(why) = &printed {
            eprintln!("{why}");
        }
        std::process::exit(i32::from(printed.is_err()));
    }
}

/// Reads bytes as documents: plain text and Markdown.
///
/// # Errors
/// As for [`read`].
pub fn text(dir: &Path, input: &[u8]) -> io::Result<()> {
    read(dir, input, "a.txt", &[DataFormat::Text])?;
    read(dir, input, "a.md", &[DataFormat::Text])
}

/// Reads one value of JSON as a record of every format, in every form that it comes in: ours, ShareGPT, Alpaca.
///
/// # Panics
/// When a record does not come back from its line.
pub fn record(input: &[u8]) {
    if let Ok(value) = serde_json::from_slice::<Value>(input) {
        FORMATS.into_iter().for_each(|format| value_as(value.clone(), format));
    }
}

/// Reads bytes as what programs print about a PDF.
pub fn pdf(input: &[u8]) {
    readers::printed(&String::from_utf8_lossy(input));
}

/// Reads bytes as a document of Word: an archive, or the XML in one.
pub fn docx(input: &[u8]) {
    documents::testing::read("docx", input);
    documents::testing::read("word", input);
}

/// Reads bytes as a page of the web.
pub fn html(input: &[u8]) {
    documents::testing::read("html", input);
}

/// Reads bytes as Markdown, and as a table of text.
pub fn markup(input: &[u8]) {
    documents::testing::read("markdown", input);
    documents::testing::read("csv", input);
}

/// Reads bytes as what programs print of pages: their runs, and the words in pictures of them.
pub fn layout(input: &[u8]) {
    documents::testing::printed(input);
}

/// Cleans and judges a text, with and without personal data, and looks for duplicates in its lines.
///
/// # Panics
/// When a clean text is not clean, or what is not before another is its duplicate.
pub fn clean(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    for pii in [PersonalData::Keep, PersonalData::Redact, PersonalData::Drop] {
        let stages = Stages {
            normalize_unicode: true,
            punctuation: true,
            language: vec!["en".into(), "de".into()],
            quality: Some(Quality {
                min_words: Some(2),
                max_words: Some(1000),
                max_symbols: Some(0.9),
                max_repeated_lines: Some(0.9),
            }),
            pii,
            dedup: Dedup::default(),
        };
        let cleaner = Cleaner::new(&stages).expect("these stages make sense");
        let clean = cleaner.clean(&text);
        // The name of a find may make something of the numbers beside it.
        assert!(pii == PersonalData::Redact || cleaner.clean(&clean) == clean);
        cleaner.judge(&clean);
    }
    duplicates(&text).expect("the temporary directory can be written");
}

fn duplicates(text: &str) -> io::Result<()> {
    let dedup = Dedup {
        exact: true,
        minhash: Some(MinHash {
            threshold: 0.8,
            shingle: 3,
        }),
    };
    let mut deduplicator = Deduplicator::new(&dedup, &std::env::temp_dir(), 1 << 16)?;
    let mut count = 0;
    for (number, line) in (0..).zip(text.lines().take(64)) {
        deduplicator.add(number, line)?;
        count += 1;
    }
    let mut before = None;
    for duplicate in deduplicator.finish()? {
        let (number, _) = duplicate?;
        assert!(number > 0 && number < count && before < Some(number));
        before = Some(number);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    /// Pieces of all formats, so that many bytes get somewhere.
    fn pieces() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop::sample::select(vec![
            &b"{\"messages\":"[..],
            b"[{\"role\":\"user\",\"content\":\"q\"},",
            b"{\"role\":\"assistant\",\"content\":\"a\"}]",
            b"{\"conversations\":[{\"from\":\"gpt\",\"value\":\"x\"}]}",
            b"{\"prompt\":\"a\",\"completion\":\"b\"}",
            b"{\"text\":\"\\ud800\"}",
            b"prompt,completion",
            b"\"",
            b",",
            b"\n",
            b"\r\n",
            b"}",
            b"]",
            b"[",
            b"conversations:\n- - a\n  - b\n",
            b"&a [*a]\n",
            b"\xff\xfe",
            b"\x1f\x8b\x08",
            b"PAR1",
            b"\x00",
            "\u{e9}".as_bytes(),
        ]);
        let noise = prop::collection::vec(any::<u8>(), 0..8);
        let part = prop_oneof![4 => piece.prop_map(<[u8]>::to_vec), 1 => noise];
        prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn no_reader_panics(bytes in pieces()) {
            let dir = tempfile::tempdir().unwrap();
            for name in ["a.jsonl", "a.json", "a.csv", "a.tsv", "a.yml", "a.parquet", "a.txt", "a"] {
                read(dir.path(), &bytes, name, &FORMATS).unwrap();
            }
        }
    }

    /// Pieces of pages and of what programs print.
    fn markup_pieces() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop::sample::select(vec![
            "<p>",
            "</p>",
            "<div style='display:none'>",
            "</div>",
            "<table><tr><td>",
            "</table>",
            "<style>.a{display:none}",
            "</style>",
            "<title>",
            "<li class=a>",
            "<!--",
            "-->",
            "<main>",
            "text of some length ",
            "&amp;",
            "# ",
            "- ",
            "| a | b |\n|---|---|\n",
            "```\n",
            "\n\n",
            "<page number=\"1\" height=\"792\" width=\"612\">",
            "</page>",
            "<fontspec id=\"0\" size=\"11\" color=\"#ffffff\"/>",
            "<text top=\"10\" left=\"1e9\" width=\"-5\" height=\"nan\" font=\"0\">",
            "<text top=\"700\" left=\"72\" width=\"100\" height=\"10\" font=\"0\">",
            "</text>",
            "<b>",
            "<outline><item page=\"1\">",
            "</item>",
            "5\t1\t1\t1\t1\t1\t4294967295\t5\t4294967295\t9\t95\tword\n",
            "<w:p>",
            "</w:p>",
            "<w:tbl>",
            "<w:tc>",
            "<w:t>",
            "</w:t>",
            "\u{202e}",
        ]);
        prop::collection::vec(piece, 0..40).prop_map(|parts| parts.concat().into_bytes())
    }

    proptest! {
        #[test]
        fn no_reader_of_documents_panics(bytes in prop_oneof![markup_pieces(), pieces()]) {
            for take in [docx, html, markup, layout] {
                take(&bytes);
            }
        }
    }

    /// Seeds, and inputs that once failed.
    fn corpus(target: &str) -> Vec<Vec<u8>> {
        let files = fs::read_dir(format!("../fuzz/corpus/data_{target}")).unwrap();
        let inputs: Vec<_> = files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect();
        assert!(!inputs.is_empty());
        inputs
    }

    #[rstest]
    #[case("jsonl", jsonl)]
    #[case("json", json)]
    #[case("csv", csv)]
    #[case("yaml", yaml)]
    #[case("text", text)]
    fn the_corpus_of_files_is_harmless(#[case] target: &str, #[case] read: fn(&Path, &[u8]) -> io::Result<()>) {
        let dir = tempfile::tempdir().unwrap();
        for input in corpus(target) {
            read(dir.path(), &input).unwrap();
        }
    }

    #[rstest]
    #[case("record", record)]
    #[case("pdf", pdf)]
    #[case("clean", clean)]
    #[case("docx", docx)]
    #[case("html", html)]
    #[case("markup", markup)]
    #[case("layout", layout)]
    fn the_corpus_of_texts_is_harmless(#[case] target: &str, #[case] take: fn(&[u8])) {
        corpus(target).iter().for_each(|input| take(input));
    }
}
