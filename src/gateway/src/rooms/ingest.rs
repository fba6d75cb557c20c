//! How a Room is filled: [`protocol::rooms::ingest`] over [`store::rooms::Writer`].

use std::time::Instant;

use ::rooms::{Acl, Clearance, Place, Verb, index::Embedding, index::recall};
use axum::{
    body::Body,
    http::{Response, header},
};
use bytes::Bytes;
use futures::stream;
use protocol::rooms::{TOKEN_HEADER, ingest as wire, state, uploads, vector};
use store::rooms::{self as kept, DocumentId, Moment, NewChunk, NewDocument, Picture, Placed, Recipe, Writer};

use super::{
    Admitted, Service,
    authorize::own,
    request::{Knock, answer},
    room::Source,
};
use crate::error::Error;

/// Vectors that a verification measures the recall over, in generations of at most so many chunks: others are not read for
/// it.
const SAMPLE: usize = 20;
const MEASURED: u64 = 200_000;

fn invalid(field: &'static str, expected: &'static str) -> Error {
    Error::InvalidField { field, expected }
}

fn digest(text: &str) -> Result<[u8; 32], Error> {
    let mut digest = [0; 32];
    hex::decode_to_slice(text, &mut digest).map_err(|_| invalid("digest", "64 hexadecimal digits"))?;
    Ok(digest)
}

fn acl(names: Option<Vec<String>>) -> Acl {
    names.map_or_else(Acl::everyone, Acl::of)
}

fn names(acl: &Acl) -> Option<Vec<String>> {
    acl.names().map(|names| names.iter().cloned().collect())
}

/// A source that documents may be of.
fn source<'a>(admitted: &'a Admitted, name: &str) -> Result<&'a Source, Error> {
    let source = admitted.room.source(name).filter(|source| source.has_documents);
    source.ok_or(Error::Unfit {
        detail: format!("the Room has no source {name:?} that has documents"),
    })
}

/// What a spec says of a source counts whatever a Job says.
fn raised(clearance: u8, source: &Source) -> Clearance {
    Clearance(clearance).max(source.clearance)
}

impl Knock {
    async fn writer(&self, admitted: &Admitted, generation: i64) -> Result<Writer, Error> {
        let token = self
            .parts
            .headers
            .get(TOKEN_HEADER)
            .and_then(|token| token.to_str().ok());
        let token = token.ok_or(Error::GenerationFenced)?;
        let rooms = &self.gateway.rooms;
        let writer = Writer::attach(rooms.database()?, &admitted.grant, generation, token).await;
        writer.map_err(|error| rooms.told(error))
    }

    /// Somebody who fills the Room, and a body for it. It is not written down: there are thousands of them.
    async fn fill<T: serde::de::DeserializeOwned>(&self, body: Body) -> Result<(Admitted, T), Error> {
        // Before a body is read: it is large.
        self.admit(Verb::Ingest).await?;
        let read = self.json(body).await?;
        // Its sender may have been slow.
        Ok((self.admit(Verb::Ingest).await?, read))
    }
}

fn number(text: &str) -> Result<i64, Error> {
    text.parse().map_err(|_| Error::RoomContentNotFound)
}

/// `POST /generations`
///
/// # Errors
/// See [`Error`].
pub async fn begin(knock: Knock, body: Body) -> Result<Response<Body>, Error> {
    let (_, begin): (_, wire::Begin) = knock.fill(body).await?;
    let work = async |admitted: Admitted| {
        let rooms = &knock.gateway.rooms;
        let (database, grant) = (rooms.database()?, &admitted.grant);
        let recipe = Recipe {
            model: begin.recipe.model.clone(),
            digest: begin.recipe.digest.clone(),
            dimension: begin.recipe.dimension as usize,
            settings: begin.recipe.settings.clone(),
        };
        let told = |error| rooms.told(error);
        let resumed = match begin.anew {
            true => None,
            false => Writer::resume(database, grant, recipe.clone()).await.map_err(told)?,
        };
        let is_resumed = resumed.is_some();
        let writer = match resumed {
            Some(writer) => writer,
            None => Writer::begin(database, grant, recipe).await.map_err(told)?,
        };
        let now = kept::moment(database, grant).await.map_err(told)?;
        answer(&wire::Begun {
            generation: writer.generation(),
            token: writer.token(),
            resumed: is_resumed,
            now: now.micros(),
        })
    };
    knock.recorded("room_generation", knock.admit(Verb::Ingest), work).await
}

