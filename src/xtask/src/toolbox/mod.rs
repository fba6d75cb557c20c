//! What is needed beyond a Rust toolchain: found, or installed where that is possible.
//!
//! [`table`] lists it; the other files know one kind of origin each. Everything is built in a work
//! directory and moved into the cache in one step, so a crash leaves nothing half done behind.

pub mod debian;
pub mod go;
pub mod llama;
pub mod postgres;
pub mod python;
pub mod table;
mod wheels;

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::home::{self, Home};
use crate::ui::Stage;
use crate::{hash, process};

/// What compiling the workspace and its unit tests takes.
pub fn for_build(home: &Home, stage: &Stage) -> Result<()> {
    if !home.libtorch().join("lib/libtorch_cpu.so").is_file() {
        debian::ensure(stage, table::BUILD_PACKAGES)?;
        let work = home.fresh_work_dir("libtorch")?;
        table::LIBTORCH.unpack(home, stage, &work)?;
        home::publish_dir(&work, &home.libtorch())?;
    }
    debian::ensure(stage, table::BUILD_PACKAGES)
}

/// The models and the texts that unit tests read, and the database that they write to.
pub fn for_tests(home: &Home, stage: &Stage) -> Result<()> {
    debian::ensure(stage, table::TEST_PACKAGES)?;
    postgres::ensure(home, stage)?;
    model(home, stage)?;
    dialogues(home, stage)?;
    embedder(home, stage)?;
    if !home.corpora().join("HumanEval.jsonl.gz").is_file() {
        debian::ensure(stage, table::BUILD_PACKAGES)?;
        let work = home.fresh_work_dir("corpora")?;
        table::CORPORA.unpack(home, stage, &work)?;
        publish_files(&work, &home.corpora())?;
    }
    Ok(())
}

/// What building the images takes.
pub fn for_images(home: &Home, stage: &Stage) -> Result<()> {
    if process::find("buildah").is_none() && !debian::is_root() {
        bail!("failed to build images: buildah is missing and this user may not install it");
    }
    debian::ensure(stage, table::IMAGE_PACKAGES)?;
    dialogues(home, stage)?;
    model(home, stage)
}

/// What the local cluster takes.
pub fn for_cluster(home: &Home, stage: &Stage) -> Result<()> {
    if !debian::is_root() {
        bail!(
            "failed to start a local cluster: it runs in network and mount namespaces of its own, which takes root. \
             Run this as root, or use a cluster you have with `--context NAME`"
        );
    }
    debian::ensure(stage, table::CLUSTER_PACKAGES)?;
    table::CONTAINERD.ensure(home, stage)?;
    go::ensure_cluster_program(home, stage)?;
    Ok(())
}

/// What installing the chart takes.
pub fn for_chart(home: &Home, stage: &Stage) -> Result<()> {
    table::HELM.ensure(home, stage)
}

/// What the tests on the cluster take beside it.
pub fn for_e2e(home: &Home, stage: &Stage) -> Result<()> {
    debian::ensure(stage, table::BUILD_PACKAGES)?;
    table::OPENAI.ensure(home, stage)?;
    table::VERSITYGW.ensure(home, stage)?;
    table::REGISTRY.ensure(home, stage)?;
    model(home, stage)
}

/// Clients of others, for the tests that `--peers` adds.
pub fn for_peers(home: &Home, stage: &Stage) -> Result<()> {
    table::LANGCHAIN.ensure(home, stage)?;
    table::LITELLM.ensure(home, stage)?;
    table::SCHEMATHESIS.ensure(home, stage)?;
    table::GRPCURL.ensure(home, stage)
}

/// Texts and tables, for the figures of Rooms.
pub fn for_corpora(home: &Home, stage: &Stage) -> Result<()> {
    debian::ensure(stage, table::TEST_PACKAGES)?;
    debian::ensure(stage, table::BENCH_PACKAGES)?;
    let dir = home.corpora().join(table::ROOM_TEXTS_DIR);
    if dir.is_dir() {
        return Ok(());
    }
    let work = home.fresh_work_dir(table::ROOM_TEXTS_DIR)?;
    table::ROOM_TEXTS.unpack(home, stage, &work)?;
    home::publish_dir(&work, &dir)
}

/// The quickstart's model, verified.
fn model(home: &Home, stage: &Stage) -> Result<()> {
    let file = home.models().join(table::MODEL_FILE);
    if file.is_file() {
        return Ok(());
    }
    debian::ensure(stage, table::BUILD_PACKAGES)?;
    let work = home.fresh_work_dir("models")?;
    table::MODEL.unpack(home, stage, &work)?;
    verify(&work.join(table::MODEL_FILE), table::MODEL_SHA256)?;
    publish_files(&work, &home.models())
}

/// Dialogues to train on.
fn dialogues(home: &Home, stage: &Stage) -> Result<()> {
    let dir = home.corpora().join(table::CHATTERBOT_DIR);
    if dir.is_dir() {
        return Ok(());
    }
    debian::ensure(stage, table::BUILD_PACKAGES)?;
    let work = home.fresh_work_dir(table::CHATTERBOT_DIR)?;
    table::CHATTERBOT.unpack(home, stage, &work)?;
    home::publish_dir(&work, &dir)
}

/// The encoder, its weights verified.
pub fn embedder(home: &Home, stage: &Stage) -> Result<()> {
    let dir = home.models().join(table::EMBEDDER_DIR);
    if dir.is_dir() {
        return Ok(());
    }
    debian::ensure(stage, table::BUILD_PACKAGES)?;
    let work = home.fresh_work_dir(table::EMBEDDER_DIR)?;
    table::EMBEDDER.unpack(home, stage, &work)?;
    verify(&work.join("model.safetensors"), table::EMBEDDER_SHA256)?;
    home::publish_dir(&work, &dir)
}

/// Compares a file's SHA-256 with the one that it must have.
fn verify(file: &Path, sha256: &str) -> Result<()> {
    let digest = hash::file(file)?;
    if digest != sha256 {
        bail!(
            "failed to verify {}: its SHA-256 is {digest} and should be {sha256}",
            file.display()
        );
    }
    Ok(())
}

/// Moves files into a directory that may hold others.
fn publish_files(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to).with_context(|| format!("failed to create {}", to.display()))?;
    for file in hash::files(from)? {
        let name = file.file_name().expect("a file has a name");
        std::fs::rename(&file, to.join(name)).with_context(|| format!("failed to move {}", file.display()))?;
    }
    home::remove_dir(from)
}
