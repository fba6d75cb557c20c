//! The operator: brings the cluster to what LlmModels, FineTuneJobs and Rooms ask for.
//!
//! ```text
//!  watches (metadata only) -> queue -> reconcile one object:
//!    dereference (reads)  what exists now
//!    validate    (pure)   what is asked for, or every fault of it
//!    decide      (pure)   children to write and to delete, facts for the status
//!    apply       (writes) server-side apply, deletes with a uid precondition
//!    status      (pure, then one write if anything changed)
//! ```
//!
//! Only the holder of the Lease reconciles; every write checks that it still holds it.

pub mod asker;
pub mod cli;
pub mod cluster;
pub mod controllers;
pub mod events;
pub mod gateway_call;
pub mod gateways;
pub mod http_route;
pub mod lease;
pub mod metrics;
pub mod metrics_api;
pub mod room_contents;
pub mod run;
pub mod shadow_pairs;
pub mod watches;
