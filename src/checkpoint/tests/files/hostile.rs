//! Weights files that lie: each gives an error that names file and tensor, none a panic.

use std::path::Path;

use atelier_checkpoint::write::{Tensor, to_bytes};
use atelier_checkpoint::{Checkpoint, Error};
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{llama, llama_tensors, model, tensor, write_json};

/// Opens the tiny Llama with these bytes as its weights.
fn open(weights: &[u8]) -> Result<Checkpoint, Error> {
    let dir = model(&llama(), &[]);
    std::fs::write(dir.path().join("model.safetensors"), weights).unwrap();
    Checkpoint::open(dir.path())
}

/// A file with this header and some bytes behind it.
fn with_header(header: &str) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend([0; 64]);
    bytes
}

fn entry(dtype: &str, shape: Value, offsets: Value) -> Vec<u8> {
    with_header(&json!({"x": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}).to_string())
}

#[rstest]
#[case::empty(vec![], "the file is truncated, expected at least 8 bytes, it has 0")]
#[case::no_header(8u64.to_le_bytes().to_vec(), "truncated, expected at least 16 bytes")]
#[case::giant((1u64 << 60).to_le_bytes().to_vec(), "it claims 1152921504606846976 bytes")]
#[case::archive(b"PK\x03\x04 this is no model".to_vec(), "the header's length")]
#[case::no_json(with_header("{]"), "the header")]
#[case::list(with_header("[]"), "an object of tensors")]
#[case::deep(with_header(&format!(r#"{{"x":{}"#, "[".repeat(10_000))), "tensor \"x\"")]
#[case::twice(
    with_header(r#"{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#),
    "tensor \"x\" appears twice"
)]
#[case::dtype(entry("F31", json!([1]), json!([0, 4])), "type \"F31\" is not known")]
#[case::product(entry("F32", json!([1u64 << 40, 1u64 << 40]), json!([0, 4])), "is impossible")]
#[case::giant_tensor(entry("F32", json!([1u64 << 58]), json!([0, 1u64 << 60])), "the file is truncated")]
#[case::wrapping(entry("I8", json!([u64::MAX]), json!([0, u64::MAX])), "impossible")]
#[case::size(entry("F32", json!([3]), json!([0, 4])), "do not hold the 12 bytes")]
#[case::backwards(entry("F32", json!([1]), json!([8, 4])), "offsets 8 to 4")]
#[case::half_byte(entry("F4", json!([3]), json!([0, 1])), "is impossible")]
#[case::outside(entry("F32", json!([4]), json!([60, 76])), "tensor \"x\": the file is truncated")]
#[case::negative(entry("F32", json!([-1]), json!([0, 4])), "tensor \"x\"")]
#[case::dimensions(entry("I8", json!([1, 1, 1, 1, 1, 1, 1, 1, 1]), json!([0, 1])), "9 dimensions")]
#[case::overlap(
    with_header(r#"{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"y":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#),
    "tensor \"y\": its bytes overlap those of \"x\""
)]
fn each_lie_is_named(#[case] weights: Vec<u8>, #[case] says: &str) {
    let error = open(&weights).unwrap_err().to_string();
    assert!(error.contains(says) && error.contains("model.safetensors"), "{error}");
}

/// The tiny Llama with a tensor replaced, added or (without a shape) left out.
fn changed(name: &str, shape: Option<&[u64]>, dtype: &'static str) -> Vec<Tensor> {
    let mut tensors = llama_tensors();
    tensors.retain(|tensor| tensor.name != name);
    tensors.extend(shape.map(|shape| Tensor {
        dtype,
        ..tensor(name, shape)
    }));
    tensors
}

