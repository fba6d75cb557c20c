//! A layer's keys and values in pages.

use tch::{TchError, Tensor};

use crate::{
    arguments::{dense, kind_code},
    ffi,
};

/// Keys and values of one layer, `[pages, kv_heads, page size, head_dim]` each.
#[derive(Clone, Copy, Debug)]
pub struct Pages<'a> {
    /// Keys, rotated.
    pub keys: &'a Tensor,
    /// Values.
    pub values: &'a Tensor,
}

/// What they turned out to be.
pub(crate) struct Checked {
    pub pages: i64,
    pub kv_heads: i64,
    pub page_size: i64,
    pub head_dim: i64,
    pub kind: tch::Kind,
    pub raw: ffi::Pages,
}

impl Pages<'_> {
    pub(crate) fn check(&self) -> Result<Checked, TchError> {
        let (pages, kv_heads, page_size, head_dim) = self.keys.size4()?;
        let kind = self.keys.f_kind()?;
        let shape = [pages, kv_heads, page_size, head_dim];
        dense("the keys", self.keys, kind, &shape)?;
        dense("the values", self.values, kind, &shape)?;
        Ok(Checked {
            pages,
            kv_heads,
            page_size,
            head_dim,
            kind,
            raw: ffi::Pages {
                keys: self.keys.data_ptr().cast(),
                values: self.values.data_ptr().cast(),
                kind: kind_code("the keys", kind)?,
                kv_heads,
                head_dim,
                page_size,
            },
        })
    }
}
