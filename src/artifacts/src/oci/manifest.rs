//! What an artifact consists of: <https://github.com/opencontainers/image-spec/blob/main/manifest.md>.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::reference::read_digest;
use crate::digest::Digest;
use crate::select::{Listed, is_inside};

/// Types that we understand, in the words of the header that asks for them.
pub(super) const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";
/// Where the name of a layer's file is: as ORAS writes it, and as ModelPack does.
const NAMES: [&str; 2] = ["org.opencontainers.image.title", "org.cncf.model.filepath"];
/// Layers that are one GGUF file, with or without a name: those of Docker's and of Ollama's tools.
const GGUF: [&str; 2] = ["application/vnd.docker.ai.gguf.", "application/vnd.ollama.image.model"];
const GGUF_NAME: &str = "model.gguf";
/// ORAS packs a directory into an archive, and says so here.
const UNPACK: &str = "io.deis.oras.content.unpack";
/// Layers that an artifact may have.
const MAX_LAYERS: usize = 10_000;

#[derive(Debug, Deserialize)]
struct Document {
    manifests: Option<Vec<Descriptor>>,
    layers: Option<Vec<Descriptor>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    platform: Option<Platform>,
}

#[derive(Debug, Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

/// What a tag or digest stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Manifest {
    /// Another manifest, chosen from an index.
    Other(Digest),
    /// Files.
    Files(Files),
}

/// The layers of an artifact.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Files {
    /// Those that are a file each.
    pub files: Vec<File>,
    /// How many are archives or compressed, and not understood.
    pub archives: usize,
}

/// A layer that is a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct File {
    /// Its path inside the artifact.
    pub path: String,
    /// SHA-256 of its content.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
}

impl Listed for File {
    fn path(&self) -> &str {
        &self.path
    }
}

impl Manifest {
    /// Reads a manifest or an index.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(json: &[u8]) -> Result<Self, String> {
        let document: Document = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        match document {
            Document {
                manifests: Some(list), ..
            } => Ok(Self::Other(chosen(&list)?)),
            Document {
                layers: Some(layers), ..
            } => Ok(Self::Files(files(layers)?)),
            _ => Err("it has neither layers nor manifests".into()),
        }
    }
}

/// The only manifest of an index, or the one for this machine.
fn chosen(list: &[Descriptor]) -> Result<Digest, String> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let is_ours = |it: &&Descriptor| {
        let platform = it.platform.as_ref();
        platform.is_some_and(|platform| platform.os == "linux" && platform.architecture == architecture)
    };
    // Signatures and the like are of no platform.
    let is_known = |it: &&Descriptor| it.platform.as_ref().is_none_or(|platform| platform.os != "unknown");
    let known: Vec<_> = list.iter().filter(is_known).collect();
    let ours: Vec<_> = list.iter().filter(is_ours).collect();
    match (known.as_slice(), ours.as_slice()) {
        ([one], _) | (_, [one]) => read_digest(&one.digest),
        _ => Err(format!(
            "it is an index of {} manifests, and not exactly one is for linux/{architecture}; name one by its digest",
            known.len()
        )),
    }
}

fn files(layers: Vec<Descriptor>) -> Result<Files, String> {
    if layers.len() > MAX_LAYERS {
        return Err(format!("it has {} layers, more than {MAX_LAYERS}", layers.len()));
    }
    let mut found = Files {
        files: Vec::new(),
        archives: 0,
    };
    let mut names = BTreeSet::new();
    for layer in layers {
        if is_archive(&layer) {
            found.archives += 1;
            continue;
        }
        let Some(path) = name(&layer) else { continue };
        // What is written below our directory is named by the registry.
        if !is_inside(path) {
            return Err(format!("it has a file {path:?}, which is no path inside it"));
        }
        if !names.insert(path.to_owned()) {
            return Err(format!("it has two files {path:?}"));
        }
        found.files.push(File {
            path: path.to_owned(),
            digest: read_digest(&layer.digest)?,
            size: layer.size,
        });
    }
    Ok(found)
}

/// The name of a layer's file; layers without one are for other tools.
fn name(layer: &Descriptor) -> Option<&str> {
    let named = NAMES.iter().find_map(|key| layer.annotations.get(*key));
    let is_gguf = GGUF.iter().any(|gguf| layer.media_type.starts_with(gguf));
    named.map(String::as_str).or(is_gguf.then_some(GGUF_NAME))
}

