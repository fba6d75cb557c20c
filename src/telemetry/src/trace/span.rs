//! One span, or none.

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Instant, SystemTime},
};

use axum::http::HeaderMap;
use opentelemetry::{
    Context, KeyValue, Value,
    trace::{Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt as _, Tracer as _},
};
use opentelemetry_sdk::trace::SdkTracer;

use super::w3c;

/// A step of a request. It ends when the last clone is dropped. Where nothing is traced it is empty, and all that is
/// done to it does nothing.
#[derive(Clone, Default)]
pub struct Span(Option<Arc<Recorder>>);

struct Recorder {
    span: Mutex<opentelemetry_sdk::trace::Span>,
    context: SpanContext,
    /// The sampler may have decided against it: then it only passes the trace on.
    is_recording: bool,
    tracer: SdkTracer,
}

impl fmt::Debug for Span {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let context = self.0.as_ref().map(|recorder| &recorder.context);
        formatter.debug_tuple("Span").field(&context).finish()
    }
}

impl Span {
    pub(super) fn start(tracer: &SdkTracer, builder: SpanBuilder, parent: &Context) -> Self {
        let span = tracer.build_with_context(builder, parent);
        Self(Some(Arc::new(Recorder {
            context: span.span_context().clone(),
            is_recording: span.is_recording(),
            span: Mutex::new(span),
            tracer: tracer.clone(),
        })))
    }

    /// Whether anybody will see it.
    pub fn is_recording(&self) -> bool {
        self.0.as_ref().is_some_and(|recorder| recorder.is_recording)
    }

    /// The id of its trace, if anybody will see it.
    pub fn trace_id(&self) -> Option<String> {
        let recorder = self.0.as_ref().filter(|recorder| recorder.is_recording)?;
        Some(recorder.context.trace_id().to_string())
    }

    /// Names it anew.
    pub fn rename(&self, name: impl Into<Cow<'static, str>>) {
        self.change(|span| span.update_name(name));
    }

    /// Sets an attribute. A second value does not replace the first one.
    pub fn set(&self, key: &'static str, value: impl Into<Value>) {
        self.change(|span| span.set_attribute(KeyValue::new(key, value)));
    }

    /// What it stands for failed; `error` is one of few values.
    pub fn fail(&self, error: &str) {
        self.change(|span| {
            span.set_attribute(KeyValue::new("error.type", error.to_owned()));
            span.set_status(Status::error(""));
        });
    }

    /// A step of it.
    pub fn child(&self, name: impl Into<Cow<'static, str>>, kind: SpanKind) -> Self {
        self.build(SpanBuilder::from_name(name).with_kind(kind))
    }

    /// A step of it that is over; with `error`, it failed.
    pub fn past(&self, name: &'static str, from: Instant, to: Instant, attributes: Vec<KeyValue>, error: Option<&str>) {
        if !self.is_recording() {
            return;
        }
        let (instant, time) = (Instant::now(), SystemTime::now());
        let time_of = |then: Instant| time.checked_sub(instant.duration_since(then)).unwrap_or(time);
        let builder = SpanBuilder::from_name(name)
            .with_kind(SpanKind::Internal)
            .with_start_time(time_of(from))
            .with_attributes(attributes);
        let span = self.build(builder);
        if let Some(error) = error {
            span.fail(error);
        }
        span.change(|span| span.end_with_timestamp(time_of(to)));
    }

    /// Makes it the parent that `headers` name. Leaves them alone where nothing is traced.
    pub fn inject(&self, headers: &mut HeaderMap) {
        if let Some(recorder) = &self.0 {
            w3c::inject(&recorder.context, headers);
        }
    }

    fn build(&self, builder: SpanBuilder) -> Self {
        let Some(recorder) = &self.0 else {
            return Self::default();
        };
        let parent = Context::new().with_remote_span_context(recorder.context.clone());
        Self::start(&recorder.tracer, builder, &parent)
    }

    fn change(&self, change: impl FnOnce(&mut opentelemetry_sdk::trace::Span)) {
        if let Some(recorder) = self.0.as_ref().filter(|recorder| recorder.is_recording) {
            change(&mut recorder.span.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}
