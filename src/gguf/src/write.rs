//! Writing small GGUF files, for tests of whatever reads them.

use crate::{Array, GgmlType, Value};

/// A tensor to write: its bytes are taken as they are.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// Its dimensions, rows first.
    pub shape: Vec<u64>,
    /// How `bytes` are to be read.
    pub ggml_type: GgmlType,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// The bytes of a version 3 file with 32-byte alignment.
pub fn to_bytes(metadata: &[(&str, Value)], tensors: &[Tensor]) -> Vec<u8> {
    let mut out = b"GGUF".to_vec();
    out.extend(3u32.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata {
        string(&mut out, key);
        let (kind, bytes) = encode(value);
        out.extend(kind.to_le_bytes());
        out.extend(bytes);
    }
    let mut offset = 0u64;
    for tensor in tensors {
        string(&mut out, &tensor.name);
        out.extend((tensor.shape.len() as u32).to_le_bytes());
        for size in tensor.shape.iter().rev() {
            out.extend(size.to_le_bytes());
        }
        out.extend(tensor.ggml_type.id().to_le_bytes());
        out.extend(offset.to_le_bytes());
        offset = (offset + tensor.bytes.len() as u64).next_multiple_of(32);
    }
    for tensor in tensors {
        out.resize(out.len().next_multiple_of(32), 0);
        out.extend(&tensor.bytes);
    }
    out
}

pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn encode(value: &Value) -> (u32, Vec<u8>) {
    match value {
        Value::Unsigned(value) => (10, value.to_le_bytes().to_vec()),
        Value::Signed(value) => (11, value.to_le_bytes().to_vec()),
        Value::Float(value) => (12, value.to_le_bytes().to_vec()),
        Value::Bool(value) => (7, vec![u8::from(*value)]),
        Value::String(text) => {
            let mut bytes = Vec::new();
            string(&mut bytes, text);
            (8, bytes)
        }
        Value::Array(array) => {
            let (kind, items) = elements(array);
            let mut bytes = kind.to_le_bytes().to_vec();
            bytes.extend((items.len() as u64).to_le_bytes());
            bytes.extend(items.concat());
            (9, bytes)
        }
    }
}

fn elements(array: &Array) -> (u32, Vec<Vec<u8>>) {
    fn all<T>(kind: u32, items: &[T], value: impl Fn(&T) -> Value) -> (u32, Vec<Vec<u8>>) {
        (kind, items.iter().map(|item| encode(&value(item)).1).collect())
    }
    match array {
        Array::Unsigned(items) => all(10, items, |item| Value::Unsigned(*item)),
        Array::Signed(items) => all(11, items, |item| Value::Signed(*item)),
        Array::Float(items) => all(12, items, |item| Value::Float(*item)),
        Array::Bool(items) => all(7, items, |item| Value::Bool(*item)),
        Array::String(items) => all(8, items, |item| Value::String(item.clone())),
    }
}
