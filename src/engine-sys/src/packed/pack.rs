//! Rows of GGUF files to tiles.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use tch::TchError;

use super::{
    Blocks, Format, GROUP, Packed, TILE,
    blocks::{Group4, Group8},
    storage::Storage,
};
use crate::arguments::refuse;

/// Rows of a matrix as a file has them.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// Their bytes.
    pub bytes: &'a [u8],
    /// What the bytes are.
    pub blocks: Blocks,
    /// How many rows they are.
    pub count: usize,
    /// In which order.
    pub order: RowOrder,
}

/// The order of rows in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowOrder {
    /// As the network has them.
    Plain,
    /// Each of so many heads has the rows of its two halves in turns, for a rotary embedding that
    /// pairs neighbours: llama's query and key rows in GGUF files. They are put back in halves.
    Interleaved {
        /// Number of heads.
        heads: usize,
    },
}

impl Rows<'_> {
    fn check(&self, columns: usize) -> Result<(), TchError> {
        let (numbers, bytes) = self.blocks.layout();
        let size = columns
            .is_multiple_of(numbers)
            .then(|| (columns / numbers * bytes).checked_mul(self.count))
            .flatten();
        if size != Some(self.bytes.len()) {
            return refuse(format!(
                "{} bytes are not {} {:?} rows of {columns}",
                self.bytes.len(),
                self.count,
                self.blocks
            ));
        }
        match self.order {
            RowOrder::Interleaved { heads } if heads == 0 || !self.count.is_multiple_of(2 * heads) => {
                refuse(format!("{} rows are not {heads} heads of an even width", self.count))
            }
            _ => Ok(()),
        }
    }

    /// The bytes of the row that comes at `index` in the network's order.
    fn row(&self, index: usize) -> &[u8] {
        let index = match self.order {
            RowOrder::Plain => index,
            RowOrder::Interleaved { heads } => {
                let width = self.count / heads;
                let (head, place) = (index / width, index % width);
                let (half, pair) = (place / (width / 2), place % (width / 2));
                head * width + 2 * pair + half
            }
        };
        let size = self.bytes.len() / self.count;
        &self.bytes[index * size..][..size]
    }
}

impl Packed {
    /// Packs rows of `columns` numbers, one part after the other, on `threads` threads. The parts'
    /// [`Blocks::format`] must be the same.
    ///
    /// # Errors
    /// When the bytes are not as many as the rows take, `columns` is no multiple of 32, the parts
    /// differ in format, or a quant of 8 bits is -128.
    pub fn pack(columns: usize, parts: &[Rows<'_>], threads: usize) -> Result<Self, TchError> {
        let Some(first) = parts.first() else {
            return refuse("a matrix without rows".into());
        };
        let format = first.blocks.format();
        if columns == 0 || !columns.is_multiple_of(GROUP) {
            return refuse(format!("{columns} columns are no multiple of {GROUP}"));
        }
        for part in parts {
            part.check(columns)?;
            if part.blocks.format() != format {
                return refuse(format!("{:?} and {:?} rows in one matrix", first.blocks, part.blocks));
            }
        }
        let rows = parts.iter().map(|part| part.count).sum();
        let mut storage = Storage::new(rows, columns, format)?;
        let all: Vec<(&[u8], Blocks)> = parts
            .iter()
            .flat_map(|part| (0..part.count).map(|index| (part.row(index), part.blocks)))
            .collect();

        let tile_bytes = columns / GROUP * format.block_bytes();
        let share = rows.div_ceil(TILE).div_ceil(threads.max(1)).max(1);
        let exact = AtomicBool::new(true);
        thread::scope(|scope| {
            let tiles = storage.payload_mut().chunks_mut(share * tile_bytes);
            for (tiles, rows) in tiles.zip(all.chunks(share * TILE)) {
                let exact = &exact;
                scope.spawn(move || {
                    for (tile, rows) in tiles.chunks_exact_mut(tile_bytes).zip(rows.chunks(TILE)) {
                        for (lane, (row, blocks)) in rows.iter().enumerate() {
                            if !write_row(tile, lane, row, *blocks) {
                                exact.store(false, Ordering::Relaxed);
                            }
                        }
                    }
                });
            }
        });
        match exact.into_inner() {
            true => Ok(Self {
                rows,
                columns,
                format,
                storage,
            }),
            false => refuse("a quant is -128, and the packed form goes to -127".into()),
        }
    }
}

/// Writes a row as lane `lane` of a tile; false if that is not possible exactly.
fn write_row(tile: &mut [u8], lane: usize, row: &[u8], blocks: Blocks) -> bool {
    let format = blocks.format();
    for (index, block) in tile.chunks_exact_mut(format.block_bytes()).enumerate() {
        match format {
            Format::Int4 => write4(block, lane, &blocks.four_bits(row, index)),
            Format::Int8 | Format::Int8Halves => match blocks.eight_bits(row, index) {
                Some(group) => write8(block, lane, &group),
                None => return false,
            },
            Format::Bf16 => {
                for column in 0..GROUP {
                    let at = 64 * (column / 2) + 4 * lane + 2 * (column % 2);
                    let number = blocks.number(row, GROUP * index + column);
                    block[at..at + 2].copy_from_slice(&number.to_le_bytes());
                }
            }
        }
    }
    true
}

fn write4(block: &mut [u8], lane: usize, group: &Group4) {
    const LOW: u64 = 0x0f0f_0f0f_0f0f_0f0f;
    let (halves, _) = group.quants.as_chunks::<8>();
    let [first, second] = [u64::from_le_bytes(halves[0]), u64::from_le_bytes(halves[1])];
    for (line, eight) in [first & LOW, second & LOW, first >> 4 & LOW, second >> 4 & LOW]
        .into_iter()
        .enumerate()
    {
        // Byte i now has quants i and i + 2 of eight.
        let [q0, q1, _, _, q4, q5, _, _] = (eight | eight >> 12).to_le_bytes();
        block[64 * line + 4 * lane..][..4].copy_from_slice(&[q0, q4, q1, q5]);
    }
    block[256 + 2 * lane..][..2].copy_from_slice(&group.scale.to_le_bytes());
    block[288 + 2 * lane..][..2].copy_from_slice(&group.offset.to_le_bytes());
}

fn write8(block: &mut [u8], lane: usize, group: &Group8) {
    let (pairs, _) = group.quants.as_chunks::<2>();
    for (index, pair) in pairs.iter().enumerate() {
        let at = 64 * (index / 2) + 16 * (lane / 4) + 8 * (index % 2) + 2 * (lane % 4);
        block[at..at + 2].copy_from_slice(&pair.map(sign_and_magnitude));
    }
    for (index, scale) in group.scales.iter().enumerate() {
        block[512 + 32 * index + 2 * lane..][..2].copy_from_slice(&scale.to_le_bytes());
    }
}

fn sign_and_magnitude(quant: i8) -> u8 {
    quant.unsigned_abs() | quant.cast_unsigned() & 0x80
}
