//! A request for a Room: who it is from, and how it is written down.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Instant,
};

use ::rooms::{Verb, redteam::Role};
use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, Response, StatusCode, header, request::Parts},
    response::IntoResponse,
};
use bytes::Bytes;
use protocol::rooms::RED_TEAM_HEADER;
use serde::{Serialize, de::DeserializeOwned};

use super::{Admitted, Caller};
use crate::{
    audit::{Entry, RoomOpening, Trail},
    body,
    error::Error,
    headers,
    routes::Gateway,
    server::Peer,
};

/// A request whose caller is known.
pub struct Knock {
    /// The gateway.
    pub gateway: Arc<Gateway>,
    /// Who.
    pub caller: Caller,
    /// The head.
    pub parts: Parts,
    /// The namespace, as the path has it.
    pub namespace: String,
    /// The Room's name, as the path has it.
    pub name: String,
    /// When it came.
    pub received: Instant,
}

impl Knock {
    /// Looks who it is. The body is for later.
    ///
    /// # Errors
    /// When nobody knows.
    pub async fn take(
        gateway: Arc<Gateway>,
        (namespace, name): (String, String),
        request: Request,
    ) -> Result<(Self, Body), Error> {
        let received = Instant::now();
        let (parts, body) = request.into_parts();
        let identity = match gateway.authenticator.authenticate(&parts.headers).await {
            Ok(identity) => identity,
            Err(error) => {
                body::forget(body);
                return Err(error);
            }
        };
        let peer = parts.extensions.get::<Peer>().map(|peer| peer.0);
        let address = address(&gateway, peer, &parts.headers);
        let plays = match plays(&parts.headers) {
            Ok(plays) => plays,
            Err(error) => {
                body::forget(body);
                return Err(error);
            }
        };
        let caller = Caller {
            identity,
            address,
            plays,
        };
        let knock = Self {
            gateway,
            caller,
            parts,
            namespace,
            name,
            received,
        };
        Ok((knock, body))
    }

    /// The request's id.
    pub fn id(&self) -> &str {
        self.parts.headers[headers::REQUEST_ID].to_str().unwrap_or_default()
    }

