//! Matrices in the form that the kernels multiply with.

mod blocks;
mod pack;
mod storage;

use std::{ffi::c_void, ops::Range, sync::Arc};

use tch::{Device, Kind, TchError, Tensor};

pub use self::blocks::Blocks;
pub use self::pack::{RowOrder, Rows};

use self::storage::Storage;
use crate::{
    Mapping,
    arguments::{kind_code, refuse},
    ffi,
};

/// Rows of a tile, which are computed together.
pub(crate) const TILE: usize = 16;
/// Columns that share a scale.
pub(crate) const GROUP: usize = 32;

/// How a packed matrix keeps its weights. `cpp/format.h` has the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// 4 bits: w = d q + m with q in 0..=15, and halves d and m for every 32 columns.
    Int4,
    /// 8 bits: w = d q + m with q in -127..=127, and halves d and m for every 32 columns.
    Int8,
    /// 8 bits: w = d q with q in -127..=127, and half d for every 16 columns.
    Int8Halves,
    /// bfloat16.
    Bf16,
}

impl Format {
    fn code(self) -> i32 {
        match self {
            Self::Int4 => 0,
            Self::Int8 => 1,
            Self::Int8Halves => 2,
            Self::Bf16 => 3,
        }
    }

    fn from_code(code: u32) -> Option<Self> {
        [Self::Int4, Self::Int8, Self::Int8Halves, Self::Bf16]
            .into_iter()
            .find(|format| format.code().cast_unsigned() == code)
    }

    /// Bytes of 16 rows and 32 columns.
    pub(crate) fn block_bytes(self) -> usize {
        match self {
            Self::Int4 => 320,
            Self::Int8 | Self::Int8Halves => 576,
            Self::Bf16 => 1024,
        }
    }
}

/// A matrix `[rows, columns]` for [`linear`](crate::linear).
#[derive(Debug)]
pub struct Packed {
    rows: usize,
    columns: usize,
    format: Format,
    storage: Storage,
}

impl Packed {
    /// How many rows it has: what comes out of the product.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many columns it has: what goes into the product.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// How its weights are kept.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The whole matrix as bytes to be written to a file, header included. Their layout is stable: a
    /// change of it changes the version in the header.
    pub fn as_bytes(&self) -> &[u8] {
        self.storage.bytes()
    }

    /// The matrix that [`Packed::as_bytes`] gave, in a mapped file. Nothing is copied.
    ///
    /// # Errors
    /// When the bytes are no such matrix, or of another version.
    pub fn from_mapping(mapping: &Arc<Mapping>, range: Range<usize>) -> Result<Self, TchError> {
        let Some(bytes) = mapping.get(range.clone()) else {
            return refuse(format!("bytes {range:?} lie outside of a file of {}", mapping.len()));
        };
        let (rows, columns, format) = storage::parse(bytes)?;
        Ok(Self {
            rows,
            columns,
            format,
            storage: Storage::mapped(mapping, range),
        })
    }

    /// The first `count` rows as plain numbers, `[count, columns]`.
    ///
    /// # Errors
    /// When there are not so many, or `kind` is neither `Float` nor `BFloat16`.
    pub fn dequantize_rows(&self, count: usize, kind: Kind) -> Result<Tensor, TchError> {
        if count > self.rows {
            return refuse(format!("{count} rows of a matrix that has {}", self.rows));
        }
        self.widen(None, count, kind)
    }

    /// The listed rows as plain numbers, `[indices, columns]`: the embeddings of tokens.
    ///
    /// # Errors
    /// When an index is out of range, or `kind` is neither `Float` nor `BFloat16`.
    pub fn select_rows(&self, indices: &[i64], kind: Kind) -> Result<Tensor, TchError> {
        if let Some(index) = indices.iter().find(|index| !(0..self.rows as i64).contains(*index)) {
            return refuse(format!("row {index} of a matrix that has {}", self.rows));
        }
        self.widen(Some(indices), indices.len(), kind)
    }

    fn widen(&self, indices: Option<&[i64]>, count: usize, kind: Kind) -> Result<Tensor, TchError> {
        let code = kind_code("the result", kind)?;
        let output = Tensor::f_empty([count as i64, self.columns as i64], (kind, Device::Cpu))?;
        let indices = indices.map_or(std::ptr::null(), <[i64]>::as_ptr);
        // SAFETY: the rows exist, and the output is new, dense and as large as they are.
        unsafe {
            ffi::atelier_widen(
                &self.matrix(),
                indices,
                count as i64,
                output.data_ptr().cast::<c_void>(),
                code,
            )
        }
        Ok(output)
    }

    pub(crate) fn matrix(&self) -> ffi::Matrix {
        ffi::Matrix {
            blocks: self.storage.payload().as_ptr(),
            rows: self.rows as i64,
            columns: self.columns as i64,
            format: self.format.code(),
        }
    }
}

#[cfg(test)]
mod tests;
