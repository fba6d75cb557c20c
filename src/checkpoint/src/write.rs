//! Writing small safetensors files, for tests of whatever reads them.

use serde_json::{Map, json};

/// A tensor to write: its bytes are taken as they are.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// How `bytes` are to be read: `F32`.
    pub dtype: &'static str,
    /// Its dimensions, rows first.
    pub shape: Vec<u64>,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// The bytes of a file.
pub fn to_bytes(tensors: &[Tensor]) -> Vec<u8> {
    let mut header = Map::new();
    header.insert("__metadata__".into(), json!({"format": "pt"}));
    let mut offset = 0;
    for tensor in tensors {
        let end = offset + tensor.bytes.len();
        let entry = json!({"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [offset, end]});
        header.insert(tensor.name.clone(), entry);
        offset = end;
    }
    let header = serde_json::Value::Object(header).to_string();
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend(header.as_bytes());
    out.extend(tensors.iter().flat_map(|tensor| &tensor.bytes));
    out
}
