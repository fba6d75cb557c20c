//! Metrics in the text format, and how they are got from a plain HTTP port.

use std::net::{Ipv4Addr, SocketAddr};

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

/// The sum over all samples of a metric that `counts` says to count, by their labels.
pub fn sum(metrics: &str, name: &str, counts: impl Fn(&str) -> bool) -> f64 {
    let samples = metrics.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let (labels, value) = match rest.strip_prefix('{') {
            Some(rest) => rest.split_once("} ")?,
            None => ("", rest.strip_prefix(' ')?),
        };
        let value: f64 = value.trim().parse().ok()?;
        counts(labels).then_some(value)
    });
    // The sum of nothing is minus zero.
    samples.fold(0.0, |sum, value| sum + value)
}

/// The value of a label among labels.
pub fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = labels.split_once(&format!("{name}=\""))?;
    rest.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_added_up_by_their_labels() {
        let text =
            "# HELP x\nx{verb=\"PATCH\",resource=\"pods\"} 2\nx{verb=\"GET\"} 5\nx_more{verb=\"PATCH\"} 9\ny 3\n";
        let patched = |labels: &str| label(labels, "verb") == Some("PATCH");
        assert!((sum(text, "x", patched) - 2.0).abs() < f64::EPSILON);
        assert!((sum(text, "y", |_| true) - 3.0).abs() < f64::EPSILON);
    }
}
