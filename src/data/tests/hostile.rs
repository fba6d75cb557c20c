//! Data that nobody should have written: what is wrong with them is told with the file, the line, the field and what to
//! do about it, and no file takes more memory or time than another.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::process::Command;

use common::{Place, mounted};
use flate2::{Compression, write::GzEncoder};
use protocol::tune::DataOutcome;
use rstest::rstest;
use serde_json::{Value, json};

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

const PAIR: &str = "{\"prompt\":\"q\",\"completion\":\"a\"}\n";

#[rstest]
#[case::no_file("Text", ".hidden", b"{\"text\":\"a\"}", &["dataset.sources (files)", "there are no files"])]
#[case::empty("Text", "x.jsonl", b"", &["x.jsonl of dataset.sources[files] is empty"])]
#[case::blank("Text", "x.jsonl", b"\n \n\r\n", &["x.jsonl of dataset.sources[files] is empty"])]
#[case::empty_list("Text", "x.json", b"[ ]", &["x.json of dataset.sources[files] is empty"])]
#[case::header_alone("Text", "x.csv", b"text\n", &["x.csv of dataset.sources[files] is empty"])]
#[case::empty_texts("Text", "x.jsonl", b"{\"text\":\"\"}", &["line 1 of x.jsonl has nothing in `text`", "fill it in"])]
#[case::fits_another("Chat", "x.jsonl", PAIR.as_bytes(), &["dataset.format is Chat, but line 1 of x.jsonl has no field `messages` (it has `prompt`, `completion`)", "set dataset.format to PromptCompletion"])]
#[case::fits_none("Preference", "x.jsonl", PAIR.as_bytes(), &["line 1 of x.jsonl has no field `chosen`", "set dataset.format to PromptCompletion"])]
#[case::other_names("Chat", "x.json", b"[\n{\"question\":\"q\",\"answer\":\"a\"}]", &["line 2 of x.json has no field `messages` (it has `question`, `answer`)", "write {\"messages\": [{\"role\": \"user\""])]
#[case::no_object("Text", "x.jsonl", b"[1]", &["line 1 of x.jsonl is a list and no object", "write {\"text\": \"...\"}"])]
#[case::inside("Chat", "x.jsonl", b"{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\"}]}", &["line 1 of x.jsonl has no field `content` (it has `role`) in `messages[1]`"])]
#[case::role("Chat", "x.jsonl", b"{\"messages\":[{\"role\":\"judge\",\"content\":\"q\"}]}", &["line 1 of x.jsonl", "\"judge\" in `messages[0]`", "system, user, assistant or tool"])]
#[case::no_json("Text", "x.jsonl", b"\n{\"text\": a}", &["line 2 of x.jsonl is no JSON: expected value at column 10", "one object a line"])]
#[case::over_lines("Text", "x.jsonl", b"{\n\"text\": \"a\"\n}\n", &["line 1 of x.jsonl is no JSON", "name the file .json"])]
#[case::later_line("Text", "x.json", b"[{\n\"text\":\n a}]", &["line 1 of x.json is no JSON: expected value at line 3, column 2"])]
#[case::latin1("Text", "x.jsonl", b"{\"text\":\"caf\xe9\"}", &["line 1 of x.jsonl is no UTF-8 from its byte 13 on", "save the file as UTF-8"])]
#[case::latin1_table("Text", "x.csv", b"text\ncaf\xe9\n", &["line 2 of x.csv is no UTF-8 from its byte 4 on"])]
#[case::latin1_yaml("Chat", "x.yml", b"conversations:\n- - caf\xe9\n  - a\n", &["line 1 of x.yml is no UTF-8"])]
#[case::utf16_unmarked("Text", "x.txt", &utf16("hello"), &["line 1 of x.txt has NUL bytes", "UTF-16"])]
#[case::utf16_unmarked_lines("Text", "x.jsonl", &utf16("{\"text\":\"a\"}"), &["line 1 of x.jsonl has NUL bytes"])]
#[case::nulls("Text", "x.csv", b"text\na\0b\n", &["line 2 of x.csv has NUL bytes"])]
#[case::deep("Text", "x.jsonl", &b"[".repeat(100_000), &["line 1 of x.jsonl is no JSON: recursion limit exceeded"])]
#[case::deep_yaml("Chat", "x.yml", &b"[".repeat(10_000), &["x.yml is no YAML"])]
#[case::yaml_keys("Chat", "x.yml", b"- a: 1\n  a: 2\n", &["x.yml is no YAML", "duplicate", "line 1"])]
#[case::many_values("Chat", "x.yml", &b"[],".repeat(1_500_000), &["x.yml is YAML of too many values", "JSON Lines"])]
#[case::ragged("PromptCompletion", "x.csv", b"prompt,completion\nq\n", &["line 2 of x.csv has 1 columns, and the header has 2", "quotation marks"])]
#[case::open_quotes("Text", "x.csv", b"text\n\"a\nb\n", &["line 2 of x.csv has a quotation mark that nobody closes", "close it"])]
#[case::twice("Text", "x.csv", b"text,text\na,b\n", &["line 1 of x.csv is a header with two columns `text`", "rename"])]
#[case::packed("Text", "x.zip", b"PK\x03\x04", &["x.zip is packed in a way that is not read", "unpack it"])]
#[case::unknown("Text", "x.docx", b"PK\x03\x04", &["x.docx is of no kind that is read", ".jsonl"])]
#[case::cut("Text", "x.jsonl.gz", b"\x1f\x8b\x08\x00", &["x.jsonl.gz cannot be read to its end", "pack the file again"])]
fn what_is_wrong_is_told(#[case] format: &str, #[case] name: &str, #[case] content: &[u8], #[case] says: &[&str]) {
    let place = Place::new();
    place.write(&format!("in/{name}"), content);
    let failure = place.failed(&place.plan(format, mounted(&place.path("in"))));
    for words in says {
        assert!(failure.message.contains(words), "{words}: {failure}");
    }
    assert!(!failure.retryable, "{failure}");
}

