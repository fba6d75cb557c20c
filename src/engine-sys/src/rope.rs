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

#[cfg(test)]
mod tests {
    use crate::threads::on_every_processor;
    use tch::Device;

    use super::*;
    use crate::testing::{largest_difference, numbers, tensor};

    /// One head by the definition, in double precision.
    fn rotated(head: &[f32], norm: Option<&[f32]>, cosines: &[f32], sines: &[f32]) -> Vec<f64> {
        let mut head: Vec<f64> = head.iter().map(|x| f64::from(*x)).collect();
        if let Some(norm) = norm {
            let mean = head.iter().map(|x| x * x).sum::<f64>() / head.len() as f64;
            let factor = 1.0 / (mean + 1e-6).sqrt();
            for (x, weight) in head.iter_mut().zip(norm) {
                *x *= factor * f64::from(*weight);
            }
        }
        let half = head.len() / 2;
        let turn = |i: usize| (head[i], head[half + i], f64::from(cosines[i]), f64::from(sines[i]));
        let first = (0..half).map(turn).map(|(a, b, cos, sin)| a * cos - b * sin);
        first
            .chain((0..half).map(turn).map(|(a, b, cos, sin)| b * cos + a * sin))
            .collect()
    }

    #[test]
    fn queries_turn_in_place_and_keys_and_values_go_to_their_slots() {
        on_every_processor(check_queries_turn_in_place_and_keys_and_values_go_to_their_slots);
    }

    fn check_queries_turn_in_place_and_keys_and_values_go_to_their_slots() {
        let (heads, kv_heads, page_size, context) = (4, 2, 16, 50);
        for (kind, tolerance) in [(Kind::Float, 1e-5), (Kind::BFloat16, 0.03)] {
            for head_dim in [8, 12, 64] {
                for with_norms in [false, true] {
                    let width = (heads + 2 * kv_heads) * head_dim;
                    let mut qkv = tensor(&[5, width], kind, 1);
                    let before = numbers(&qkv);
                    let (cosines, sines) = (
                        tensor(&[context, head_dim / 2], Kind::Float, 2),
                        tensor(&[context, head_dim / 2], Kind::Float, 3),
                    );
                    let (query, key) = (tensor(&[head_dim], kind, 4), tensor(&[head_dim], kind, 5));
                    let norms = with_norms.then_some(HeadNorms {
                        query: &query,
                        key: &key,
                        epsilon: 1e-6,
                    });
                    let keys = Tensor::zeros([3, kv_heads, page_size, head_dim], (kind, Device::Cpu));
                    let values = keys.copy();
                    let pages = Pages {
                        keys: &keys,
                        values: &values,
                    };
                    let (positions, slots) = ([0, 7, 8, 49, 3], [0, 47, 16, -1, 31]);
                    let tables = RopeTables {
                        cosines: &cosines,
                        sines: &sines,
                    };
                    rope_and_store(&mut qkv, pages, &positions, &slots, tables, norms).unwrap();

                    let (cosines, sines) = (numbers(&cosines), numbers(&sines));
                    let (query, key) = (numbers(&query), numbers(&key));
                    let (dim, half) = (head_dim as usize, head_dim as usize / 2);
                    let mut stored = 0.0;
                    for (row, before) in before.chunks(width as usize).enumerate() {
                        let at = positions[row] as usize * half;
                        let turn = |head: &[f32], norm: &[f32]| {
                            rotated(
                                head,
                                with_norms.then_some(norm),
                                &cosines[at..at + half],
                                &sines[at..at + half],
                            )
                        };
                        for (index, head) in before.chunks(dim).enumerate() {
                            let index = index as i64;
                            let (found, wanted) = if index < heads {
                                (
                                    qkv.get(row as i64).narrow(0, index * head_dim, head_dim),
                                    turn(head, &query),
                                )
                            } else if slots[row] < 0 {
                                continue;
                            } else {
                                let is_key = index < heads + kv_heads;
                                let cache = if is_key { &keys } else { &values };
                                let place = cache.get(slots[row] / page_size).get((index - heads) % kv_heads);
                                stored += 1.0;
                                let plain = head.iter().map(|x| f64::from(*x)).collect();
                                (
                                    place.get(slots[row] % page_size),
                                    if is_key { turn(head, &key) } else { plain },
                                )
                            };
                            let off = largest_difference(&found, &wanted);
                            assert!(
                                off < tolerance,
                                "{kind:?} {head_dim} row {row} head {index}: off by {off}"
                            );
                        }
                    }
                    assert_eq!(stored, 16.0);
                    // Nothing else was written.
                    let written =
                        |cache: &Tensor| cache.abs().amax(-1, false).gt(0.0).sum(Kind::Int64).int64_value(&[]);
                    assert_eq!((written(&keys), written(&values)), (8, 8));
                }
            }
        }
    }

    #[test]
    fn places_that_do_not_exist_are_refused() {
        let keys = tensor(&[2, 1, 16, 8], Kind::Float, 1);
        let pages = Pages {
            keys: &keys,
            values: &keys,
        };
        let table = tensor(&[4, 4], Kind::Float, 1);
        let tables = RopeTables {
            cosines: &table,
            sines: &table,
        };
        let run = |width, positions: &[i64], slots: &[i64]| {
            rope_and_store(
                &mut tensor(&[1, width], Kind::Float, 1),
                pages,
                positions,
                slots,
                tables,
                None,
            )
        };
        assert!(run(24, &[3], &[31]).is_ok());
        assert!(run(24, &[4], &[31]).is_err());
        assert!(run(24, &[-1], &[31]).is_err());
        assert!(run(24, &[3], &[32]).is_err());
        assert!(run(24, &[3], &[-2]).is_err());
        assert!(run(24, &[3, 3], &[1]).is_err());
        assert!(run(16, &[3], &[1]).is_err());
        assert!(run(25, &[3], &[1]).is_err());
    }
}
