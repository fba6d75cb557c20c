//! The output of a training as a part of the served model: the adapter of all requests that name no other.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
    sync::Arc,
};

use anyhow::{Context as _, Result, bail, ensure};
use artifacts::digest::Digest;
use engine::{
    Engine,
    lora::{Adapter, AdapterFiles},
};
use protocol::tune::{MANIFEST, OutputKind, OutputManifest};

use crate::cli::Model;

/// Largest manifest. It has some answers of the model, and no weights.
const MAX_MANIFEST: u64 = 16 << 20;
/// What is loaded.
const FILES: [&str; 2] = ["adapter_config.json", "adapter_model.safetensors"];

/// The adapter that `--tuned` names, if it does: verified, and of the model that `engine` computes.
///
/// # Errors
/// When it is not what its digest says, of another model, or of a kind that cannot be served.
pub fn load(model: &Model, engine: &Engine) -> Result<Option<Arc<Adapter>>> {
    let Some(directory) = &model.tuned else {
        return Ok(None);
    };
    let expected = [&model.tuned_digest, &model.tuned_base].map(Option::as_deref);
    let loaded = verify(directory, expected).and_then(|digest| {
        let files = AdapterFiles::open(directory, engine.config())?;
        let adapter = files.read(engine.config(), engine.options().model.dtype)?;
        tracing::info!(
            digest,
            bytes = adapter.bytes(),
            rank = adapter.rank(),
            "loaded what a training has published"
        );
        Ok(Arc::new(adapter))
    });
    // What comes last reaches people: the operator shows one line of the log.
    loaded.map(Some).map_err(|error| {
        let directory = directory.display();
        error.context(format!("failed to load what a training has published from {directory}"))
    })
}

/// Compares the files with their manifest, and the manifest with the digest and the base that are `expected`.
///
/// # Errors
/// What differs, or cannot be read.
pub fn verify(directory: &Path, expected: [Option<&str>; 2]) -> Result<String> {
    let manifest = read(directory)?;
    ensure!(
        manifest.kind == OutputKind::Adapter,
        "it has complete weights, not an adapter: serve it as --model"
    );
    for name in FILES {
        ensure!(
            manifest.files.contains_key(name),
            "{MANIFEST} does not list {name}: only LoRA adapters can be served beside a model"
        );
    }
    let mut lines = String::new();
    for (name, sha256) in &manifest.files {
        let is_plain = !name.is_empty() && !name.contains(['/', '\\', '\0']) && name != "." && name != "..";
        ensure!(
            is_plain,
            "{MANIFEST} lists {name:?}, which is no name of a file beside it"
        );
        let wanted: Digest = sha256
            .parse()
            .with_context(|| format!("{MANIFEST} has no SHA-256 of {name}"))?;
        let found = Digest::of_file(&directory.join(name))?;
        ensure!(
            found == wanted,
            "{name} has sha256 {found}, and {MANIFEST} says {wanted}: the volume has lost it, or somebody has changed \
             it; train again, or serve another output"
        );
        lines += &format!("{name} {found}\n");
    }
    let found = Digest::of(lines.as_bytes()).context("failed to digest text")?;
    let [digest, base] = expected;
    for (said_by, said) in [(MANIFEST, Some(manifest.digest.as_str())), ("--tuned-digest", digest)] {
        if let Some(said) = said {
            let said: Digest = said.parse().with_context(|| format!("{said_by} has no digest"))?;
            ensure!(
                found == said,
                "it has the digest sha256:{found}, and {said_by} says sha256:{said}"
            );
        }
    }
    if let (Some(served), Some(trained)) = (base, &manifest.base) {
        let [served, trained] = [served, trained.as_str()].map(str::parse::<Digest>);
        let (served, trained) = (
            served.context("--tuned-base is no digest")?,
            trained.context("its base is no digest")?,
        );
        ensure!(
            served == trained,
            "it was trained on the model sha256:{trained}, and this is sha256:{served}: train again, on this one"
        );
    }
    Ok(found.prefixed())
}

