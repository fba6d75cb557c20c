//! The progress of several files as one.

use std::sync::{Mutex, PoisonError};

/// Bytes of all files together.
pub(crate) struct Meter<F> {
    state: Mutex<(Vec<u64>, F)>,
    total: Option<u64>,
}

impl<F: FnMut(u64, Option<u64>)> Meter<F> {
    /// One for files of these sizes; `tell` hears bytes on disk and in all.
    pub(crate) fn new(sizes: impl Iterator<Item = Option<u64>>, tell: F) -> Self {
        let sizes: Vec<_> = sizes.collect();
        Self {
            state: Mutex::new((vec![0; sizes.len()], tell)),
            total: sizes.into_iter().sum(),
        }
    }

    /// So many bytes of one file are there.
    pub(crate) fn set(&self, index: usize, bytes: u64) {
        let (of_files, tell) = &mut *self.state.lock().unwrap_or_else(PoisonError::into_inner);
        of_files[index] = bytes;
        tell(of_files.iter().sum(), self.total);
    }
}
