//! What fuzzers call: readers of strangers' bytes.

use protocol::tune::DataFormat;

use crate::readers::{Item, of_bytes};
use crate::record::Record;

/// Bytes of a record at most.
const MAX_BYTES: usize = 1 << 12;

/// Reads bytes as a file of this name, and records out of what is found. PDF is left to other programs.
pub fn read(bytes: &[u8], name: &str) {
    for format in [
        DataFormat::Chat,
        DataFormat::PromptCompletion,
        DataFormat::Preference,
        DataFormat::Text,
    ] {
        for item in of_bytes(bytes, name, format, MAX_BYTES) {
            match item {
                Item::Value { value, .. } => {
                    if let Ok(record) = Record::of(value, format) {
                        assert!(record.check().is_ok());
                        let line = crate::record::line(&record.content(), "fuzz");
                        assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok());
                    }
                }
                Item::Bad { bad, .. } => assert!(!bad.what.is_empty()),
                _ => {}
            }
        }
    }
}

/// Reads bytes as JSON Lines.
pub fn jsonl(bytes: &[u8]) {
    read(bytes, "a.jsonl");
}

/// Reads bytes as a list in JSON.
pub fn json(bytes: &[u8]) {
    read(bytes, "a.json");
}

/// Reads bytes as a table of text.
pub fn csv(bytes: &[u8]) {
    read(bytes, "a.csv");
}

/// Reads bytes as YAML.
pub fn yaml(bytes: &[u8]) {
    read(bytes, "a.yml");
}

/// Reads bytes as Parquet.
pub fn parquet(bytes: &[u8]) {
    read(bytes, "a.parquet");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
            for name in ["a.jsonl", "a.json", "a.csv", "a.tsv", "a.yml", "a.parquet", "a.txt", "a"] {
                read(&bytes, name);
            }
        }
    }
}
