//! What the operator, the gateway and the worker say to each other.
//!
//! The operator must not depend on libtorch and the worker must not depend on Kubernetes, so the
//! few facts that cross between them live here: ports, file places, and the report of `prepare`,
//! which travels through the pod's termination message.

pub mod adapters;
pub mod compression;
pub mod evaluation;
pub mod headers;
pub mod ingest;
pub mod memory;
pub mod paths;
pub mod ports;
pub mod quarantine;
pub mod redteam;
pub mod report;
pub mod rooms;
pub mod score;
pub mod shadows;
pub mod traffic;
pub mod tune;

pub use adapters::{
    AdapterReport, AdapterSource, AdapterState, AdaptersAnswer, AdaptersReport, WantedAdapter, WantedAdapters,
};
pub use compression::CompressionEstimate;
pub use evaluation::{EvaluationOutcome, EvaluationReport, SuiteScore};
pub use memory::{MemoryEstimate, ServingShape};
pub use report::{CompressionReport, ModelFacts, PrepareFailure, PrepareOutcome, PrepareReport, Progress, Stage};
pub use traffic::{Held, HeldModel, Latencies, ModelTraffic, Traffic, VersionTraffic};
