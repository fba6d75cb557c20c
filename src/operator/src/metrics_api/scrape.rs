//! What a worker tells of itself: ours on its admin port, under the names that vLLM gave it, those of others where
//! their pods say, under names of their own.

use std::{net::SocketAddr, time::Duration};

use api::names::ANNOTATION_METRICS;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use protocol::ports::WORKER_ADMIN;

use crate::asker::Asker;

/// Longest answer of one worker.
const PATIENCE: Duration = Duration::from_secs(3);

/// What one worker tells at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// Requests that wait for their turn.
    pub waiting: f64,
    /// Requests that it has answered; llama.cpp does not count them.
    pub answered: Option<f64>,
    /// Tokens that it has produced; encoders produce none.
    pub tokens: Option<f64>,
    /// Used share of the KV cache, 0 to 1; encoders have none.
    pub cache: Option<f64>,
}

/// How an engine names what it counts.
struct Names {
    waiting: &'static str,
    answered: Option<&'static str>,
    tokens: &'static str,
    cache: Option<&'static str>,
}

/// The names of vLLM, which our workers share, SGLang, TGI and llama.cpp.
const ENGINES: [Names; 4] = [
    Names {
        waiting: "vllm:num_requests_waiting",
        answered: Some("vllm:request_success_total"),
        tokens: "vllm:generation_tokens_total",
        cache: Some("vllm:kv_cache_usage_perc"),
    },
    Names {
        waiting: "sglang:num_queue_reqs",
        answered: Some("sglang:num_requests_total"),
        tokens: "sglang:generation_tokens_total",
        cache: Some("sglang:token_usage"),
    },
    Names {
        waiting: "tgi_queue_size",
        answered: Some("tgi_request_success"),
        tokens: "tgi_request_generated_tokens_sum",
        cache: None,
    },
    Names {
        waiting: "llamacpp:requests_deferred",
        answered: None,
        tokens: "llamacpp:tokens_predicted_total",
        cache: None,
    },
];

impl Reading {
    /// Reads Prometheus' text format; `None` when no engine's names are in it.
    pub fn parse(text: &str) -> Option<Self> {
        ENGINES.iter().find_map(|names| {
            Some(Self {
                waiting: sum(text, names.waiting)?,
                // Nothing has been answered as long as there is no reason why an answer ended.
                answered: names.answered.map(|name| sum(text, name).unwrap_or_default()),
                tokens: sum(text, names.tokens),
                cache: names.cache.and_then(|name| sum(text, name)),
            })
        })
    }
}

/// Port and path of a worker's metrics.
pub fn place(pod: &Pod) -> Option<(u16, &str)> {
    let Some(told) = pod.annotations().get(ANNOTATION_METRICS) else {
        return Some((WORKER_ADMIN, "/metrics"));
    };
    let (port, path) = told.split_at(told.find('/')?);
    Some((port.parse().ok()?, path))
}

/// The sum of all series of a metric; `None` without any, or when one is no number.
fn sum(text: &str, name: &str) -> Option<f64> {
    let values = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        // Labels may hold anything but a closing brace at their end.
        let value = match rest.strip_prefix('{') {
            Some(labelled) => labelled.rsplit_once('}')?.1,
            None => rest.strip_prefix(' ')?,
        };
        value.split_whitespace().next()
    });
    let values: Vec<_> = values
        .map(|value| value.parse::<f64>().ok().filter(|it| it.is_finite()))
        .collect();
    let first = values.first()?.is_some();
    values.into_iter().sum::<Option<f64>>().filter(|_| first)
}

/// What the worker tells at `path` of `address`.
///
/// # Errors
/// When it does not, in words.
pub async fn read(asker: &Asker, address: SocketAddr, path: &str) -> Result<Reading, String> {
    let text = asker.bytes(address, path, PATIENCE).await?;
    Reading::parse(&String::from_utf8_lossy(&text)).ok_or_else(|| "it does not tell how many requests wait".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_add_up() {
        let text = r#"# HELP vllm:num_requests_waiting Requests that wait.
vllm:num_requests_waiting{model_name="a } b"} 3
vllm:num_requests_waiting_total 9
vllm:request_success_total{finished_reason="stop"} 4
vllm:request_success_total{finished_reason="length"} 2 1700000000000
vllm:kv_cache_usage_perc 0.25
"#;
        let expected = Reading {
            waiting: 3.0,
            answered: Some(6.0),
            tokens: None,
            cache: Some(0.25),
        };
        assert_eq!(Reading::parse(text), Some(expected));
    }

    #[test]
    fn engines_of_others_are_understood() {
        let sglang = "sglang:num_queue_reqs{model_name=\"m\"} 2\nsglang:num_requests_total 9\n\
                      sglang:generation_tokens_total 80\nsglang:token_usage 0.28\n";
        let tgi = "tgi_queue_size 2\ntgi_request_success{method=\"a\"} 4\ntgi_request_success{method=\"b\"} 5\n\
                   tgi_request_generated_tokens_sum 80\ntgi_request_generated_tokens_count 9\n";
        // As a llama-server says it.
        let llama =
            "llamacpp:tokens_predicted_total 80\nllamacpp:requests_processing 1\nllamacpp:requests_deferred 2\n";
        for (text, answered, cache) in [
            (sglang, Some(9.0), Some(0.28)),
            (tgi, Some(9.0), None),
            (llama, None, None),
        ] {
            let expected = Reading {
                waiting: 2.0,
                answered,
                tokens: Some(80.0),
                cache,
            };
            assert_eq!(Reading::parse(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn pods_say_where_their_metrics_are() {
        let pod = |annotations: serde_json::Value| {
            serde_json::from_value::<Pod>(serde_json::json!({"metadata": {"annotations": annotations}})).unwrap()
        };
        let named = |text: &str| pod(serde_json::json!({ANNOTATION_METRICS: text}));
        assert_eq!(place(&pod(serde_json::json!({}))), Some((9090, "/metrics")));
        assert_eq!(place(&named("8080/stats/all")), Some((8080, "/stats/all")));
        for text in ["", "8080", "/metrics", "99999/metrics"] {
            assert_eq!(place(&named(text)), None, "{text}");
        }
    }

    #[test]
    fn what_is_not_told_is_not_zero() {
        for text in [
            "",
            "up 1",
            "vllm:num_requests_waiting NaN",
            "vllm:num_requests_waiting{a=\"b\"}",
            "vllm:num_requests_waiting many",
        ] {
            assert_eq!(Reading::parse(text), None, "{text}");
        }
    }
}
