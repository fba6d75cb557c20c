//! Attention by our kernels.

use engine_sys::PageTable;
use tch::{TchError, Tensor};

use super::{Attention, joined};
use crate::{
    Batch, KvCache, PAGE,
    places::{Piece, Places, own_pages},
};

/// What the rows of a pass look at.
pub(crate) struct Looks {
    /// Of the leading rows of single tokens, and of padding if no pieces follow.
    table: PageTable,
    pieces: Vec<Piece>,
}

impl Looks {
    pub fn new(batch: &Batch, places: &Places, cache: &KvCache, group: i64) -> Result<Self, TchError> {
        let pieces = Piece::after(places.singles(), batch, cache, group)?;
        let padding = match pieces.is_empty() {
            true => places.slots().len() - places.tokens(),
            false => 0,
        };
        let (mut pages, mut first, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
        for segment in &batch.segments[..places.singles()] {
            first.push(pages.len() as i64);
            lengths.push(segment.end() as i64);
            pages.extend(own_pages(segment).iter().map(|page| page.cast_signed()));
        }
        first.resize(first.len() + padding, 0);
        lengths.resize(lengths.len() + padding, 0);
        Ok(Self {
            table: PageTable::new(pages, first, lengths, cache.pages() as i64, PAGE as i64)?,
            pieces,
        })
    }
}

pub fn attention(qkv: &mut Tensor, attention: &Attention<'_>, looks: &Looks) -> Result<Tensor, TchError> {
    let Attention {
        layer,
        heads,
        places,
        rope,
        ..
    } = *attention;
    let pages = attention.cache.layer(layer);
    let norms = attention.head_norms.map(|[query, key]| engine_sys::HeadNorms {
        query,
        key,
        epsilon: attention.norm_epsilon,
    });
    engine_sys::rope_and_store(qkv, pages, places.positions(), places.slots(), rope.tables(), norms)?;
    let (_, _, _, head_dim) = pages.keys.size4()?;
    let scale = 1.0 / (head_dim as f64).sqrt();
    let queries = |first, count| qkv.f_narrow(0, first, count)?.f_narrow(1, 0, heads * head_dim);

    // Whoever adds one token reads a whole context for it: the kernel reads the pages where they
    // are. A piece of a prompt is computed faster over a copy of them.
    let singles = &looks.table;
    let mut parts = Vec::new();
    if singles.rows() > 0 {
        let queries = queries(0, singles.rows() as i64)?;
        parts.push(engine_sys::paged_attention(&queries, heads, pages, singles, scale)?);
    }
    for piece in &looks.pieces {
        let queries = queries(piece.first, piece.count)?.f_view([piece.count, heads, head_dim])?;
        parts.push(piece.attend(&queries, &read(piece, pages.keys)?, &read(piece, pages.values)?)?);
    }
    joined(parts, places.slots().len() as i64)
}

/// The keys or values of a piece's sequence as far as its last token, `[1, kv_heads, tokens, head_dim]`.
fn read(piece: &Piece, pages: &Tensor) -> Result<Tensor, TchError> {
    let own = pages.f_index_select(0, &piece.pages)?;
    let joined = own.f_transpose(0, 1)?.f_flatten(1, 2)?;
    joined.f_narrow(1, 0, piece.tokens)?.f_unsqueeze(0)
}
