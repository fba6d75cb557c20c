//! What outlives every pod: the audit trail and feedback, in PostgreSQL.
//!
//! [`Database`] is where they are. [`audit::Log`] writes the trail, [`audit::seal`] signs what it has become,
//! [`audit::verify`](audit::verify()) walks it, and [`feedback`] ties what callers say to what they got.

pub mod audit;
mod database;
pub mod feedback;
#[cfg(feature = "testing")]
pub mod testing;

pub use database::{Database, Unreachable};
