//! What the Room's red team is told of it: see [`protocol::rooms::redteam`].

use ::rooms::Verb;
use axum::{body::Body, http::Response};
use protocol::rooms::redteam::{Database, Facts, Source, Table};

use super::{
    Admitted,
    request::{Knock, answer},
};
use crate::error::Error;

/// `GET /redteam`
///
/// # Errors
/// See [`Error`].
pub async fn facts(knock: Knock) -> Result<Response<Body>, Error> {
    let rooms = &knock.gateway.rooms;
    let work = async |admitted: Admitted| {
        let head = store::rooms::head(rooms.database()?, &admitted.grant).await;
        let head = head.map_err(|error| rooms.told(error))?;
        let room = &admitted.room;
        let sources = room.sources.iter().filter(|source| source.has_documents);
        answer(&Facts {
            object: "room.redteam".into(),
            uid: room.key.uid.clone(),
            generation: head.live,
            sources: sources
                .map(|source| Source {
                    name: source.name.clone(),
                    clearance: source.clearance.0,
                })
                .collect(),
            databases: (room.databases(admitted.grant.clearance()).into_iter())
                .map(|database| Database {
                    clearance: database.clearance.0,
                    tables: (database.sql.tables.into_iter())
                        .map(|table| Table {
                            name: table.name,
                            columns: table.columns.into_iter().map(|column| column.name).collect(),
                        })
                        .collect(),
                    name: database.source,
                })
                .collect(),
            answers: room.spec.as_ref().is_some_and(|spec| spec.model.is_some()),
        })
    };
    knock.recorded("room_redteam", knock.admit(Verb::RedTeam), work).await
}
