//! The peer of `cargo xtask bench rooms`: pgvector's HNSW index with a filter, over vectors like those of our own index.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::json;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use store::testing::Postgres;

/// What is measured.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Chunks in one Room.
    #[arg(long, default_value_t = 100_000)]
    pub chunks: usize,
}

const DIMENSION: usize = 384;
/// Chunks around one centre, as in `atelier-rooms`' example `speed`.
const AROUND: usize = 500;
const BATCH: usize = 500;
const CALLS: usize = 300;
/// Nearest chunks that are asked for.
const NEAREST: i64 = 10;
/// Half of the chunks are above it.
const CLEARANCE: i32 = 1;

const NEAR: &str = "SELECT id FROM chunk WHERE room = 1 AND clearance <= $1 ORDER BY vector <=> $2::vector LIMIT $3";

/// Measures and prints one JSON object; times in seconds.
///
/// # Errors
/// When PostgreSQL has no pgvector.
pub async fn run(options: &Options) -> Result<()> {
    let postgres = Postgres::start_with(&["shared_buffers=1GB", "maintenance_work_mem=1GB", "fsync=off"]);
    let database = postgres.database().await;
    let mut connection = database.connection().await;
    let mut vectors = Vectors::new(options.chunks);
    for statement in [
        "CREATE EXTENSION vector",
        "CREATE TABLE chunk (id bigint PRIMARY KEY, room int NOT NULL, clearance int NOT NULL, vector vector(384) NOT NULL)",
        "ALTER TABLE chunk ALTER COLUMN vector SET STORAGE PLAIN",
    ] {
        execute(&mut connection, statement).await?;
    }
    eprintln!("filling");
    for first in (0..options.chunks).step_by(BATCH) {
        let ids: Vec<i64> = (first..options.chunks.min(first + BATCH)).map(|id| id as i64).collect();
        let texts: Vec<String> = ids.iter().map(|_| vectors.text()).collect();
        sqlx::query(
            "INSERT INTO chunk SELECT id, 1, id % 4, vector::vector FROM unnest($1::bigint[], $2::text[]) AS new (id, vector)",
        )
        .bind(ids)
        .bind(texts)
        .execute(&mut connection)
        .await
        .context("failed to fill the table")?;
    }
    eprintln!("building the index");
    let begun = Instant::now();
    execute(
        &mut connection,
        "CREATE INDEX chunk_vector ON chunk USING hnsw (vector vector_cosine_ops) WITH (m = 16, ef_construction = 64)",
    )
    .await?;
    let built = begun.elapsed().as_secs_f64();
    for statement in [
        "ANALYZE chunk",
        "SET hnsw.ef_search = 100",
        "SET hnsw.iterative_scan = strict_order",
    ] {
        execute(&mut connection, statement).await?;
    }
    let questions: Vec<String> = (0..CALLS).map(|_| vectors.text()).collect();
    let mut seconds = Vec::new();
    let mut found = Vec::new();
    for question in &questions {
        let begun = Instant::now();
        let near = nearest(&mut connection, question).await?;
        seconds.push(begun.elapsed().as_secs_f64());
        found.push(near);
    }
    // Every chunk, without the index.
    execute(&mut connection, "SET enable_indexscan = off").await?;
    let (mut shared, mut all) = (0, 0);
    for (question, found) in questions.iter().zip(&found).take(50) {
        let exact = nearest(&mut connection, question).await?;
        ensure!(!exact.is_empty(), "nothing is near");
        all += exact.len();
        shared += exact.iter().filter(|id| found.contains(id)).count();
    }
    seconds.sort_by(f64::total_cmp);
    let share = |share: f64| seconds[((CALLS - 1) as f64 * share) as usize];
    println!(
        "{}",
        json!({
            "chunks": options.chunks, "p50": share(0.5), "p99": share(0.99), "build": built,
            "recall": shared as f64 / all as f64,
        })
    );
    Ok(())
}

async fn execute(connection: &mut PgConnection, statement: &'static str) -> Result<()> {
    let done = sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await;
    done.map(drop).with_context(|| format!("failed to run {statement}"))
}

async fn nearest(connection: &mut PgConnection, question: &str) -> Result<Vec<i64>> {
    let rows = sqlx::query(NEAR)
        .bind(CLEARANCE)
        .bind(question)
        .bind(NEAREST)
        .fetch_all(connection)
        .await;
    let rows = rows.context("failed to search")?;
    Ok(rows.iter().map(|row| row.get::<i64, _>(0)).collect())
}

/// Random vectors around centres, the same in each run.
struct Vectors {
    state: u64,
    centres: Vec<Vec<f32>>,
}

impl Vectors {
    fn new(chunks: usize) -> Self {
        let mut this = Self {
            state: chunks as u64,
            centres: Vec::new(),
        };
        this.centres = (0..chunks.div_ceil(AROUND))
            .map(|_| (0..DIMENSION).map(|_| this.number()).collect())
            .collect();
        this
    }

    /// From -1 to 1: SplitMix64.
    fn number(&mut self) -> f32 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        (mixed >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    /// As pgvector reads it.
    fn text(&mut self) -> String {
        let centre = (self.number().abs() * self.centres.len() as f32) as usize % self.centres.len();
        let components: Vec<String> = (0..DIMENSION)
            .map(|place| format!("{:.4}", self.centres[centre][place] + 0.7 * self.number()))
            .collect();
        format!("[{}]", components.join(","))
    }
}