/// `GET /generations/{n}/known?source=&after=`
///
/// # Errors
/// See [`Error`].
pub async fn known(knock: Knock, generation: &str) -> Result<Response<Body>, Error> {
    let admitted = knock.admit(Verb::Ingest).await?;
    knock.writer(&admitted, number(generation)?).await?;
    let rooms = &knock.gateway.rooms;
    let (database, grant) = (rooms.database()?, &admitted.grant);
    let name = knock.query("source").ok_or(Error::MissingField { field: "source" })?;
    let source = source(&admitted, &name)?;
    let after = knock.query("after").unwrap_or_default();
    let told = |error| rooms.told(error);
    let now = kept::moment(database, grant).await.map_err(told)?;
    let known = kept::known(database, grant, &source.name, &after).await.map_err(told)?;
    let next = known.last().filter(|_| known.len() == kept::MAX_BATCH);
    answer(&wire::Known {
        now: now.micros(),
        next: next.map(|last| last.name.clone()),
        documents: known
            .iter()
            .map(|known| wire::KnownDocument {
                name: known.name.clone(),
                digest: known.live.map(hex::encode),
                clearance: known.clearance.0,
                acl: names(&known.acl),
                quarantined: known.quarantined.clone(),
                released: known.released.map(hex::encode),
                barred: known.is_barred,
                deleted: known.is_deleted,
            })
            .collect(),
    })
}

/// `POST /generations/{n}/carry`
///
/// # Errors
/// See [`Error`].
pub async fn carry(knock: Knock, generation: &str, body: Body) -> Result<Response<Body>, Error> {
    let (admitted, carry): (_, wire::Carry) = knock.fill(body).await?;
    let writer = knock.writer(&admitted, number(generation)?).await?;
    source(&admitted, &carry.source)?;
    let documents = (carry.documents.into_iter())
        .map(|(name, sum)| Ok((name, digest(&sum)?)))
        .collect::<Result<Vec<_>, Error>>()?;
    let carried = writer.carry(&admitted.grant, &carry.source, &documents).await;
    let carried = carried.map_err(|error| knock.gateway.rooms.told(error))?;
    answer(&wire::Carried {
        documents: carried.into_iter().collect(),
    })
}

/// `POST /generations/{n}/documents`
///
/// # Errors
/// See [`Error`].
pub async fn place(knock: Knock, generation: &str, body: Body) -> Result<Response<Body>, Error> {
    let (admitted, batch): (_, wire::PlaceDocuments) = knock.fill(body).await?;
    let writer = knock.writer(&admitted, number(generation)?).await?;
    let source = source(&admitted, &batch.source)?;
    let new = |document: wire::NewDocument| {
        Ok(NewDocument {
            source: source.name.clone(),
            name: document.name,
            clearance: raised(document.clearance, source),
            acl: acl(document.acl),
            digest: digest(&document.digest)?,
            title: document.title,
            origin: document.origin,
            bytes: document.bytes,
            pages: document.pages,
            chunks: document.chunks,
            quarantined: document.quarantined,
        })
    };
    let documents = batch
        .documents
        .into_iter()
        .map(new)
        .collect::<Result<Vec<_>, Error>>()?;
    let read = Moment::of_micros(batch.read);
    let placed = writer.place(&admitted.grant, read, &documents).await;
    let placed = placed.map_err(|error| knock.gateway.rooms.told(error))?;
    let placed = placed.into_iter().map(|placed| match placed {
        Placed::Here(id) => wire::Placed::Here { id: id.number() },
        Placed::Barred => wire::Placed::Barred,
        Placed::Quarantined => wire::Placed::Quarantined,
    });
    answer(&wire::PlacedDocuments {
        documents: placed.collect(),
    })
}

/// `POST /generations/{n}/chunks`
///
/// # Errors
/// See [`Error`].
pub async fn add(knock: Knock, generation: &str, body: Body) -> Result<Response<Body>, Error> {
    let (admitted, batch): (_, wire::AddChunks) = knock.fill(body).await?;
    let writer = knock.writer(&admitted, number(generation)?).await?;
    let rooms = &knock.gateway.rooms;
    let new = |chunk: wire::NewChunk| {
        let vector = vector::decode(&chunk.vector).ok_or(invalid("vector", "base64 of 32-bit floats"))?;
        let embedding = Embedding::new(&vector).map_err(|error| Error::Unfit {
            detail: format!("chunk {} of document {}: {error}", chunk.ordinal, chunk.document),
        })?;
        let place = Place {
            page: chunk.place.page,
            headings: chunk.place.headings,
            area: chunk.place.area,
            offsets: chunk.place.offsets,
        };
        let document = DocumentId::of_number(chunk.document);
        let new = NewChunk::of(document, chunk.ordinal, place, chunk.text, chunk.tokens, embedding);
        new.map_err(|error| rooms.told(error))
    };
    let chunks = batch.chunks.into_iter().map(new).collect::<Result<Vec<_>, Error>>()?;
    let added = writer.add(&admitted.grant, &chunks).await;
    answer(&wire::Added {
        chunks: added.map_err(|error| rooms.told(error))?,
    })
}

