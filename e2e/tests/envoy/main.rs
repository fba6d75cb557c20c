//! Models behind a real implementation of Gateway API: requests come by Envoy, and what its controller says of HTTPRoutes is read
//! back. Cases run one by one, and only where the suite is named, because Envoy Gateway is built first.

mod count;
mod mirror;
mod weights;

/// Held by each case: the Gateway is theirs alone.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
