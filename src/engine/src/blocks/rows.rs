//! The order of the rows of query and key. Files of some families pair neighbouring rows for the
//! rotary embedding ([`gguf::Architecture::permuted`]); the network pairs the halves of a head.

use tch::{TchError, Tensor};

/// From the order of such files to that of the network: `[heads head_dim, columns]`.
///
/// # Errors
/// When the rows do not divide into heads of an even width.
pub fn unpermuted(rows: &Tensor, heads: i64) -> Result<Tensor, TchError> {
    let half = rows.size()[0] / heads / 2;
    swapped(rows, [heads, half, 2])
}

/// The way back.
///
/// # Errors
/// As [`unpermuted`].
pub fn permuted(rows: &Tensor, heads: i64) -> Result<Tensor, TchError> {
    let half = rows.size()[0] / heads / 2;
    swapped(rows, [heads, 2, half])
}

fn swapped(rows: &Tensor, [heads, first, second]: [i64; 3]) -> Result<Tensor, TchError> {
    let grouped = rows.f_reshape([heads, first, second, -1])?;
    grouped.f_transpose(1, 2)?.f_reshape(rows.size())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_head_come_in_halves_and_go_back() {
        // One head of width 4: files store 0 1 2 3 as 0 2 1 3.
        let stored = Tensor::from_slice(&[0i64, 2, 1, 3]).view([4, 1]);
        let rows = unpermuted(&stored, 1).unwrap();
        assert_eq!(Vec::<i64>::try_from(rows.view([-1])).unwrap(), [0, 1, 2, 3]);
        assert_eq!(permuted(&rows, 1).unwrap(), stored);
    }
}
