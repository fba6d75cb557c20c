//! `cargo xtask bench rooms`: a gateway with many Rooms, of which not all fit into memory: what it costs to find out who may
//! enter, to search, and to ask until the model begins.
//!
//! Rooms, rights and tokens are those of a real API server, documents lie in a real PostgreSQL, and models answer at once.

mod filled;
mod models;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::Serialize;
use serde_json::json;
use store::testing::Postgres;
use tokio::{net::TcpStream, time::sleep};

use super::{
    http::Connection,
    load::quantile,
    replica::Replica,
    world::{NAMESPACE, World},
};
use crate::{control_plane::ControlPlane, metrics, wait};
use models::Models;

/// What is measured.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// The gateway.
    #[arg(long)]
    pub gateway: PathBuf,
    /// How many Rooms there are.
    #[arg(long, default_value_t = 500)]
    pub rooms: usize,
    /// Chunks of each.
    #[arg(long, default_value_t = 2000)]
    pub chunks: usize,
    /// Memory for indexes, in bytes.
    #[arg(long, default_value_t = 256 << 20)]
    pub memory: u64,
}

/// The core of the gateway; whoever calls this keeps us on another one.
const CORE: usize = 0;
/// Searches and questions of which a quantile is taken.
const CALLS: usize = 500;
/// Past it a decision is made anew.
const FORGOTTEN: Duration = Duration::from_secs(11);
/// The upper bound of the last bucket that is within the goal of a decision that nobody has made yet, in seconds.
const MISS: &str = "0.01024";

/// All figures. Times in seconds, memory in bytes.
#[derive(Clone, Debug, Default, Serialize)]
struct Figures {
    rooms: usize,
    chunks: usize,
    /// Memory of the gateway before and after each Room was searched, and what of it are indexes.
    resident_before: f64,
    resident_after: f64,
    index_bytes: f64,
    /// Indexes that were read.
    index_loads: f64,
    /// The first search in a Room, whose index is read for it.
    cold_p50: f64,
    cold_p99: f64,
    /// Searches in a Room that is in memory.
    warm_p50: f64,
    warm_p99: f64,
    /// A decision that is known, on average.
    authorize_hit: f64,
    /// One that the API server is asked for, on average, and the share of those that took longer than 10 ms.
    authorize_miss: f64,
    authorize_slow: f64,
    /// From a question until the model is asked.
    ask_p50: f64,
    ask_p99: f64,
}

/// Measures and prints one JSON object.
///
/// # Errors
/// When something does not run, or a request fails.
pub async fn run(program: &Path, crds: &Path, options: &Options) -> Result<()> {
    let plane = ControlPlane::start(program, crds).await?;
    let world = World::start(&plane).await?;
    let models = Models::start(&plane.admin).await?;
    let postgres = Postgres::start_with(&[]);
    let database = postgres.database().await;
    let keys = filled::rooms(&plane.admin, &database.database, options.rooms, options.chunks).await?;
    let flags = [
        format!("--database-url-file={}", database.url_file.path().display()),
        "--audit-mode=buffered".to_owned(),
        format!("--audit-spool-dir={}", plane.dir().join("spool").display()),
        format!("--rooms-index-memory={}", options.memory),
    ];
    let gateway = Replica::start(&world, &options.gateway, CORE, &flags).await?;
    let mut caller = Caller::new(&gateway, &world).await?;
    let names: Vec<&str> = keys.iter().map(|key| &*key.name).collect();
    caller.wait_for(names[0]).await?;
    // Whatever was decided meanwhile.
    sleep(FORGOTTEN).await;
    let mut figures = Figures {
        rooms: options.rooms,
        chunks: options.chunks,
        resident_before: gateway.process.resident()?,
        ..Figures::default()
    };
    eprintln!("searching in each Room");
    let before = Decisions::read(&gateway).await?;
    let mut seconds = Vec::new();
    for name in &names {
        seconds.push(caller.search(name).await?);
    }
    let first = Decisions::read(&gateway).await?.since(&before);
    [figures.cold_p50, figures.cold_p99] = quantiles(&mut seconds);
    figures.resident_after = gateway.process.resident()?;
    let told = metrics::metrics(gateway.admin).await?;
    figures.index_bytes = metrics::sum(&told, "atelier_rooms_index_bytes");
    figures.index_loads = metrics::sum(&told, "atelier_rooms_index_loads_total");
    eprintln!("searching in one");
    let last = names.last().context("no Rooms")?;
    caller.search(last).await?;
    let before = Decisions::read(&gateway).await?;
    let mut seconds = Vec::new();
    for _ in 0..CALLS {
        seconds.push(caller.search(last).await?);
    }
    let again = Decisions::read(&gateway).await?.since(&before);
    [figures.warm_p50, figures.warm_p99] = quantiles(&mut seconds);
    figures.authorize_hit = again.seconds / again.count;
    // Each Room's first decision was made anew; the others of the same search were known.
    let made = options.rooms as f64;
    figures.authorize_miss = (first.seconds - figures.authorize_hit * (first.count - made)) / made;
    figures.authorize_slow = first.slow / made;
    eprintln!("asking");
    let mut seconds = Vec::new();
    for _ in 0..CALLS {
        let asked = Instant::now();
        caller.ask(last).await?;
        seconds.push(models.asked_since(asked)?);
    }
    [figures.ask_p50, figures.ask_p99] = quantiles(&mut seconds);
    println!(
        "{}",
        serde_json::to_string(&figures).context("failed to print the figures")?
    );
    Ok(())
}

