//! The operations by libtorch.

mod looks;

use tch::{TchError, Tensor};

pub(crate) use self::looks::Looks;

use super::Attention;

pub fn add_rms_norm(
    residual: &mut Tensor,
    delta: Option<&Tensor>,
    weight: &Tensor,
    epsilon: f64,
) -> Result<Tensor, TchError> {
    if let Some(delta) = delta {
        let _ = residual.f_add_(delta)?;
    }
    rms_norm(residual, &weight.f_to_kind(residual.kind())?, epsilon)
}

fn rms_norm(hidden: &Tensor, weight: &Tensor, epsilon: f64) -> Result<Tensor, TchError> {
    hidden.f_rms_norm(weight.size(), Some(weight), epsilon)
}

pub fn silu_mul(gate_up: &Tensor) -> Result<Tensor, TchError> {
    let halves = gate_up.f_chunk(2, -1)?;
    halves[0].f_silu()?.f_mul(&halves[1])
}

pub fn attention(qkv: &Tensor, attention: &Attention<'_>, looks: &Looks) -> Result<Tensor, TchError> {
    let Attention {
        layer, heads, places, ..
    } = *attention;
    let (_, _, kv_heads, head_dim) = attention.cache.layer(layer).keys.size4()?;
    let rows = qkv.size()[0];
    let all = qkv.f_view([rows, heads + 2 * kv_heads, head_dim])?;
    let to_rotate = match attention.head_norms {
        Some([query, key]) => {
            let norm = |first, count, weight| rms_norm(&all.f_narrow(1, first, count)?, weight, attention.norm_epsilon);
            Tensor::f_cat(&[norm(0, heads, query)?, norm(heads, kv_heads, key)?], 1)?
        }
        None => all.f_narrow(1, 0, heads + kv_heads)?,
    };
    let rotated = looks.angles.rotate(&to_rotate)?;
    let tokens = places.tokens() as i64;
    let new = |tensor: &Tensor, first| tensor.f_narrow(0, 0, tokens)?.f_narrow(1, first, kv_heads);
    let (keys, values) = (new(&rotated, heads)?, new(&all, heads + kv_heads)?);
    attention.cache.write(layer, &looks.slots, &keys, &values)?;
    let queries = rotated.f_narrow(0, 0, tokens)?.f_narrow(1, 0, heads)?;
    looks.attend(&queries, attention, rows)
}
