//! Artifacts of OCI registries: <https://github.com/opencontainers/distribution-spec/blob/main/spec.md>.
//!
//! A tag is resolved to the digest of a manifest once, and all files are those of the manifest. A layer that is
//! no archive is a file, named by an annotation, as ORAS, ModelPack and others push them.

mod challenge;
mod credentials;
mod manifest;
mod reference;
mod registry;

use std::path::{Path, PathBuf};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use protocol::PrepareFailure;
use protocol::report::reasons;

use self::manifest::{File, Files, Manifest};
use self::reference::{Reference, read_digest};
use self::registry::Registry;
use crate::digest::Digest;
use crate::fetch::{Meter, Settings};
use crate::select::{self, What};

/// Files that are fetched at the same time.
const AT_ONCE: usize = 4;
const FIELD: &str = "spec.source.oci.image";

/// An artifact.
#[derive(Clone, Debug)]
pub(crate) struct Oci {
    /// `registry/repository:tag` or `registry/repository@digest`.
    pub image: String,
    /// Digest of the manifest that was found before; it counts, not the tag.
    pub digest: Option<String>,
    /// Files or directories that are wanted, with `*` for any characters; none means `what` is there.
    pub files: Vec<String>,
    /// What is looked for.
    pub what: What,
    /// Directories of files with registry credentials.
    pub credentials: Vec<PathBuf>,
    /// Asks without TLS.
    pub plain_http: bool,
    /// How patient it is.
    pub settings: Settings,
}

/// A model that was fetched.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fetched {
    /// Digest of the manifest.
    pub digest: String,
    /// Its file, or the directory of its files.
    pub path: PathBuf,
}

impl Oci {
    /// Fetches the model into `to`; tells bytes on disk and in all as they come.
    ///
    /// # Errors
    /// When there is no such artifact or file, or it cannot be fetched or verified.
    pub async fn fetch(
        &self,
        to: &Path,
        on_progress: impl FnMut(u64, Option<u64>) + Send,
    ) -> Result<Fetched, PrepareFailure> {
        let reference = self.reference()?;
        let login = credentials::find(&self.credentials, &reference)?;
        let registry = Registry::new(&reference, login, self.plain_http, &self.settings)?;
        let (digest, found) = files(&registry, &reference).await?;
        let patterns: Vec<String> = self.files.iter().map(|name| pattern(name, &found.files)).collect();
        let chosen = select::select(&found.files, &patterns, "spec.source.oci.path", self.what).map_err(|why| {
            let archives = match found.archives {
                0 => String::new(),
                count => format!(
                    "; {count} of its layers are archives, which are not unpacked: push the files themselves, as \
                     `oras push` does with single files, or set spec.source.oci.type: Image for a container image"
                ),
            };
            let message = format!("failed to choose the files of {reference}: {why}{archives}");
            PrepareFailure::new(reasons::FILE_NOT_FOUND, message, false)
        })?;
        let digest = digest.prefixed();
        tracing::info!(%reference, digest, files = chosen.len(), "fetching");
        let meter = Meter::new(chosen.iter().map(|file| Some(file.size)), on_progress);
        let (meter, registry) = (&meter, &registry);
        let blobs = chosen.iter().enumerate().map(|(index, file)| {
            let target = to.join(&file.path);
            async move { registry.blob(file, &target, |bytes| meter.set(index, bytes)).await }
        });
        stream::iter(blobs.collect::<Vec<_>>())
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        Ok(Fetched {
            path: select::place(to, &chosen),
            digest,
        })
    }

    fn reference(&self) -> Result<Reference, PrepareFailure> {
        let invalid = |why: String| {
            let message = format!("failed to read the address {:?}: {why}; correct {FIELD}", self.image);
            PrepareFailure::new(reasons::DOWNLOAD_FAILED, message, false)
        };
        let mut reference: Reference = self.image.parse().map_err(invalid)?;
        if let Some(digest) = &self.digest {
            reference.digest = Some(read_digest(digest).map_err(invalid)?);
        }
        Ok(reference)
    }
}

/// The files of an artifact, and the digest of what its tag stands for.
async fn files(registry: &Registry<'_>, reference: &Reference) -> Result<(Digest, Files), PrepareFailure> {
    let (first, manifest) = document(registry, reference, &reference.target(), reference.digest).await?;
    let other = match manifest {
        Manifest::Files(files) => return Ok((first, files)),
        Manifest::Other(other) => other,
    };
    match document(registry, reference, &other.prefixed(), Some(other)).await?.1 {
        Manifest::Files(files) => Ok((first, files)),
        Manifest::Other(_) => Err(unreadable(
            reference,
            "it is an index of indexes; name a manifest by its digest",
        )),
    }
}

async fn document(
    registry: &Registry<'_>,
    reference: &Reference,
    target: &str,
    expected: Option<Digest>,
) -> Result<(Digest, Manifest), PrepareFailure> {
    let json = registry.manifest(target).await?;
    let found = Digest::of(json.as_slice()).map_err(|error| unreadable(reference, &error.to_string()))?;
    if let Some(expected) = expected.filter(|expected| *expected != found) {
        let message = format!(
            "failed to verify the manifest of {reference}: expected sha256 {expected}, it has sha256 {found}; {}",
            crate::fetch::fields::OCI.mismatch
        );
        return Err(PrepareFailure::new(reasons::DIGEST_MISMATCH, message, false));
    }
    let manifest = Manifest::parse(&json).map_err(|why| unreadable(reference, &why))?;
    Ok((found, manifest))
}

fn unreadable(reference: &Reference, why: &str) -> PrepareFailure {
    let message = format!("failed to read the manifest of {reference}: {why}; check {FIELD}");
    PrepareFailure::new(reasons::DOWNLOAD_FAILED, message, false)
}

/// A name as a pattern: that of a directory means all in it.
fn pattern(name: &str, files: &[File]) -> String {
    let name = name.trim_end_matches('/');
    let is_directory = |file: &File| file.path.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'));
    match files.iter().any(is_directory) {
        true => format!("{name}/*"),
        false => name.to_owned(),
    }
}

#[cfg(test)]
mod real;
#[cfg(test)]
mod tests;
