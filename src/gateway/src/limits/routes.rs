//! What replicas ask each other, on the admin port. Only who runs under the gateway's own ServiceAccount may ask.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, header},
    middleware::{self, Next},
    response::Response,
    routing::post,
};

use super::{
    Settlement, Verdict, Wish,
    peers::{Peers, SETTLE_PATH, TAKE_PATH, Token},
};
use crate::{auth::Authenticator, error::Error};

/// What a replica needs to answer others.
#[derive(Clone)]
struct Answering {
    peers: Arc<Peers>,
    authenticator: Arc<Authenticator>,
    token: Token,
}

/// Answers replicas that show a token of the user that `token` belongs to.
pub fn router(peers: Arc<Peers>, authenticator: Arc<Authenticator>, token: Token) -> Router {
    let answering = Answering {
        peers,
        authenticator,
        token,
    };
    Router::new()
        .route(TAKE_PATH, post(take))
        .route(SETTLE_PATH, post(settle))
        .layer(middleware::from_fn_with_state(answering.clone(), admit))
        .with_state(answering)
}

async fn take(State(answering): State<Answering>, Json(wish): Json<Wish>) -> Json<Verdict> {
    Json(answering.peers.answer(&wish))
}

async fn settle(State(answering): State<Answering>, Json(settlement): Json<Settlement>) -> Json<()> {
    answering.peers.note(&settlement);
    Json(())
}

async fn admit(State(answering): State<Answering>, request: Request, next: Next) -> Result<Response, Error> {
    let authenticator = &answering.authenticator;
    let asking = authenticator.authenticate(request.headers()).await?;
    let own = (answering.token)().map_err(|_| Error::AuthenticationUnavailable)?;
    let own = HeaderValue::try_from(format!("Bearer {own}")).map_err(|_| Error::AuthenticationUnavailable)?;
    let own = HeaderMap::from_iter([(header::AUTHORIZATION, own)]);
    let own = authenticator.authenticate(&own).await?;
    if own.user() != asking.user() {
        return Err(Error::RouteNotFound);
    }
    Ok(next.run(request).await)
}