#[test]
fn one_line_is_enough_to_learn_from() {
    let place = Place::new();
    place.write("in/x.jsonl", "\u{feff}{\"text\":\"a\"}");
    let parts = place.ready(&place.plan("Text", mounted(&place.path("in")))).parts;
    assert_eq!((parts.train, parts.validation, parts.test), (1, 0, 0));
}

#[test]
fn the_last_of_equal_keys_counts_and_nulls_are_told_from_text() {
    let place = Place::new();
    place.write("in/x.jsonl", r#"{"text":"first","text":"a\u0000b"}"#);
    let mut plan = place.plan("Text", mounted(&place.path("in")));
    place.ready(&plan);
    assert_eq!(place.records("train")[0]["text"], "a\u{0}b");
    plan["stages"] = json!({"normalizeUnicode": true});
    place.ready(&plan);
    assert_eq!(place.records("train")[0]["text"], "ab");
}

/// The program with so many MiB of address space.
fn limited(place: &Place, plan: &Value, most: u32) -> DataOutcome {
    let limit = format!("ulimit -v {}; exec \"$@\"", most << 10);
    let mut command = Command::new("sh");
    command.args(["-c", &limit, "sh", env!("CARGO_BIN_EXE_atelier-data")]);
    // What threads reserve, and never use, does not count.
    command.env("MALLOC_ARENA_MAX", "1").env("TOKIO_WORKER_THREADS", "2");
    place.run_as(&mut command, plan).1
}

fn longest(outcome: DataOutcome, count: u64) {
    let DataOutcome::Ready(report) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(report.parts.train + report.parts.validation, 2);
    assert_eq!(report.dropped, [("tooLong".to_owned(), count)].into());
}

#[test]
fn a_line_of_a_gibibyte_is_skipped() {
    let place = Place::new();
    const OBJECTS: [&str; 2] = ["{\"text\":\"", "\"}\n{\"text\":\"a\"}\n{\"text\":\"b\"}\n"];
    for (name, size, [head, tail]) in [
        ("in/x.jsonl", 1 << 30, OBJECTS),
        ("in/x.json", 1 << 28, OBJECTS),
        ("in/x.csv", 1 << 28, ["text\n\"", "\"\na\nb\n"]),
    ] {
        place.write(name, head);
        let mut file = File::options().write(true).open(place.path(name)).unwrap();
        // Nobody has to write what lies between.
        file.seek(SeekFrom::Start(size)).unwrap();
        file.write_all(tail.as_bytes()).unwrap();
        longest(
            limited(&place, &place.plan("Text", mounted(&place.path(name))), 1 << 10),
            1,
        );
    }
}

#[test]
fn packed_bytes_that_become_many_more_take_no_memory() {
    let place = Place::new();
    let pack = |bytes: &[u8]| {
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    };
    // Packed files that follow each other are one.
    let (records, filler) = (pack(b"{\"text\":\"a\"}\n{\"text\":\"b\"}\n"), pack(&[b'x'; 1 << 20]));
    let bytes = [records, filler.repeat(256)].concat();
    assert!(bytes.len() < 1 << 20);
    place.write("in/x.jsonl.gz", bytes);
    longest(limited(&place, &place.plan("Text", mounted(&place.path("in"))), 512), 1);
}
