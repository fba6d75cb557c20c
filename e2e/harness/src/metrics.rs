//! Metrics in the text format, and how they are got from a plain HTTP port.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Asks a port on loopback for its metrics.
pub async fn metrics(port: u16) -> Result<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect(address).await.context("failed to connect")?;
    stream
        .write_all(b"GET /metrics HTTP/1.0\r\n\r\n")
        .await
        .context("failed to ask for metrics")?;
    let mut text = String::new();
    stream
        .read_to_string(&mut text)
        .await
        .context("failed to read metrics")?;
    Ok(text)
}

/// The sum over all samples of a metric.
pub fn sum(metrics: &str, name: &str) -> f64 {
    // The sum of nothing is minus zero.
    samples(metrics, name).fold(0.0, |sum, (_, value)| sum + value)
}

/// The sums over the samples of a metric that `counts` says to count, by one of their labels.
pub fn sums(metrics: &str, name: &str, by: &str, counts: impl Fn(&str) -> bool) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for (labels, value) in samples(metrics, name).filter(|(labels, _)| counts(labels)) {
        let key = label(labels, by).unwrap_or_default().to_owned();
        *sums.entry(key).or_insert(0.0) += value;
    }
    sums
}

fn samples<'a>(metrics: &'a str, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
    metrics.lines().filter_map(move |line| {
        let rest = line.strip_prefix(name)?;
        let (labels, value) = match rest.strip_prefix('{') {
            Some(rest) => rest.split_once("} ")?,
            None => ("", rest.strip_prefix(' ')?),
        };
        Some((labels, value.trim().parse().ok()?))
    })
}

/// The value of a label among labels.
pub fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = labels.split_once(&format!("{name}=\""))?;
    rest.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
# HELP x Something.
x{verb="PATCH",resource="pods"} 2
x{verb="GET",resource="pods"} 5
x{verb="PATCH",resource="jobs"} 1
x_more{verb="PATCH",resource="pods"} 9
y 3
"#;

    #[test]
    fn samples_are_added_up_by_their_labels() {
        let patched = |labels: &str| label(labels, "verb") == Some("PATCH");
        let found = sums(TEXT, "x", "resource", patched);
        assert_eq!(found, BTreeMap::from([("pods".into(), 2.0), ("jobs".into(), 1.0)]));
        assert!((sum(TEXT, "y") - 3.0).abs() < f64::EPSILON);
    }
}
