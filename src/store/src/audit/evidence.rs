//! Rows about the trail itself: that something was erased, shown or has expired.

use serde::Serialize;
use sqlx::PgConnection;

use super::{
    chain::{Chain, Draft, Kind},
    rows::{self, NotWritten},
};
use crate::Unreachable;

/// Why something was not done that has to be written down.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The database is not there.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// It could not be written down.
    #[error("it cannot be written down: {0}")]
    NotWritten(#[from] NotWritten),
    /// Of a Room.
    #[error(transparent)]
    Room(#[from] crate::rooms::Error),
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        Self::Unreachable(error.into())
    }
}

/// A chain of such rows.
#[derive(Default)]
pub struct Evidence(Option<Chain>);

impl Evidence {
    /// Writes a row. Whoever does so within a transaction that is not committed needs another chain.
    ///
    /// # Errors
    /// When the database does not take it.
    pub async fn write(
        &mut self,
        connection: &mut PgConnection,
        kind: Kind,
        request: &str,
        subject: &str,
        event: &impl Serialize,
    ) -> Result<(), NotWritten> {
        // Whether a row was written is not known when that fails: nothing is added behind it.
        let mut chain = self.0.take().unwrap_or_else(Chain::new);
        let row = chain.next(Draft::new(kind, request, subject, event));
        rows::insert(connection, &[&row]).await?;
        chain.advance(&row);
        self.0 = Some(chain);
        Ok(())
    }
}
