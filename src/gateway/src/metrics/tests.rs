use axum::http::StatusCode;

use super::*;
use crate::{testing::model, usage::Usage};

fn text(metrics: &Metrics) -> String {
    prometheus::TextEncoder::new()
        .encode_to_string(&metrics.registry.gather())
        .unwrap()
}

#[test]
fn a_request_is_measured_once_with_its_end() {
    let metrics = Metrics::default();
    let of = |end: fn(&mut Observation)| {
        let mut observation = metrics.observe(Operation::Chat, &model("ns", "m"), Instant::now());
        end(&mut observation);
    };
    of(|o| {
        o.streamed(b"data: {}\n\n");
        o.streamed(b"data: {}\n\n");
        o.done();
    });
    of(|_| {});
    of(|o| o.failed("upstream_failed"));
    of(|o| {
        o.answered(StatusCode::TOO_MANY_REQUESTS);
        o.done();
    });
    let text = text(&metrics);
    for (error, name) in [
        ("", "fine"),
        ("client_gone", "left"),
        ("upstream_failed", "broken"),
        ("429", "refused"),
    ] {
        let line = format!("{DURATION}_count{{{ERROR}=\"{error}\",{OPERATION}=\"chat\",{MODEL}=\"ns/m\"}} 1");
        assert!(text.contains(&line), "{name}: {text}");
    }
    assert!(
        text.contains(&format!(
            "{FIRST_TOKEN}_count{{{OPERATION}=\"chat\",{MODEL}=\"ns/m\"}} 1"
        )),
        "{text}"
    );
    assert!(text.contains("atelier_gateway_requests_in_flight 0"), "{text}");
}

#[test]
fn a_deleted_model_leaves_no_series() {
    let metrics = Metrics::default();
    for name in ["m", "other"] {
        let mut observation = metrics.observe(Operation::Chat, &model("ns", name), Instant::now());
        observation.streamed(b"data: {}\n\n");
        observation.used(Usage {
            prompt_tokens: 3,
            completion_tokens: 4,
        });
    }
    metrics.forget(&model("ns", "m"));
    let text = text(&metrics);
    assert!(!text.contains("\"ns/m\""), "{text}");
    assert!(text.contains("\"ns/other\""), "{text}");
}
