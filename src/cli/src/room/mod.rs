//! `kubectl atelier room`.

mod ask;
mod documents;
mod search;
mod upload;

use std::process::ExitCode;

use anyhow::Result;
use percent_encoding::{NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};

use crate::{
    args::{As, RoomCommand, RoomName},
    caller::Caller,
    cluster::Cluster,
};

/// Does something with a Room.
///
/// # Errors
/// When the gateway does not do it.
pub async fn run(cluster: &Cluster, command: &RoomCommand) -> Result<ExitCode> {
    match command {
        RoomCommand::Ask { room, question, caller } => {
            ask::run(&Room::enter(cluster, room, caller).await?, question).await
        }
        RoomCommand::Documents {
            room,
            quarantined,
            caller,
        } => documents::list(&Room::enter(cluster, room, caller).await?, *quarantined).await,
        RoomCommand::Search {
            room,
            query,
            top,
            caller,
        } => search::run(&Room::enter(cluster, room, caller).await?, query, *top).await,
        RoomCommand::Upload {
            room,
            files,
            source,
            caller,
        } => upload::run(&Room::enter(cluster, room, caller).await?, files, source.as_deref()).await,
    }
}

/// A Room, and who is there.
struct Room {
    caller: Caller,
    path: String,
}

impl Room {
    async fn enter(cluster: &Cluster, room: &RoomName, caller: &As) -> Result<Self> {
        let namespace = cluster.namespace_or(room.namespace.as_deref());
        Ok(Self {
            caller: Caller::new(cluster, namespace, caller).await?,
            path: format!(
                "{}{}/{}",
                protocol::rooms::PREFIX,
                encoded(namespace),
                encoded(&room.name)
            ),
        })
    }

    /// Something of the Room.
    fn at(&self, rest: &str) -> String {
        format!("{}{rest}", self.path)
    }
}

/// A text as a part of a URL.
fn encoded(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, NON_ALPHANUMERIC)
}
