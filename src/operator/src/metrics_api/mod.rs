//! Serves `external.metrics.k8s.io`, which HorizontalPodAutoscalers read.

mod metric;

pub use metric::Metric;
