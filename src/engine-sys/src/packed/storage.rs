//! Where a packed matrix lies: in memory of its own or in a mapped file. A header comes first.
//!
//! Header, 64 bytes, little endian: `ATPACKED`, version, format, rows (8 bytes), columns (8 bytes),
//! zeros.

use std::{ops::Range, sync::Arc};

use tch::TchError;

use super::{Format, GROUP, TILE};
use crate::{Mapping, arguments::refuse};

const MAGIC: &[u8; 8] = b"ATPACKED";
const VERSION: u32 = 1;
const HEADER: usize = size_of::<Line>();

/// Memory comes in cache lines.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Line([u8; 64]);

#[derive(Debug)]
pub(super) enum Storage {
    Owned(Vec<Line>),
    Mapped(Arc<Mapping>, Range<usize>),
}

impl Storage {
    /// Zeros, with the header of such a matrix.
    pub fn new(rows: usize, columns: usize, format: Format) -> Result<Self, TchError> {
        let Some(size) = size(rows, columns, format) else {
            return refuse(format!("no memory holds a matrix of {rows} rows and {columns} columns"));
        };
        let mut storage = Self::Owned(vec![Line([0; HEADER]); size.div_ceil(HEADER)]);
        if let Some(bytes) = storage.bytes_mut() {
            bytes[..8].copy_from_slice(MAGIC);
            bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
            bytes[12..16].copy_from_slice(&format.code().to_le_bytes());
            bytes[16..24].copy_from_slice(&(rows as u64).to_le_bytes());
            bytes[24..32].copy_from_slice(&(columns as u64).to_le_bytes());
        }
        Ok(storage)
    }

    pub fn mapped(mapping: &Arc<Mapping>, range: Range<usize>) -> Self {
        Self::Mapped(Arc::clone(mapping), range)
    }

    pub fn bytes(&self) -> &[u8] {
        match self {
            // SAFETY: lines are bytes without gaps.
            Self::Owned(lines) => unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), lines.len() * HEADER) },
            Self::Mapped(mapping, range) => &mapping[range.clone()],
        }
    }

    fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        let Self::Owned(lines) = self else {
            return None;
        };
        let size = lines.len() * HEADER;
        // SAFETY: lines are bytes without gaps.
        Some(unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), size) })
    }

    /// The matrix after the header.
    pub fn payload(&self) -> &[u8] {
        &self.bytes()[HEADER..]
    }

    /// The same, to be filled; nothing for a mapped file.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        self.bytes_mut().map_or(&mut [], |bytes| &mut bytes[HEADER..])
    }
}

/// Bytes of a matrix with its header, if they can be counted.
fn size(rows: usize, columns: usize, format: Format) -> Option<usize> {
    let blocks = rows.div_ceil(TILE).checked_mul(columns / GROUP)?;
    let size = blocks.checked_mul(format.block_bytes())?.checked_add(HEADER)?;
    (isize::try_from(size).is_ok()).then_some(size)
}

/// Reads a header, and checks that the bytes are as many as it calls for.
pub(super) fn parse(bytes: &[u8]) -> Result<(usize, usize, Format), TchError> {
    let (fields, _) = bytes.as_chunks::<8>();
    let [magic, kind, rows, columns, ..] = fields else {
        return refuse(format!("{} bytes are no packed matrix", bytes.len()));
    };
    let version = u32::from_le_bytes([kind[0], kind[1], kind[2], kind[3]]);
    if magic != MAGIC || version != VERSION {
        return refuse(format!("not a packed matrix of version {VERSION}"));
    }
    let code = u32::from_le_bytes([kind[4], kind[5], kind[6], kind[7]]);
    let number = |field: &[u8; 8]| usize::try_from(u64::from_le_bytes(*field)).ok();
    let parsed = || {
        let (rows, columns, format) = (number(rows)?, number(columns)?, Format::from_code(code)?);
        let whole = columns % GROUP == 0 && size(rows, columns, format)? == bytes.len();
        whole.then_some((rows, columns, format))
    };
    match parsed() {
        Some(parsed) => Ok(parsed),
        None => refuse(format!("a packed matrix of {} bytes is damaged", bytes.len())),
    }
}
