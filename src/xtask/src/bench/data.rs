//! Preparing data on one core, beside `datasketch` and the filters of `datatrove`: megabytes a second of the processor's
//! time, and how many of the planted duplicates are found.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::report::{Peer, Row};
use crate::home::Home;
use crate::ui::Stage;
use crate::{cargo, process};

/// Texts in which duplicates are looked for.
const TEXTS: usize = 10_000;
/// Texts of them that the peer cleans, which takes it seconds.
const PEER_TEXTS: usize = 1000;
/// Runs of each program, in turns.
const RUNS: usize = 3;
/// Names a Python that has `datasketch` and `datatrove[processing]` with `spacy`, the peers. They bring much along, so they
/// are not fetched.
const PEER_VARIABLE: &str = "ATELIER_PEER_PYTHON";
const PEER_PROGRAM: &str = "src/data/examples/peer.py";
const DATASKETCH: Peer = Peer {
    name: "datasketch",
    version: "as installed",
};
const DATATROVE: Peer = Peer {
    name: "datatrove",
    version: "as installed",
};

/// The bands of the peer: its own choice, and those of FineWeb, with which it finds more and is wrong more often.
const BANDS: [(&str, &[&str]); 2] = [
    ("its own bands", &[]),
    ("14 bands of 8 rows", &["--bands", "14", "--rows", "8"]),
];
/// Rows of the search for duplicates, for each choice of bands: speed, recall, precision.
const DUPLICATE_ROWS: [[&str; 3]; 2] = [
    ["near_speed", "near_recall", "near_precision"],
    ["near_14x8_speed", "near_14x8_recall", "near_14x8_precision"],
];

/// A part of the cleaning: its row, our parts, the peer's, and what it is.
type Part = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
    &'static str,
);

const PARTS: [Part; 4] = [
    (
        "unicode_speed",
        &["unicode"],
        &["unicode"],
        "broken encodings, invisible characters, NFC; the peer: ftfy",
    ),
    (
        "filters_speed",
        &["filters"],
        &["filters"],
        "limits, flags of Gopher, C4 and FineWeb; the peer: the same four filters",
    ),
    (
        "pii_speed",
        &["pii"],
        &["pii"],
        "addresses, numbers of telephones, cards and accounts, replaced; the peer: mail and IP addresses only",
    ),
    (
        "clean_speed",
        &["unicode", "punctuation", "filters", "pii"],
        &["unicode", "filters", "pii"],
        "all of it",
    ),
];

/// One of the figures.
type Figure = fn(&Figures) -> f64;

/// What one run did.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Figures {
    megabytes_per_second: f64,
    #[serde(default)]
    recall: f64,
    #[serde(default)]
    precision: f64,
}

/// Where a run finds its files.
struct Place<'a> {
    home: &'a Home,
    program: PathBuf,
    /// With planted duplicates.
    plain: PathBuf,
    /// With what has to be cleaned.
    dirty: PathBuf,
    python: Option<PathBuf>,
}

/// Measures.
pub fn run(home: &Home, stage: &Stage) -> Result<Vec<Row>> {
    stage.status("compiling");
    let mut build = cargo::command(home);
    build.args([
        "build",
        "--release",
        "--locked",
        "--package",
        "atelier-data",
        "--example",
        "bench",
    ]);
    process::run(stage, &mut build)?;
    let program = home.target().join("release/examples/bench");
    let work = home.fresh_work_dir("bench-data")?;
    let corpus = |name: &str, arguments: &[&str]| -> Result<PathBuf> {
        let path = work.join(name);
        let mut generate = process::command(&program);
        generate
            .args(["generate", "--documents", &TEXTS.to_string()])
            .args(arguments);
        let texts = process::read(&mut generate)?;
        fs::write(&path, texts).with_context(|| format!("failed to write {}", path.display()))?;
        Ok(path)
    };
    let (plain, dirty) = (corpus("plain.jsonl", &[])?, corpus("dirty.jsonl", &["--dirty"])?);
    let python = env::var_os(PEER_VARIABLE).map(PathBuf::from);
    let place = Place {
        home,
        program,
        plain,
        dirty,
        python,
    };
    let mut rows = place.near(stage)?;
    stage.status("equal texts");
    let exact: Result<Vec<_>> = (0..RUNS).map(|_| place.ours(&["dedup", "--only-exact"])).collect();
    let speeds: Vec<f64> = exact?.iter().map(|it| it.megabytes_per_second).collect();
    rows.push(Row::new(
        "exact_speed",
        "MB/s",
        &speeds,
        "equal texts, one core; datatrove compares no whole texts",
    ));
    for part in PARTS {
        rows.push(place.part(stage, part)?);
    }
    crate::home::remove_dir(&work)?;
    Ok(rows)
}

