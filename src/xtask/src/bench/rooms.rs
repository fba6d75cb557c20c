//! Rooms on one core: searches among many chunks, memory of them, pages of documents until they are cut into chunks, and a
//! gateway with many of them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::report::{Peer, Row};
use crate::home::Home;
use crate::toolbox::{debian, postgres, table};
use crate::ui::Stage;
use crate::{cargo, harness, process};

/// Chunks in a Room.
const SIZES: [&str; 2] = ["100000", "1000000"];
/// A text of 193 pages, as TeX makes it: `debian-policy` has it.
const PDF: &str = "/usr/share/doc/debian-policy/policy.pdf.gz";

/// What the program says of one thing.
#[derive(Debug, Deserialize)]
struct Figure {
    what: String,
    chunks: usize,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
    recall: Option<f64>,
    bytes_per_chunk: Option<f64>,
}

/// A row: what it is called, of what it is made, and which figure of it.
type Wanted = (
    &'static str,
    &'static str,
    &'static str,
    usize,
    fn(&Figure) -> Option<f64>,
    &'static str,
);

const WANTED: [Wanted; 9] = [
    (
        "search_p50_100k",
        "ms",
        "search, vectors",
        100_000,
        |it| it.p50_ms,
        "exact: int8, then f16",
    ),
    (
        "search_p99_100k",
        "ms",
        "search, vectors",
        100_000,
        |it| it.p99_ms,
        "exact; goal < 25",
    ),
    (
        "hybrid_p99_100k",
        "ms",
        "search, vectors and words",
        100_000,
        |it| it.p99_ms,
        "with BM25 of the Room's own words",
    ),
    (
        "search_p50_1m",
        "ms",
        "search, vectors",
        1_000_000,
        |it| it.p50_ms,
        "exact: int8, then f16",
    ),
    (
        "search_p99_1m",
        "ms",
        "search, vectors",
        1_000_000,
        |it| it.p99_ms,
        "exact; goal < 80",
    ),
    (
        "hybrid_p99_1m",
        "ms",
        "search, vectors and words",
        1_000_000,
        |it| it.p99_ms,
        "with BM25 of the Room's own words",
    ),
    (
        "recall_100k",
        "share",
        "recall at 10",
        100_000,
        |it| it.recall,
        "of the ten nearest by f32, against all of them",
    ),
    (
        "recall_1m",
        "share",
        "recall at 10",
        1_000_000,
        |it| it.recall,
        "of the ten nearest by f32, against all of them",
    ),
    (
        "chunk_bytes_1m",
        "bytes",
        "build",
        1_000_000,
        |it| it.bytes_per_chunk,
        "vectors of 384 components and 100 words",
    ),
];

/// Measures.
pub fn run(home: &Home, stage: &Stage) -> Result<Vec<Row>> {
    debian::ensure(stage, table::TEST_PACKAGES)?;
    debian::ensure(stage, table::BENCH_PACKAGES)?;
    let speed = example(home, stage, "atelier-rooms", "speed")?;
    let documents = example(home, stage, "atelier-data", "documents")?;
    let data = cargo::release(home, stage, &["atelier-data"])?.remove(0);
    stage.status("searches");
    let text = process::read(on_one_core(&speed).args(SIZES))?;
    let figures: Result<Vec<Figure>, _> = text.lines().map(serde_json::from_str).collect();
    let figures = figures.context("failed to read the figures of searches")?;
    let mut rows = Vec::new();
    for (id, unit, what, chunks, of, note) in WANTED {
        let figure = figures
            .iter()
            .find(|it| it.what == what && it.chunks == chunks)
            .and_then(of);
        let figure = figure.with_context(|| format!("the program does not tell of {what} among {chunks} chunks"))?;
        rows.push(Row::new(id, unit, &[figure], format!("{note}; one core")));
    }
    let mut rows = peer(home, stage, rows)?;
    stage.status("documents");
    let work = home.fresh_work_dir("bench-rooms")?;
    let pdf = work.join("policy.pdf");
    let unpack = process::read(
        process::command("sh")
            .args(["-c", "gunzip --stdout \"$1\" > \"$2\"", "sh", PDF])
            .arg(&pdf),
    );
    unpack.context("failed to unpack the PDF")?;
    let told = process::read(on_one_core(&documents).arg(&data).arg(&pdf))?;
    let pages = told
        .split_once(" pages/s")
        .and_then(|it| it.0.rsplit(' ').next()?.parse::<f64>().ok());
    let pages = pages.with_context(|| format!("the program tells no pages a second: {told}"))?;
    let note = "a PDF of 193 pages, read in its sandbox, cleaned and cut, on one core; goal >= 200";
    rows.push(Row::new("ingest_pages", "pages/s", &[pages], note));
    crate::home::remove_dir(&work)?;
    rows.extend(served(home, stage)?);
    Ok(rows)
}

const PGVECTOR: Peer = Peer {
    name: "pgvector, HNSW",
    version: "0.8.5",
};

