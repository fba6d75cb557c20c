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
const LARGEST: usize = 4 << 20;

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
        let bytes = self.bytes(address, path, patience).await?;
        serde_json::from_slice(&bytes).map_err(|error| error.to_string())
    }

    /// What is at `path` of `address`.
    ///
    /// # Errors
    /// When there is nothing in time, in words.
    pub async fn bytes(&self, address: SocketAddr, path: &str, patience: Duration) -> Result<Vec<u8>, String> {
        let answer = timeout(patience, self.ask(address, path)).await;
        answer.unwrap_or_else(|_| Err("no answer in time".into()))
    }

    async fn ask(&self, address: SocketAddr, path: &str) -> Result<Vec<u8>, String> {
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

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    /// A pod that gives one answer.
    async fn pod(answer: String) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut connection, _) = listener.accept().await.unwrap();
            let _ = connection.read(&mut [0; 1024]).await.unwrap();
            // Whoever has read enough hangs up.
            let _ = connection.write_all(answer.as_bytes()).await;
        });
        address
    }

    async fn ask(answer: String) -> Result<Vec<u32>, String> {
        Asker::default()
            .json(pod(answer).await, "/x", Duration::from_secs(30))
            .await
    }

    #[tokio::test]
    async fn only_a_good_answer_of_some_length_counts() {
        let answer =
            |status: &str, body: &str| format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        assert_eq!(ask(answer("200 OK", "[1, 2]")).await, Ok(vec![1, 2]));
        for (answer, says) in [
            (answer("503 Service Unavailable", "[]"), "503"),
            (answer("200 OK", "<html>"), "expected value"),
            (answer("200 OK", &" ".repeat(LARGEST + 1)), "length limit"),
            ("nonsense\r\n\r\n".into(), "error"),
        ] {
            let why = ask(answer).await.unwrap_err();
            assert!(why.contains(says), "{why}");
        }
    }

    #[tokio::test]
    async fn a_pod_that_says_nothing_is_not_waited_for() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let asked = Asker::default()
            .json::<Vec<u32>>(silent.local_addr().unwrap(), "/x", Duration::from_millis(20))
            .await;
        assert_eq!(asked, Err("no answer in time".into()));
    }
}
