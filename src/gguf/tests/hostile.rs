//! Files that lie: each gives an error that says what is wrong, none a panic.

use atelier_gguf::write::{Tensor, to_bytes};
use atelier_gguf::{Array, Error, GgmlType, GgufFile, Header, Value};
use proptest::prelude::*;

fn sample() -> Vec<u8> {
    let tensor = |name: &str, ggml_type, shape: &[u64], bytes: usize| Tensor {
        name: name.into(),
        shape: shape.to_vec(),
        ggml_type,
        bytes: (0..bytes).map(|byte| byte as u8).collect(),
    };
    let tokens = Array::String(vec!["a".into(), "b".into()]);
    to_bytes(
        &[
            ("general.architecture", Value::String("llama".into())),
            ("llama.block_count", Value::Unsigned(2)),
            ("llama.rope.freq_base", Value::Float(1e5)),
            ("tokenizer.ggml.add_bos_token", Value::Bool(false)),
            ("tokenizer.ggml.tokens", Value::Array(tokens)),
        ],
        &[
            tensor("norm", GgmlType::F32, &[3], 12),
            tensor("matrix", GgmlType::Q4_1, &[2, 64], 80),
        ],
    )
}

fn read(bytes: &[u8]) -> Result<Header, Error> {
    Header::read(bytes, bytes.len() as u64)
}

fn patched(at: usize, with: &[u8]) -> Vec<u8> {
    let mut bytes = sample();
    bytes[at..at + with.len()].copy_from_slice(with);
    bytes
}

fn find(needle: &str) -> usize {
    let bytes = sample();
    bytes
        .windows(needle.len())
        .position(|window| window == needle.as_bytes())
        .expect("the sample contains the text")
}

#[test]
fn a_good_file_reads_back() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, &sample()).unwrap();
    let gguf = GgufFile::open(file.path()).unwrap();
    let metadata = &gguf.header().metadata;
    assert_eq!(metadata.string("general.architecture").unwrap(), "llama");
    assert_eq!(metadata.unsigned("llama.block_count").unwrap(), 2);
    assert_eq!(metadata.float("llama.rope.freq_base").unwrap(), 1e5);
    assert!(!metadata.bool("tokenizer.ggml.add_bos_token").unwrap());
    assert_eq!(metadata.strings("tokenizer.ggml.tokens").unwrap(), ["a", "b"]);
    let matrix = gguf.header().tensor("matrix").unwrap();
    assert_eq!((matrix.shape.as_slice(), matrix.elements()), ([2, 64].as_slice(), 128));
    assert_eq!(
        gguf.read_tensor(matrix).unwrap(),
        (0..80).map(|byte| byte as u8).collect::<Vec<_>>()
    );
    let missing = gguf.header().tensor("other").unwrap_err().to_string();
    assert_eq!(missing, "failed to find tensor \"other\": the file does not have it");
}

#[test]
fn each_lie_is_named() {
    let size = sample().len();
    // Behind a tensor's name: dimensions (4 bytes), sizes (8 each), type (4), offset (8).
    let (norm, matrix) = (find("norm") + 4, find("matrix") + 6);
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("empty", vec![], "expected at least 4 bytes, it has 0"),
        ("magic", patched(0, b"PK\x03\x04"), "starts with \"PK\\\\x03\\\\x04\""),
        ("version", patched(4, &9u32.to_le_bytes()), "version 9 is not supported"),
        ("big-endian", patched(4, &3u32.to_be_bytes()), "big-endian"),
        (
            "tensors",
            patched(8, &u64::MAX.to_le_bytes()),
            "directory of tensors: the file is truncated",
        ),
        (
            "keys",
            patched(16, &u64::MAX.to_le_bytes()),
            "the metadata: the file is truncated",
        ),
        (
            "key length",
            patched(24, &(1u64 << 40).to_le_bytes()),
            "metadata key 0: the file is truncated",
        ),
        ("utf-8", patched(32, &[0xff]), "metadata key 0: the text is not UTF-8"),
        (
            "value type",
            patched(find("llama.block_count") + 17, &99u32.to_le_bytes()),
            "value type 99 is unknown",
        ),
        ("boolean", patched(find("add_bos_token") + 17, &[7]), "7 is no boolean"),
        (
            "array",
            patched(find("ggml.tokens") + 19, &u64::MAX.to_le_bytes()),
            "truncated",
        ),
        (
            "array type",
            patched(find("ggml.tokens") + 15, &9u32.to_le_bytes()),
            "arrays of arrays",
        ),
        (
            "dimensions",
            patched(norm, &5u32.to_le_bytes()),
            "5 dimensions, expected 1 to 4",
        ),
        ("no rows", patched(norm + 4, &0u64.to_le_bytes()), "impossible"),
        (
            "too many rows",
            patched(matrix + 12, &(u64::MAX / 2).to_le_bytes()),
            "impossible",
        ),
        (
            "broken block",
            patched(matrix + 4, &65u64.to_le_bytes()),
            "do not divide into Q4_1 blocks of 32",
        ),
        (
            "tensor type",
            patched(norm + 12, &4u32.to_le_bytes()),
            "\"norm\": type 4 is not supported",
        ),
        (
            "offset",
            patched(matrix + 24, &(1u64 << 40).to_le_bytes()),
            "\"matrix\": the file is truncated",
        ),
        (
            "unaligned",
            patched(matrix + 24, &33u64.to_le_bytes()),
            "offset 33 is not aligned to 32",
        ),
        (
            "wrapping",
            patched(matrix + 24, &(u64::MAX - 31).to_le_bytes()),
            "impossible",
        ),
        ("cut", sample()[..size - 1].to_vec(), "expected at least"),
    ];
    for (name, bytes, expected) in cases {
        let error = read(&bytes).expect_err(name).to_string();
        assert!(error.contains(expected), "{name}: {error}");
    }
}

#[test]
fn a_wrong_type_names_both() {
    let header = read(&sample()).unwrap();
    let error = header.metadata.unsigned("general.architecture").unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to read metadata key \"general.architecture\": expected an unsigned integer, found a string"
    );
    assert!(matches!(header.metadata.string("x"), Err(Error::MissingKey { .. })));
}

#[test]
fn a_sparse_giant_does_not_exhaust_memory() {
    // A key that claims 1 TiB in a file that is said to have it.
    let bytes = patched(24, &(1u64 << 40).to_le_bytes());
    let error = Header::read(bytes.as_slice(), 1 << 42).unwrap_err();
    assert!(matches!(error, Error::HeaderTooLarge { .. }), "{error}");
}

proptest! {
    #[test]
    fn every_prefix_is_refused(cut in 0..sample().len()) {
        prop_assert!(read(&sample()[..cut]).is_err());
    }

    #[test]
    fn damaged_files_never_panic(at in 0..sample().len(), byte: u8) {
        let mut bytes = sample();
        bytes[at] = byte;
        if let Ok(header) = read(&bytes) {
            for tensor in &header.tensors {
                prop_assert!(tensor.offset + tensor.bytes <= bytes.len() as u64);
            }
        }
    }
}
