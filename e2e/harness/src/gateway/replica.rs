//! A gateway of ours.

use std::{net::SocketAddr, path::Path};

use anyhow::{Context, Result};

use super::{
    load::Target,
    process::Process,
    world::{World, listening, pinned},
};
use crate::control_plane::free_port;

/// A running gateway.
pub struct Replica {
    /// Where it serves the API.
    pub address: SocketAddr,
    /// Where it tells its metrics, on loopback.
    pub admin: u16,
    /// Its process.
    pub process: Process,
}

impl Replica {
    /// Starts one on a core, with further options.
    ///
    /// # Errors
    /// When it does not start to listen.
    pub async fn start(world: &World, program: &Path, core: usize, options: &[String]) -> Result<Self> {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        Self::start_at(address, world, program, core, options).await
    }

    /// [`Self::start`] where one may have been before.
    ///
    /// # Errors
    /// When it does not start to listen.
    pub async fn start_at(
        address: SocketAddr,
        world: &World,
        program: &Path,
        core: usize,
        options: &[String],
    ) -> Result<Self> {
        let (admin, grpc) = (free_port()?, free_port()?);
        let child = pinned(core, program)
            .args([
                &format!("--listen={address}"),
                &format!("--admin-listen=127.0.0.1:{admin}"),
                &format!("--grpc-listen=127.0.0.1:{grpc}"),
                "--max-connections=20000",
            ])
            .args(options)
            .env("KUBECONFIG", &world.kubeconfig)
            .spawn()
            .context("failed to start the gateway")?;
        let process = Process::new(child)?;
        listening(address).await?;
        Ok(Self {
            address,
            admin,
            process,
        })
    }

    /// Requests for a model through it.
    pub fn target(&self, world: &World, model: &'static str) -> Target {
        Target {
            address: self.address,
            model,
            token: Some(world.token.clone()),
        }
    }
}
