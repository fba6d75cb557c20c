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
    accounts::{self, Accounts, Settled},
    concurrency::{self, Concurrency, PlaceWish},
    ledger::{Grant, Reserve},
    peers::{Peers, SETTLE_PATH, TAKE_PATH, Token},
    places::Seat,
};
use crate::{auth::Authenticator, error::Error};

/// What a replica counts.
#[derive(Clone)]
pub struct Counters {
    /// What was used in the last minute.
    pub peers: Arc<Peers>,
    /// Requests under way.
    pub concurrency: Arc<Concurrency>,
    /// Money, where there is a database.
    pub accounts: Option<Arc<Accounts>>,
}

/// What a replica needs to answer others.
#[derive(Clone)]
struct Answering {
    counters: Counters,
    authenticator: Arc<Authenticator>,
    token: Token,
}

/// Answers replicas that show a token of the user that `token` belongs to.
pub fn router(counters: Counters, authenticator: Arc<Authenticator>, token: Token) -> Router {
    let answering = Answering {
        counters,
        authenticator,
        token,
    };
    Router::new()
        .route(TAKE_PATH, post(take))
        .route(SETTLE_PATH, post(settle))
        .route(concurrency::TAKE_PATH, post(take_place))
        .route(concurrency::KEEP_PATH, post(keep_places))
        .route(concurrency::GIVE_BACK_PATH, post(give_place_back))
        .route(accounts::RESERVE_PATH, post(reserve))
        .route(accounts::SPENT_PATH, post(spent))
        .layer(middleware::from_fn_with_state(answering.clone(), admit))
        .with_state(answering)
}

async fn take(State(answering): State<Answering>, Json(wish): Json<Wish>) -> Json<Verdict> {
    Json(answering.counters.peers.answer(&wish))
}

async fn settle(State(answering): State<Answering>, Json(settlement): Json<Settlement>) -> Json<()> {
    answering.counters.peers.note(&settlement);
    Json(())
}

async fn take_place(State(answering): State<Answering>, Json(wish): Json<PlaceWish>) -> Json<bool> {
    Json(answering.counters.concurrency.answer(&wish))
}

async fn keep_places(State(answering): State<Answering>, Json(seats): Json<Vec<Seat>>) -> Json<()> {
    answering.counters.concurrency.keep(&seats);
    Json(())
}

async fn give_place_back(State(answering): State<Answering>, Json(seat): Json<Seat>) -> Json<()> {
    answering.counters.concurrency.give_back(&seat);
    Json(())
}

async fn reserve(State(answering): State<Answering>, Json(wish): Json<Reserve>) -> Json<Grant> {
    Json(match &answering.counters.accounts {
        Some(accounts) => accounts.answer(&wish).await,
        None => Grant::Unknown,
    })
}

async fn spent(State(answering): State<Answering>, Json(settled): Json<Settled>) -> Json<()> {
    if let Some(accounts) = &answering.counters.accounts {
        accounts.note(&settled);
    }
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