    /// What the audit trail will be told.
    pub fn trail(&self, operation: &'static str) -> Trail<'_> {
        let audit = &self.gateway.audit;
        let mut trail = audit.begin(operation, &self.parts.headers, &self.caller.identity, self.received);
        trail.asks_in(&format!("{}/{}", self.namespace, self.name));
        trail
    }

    /// Lets them in.
    ///
    /// # Errors
    /// See [`super::Service::authorize`].
    pub async fn admit(&self, verb: Verb) -> Result<Admitted, Error> {
        let rooms = &self.gateway.rooms;
        rooms.authorize(&self.caller, &self.namespace, &self.name, verb).await
    }

    /// Lets them in to read, where what is known of rights is fresh.
    ///
    /// # Errors
    /// See [`super::Service::authorize`] and [`super::Service::fresh`].
    pub async fn admit_to_read(&self, verb: Verb) -> Result<Admitted, Error> {
        let admitted = self.admit(verb).await?;
        self.gateway.rooms.check_fresh(&admitted).await?;
        Ok(admitted)
    }

    /// Lets them in to look at documents. Curators may do so also where the Room answers nobody, so that they can mend it.
    ///
    /// # Errors
    /// See [`Self::admit_to_read`].
    pub async fn admit_to_look(&self) -> Result<Admitted, Error> {
        let admitted = match self.admit(Verb::Search).await {
            Err(closed @ (Error::RoomClosed | Error::RoomUntested)) => match self.admit(Verb::Curate).await {
                Err(Error::RoomNotFound { .. }) => return Err(closed),
                other => other?,
            },
            other => other?,
        };
        self.gateway.rooms.check_fresh(&admitted).await?;
        Ok(admitted)
    }

    /// Reads a body of JSON.
    ///
    /// # Errors
    /// When it is none, or not what is expected.
    pub async fn json<T: DeserializeOwned>(&self, body: Body) -> Result<T, Error> {
        let held = self.gateway.bodies.read(&self.parts.headers, body).await?;
        serde_json::from_slice(&held.bytes).map_err(|error| Error::InvalidJson {
            detail: error.to_string(),
        })
    }

    /// Reads a body of whatever there is.
    ///
    /// # Errors
    /// When it is too large, or breaks off.
    pub async fn bytes(&self, body: Body) -> Result<Bytes, Error> {
        Ok(self.gateway.bodies.read(&self.parts.headers, body).await?.bytes)
    }

    /// A value of the query, percent-decoded.
    pub fn query(&self, name: &str) -> Option<String> {
        let query = self.parts.uri.query()?;
        let pairs = reqwest::Url::parse(&format!("http://query/?{query}")).ok()?;
        let found = pairs.query_pairs().find(|(key, _)| key == name);
        found.map(|(_, value)| value.into_owned())
    }

    /// A number of the query.
    ///
    /// # Errors
    /// When it is none.
    pub fn number(&self, name: &'static str, default: usize, most: usize) -> Result<usize, Error> {
        let Some(text) = self.query(name) else {
            return Ok(default);
        };
        let number = text.parse::<usize>().ok().filter(|number| *number > 0);
        number.map(|number| number.min(most)).ok_or(Error::InvalidField {
            field: name,
            expected: "a whole number of at least 1",
        })
    }

    /// Does `work` for whoever may do `verb`, writes that down before anything is told, and the end behind it.
    ///
    /// # Errors
    /// Those of `work`, and that it cannot be written down.
    pub async fn recorded<T, F>(
        &self,
        operation: &'static str,
        admit: impl Future<Output = Result<Admitted, Error>>,
        work: impl FnOnce(Admitted) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut trail = self.trail(operation);
        let admitted = match admit.await {
            Ok(admitted) => admitted,
            Err(error) => return Err(trail.refuse(error).await),
        };
        let entry = trail.open_room(&RoomOpening::of(&admitted)).await?;
        let outcome = work(admitted).await;
        ended(entry, &outcome);
        outcome
    }
}

/// Tells how it ended.
pub fn ended<T>(entry: Option<Entry>, outcome: &Result<T, Error>) {
    let Some(mut entry) = entry else { return };
    match outcome {
        Ok(_) => {
            entry.answered(StatusCode::OK);
            entry.ended("");
        }
        Err(error) => entry.ended(error.audit_code()),
    }
}

/// An answer in JSON.
pub fn answer(value: &impl Serialize) -> Result<Response<Body>, Error> {
    let text = serde_json::to_string(value).map_err(|error| {
        tracing::error!(%error, "an answer is no JSON");
        Error::RoomsUnavailable
    })?;
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((StatusCode::OK, headers, text).into_response())
}

/// Whom a caller wants to play. Whether they may is for later.
fn plays(headers: &HeaderMap) -> Result<Option<Role>, Error> {
    let mut values = headers.get_all(RED_TEAM_HEADER).iter();
    let (first, second) = (values.next(), values.next());
    let read = |value: &HeaderValue| value.to_str().ok()?.parse::<Role>().ok();
    match (first, second) {
        (None, _) => Ok(None),
        (Some(value), None) if read(value).is_some() => Ok(read(value)),
        _ => Err(Error::InvalidField {
            field: RED_TEAM_HEADER,
            expected: "control, stranger or below=CLEARANCE, with a clearance from 1 to 100",
        }),
    }
}

/// Where somebody comes from: the last one of those that trusted proxies passed on who is not one of them.
fn address(gateway: &Gateway, peer: Option<SocketAddr>, headers: &HeaderMap) -> Option<IpAddr> {
    let peer = peer?.ip();
    let trusted = &gateway.rooms.settings.trusted_proxies;
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.has(address));
    if !is_trusted(peer) {
        return Some(peer);
    }
    let named: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
    let named = named
        .iter()
        .rev()
        .flat_map(|value| value.to_str().unwrap_or("?").rsplit(','));
    for one in named {
        match one.trim().parse::<IpAddr>() {
            Ok(address) if is_trusted(address) => {}
            Ok(address) => return Some(address),
            // Whoever wrote that is nowhere.
            Err(_) => return None,
        }
    }
    Some(peer)
}
