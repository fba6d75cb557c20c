//! `cargo xtask fuzz`: looks for inputs that break what reads files and requests of strangers.
//!
//! The targets are in `src/fuzz`; libFuzzer makes the inputs. Inputs that reach something new are kept
//! in the cache, so that the next run goes on where this one ended.

mod build;
mod outcome;

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::home::Home;
use crate::lock::CacheLock;
use crate::ui::{self, Stage};
use crate::{cargo, process, toolbox};

use outcome::Outcome;

/// Longest time for one input, in seconds.
const PATIENCE: u64 = 10;
/// Most resident memory, in MiB. The targets themselves refuse allocations far below.
const MEMORY: u64 = 1024;

/// What reads the inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Target {
    /// Headers of GGUF files.
    Gguf,
    /// Directories of safetensors files with their settings.
    Checkpoint,
    /// Tokenizers: `tokenizer.json`, or tables of a GGUF file.
    Tokenizer,
    /// LoRA adapters: configuration and weights.
    Adapter,
    /// Chat templates.
    ChatTemplate,
    /// JSON schemas, regular expressions, choices and grammars of answers.
    Constraint,
    /// Bodies of HTTP requests.
    Body,
    /// Records in JSON Lines.
    DataJsonl,
    /// Records in JSON.
    DataJson,
    /// Records in tables of text.
    DataCsv,
    /// Records in YAML.
    DataYaml,
    /// Records in Parquet.
    DataParquet,
    /// Documents.
    DataText,
    /// The forms of records.
    DataRecord,
    /// What programs say of a PDF.
    DataPdf,
    /// Texts that are cleaned and compared.
    DataClean,
    /// Documents of Word.
    DataDocx,
    /// Pages of the web.
    DataHtml,
    /// Markdown, and tables of text.
    DataMarkup,
    /// What programs print of pages and of pictures of them.
    DataLayout,
}

impl Target {
    fn name(self) -> String {
        let value = self.to_possible_value().expect("no target is hidden");
        value.get_name().to_owned()
    }

    /// The package whose tests replay the target's corpus.
    fn package(self) -> &'static str {
        match self {
            Self::Gguf => "atelier-gguf",
            Self::Checkpoint => "atelier-checkpoint",
            Self::Tokenizer | Self::Adapter => "atelier-engine",
            Self::ChatTemplate | Self::Constraint | Self::Body => "atelier-worker",
            Self::DataJsonl
            | Self::DataJson
            | Self::DataCsv
            | Self::DataYaml
            | Self::DataParquet
            | Self::DataText
            | Self::DataRecord
            | Self::DataPdf
            | Self::DataClean
            | Self::DataDocx
            | Self::DataHtml
            | Self::DataMarkup
            | Self::DataLayout => "atelier-data",
        }
    }
}

/// Runs one target, or all of them one after the other, for so many seconds each.
pub fn run(home: &Home, only: Option<Target>, seconds: u64) -> Result<()> {
    let stage = Stage::begin("fuzz");
    let lock = CacheLock::take(home)?;
    toolbox::for_build(home, &stage)?;
    let programs = build::programs(home, &stage)?;
    drop(lock);
    let all = Target::value_variants();
    let mut rows = Vec::new();
    let mut findings = Vec::new();
    for target in all.iter().filter(|target| only.is_none_or(|only| only == **target)) {
        let name = target.name();
        stage.status(&name);
        let outcome = fuzz(home, programs.join(&name), *target, seconds)?;
        rows.push(outcome.row(&name));
        if let Some(finding) = &outcome.finding {
            findings.push(how_to_replay(*target, finding));
        }
    }
    stage.done(&format!("{} targets", rows.len()));
    ui::say(&format!("{}\n{}", Outcome::HEAD, rows.join("\n")));
    if !findings.is_empty() {
        bail!("inputs break what they should not:\n{}", findings.join("\n"));
    }
    Ok(())
}

/// Where a target keeps what it finds.
fn place(home: &Home, target: Target) -> PathBuf {
    home.cache.join("fuzz").join(target.name())
}

fn fuzz(home: &Home, program: PathBuf, target: Target, seconds: u64) -> Result<Outcome> {
    let name = target.name();
    let (place, seeds) = (place(home, target), home.repo.join("src/fuzz/corpus").join(&name));
    let (kept, findings) = (place.join("corpus"), place.join("findings"));
    for dir in [&kept, &findings] {
        fs::create_dir_all(dir).with_context(|| format!("failed to create {}", dir.display()))?;
    }
    let log = place.join("log");
    let file = File::create(&log).with_context(|| format!("failed to write {}", log.display()))?;
    let mut command = process::command(program);
    command
        .envs(cargo::environment(home))
        .env("TMPDIR", home.fresh_work_dir("fuzz")?)
        // Threads of libtorch that wait for each other must not take the time of the target.
        .env("OMP_NUM_THREADS", "1")
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={PATIENCE}"))
        .arg(format!("-rss_limit_mb={MEMORY}"))
        .arg(format!("-artifact_prefix={}/", findings.display()))
        .arg("-print_final_stats=1")
        .args([&kept, &seeds])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(file);
    let status = command.status().with_context(|| format!("failed to start {name}"))?;
    let text = fs::read(&log).with_context(|| format!("failed to read {}", log.display()))?;
    let outcome = Outcome::read(&String::from_utf8_lossy(&text));
    if !status.success() && outcome.finding.is_none() {
        bail!("failed to run the target {name} ({status}); see {}", log.display());
    }
    Ok(outcome)
}

fn how_to_replay(target: Target, finding: &str) -> String {
    let (name, package) = (target.name(), target.package());
    format!(
        "  {name}: {finding}\n    replay it, and keep it: cp {finding} src/fuzz/corpus/{name}/<what it is> && \
         cargo test --package {package} corpus"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_a_program_and_seeds() {
        let fuzz = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
        for target in Target::value_variants() {
            let name = target.name();
            assert!(fuzz.join(format!("fuzz_targets/{name}.rs")).is_file(), "{name}");
            assert!(
                fs::read_dir(fuzz.join("corpus").join(&name)).unwrap().count() > 0,
                "{name}"
            );
        }
    }
}
