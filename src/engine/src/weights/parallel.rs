//! The same work for many, on several threads.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

/// Calls `make` for 0..count on several threads and returns the results in order.
pub(super) fn in_parallel<T: Send, E: Send>(
    count: usize,
    threads: usize,
    make: impl Fn(usize) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let next = AtomicUsize::new(0);
    let made = Mutex::new(Vec::with_capacity(count));
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, count.max(1)) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        return;
                    }
                    let result = make(index);
                    let failed = result.is_err();
                    made.lock()
                        .expect("no thread panics with the lock")
                        .push((index, result));
                    if failed {
                        return;
                    }
                }
            });
        }
    });
    let mut made = made.into_inner().expect("no thread panics with the lock");
    made.sort_by_key(|(index, _)| *index);
    made.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order() {
        let squares: Result<Vec<usize>, ()> = in_parallel(50, 4, |i| Ok(i * i));
        assert_eq!(squares.unwrap()[49], 2401);
        assert_eq!(in_parallel(9, 3, |i| if i == 4 { Err(i) } else { Ok(i) }), Err(4));
    }
}
