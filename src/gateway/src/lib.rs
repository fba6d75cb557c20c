//! The front door: OpenAI-compatible HTTP in, workers of LlmModels behind it.
//!
//! A request passes, in this order: [`routes`] (surface), [`auth`] with [`keys`] and
//! [`oidc`] (who is it), [`body`] and [`head`]
//! (what do they want), [`name`] and [`resolve`] with [`authz`] (may they), [`proxy`] with [`balance`],
//! [`hold`] and [`upstream`] (which worker, and when), [`relay`] and [`events`] (the answer's way back). A model that
//! somebody else hosts has no workers: [`hosted`] asks its [`provider`]. What the cluster
//! holds is in [`catalog`]; every refusal is a row of the table in [`error`].
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
pub mod config;
pub mod error;
pub mod events;
pub mod feedback;
pub mod head;
pub mod headers;
pub mod hold;
pub mod hosted;
pub mod identity;
pub mod keys;
pub mod metrics;
pub mod name;
pub mod oidc;
pub mod price;
pub mod provider;
pub mod proxy;
pub mod relay;
pub mod resolve;
pub mod review;
pub mod routes;
pub mod run;
pub mod server;
pub mod upstream;
pub mod usage;

#[cfg(test)]
mod process_tests;
#[cfg(test)]
mod testing;
