//! Rows are quantized independently of each other: on all cores, with the same result on any number.

use std::thread;

/// Calls `work` for each row of `columns` numbers with its `row_bytes` bytes of `out`. The last row
/// may be shorter.
pub(super) fn rows(
    numbers: &[f32],
    columns: usize,
    out: &mut [u8],
    row_bytes: usize,
    work: impl Fn(&[f32], &mut [u8]) + Sync,
) {
    let count = numbers.len().div_ceil(columns);
    let each = count.div_ceil(engine::available_threads()).max(1);
    let work = &work;
    let part = move |numbers: &[f32], out: &mut [u8]| {
        for (row, out) in numbers.chunks(columns).zip(out.chunks_mut(row_bytes)) {
            work(row, out);
        }
    };
    thread::scope(|scope| {
        for (numbers, out) in numbers.chunks(each * columns).zip(out.chunks_mut(each * row_bytes)) {
            scope.spawn(move || part(numbers, out));
        }
    });
}

/// Calls `work` for each row of `columns` numbers, which it may change, with its `row_bytes` bytes of
/// `out`.
pub(super) fn rows_mut(
    numbers: &mut [f32],
    columns: usize,
    out: &mut [u8],
    row_bytes: usize,
    work: impl Fn(usize, &mut [f32], &mut [u8]) + Sync,
) {
    let count = numbers.len().div_ceil(columns);
    let each = count.div_ceil(engine::available_threads()).max(1);
    let work = &work;
    thread::scope(|scope| {
        let parts = numbers.chunks_mut(each * columns).zip(out.chunks_mut(each * row_bytes));
        for (index, (numbers, out)) in parts.enumerate() {
            scope.spawn(move || {
                let rows = numbers.chunks_mut(columns).zip(out.chunks_mut(row_bytes));
                for (row, (numbers, out)) in rows.enumerate() {
                    work(index * each + row, numbers, out);
                }
            });
        }
    });
}
