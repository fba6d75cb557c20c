//! `atelier-worker prepare` with compression, as the process that the operator starts.

mod support;

#[path = "../../compress/src/testing.rs"]
mod testing;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use protocol::{
    PrepareFailure, PrepareOutcome, PrepareReport,
    report::{EXIT_PERMANENT, EXIT_TEMPORARY, reasons},
};
use rstest::rstest;
use serde_json::json;

use support::{Worker, model, temporary_dir};

/// Blocks of the tiny model: as many places to be killed at.
const LAYERS: u64 = 6;
/// Kills of the property test.
const KILLS: u32 = 8;

/// English of a few thousand tokens.
fn text() -> String {
    include_str!("../../compress/src/sample.txt").to_owned()
}

/// A source, a store and a calibration text.
struct Place {
    dir: tempfile::TempDir,
    source: PathBuf,
}

impl Place {
    /// With the tiny model and text for several of its windows.
    fn tiny() -> Result<Self> {
        let dir = temporary_dir()?;
        let source = dir.path().join("source.gguf");
        fs::write(&source, testing::tiny_model(LAYERS, 11))?;
        fs::write(dir.path().join("text.txt"), &text()[..2000])?;
        Ok(Self { dir, source })
    }

    /// With the real model and text for two windows.
    fn real() -> Result<Self> {
        let dir = temporary_dir()?;
        fs::write(dir.path().join("text.txt"), &text()[..5400])?;
        Ok(Self { dir, source: model() })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `prepare` into the store `store`.
    fn command(&self, store: &str, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_atelier-worker"));
        command.arg("prepare").arg("--path").arg(&self.source);
        command.arg("--calibration").arg(self.path("text.txt"));
        command.arg("--store").arg(self.path(store));
        command.arg("--report").arg(self.path("report.json"));
        command.args(args).stdin(Stdio::null()).stderr(Stdio::piped());
        command
    }

    fn run(&self, store: &str, args: &[&str]) -> Result<(Option<i32>, PrepareOutcome)> {
        let Output { status, stderr, .. } = self.command(store, args).output()?;
        let report = fs::read_to_string(self.path("report.json"))?;
        let outcome = PrepareOutcome::parse(&report);
        let outcome = outcome.with_context(|| format!("{report:?} {}", String::from_utf8_lossy(&stderr)))?;
        Ok((status.code(), outcome))
    }

    fn succeeds(&self, store: &str, args: &[&str]) -> Result<PrepareReport> {
        match self.run(store, args)? {
            (Some(0), PrepareOutcome::Ready(report)) => Ok(report),
            other => anyhow::bail!("{other:?}"),
        }
    }

    fn fails(&self, store: &str, args: &[&str]) -> Result<(Option<i32>, PrepareFailure)> {
        match self.run(store, args)? {
            (code, PrepareOutcome::Failed(failure)) => Ok((code, failure)),
            other => anyhow::bail!("{other:?}"),
        }
    }
}

/// The names in a directory; none if there is no such directory.
fn names(dir: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let mut names = entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

const INT4: [&str; 4] = ["--quantization", "int4", "--method", "rtn"];

#[tokio::test]
async fn a_four_bit_model_is_prepared_and_served() -> Result<()> {
    let place = Place::real()?;
    let report = place.succeeds("store", &[&INT4[..], &["--max-perplexity-increase", "0.5"]].concat())?;
    let compression = report.compression.clone().context("no compression")?;
    ensure!(report.model.quantization == "Q4_1", "{report:?}");
    ensure!(compression.quantization == "Int4" && compression.method.as_deref() == Some("RTN"));
    ensure!(compression.limit.as_deref() == Some("50.00%"), "{compression:?}");
    let perplexity: f64 = compression.perplexity_after.parse()?;
    ensure!((5.0..60.0).contains(&perplexity), "{compression:?}");
    ensure!(compression.source_bytes == fs::metadata(model())?.len());

    let file = place.path("store").join(&report.file);
    let file = file.to_str().context("a path in UTF-8")?;
    let worker = Worker::start(&["--model", file, "--digest", &report.digest]).await?;
    let question = json!({
        "model": "m",
        "messages": [{"role": "user", "content": "Name the capital city of France."}],
        "temperature": 0,
    });
    let answer = worker.post("/v1/chat/completions", &question).await?;
    let content = answer["choices"][0]["message"]["content"].as_str().unwrap_or_default();
    ensure!(content.contains("Paris"), "{answer}");
    Ok(())
}

#[test]
fn a_model_that_became_worse_than_allowed_is_refused() -> Result<()> {
    let place = Place::real()?;
    let strict = ["--group-size", "128", "--max-perplexity-increase", "0.001"];
    let (code, failure) = place.fails("store", &[&INT4[..], &strict].concat())?;
    ensure!(code == Some(EXIT_PERMANENT) && !failure.retryable, "{failure}");
    ensure!(failure.reason == reasons::PERPLEXITY_EXCEEDED, "{failure}");
    ensure!(failure.message.contains("the limit is 0.10%"), "{failure}");
    ensure!(
        names(&place.path("store"))?.is_empty(),
        "{:?}",
        names(&place.path("store"))?
    );
    Ok(())
}

/// Kills a run after a while; whether it was still at work.
fn killed(mut command: Command, after: Duration) -> Result<bool> {
    let mut child = command.stderr(Stdio::null()).spawn()?;
    let start = Instant::now();
    while start.elapsed() < after {
        if child.try_wait()?.is_some() {
            return Ok(false);
        }
        sleep(Duration::from_millis(1));
    }
    // SIGKILL: nothing of the process runs any more.
    child.kill()?;
    Ok(!child.wait()?.success())
}

#[test]
fn whenever_it_is_killed_the_store_holds_all_or_nothing_and_the_next_run_ends_alike() -> Result<()> {
    let place = Place::tiny()?;
    let args = ["--quantization", "int4", "--method", "gptq"];
    let start = Instant::now();
    let whole = place.succeeds("whole", &args)?;
    let duration = start.elapsed();
    let artifact = whole.digest.replace(':', "-");
    let mut interrupted = 0;
    for kill in 0..KILLS {
        // One store for all kills, so that later ones hit a run that goes on; now and then a fresh one.
        let store = format!("store-{}", kill / 3);
        // Spread over the run by the golden ratio.
        let share = f64::from(kill) * 0.618_034 % 1.0;
        if killed(place.command(&store, &args), duration.mul_f64(share))? {
            interrupted += 1;
        }
        let mut found = names(&place.path(&store))?;
        found.retain(|name| !name.starts_with('.'));
        match found.as_slice() {
            [] => {}
            [only] => {
                ensure!(*only == artifact, "{only}");
                let file = place.path(&store).join(only).join("model.gguf");
                let digest = artifacts::digest::Digest::of_file(&file)?.prefixed();
                ensure!(digest == whole.digest, "{digest} after kill {kill}");
            }
            several => anyhow::bail!("{several:?}"),
        }
    }
    ensure!(interrupted > 0, "no run was killed");
    for store in names(place.dir.path())?
        .iter()
        .filter(|name| name.starts_with("store-"))
    {
        ensure!(place.succeeds(store, &args)? == whole, "{store}");
        let left = names(&place.path(store))?;
        ensure!(
            left.len() == 2 && left[0].starts_with(".made-") && left[1] == artifact,
            "{left:?}"
        );
    }
    Ok(())
}

/// A disk that has no room for the result, and one that gets full on the way: by the hidden states.
#[rstest]
#[case::for_the_result(64, "rtn")]
#[case::for_the_work_on_it(640, "gptq")]
fn a_full_disk_is_told_with_what_is_needed_and_can_be_tried_again(
    #[case] blocks: u64,
    #[case] method: &str,
) -> Result<()> {
    let place = Place::tiny()?;
    let args = ["--quantization", "int4", "--method", method];
    let plain = place.command("store", &args);
    // A limit on the size of files stands in for a full disk; its signal must not end the process.
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\""), "sh"]);
    limited.arg(plain.get_program()).args(plain.get_args());
    let status = limited.stdin(Stdio::null()).stderr(Stdio::null()).status()?;
    let report = fs::read_to_string(place.path("report.json"))?;
    let Some(PrepareOutcome::Failed(failure)) = PrepareOutcome::parse(&report) else {
        anyhow::bail!("{report}")
    };
    ensure!(status.code() == Some(EXIT_TEMPORARY), "{failure}");
    ensure!(failure.reason == reasons::NO_SPACE && failure.retryable, "{failure}");
    ensure!(failure.message.contains(" bytes"), "{failure}");
    let left = names(&place.path("store"))?;
    ensure!(left.iter().all(|name| name.starts_with(".work-")), "{left:?}");
    for work in left {
        let half = names(&place.path("store").join(work))?;
        ensure!(half.iter().all(|name| !name.ends_with(".part")), "{half:?}");
    }
    let report = place.succeeds("store", &args)?;
    ensure!(report.bytes > 64 * 512, "{report:?}");
    Ok(())
}

