//! Documents that people upload. They go to the database in parts as they come, and none has to be in memory.

use std::time::Duration;

use ::rooms::{Acl, Verb};
use axum::{
    body::Body,
    http::{Response, header},
};
use bytes::BytesMut;
use http_body_util::BodyExt;
use protocol::rooms::{document_id, documents::Uploaded};
use store::rooms::{Arriving, MAX_PART, Stored, Upload};
use tokio::time::timeout;

use super::{
    Admitted, Service,
    request::{Knock, answer, ended},
};
use crate::{audit::RoomOpening, body, error::Error};

/// Longest wait for the next piece.
const IDLE: Duration = Duration::from_secs(30);

/// `POST /documents?source=&file=`
///
/// # Errors
/// See [`Error`].
pub async fn take(knock: Knock, body: Body) -> Result<Response<Body>, Error> {
    let mut trail = knock.trail("room_upload");
    let begun = async {
        let admitted = knock.admit(Verb::Contribute).await?;
        let (upload, most) = describe(&knock, &admitted)?;
        let length = knock.parts.headers.get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > most) {
            return Err(too_large(most));
        }
        Ok((admitted, upload, most))
    };
    let (admitted, upload, most) = match begun.await {
        Ok(begun) => begun,
        Err(error) => {
            body::forget(body);
            return Err(trail.refuse(error).await);
        }
    };
    let entry = trail.open_room(&RoomOpening::of(&admitted)).await?;
    let outcome = store(&knock, admitted, &upload, most, body).await;
    let outcome = outcome.and_then(|stored| answer(&uploaded(&stored)));
    ended(entry, &outcome);
    outcome
}

/// What is uploaded, and its most bytes. A source that the caller would not see is none.
fn describe(knock: &Knock, admitted: &Admitted) -> Result<(Upload, u64), Error> {
    let missing = |field| Error::MissingField { field };
    let name = knock.query("source").ok_or(missing("source"))?;
    let file = knock
        .query("file")
        .filter(|file| !file.is_empty())
        .ok_or(missing("file"))?;
    let source = admitted.room.source(&name);
    let source = source.filter(|source| source.clearance <= admitted.grant.clearance());
    let (source, limits) = source
        .and_then(|source| Some((source, source.upload?)))
        .ok_or(Error::InvalidField {
            field: "source",
            expected: "the name of a source that takes uploads",
        })?;
    let media_type = knock.parts.headers.get(header::CONTENT_TYPE);
    let media_type = media_type.and_then(|value| value.to_str().ok());
    let upload = Upload {
        source: source.name.clone(),
        file,
        media_type: media_type.unwrap_or("application/octet-stream").into(),
        clearance: source.clearance,
        acl: Acl::everyone(),
        most_of_all: limits.total,
    };
    Ok((upload, limits.document))
}

fn too_large(most: u64) -> Error {
    Error::BodyTooLarge {
        limit: usize::try_from(most).unwrap_or(usize::MAX),
    }
}

async fn store(
    knock: &Knock,
    mut admitted: Admitted,
    upload: &Upload,
    most: u64,
    mut body: Body,
) -> Result<Stored, Error> {
    let rooms = &knock.gateway.rooms;
    let told = |error| Service::told(rooms, error);
    let mut arriving = upload.begin(rooms.database()?, &admitted.grant).await.map_err(told)?;
    let mut part = BytesMut::new();
    loop {
        let frame = match timeout(IDLE, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(None) => break,
            Ok(Some(Err(_))) => return Err(Error::BodyBroken),
            Err(_) => return Err(Error::BodyTimeout),
        };
        let Ok(data) = frame.into_data() else { continue };
        if arriving.bytes() + (part.len() + data.len()) as u64 > most {
            body::forget(body);
            return Err(too_large(most));
        }
        part.extend_from_slice(&data);
        while part.len() >= MAX_PART {
            // Whoever may not be here any more does not finish.
            admitted = knock.admit(Verb::Contribute).await?;
            let full = part.split_to(MAX_PART);
            if let Err(error) = arriving.push(&admitted.grant, &full).await {
                // Else its sender sees a broken connection, and not why.
                body::forget(body);
                return Err(told(error));
            }
        }
    }
    finish(knock, admitted, arriving, &part).await
}

async fn finish(knock: &Knock, first: Admitted, mut arriving: Arriving, rest: &[u8]) -> Result<Stored, Error> {
    let rooms = &knock.gateway.rooms;
    let admitted = knock.admit(Verb::Contribute).await?;
    if admitted.room.key != first.room.key {
        return Err(Error::RoomNotFound {
            room: format!("{}/{}", knock.namespace, knock.name),
        });
    }
    if !rest.is_empty() || arriving.bytes() == 0 {
        let pushed = arriving.push(&admitted.grant, rest).await;
        pushed.map_err(|error| rooms.told(error))?;
    }
    arriving
        .finish(&admitted.grant)
        .await
        .map_err(|error| rooms.told(error))
}

/// An upload on the wire, for who has made it.
pub fn uploaded(stored: &Stored) -> Uploaded {
    Uploaded {
        object: "room.upload".into(),
        id: document_id(&stored.source, &stored.name),
        source: stored.source.clone(),
        name: stored.name.clone(),
        file: stored.file.clone(),
        clearance: stored.clearance.0,
        bytes: stored.bytes,
        digest: hex::encode(stored.digest),
    }
}
