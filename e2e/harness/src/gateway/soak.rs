//! `cargo xtask bench gateway-soak`: three gateways with a strict audit trail, for long, at 70 % of what they can take,
//! while two of them are killed in turns. Nothing that a client sees may fail for good, no answer may lack its audit
//! row, and the memory of the one that lives must not grow.

use std::{
    collections::HashSet,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use clap::Args;
use futures::future::{join_all, try_join_all};
use serde::Serialize;
use sqlx::Row as _;
use store::testing::{Postgres, TestDatabase};
use tokio::time::sleep;

use super::{
    CORE,
    load::{self, Client, Target},
    replica::Replica,
    world::{QUICK, World},
};
use crate::control_plane::{ControlPlane, free_port};

/// What is measured.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// The gateway.
    #[arg(long)]
    pub gateway: PathBuf,
    /// How long.
    #[arg(long, default_value_t = 10)]
    pub minutes: u64,
}

/// The last of them is never killed.
const REPLICAS: usize = 3;
const CONNECTIONS: u32 = 30;
/// How much of what they can take is asked of them.
const SHARE: f64 = 0.7;
const BETWEEN_KILLS: Duration = Duration::from_secs(20);
/// How long a killed one is missed.
const DOWN: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_secs(5);
/// What the first minute fills counts for no growth.
const WARM: Duration = Duration::from_secs(60);
/// A client tries again as often, as the clients of OpenAI do by default, each time at another gateway.
const RETRIES: usize = 2;

/// What came of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures {
    /// Requests a second that were asked for.
    rate: f64,
    /// Requests that were answered.
    answered: u64,
    /// Tries that failed and were followed by another.
    retried: u64,
    /// Requests whose last try failed as well.
    failed: u64,
    /// Gateways that were killed.
    kills: u64,
    /// Answers whose row is not in the database.
    lost_rows: u64,
    /// Answers whose end is not in the database: their gateway died before it could write.
    without_end: u64,
    /// Seconds from when a request was due to its answer.
    p50: f64,
    p99: f64,
    /// Resident memory of the gateway that was not killed, after the first minute.
    resident: Vec<f64>,
    /// What `audit verify` says.
    verdict: String,
}

/// The requests of one connection.
#[derive(Default)]
struct Requests {
    answered: Vec<String>,
    seconds: Vec<f32>,
    retried: u64,
    failed: u64,
}

/// Measures and prints one JSON object.
///
/// # Errors
/// When something does not run.
pub async fn run(program: &Path, crds: &Path, options: &Options) -> Result<()> {
    let plane = ControlPlane::start(program, crds).await?;
    let world = World::start(&plane).await?;
    let postgres = Postgres::start_with(&[]);
    let database = postgres.database().await;
    let fleet = Fleet::new(&world, options, &database)?;
    let mut running = try_join_all((0..REPLICAS).map(|place| fleet.start(place))).await?;
    let rate = SHARE * fleet.saturation().await?;
    eprintln!("{rate:.0} requests a second for {} minutes", options.minutes);

    let begin = Instant::now();
    let end = begin + Duration::from_secs(60 * options.minutes);
    let mut figures = Figures {
        rate,
        ..Figures::default()
    };
    let watched = running.pop().context("there are none")?;
    let (all, kills, resident) = tokio::join!(
        join_all((0..CONNECTIONS).map(|place| fleet.ask(place, rate, begin, end))),
        fleet.kill_in_turns(&mut running, end),
        memory(&watched, begin, end),
    );
    figures.kills = kills?;
    figures.resident = resident?;
    running.push(watched);
    for replica in running {
        replica.process.end().await?;
    }
    let mut seconds: Vec<f64> = all.iter().flat_map(|it| &it.seconds).map(|&it| it.into()).collect();
    figures.p50 = load::quantile(&mut seconds, 0.5);
    figures.p99 = load::quantile(&mut seconds, 0.99);
    figures.retried = all.iter().map(|it| it.retried).sum();
    figures.failed = all.iter().map(|it| it.failed).sum();
    let answered: Vec<_> = all.into_iter().flat_map(|it| it.answered).collect();
    figures.answered = answered.len() as u64;
    let [opened, closed] = [rows(&database, "opened").await?, rows(&database, "closed").await?];
    let missing = |rows: &HashSet<String>| answered.iter().filter(|id| !rows.contains(*id)).count() as u64;
    figures.lost_rows = missing(&opened);
    figures.without_end = missing(&closed);
    figures.verdict = fleet.verify().await?;
    println!(
        "{}",
        serde_json::to_string(&figures).context("failed to print the figures")?
    );
    Ok(())
}

/// The gateways, and how each is started.
struct Fleet<'a> {
    world: &'a World,
    program: &'a Path,
    addresses: Vec<SocketAddr>,
    options: Vec<String>,
}