/// `PUT /generations/{n}/documents/{id}/pages/{page}`
///
/// # Errors
/// See [`Error`].
pub async fn picture(
    knock: Knock,
    (generation, document, page): (&str, &str, &str),
    body: Body,
) -> Result<Response<Body>, Error> {
    knock.admit(Verb::Ingest).await?;
    let bytes = knock.bytes(body).await?;
    let admitted = knock.admit(Verb::Ingest).await?;
    let writer = knock.writer(&admitted, number(generation)?).await?;
    let media_type = knock.parts.headers.get(header::CONTENT_TYPE);
    let picture = Picture {
        media_type: media_type
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .into(),
        bytes: bytes.to_vec(),
    };
    let page = page.parse().map_err(|_| Error::RoomContentNotFound)?;
    let document = DocumentId::of_number(number(document)?);
    let added = writer.add_picture(&admitted.grant, document, page, &picture).await;
    added.map_err(|error| knock.gateway.rooms.told(error))?;
    answer(&serde_json::json!({}))
}

/// `POST /generations/{n}/verify`
///
/// # Errors
/// See [`Error`].
pub async fn verify(knock: Knock, generation: &str) -> Result<Response<Body>, Error> {
    let generation = number(generation)?;
    let admitted = knock.admit(Verb::Ingest).await?;
    let writer = knock.writer(&admitted, generation).await?;
    let rooms = &knock.gateway.rooms;
    let verified = writer
        .verify(&admitted.grant)
        .await
        .map_err(|error| rooms.told(error))?;
    let recall = match verified.chunks {
        1..=MEASURED => Some(measure(rooms, &admitted, generation).await?),
        _ => None,
    };
    answer(&wire::Verified {
        documents: verified.documents,
        quarantined: verified.quarantined,
        chunks: verified.chunks,
        recall_at_10: recall,
    })
}

/// The recall of a generation that does not answer yet.
async fn measure(rooms: &Service, admitted: &Admitted, generation: i64) -> Result<f64, Error> {
    let loaded = kept::load_shadow(rooms.database()?, &own(&admitted.room), generation).await;
    let index = loaded.map_err(|error| rooms.told(error))?.index;
    let grant = own(&admitted.room);
    let measured = tokio::task::spawn_blocking(move || recall(&index, &grant, SAMPLE, 10, Instant::now())).await;
    let measured = measured.map_err(|_| Error::RoomsUnavailable)?;
    measured.map_err(|refused| rooms.refused(refused))
}

/// `POST /generations/{n}/publish`
///
/// # Errors
/// See [`Error`].
pub async fn publish(knock: Knock, generation: &str, body: Body) -> Result<Response<Body>, Error> {
    let (_, publish): (_, wire::Publish) = knock.fill(body).await?;
    let generation = number(generation)?;
    let work = async |admitted: Admitted| {
        let rooms = &knock.gateway.rooms;
        let (database, grant) = (rooms.database()?, &admitted.grant);
        let told = |error| rooms.told(error);
        let writer = knock.writer(&admitted, generation).await?;
        for name in publish.read.keys() {
            source(&admitted, name)?;
        }
        let published = writer.publish(grant, publish.keep).await.map_err(told)?;
        for (name, read) in &publish.read {
            let synced = kept::synced(database, grant, Moment::of_micros(*read), &[name]).await;
            synced.map_err(told)?;
        }
        answer(&wire::Published {
            live: published.live,
            expired: published.expired,
        })
    };
    knock.recorded("room_publish", knock.admit(Verb::Ingest), work).await
}

/// `POST /generations/{n}/live`
///
/// # Errors
/// See [`Error`].
pub async fn roll_back(knock: Knock, generation: &str) -> Result<Response<Body>, Error> {
    let generation = number(generation)?;
    let work = async |admitted: Admitted| {
        let rooms = &knock.gateway.rooms;
        let done = kept::roll_back(rooms.database()?, &admitted.grant, generation).await;
        done.map_err(|error| rooms.told(error))?;
        answer(&state::RolledBack { live: generation })
    };
    knock.recorded("room_roll_back", knock.admit(Verb::Ingest), work).await
}

/// `POST /rights`
///
/// # Errors
/// See [`Error`].
pub async fn set_rights(knock: Knock, body: Body) -> Result<Response<Body>, Error> {
    let (admitted, batch): (_, wire::SetRights) = knock.fill(body).await?;
    let source = source(&admitted, &batch.source)?;
    let rights: Vec<_> = (batch.documents.into_iter())
        .map(|rights| kept::Rights {
            document: rights.name,
            clearance: raised(rights.clearance, source),
            acl: acl(rights.acl),
        })
        .collect();
    let rooms = &knock.gateway.rooms;
    let (database, grant, read) = (rooms.database()?, &admitted.grant, Moment::of_micros(batch.read));
    let told = |error| rooms.told(error);
    let changed = kept::set_rights(database, grant, read, &source.name, &rights)
        .await
        .map_err(told)?;
    if batch.complete {
        kept::synced(database, grant, read, &[&source.name])
            .await
            .map_err(told)?;
    }
    answer(&wire::Changed { documents: changed })
}

