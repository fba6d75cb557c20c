//! The worker as an encoder: texts of 128 tokens, 32 in a request, on all cores.

use std::env;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::report::{Peer, Row};
use super::worker::program::Server;
use crate::ask::http;
use crate::cargo;
use crate::home::Home;
use crate::process;
use crate::toolbox::table;
use crate::ui::Stage;

/// Documents of one request.
const BATCH: usize = 32;
/// Requests that are measured; as many runs of the peer.
const RUNS: usize = 10;
/// Names a Python that has `sentence-transformers`, the peer. It brings gigabytes along, so it is not
/// fetched.
const PEER_VARIABLE: &str = "ATELIER_PEER_PYTHON";
const PEER_PROGRAM: &str = include_str!("embed_peer.py");
const PEER: Peer = Peer {
    name: "sentence-transformers",
    version: "as installed",
};

/// Measures documents per second.
pub fn run(home: &Home, stage: &Stage) -> Result<Vec<Row>> {
    let program = cargo::release(home, stage, &["atelier-worker"])?.remove(0);
    stage.status("embeddings");
    let model = home.models().join(table::EMBEDDER_DIR);
    // 126 words of one token each, and two marks.
    let document = vec!["ship"; 126].join(" ");
    let worker = Server::encoder(home, &program, &model)?;
    let body = json!({"model": "bench", "input": vec![&document; BATCH], "encoding_format": "base64"}).to_string();
    let mut ours = Vec::new();
    for run in 0..=RUNS {
        let started = Instant::now();
        let response = http::post(&worker.api, "/v1/embeddings", "none", &body)?;
        let (status, text) = (response.status, response.text()?);
        if status != 200 {
            bail!("failed to embed: the worker answered {status}: {text}");
        }
        // The first one prepares kernels.
        if run > 0 {
            ours.push(BATCH as f64 / started.elapsed().as_secs_f64());
        }
    }
    drop(worker);
    let note = "128 tokens, 32 in a request over HTTP, all cores; goal >= 1.5x sentence-transformers";
    let row = Row::new("embed128_docs", "docs/s", &ours, note);
    match env::var_os(PEER_VARIABLE) {
        None => Ok(vec![row]),
        Some(python) => {
            let mut peer = process::command(python);
            peer.args(["-c", PEER_PROGRAM]).arg(&model).arg(&document);
            peer.args([BATCH.to_string(), RUNS.to_string()]);
            let text = process::read(&mut peer).context("failed to run sentence-transformers")?;
            let theirs: Result<Vec<f64>, _> = text.split_whitespace().map(str::parse).collect();
            let theirs = theirs.context("failed to read the peer's figures")?;
            Ok(vec![row.against(PEER, &theirs)])
        }
    }
}
