use std::io::Write as _;
use std::sync::Arc;

use ::parquet::column::writer::ColumnWriter;
use ::parquet::data_type::ByteArray;
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::parser::parse_message_type;
use flate2::{Compression, write::GzEncoder};
use rstest::rstest;
use serde_json::json;

use super::*;
use crate::record::Record;

const MAX: usize = 200;

/// Each item in a line: records as JSON, everything else by its reason.
fn found(bytes: &[u8], name: &str, format: DataFormat) -> Vec<String> {
    let line = |item| match item {
        Item::Value { line, value } => match Record::of(value, format) {
            Ok(record) => format!("{line} {}", record.content()),
            Err(bad) => format!("{line} {}", bad.reason),
        },
        Item::Text(text) => text,
        Item::Bad { line, bad } => format!("{line} {}", bad.reason),
        Item::Unknown(_) => "unknown".into(),
        Item::Broken(_) => "broken".into(),
        Item::Quarantined(why) => why,
    };
    of_bytes(bytes, name, format, MAX).into_iter().map(line).collect()
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn utf16(text: &str) -> Vec<u8> {
    std::iter::once(0xfeff)
        .chain(text.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect()
}

const A: &str = r#"{"text":"a"}"#;

#[rstest]
#[case("a.jsonl", "{\"text\":\"a\"}\n\n{\"text\":}\n{\"txt\":\"b\"}\n{\"text\":\" \"}\n{\"text\":\"c\"}", &["1 {\"text\":\"a\"}", "3 invalidJson", "4 missingField", "5 empty", "6 {\"text\":\"c\"}"])]
#[case("dir.d/A.NDJSON", A, &["1 {\"text\":\"a\"}"])]
#[case("a.json", "[{\"text\":\"a\"},\n{\"text\":\"b\"}, 3]", &["1 {\"text\":\"a\"}", "2 {\"text\":\"b\"}", "2 missingField"])]
#[case("a.json", "{\n\"text\":\"a\"}", &["1 {\"text\":\"a\"}"])]
#[case("a.csv", "n,text\n1,a\n2\n3,\"b,\nc\"\n", &["2 {\"text\":\"a\"}", "3 invalidRow", "4 {\"text\":\"b,\\nc\"}"])]
#[case("a.tsv", "n\ttext\n1\ta, b\n", &["2 {\"text\":\"a, b\"}"])]
#[case("a.csv", "", &[])]
#[case("a.txt", "all\nof it", &["all\nof it"])]
#[case("README.md", "# all", &["# all"])]
#[case("a.yaml", "- text: a\n- text: 3\n- b\n", &["1 {\"text\":\"a\"}", "2 {\"text\":\"3\"}", "3 missingField"])]
#[case("a.yaml", "a: b", &["unknown"])]
#[case("a.yaml", "a: [", &["broken"])]
#[case("a.parquet", "PAR1 and no more", &["broken"])]
#[case("a.exe", "MZ", &["unknown"])]
#[case("noname", A, &["1 {\"text\":\"a\"}"])]
#[case("noname", "hello", &["unknown"])]
#[case("", "", &["unknown"])]
fn files_are_what_their_names_say(#[case] name: &str, #[case] text: &str, #[case] expected: &[&str]) {
    assert_eq!(found(text.as_bytes(), name, DataFormat::Text), expected);
}

#[rstest]
#[case::marked([b"\xef\xbb\xbf".as_slice(), A.as_bytes()].concat(), "a.jsonl", &["1 {\"text\":\"a\"}"])]
#[case::utf16(utf16(A), "a.jsonl", &["1 {\"text\":\"a\"}"])]
#[case::packed(packed(A.as_bytes()), "a.jsonl.gz", &["1 {\"text\":\"a\"}"])]
#[case::packed_under_another_name(packed(A.as_bytes()), "a.jsonl", &["1 {\"text\":\"a\"}"])]
#[case::packed_table(packed(b"text\na\n"), "a.csv.gz", &["2 {\"text\":\"a\"}"])]
#[case::broken(packed(A.as_bytes())[..20].to_vec(), "a.jsonl.gz", &["broken"])]
#[case::latin1(b"{\"text\":\"a\"}\n{\"text\":\"\xe9\"}".to_vec(), "a.jsonl", &["1 {\"text\":\"a\"}", "2 notUtf8"])]
#[case::latin1_table(b"text\n\xe9\nb".to_vec(), "a.csv", &["2 notUtf8", "3 {\"text\":\"b\"}"])]
#[case::latin1_document(b"\xe9".to_vec(), "a.txt", &["1 notUtf8"])]
#[case::half_a_character(b"{\"text\":\"\\ud800\"}".to_vec(), "a.jsonl", &["1 invalidJson"])]
#[case::deep(b"[".repeat(150), "a.jsonl", &["1 invalidJson"])]
#[case::deep_list([b"[".repeat(MAX), b"]".repeat(MAX)].concat(), "a.json", &["1 tooLong"])]
#[case::long([b"x".repeat(10_000).as_slice(), b"\n", A.as_bytes()].concat(), "a.jsonl", &["1 tooLong", "2 {\"text\":\"a\"}"])]
#[case::long_in_list([b"[\"".as_slice(), &b"x".repeat(10_000), b"\",", A.as_bytes()].concat(), "a.json", &["1 tooLong", "1 {\"text\":\"a\"}"])]
#[case::long_row([b"text\n".as_slice(), &b"x".repeat(10_000), b"\nb"].concat(), "a.csv", &["2 tooLong", "3 {\"text\":\"b\"}"])]
#[case::long_header(b"x".repeat(10_000), "a.csv", &["1 tooLong", "broken"])]
#[case::long_document(b"x".repeat(MAX + 1), "a.txt", &["1 tooLong"])]
#[case::nulls(vec![0; 100], "a.jsonl", &["1 notUtf8"])]
#[case::nulls_in_a_document(b"a\0b".to_vec(), "a.txt", &["1 notUtf8"])]
#[case::open_quotes(b"text\na\n\"b\nc\n".to_vec(), "a.csv", &["2 {\"text\":\"a\"}", "3 invalidRow"])]
#[case::columns_of_one_name(b"text,text\na,b".to_vec(), "a.csv", &["1 invalidRow", "broken"])]
#[case::columns_without_name(b",,text\n1,2,a".to_vec(), "a.csv", &["2 {\"text\":\"a\"}"])]
#[case::equal_keys(b"{\"text\":\"a\",\"text\":\"b\"}".to_vec(), "a.jsonl", &["1 {\"text\":\"b\"}"])]
fn bytes_that_are_odd(#[case] bytes: Vec<u8>, #[case] name: &str, #[case] expected: &[&str]) {
    assert_eq!(found(&bytes, name, DataFormat::Text), expected);
}

const CORPUS: &str =
    "categories:\n- AI\nconversations:\n- - What is AI?\n  - A field.\n- - Hi\n  - Yes\n  - 42\n  - true\n- - alone\n";

#[test]
fn conversations_of_a_corpus_take_turns() {
    let chats = found(CORPUS.as_bytes(), "ai.yml", DataFormat::Chat);
    assert_eq!(
        chats[0],
        r#"1 {"messages":[{"role":"user","content":"What is AI?"},{"role":"assistant","content":"A field."}]}"#
    );
    assert!(chats[1].contains(r#"{"role":"user","content":"42"},{"role":"assistant","content":"true"}"#));
    assert_eq!(chats[2..], ["3 missingField"]);
    let pairs = found(CORPUS.as_bytes(), "ai.yml", DataFormat::PromptCompletion);
    assert_eq!(pairs[2], r#"2 {"prompt":"42","completion":"true"}"#);
    assert_eq!(found(CORPUS.as_bytes(), "ai.yml", DataFormat::Text), ["unknown"]);
}

#[test]
fn yaml_that_multiplies_itself_is_broken() {
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for level in 1..12 {
        let before = format!("*a{},", level - 1).repeat(10);
        bomb += &format!("a{level}: &a{level} [{before}]\n");
    }
    assert_eq!(found(bomb.as_bytes(), "a.yml", DataFormat::Chat), ["broken"]);
}

#[rstest]
#[case("a.txt", DataFormat::PromptCompletion)]
#[case("a.md", DataFormat::Chat)]
#[case("a.pdf", DataFormat::Preference)]
fn documents_are_text(#[case] name: &str, #[case] format: DataFormat) {
    assert_eq!(found(b"hello", name, format), ["unknown"]);
}

#[rstest]
#[case(DataFormat::Chat, json!({"messages": [{"role": "user", "content": "q"}]}), "1 empty")]
#[case(DataFormat::Preference, json!({"prompt": "a", "chosen": "b"}), "1 missingField")]
fn records_of_the_wrong_format_are_told(#[case] format: DataFormat, #[case] value: Value, #[case] expected: &str) {
    assert_eq!(found(value.to_string().as_bytes(), "a.jsonl", format), [expected]);
}

/// A Parquet file with two conversations.
fn conversations() -> Vec<u8> {
    let schema = "message schema {
        REQUIRED INT64 id;
        REQUIRED group messages (LIST) { REPEATED group list { REQUIRED group element {
            REQUIRED BINARY role (STRING);
            OPTIONAL BINARY content (STRING);
        } } }
    }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::default()).unwrap();
    let mut rows = writer.next_row_group().unwrap();
    let texts = |texts: &[&str]| texts.iter().map(|text| ByteArray::from(*text)).collect::<Vec<_>>();
    let columns = [
        (texts(&["user", "assistant", "user", "assistant"]), vec![1, 1, 1, 1]),
        (texts(&["q", "a", "r"]), vec![2, 2, 2, 1]),
    ];
    let mut columns = columns.into_iter();
    while let Some(mut column) = rows.next_column().unwrap() {
        match column.untyped() {
            ColumnWriter::Int64ColumnWriter(writer) => {
                writer.write_batch(&[7, 8], None, None).unwrap();
            }
            ColumnWriter::ByteArrayColumnWriter(writer) => {
                let (values, levels) = columns.next().unwrap();
                writer.write_batch(&values, Some(&levels), Some(&[0, 1, 0, 1])).unwrap();
            }
            _ => panic!("a column of another type"),
        }
        column.close().unwrap();
    }
    rows.close().unwrap();
    writer.close().unwrap();
    bytes
}

#[test]
fn columns_of_lists_are_conversations() {
    let bytes = conversations();
    let expected = [
        r#"1 {"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]}"#,
        "2 missingField",
    ];
    assert_eq!(found(&bytes, "a.parquet", DataFormat::Chat), expected);
    assert_eq!(found(&bytes, "download", DataFormat::Chat), expected);
}

#[test]
fn parquet_with_any_changed_byte_ends() {
    let bytes = conversations();
    for place in (0..bytes.len()).step_by(3) {
        let mut changed = bytes.clone();
        changed[place] ^= 0x55;
        found(&changed, "a.parquet", DataFormat::Chat);
    }
    for length in (0..bytes.len()).step_by(7) {
        assert_eq!(found(&bytes[..length], "a.parquet", DataFormat::Chat), ["broken"]);
    }
}
