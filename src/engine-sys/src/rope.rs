//! Rotary position embedding of new queries and keys, and storing of keys and values.

use std::ptr;

use tch::{Kind, TchError, Tensor};

use crate::{
    Pages,
    arguments::{dense, refuse},
    ffi,
};

/// Cosines and sines of all positions, `Float`, `[context, head_dim / 2]` each.
#[derive(Clone, Copy, Debug)]
pub struct RopeTables<'a> {
    /// Cosines.
    pub cosines: &'a Tensor,
    /// Sines.
    pub sines: &'a Tensor,
}

/// Weights of the norms that some networks put before the rotation, `[head_dim]` each.
#[derive(Clone, Copy, Debug)]
pub struct HeadNorms<'a> {
    /// Of query heads.
    pub query: &'a Tensor,
    /// Of key heads.
    pub key: &'a Tensor,
    /// What is added to the mean square.
    pub epsilon: f64,
}

/// For each row of `qkv`, `[rows, (heads + 2 kv_heads) head_dim]`: rotates the queries in place by the
/// angles of the row's position, pairing the halves of each head, and stores the rotated keys and the
/// values in `pages` at slot page * page size + offset. A slot of -1 stores nothing. The types of
/// `qkv`, norms and pages are the same. The key and value columns of `qkv` are of no use afterwards.
///
/// # Errors
/// When an argument has another type or shape, or a position or slot is out of range.
pub fn rope_and_store(
    qkv: &mut Tensor,
    pages: Pages<'_>,
    positions: &[i64],
    slots: &[i64],
    tables: RopeTables<'_>,
    norms: Option<HeadNorms<'_>>,
) -> Result<(), TchError> {
    let checked = pages.check()?;
    let head_dim = checked.head_dim;
    let (count, width) = qkv.size2()?;
    dense("the rows", qkv, checked.kind, &[count, width])?;
    let heads = if head_dim > 0 {
        width / head_dim - 2 * checked.kv_heads
    } else {
        0
    };
    if heads < 1 || head_dim % 2 != 0 || (heads + 2 * checked.kv_heads) * head_dim != width {
        return refuse(format!(
            "rows of {width} are no query heads and 2 times {} heads of {head_dim}",
            checked.kv_heads
        ));
    }
    let (context, _) = tables.cosines.size2()?;
    for (name, table) in [("the cosines", tables.cosines), ("the sines", tables.sines)] {
        dense(name, table, Kind::Float, &[context, head_dim / 2])?;
    }
    if positions.len() as i64 != count || slots.len() as i64 != count {
        return refuse(format!(
            "{} positions and {} slots for {count} rows",
            positions.len(),
            slots.len()
        ));
    }
    if let Some(position) = positions.iter().find(|position| !(0..context).contains(*position)) {
        return refuse(format!("position {position} of a context of {context}"));
    }
    let places = checked.pages * checked.page_size;
    if let Some(slot) = slots.iter().find(|slot| !(-1..places).contains(*slot)) {
        return refuse(format!("slot {slot} of {places}"));
    }
    if let Some(norms) = norms {
        dense("the query norm", norms.query, checked.kind, &[head_dim])?;
        dense("the key norm", norms.key, checked.kind, &[head_dim])?;
    }
    let call = ffi::Rope {
        qkv: qkv.data_ptr().cast(),
        rows: count,
        heads,
        cosines: tables.cosines.data_ptr().cast_const().cast(),
        sines: tables.sines.data_ptr().cast_const().cast(),
        positions: positions.as_ptr(),
        slots: slots.as_ptr(),
        query_norm: norms.map_or(ptr::null(), |norms| norms.query.data_ptr().cast_const().cast()),
        key_norm: norms.map_or(ptr::null(), |norms| norms.key.data_ptr().cast_const().cast()),
        epsilon: norms.map_or(0.0, |norms| norms.epsilon as f32),
        pages: checked.raw,
    };
    // SAFETY: every shape, type, position and slot is checked above.
    unsafe { ffi::atelier_rope_and_store(&call) }
    Ok(())
}
