//! SIGKILL at every stage: what was there before stays whole, nothing new is half there, and the next
//! run goes on where the killed one was.

#![allow(clippy::unwrap_used, reason = "a test says where it failed by panicking")]

#[path = "../src/testing.rs"]
mod testing;

use std::{
    collections::BTreeMap,
    env,
    fs::{self, OpenOptions},
    io::Write,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, Stdio},
};

use atelier_compress::{Job, Method, Options, Pruning, Quantization, Structure, run};
use protocol::Progress;
use rustix::process::{Signal, getpid, kill_process};

/// Tells the child process where it works.
const DIR: &str = "KILL_TEST_DIR";
/// Tells the child process at which report it is to be killed; never, if there is no such report.
const AT: &str = "KILL_TEST_AT";
const SIGKILL: i32 = 9;

/// Scoring, leaving a layer out, calibrating and quantizing: all stages that there are.
fn options(store: &Path) -> Options {
    Options {
        quantization: Quantization::Int4,
        method: Some(Method::Gptq),
        group_size: 32,
        pruning: Some((Pruning::Structured, 0.34)),
        structure: Some(Structure::Layers),
        max_increase: None,
        calibration: Some(store.with_file_name("text.txt")),
        store: store.to_owned(),
    }
}

/// Compresses the model in `dir` into a store there.
fn compress(dir: &Path, options: Options, on_progress: impl FnMut(Progress)) -> String {
    let source = dir.join("source.gguf");
    let job = Job {
        digest: "sha256:tiny".into(),
        bytes: fs::metadata(&source).unwrap().len(),
        source,
        options,
    };
    run(job, on_progress).unwrap().digest
}

fn name_of(progress: &Progress) -> String {
    format!("{:?} {:?} {}", progress.stage, progress.layers, progress.bytes)
}

/// What the child process does: appends each report to a file, and dies at the one that it is told.
#[test]
#[ignore = "the body of the processes that the test below kills"]
fn child() {
    let dir = env::var_os(DIR).unwrap();
    let (dir, at) = (Path::new(&dir), env::var(AT).unwrap());
    let mut log = OpenOptions::new()
        .append(true)
        .create(true)
        .open(dir.join("reports"))
        .unwrap();
    compress(dir, options(&dir.join("store")), |progress| {
        let name = name_of(&progress);
        writeln!(log, "{name}").unwrap();
        if name == at {
            kill_process(getpid(), Signal::KILL).unwrap();
        }
    });
}

/// Runs a child process until the report `at`; returns its reports, and whether it was killed.
fn run_until(dir: &Path, at: &str) -> (Vec<String>, bool) {
    let _ = fs::remove_file(dir.join("reports"));
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--exact", "child", "--ignored"]).env(DIR, dir).env(AT, at);
    // Threads that spin while they wait would take the cores from each other.
    child.env("OMP_WAIT_POLICY", "PASSIVE");
    let status = child.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    let reports = fs::read_to_string(dir.join("reports")).unwrap_or_default();
    let killed = status.signal() == Some(SIGKILL);
    assert!(killed || status.success(), "{status} after {reports}");
    (reports.lines().map(str::to_owned).collect(), killed)
}

/// The results in a store, by name: each is a file whose digest is its name.
fn results(store: &Path) -> BTreeMap<String, u64> {
    let names = fs::read_dir(store)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let finished = names.filter(|name| !name.starts_with('.'));
    let sizes = finished.map(|name| {
        let file = store.join(&name).join("model.gguf");
        let digest = artifacts::digest::Digest::of_file(&file).unwrap();
        assert_eq!(name, format!("sha256-{digest}"));
        (name, fs::metadata(file).unwrap().len())
    });
    sizes.collect()
}

#[test]
fn killed_at_every_stage_it_leaves_the_old_result_whole_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::write(dir.join("source.gguf"), testing::tiny_model(3, 5)).unwrap();
    fs::write(dir.join("text.txt"), &include_str!("../src/sample.txt")[..1500]).unwrap();

    let mut stages = Vec::new();
    let expected = compress(dir, options(&dir.join("whole")), |progress| {
        stages.push(name_of(&progress))
    });
    // The layers are scored, and two of them quantized.
    assert_eq!(stages.len(), 3 + 1 + 2 * 3 + 1 + 1, "{stages:?}");

    let store = dir.join("store");
    let old = Options {
        quantization: Quantization::Int8,
        method: None,
        pruning: None,
        structure: None,
        ..options(&store)
    };
    compress(dir, old, |_| {});
    let before = results(&store);
    assert_eq!(before.len(), 1);

    let mut resumed_at = 0;
    for (index, stage) in stages.iter().enumerate() {
        let (reports, killed) = run_until(dir, stage);
        assert!(killed, "{stage}: {reports:?}");
        assert_eq!(results(&store), before, "killed at {stage}");
        // Nothing that was finished is done again: it did what follows where it went on, at most the
        // three stages of the layer that the last one was killed in before.
        let first = stages.iter().position(|stage| *stage == reports[0]).unwrap();
        assert_eq!(reports, stages[first..=index], "killed at {stage}");
        assert!(first >= resumed_at && index - first <= 3, "{stage} after {reports:?}");
        resumed_at = first;
    }
    let (reports, killed) = run_until(dir, "never");
    assert!(!killed && reports.len() == 1, "{reports:?}");
    let mut after = results(&store);
    let new = expected.replace(':', "-");
    assert!(after.remove(&new).is_some(), "{after:?}");
    assert_eq!(after, before);
    let work = fs::read_dir(&store).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(
        work.into_iter()
            .all(|name| !name.to_string_lossy().starts_with(".work"))
    );
}
