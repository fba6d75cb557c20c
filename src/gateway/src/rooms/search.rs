//! Finding what a question is about.

use std::{sync::Arc, time::Instant};

use ::rooms::{
    Grant,
    index::recall,
    search::{Evidence, Hit, MAX_TOP_K, Options, Query, search},
};
use axum::{body::Body, http::Response};
use protocol::rooms::{self as wire, document_id};
use store::rooms::{Error as StoreError, Text, texts};

use super::{
    Admitted, Service,
    authorize::own,
    indexes::Current,
    models::Asker,
    request::{Knock, answer, ended},
};
use crate::{audit::RoomOpening, error::Error};

/// Longest question, in characters.
pub const LONGEST: usize = 8192;
/// The most hits that people get.
const MOST: usize = 100;
/// One of so many searches measures how much searches find, over so many vectors of the index.
const SAMPLED: u32 = 64;
const SAMPLE: usize = 8;
/// A generation that was replaced while it was searched is searched for anew so often.
const TRIES: usize = 3;

/// What was found, with texts.
pub struct Retrieved {
    /// The hits, from the best, with what they say.
    pub hits: Vec<(Hit, Text)>,
    /// How well.
    pub evidence: Evidence,
    /// In which generation.
    pub generation: i64,
}

/// Checks a question.
///
/// # Errors
/// When it is none.
pub fn question(field: &'static str, text: &str) -> Result<(), Error> {
    match text.trim().is_empty() {
        true => Err(Error::MissingField { field }),
        false if text.chars().count() > LONGEST => Err(Error::InvalidField {
            field,
            expected: "a text of at most 8192 characters",
        }),
        false => Ok(()),
    }
}

impl Service {
    /// Finds what a question is about, among what the grant sees at this moment. There is a newer one with it.
    ///
    /// # Errors
    /// Whatever stands in the way: then nothing is given.
    pub async fn retrieve(
        &self,
        knock: &Knock,
        admitted: Admitted,
        question: &str,
        options: &Options,
    ) -> Result<(Admitted, Retrieved), Error> {
        let asker = Asker::of(knock);
        let verb = admitted.grant.verb();
        let mut admitted = admitted;
        let mut embedded: Option<(Arc<super::indexes::Model>, Vec<f32>)> = None;
        for _ in 0..TRIES {
            let current = self.current(&admitted).await?;
            // Another generation may be of another model.
            let vector = match embedded.take().filter(|known| known.0 == current.model) {
                Some((_, vector)) => vector,
                None => {
                    let model = &current.model;
                    asker.embed(&model.name, &model.digest, question).await?
                }
            };
            // It took its time, which a model that sleeps does: what changed meanwhile counts.
            admitted = knock.admit(verb).await?;
            let current = self.current(&admitted).await?;
            let started = Instant::now();
            let found;
            (admitted, found) = self.look(admitted, &current, &vector, question, options).await?;
            match found {
                Ok(retrieved) => {
                    self.metrics.search.observe(started.elapsed().as_secs_f64());
                    self.sample(&admitted, &current);
                    return Ok((admitted, retrieved));
                }
                Err(StoreError::NoGeneration(_)) => embedded = Some((current.model.clone(), vector)),
                Err(error) => return Err(self.told(error)),
            }
        }
        Err(Error::RoomsUnavailable)
    }

    /// The index as it is now.
    ///
    /// # Errors
    /// When there is none, its rights are too old, or it cannot be read.
    pub(super) async fn current(&self, admitted: &Admitted) -> Result<Current, Error> {
        let current = self.indexes.current(self.database()?, &admitted.grant).await;
        let current = current.map_err(|error| self.told(error))?.ok_or(Error::RoomEmpty)?;
        self.fresh(admitted, &current.head)?;
        Ok(current)
    }

