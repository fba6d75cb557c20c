//! One way to log, count, trace, and answer probes, shared by every Atelier process.

pub mod admin;
mod exemplars;
mod log;
mod openmetrics;
mod shutdown;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod trace;

pub use admin::{Exposed, Readiness};
pub use exemplars::{Exemplar, Exemplars, Labels};
pub use log::init;
pub use shutdown::shutdown_signal;
pub use trace::Tracing;
