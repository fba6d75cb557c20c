//! Spans that have ended, on their way to the exporter.

use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanProcessor},
};
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use tokio::sync::mpsc;

/// What became of spans.
#[derive(Clone, Debug)]
pub struct Counts {
    /// The collector has them.
    pub exported: IntCounter,
    /// There was no room for them.
    pub queue_full: IntCounter,
    /// The collector could not be reached, or did not answer.
    pub failed: IntCounter,
    /// The collector does not want them.
    pub rejected: IntCounter,
}

impl Counts {
    /// Registers them.
    ///
    /// # Errors
    /// When they are there already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let spans = IntCounterVec::new(
            Opts::new(
                "atelier_trace_spans_total",
                "Spans by outcome: exported to the collector, or dropped because the queue was full, the export failed, \
                 or the collector rejected them.",
            ),
            &["outcome"],
        )?;
        registry.register(Box::new(spans.clone()))?;
        let of = |outcome| spans.with_label_values(&[outcome]);
        Ok(Self {
            exported: of("exported"),
            queue_full: of("queue_full"),
            failed: of("failed"),
            rejected: of("rejected"),
        })
    }
}

/// A queue that nobody waits for: what has no room in it is dropped.
#[derive(Debug)]
pub struct Queue {
    spans: mpsc::Sender<SpanData>,
    counts: Counts,
}

impl Queue {
    /// A queue for so many spans, and its other end.
    pub fn new(length: usize, counts: Counts) -> (Self, mpsc::Receiver<SpanData>) {
        let (spans, received) = mpsc::channel(length);
        (Self { spans, counts }, received)
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.spans.try_send(span).is_err() {
            self.counts.queue_full.inc();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    // The exporter is told by whoever owns it, and awaited.
    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}
