//! What a worker tells on its admin port, under the names that vLLM gave it.

use std::{net::SocketAddr, time::Duration};

use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::timeout;

/// Longest answer of one worker.
const PATIENCE: Duration = Duration::from_secs(3);
/// Largest answer of one worker, in bytes.
const LARGEST: usize = 4 << 20;

/// What one worker tells at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// Requests that wait for their turn.
    pub waiting: f64,
    /// Requests that it has answered.
    pub answered: f64,
    /// Tokens that it has produced; encoders produce none.
    pub tokens: Option<f64>,
    /// Used share of the KV cache, 0 to 1; encoders have none.
    pub cache: Option<f64>,
}

impl Reading {
    /// Reads Prometheus' text format; `None` when it is not a worker's.
    pub fn parse(text: &str) -> Option<Self> {
        Some(Self {
            waiting: sum(text, "vllm:num_requests_waiting")?,
            // Nothing has been answered as long as there is no reason why an answer ended.
            answered: sum(text, "vllm:request_success_total").unwrap_or_default(),
            tokens: sum(text, "vllm:generation_tokens_total"),
            cache: sum(text, "vllm:kv_cache_usage_perc"),
        })
    }
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

/// Asks workers.
pub struct Scraper(Client<HttpConnector, Empty<&'static [u8]>>);

impl Default for Scraper {
    fn default() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(PATIENCE));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .build(connector);
        Self(client)
    }
}

impl Scraper {
    /// What the worker at `address` tells.
    ///
    /// # Errors
    /// When it does not, in words.
    pub async fn read(&self, address: SocketAddr) -> Result<Reading, String> {
        let answer = timeout(PATIENCE, self.text(address)).await;
        let text = answer.unwrap_or_else(|_| Err("no answer in time".into()))?;
        Reading::parse(&text).ok_or_else(|| "it does not tell how many requests wait".into())
    }

    async fn text(&self, address: SocketAddr) -> Result<String, String> {
        let uri = format!("http://{address}/metrics");
        let uri = uri.parse().map_err(|error| format!("{uri}: {error}"))?;
        let response = self.0.get(uri).await.map_err(|error| error.to_string())?;
        if !response.status().is_success() {
            return Err(format!("it answered {}", response.status()));
        }
        let body = Limited::new(response.into_body(), LARGEST).collect().await;
        let body = body.map_err(|error| error.to_string())?;
        String::from_utf8(body.to_bytes().to_vec()).map_err(|error| error.to_string())
    }
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
            answered: 6.0,
            tokens: None,
            cache: Some(0.25),
        };
        assert_eq!(Reading::parse(text), Some(expected));
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
