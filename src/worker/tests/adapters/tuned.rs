//! What a training has published, as a part of the model that is served.

use std::{collections::BTreeMap, path::Path, process::Command};

use anyhow::{Context as _, Result, bail, ensure};
use artifacts::digest::Digest;
use protocol::EvaluationOutcome;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Worker, adapter, answer, model};
use crate::support;

/// Writes the manifest of the adapter in `directory`, as a training does that was on the model `base`; returns the
/// digest.
fn publish(directory: &Path, base: &str) -> Result<String> {
    let mut files = BTreeMap::new();
    for name in ["adapter_config.json", "adapter_model.safetensors"] {
        files.insert(name, Digest::of_file(&directory.join(name))?.to_string());
    }
    let lines: String = files.iter().map(|(name, sum)| format!("{name} {sum}\n")).collect();
    let digest = format!("sha256:{}", hex::encode(Sha256::digest(lines)));
    let report = json!({
        "digest": digest, "kind": "Adapter", "steps": 1, "stoppedEarly": false, "firstLoss": 2.0, "lastLoss": 1.0,
        "evalLoss": null, "referenceLoss": null, "generalPerplexity": null, "tokens": 1, "seconds": 1, "gate": null,
    });
    let manifest = json!({
        "digest": digest, "kind": "Adapter", "files": files, "run": "tone", "dataset": "sha256:0", "base": base,
        "report": report,
    });
    std::fs::write(directory.join("manifest.json"), manifest.to_string())?;
    Ok(digest)
}

#[tokio::test]
async fn requests_that_name_no_adapter_are_computed_with_what_was_trained() -> Result<()> {
    let (model, root) = (model()?, support::temporary_dir()?);
    let (named, tuned) = (root.path().join("named"), root.path().join("named/tuned"));
    adapter(&named.join("other"), 1, &model)?;
    adapter(&tuned, 2, &model)?;
    let base = Digest::of_model(&support::model())?.prefixed();
    let digest = publish(&tuned, &base)?;
    let [named, tuned] = [named, tuned].map(|path| path.display().to_string());
    let plain = Worker::start(&["--adapters-dir", &named]).await?;
    let (untrained, by_name, other) = (
        answer(&plain, "m").await?,
        answer(&plain, "m:tuned").await?,
        answer(&plain, "m:other").await?,
    );
    ensure!(untrained != by_name && by_name != other, "the adapters change nothing");
    drop(plain);

    let flags = ["--tuned", &tuned, "--tuned-digest", &digest, "--tuned-base", &base];
    let worker = Worker::start(&[&flags[..], &["--adapters-dir", &named]].concat()).await?;
    ensure!(answer(&worker, "m").await? == by_name);
    // Beside the weights, and not beside the other adapter.
    ensure!(answer(&worker, "m:other").await? == other);
    let chat =
        json!({"model": "m", "messages": [{"role": "user", "content": "Hi."}], "temperature": 0, "max_tokens": 4});
    let alike = json!({"model": "m:tuned", "messages": chat["messages"], "temperature": 0, "max_tokens": 4});
    let (chat, alike) = (
        worker.post("/v1/chat/completions", &chat).await?,
        worker.post("/v1/chat/completions", &alike).await?,
    );
    ensure!(
        chat["choices"] == alike["choices"] && chat["model"] == "m",
        "{chat} and {alike}"
    );
    let models = worker.get("/v1/models").await?;
    let ids: Vec<_> = models["data"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|it| &it["id"])
        .collect();
    ensure!(ids == ["m", "m:other", "m:tuned"], "{models}");
    Ok(())
}

#[tokio::test]
async fn what_is_not_as_it_was_published_is_not_served() -> Result<()> {
    let (model, root) = (model()?, support::temporary_dir()?);
    let tuned = root.path().join("tuned");
    adapter(&tuned, 2, &model)?;
    let base = format!("sha256:{}", "0".repeat(64));
    publish(&tuned, &base)?;
    let directory = tuned.display().to_string();
    let other = format!("sha256:{}", "1".repeat(64));
    for (flag, text) in [
        ("--tuned-digest", "and --tuned-digest says"),
        ("--tuned-base", "it was trained on the model sha256:0000"),
    ] {
        let (code, log) = Worker::fails(&["--tuned", &directory, flag, &other]).await?;
        ensure!(code == Some(1) && log.contains(text), "{code:?}: {log}");
    }
    // Another way of training, whose files are as they were published.
    let config = tuned.join("adapter_config.json");
    let mut fields: Value = serde_json::from_str(&std::fs::read_to_string(&config)?)?;
    fields["peft_type"] = json!("PREFIX_TUNING");
    std::fs::write(&config, fields.to_string())?;
    publish(&tuned, &base)?;
    let (code, log) = Worker::fails(&["--tuned", &directory]).await?;
    let text = "failed to load what a training has published from";
    ensure!(
        code == Some(1) && log.contains(text) && log.contains("only LORA is supported"),
        "{code:?}: {log}"
    );
    Ok(())
}

#[test]
fn suites_judge_what_was_trained() -> Result<()> {
    let root = support::temporary_dir()?;
    let tuned = root.path().join("tuned");
    adapter(&tuned, 2, &model()?)?;
    let digest = publish(&tuned, "sha256:0")?;
    let texts = root.path().join("texts.jsonl");
    std::fs::write(&texts, r#"{"text": "The quick brown fox jumps over the lazy dog."}"#)?;
    let score = |flags: &[&str]| -> Result<f64> {
        let report = root.path().join("report.json");
        let mut command = Command::new(env!("CARGO_BIN_EXE_atelier-worker"));
        command.arg("evaluate").arg("--report").arg(&report);
        command.arg("--model").arg(support::model());
        command.args(["--context-length", "256", "--max-concurrent-sequences", "2"]);
        command.args(["--suite", &format!("texts={}", texts.display())]);
        ensure!(command.args(flags).status()?.success(), "it fails");
        let text = std::fs::read_to_string(&report)?;
        match EvaluationOutcome::parse(&text).with_context(|| format!("no outcome: {text}"))? {
            EvaluationOutcome::Scored(report) => Ok(report.suites[0].score.parse()?),
            EvaluationOutcome::Failed(failure) => bail!("{failure}"),
        }
    };
    let directory = tuned.display().to_string();
    let (before, after) = (score(&[])?, score(&["--tuned", &directory, "--tuned-digest", &digest])?);
    // Random weights make a sentence less likely.
    ensure!(after < before, "{before} and {after}");
    Ok(())
}
