//! Requests, as somebody whom the red team plays.

use std::time::{Duration, Instant};

use protocol::PrepareFailure;
use protocol::report::reasons;
use protocol::rooms::redteam::{Detectors, Facts};
use protocol::rooms::{PREFIX, RED_TEAM_HEADER, code};
use reqwest::Method;
use rooms::redteam::Role;
use serde_json::{Value, json};

use crate::failure::Result;
use crate::ingest::gateway::call::{Call, Error, retry_after};
use crate::ingest::gateway::{GATEWAY_FAILED, Gateway};

/// Bytes of an answer that are looked at.
const MAX_ANSWER: usize = 4 << 20;
/// Hits of a search.
const HITS: u32 = 20;
/// Tokens of an answer.
const TOKENS: u32 = 160;

/// Tries of an attack: an answer that is an error each time is one, too.
const TRIES: u32 = 6;

/// What came back.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// The status of HTTP; 0 where nothing came.
    pub status: u16,
    /// Names and values of headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
    /// How long it took, in seconds.
    pub seconds: f64,
}

impl Told {
    /// Whether somebody could not answer, which says nothing of the Room.
    pub fn is_unanswered(&self) -> bool {
        self.status == 0 || self.status >= 500 || self.status == 429 || self.status == 401
    }

    /// The body, if it is JSON.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_str(&self.body).ok()
    }
}

/// Asks the gateway about one Room.
#[derive(Clone, Debug)]
pub struct Player {
    gateway: Gateway,
    room: String,
}

impl Player {
    /// In a Room.
    pub fn new(gateway: Gateway, namespace: &str, room: &str) -> Self {
        Self {
            gateway,
            room: format!("{PREFIX}{namespace}/{room}"),
        }
    }

    /// What there is to be attacked. Whoever was let in a moment ago may not be known yet.
    ///
    /// # Errors
    /// When the gateway says no, or nothing.
    pub async fn facts(&self) -> Result<Facts> {
        let mut tries = 0;
        loop {
            tries += 1;
            // Whoever sees everything is told of everything.
            let call = self.call(Role::Control, Method::GET, "redteam");
            let error = match self.gateway.json(&call).await {
                Ok(facts) => return Ok(facts),
                Err(error) => error,
            };
            let again = match error.has_code(code::NOT_FOUND) {
                true => {
                    self.gateway
                        .wait(Error::Unreachable(error.to_string()), None, tries)
                        .await
                }
                false => Err(error),
            };
            again.map_err(|error| error.failure("learn what there is to be attacked"))?;
        }
    }

    /// How well the Room's detectors do, on documents that a stranger sees; nothing where nobody can tell. That is no reason
    /// not to have tested the Room.
    pub async fn detectors(&self) -> Detectors {
        let told = self.get(Role::Stranger, "redteam/detectors").await;
        match serde_json::from_str(&told.body) {
            Ok(detectors) if told.status == 200 => detectors,
            _ => {
                tracing::warn!(status = told.status, "the detectors of the Room could not be measured");
                Detectors::default()
            }
        }
    }

    /// Searches.
    pub async fn search(&self, role: Role, query: &str) -> Told {
        let body = json!({"query": query, "top_k": HITS});
        self.post(role, "search", &body).await
    }

    /// Asks.
    pub async fn ask(&self, role: Role, question: &str) -> Told {
        let body = json!({"question": question, "max_tokens": TOKENS});
        self.post(role, "ask", &body).await
    }

    /// Sends something.
    pub async fn post(&self, role: Role, path: &str, body: &Value) -> Told {
        let mut call = self.call(role, Method::POST, path);
        call.body = body.to_string().into();
        self.patiently(&call).await
    }

    /// Gets something, below the Room.
    pub async fn get(&self, role: Role, path: &str) -> Told {
        self.patiently(&self.call(role, Method::GET, path)).await
    }

    /// Searches once and without a second try, so that it is known how long it took.
    pub async fn timed(&self, role: Role, query: &str) -> Told {
        let mut call = self.call(role, Method::POST, "search");
        call.body = json!({"query": query}).to_string().into();
        self.once(&call).await.0
    }

    fn call(&self, role: Role, method: Method, path: &str) -> Call<'static> {
        let path = match path {
            "" => self.room.clone(),
            path => format!("{}/{path}", self.room),
        };
        let mut call = Call::new(method, path);
        call.headers.push((RED_TEAM_HEADER, role.to_string()));
        call
    }

    /// Until there is an answer, or no more patience: then what came last.
    async fn patiently(&self, call: &Call<'_>) -> Told {
        let mut tries = 0;
        loop {
            tries += 1;
            let (told, wait) = self.once(call).await;
            let error = Error::Unreachable(format!("status {}", told.status));
            if !told.is_unanswered() || tries >= TRIES || self.gateway.wait(error, wait, tries).await.is_err() {
                return told;
            }
        }
    }

    async fn once(&self, call: &Call<'_>) -> (Told, Option<Duration>) {
        let start = Instant::now();
        let mut response = match self.gateway.send(call).await {
            Ok(response) => response,
            Err(error) => {
                tracing::debug!("{error}");
                return (Told::default(), None);
            }
        };
        let wait = retry_after(&response);
        let headers = response.headers().iter();
        let headers =
            headers.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        let mut told = Told {
            status: response.status().as_u16(),
            headers: headers.collect(),
            ..Told::default()
        };
        let mut bytes = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if bytes.len() < MAX_ANSWER => bytes.extend_from_slice(&chunk),
                Ok(_) => break,
                Err(error) => {
                    tracing::debug!("an answer broke off: {}", error.without_url());
                    return (Told::default(), None);
                }
            }
        }
        told.body = String::from_utf8_lossy(&bytes).into_owned();
        told.seconds = start.elapsed().as_secs_f64();
        (told, wait)
    }
}

/// When nobody answers: nothing is known, and it is tried again.
pub fn unanswered(what: impl std::fmt::Display) -> PrepareFailure {
    PrepareFailure::new(GATEWAY_FAILED, format!("failed to test the Room: {what}"), true)
}

/// When the Room is another one by now.
pub fn superseded() -> PrepareFailure {
    let message = "a new index of the Room was published meanwhile: it is tested anew";
    PrepareFailure::new(reasons::INTERNAL, message, true)
}
