//! Waiting for states, never longer than needed.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

/// For what takes moments when all is well; a machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(100);

/// Asks again and again until there is an answer. An error counts as "not yet"; the last one is told when
/// patience ends.
///
/// # Errors
/// When patience ends.
pub async fn until<T>(what: &str, patience: Duration, mut ask: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
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
