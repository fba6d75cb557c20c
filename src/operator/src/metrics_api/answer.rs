//! The objects that are answered with.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Metric;

/// `group/version` of the API.
pub const GROUP_VERSION: &str = "external.metrics.k8s.io/v1beta1";

/// The one value of `metric`.
pub fn values(metric: Metric, value: f64, now: Timestamp) -> Value {
    json!({
        "kind": "ExternalMetricValueList",
        "apiVersion": GROUP_VERSION,
        "metadata": {},
        "items": [{
            "metricName": metric.name(),
            "metricLabels": {},
            "timestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "value": quantity(value),
        }],
    })
}

/// To thousandths, as autoscalers reckon.
fn quantity(value: f64) -> String {
    // A float cast to an integer saturates.
    let thousandths = (value * 1000.0).round() as i64;
    match thousandths % 1000 {
        0 => (thousandths / 1000).to_string(),
        _ => format!("{thousandths}m"),
    }
}

/// A refusal, as Kubernetes writes it.
pub fn refusal(status: StatusCode, message: &str) -> Response {
    let reason = match status {
        StatusCode::UNAUTHORIZED => "Unauthorized",
        StatusCode::BAD_REQUEST => "BadRequest",
        StatusCode::NOT_FOUND => "NotFound",
        StatusCode::METHOD_NOT_ALLOWED => "MethodNotAllowed",
        _ => "ServiceUnavailable",
    };
    let body = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "reason": reason,
        "message": message,
        "code": status.as_u16(),
    });
    (status, Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0.0, "0")]
    #[case(4.0, "4")]
    #[case(0.25, "250m")]
    #[case(12.3456, "12346m")]
    #[case(1e300, "9223372036854775807m")]
    fn values_are_quantities(#[case] value: f64, #[case] text: &str) {
        assert_eq!(quantity(value), text);
    }
}