impl Place<'_> {
    /// Similar texts: speed, recall, precision, beside the peer with each choice of bands.
    fn near(&self, stage: &Stage) -> Result<Vec<Row>> {
        let (mut ours, mut theirs) = (Vec::new(), [Vec::new(), Vec::new()]);
        for run in 0..RUNS {
            stage.status(&format!("similar texts, run {}", run + 1));
            ours.push(self.ours(&["dedup"])?);
            for ((_, arguments), figures) in BANDS.iter().zip(&mut theirs) {
                figures.extend(self.theirs(&[&["dedup"][..], arguments].concat())?);
            }
        }
        let mut rows = Vec::new();
        for (((bands, _), figures), ids) in BANDS.iter().zip(&theirs).zip(DUPLICATE_ROWS) {
            let what: [(&str, &str, Figure); 3] = [
                ("MB/s", ">= 20x", |it| it.megabytes_per_second),
                ("share", ">= 1x", |it| it.recall),
                ("share", ">= 1x", |it| it.precision),
            ];
            for (id, (unit, goal, of)) in ids.into_iter().zip(what) {
                let all = |figures: &[Figures]| figures.iter().map(of).collect::<Vec<_>>();
                let note =
                    format!("Jaccard similarity 0.8, shingles of 5 words, one core; the peer: {bands}; goal {goal}");
                let row = Row::new(id, unit, &all(&ours), note);
                rows.push(match figures.is_empty() {
                    true => row,
                    false => row.against(DATASKETCH, &all(figures)),
                });
            }
        }
        Ok(rows)
    }

    fn part(&self, stage: &Stage, (id, ours, theirs, what): Part) -> Result<Row> {
        stage.status(id);
        let arguments = |parts: &[&'static str]| parts.iter().flat_map(|part| ["--part", part]).collect::<Vec<_>>();
        let (mut speeds, mut peers) = (Vec::new(), Vec::new());
        let limit = PEER_TEXTS.to_string();
        for _ in 0..RUNS {
            let all = [&["clean"][..], &arguments(ours)].concat();
            speeds.push(self.ours(&all)?.megabytes_per_second);
            let all = [&["clean", "--limit", &limit][..], &arguments(theirs)].concat();
            peers.extend(self.theirs(&all)?.map(|it| it.megabytes_per_second));
        }
        let row = Row::new(id, "MB/s", &speeds, format!("{what}; one core; goal >= 20x"));
        Ok(match peers.is_empty() {
            true => row,
            false => row.against(DATATROVE, &peers),
        })
    }

    fn corpus(&self, arguments: &[&str]) -> &Path {
        match arguments.first() {
            Some(&"dedup") => &self.plain,
            _ => &self.dirty,
        }
    }

    /// What our program does; the first argument says what.
    fn ours(&self, arguments: &[&str]) -> Result<Figures> {
        figures(&self.program, &[], arguments, self.corpus(arguments))
    }

    /// What the peer's does, if there is one.
    fn theirs(&self, arguments: &[&str]) -> Result<Option<Figures>> {
        let program = self.home.repo.join(PEER_PROGRAM);
        let run = |python: &PathBuf| figures(python, &[&program], arguments, self.corpus(arguments));
        self.python.as_ref().map(run).transpose()
    }
}

fn figures(program: &Path, script: &[&PathBuf], arguments: &[&str], corpus: &Path) -> Result<Figures> {
    let mut command = process::command(program);
    command
        .args(script)
        .args(&arguments[..1])
        .arg(corpus)
        .args(&arguments[1..]);
    let text = process::read(&mut command).with_context(|| format!("failed to run {}", program.display()))?;
    serde_json::from_str(text.trim()).with_context(|| format!("failed to read the figures of {}", program.display()))
}
