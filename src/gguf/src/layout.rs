//! Where everything goes in a file that is written piece by piece.

use crate::write::string;
use crate::{Array, Error, GgmlType, Metadata, TensorInfo, Value};

const ALIGNMENT: u64 = 32;
/// Metadata key of another alignment, which these files do not have.
const ALIGNMENT_KEY: &str = "general.alignment";

/// The header of a file to write, and the places of its tensors. Whatever lies between them is zero.
#[derive(Clone, Debug)]
pub struct Layout {
    header: Vec<u8>,
    tensors: Vec<TensorInfo>,
    size: u64,
}

impl Layout {
    /// Plans a version 3 file with this metadata and tensors of these names, shapes (rows first) and
    /// types, in this order.
    ///
    /// Integers and floats are written with 32 bits where they fit, which is what readers that insist
    /// on a width expect.
    ///
    /// # Errors
    /// When the rows of a tensor are no whole blocks of its type.
    pub fn new(metadata: &Metadata, tensors: &[(String, Vec<u64>, GgmlType)]) -> Result<Self, Error> {
        let entries: Vec<_> = metadata.iter().filter(|(key, _)| *key != ALIGNMENT_KEY).collect();
        let mut header = b"GGUF".to_vec();
        header.extend(3u32.to_le_bytes());
        header.extend((tensors.len() as u64).to_le_bytes());
        header.extend((entries.len() as u64).to_le_bytes());
        for (key, value) in entries {
            string(&mut header, key);
            encode(&mut header, value);
        }
        let mut placed = Vec::with_capacity(tensors.len());
        let mut offset = 0u64;
        for (name, shape, ggml_type) in tensors {
            let bytes = size_in_bytes(name, shape, *ggml_type)?;
            string(&mut header, name);
            header.extend((shape.len() as u32).to_le_bytes());
            for size in shape.iter().rev() {
                header.extend(size.to_le_bytes());
            }
            header.extend(ggml_type.id().to_le_bytes());
            header.extend(offset.to_le_bytes());
            placed.push(TensorInfo {
                name: name.clone(),
                shape: shape.clone(),
                ggml_type: *ggml_type,
                offset,
                bytes,
            });
            offset = (offset + bytes).next_multiple_of(ALIGNMENT);
        }
        let data = (header.len() as u64).next_multiple_of(ALIGNMENT);
        for tensor in &mut placed {
            tensor.offset += data;
        }
        Ok(Self {
            header,
            tensors: placed,
            size: data + offset,
        })
    }

    /// The bytes that the file starts with.
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// The tensors with their places, in the order given.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// The tensor called `name`.
    ///
    /// # Errors
    /// When the file has none.
    pub fn tensor(&self, name: &str) -> Result<&TensorInfo, Error> {
        let found = self.tensors.iter().find(|tensor| tensor.name == name);
        found.ok_or_else(|| Error::MissingTensor { name: name.into() })
    }

    /// Size of the whole file in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
}

fn size_in_bytes(name: &str, shape: &[u64], ggml_type: GgmlType) -> Result<u64, Error> {
    let row = shape.last().copied().unwrap_or_default();
    if row == 0 || row % ggml_type.block_len() != 0 {
        let block = ggml_type.block_len();
        let why = format!("rows of {row} numbers do not divide into {ggml_type} blocks of {block}");
        return Err(Error::invalid(format!("tensor {name:?}"), why));
    }
    Ok(shape.iter().product::<u64>() / ggml_type.block_len() * ggml_type.block_bytes())
}

/// Type number and bytes of a value.
fn encode(out: &mut Vec<u8>, value: &Value) {
    let (kind, bytes) = match value {
        Value::Unsigned(value) => unsigned(*value, u32::try_from(*value).is_ok()),
        Value::Signed(value) => signed(*value, i32::try_from(*value).is_ok()),
        Value::Float(value) => float(*value, fits(*value)),
        Value::Bool(value) => (7, vec![u8::from(*value)]),
        Value::String(text) => (8, text_bytes(text)),
        Value::Array(array) => {
            let (kind, items) = elements(array);
            let mut bytes = kind.to_le_bytes().to_vec();
            bytes.extend((items.len() as u64).to_le_bytes());
            bytes.extend(items.concat());
            (9, bytes)
        }
    };
    out.extend(kind.to_le_bytes());
    out.extend(bytes);
}

