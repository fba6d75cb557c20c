//! The directory of tensors.

use std::fmt;
use std::io::Read;

use crate::Error;
use crate::source::Source;

/// Most dimensions a tensor can have (GGML_MAX_DIMS).
const MAX_DIMENSIONS: u32 = 4;

/// How a tensor's numbers are stored (`ggml_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(non_camel_case_types, missing_docs, reason = "ggml's own names, which users know")]
pub enum GgmlType {
    F32,
    F16,
    BF16,
    F64,
    I8,
    I16,
    I32,
    I64,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q8_1,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
    Q8_K,
    IQ4_NL,
    IQ4_XS,
    MXFP4,
}

/// Type, number in the file, weights of one block, bytes of one block.
const TYPES: [(GgmlType, u32, u64, u64); 23] = [
    (GgmlType::F32, 0, 1, 4),
    (GgmlType::F16, 1, 1, 2),
    (GgmlType::Q4_0, 2, 32, 18),
    (GgmlType::Q4_1, 3, 32, 20),
    (GgmlType::Q5_0, 6, 32, 22),
    (GgmlType::Q5_1, 7, 32, 24),
    (GgmlType::Q8_0, 8, 32, 34),
    (GgmlType::Q8_1, 9, 32, 36),
    (GgmlType::Q2_K, 10, 256, 84),
    (GgmlType::Q3_K, 11, 256, 110),
    (GgmlType::Q4_K, 12, 256, 144),
    (GgmlType::Q5_K, 13, 256, 176),
    (GgmlType::Q6_K, 14, 256, 210),
    (GgmlType::Q8_K, 15, 256, 292),
    (GgmlType::IQ4_NL, 20, 32, 18),
    (GgmlType::IQ4_XS, 23, 256, 136),
    (GgmlType::I8, 24, 1, 1),
    (GgmlType::I16, 25, 1, 2),
    (GgmlType::I32, 26, 1, 4),
    (GgmlType::I64, 27, 1, 8),
    (GgmlType::F64, 28, 1, 8),
    (GgmlType::BF16, 30, 1, 2),
    (GgmlType::MXFP4, 39, 32, 17),
];

impl GgmlType {
    /// The type with the number `id` in files, if we know it.
    pub fn from_id(id: u32) -> Option<Self> {
        TYPES.iter().find(|row| row.1 == id).map(|row| row.0)
    }

    /// Its number in files.
    pub fn id(self) -> u32 {
        self.row().1
    }

    /// Weights in one block (1 for plain numbers).
    pub fn block_len(self) -> u64 {
        self.row().2
    }

    /// Bytes of one block.
    pub fn block_bytes(self) -> u64 {
        self.row().3
    }

    fn row(self) -> &'static (Self, u32, u64, u64) {
        TYPES
            .iter()
            .find(|row| row.0 == self)
            .expect("every type has a row in the table")
    }
}

impl fmt::Display for GgmlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// One tensor of the directory; its place is checked against the file's size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name, `blk.0.attn_q.weight`.
    pub name: String,
    /// Its dimensions in the usual order, rows first. (The file lists them reversed.)
    pub shape: Vec<u64>,
    /// How its numbers are stored.
    pub ggml_type: GgmlType,
    /// First byte, counted from the file's start.
    pub offset: u64,
    /// Its size in bytes.
    pub bytes: u64,
}

impl TensorInfo {
    /// How many numbers it has.
    pub fn elements(&self) -> u64 {
        self.shape.iter().product()
    }

    /// Reads one entry; `offset` is still relative to the data section.
    pub(crate) fn read<R: Read>(source: &mut Source<R>, index: u64) -> Result<Self, Error> {
        let name = source.string(&format!("the name of tensor {index}"))?;
        let what = format!("tensor {name:?}");
        let dimensions = source.u32(&what)?;
        if dimensions == 0 || dimensions > MAX_DIMENSIONS {
            return Err(Error::invalid(
                what,
                format!("{dimensions} dimensions, expected 1 to {MAX_DIMENSIONS}"),
            ));
        }
        let mut shape = Vec::new();
        for _ in 0..dimensions {
            shape.push(source.u64(&what)?);
        }
        let id = source.u32(&what)?;
        let Some(ggml_type) = GgmlType::from_id(id) else {
            return Err(Error::UnknownTensorType { tensor: name, id });
        };
        let row = shape[0];
        if row % ggml_type.block_len() != 0 {
            return Err(Error::invalid(
                what,
                format!(
                    "rows of {row} numbers do not divide into {ggml_type} blocks of {}",
                    ggml_type.block_len()
                ),
            ));
        }
        let elements = shape.iter().try_fold(1u64, |product, size| product.checked_mul(*size));
        let bytes = elements.and_then(|count| (count / ggml_type.block_len()).checked_mul(ggml_type.block_bytes()));
        let Some(bytes) = bytes.filter(|bytes| *bytes > 0) else {
            return Err(Error::invalid(what, format!("dimensions {shape:?} are impossible")));
        };
        shape.reverse();
        let offset = source.u64(&what)?;
        Ok(Self {
            name,
            shape,
            ggml_type,
            offset,
            bytes,
        })
    }
}
