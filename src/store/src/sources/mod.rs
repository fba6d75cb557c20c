//! Databases that Rooms ask: somebody else's, each at its own address, with its own user, and apart from everything that
//! Atelier keeps.
//!
//! What is run was written anew by [`rooms::sql::check`], and that is the guard. What is here bounds the rest: a
//! [`Target`] is an address that its Room's Secret says and nothing else of this machine, and [`ask`] takes a connection of
//! its own for one read-only transaction, under limits of time, rows and bytes. Nothing is kept of a connection, for
//! nothing of one question is to be seen by the next. What a database says against a statement goes to nobody: it may
//! quote values.

mod ask;
mod failure;
mod target;

pub use ask::{Limits, ask, probe};
pub use failure::Failure;
pub use target::{BadUrl, Target};
