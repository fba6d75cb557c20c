//! Waiting for the cluster: long enough for a slow machine, and never longer than needed.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

/// Longest wait for one thing. Only a thing that never comes takes as long.
pub const PATIENCE: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(250);

/// Asks again and again until there is an answer. An error counts as "not yet": the apiserver may be
/// restarting; the last one is told when patience ends.
pub async fn until<T>(what: &str, ask: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    within(PATIENCE, what, ask).await
}

/// The same for what takes long even on a fast machine.
pub async fn within<T>(patience: Duration, what: &str, mut ask: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        let why = match ask().await {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) => String::new(),
            Err(error) => format!(": {error:#}"),
        };
        if Instant::now() >= deadline {
            return Err(anyhow!("gave up waiting for {what}{why}"));
        }
        tokio::time::sleep(POLL).await;
    }
}