fn is_archive(layer: &Descriptor) -> bool {
    let (kind, form) = layer.media_type.split_once('+').unwrap_or((&layer.media_type, ""));
    let words = kind.split('.').skip(1);
    let is_packed = words.chain([form]).any(|word| matches!(word, "tar" | "gzip" | "zstd"));
    is_packed || layer.annotations.get(UNPACK).is_some_and(|unpack| unpack == "true")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn digest(character: char) -> String {
        format!("sha256:{}", character.to_string().repeat(64))
    }

    fn layer(media_type: &str, annotations: Value) -> Value {
        json!({"mediaType": media_type, "digest": digest('a'), "size": 9, "annotations": annotations})
    }

    fn parse(document: Value) -> Result<Manifest, String> {
        Manifest::parse(document.to_string().as_bytes())
    }

    fn names(layers: Value) -> (Vec<String>, usize) {
        match parse(json!({"schemaVersion": 2, "layers": layers})).unwrap() {
            Manifest::Files(found) => (found.files.into_iter().map(|file| file.path).collect(), found.archives),
            other => panic!("{other:?}"),
        }
    }

    #[rstest]
    #[case::oras("application/octet-stream", json!({"org.opencontainers.image.title": "a.gguf"}), &["a.gguf"], 0)]
    #[case::model_pack("application/vnd.cncf.model.weight.v1.raw", json!({"org.cncf.model.filepath": "w/a.gguf"}), &["w/a.gguf"], 0)]
    #[case::docker("application/vnd.docker.ai.gguf.v3", json!({}), &["model.gguf"], 0)]
    #[case::no_name("application/vnd.oci.empty.v1+json", json!({}), &[], 0)]
    #[case::tar("application/vnd.cncf.model.weight.v1.tar", json!({"org.cncf.model.filepath": "a"}), &[], 1)]
    #[case::tar_gzip("application/vnd.oci.image.layer.v1.tar+gzip", json!({}), &[], 1)]
    #[case::docker_tar("application/vnd.docker.image.rootfs.diff.tar.gzip", json!({}), &[], 1)]
    #[case::zstd("application/octet-stream+zstd", json!({"org.opencontainers.image.title": "a"}), &[], 1)]
    #[case::directory("application/x", json!({"org.opencontainers.image.title": "a", "io.deis.oras.content.unpack": "true"}), &[], 1)]
    fn layers_are_files_or_archives(
        #[case] media_type: &str,
        #[case] annotations: Value,
        #[case] files: &[&str],
        #[case] archives: usize,
    ) {
        let expected = files.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(names(json!([layer(media_type, annotations)])), (expected, archives));
    }

    #[rstest]
    #[case("../up")]
    #[case("/etc/passwd")]
    #[case("a\\b")]
    fn names_that_lead_elsewhere_are_refused(#[case] name: &str) {
        let layers = json!([layer("a/b", json!({"org.opencontainers.image.title": name}))]);
        let error = parse(json!({"layers": layers})).unwrap_err();
        assert!(error.contains("no path inside"), "{error}");
    }

    #[test]
    fn documents_that_are_no_manifest_are_refused() {
        let same = layer("a/b", json!({"org.opencontainers.image.title": "a"}));
        let mut sha512 = same.clone();
        sha512["digest"] = json!("sha512:00");
        for (document, says) in [
            (json!({}), "neither layers nor manifests"),
            (json!({"layers": [same, same]}), "two files"),
            (json!({"layers": [sha512]}), "sha256"),
            (json!({"layers": vec![same.clone(); MAX_LAYERS + 1]}), "more than"),
        ] {
            let error = parse(document).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn an_index_leads_to_the_manifest_of_this_machine() {
        let entry = |character: char, os: &str, architecture: &str| json!({"digest": digest(character), "size": 1, "platform": {"os": os, "architecture": architecture}});
        let other = |character: char| Ok(Manifest::Other(read_digest(&digest(character)).unwrap()));
        let (amd, arm) = (entry('a', "linux", "amd64"), entry('b', "linux", "arm64"));
        let signature = entry('c', "unknown", "unknown");
        let ours = if cfg!(target_arch = "x86_64") { 'a' } else { 'b' };
        assert_eq!(parse(json!({"manifests": [amd, arm, signature]})), other(ours));
        let alone = json!({"digest": digest('d'), "size": 1});
        assert_eq!(parse(json!({"manifests": [alone, signature]})), other('d'));
        let error = parse(json!({"manifests": [alone, alone]})).unwrap_err();
        assert!(error.contains("index of 2 manifests"), "{error}");
    }
}
