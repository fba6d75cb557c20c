//! Attention over pages.

use tch::{Device, TchError, Tensor};

use crate::{
    Pages,
    arguments::{refuse, rows},
    ffi,
};

/// The widest head that the kernel's buffers hold.
const MOST_DIM: i64 = 512;

/// Which pages each row of a pass looks at: made and checked once, used by all layers.
#[derive(Debug)]
pub struct PageTable {
    table: Vec<i32>,
    first: Vec<i64>,
    lengths: Vec<i64>,
    pages: i64,
    page_size: i64,
}

impl PageTable {
    /// Row `i` looks at `lengths[i]` tokens in the pages `table[first[i]..]`; rows of one sequence may
    /// share them. A length of zero gives zeros. There are `pages` pages of `page_size` tokens.
    ///
    /// # Errors
    /// When a row's pages are not all in the table, or a page does not exist.
    pub fn new(
        table: Vec<i32>,
        first: Vec<i64>,
        lengths: Vec<i64>,
        pages: i64,
        page_size: i64,
    ) -> Result<Self, TchError> {
        if page_size < 1 || first.len() != lengths.len() {
            return refuse(format!(
                "{} first pages and {} lengths, pages of {page_size}",
                first.len(),
                lengths.len()
            ));
        }
        if let Some(page) = table.iter().find(|page| !(0..pages).contains(&i64::from(**page))) {
            return refuse(format!("page {page} of {pages}"));
        }
        let inside = |first: i64, length: i64| {
            let end = usize::try_from(length)
                .ok()?
                .div_ceil(page_size as usize)
                .checked_add(usize::try_from(first).ok()?);
            end.filter(|end| *end <= table.len())
        };
        match first
            .iter()
            .zip(&lengths)
            .position(|(first, length)| inside(*first, *length).is_none())
        {
            Some(row) => refuse(format!(
                "row {row} looks at {} tokens from entry {} of a table of {}",
                lengths[row],
                first[row],
                table.len()
            )),
            None => Ok(Self {
                table,
                first,
                lengths,
                pages,
                page_size,
            }),
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.lengths.len()
    }
}

/// Softmax attention of each row's query heads, the first `heads` of the row, over the row's tokens:
/// `[rows, heads head_dim]`. Query heads share key and value heads in groups, in order. Rows of
/// `queries` may be wider, as those of [`rope_and_store`](crate::rope_and_store) are.
///
/// # Errors
/// When an argument has another type or shape.
pub fn paged_attention(
    queries: &Tensor,
    heads: i64,
    pages: Pages<'_>,
    table: &PageTable,
    scale: f64,
) -> Result<Tensor, TchError> {
    let checked = pages.check()?;
    let head_dim = checked.head_dim;
    if checked.pages < table.pages || checked.page_size != table.page_size {
        return refuse(format!(
            "{} pages of {}, and a table for {} of {}",
            checked.pages, checked.page_size, table.pages, table.page_size
        ));
    }
    if heads < 1 || checked.kv_heads < 1 || heads % checked.kv_heads != 0 || !(1..=MOST_DIM).contains(&head_dim) {
        return refuse(format!(
            "{heads} query heads over {} heads of {head_dim}",
            checked.kv_heads
        ));
    }
    let (_, columns) = queries.size2()?;
    let (count, query_stride) = rows("the queries", queries, checked.kind, columns)?;
    if columns < heads * head_dim || count != table.rows() as i64 {
        return refuse(format!(
            "queries {:?}, expected {} rows of {heads} heads of {head_dim}",
            queries.size(),
            table.rows()
        ));
    }
    let output = Tensor::f_empty([count, heads * head_dim], (checked.kind, Device::Cpu))?;
    let call = ffi::Attention {
        queries: queries.data_ptr().cast_const().cast(),
        query_stride,
        rows: count,
        heads,
        page_table: table.table.as_ptr(),
        first_page: table.first.as_ptr(),
        lengths: table.lengths.as_ptr(),
        scale: scale as f32,
        pages: checked.raw,
        output: output.data_ptr().cast(),
    };
    // SAFETY: every shape and type is checked above, the table when it was made; the output is new.
    unsafe { ffi::atelier_paged_attention(&call) }
    Ok(output)
}
