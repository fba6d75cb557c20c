//! llama.cpp as a peer.

use std::path::PathBuf;

use anyhow::Result;

use super::super::report::Peer;
use super::program::Program;
use crate::home::Home;
use crate::toolbox::llama;
use crate::ui::Stage;

/// The built server.
pub struct Llama {
    server: PathBuf,
}

impl Llama {
    /// Builds it unless it is there; that takes minutes.
    pub fn ensure(home: &Home, stage: &Stage) -> Result<Self> {
        Ok(Self {
            server: llama::server(home, stage)?,
        })
    }

    /// Its two settings that are each best at something.
    pub fn programs(&self) -> [Program; 2] {
        [true, false].map(|flash| Program::Llama {
            program: self.server.clone(),
            flash,
        })
    }

    /// How reports name it.
    pub fn peer() -> Peer {
        Peer {
            name: "llama.cpp",
            version: llama::VERSION,
        }
    }
}
