//! Asks the gateway about what is in Rooms, and to take it away: it alone knows the database.

use std::time::Duration;

use protocol::rooms::{PREFIX, state::State};
use reqwest::Method;
use serde::Deserialize;

use crate::gateway_call::{Call, CallError, GatewayCalls};

/// Longest call but for a purge.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest purge: it waits for whoever reads the Room. One that takes longer goes on when it is asked for again.
const PURGE: Duration = Duration::from_secs(60);
/// Largest answer, in bytes.
const LARGEST: usize = 1 << 20;

/// The contents of Rooms, by way of the gateway. A clone asks the same one.
#[derive(Clone)]
pub struct RoomContents(GatewayCalls);

impl RoomContents {
    /// By these calls.
    pub fn new(gateway: GatewayCalls) -> Self {
        Self(gateway)
    }

    /// Certificates in PEM that vouch for the gateway, if there are any of its own.
    pub fn certificates(&self) -> Option<String> {
        self.0.certificates()
    }

    /// What is in a Room.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn look(&self, namespace: &str, room: &str) -> Result<State, CallError> {
        let path = format!("{PREFIX}{namespace}/{room}/state");
        self.0.json(call(&Method::GET, &path, PATIENCE)).await
    }

    /// Takes away all that is in the Room with this uid; whether there was nothing left to take.
    ///
    /// # Errors
    /// See [`CallError`]. Nothing is gone then, for all that is known.
    pub async fn purge(&self, namespace: &str, room: &str, uid: &str) -> Result<bool, CallError> {
        // Another one may have the name by now.
        let path = format!("{PREFIX}{namespace}/{room}?uid={uid}");
        let taken: Taken = self.0.json(call(&Method::DELETE, &path, PURGE)).await?;
        Ok(taken == Taken::default())
    }
}

fn call<'a>(method: &'a Method, path: &'a str, patience: Duration) -> Call<'a> {
    Call {
        method,
        path,
        body: None,
        patience,
        largest: LARGEST,
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

    use reqwest::StatusCode;
    use tokio::net::TcpListener;

    use super::*;
    use crate::gateway_call::Way;

    fn contents(way: Way) -> RoomContents {
        RoomContents::new(GatewayCalls::new(way))
    }

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
        (contents(way), directory)
    }

    async fn purge(status: u16, body: Value) -> Result<bool, CallError> {
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
            assert!(matches!(purge(200, some).await, Err(CallError::Strange(_))), "{field}");
        }
        let said = serde_json::to_value(protocol::rooms::state::Purged::default()).unwrap();
        assert!(purge(200, said).await.unwrap());
        for status in [202, 204, 404, 403, 409, 501, 503] {
            let refused = purge(status, nothing.clone()).await;
            assert!(matches!(refused, Err(CallError::Refused { .. })), "{status}");
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
        let nobody = contents(way.clone()).purge("ns", "hr", "u").await;
        assert!(matches!(nobody, Err(CallError::NoToken)));
        let missing = Way {
            token_file: Some("/nowhere/token".into()),
            ..way
        };
        let missing = contents(missing).purge("ns", "hr", "u").await;
        assert!(matches!(missing, Err(CallError::File { .. })));
    }
}