#[test]
fn arguments_that_do_not_fit_are_refused_before_anything_is_read() -> Result<()> {
    let place = Place::tiny()?;
    fs::remove_file(&place.source)?;
    let (code, failure) = place.fails("store", &["--quantization", "int8", "--method", "awq"])?;
    ensure!(code == Some(EXIT_PERMANENT), "{failure}");
    ensure!(failure.message.contains("--method"), "{failure}");
    ensure!(!place.path("store").exists());
    Ok(())
}

#[test]
fn a_text_that_is_too_short_is_refused() -> Result<()> {
    let place = Place::tiny()?;
    fs::write(place.path("text.txt"), "too short")?;
    let (code, failure) = place.fails("store", &INT4)?;
    ensure!(
        code == Some(EXIT_PERMANENT) && failure.reason == reasons::INVALID_CALIBRATION,
        "{failure}"
    );
    ensure!(
        names(&place.path("store"))?.is_empty(),
        "{:?}",
        names(&place.path("store"))?
    );
    Ok(())
}

#[test]
fn without_compression_the_file_is_reported_as_it_is() -> Result<()> {
    let place = Place::tiny()?;
    let report = place.succeeds("store", &["--quantization", "none"])?;
    ensure!(
        report.compression.is_none() && report.file == "source.gguf",
        "{report:?}"
    );
    ensure!(report.bytes == fs::metadata(&place.source)?.len());
    Ok(())
}