#[rstest]
#[case("model.layers.0.mlp.experts.0.up_proj.weight", Some(&[4, 8][..]), "F32", "have none")]
#[case("score.weight", Some(&[1, 8][..]), "F32", "score.weight")]
#[case("model.norm.weight", Some(&[8][..]), "I32", "its type is I32; F32, F16 and BF16 are supported")]
#[case("model.norm.weight", Some(&[2, 2, 2][..]), "F32", "a vector or a matrix")]
#[case("model.embed_tokens.weight", Some(&[7, 8][..]), "F32", "the embedding has 7 rows")]
#[case("lm_head.weight", None, "F32", "tie_word_embeddings")]
fn tensors_that_do_not_fit_the_settings_are_named(
    #[case] name: &str,
    #[case] shape: Option<&[u64]>,
    #[case] dtype: &'static str,
    #[case] says: &str,
) {
    let error = open(&to_bytes(&changed(name, shape, dtype))).unwrap_err().to_string();
    assert!(error.contains(says), "{error}");
}

/// Splits the tiny Llama into two files; returns the weight map.
fn split(dir: &Path) -> serde_json::Map<String, Value> {
    std::fs::remove_file(dir.join("model.safetensors")).unwrap();
    let mut map = serde_json::Map::new();
    for (name, part) in ["a.safetensors", "b.safetensors"]
        .into_iter()
        .zip(llama_tensors().chunks(6))
    {
        std::fs::write(dir.join(name), to_bytes(part)).unwrap();
        map.extend(part.iter().map(|tensor| (tensor.name.clone(), name.into())));
    }
    map
}

#[rstest]
#[case("a.safetensors", "")]
#[case("../a.safetensors", "must lie beside the index")]
#[case("/etc/passwd", "must lie beside the index")]
#[case("c.safetensors", "c.safetensors")]
#[case("b.safetensors", "which does not hold it")]
fn an_index_that_lies_is_named(#[case] file: &str, #[case] says: &str) {
    let dir = model(&llama(), &[]);
    let mut map = split(dir.path());
    map["lm_head.weight"] = file.into();
    write_json(dir.path(), "model.safetensors.index.json", &json!({"weight_map": map}));
    match Checkpoint::open(dir.path()) {
        Ok(opened) => assert!(says.is_empty() && opened.header().tensors.len() == 12),
        Err(error) => assert!(!says.is_empty() && error.to_string().contains(says), "{error}"),
    }
}

#[test]
fn a_tensor_in_two_files_and_an_empty_index_are_named() {
    let dir = model(&llama(), &[]);
    let map = split(dir.path());
    std::fs::copy(dir.path().join("a.safetensors"), dir.path().join("b.safetensors")).unwrap();
    for (map, says) in [
        (map, "has one of that name too"),
        (Default::default(), "it names 0 files"),
    ] {
        write_json(dir.path(), "model.safetensors.index.json", &json!({"weight_map": map}));
        let error = Checkpoint::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn every_tensor_is_read_from_its_own_place() {
    let mut tensors = llama_tensors();
    for (index, tensor) in tensors.iter_mut().enumerate() {
        tensor.bytes.fill(index as u8);
    }
    let opened = model(&llama(), &tensors);
    let opened = Checkpoint::open(opened.path()).unwrap();
    for (index, info) in opened.header().tensors.iter().enumerate() {
        let bytes = opened.read_tensor(info).unwrap();
        assert_eq!(bytes.len() as u64, info.bytes);
        let first = usize::from(bytes[0]);
        assert!(bytes.iter().all(|byte| usize::from(*byte) == first));
        assert_eq!(first, index, "{}", info.name);
    }
}

proptest! {
    #[test]
    fn every_prefix_is_refused(cut in 0usize..1000) {
        let bytes = to_bytes(&llama_tensors());
        prop_assert!(open(&bytes[..cut.min(bytes.len() - 1)]).is_err());
    }

    #[test]
    fn damaged_headers_never_panic(at in 0usize..1200, byte: u8) {
        let mut bytes = to_bytes(&llama_tensors());
        bytes[at] = byte;
        if let Ok(opened) = open(&bytes) {
            for info in &opened.header().tensors {
                prop_assert!(opened.read_tensor(info).is_ok());
            }
        }
    }
}
