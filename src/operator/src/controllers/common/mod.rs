//! What the controllers have in common: the loop around their passes, the ways in which these fail, and how children
//! are compared, claimed and written.

pub mod apply;
pub mod backoff;
pub mod canonical;
pub mod cron;
pub mod dereference;
pub mod drift;
pub mod duration;
pub mod gateway_api;
pub mod jobs;
pub mod notices;
pub mod ownership;
pub mod passes;
pub mod pods;
pub mod quantity;
pub mod reconcile;
pub mod trouble;
pub mod turns;
