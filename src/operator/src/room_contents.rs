//! Asks the gateway about what is in Rooms, and to take it away: it alone knows the database.

use std::{path::PathBuf, sync::Arc, time::Duration};

use protocol::rooms::{PREFIX, state::State};
use reqwest::{Certificate, Client, Method, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};

/// Longest call but for a purge.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest purge: it waits for whoever reads the Room. One that takes longer goes on when it is asked for again.
const PURGE: Duration = Duration::from_secs(60);
/// Largest answer, in bytes.
const LARGEST: usize = 1 << 20;
/// Characters of an answer that are repeated in words.
const WORDS: usize = 300;

/// How the gateway is reached.
#[derive(Clone, Debug)]
pub struct Way {
    /// Its root: `http://atelier-gateway.atelier-system.svc`.
    pub url: String,
    /// File with the token to show; without, there is no way.
    pub token_file: Option<PathBuf>,
    /// File with certificates in PEM that vouch for it, beside the usual ones. It may be missing.
    pub ca_file: Option<PathBuf>,
}

/// Why the gateway has not done what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ContentsError {
    /// There is nothing to show it.
    #[error("the operator runs without --gateway-token-file, which the chart sets")]
    NoToken,
    /// The token or the certificates cannot be read.
    #[error("failed to read {}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It was not reached, or did not answer.
    #[error("the gateway at {url} does not answer: {why}")]
    Silent {
        /// Where.
        url: String,
        /// What happened.
        why: String,
    },
    /// It refused.
    #[error("the gateway answered {status}: {words}")]
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// The beginning of its answer.
        words: String,
    },
    /// Its answer makes no sense.
    #[error("the gateway's answer is none that this release knows: {0}")]
    Strange(String),
}

/// The contents of Rooms, by way of the gateway. A clone asks the same one.
#[derive(Clone)]
pub struct RoomContents(Arc<Way>);

impl RoomContents {
    /// By this way.
    pub fn new(way: Way) -> Self {
        Self(Arc::new(way))
    }

    /// Certificates in PEM that vouch for the gateway, if there are any of its own.
    pub fn certificates(&self) -> Option<String> {
        let file = self.0.ca_file.as_ref()?;
        std::fs::read_to_string(file)
            .ok()
            .filter(|text| !text.trim().is_empty())
    }

    /// What is in a Room.
    ///
    /// # Errors
    /// See [`ContentsError`].
    pub async fn look(&self, namespace: &str, room: &str) -> Result<State, ContentsError> {
        let path = format!("{PREFIX}{namespace}/{room}/state");
        self.ask(Method::GET, &path, PATIENCE).await
    }

    /// Takes away all that is in the Room with this uid; whether there was nothing left to take.
    ///
    /// # Errors
    /// See [`ContentsError`]. Nothing is gone then, for all that is known.
    pub async fn purge(&self, namespace: &str, room: &str, uid: &str) -> Result<bool, ContentsError> {
        // Another one may have the name by now.
        let path = format!("{PREFIX}{namespace}/{room}?uid={uid}");
        let taken: Taken = self.ask(Method::DELETE, &path, PURGE).await?;
        Ok(taken == Taken::default())
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        patience: Duration,
    ) -> Result<T, ContentsError> {
        let Way { url, token_file, .. } = self.0.as_ref();
        let url = format!("{}{path}", url.trim_end_matches('/'));
        // Both are replaced from time to time; calls are few.
        let token_file = token_file.as_ref().ok_or(ContentsError::NoToken)?;
        let token = std::fs::read_to_string(token_file).map_err(|source| ContentsError::File {
            path: token_file.clone(),
            source,
        })?;
        let silent = |error: reqwest::Error| ContentsError::Silent {
            url: url.clone(),
            why: causes(&error),
        };
        let mut client = Client::builder()
            .no_proxy()
            .timeout(patience)
            .redirect(reqwest::redirect::Policy::none());
        if let Some(pem) = self.certificates() {
            for certificate in Certificate::from_pem_bundle(pem.as_bytes()).map_err(silent)? {
                client = client.add_root_certificate(certificate);
            }
        }
        let client = client.build().map_err(silent)?;
        let request = client.request(method, &url).bearer_auth(token.trim());
        let mut answer = request.send().await.map_err(silent)?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(silent)? {
            body.extend_from_slice(&chunk);
            if body.len() > LARGEST {
                return Err(ContentsError::Strange(format!("it has more than {LARGEST} bytes")));
            }
        }
        if status != StatusCode::OK {
            let words = String::from_utf8_lossy(&body).chars().take(WORDS).collect();
            return Err(ContentsError::Refused { status, words });
        }
        serde_json::from_slice(&body).map_err(|error| ContentsError::Strange(error.to_string()))
    }
}

