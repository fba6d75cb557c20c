//! Cases that kill parts of the system. They run one by one.

mod apiserver;
mod chart;
mod clients;
mod database;
mod gateways;
mod operator;
mod rooms;
mod shadows;
mod steady;
mod tuning;
mod workers;

/// Held by each case: what one of them breaks, no other may rely on.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
