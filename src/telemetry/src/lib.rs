//! One way to log, count, and answer probes, shared by every Atelier process.

pub mod admin;
mod log;
mod shutdown;

pub use admin::Readiness;
pub use log::init;
pub use shutdown::shutdown_signal;
