//! `cargo xtask bench`: figures, not tests; nothing here fails for being slow.

mod controller;
mod data;
mod embed;
mod gateway;
mod gateway_soak;
mod report;
mod rooms;
mod shadow;
mod soak;
mod train;
mod up;
mod wake;
mod worker;

use anyhow::Result;
use clap::ValueEnum;

use crate::home::Home;
use crate::lock::CacheLock;
use crate::toolbox;
use crate::ui::Stage;

use report::Report;
pub use worker::Against;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Bench {
    /// The worker alone: loading, writing, memory.
    Worker,
    /// The worker as an encoder: documents a second.
    Embed,
    /// Training: tokens a second and memory, beside the peer's where ATELIER_PEER_PYTHON names a Python that has it.
    Train,
    /// Preparing data on one core, beside the peers' where ATELIER_PEER_PYTHON names a Python that has them.
    Data,
    /// Rooms on one core: searches among many chunks, pages until they are cut into chunks, and a gateway with many Rooms.
    /// Takes two cores.
    Rooms,
    /// The worker under twice the load that it can take, for half an hour: errors, memory.
    Soak,
    /// The operator with 1,000 and with 5,000 models: speed, memory, and writes while nothing changes.
    Controller,
    /// The gateway in front of an upstream that answers at once, beside Envoy and LiteLLM. Takes two cores.
    Gateway,
    /// What copies of one request in ten cost users, whatever becomes of the candidate. Takes two cores.
    Shadow,
    /// Three gateways at 70 % of what they can take, while they are killed in turns: errors, audit rows, memory.
    GatewaySoak,
    /// From nothing to the first token, and from zero replicas. Takes the local cluster down first.
    Up,
}

/// Measures and prints.
pub fn run(home: &Home, bench: Bench, against: Option<Against>, minutes: u64, json: bool) -> Result<()> {
    let _lock = CacheLock::take(home)?;
    let (name, rows) = match bench {
        Bench::Worker => {
            let stage = Stage::begin("worker");
            toolbox::for_build(home, &stage)?;
            toolbox::for_tests(home, &stage)?;
            let rows = worker::run(home, &stage, against)?;
            stage.done("measured");
            ("worker", rows)
        }
        Bench::Embed => {
            let stage = Stage::begin("embed");
            toolbox::for_build(home, &stage)?;
            toolbox::for_tests(home, &stage)?;
            let rows = embed::run(home, &stage)?;
            stage.done("measured");
            ("embed", rows)
        }
        Bench::Train => {
            let stage = Stage::begin("train");
            toolbox::for_build(home, &stage)?;
            toolbox::for_tests(home, &stage)?;
            let rows = train::run(home, &stage)?;
            stage.done("measured");
            ("train", rows)
        }
        Bench::Data => {
            let stage = Stage::begin("data");
            toolbox::for_build(home, &stage)?;
            let rows = data::run(home, &stage)?;
            stage.done("measured");
            ("data", rows)
        }
        Bench::Rooms => {
            let stage = Stage::begin("rooms");
            toolbox::for_build(home, &stage)?;
            let rows = rooms::run(home, &stage)?;
            stage.done("measured");
            ("rooms", rows)
        }
        Bench::Soak => {
            let stage = Stage::begin("soak");
            toolbox::for_build(home, &stage)?;
            toolbox::for_tests(home, &stage)?;
            let rows = soak::run(home, &stage, minutes)?;
            stage.done("measured");
            ("soak", rows)
        }
        Bench::Controller => {
            let stage = Stage::begin("controller");
            let rows = controller::run(home, &stage)?;
            stage.done("measured");
            ("controller", rows)
        }
        Bench::Gateway => {
            let stage = Stage::begin("gateway");
            let rows = gateway::run(home, &stage)?;
            stage.done("measured");
            ("gateway", rows)
        }
        Bench::Shadow => {
            let stage = Stage::begin("shadow");
            let rows = shadow::run(home, &stage)?;
            stage.done("measured");
            ("shadow", rows)
        }
        Bench::GatewaySoak => {
            let stage = Stage::begin("gateway-soak");
            let rows = gateway_soak::run(home, &stage, minutes)?;
            stage.done("measured");
            ("gateway-soak", rows)
        }
        Bench::Up => ("up", up::run(home)?),
    };
    Report::new(home, name, rows)?.print(json)
}
