//! What outlives every pod: the audit trail, feedback, what was spent, the documents of Rooms, and pairs of answers, in
//! PostgreSQL.
//!
//! [`Database`] is where they are. [`audit::Log`] writes the trail, [`audit::seal`] signs what it has become,
//! [`audit::verify`](audit::verify()) walks it, and [`feedback`] ties what callers say to what they got. [`spending`]
//! adds up money, [`rooms`] keeps documents for those who may see them, and [`shadows`] what ShadowDeployments measure.
//! [`sources`] are databases of others, which are asked and nothing else.

pub mod audit;
mod database;
pub mod feedback;
pub mod rooms;
pub mod shadows;
pub mod sources;
pub mod spending;
#[cfg(feature = "testing")]
pub mod testing;

pub use database::{Database, Unreachable};
