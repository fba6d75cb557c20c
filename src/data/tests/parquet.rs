//! Parquet that believes nothing of what a reader believes of it: what it does ends with the process that reads it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::sync::Arc;

use common::{Place, mounted};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use protocol::tune::DataOutcome;

/// A file with one column of texts, each in a list: the texts, and the levels at which they are and repeat.
fn lists(texts: &[&str], levels: &[(i16, i16)]) -> Vec<u8> {
    let schema = "message schema { REQUIRED group messages (LIST) { REPEATED group list { REQUIRED group element {
        REQUIRED BINARY role (STRING); OPTIONAL BINARY content (STRING); } } } }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::default()).unwrap();
    let mut rows = writer.next_row_group().unwrap();
    let (definitions, repetitions): (Vec<i16>, Vec<i16>) = levels.iter().copied().unzip();
    let roles = vec![ByteArray::from("user"); levels.len()];
    let contents: Vec<_> = texts.iter().map(|text| ByteArray::from(*text)).collect();
    let ones = vec![1; levels.len()];
    let mut columns = [(roles, ones), (contents, definitions)].into_iter();
    while let Some(mut column) = rows.next_column().unwrap() {
        let ColumnWriter::ByteArrayColumnWriter(writer) = column.untyped() else {
            panic!("a column of another type")
        };
        let (values, definitions) = columns.next().unwrap();
        writer
            .write_batch(&values, Some(&definitions), Some(&repetitions))
            .unwrap();
        column.close().unwrap();
    }
    rows.close().unwrap();
    writer.into_inner().unwrap()
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// A file without rows, whose only column is in so many groups, one within the other (Thrift's compact protocol).
fn nested(groups: usize) -> Vec<u8> {
    let mut schema = [
        &b"\x15\x02\x19\xfc"[..],
        &varint(groups as u64 + 2),
        b"\x48\x01s\x15\x02\x00",
    ]
    .concat();
    for _ in 0..groups {
        schema.extend(b"\x35\x00\x18\x01g\x15\x02\x00");
    }
    schema.extend(b"\x15\x0c\x25\x00\x18\x01c\x00");
    schema.extend(b"\x16\x00\x19\x0c\x00");
    let length = (schema.len() as u32).to_le_bytes();
    [&b"PAR1"[..], &schema, &length, b"PAR1"].concat()
}

fn failed(bytes: &[u8], format: &str) -> String {
    let place = Place::new();
    place.write("in/x.parquet", bytes);
    let failure = place.failed(&place.plan(format, mounted(&place.path("in"))));
    assert!(!failure.retryable, "{failure}");
    failure.message
}

#[test]
fn rows_are_records() {
    let place = Place::new();
    let bytes = lists(&["q"; 3], &[(2, 0), (2, 1), (2, 0)]);
    place.write("in/x.parquet", bytes);
    place.write(
        "in/y.jsonl",
        "{\"messages\":[{\"role\":\"assistant\",\"content\":\"a\"}]}\n".repeat(3),
    );
    let report = place.ready(&place.plan("Chat", mounted(&place.path("in"))));
    // Nobody answers in them.
    assert_eq!(report.dropped["empty"], 2);
    assert_eq!(report.read, 5);
}

#[test]
fn columns_of_another_format_are_named() {
    let message = failed(&lists(&["q"], &[(2, 0)]), "Text");
    let says = "dataset.format is Text, but line 1 of x.parquet has no field `text` (it has `messages`); set \
                dataset.format to Chat";
    assert!(message.contains(says), "{message}");
}

#[test]
fn no_depth_ends_us() {
    assert!(failed(&nested(3), "Text").contains("x.parquet of dataset.sources[files] is empty"));
    let message = failed(&nested(1_000_000), "Text");
    assert!(
        message.contains("x.parquet is no Parquet that can be read"),
        "{message}"
    );
}

#[test]
fn a_row_without_end_is_too_large() {
    let mut levels = vec![(1, 1); 6_000_000];
    levels[0] = (1, 0);
    let bytes = lists(&[], &levels);
    assert!(bytes.len() < 1 << 20, "{}", bytes.len());
    let message = failed(&bytes, "Chat");
    assert!(
        message.contains("x.parquet takes more than 512 MiB of memory"),
        "{message}"
    );
}

/// Seeds of the fuzz target, and inputs that ended the process that read them.
#[test]
fn the_corpus_is_harmless() {
    let place = Place::new();
    let mut count = 0;
    for file in std::fs::read_dir("../fuzz/corpus/data_parquet").unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        place.write(&format!("in/{name}.parquet"), std::fs::read(file.path()).unwrap());
        count += 1;
    }
    assert!(count > 0);
    match place.run(&place.plan("Chat", mounted(&place.path("in")))).1 {
        DataOutcome::Ready(_) => {}
        // More than half of them are no good.
        DataOutcome::Failed(failure) if failure.reason == "InvalidDataset" => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn any_changed_bytes_are_told() {
    let bytes = lists(&["q", "a", "r", "b"], &[(2, 0), (2, 1), (2, 0), (2, 1)]);
    let place = Place::new();
    let mut state = 1_u64;
    for number in 0..300 {
        let mut changed = bytes.clone();
        for _ in 0..=number % 3 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let place = (state >> 33) as usize % changed.len();
            changed[place] = (state >> 25) as u8;
        }
        place.write(&format!("in/{number:03}.parquet"), changed);
    }
    let (_, outcome) = place.run(&place.plan("Chat", mounted(&place.path("in"))));
    let DataOutcome::Failed(failure) = outcome else {
        panic!("{outcome:?}")
    };
    assert!(failure.message.contains(".parquet"), "{failure}");
    assert_eq!(failure.reason, "InvalidDataset");
}
