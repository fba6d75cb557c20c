//! Structured logs on standard error.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// Starts logging for the process `component`.
///
/// Lines are JSON, or plain text on a terminal. `ATELIER_LOG` sets the filter in the syntax of
/// `RUST_LOG` (default `info`). A second call in one process (tests) changes nothing.
pub fn init(component: &'static str) {
    let filter = EnvFilter::try_from_env("ATELIER_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let registry = tracing_subscriber::registry().with(filter);
    let started = if std::io::stderr().is_terminal() {
        registry.with(fmt::layer().with_writer(std::io::stderr)).try_init()
    } else {
        registry
            .with(fmt::layer().json().flatten_event(true).with_writer(std::io::stderr))
            .try_init()
    };
    if started.is_ok() {
        tracing::info!(component, version = env!("CARGO_PKG_VERSION"), "started");
    }
}
