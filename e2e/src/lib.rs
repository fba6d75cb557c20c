//! What the tests on the real cluster share: `cargo xtask e2e` runs them.
//!
//! Seven suites: `tests/calm` leaves the control plane in peace, and its cases run side by side, each in
//! a namespace of its own; `tests/faults` kills parts of the system, and its cases run one by one; `tests/rooms` and
//! `tests/shadow` have the chart's database on, and otherwise are like the first; `tests/corpora` and `tests/verdicts` print
//! figures, take long, and run only where they are named, as does `tests/envoy`, which has an implementation of Gateway API
//! in the cluster.
//! Nothing is simulated: the apiserver, the kubelet, the worker and the model are real.

pub mod adapter;
pub mod adapter_hub;
pub mod audit;
pub mod checkout;
pub mod database;
pub mod envoy;
pub mod files;
pub mod forward;
pub mod gateway;
pub mod gateway_api;
pub mod helm;
pub mod hosted;
pub mod hub;
pub mod installation;
pub mod kubectl;
pub mod model;
pub mod namespace;
pub mod nodes;
pub mod operator;
pub mod plugin;
pub mod registry;
pub mod room;
pub mod s3;
pub mod settings;
pub mod shadow;
pub mod traffic;
pub mod tuning;
pub mod volume;
pub mod wait;

pub use model::Model;
pub use namespace::{Namespace, with_namespace};
pub use room::Room;
pub use shadow::Shadow;
pub use tuning::Tuning;
