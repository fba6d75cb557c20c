//! Verdicts about real candidates, from hundreds of pairs each, with the figures that they rest on. Cases run one by one, and
//! only where the suite is named.

mod chain;
mod real;

/// Held by each case: times of answers are compared.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
