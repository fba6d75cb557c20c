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

#[cfg(test)]
mod tests {
    use crate::threads::on_every_processor;
    use tch::Kind;

    use super::*;
    use crate::testing::{largest_difference, numbers, tensor};

    const PAGE: i64 = 16;

    /// Attention by its definition, in double precision.
    fn expected(queries: &Tensor, heads: i64, pages: Pages<'_>, table: &PageTable, scale: f64) -> Vec<f64> {
        let (_, kv_heads, _, head_dim) = pages.keys.size4().unwrap();
        let (keys, values, queries) = (numbers(pages.keys), numbers(pages.values), numbers(queries));
        let (dim, width) = (head_dim as usize, queries.len() / table.rows());
        let mut output = Vec::new();
        for row in 0..table.rows() {
            for head in 0..heads {
                let query = &queries[row * width + head as usize * dim..][..dim];
                let place = |token: i64| {
                    let page = table.table[(table.first[row] + token / PAGE) as usize];
                    let kv_head = head / (heads / kv_heads);
                    (((i64::from(page) * kv_heads + kv_head) * PAGE + token % PAGE) * head_dim) as usize
                };
                let dot =
                    |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
                let scores: Vec<f64> = (0..table.lengths[row])
                    .map(|token| scale * dot(query, &keys[place(token)..][..dim]))
                    .collect();
                let peak = scores.iter().copied().fold(f64::MIN, f64::max);
                let total: f64 = scores.iter().map(|score| (score - peak).exp()).sum();
                let weighted = |i: usize| -> f64 {
                    let each = scores.iter().enumerate();
                    each.map(|(token, score)| (score - peak).exp() / total * f64::from(values[place(token as i64) + i]))
                        .sum()
                };
                output.extend((0..dim).map(weighted));
            }
        }
        output
    }

    #[test]
    fn rows_attend_to_their_own_pages() {
        on_every_processor(check_rows_attend_to_their_own_pages);
    }

    fn check_rows_attend_to_their_own_pages() {
        for threads in [1, 2] {
            crate::set_threads(threads);
            for (kind, tolerance) in [(Kind::Float, 2e-5), (Kind::BFloat16, 0.02)] {
                for (heads, kv_heads, head_dim) in
                    [(4, 2, 8), (9, 3, 64), (4, 4, 80), (5, 1, 128), (2, 1, 12), (6, 1, 48)]
                {
                    let keys = tensor(&[40, kv_heads, PAGE, head_dim], kind, 1) * 3.0;
                    let values = tensor(&[40, kv_heads, PAGE, head_dim], kind, 2);
                    let pages = Pages {
                        keys: &keys,
                        values: &values,
                    };
                    // A long row, two of one sequence, padding, a row that ends with a page.
                    let lengths = vec![430, 17, 18, 0, 32, 1];
                    let first = vec![3, 0, 0, 0, 31, 2];
                    let entries = (0..33).map(|i| (i * 7 + 5) % 40).collect();
                    let table = PageTable::new(entries, first, lengths, 40, PAGE).unwrap();
                    for rows in [6, 1] {
                        let table = match rows {
                            1 => PageTable::new(table.table.clone(), vec![3], vec![430], 40, PAGE).unwrap(),
                            _ => PageTable {
                                table: table.table.clone(),
                                first: table.first.clone(),
                                lengths: table.lengths.clone(),
                                ..table
                            },
                        };
                        let queries = tensor(&[rows, (heads + 2 * kv_heads) * head_dim], kind, 3);
                        let output = paged_attention(&queries, heads, pages, &table, 0.3).unwrap();
                        assert_eq!(output.size(), [rows, heads * head_dim]);
                        let off = largest_difference(&output, &expected(&queries, heads, pages, &table, 0.3));
                        assert!(
                            off < tolerance,
                            "{kind:?} {heads}/{kv_heads} heads of {head_dim}, {rows} rows, {threads} threads: off by {off}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn tables_that_point_outside_are_refused() {
        let make = |table: &[i32], first, length| PageTable::new(table.into(), vec![first], vec![length], 4, PAGE);
        assert!(make(&[0, 3], 0, 32).is_ok());
        assert!(make(&[0, 3], 0, 33).is_err());
        assert!(make(&[0, 3], 1, 17).is_err());
        assert!(make(&[0, 3], -1, 1).is_err());
        assert!(make(&[0, 3], 0, -1).is_err());
        assert!(make(&[0, 3], i64::MAX, i64::MAX).is_err());
        assert!(make(&[0, 4], 0, 1).is_err());
        assert!(make(&[-1], 0, 1).is_err());
        assert!(PageTable::new(vec![], vec![0], vec![], 4, PAGE).is_err());
        assert!(PageTable::new(vec![], vec![], vec![], 4, 0).is_err());

        let keys = tensor(&[3, 2, PAGE, 8], Kind::Float, 1);
        let pages = Pages {
            keys: &keys,
            values: &keys,
        };
        let table = make(&[0], 0, 1).unwrap();
        let queries = tensor(&[1, 32], Kind::Float, 1);
        assert!(paged_attention(&queries, 4, pages, &table, 1.0).is_err());
    }
}
