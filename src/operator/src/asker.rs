//! Questions to pods over HTTP, with an end to patience and to the length of answers.

use std::{net::SocketAddr, time::Duration};

use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

/// Longest attempt to connect.
const CONNECT: Duration = Duration::from_secs(1);
/// Largest answer, in bytes.
const LARGEST: usize = 1 << 20;

/// Asks pods.
pub struct Asker(Client<HttpConnector, Empty<&'static [u8]>>);

impl Default for Asker {
    fn default() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .build(connector);
        Self(client)
    }
}

impl Asker {
    /// The JSON at `path` of `address`.
    ///
    /// # Errors
    /// When there is none in time, in words.
    pub async fn json<T: DeserializeOwned>(
        &self,
        address: SocketAddr,
        path: &str,
        patience: Duration,
    ) -> Result<T, String> {
        let answer = timeout(patience, self.bytes(address, path)).await;
        let bytes = answer.unwrap_or_else(|_| Err("no answer in time".into()))?;
        serde_json::from_slice(&bytes).map_err(|error| error.to_string())
    }

    async fn bytes(&self, address: SocketAddr, path: &str) -> Result<Vec<u8>, String> {
        let uri = format!("http://{address}{path}");
        let uri = uri.parse().map_err(|error| format!("{uri}: {error}"))?;
        let response = self.0.get(uri).await.map_err(|error| error.to_string())?;
        if !response.status().is_success() {
            return Err(format!("it answered {}", response.status()));
        }
        let body = Limited::new(response.into_body(), LARGEST).collect().await;
        Ok(body.map_err(|error| error.to_string())?.to_bytes().to_vec())
    }
}