fn read(directory: &Path) -> Result<OutputManifest> {
    let path = directory.join(MANIFEST);
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!(
                "there is no {MANIFEST}: the volume has lost the output, or the training did not end writing it; train \
                 again, or serve another output"
            )
        }
        opened => opened.with_context(|| format!("failed to open {}", path.display()))?,
    };
    let mut text = String::new();
    let length = file.take(MAX_MANIFEST + 1).read_to_string(&mut text);
    let length = length.with_context(|| format!("failed to read {}", path.display()))?;
    ensure!(
        length as u64 <= MAX_MANIFEST,
        "{MANIFEST} is longer than the {MAX_MANIFEST} bytes that are read"
    );
    serde_json::from_str(&text).with_context(|| format!("{MANIFEST} is not what a training writes"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};
    use sha2::{Digest as _, Sha256};

    use super::*;

    const BASE: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn sha256(bytes: &[u8]) -> String {
        hex::encode(Sha256::digest(bytes))
    }

    /// An output with these files, as their contents; the manifest then has other values where `changes` says so.
    fn output(files: &[(&str, &str)], changes: Value) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let mut sums = std::collections::BTreeMap::new();
        for (name, content) in files {
            std::fs::write(dir.path().join(name), content).unwrap();
            sums.insert(*name, sha256(content.as_bytes()));
        }
        let lines: String = sums.iter().map(|(name, sum)| format!("{name} {sum}\n")).collect();
        let digest = format!("sha256:{}", sha256(lines.as_bytes()));
        let report = json!({
            "digest": digest, "kind": "Adapter", "steps": 1, "stoppedEarly": false, "firstLoss": 2.0, "lastLoss": 1.0,
            "evalLoss": null, "referenceLoss": null, "generalPerplexity": null, "tokens": 1, "seconds": 1, "gate": null,
        });
        let mut manifest = json!({
            "digest": digest, "kind": "Adapter", "files": sums, "run": "job", "dataset": "sha256:0", "base": BASE,
            "report": report,
        });
        manifest
            .as_object_mut()
            .unwrap()
            .extend(changes.as_object().unwrap().clone());
        std::fs::write(dir.path().join(MANIFEST), manifest.to_string()).unwrap();
        dir
    }

    const LORA: [(&str, &str); 2] = [("adapter_config.json", "{}"), ("adapter_model.safetensors", "abc")];

    #[test]
    fn an_output_is_what_its_digest_says() {
        let dir = output(&LORA, json!({}));
        let digest = verify(dir.path(), [None, None]).unwrap();
        assert_eq!(verify(dir.path(), [Some(&digest), Some(BASE)]).unwrap(), digest);
        let other = format!("sha256:{}", "b".repeat(64));
        let error = verify(dir.path(), [Some(&other), None]).unwrap_err().to_string();
        assert!(error.contains("--tuned-digest says"), "{error}");
        let error = verify(dir.path(), [None, Some(&other)]).unwrap_err().to_string();
        assert!(error.contains("it was trained on the model sha256:aaaa"), "{error}");
        std::fs::write(dir.path().join("adapter_model.safetensors"), "abd").unwrap();
        let error = verify(dir.path(), [None, None]).unwrap_err().to_string();
        assert!(error.contains("adapter_model.safetensors has sha256"), "{error}");
    }

    #[rstest]
    #[case::weights(&LORA, json!({"kind": "Weights"}), "serve it as --model")]
    #[case::houlsby(&[("adapter.json", "{}")], json!({}), "only LoRA adapters")]
    #[case::digest(&LORA, json!({"digest": BASE}), "manifest.json says sha256:aaaa")]
    #[case::elsewhere(
        &LORA,
        json!({"files": {"adapter_config.json": "0", "adapter_model.safetensors": "0", "../x": "0"}}),
        "\"../x\", which is no name"
    )]
    #[case::no_sum(&LORA, json!({"files": {"adapter_config.json": "0", "adapter_model.safetensors": "0"}}), "no SHA-256")]
    #[case::no_manifest(&LORA, json!({"report": 1}), "not what a training writes")]
    fn what_is_no_output_is_refused(#[case] files: &[(&str, &str)], #[case] changes: Value, #[case] text: &str) {
        let dir = output(files, changes);
        let error = format!("{:#}", verify(dir.path(), [None, None]).unwrap_err());
        assert!(error.contains(text), "{error}");
    }

    #[test]
    fn an_empty_directory_is_no_output() {
        let dir = tempfile::tempdir().unwrap();
        let error = verify(dir.path(), [None, None]).unwrap_err().to_string();
        assert!(error.contains("there is no manifest.json"), "{error}");
    }
}