/// `POST /removed`
///
/// # Errors
/// See [`Error`].
pub async fn removed(knock: Knock, body: Body) -> Result<Response<Body>, Error> {
    let (_, removed): (_, wire::Removed) = knock.fill(body).await?;
    let work = async |admitted: Admitted| {
        let source = source(&admitted, &removed.source)?;
        let rooms = &knock.gateway.rooms;
        let names: Vec<&str> = removed.documents.iter().map(String::as_str).collect();
        let gone = kept::remove(rooms.database()?, &admitted.grant, &source.name, &names).await;
        answer(&wire::Changed {
            documents: gone.map_err(|error| rooms.told(error))?,
        })
    };
    knock.recorded("room_removed", knock.admit(Verb::Ingest), work).await
}

/// `GET /uploads?source=&after=`
///
/// # Errors
/// See [`Error`].
pub async fn list_uploads(knock: Knock) -> Result<Response<Body>, Error> {
    let admitted = knock.admit(Verb::Ingest).await?;
    let name = knock.query("source").ok_or(Error::MissingField { field: "source" })?;
    let source = source(&admitted, &name)?;
    let after = knock.query("after").unwrap_or_default();
    let rooms = &knock.gateway.rooms;
    let stored = kept::stored(rooms.database()?, &admitted.grant, &source.name, &after).await;
    let stored = stored.map_err(|error| rooms.told(error))?;
    let next = stored.last().filter(|_| stored.len() == kept::MAX_BATCH);
    answer(&uploads::Uploads {
        next: next.map(|last| last.name.clone()),
        uploads: stored
            .iter()
            .map(|stored| uploads::Upload {
                id: stored.id,
                name: stored.name.clone(),
                file: stored.file.clone(),
                media_type: stored.media_type.clone(),
                clearance: stored.clearance.0,
                acl: names(&stored.acl),
                bytes: stored.bytes,
                digest: hex::encode(stored.digest),
            })
            .collect(),
    })
}

/// `GET /uploads/{id}`
///
/// # Errors
/// See [`Error`].
pub async fn read_upload(knock: Knock, id: &str) -> Result<Response<Body>, Error> {
    let id = number(id)?;
    let admitted = knock.admit(Verb::Ingest).await?;
    let rooms = knock.gateway.rooms.clone();
    let stored = kept::upload(rooms.database()?, &admitted.grant, id).await;
    let stored = stored
        .map_err(|error| rooms.told(error))?
        .ok_or(Error::RoomContentNotFound)?;
    // Part by part: whoever may not be here any more does not get the next one. A length that is not reached is told by
    // HTTP itself.
    let parts = stream::try_unfold((knock, 0u32), move |(knock, part)| async move {
        if part >= stored.parts {
            return Ok(None);
        }
        let admitted = knock.admit(Verb::Ingest).await?;
        let rooms = knock.gateway.rooms.clone();
        let content = kept::read_upload(rooms.database()?, &admitted.grant, id, part).await;
        let content = content.map_err(|error| rooms.told(error))?;
        let content = content.ok_or(Error::RoomContentNotFound)?;
        Ok::<_, Error>(Some((Bytes::from(content), (knock, part + 1))))
    });
    let mut response = Response::new(Body::from_stream(parts));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, stored.bytes.into());
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    // It is whatever a stranger said that it is: nobody shall look at it.
    let octets = header::HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, octets);
    Ok(response)
}

/// `DELETE` of the Room, with `?uid=` of that one only: another one may have its name by now.
///
/// # Errors
/// See [`Error`].
pub async fn purge(knock: Knock) -> Result<Response<Body>, Error> {
    let work = async |admitted: Admitted| {
        let uid = &admitted.room.key.uid;
        if !admitted.room.is_going || knock.query("uid").is_some_and(|wanted| wanted != *uid) {
            return Err(Error::RoomNotDeleted);
        }
        let rooms = &knock.gateway.rooms;
        let purged = kept::purge(rooms.database()?, uid)
            .await
            .map_err(|error| rooms.told(error))?;
        rooms.indexes.drop_room(uid);
        answer(&state::Purged {
            documents: purged.documents,
            chunks: purged.chunks,
            pages: purged.pages,
            uploads: purged.uploads,
            answers: purged.answers,
            feedback: purged.feedback,
        })
    };
    knock.recorded("room_purge", knock.admit(Verb::Ingest), work).await
}
