//! The header of a safetensors file: eight bytes of length, then JSON that names every tensor's
//! type, shape and place. <https://github.com/huggingface/safetensors#format>
//!
//! The `safetensors` crate wants the whole file in memory or mapped, keeps the last of two tensors
//! of one name, and its errors do not name the tensor; this reader reads the header only.

use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use crate::Error;

/// Largest header accepted, in bytes. That of a model of 700 GB has 5 MiB.
const MAX_HEADER: u64 = 32 << 20;
/// Key of free text about the file.
const METADATA: &str = "__metadata__";

/// Name in files and bits of one number, of every type of the format.
const DTYPES: [(&str, u64); 20] = [
    ("F64", 64),
    ("F32", 32),
    ("F16", 16),
    ("BF16", 16),
    ("I64", 64),
    ("I32", 32),
    ("I16", 16),
    ("I8", 8),
    ("U64", 64),
    ("U32", 32),
    ("U16", 16),
    ("U8", 8),
    ("BOOL", 8),
    ("C64", 64),
    ("F8_E4M3", 8),
    ("F8_E5M2", 8),
    ("F8_E8M0", 8),
    ("F6_E2M3", 6),
    ("F6_E3M2", 6),
    ("F4", 4),
];

/// One tensor of the header; its place is checked against the file's size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub name: String,
    /// One of [`DTYPES`].
    pub dtype: &'static str,
    /// Rows first.
    pub shape: Vec<u64>,
    /// First byte, counted from the file's start.
    pub offset: u64,
    pub bytes: u64,
}

/// Reads and checks the header of an open file.
pub(crate) fn read(file: &File, path: &Path) -> Result<Vec<Entry>, Error> {
    let size = file.metadata().map_err(Error::io(path))?.len();
    let truncated = |what: &str, expected| Error::Truncated {
        file: path.into(),
        what: what.into(),
        expected,
        actual: size,
    };
    if size < 8 {
        return Err(truncated("the header's length", 8));
    }
    let mut length = [0; 8];
    file.read_exact_at(&mut length, 0).map_err(Error::io(path))?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER {
        let why = format!(
            "it claims {length} bytes, more than the {MAX_HEADER} that any real model needs; give a safetensors file"
        );
        return Err(Error::invalid(path, "the header's length", why));
    }
    let data = 8 + length;
    if data > size {
        return Err(truncated("the header", data));
    }
    let mut header = vec![0; length as usize];
    file.read_exact_at(&mut header, 8).map_err(Error::io(path))?;
    let listed: Listed =
        serde_json::from_slice(&header).map_err(|error| Error::invalid(path, "the header", error.to_string()))?;
    let mut entries = Vec::with_capacity(listed.0.len());
    for (name, tensor) in listed.0 {
        let entry = place(name, tensor, data, path)?;
        let end = entry.offset + entry.bytes;
        if end > size {
            return Err(truncated(&format!("tensor {:?}", entry.name), end));
        }
        entries.push(entry);
    }
    refuse_overlaps(&entries, path)?;
    Ok(entries)
}

/// Checks what one tensor claims about itself; the result ends where 64 bits can still count.
fn place(name: String, tensor: Tensor, data: u64, path: &Path) -> Result<Entry, Error> {
    let refuse = |why: String| Error::invalid(path, format!("tensor {name:?}"), why);
    let Some((dtype, bits)) = DTYPES.into_iter().find(|(dtype, _)| *dtype == tensor.dtype) else {
        let dtype: String = tensor.dtype.chars().take(16).collect();
        return Err(refuse(format!(
            "type {dtype:?} is not known; use a file in F32, F16 or BF16"
        )));
    };
    if tensor.shape.len() > 8 {
        return Err(refuse(format!("{} dimensions are more than 8", tensor.shape.len())));
    }
    let numbers = tensor
        .shape
        .iter()
        .try_fold(1u64, |product, size| product.checked_mul(*size));
    let bits = numbers
        .and_then(|numbers| numbers.checked_mul(bits))
        .filter(|bits| bits % 8 == 0);
    let Some(bytes) = bits.map(|bits| bits / 8) else {
        return Err(refuse(format!("the shape {:?} is impossible", tensor.shape)));
    };
    let [begin, end] = tensor.data_offsets;
    if end.checked_sub(begin) != Some(bytes) {
        return Err(refuse(format!(
            "offsets {begin} to {end} do not hold the {bytes} bytes of the shape {:?} in {dtype}",
            tensor.shape
        )));
    }
    match data.checked_add(end) {
        Some(_) => Ok(Entry {
            offset: data + begin,
            name,
            dtype,
            shape: tensor.shape,
            bytes,
        }),
        None => Err(refuse(format!("offset {end} is impossible"))),
    }
}

fn refuse_overlaps(entries: &[Entry], path: &Path) -> Result<(), Error> {
    let mut order: Vec<&Entry> = entries.iter().filter(|entry| entry.bytes > 0).collect();
    order.sort_by_key(|entry| entry.offset);
    for pair in order.windows(2) {
        if pair[0].offset + pair[0].bytes > pair[1].offset {
            let why = format!("its bytes overlap those of {:?}", pair[0].name);
            return Err(Error::invalid(path, format!("tensor {:?}", pair[1].name), why));
        }
    }
    Ok(())
}

/// What the header says about one tensor.
#[derive(Debug, Deserialize)]
struct Tensor {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

/// All tensors in the header's order.
struct Listed(Vec<(String, Tensor)>);

impl<'de> Deserialize<'de> for Listed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ListedVisitor)
    }
}

struct ListedVisitor;

impl<'de> Visitor<'de> for ListedVisitor {
    type Value = Listed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Listed, A::Error> {
        let (mut names, mut tensors) = (HashSet::new(), Vec::new());
        while let Some(name) = map.next_key::<String>()? {
            if !names.insert(name.clone()) {
                return Err(A::Error::custom(format!("tensor {name:?} appears twice")));
            }
            if name == METADATA {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let tensor = map.next_value();
            let tensor = tensor.map_err(|error| A::Error::custom(format!("tensor {name:?}: {error}")))?;
            tensors.push((name, tensor));
        }
        Ok(Listed(tensors))
    }
}
