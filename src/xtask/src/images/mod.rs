//! Container images: built from `images/*/Containerfile`, named by what is in them, kept as archives.
//!
//! The key of an image is a hash over its Containerfile, its content and the base image. A changed
//! program gets a new key and so a new tag; an unchanged one is neither built nor imported again.

mod base;
mod buildah;
mod stage;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::home::{self, Home};
use crate::lock::CacheLock;
use crate::toolbox;
use crate::ui::{self, Stage};

use base::Base;
use buildah::Buildah;
use stage::{ENCODER, ENGINE, ENVOY, ENVOY_GATEWAY, NAMES, QUICKSTART, ROOMS, Recipe, recipes};

pub use stage::POSTGRES;

/// One image, ready to be imported anywhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// What it is for: `operator`, `gateway`, `worker`, `postgres`, a model or `pause`.
    pub component: String,
    /// `localhost/atelier/operator:<key>`.
    pub reference: String,
    /// Hash over everything that is in it.
    pub key: String,
    /// The image as a docker archive.
    pub archive: PathBuf,
    /// Bytes that it adds to its base.
    pub added: u64,
}

/// Builds what changed and returns the images that `up` takes.
pub fn ensure(home: &Home, stage: &Stage) -> Result<Vec<Image>> {
    let names: Vec<String> = QUICKSTART.iter().map(|name| (*name).to_owned()).collect();
    ensure_some(home, stage, &names)
}

/// The same, with those that Rooms take.
pub fn ensure_with_rooms(home: &Home, stage: &Stage) -> Result<Vec<Image>> {
    let names: Vec<String> = QUICKSTART.iter().chain(ROOMS).map(|name| (*name).to_owned()).collect();
    ensure_some(home, stage, &names)
}

/// Builds what changed and returns all images of the project.
pub fn ensure_all(home: &Home, stage: &Stage) -> Result<Vec<Image>> {
    ensure_some(home, stage, &[])
}

/// Builds what changed and returns all images of the project, with the engine of others that some tests serve with.
pub fn ensure_with_peers(home: &Home, stage: &Stage) -> Result<Vec<Image>> {
    let mut images = ensure_all(home, stage)?;
    images.extend(ensure_some(home, stage, &[ENGINE.to_owned()])?);
    Ok(images)
}

/// Builds what changed and returns all images of the project, with those of an implementation of Gateway API.
pub fn ensure_with_envoy(home: &Home, stage: &Stage) -> Result<Vec<Image>> {
    let mut images = ensure_all(home, stage)?;
    images.extend(ensure_some(home, stage, &[ENVOY_GATEWAY.to_owned(), ENVOY.to_owned()])?);
    Ok(images)
}

/// Builds what changed of the named images; of all but the programs of others when none is named.
fn ensure_some(home: &Home, stage: &Stage, only: &[String]) -> Result<Vec<Image>> {
    if only.is_empty() || only.iter().any(|name| name == ENCODER) {
        toolbox::embedder(home, stage)?;
    }
    let buildah = Buildah::new(home)?;
    let base = base::ensure(home, stage, &buildah)?;
    recipes(home, stage, only)?
        .iter()
        .map(|recipe| ensure_one(home, stage, &buildah, &base, recipe))
        .collect()
}

/// Builds what changed and prints names and sizes.
pub fn print(home: &Home, only: &[String]) -> Result<()> {
    for name in only {
        ensure!(
            NAMES.contains(&name.as_str()),
            "there is no image {name:?}: there are {}",
            NAMES.join(", ")
        );
    }
    let _lock = CacheLock::take(home)?;
    crate::up::tools(home, |stage| {
        toolbox::for_build(home, stage)?;
        toolbox::for_images(home, stage)
    })?;
    let stage = Stage::begin("images");
    let images = ensure_some(home, &stage, only)?;
    stage.done("built");
    for image in images {
        println!(
            "{:<60} {:>10} over its base  {}",
            image.reference,
            ui::megabytes(image.added),
            image.archive.display()
        );
    }
    Ok(())
}

fn ensure_one(home: &Home, stage: &Stage, buildah: &Buildah, base: &Base, recipe: &Recipe) -> Result<Image> {
    let key = recipe.key(base)?;
    let dir = home.cache.join("images");
    let record = dir.join(format!("{}.json", recipe.component));
    if let Some(known) = read_record(&record).filter(|image| image.key == key && image.archive.is_file()) {
        return Ok(known);
    }
    let reference = recipe.reference(&key);
    stage.note(&format!("building {reference}"));
    std::fs::create_dir_all(&dir).with_context(|| format!("failed to create {}", dir.display()))?;
    let archive = dir.join(format!("{}-{key}.tar", recipe.component));
    let context = recipe.stage(home)?;
    buildah.build(stage, &recipe.containerfile, &context, &reference, Some(&base.name))?;
    let half = archive.with_extension("tar.part");
    buildah.save(stage, &reference, &half)?;
    let added = buildah.added_bytes(&reference)?;
    buildah.remove(&reference)?;
    home::remove_dir(&context)?;
    remove_archives(&dir, &recipe.component)?;
    std::fs::rename(&half, &archive).with_context(|| format!("failed to move {}", half.display()))?;
    let image = Image {
        component: recipe.component.clone(),
        reference,
        key,
        archive,
        added,
    };
    let text = serde_json::to_string_pretty(&image).context("failed to write an image's record")?;
    std::fs::write(&record, text).with_context(|| format!("failed to write {}", record.display()))?;
    stage.note(&format!(
        "{}: {} over its base",
        image.reference,
        ui::megabytes(image.added)
    ));
    Ok(image)
}

/// What the last build of an image left, if it can still be read.
fn read_record(path: &Path) -> Option<Image> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// Removes an image's older archives.
fn remove_archives(dir: &Path, component: &str) -> Result<()> {
    for entry in std::fs::read_dir(dir).with_context(|| format!("failed to list {}", dir.display()))? {
        let path = entry
            .with_context(|| format!("failed to list {}", dir.display()))?
            .path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if is_archive_of(&name, component) {
            std::fs::remove_file(&path).with_context(|| format!("failed to remove {}", path.display()))?;
        }
    }
    Ok(())
}

/// Whether a file name is `<component>-<key>.tar`.
fn is_archive_of(name: &str, component: &str) -> bool {
    name.strip_prefix(component)
        .and_then(|rest| rest.strip_prefix('-'))
        .and_then(|rest| rest.strip_suffix(".tar"))
        .is_some_and(|key| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_of_other_images_are_left_alone() {
        for (name, expected) in [
            ("worker-0123456789ab.tar", true),
            ("worker-0123456789ab.tar.part", false),
            ("worker-gpu-0123456789ab.tar", false),
            ("gateway-0123456789ab.tar", false),
            ("worker.json", false),
        ] {
            assert_eq!(is_archive_of(name, "worker"), expected, "{name}");
        }
    }
}
