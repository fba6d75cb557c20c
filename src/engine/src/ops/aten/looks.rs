//! What the rows of a pass look at, in the device's memory: copied there once, before the first layer, for
//! every copy waits for the device.

use engine_sys::cuda::FlashAttention;
use tch::{Kind, TchError, Tensor};

use crate::{
    PAGE, Segment,
    ops::{Attention, LooksPass, joined},
    places::{Piece, own_pages},
    rope::Angles,
};

/// What all layers need.
pub(crate) struct Looks {
    /// Of the positions of all rows.
    pub angles: Angles,
    /// Where the rows without padding are written.
    pub slots: Tensor,
    way: Way,
}

/// How attention is computed.
enum Way {
    /// All sequences by one kernel.
    Flash(Flash),
    /// The single tokens together, then every other piece, by the operator that all devices and types have.
    Pieces {
        singles: Option<Singles>,
        others: Vec<Piece>,
    },
}

/// What [`FlashAttention`] takes beside queries, keys and values.
struct Flash {
    pages: Tensor,
    query_ends: Tensor,
    key_ends: Tensor,
    lengths: Tensor,
    most_queries: i64,
    most_keys: i64,
}

/// Sequences of one new token each, as long as the longest of them.
struct Singles {
    count: i64,
    /// As many of each.
    pages: Tensor,
    /// What is after each one's end, `[count tokens, 1, 1]`: anything, and maybe no numbers.
    behind: Tensor,
    /// Minus infinity there: `[count, 1, 1, tokens]`.
    mask: Tensor,
}

impl Looks {
    pub fn new(pass: LooksPass<'_>) -> Result<Self, TchError> {
        let LooksPass { places, cache, .. } = pass;
        let device = cache.device();
        let slots = &places.slots()[..places.tokens()];
        let numbers = Tensor::f_from_slice(&[places.positions(), slots].concat())?.f_to_device(device)?;
        let rows = places.positions().len() as i64;
        Ok(Self {
            angles: pass.rope.angles(&numbers.f_narrow(0, 0, rows)?)?,
            slots: numbers.f_narrow(0, rows, slots.len() as i64)?,
            way: match pass.flash {
                true => Way::Flash(Flash::new(pass)?),
                false => Way::Pieces {
                    singles: Singles::new(pass)?,
                    others: Piece::after(places.singles(), pass.batch, cache, pass.config.group())?,
                },
            },
        })
    }

    /// Attention of `queries`, `[tokens, heads, head_dim]`, over what the cache holds: `[rows, heads head_dim]`.
    pub fn attend(&self, queries: &Tensor, attention: &Attention<'_>, rows: i64) -> Result<Tensor, TchError> {
        let Attention { layer, cache, .. } = *attention;
        let parts = match &self.way {
            Way::Flash(flash) => vec![flash.attend(queries, &cache.read(layer, &flash.pages)?)?],
            Way::Pieces { singles, others } => {
                let mut parts = Vec::with_capacity(1 + others.len());
                if let Some(singles) = singles {
                    let own = queries.f_narrow(0, 0, singles.count)?;
                    parts.push(singles.attend(&own, &cache.read(layer, &singles.pages)?)?);
                }
                for piece in others {
                    let own = queries.f_narrow(0, piece.first, piece.count)?;
                    let by_head = |tensor: &Tensor| {
                        let own = tensor.f_narrow(0, 0, piece.tokens)?;
                        own.f_transpose(0, 1)?.f_unsqueeze(0)
                    };
                    let [keys, values] = cache.read(layer, &piece.pages)?;
                    parts.push(piece.attend(&own, &by_head(&keys)?, &by_head(&values)?)?);
                }
                parts
            }
        };
        joined(parts, rows)
    }
}