    async fn look(
        &self,
        admitted: Admitted,
        current: &Current,
        vector: &[f32],
        question: &str,
        options: &Options,
    ) -> Result<(Admitted, Result<Retrieved, StoreError>), Error> {
        let Admitted { room, grant, plays } = admitted;
        let work = {
            let (index, vector, question, options) = (
                current.index.clone(),
                vector.to_owned(),
                question.to_owned(),
                options.clone(),
            );
            move || {
                let query = Query {
                    vector: &vector,
                    text: &question,
                };
                let found = search(&index, &grant, query, &options, Instant::now());
                (grant, found)
            }
        };
        let (grant, found): (Grant, _) = tokio::task::spawn_blocking(work).await.map_err(|error| {
            tracing::error!(%error, "a search panicked");
            Error::RoomsUnavailable
        })?;
        let found = found.map_err(|refused| self.refused(refused))?;
        let generation = current.index.generation();
        let revision = Some(current.head.revision);
        let chunks: Vec<_> = found.hits.iter().map(|hit| hit.chunk).collect();
        let texts = texts(self.database()?, &grant, generation, revision, &chunks).await;
        let retrieved = texts.map(|texts| Retrieved {
            // What is hidden since is not among them.
            hits: (found.hits.iter())
                .filter_map(|hit| Some((*hit, texts.iter().find(|text| text.chunk.id == hit.chunk)?.clone())))
                .collect(),
            evidence: found.evidence,
            generation,
        });
        Ok((Admitted { room, grant, plays }, retrieved))
    }

    /// Measures now and then how much of what is nearest is found.
    fn sample(&self, admitted: &Admitted, current: &Current) {
        if !rand::random::<u32>().is_multiple_of(SAMPLED) {
            return;
        }
        let (index, grant) = (current.index.clone(), own(&admitted.room));
        let key = &admitted.room.key;
        let gauge = self.metrics.recall.with_label_values(&[&key.namespace, &key.name]);
        tokio::task::spawn_blocking(move || match recall(&index, &grant, SAMPLE, 10, Instant::now()) {
            Ok(recall) => gauge.set(recall),
            Err(refused) => tracing::error!(error = %refused, "the recall of a Room is not known"),
        });
    }
}

/// How a search is made that wants `top_k` hits.
fn options(admitted: &Admitted, top_k: Option<u32>) -> Result<Options, Error> {
    let options = admitted.room.search_options();
    let top_k = match top_k {
        None => options.top_k,
        Some(0) => {
            return Err(Error::InvalidField {
                field: "top_k",
                expected: "a whole number from 1 to 100",
            });
        }
        Some(top_k) => (top_k as usize).min(MOST),
    };
    Ok(Options {
        top_k: top_k.min(MAX_TOP_K),
        // It bounds what a model is given.
        max_context_tokens: u32::MAX,
        ..options
    })
}

/// `POST /search`
///
/// # Errors
/// See [`Error`].
pub async fn serve(knock: Knock, body: Body) -> Result<Response<Body>, Error> {
    let mut trail = knock.trail("room_search");
    let read = async {
        let search: wire::search::Search = knock.json(body).await?;
        question("query", &search.query)?;
        let admitted = knock.admit(::rooms::Verb::Search).await?;
        let options = options(&admitted, search.top_k)?;
        let rooms = &knock.gateway.rooms;
        rooms.retrieve(&knock, admitted, &search.query, &options).await
    };
    let (admitted, retrieved) = match read.await {
        Ok(read) => read,
        Err(error) => return Err(trail.refuse(error).await),
    };
    // What is about to be shown is written down first.
    let shown = retrieved.hits.iter().map(|(hit, _)| (hit.chunk.0, hit.clearance.0));
    let opening = RoomOpening::of(&admitted).made_of(retrieved.generation, shown);
    let entry = trail.open_room(&opening).await?;
    if admitted.grant.has_expired(Instant::now()) {
        // It took too long to write it down.
        let outcome = Err(Error::AuthorizationUnavailable);
        ended(entry, &outcome);
        return outcome;
    }
    let found = wire::search::Found {
        object: "list".into(),
        id: knock.id().into(),
        hits: retrieved.hits.iter().map(|(found, text)| hit(found, text)).collect(),
    };
    let outcome = answer(&found);
    ended(entry, &outcome);
    outcome
}

fn hit(found: &Hit, text: &Text) -> wire::search::Hit {
    let chunk = &text.chunk;
    wire::search::Hit {
        chunk: chunk.id.0,
        document: document_id(&chunk.source, &chunk.document),
        source: chunk.source.clone(),
        name: chunk.document.clone(),
        title: text.title.clone(),
        origin: text.origin.clone(),
        place: place(&chunk.place),
        text: chunk.text.clone(),
        score: found.score,
        clearance: chunk.clearance.0,
    }
}

/// A place on the wire.
pub fn place(place: &::rooms::Place) -> wire::Place {
    wire::Place {
        page: place.page,
        headings: place.headings.clone(),
        area: place.area,
        offsets: place.offsets,
    }
}
