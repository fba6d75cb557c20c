//! The audit trail.
//!
//! A request leaves two rows: one that *opens* it, before anything is asked of a model, and one that *closes* it when
//! its answer has ended. A request that is refused before leaves one row, as full as the others. A row that opens and is
//! never closed belongs to a process that died.
//!
//! # Chains
//! Each process writes a chain of its own: `h_n = SHA-256(h_(n-1) || canonical row n)`, and `h_0` is made of the chain's
//! name, which is random. With one chain for all, replicas would have to take turns, one commit at a time, and the
//! database's latency would bound them all together. What one chain for all would give, an order over everything,
//! comes from [`seal`] instead: a Merkle root over the heads of all chains, linked to the root before, signed, and told to
//! somebody outside.
//!
//! A chain shows that a row was changed, taken out or moved. Who can rewrite a whole chain, or cut off its end, is found out
//! by the roots: rows that are younger than the last one are not protected from them yet.
//!
//! # Modes
//! [`Mode::Strict`]: a row counts when the database has committed it; until then its request waits. Rows that come
//! together are committed together. [`Mode::Buffered`]: a row counts when it lies in a local file, from where it goes to the
//! database in the background; a process that is killed leaves the file to the next one. Both are bounded, and both refuse
//! what they can no longer keep: no row that counted is ever dropped. The row that closes a request has its place from
//! the time on at which the request was opened.
//!
//! # Contents
//! Prompts and answers are kept only where somebody asks for it, encrypted, and can be made unreadable: see [`content`].
//! Contents and rows expire apart: see [`retention`]. Without settings neither is kept or goes.

mod chain;
pub mod content;
mod evidence;
mod log;
mod merkle;
pub mod retention;
mod rows;
pub mod seal;
mod spool;
pub mod verify;
mod writer;

pub use chain::{Draft, Kind, Row};
pub use evidence::Failed;
pub use log::{Committed, Log, Mode, Opened, Place, Settings, Stats, Unavailable};
pub use verify::{ChainReport, Range, Report, verify};
