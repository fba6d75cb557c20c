//! Ports that pods listen on. Services, probes and NetworkPolicies name the same numbers.

/// The worker's OpenAI-compatible HTTP API.
pub const WORKER_API: u16 = 8000;
/// The worker's probes and metrics: `/healthz`, `/readyz`, `/metrics`.
pub const WORKER_ADMIN: u16 = 9090;
/// The gateway's public HTTP API.
pub const GATEWAY_API: u16 = 8080;
/// The gateway's public gRPC API.
pub const GATEWAY_GRPC: u16 = 8081;
/// The gateway's probes and metrics.
pub const GATEWAY_ADMIN: u16 = 9090;
/// The operator's probes and metrics.
pub const OPERATOR_ADMIN: u16 = 9090;
/// The operator's metrics for autoscalers, which the API server passes on.
pub const OPERATOR_METRICS_API: u16 = 8443;
/// Where the members of a training meet.
pub const TRAIN_RING: u16 = 9400;
