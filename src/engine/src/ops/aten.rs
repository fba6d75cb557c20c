//! The operations by libtorch.

use tch::{TchError, Tensor};

use super::Attention;
use crate::kv_cache::Piece;

pub fn add_rms_norm(
    residual: &mut Tensor,
    delta: Option<&Tensor>,
    weight: &Tensor,
    epsilon: f64,
) -> Result<Tensor, TchError> {
    if let Some(delta) = delta {
        let _ = residual.f_add_(delta)?;
    }
    rms_norm(residual, &weight.f_to_kind(residual.kind())?, epsilon)?.f_to_kind(weight.kind())
}

fn rms_norm(hidden: &Tensor, weight: &Tensor, epsilon: f64) -> Result<Tensor, TchError> {
    hidden.f_rms_norm(weight.size(), Some(weight), epsilon)
}

pub fn silu_mul(gate_up: &Tensor) -> Result<Tensor, TchError> {
    let halves = gate_up.f_chunk(2, -1)?;
    halves[0].f_silu()?.f_mul(&halves[1])
}

pub fn attention(qkv: &Tensor, attention: &Attention<'_>) -> Result<Tensor, TchError> {
    let Attention {
        layer, heads, places, ..
    } = *attention;
    let pages = attention.cache.layer(layer);
    let (_, kv_heads, _, head_dim) = pages.keys.size4()?;
    let rows = qkv.size()[0];
    let all = qkv.f_view([rows, heads + 2 * kv_heads, head_dim])?;
    let to_rotate = match attention.head_norms {
        Some([query, key]) => {
            let norm = |first, count, weight| rms_norm(&all.f_narrow(1, first, count)?, weight, attention.norm_epsilon);
            Tensor::f_cat(&[norm(0, heads, query)?, norm(heads, kv_heads, key)?], 1)?
        }
        None => all.f_narrow(1, 0, heads + kv_heads)?,
    };
    let rotated = attention.rope.rotate(&to_rotate, places.positions())?;
    let tokens = places.tokens() as i64;
    let new = |tensor: &Tensor, first| tensor.f_narrow(0, 0, tokens)?.f_narrow(1, first, kv_heads);
    attention
        .cache
        .write(layer, places, &new(&rotated, heads)?, &new(&all, heads + kv_heads)?)?;

    let mut parts = Vec::new();
    for piece in places.pieces() {
        let queries = rotated.f_narrow(0, piece.first, piece.count)?.f_narrow(1, 0, heads)?;
        parts.push(attend(&queries, piece, pages)?);
    }
    joined(parts, rows)
}

/// Attention of a piece's queries, `[count, heads, head_dim]`, over a copy of its sequence's pages:
/// `[count, heads head_dim]`.
pub fn attend(queries: &Tensor, piece: &Piece, pages: engine_sys::Pages<'_>) -> Result<Tensor, TchError> {
    let (count, heads, head_dim) = queries.size3()?;
    let (_, kv_heads, _, _) = pages.keys.size4()?;
    let (keys, values) = (piece.read(pages.keys)?, piece.read(pages.values)?);
    // Query heads that share a kv head become rows of one attention: without expanding keys and
    // values, which is many times slower.
    let grouped = [1, kv_heads, heads / kv_heads * count, head_dim];
    let grouped = queries.f_transpose(0, 1)?.f_reshape(grouped)?;
    let mask = piece.mask.as_ref();
    let attended = Tensor::f_scaled_dot_product_attention(&grouped, &keys, &values, mask, 0.0, false, None, false)?;
    attended
        .f_reshape([heads, count, head_dim])?
        .f_transpose(0, 1)?
        .f_reshape([count, heads * head_dim])
}

/// The parts one below the other, and zeros below them up to `rows` rows.
pub fn joined(mut parts: Vec<Tensor>, rows: i64) -> Result<Tensor, TchError> {
    let so_far: i64 = parts.iter().map(|part| part.size()[0]).sum();
    if let (Some(part), true) = (parts.first(), so_far < rows) {
        let options = (part.kind(), part.device());
        parts.push(Tensor::f_zeros([rows - so_far, part.size()[1]], options)?);
    }
    match parts.as_slice() {
        [only] => Ok(only.shallow_clone()),
        several => Tensor::f_cat(several, 0),
    }
}