impl Flash {
    fn new(pass: LooksPass<'_>) -> Result<Self, TchError> {
        let segments = &pass.batch.segments;
        let mut pages = Vec::new();
        let (mut query_ends, mut key_ends, mut lengths) = (vec![0], vec![0], Vec::new());
        let mut queries = 0;
        for segment in segments {
            pages.extend(own_pages(segment).iter().map(|page| i64::from(*page)));
            queries += segment.tokens.len() as i64;
            query_ends.push(queries);
            key_ends.push((pages.len() * PAGE) as i64);
            lengths.push(segment.end() as i64);
        }
        let count = pages.len() as i64;
        let numbers = [pages, query_ends, key_ends, lengths].concat();
        let numbers = Tensor::f_from_slice(&numbers)?.f_to_device(pass.cache.device())?;
        let small = numbers.f_to_kind(Kind::Int)?;
        let ends = segments.len() as i64 + 1;
        let most = |of: fn(&Segment) -> usize| segments.iter().map(of).max().unwrap_or_default() as i64;
        Ok(Self {
            pages: numbers.f_narrow(0, 0, count)?,
            query_ends: small.f_narrow(0, count, ends)?,
            key_ends: small.f_narrow(0, count + ends, ends)?,
            lengths: small.f_narrow(0, count + 2 * ends, ends - 1)?,
            most_queries: most(|segment| segment.tokens.len()),
            most_keys: most(Segment::end),
        })
    }

    fn attend(&self, queries: &Tensor, [keys, values]: &[Tensor; 2]) -> Result<Tensor, TchError> {
        let attention = FlashAttention {
            queries,
            keys,
            values,
            query_ends: &self.query_ends,
            key_ends: &self.key_ends,
            lengths: &self.lengths,
            most_queries: self.most_queries,
            most_keys: self.most_keys,
        };
        attention.compute()?.f_flatten(1, 2)
    }
}

impl Singles {
    fn new(pass: LooksPass<'_>) -> Result<Option<Self>, TchError> {
        let (cache, device) = (pass.cache, pass.cache.device());
        let segments = &pass.batch.segments[..pass.places.singles()];
        let Some(most) = segments.iter().map(|segment| own_pages(segment).len()).max() else {
            return Ok(None);
        };
        let (count, tokens) = (segments.len(), most * PAGE);
        let mut numbers = Vec::with_capacity(count * (most + 1));
        for (index, segment) in segments.iter().enumerate() {
            let own = own_pages(segment);
            numbers.extend(own.iter().map(|page| i64::from(*page)));
            numbers.resize((index + 1) * most, own.first().copied().map_or(0, i64::from));
        }
        numbers.extend(segments.iter().map(|segment| segment.end() as i64));
        let numbers = Tensor::f_from_slice(&numbers)?.f_to_device(device)?;
        let (count, most, tokens) = (count as i64, most as i64, tokens as i64);
        let ends = numbers.f_narrow(0, count * most, count)?.f_unsqueeze(1)?;
        let behind = Tensor::f_arange(tokens, (Kind::Int64, device))?
            .f_unsqueeze(0)?
            .f_ge_tensor(&ends)?;
        let mask = Tensor::f_zeros([count, tokens], (cache.kind(), device))?;
        Ok(Some(Self {
            count,
            pages: numbers.f_narrow(0, 0, count * most)?,
            mask: mask
                .f_masked_fill(&behind, f64::NEG_INFINITY)?
                .f_view([count, 1, 1, tokens])?,
            behind: behind.f_view([count * tokens, 1, 1])?,
        }))
    }

    fn attend(&self, queries: &Tensor, [keys, values]: &[Tensor; 2]) -> Result<Tensor, TchError> {
        let (_, heads, head_dim) = queries.size3()?;
        let kv_heads = keys.size()[1];
        let queries = queries.f_reshape([self.count, kv_heads, heads / kv_heads, head_dim])?;
        let by_head = |tensor: &Tensor| {
            let numbers = tensor.f_masked_fill(&self.behind, 0.0)?;
            numbers.f_view([self.count, -1, kv_heads, head_dim])?.f_transpose(1, 2)
        };
        let (keys, values) = (by_head(keys)?, by_head(values)?);
        let mask = Some(&self.mask);
        Tensor::f_scaled_dot_product_attention(&queries, &keys, &values, mask, 0.0, false, None, false)?
            .f_reshape([self.count, heads * head_dim])
    }
}
