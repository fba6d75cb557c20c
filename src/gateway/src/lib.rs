//! The front door: OpenAI-compatible HTTP in, workers of LlmModels behind it.
//!
//! A request passes, in this order: [`routes`] (surface), [`auth`] with [`keys`] and
//! [`oidc`] (who is it), [`body`] and [`head`]
//! (what do they want), [`name`] and [`resolve`] with [`authz`] (may they), [`limits`] (how
//! much), [`guard`] (may this text), [`complete`] and [`fallback`] (of which model), [`proxy`] with [`balance`],
//! [`outlier`], [`deadline`], [`hold`] and [`upstream`] (which worker, and when), [`relay`] and [`events`] (the answer's
//! way back). A model that somebody else hosts has no workers: [`hosted`] asks its [`provider`]. What the cluster
//! holds is in [`catalog`]; every refusal is a row of the table in [`error`]; [`trace`] and [`metrics`] tell of all this.
//! [`openapi`] describes the surface.
//! [`rooms`] are documents that only some may search and ask about; [`console`] has pages for that. [`shadows`] are copies
//! of requests that a candidate answers in the dark.
//! What is asked and how it ended is written down by [`audit`]; [`feedback`] is what callers say about it.

pub mod adapter;
pub mod audit;
pub mod auth;
pub mod authz;
pub mod balance;
pub mod body;
pub mod cache;
pub mod canary;
pub mod catalog;
pub mod complete;
pub mod config;
pub mod console;
pub mod deadline;
pub mod error;
pub mod events;
pub mod fallback;
pub mod feedback;
pub mod grpc;
pub mod guard;
pub mod head;
pub mod headers;
pub mod hold;
pub mod hosted;
pub mod identity;
pub mod keep_alive;
pub mod keys;
pub mod limits;
pub mod metrics;
pub mod name;
pub mod oidc;
pub mod openapi;
pub mod outlier;
pub mod price;
pub mod provider;
pub mod proxy;
pub mod relay;
pub mod resolve;
pub mod review;
pub mod rooms;
pub mod routes;
pub mod run;
pub mod server;
pub mod shadows;
pub mod tls;
pub mod trace;
pub mod upstream;
pub mod usage;

#[cfg(test)]
mod process_tests;
#[cfg(test)]
mod testing;