fn quantiles(seconds: &mut [f64]) -> [f64; 2] {
    [0.5, 0.99].map(|share| quantile(seconds, share))
}

/// Somebody who searches and asks, one after the other.
struct Caller<'a> {
    connection: Connection,
    token: &'a str,
}

impl<'a> Caller<'a> {
    async fn new(gateway: &Replica, world: &'a World) -> Result<Self> {
        let stream = TcpStream::connect(gateway.address).await;
        Ok(Self {
            connection: Connection::new(stream.context("failed to connect to the gateway")?)?,
            token: &world.token,
        })
    }

    /// Until the gateway has heard of a Room and its models.
    async fn wait_for(&mut self, room: &str) -> Result<()> {
        wait::until("the gateway to know its Rooms", wait::PATIENCE, async || {
            Ok(self.search(room).await.ok().map(drop))
        })
        .await
    }

    /// The seconds that a search took.
    async fn search(&mut self, room: &str) -> Result<f64> {
        let begun = Instant::now();
        self.post(room, "search", &json!({"query": filled::QUESTION})).await?;
        Ok(begun.elapsed().as_secs_f64())
    }

    async fn ask(&mut self, room: &str) -> Result<()> {
        self.post(room, "ask", &json!({"question": filled::QUESTION})).await
    }

    async fn post(&mut self, room: &str, what: &str, body: &serde_json::Value) -> Result<()> {
        let body = body.to_string();
        let head = format!(
            "POST /v1/rooms/{NAMESPACE}/{room}/{what} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n\
             authorization: Bearer {}\r\ncontent-length: {}\r\n\r\n",
            self.token,
            body.len()
        );
        self.connection.send((head + &body).as_bytes()).await?;
        let first = self.connection.receive().await?.context("the gateway hung up")?;
        ensure!(first.contains(" 200 "), "the gateway answered {first} to {what}");
        Ok(())
    }
}

/// What a gateway says of its decisions.
struct Decisions {
    count: f64,
    seconds: f64,
    slow: f64,
}

impl Decisions {
    async fn read(gateway: &Replica) -> Result<Self> {
        let told = metrics::metrics(gateway.admin).await?;
        let name = "atelier_rooms_authorize_seconds";
        let count = metrics::sum(&told, &format!("{name}_count"));
        let bucket = format!("{name}_bucket");
        let within = metrics::sums(&told, &bucket, "le", |_| true);
        let within = within.get(MISS).with_context(|| format!("no bucket of {MISS} s"))?;
        Ok(Self {
            count,
            seconds: metrics::sum(&told, &format!("{name}_sum")),
            slow: count - within,
        })
    }

    fn since(&self, before: &Self) -> Self {
        Self {
            count: self.count - before.count,
            seconds: self.seconds - before.seconds,
            slow: self.slow - before.slow,
        }
    }
}