/// What was taken out of a Room: [`protocol::rooms::state::Purged`], of which nothing may be left unsaid.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
struct Taken {
    documents: u64,
    chunks: u64,
    pages: u64,
    uploads: u64,
    answers: u64,
    feedback: u64,
}

/// An error with what caused it: the outermost alone says little.
fn causes(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words.push_str(": ");
        words.push_str(&cause.to_string());
        source = cause.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use axum::{
        Json, Router,
        extract::{Query, State},
        http::HeaderMap,
        routing::{delete, get},
    };
    use serde_json::{Value, json};
    use std::collections::HashMap;
    use tokio::net::TcpListener;

    use super::*;

    type Answer = (StatusCode, Value);

    /// A gateway that gives one answer to whoever shows the token and asks for the right Room.
    async fn gateway(answer: Answer) -> (RoomContents, tempfile::TempDir) {
        let respond =
            async |State((status, body)): State<Answer>, headers: HeaderMap, query: Query<HashMap<String, String>>| {
                let shown = headers.get("authorization").and_then(|it| it.to_str().ok());
                assert_eq!(shown, Some("Bearer secret"));
                assert!(query.get("uid").is_none_or(|uid| uid == "room-uid"));
                (axum::http::StatusCode::from_u16(status.as_u16()).unwrap(), Json(body))
            };
        let app = Router::new()
            .route("/v1/rooms/ns/hr", delete(respond))
            .route("/v1/rooms/ns/hr/state", get(respond))
            .with_state(answer);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let directory = tempfile::tempdir().unwrap();
        let token_file = directory.path().join("token");
        std::fs::write(&token_file, "secret\n").unwrap();
        let way = Way {
            url,
            token_file: Some(token_file),
            ca_file: None,
        };
        (RoomContents::new(way), directory)
    }

    async fn purge(status: u16, body: Value) -> Result<bool, ContentsError> {
        let (contents, _directory) = gateway((StatusCode::from_u16(status).unwrap(), body)).await;
        contents.purge("ns", "hr", "room-uid").await
    }

    #[tokio::test]
    async fn a_room_is_empty_when_there_was_nothing_left_to_take() {
        let nothing = json!({"documents": 0, "chunks": 0, "pages": 0, "uploads": 0, "answers": 0, "feedback": 0});
        assert!(purge(200, nothing.clone()).await.unwrap());
        for field in ["documents", "chunks", "pages", "uploads", "answers", "feedback"] {
            let mut some = nothing.clone();
            some[field] = json!(1);
            assert!(!purge(200, some.clone()).await.unwrap(), "{field}");
            some.as_object_mut().unwrap().remove(field);
            assert!(
                matches!(purge(200, some).await, Err(ContentsError::Strange(_))),
                "{field}"
            );
        }
        let said = serde_json::to_value(protocol::rooms::state::Purged::default()).unwrap();
        assert!(purge(200, said).await.unwrap());
        for status in [202, 204, 404, 403, 409, 501, 503] {
            let refused = purge(status, nothing.clone()).await;
            assert!(matches!(refused, Err(ContentsError::Refused { .. })), "{status}");
        }
    }

    #[tokio::test]
    async fn what_waits_is_told() {
        let (contents, _directory) =
            gateway((StatusCode::OK, json!({"newest_upload_seconds": 2.5, "generation": 4}))).await;
        let found = contents.look("ns", "hr").await.unwrap();
        assert_eq!((found.newest_upload_seconds, found.generation), (Some(2.5), Some(4)));
        let elsewhere = contents.look("ns", "other").await.unwrap_err();
        assert!(elsewhere.to_string().contains("404"), "{elsewhere}");
    }

    #[tokio::test]
    async fn without_a_token_nobody_is_asked() {
        let way = Way {
            url: "http://127.0.0.1:1".into(),
            token_file: None,
            ca_file: None,
        };
        let nobody = RoomContents::new(way.clone()).purge("ns", "hr", "u").await;
        assert!(matches!(nobody, Err(ContentsError::NoToken)));
        let missing = Way {
            token_file: Some("/nowhere/token".into()),
            ..way
        };
        let missing = RoomContents::new(missing).purge("ns", "hr", "u").await;
        assert!(matches!(missing, Err(ContentsError::File { .. })));
    }
}
