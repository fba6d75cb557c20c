//! Memory for copies and for live answers that wait to be compared, bounded for all of a gateway.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// All that is held at once, in bytes: nothing that live requests are refused for.
const TOTAL: usize = 64 << 20;
/// Counted by.
const UNIT: usize = 1 << 10;

/// The memory of a gateway.
#[derive(Clone, Debug)]
pub struct Memory(Arc<Semaphore>);

/// A part of it, until it is dropped.
#[derive(Debug)]
pub struct Share {
    memory: Memory,
    permit: Option<OwnedSemaphorePermit>,
}

impl Default for Memory {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(TOTAL / UNIT)))
    }
}

impl Memory {
    /// A share of nothing, which may grow.
    pub fn share(&self) -> Share {
        Share {
            memory: self.clone(),
            permit: None,
        }
    }
}

impl Share {
    /// Makes room for so many bytes in all; `false` if there is none.
    pub fn grow(&mut self, bytes: usize) -> bool {
        let held = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = bytes.div_ceil(UNIT).saturating_sub(held);
        if missing == 0 {
            return true;
        }
        let Some(more) = u32::try_from(missing)
            .ok()
            .and_then(|missing| self.memory.0.clone().try_acquire_many_owned(missing).ok())
        else {
            return false;
        };
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_shared_and_given_back() {
        let memory = Memory::default();
        let (mut one, mut other) = (memory.share(), memory.share());
        assert!(one.grow(TOTAL - UNIT) && other.grow(1));
        assert!(!other.grow(UNIT + 1), "there is no more");
        assert!(other.grow(UNIT), "that much it has");
        drop(one);
        assert!(other.grow(TOTAL));
        drop(other);
        assert_eq!(memory.0.available_permits(), TOTAL / UNIT);
    }
}
