//! What Rooms need to know of this installation.

use crate::controllers::llmmodel;

/// What Rooms need to know of this installation.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What all kinds need to know.
    pub common: llmmodel::Settings,
    /// The gateway's root, as pods and people reach it.
    pub gateway_url: String,
    /// Audience that tokens for it are issued for.
    pub audience: String,
    /// Whether the operator can show the gateway who it is; without, nothing could be taken out of a Room again.
    pub keeps_rooms: bool,
}
