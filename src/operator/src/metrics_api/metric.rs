//! What is served.

use api::llmmodel::AutoscalingMetric;

/// A measure of one version of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Metric {
    /// Requests under way at its workers, and held for them.
    InFlight,
    /// Seconds that a request waits before it is computed.
    QueueSeconds,
    /// Tokens that its workers produce each second.
    TokensPerSecond,
    /// The used share of the KV cache, in percent, as a mean over its workers.
    KvCacheUsage,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::InFlight,
        Self::QueueSeconds,
        Self::TokensPerSecond,
        Self::KvCacheUsage,
    ];

    /// What a target of an LlmModel is measured by; `None` for what the cluster measures itself.
    pub fn of(target: AutoscalingMetric) -> Option<Self> {
        match target {
            AutoscalingMetric::InFlight => Some(Self::InFlight),
            AutoscalingMetric::QueueSeconds => Some(Self::QueueSeconds),
            AutoscalingMetric::TokensPerSecond => Some(Self::TokensPerSecond),
            AutoscalingMetric::KvCacheUsage => Some(Self::KvCacheUsage),
            AutoscalingMetric::CPU => None,
        }
    }

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::InFlight => "atelier_requests_in_flight",
            Self::QueueSeconds => "atelier_queue_seconds",
            Self::TokensPerSecond => "atelier_tokens_per_second",
            Self::KvCacheUsage => "atelier_kv_cache_usage_percent",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.name() == name)
    }

    /// Whether the value is a sum over the workers.
    pub fn adds_up(self) -> bool {
        match self {
            Self::InFlight | Self::TokensPerSecond => true,
            Self::QueueSeconds | Self::KvCacheUsage => false,
        }
    }
}
