//! A proxy between the operator and the real API server that makes it misbehave by a plan.
//!
//! ```text
//!  operator --HTTP on loopback--> proxy --TLS, the operator's own credentials--> kube-apiserver
//! ```
//!
//! Every call passes unchanged unless a [`Rule`] of the [`Plan`] says otherwise: a write is refused, delayed or
//! left without an answer, before it takes effect or after; a read is answered from memory; a watch loses an event
//! and ends with 410. Calls are chosen by their number, never by the clock, so that a seed repeats a run as
//! nearly as a real server allows. What passed is kept in a log, from which writes are counted.

mod body;
mod call;
mod log;
mod plan;
mod proxy;
mod serve;
mod watch;

pub use call::{Call, Verb};
pub use log::{Entry, Log};
pub use plan::{Action, On, Plan, Rule};
pub use proxy::{Door, Proxy};
