//! Whose pass is next: what people ask for goes before the echoes of what is under way.
//!
//! Every change of a model is followed by news of its children, each worth a pass. With many models under way these
//! would keep a new change waiting for all of them. So they get half of the places, and wait behind new changes for
//! those.

use tokio::sync::{Semaphore, SemaphorePermit};

/// Places for passes.
pub struct Turns {
    all: Semaphore,
    echoes: Semaphore,
}

/// A pass that goes on. Its place is free again when it is dropped.
pub struct Turn<'a> {
    _place: Option<SemaphorePermit<'a>>,
    _echo: Option<SemaphorePermit<'a>>,
}

impl Turns {
    /// So many passes at a time.
    pub fn new(concurrency: u16) -> Self {
        let all = usize::from(concurrency.max(1));
        Self {
            all: Semaphore::new(all),
            echoes: Semaphore::new(all.div_ceil(2)),
        }
    }

    /// Waits for a place. The semaphores are never closed, so there is one in the end.
    pub async fn take(&self, is_new: bool) -> Turn<'_> {
        let echo = match is_new {
            true => None,
            false => self.echoes.acquire().await.ok(),
        };
        Turn {
            _place: self.all.acquire().await.ok(),
            _echo: echo,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn new_changes_do_not_wait_for_all_echoes() {
        let turns = Turns::new(4);
        let first = turns.take(false).await;
        let second = turns.take(false).await;
        assert!(turns.take(false).now_or_never().is_none(), "echoes have two places");
        let third = turns.take(true).await;
        let _fourth = turns.take(true).await;
        assert!(turns.take(true).now_or_never().is_none(), "there are four places");
        drop(first);
        let _fifth = turns.take(true).await;
        drop((second, third));
        assert!(turns.take(false).now_or_never().is_some());
    }
}