/// What `atelier-harness pgvector` prints; times in seconds.
#[derive(Debug, Deserialize)]
struct Told {
    p50: f64,
    p99: f64,
    build: f64,
    recall: f64,
}

/// pgvector's HNSW index with a filter, on the same core, beside the rows of our search.
fn peer(home: &Home, stage: &Stage, rows: Vec<Row>) -> Result<Vec<Row>> {
    postgres::ensure(home, stage)?;
    let harness = harness::command(home, stage, "pgvector")?;
    let mut command = on_one_core(Path::new(harness.get_program()));
    command.args(harness.get_args());
    command.env(postgres::VARIABLE, postgres::bin(home));
    stage.status("pgvector");
    let told: Told =
        serde_json::from_str(&process::read(&mut command)?).context("failed to read the peer's figures")?;
    let beside = |row: Row| match row.id {
        "search_p50_100k" => row.against(PGVECTOR, &[told.p50 * 1e3]),
        "search_p99_100k" => row.against(PGVECTOR, &[told.p99 * 1e3]),
        "recall_100k" => row.against(PGVECTOR, &[told.recall]),
        _ => row,
    };
    let mut rows: Vec<_> = rows.into_iter().map(beside).collect();
    let note =
        "until pgvector has an index: m 16, ef_construction 64; asked with ef_search 100 and a filter that hides half";
    rows.push(Row::new("pgvector_build_100k", "s", &[told.build], note));
    Ok(rows)
}

/// What `atelier-harness gateway-rooms` prints; times in seconds.
#[derive(Debug, Deserialize)]
struct Served {
    rooms: usize,
    chunks: usize,
    resident_before: f64,
    resident_after: f64,
    index_bytes: f64,
    index_loads: f64,
    cold_p50: f64,
    cold_p99: f64,
    warm_p50: f64,
    warm_p99: f64,
    authorize_hit: f64,
    authorize_miss: f64,
    authorize_slow: f64,
    ask_p50: f64,
    ask_p99: f64,
}

/// A gateway on one core, in front of a real API server, a database and models that answer at once.
fn served(home: &Home, stage: &Stage) -> Result<Vec<Row>> {
    let mut command = harness::beside_gateway(home, stage, "gateway-rooms")?;
    stage.status("many Rooms");
    let text = process::read(&mut command)?;
    let told: Served = serde_json::from_str(&text).context("failed to read the harness's figures")?;
    let place = format!(
        "{} Rooms of {} chunks; the gateway on one core, the API server and the database on the other",
        told.rooms, told.chunks
    );
    let row = |id, unit, value: f64, note: &str| Row::new(id, unit, &[value], format!("{place}; {note}"));
    Ok(vec![
        row("authorize_hit", "us", told.authorize_hit * 1e6, "on average; goal < 20"),
        row(
            "authorize_miss",
            "ms",
            told.authorize_miss * 1e3,
            "on average; goal < 10",
        ),
        row(
            "authorize_slow",
            "share",
            told.authorize_slow,
            "of misses, those of more than 10 ms",
        ),
        row(
            "ask_p50",
            "ms",
            told.ask_p50 * 1e3,
            "from the question until the model is asked",
        ),
        row(
            "ask_p99",
            "ms",
            told.ask_p99 * 1e3,
            "from the question until the model is asked; goal < 60",
        ),
        row(
            "warm_search_p50",
            "ms",
            told.warm_p50 * 1e3,
            "a search by HTTP, its index in memory",
        ),
        row(
            "warm_search_p99",
            "ms",
            told.warm_p99 * 1e3,
            "a search by HTTP, its index in memory",
        ),
        row(
            "cold_search_p50",
            "ms",
            told.cold_p50 * 1e3,
            "the first search in a Room, which reads its index",
        ),
        row(
            "cold_search_p99",
            "ms",
            told.cold_p99 * 1e3,
            "the first search in a Room, which reads its index",
        ),
        row(
            "index_bytes",
            "MB",
            told.index_bytes / 1e6,
            "of 268 MB that indexes may take",
        ),
        row("index_loads", "indexes", told.index_loads, "that were read"),
        row(
            "resident_before",
            "MB",
            told.resident_before / 1e6,
            "the gateway before the first of them is read",
        ),
        row(
            "resident_after",
            "MB",
            told.resident_after / 1e6,
            "the gateway after all of them were searched",
        ),
    ])
}

fn on_one_core(program: &Path) -> std::process::Command {
    let mut command = process::command("taskset");
    command.args(["--cpu-list", "0"]).arg(program);
    command
}

fn example(home: &Home, stage: &Stage, package: &str, name: &str) -> Result<PathBuf> {
    stage.status(&format!("compiling {name}"));
    let mut build = cargo::command(home);
    build.args([
        "build",
        "--release",
        "--locked",
        "--package",
        package,
        "--example",
        name,
    ]);
    process::run(stage, &mut build)?;
    Ok(home.target().join("release/examples").join(name))
}