/// Type number of all elements, and the bytes of each.
fn elements(array: &Array) -> (u32, Vec<Vec<u8>>) {
    fn all<T>(items: &[T], one: impl Fn(&T) -> (u32, Vec<u8>), empty: u32) -> (u32, Vec<Vec<u8>>) {
        let kind = items.first().map_or(empty, |item| one(item).0);
        (kind, items.iter().map(|item| one(item).1).collect())
    }
    match array {
        Array::Unsigned(items) => {
            let narrow = items.iter().all(|item| u32::try_from(*item).is_ok());
            all(items, |item| unsigned(*item, narrow), 4)
        }
        Array::Signed(items) => {
            let narrow = items.iter().all(|item| i32::try_from(*item).is_ok());
            all(items, |item| signed(*item, narrow), 5)
        }
        Array::Float(items) => {
            let narrow = items.iter().all(|item| fits(*item));
            all(items, |item| float(*item, narrow), 6)
        }
        Array::Bool(items) => all(items, |item| (7, vec![u8::from(*item)]), 7),
        Array::String(items) => all(items, |item| (8, text_bytes(item)), 8),
    }
}

fn unsigned(value: u64, narrow: bool) -> (u32, Vec<u8>) {
    match narrow {
        true => (4, (value as u32).to_le_bytes().into()),
        false => (10, value.to_le_bytes().into()),
    }
}

fn signed(value: i64, narrow: bool) -> (u32, Vec<u8>) {
    match narrow {
        true => (5, (value as i32).to_le_bytes().into()),
        false => (11, value.to_le_bytes().into()),
    }
}

fn float(value: f64, narrow: bool) -> (u32, Vec<u8>) {
    match narrow {
        true => (6, (value as f32).to_le_bytes().into()),
        false => (12, value.to_le_bytes().into()),
    }
}

/// Whether single precision holds exactly this number.
fn fits(value: f64) -> bool {
    value.is_nan() || f64::from(value as f32) == value
}

fn text_bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    string(&mut bytes, text);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Header;

    #[test]
    fn what_is_planned_is_what_a_reader_finds() {
        let texts = Array::String(vec!["a".into(), "é".into()]);
        let metadata: Metadata = [
            ("a.bool", Value::Bool(true)),
            ("a.count", Value::Unsigned(7)),
            ("a.large", Value::Unsigned(1 << 40)),
            ("a.negative", Value::Signed(-7)),
            ("a.epsilon", Value::Float(f64::from(1e-5f32))),
            ("a.exact", Value::Float(0.1)),
            ("a.texts", Value::Array(texts)),
            ("a.types", Value::Array(Array::Signed(vec![1, -3]))),
            ("a.scores", Value::Array(Array::Float(vec![0.5]))),
            ("a.none", Value::Array(Array::Unsigned(vec![]))),
            ("general.name", Value::String("n".into())),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
        let tensors = [
            ("norm".to_owned(), vec![3], GgmlType::F32),
            ("matrix".to_owned(), vec![2, 64], GgmlType::Q4_1),
            ("last".to_owned(), vec![5], GgmlType::F16),
        ];
        let layout = Layout::new(&metadata, &tensors).unwrap();
        let mut file = layout.header().to_vec();
        file.resize(layout.size() as usize, 0);
        let header = Header::read(file.as_slice(), layout.size()).unwrap();
        assert_eq!(header.metadata, metadata);
        assert_eq!(header.tensors, layout.tensors());
        assert_eq!(layout.tensor("matrix").unwrap().bytes, 80);
    }

    #[test]
    fn another_alignment_is_not_taken_over() {
        let metadata: Metadata = [(ALIGNMENT_KEY.to_owned(), Value::Unsigned(64))].into_iter().collect();
        let layout = Layout::new(&metadata, &[("t".into(), vec![1], GgmlType::F32)]).unwrap();
        assert_eq!(layout.size() % 64, 32);
    }

    #[test]
    fn rows_that_are_no_whole_blocks_are_refused() {
        let tensors = [("blk.0.x".to_owned(), vec![4, 40], GgmlType::Q8_0)];
        let error = Layout::new(&Metadata::default(), &tensors).unwrap_err();
        assert!(error.to_string().contains("blk.0.x"), "{error}");
    }
}
