//! Whether an asker may still be here.

use std::time::Duration;

use ::rooms::{ChunkId, Verb};
use store::rooms as kept;
use tokio::time::timeout;

use super::{
    super::{Admitted, request::Knock},
    begin::Begun,
    given::Given,
};
use crate::error::Error;

/// Between two looks.
pub const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long a look may take. With it, and what decisions are kept, nobody is here ten seconds after they may not.
const LOOK: Duration = Duration::from_secs(2);

/// Whether the asker may still be here, and may still see all that the model was given.
///
/// # Errors
/// When not, or when nobody knows.
pub async fn look(knock: &Knock, begun: &Begun) -> Result<Admitted, Error> {
    let looked = timeout(LOOK, async {
        let rooms = &knock.gateway.rooms;
        let not_found = || Error::RoomNotFound {
            room: format!("{}/{}", knock.namespace, knock.name),
        };
        let admitted = match &begun.retrieved {
            Some(_) => knock.admit_to_read(Verb::Ask).await?,
            // Without documents, nothing of their rights is old.
            None => knock.admit(Verb::Ask).await?,
        };
        if admitted.room.key != begun.admitted.room.key {
            return Err(not_found());
        }
        let databases = admitted.room.databases(admitted.grant.clearance());
        let is_there = |given: &Given| given.rows().is_none_or(|rows| databases.contains(&rows.database));
        if !begun.given.iter().all(is_there) {
            return Err(not_found());
        }
        let documents = begun.given.iter().filter_map(Given::document);
        let chunks: Vec<ChunkId> = documents.map(|text| text.chunk.id).collect();
        let Some(retrieved) = &begun.retrieved else {
            return Ok(admitted);
        };
        let seen = kept::texts(rooms.database()?, &admitted.grant, retrieved.generation, None, &chunks).await;
        match seen.map_err(|error| rooms.told(error))?.len() == chunks.len() {
            true => Ok(admitted),
            false => Err(not_found()),
        }
    });
    looked.await.unwrap_or(Err(Error::AuthorizationUnavailable))
}