impl<'a> Fleet<'a> {
    fn new(world: &'a World, options: &'a Options, database: &TestDatabase) -> Result<Self> {
        let address = |_| anyhow::Ok(SocketAddr::from(([127, 0, 0, 1], free_port()?)));
        Ok(Self {
            world,
            program: &options.gateway,
            addresses: (0..REPLICAS).map(address).collect::<Result<_>>()?,
            options: vec![
                format!("--database-url-file={}", database.url_file.path().display()),
                "--audit-mode=strict".into(),
                "--audit-seal-seconds=30".into(),
                "--drain-delay=0".into(),
            ],
        })
    }

    async fn start(&self, place: usize) -> Result<Replica> {
        Replica::start_at(self.addresses[place], self.world, self.program, CORE, &self.options).await
    }

    fn target(&self, place: usize) -> Target {
        Target {
            address: self.addresses[place % REPLICAS],
            model: QUICK,
            token: Some(self.world.token.clone()),
        }
    }

    /// Requests a second that all take together.
    async fn saturation(&self) -> Result<f64> {
        let each = CONNECTIONS / REPLICAS as u32;
        let measure = async |time| {
            let targets: Vec<_> = (0..REPLICAS).map(|place| self.target(place)).collect();
            let rates = try_join_all(targets.iter().map(|target| load::flat_out(target, time, each))).await?;
            anyhow::Ok(rates.iter().sum::<f64>())
        };
        // Connections and caches first.
        measure(Duration::from_secs(2)).await?;
        measure(Duration::from_secs(10)).await
    }

    /// Asks at its share of `rate` until `end`; a try that fails is followed by one at another gateway.
    async fn ask(&self, connection: u32, rate: f64, begin: Instant, end: Instant) -> Requests {
        let mut clients: Vec<_> = (0..REPLICAS).map(|place| Client::new(self.target(place))).collect();
        let pace = Duration::from_secs_f64(f64::from(CONNECTIONS) / rate);
        let mut requests = Requests::default();
        // Not all at the same moment.
        let mut due = begin + pace.mul_f64(f64::from(connection) / f64::from(CONNECTIONS));
        let mut number = 0_u64;
        while due < end {
            sleep(due.saturating_duration_since(Instant::now())).await;
            number += 1;
            let mut answered = None;
            for attempt in 0..=RETRIES {
                let id = format!("soak-{connection}-{number}-{attempt}");
                let place = (connection as usize + number as usize + attempt) % REPLICAS;
                match clients[place].ask(&id).await {
                    Ok(()) => {
                        answered = Some(id);
                        break;
                    }
                    Err(error) if attempt == RETRIES => eprintln!("request {id} failed for good: {error:#}"),
                    Err(_) => requests.retried += 1,
                }
            }
            match answered {
                Some(id) => {
                    requests.answered.push(id);
                    requests.seconds.push(due.elapsed().as_secs_f32());
                }
                None => requests.failed += 1,
            }
            due += pace;
        }
        requests
    }

    /// Kills one after the other as `kill -9` does, and starts it again.
    async fn kill_in_turns(&self, running: &mut [Replica], end: Instant) -> Result<u64> {
        let mut kills = 0;
        while Instant::now() + BETWEEN_KILLS < end {
            sleep(BETWEEN_KILLS - DOWN).await;
            let place = kills as usize % running.len();
            running[place].process.kill().await?;
            kills += 1;
            sleep(DOWN).await;
            running[place] = self.start(place).await?;
        }
        sleep(end.saturating_duration_since(Instant::now())).await;
        Ok(kills)
    }

    /// What `audit verify` prints; an error if the trail is not whole.
    async fn verify(&self) -> Result<String> {
        let output = tokio::process::Command::new(self.program)
            .args(["audit", "verify", &self.options[0]])
            .output()
            .await
            .context("failed to start the gateway")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the audit trail is not whole: {said}{error}");
        Ok(said.lines().last().unwrap_or_default().to_owned())
    }
}

/// Resident memory, looked at again and again after the first minute.
async fn memory(replica: &Replica, begin: Instant, end: Instant) -> Result<Vec<f64>> {
    let mut samples = Vec::new();
    while Instant::now() + LOOK < end {
        sleep(LOOK).await;
        if begin.elapsed() > WARM {
            samples.push(replica.process.resident()?);
        }
    }
    Ok(samples)
}

/// The requests that have a row of this kind.
async fn rows(database: &TestDatabase, kind: &str) -> Result<HashSet<String>> {
    let rows = sqlx::query("SELECT request FROM audit WHERE kind = $1")
        .bind(kind)
        .fetch_all(&mut database.connection().await)
        .await
        .context("failed to read the audit trail")?;
    rows.iter()
        .map(|row| row.try_get(0).context("a row has no request"))
        .collect()
}
