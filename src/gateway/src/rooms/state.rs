//! How a Room stands, for its operator: [`protocol::rooms::state`].

use ::rooms::{Clearance, Verb};
use axum::{body::Body, http::Response};
use futures::future::join_all;
use protocol::rooms::state;
use store::rooms::{self as kept, State};

use super::request::{Knock, answer};
use crate::error::Error;

/// `GET /state`
///
/// # Errors
/// See [`Error`].
pub async fn serve(knock: Knock) -> Result<Response<Body>, Error> {
    let admitted = knock.admit(Verb::Ingest).await?;
    let rooms = &knock.gateway.rooms;
    let (database, grant) = (rooms.database()?, &admitted.grant);
    let told = |error| rooms.told(error);
    let overview = kept::overview(database, grant).await.map_err(told)?;
    let generations = kept::generations(database, grant).await.map_err(told)?;
    let key = &admitted.room.key;
    let sampled = rooms
        .metrics
        .recall
        .with_label_values(&[&key.namespace, &key.name])
        .get();
    let looks = admitted
        .room
        .databases(Clearance(100))
        .into_iter()
        .map(async |database| state::Database {
            error: rooms.databases.look(key, &database).await,
            name: database.source,
        });
    let databases = join_all(looks).await;
    answer(&state::State {
        uid: key.uid.clone(),
        generation: overview.head.live,
        documents: overview.documents,
        chunks: overview.chunks,
        quarantined: (overview.quarantined.into_iter())
            .map(|(reason, documents)| state::Quarantined { reason, documents })
            .collect(),
        sources: (overview.sources.into_iter())
            .map(|source| state::Source {
                name: source.name,
                documents: source.documents,
                rights_age_seconds: source.rights_age.map(|age| age.as_secs_f64()),
            })
            .collect(),
        databases,
        rights_age_seconds: overview.head.rights_age.map(|age| age.as_secs_f64()),
        // Nobody finds nothing of the nearest: it was not sampled yet.
        recall_at_10: (sampled > 0.0).then_some(sampled),
        newest_upload_seconds: overview.newest_upload.map(|age| age.as_secs_f64()),
        generations: generations
            .into_iter()
            .map(|one| state::Generation {
                number: one.number,
                state: name(one.state).into(),
                model: one.model,
                model_digest: one.model_digest,
                dimension: u32::try_from(one.dimension).unwrap_or_default(),
                documents: one.documents.unsigned_abs(),
                chunks: one.chunks.unsigned_abs(),
                idle_seconds: one.idle.as_secs_f64(),
            })
            .collect(),
    })
}

fn name(state: State) -> &'static str {
    match state {
        State::Building => "building",
        State::Live => "live",
        State::Retired => "retired",
        State::Failed => "failed",
        State::Expired => "expired",
    }
}
