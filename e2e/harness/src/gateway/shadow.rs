//! `cargo xtask bench shadow`: what copies of one request in ten cost the users whose requests are copied, while the candidate
//! is well, dead, silent or broken. Each state is measured in turns with no copies at all.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use api::ShadowDeployment;
use clap::Args;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api, Client,
    api::{DeleteParams, PostParams},
};
use serde::Serialize;
use serde_json::json;
use sqlx::Row as _;
use store::testing::{Postgres, TestDatabase};
use tokio::{io::AsyncWriteExt as _, net::TcpListener, task::AbortHandle, time::sleep};

use super::{
    CORE, RATE, at_pace,
    replica::Replica,
    upstream::Upstream,
    world::{NAMESPACE, QUICK, World, own_address, serve},
};
use crate::control_plane::ControlPlane;

/// What is measured.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// The gateway.
    #[arg(long)]
    pub gateway: PathBuf,
    /// How often each is measured, in turns.
    #[arg(long, default_value_t = 3)]
    pub rounds: u32,
}

/// The candidates, by their models' names.
const CANDIDATES: [&str; 4] = ["well", "dead", "silent", "broken"];
/// Until a gateway has heard of a change.
const HEARD: Duration = Duration::from_secs(2);
/// Requests of one measurement: half a second to warm up, and five.
const REQUESTS: f64 = RATE as f64 * 5.5;

/// What came of it; several figures of one kind are of several rounds. Times in seconds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures {
    without: Side,
    well: Side,
    dead: Side,
    silent: Side,
    broken: Side,
    /// Pairs that the candidate that is well gave, each second.
    pairs: Vec<f64>,
}

/// What users saw, and what the gateway spent.
#[derive(Clone, Debug, Default, Serialize)]
struct Side {
    p50: Vec<f64>,
    p99: Vec<f64>,
    /// Processor time for each request of a user.
    spent: Vec<f64>,
}

/// Measures and prints one JSON object.
///
/// # Errors
/// When something does not run, or a request of a user fails.
pub async fn run(program: &Path, crds: &Path, options: &Options) -> Result<()> {
    let plane = ControlPlane::start(program, crds).await?;
    let world = World::start(&plane).await?;
    let _candidates = candidates(&plane.admin).await?;
    lead(&plane.admin).await?;
    let postgres = Postgres::start_with(&[]);
    let database = postgres.database().await;
    let flags = [
        format!("--database-url-file={}", database.url_file.path().display()),
        "--audit-mode=buffered".to_owned(),
        format!("--audit-spool-dir={}", plane.dir().join("spool").display()),
    ];
    let gateway = Replica::start(&world, &options.gateway, CORE, &flags).await?;
    let mut figures = Figures::default();
    for round in 1..=options.rounds {
        eprintln!("round {round} of {}", options.rounds);
        figures.without.add(measured(&gateway, &world).await?);
        for candidate in CANDIDATES {
            let name = format!("{candidate}-{round}");
            let shadow = begin(&plane.admin, &name, candidate).await?;
            sleep(HEARD).await;
            let side = measured(&gateway, &world).await?;
            sleep(HEARD).await;
            let pairs = pairs(&database, &shadow).await?;
            match candidate {
                "well" => {
                    ensure!(pairs > 0.0, "nothing was compared");
                    figures.pairs.push(pairs / (REQUESTS / f64::from(RATE)));
                    figures.well.add(side);
                }
                "dead" => figures.dead.add(side),
                "silent" => figures.silent.add(side),
                _ => figures.broken.add(side),
            }
            end(&plane.admin, &name).await?;
            sleep(HEARD).await;
        }
    }
    println!(
        "{}",
        serde_json::to_string(&figures).context("failed to print the figures")?
    );
    Ok(())
}

impl Side {
    fn add(&mut self, [p50, p99, spent]: [f64; 3]) {
        self.p50.push(p50);
        self.p99.push(p99);
        self.spent.push(spent);
    }
}

async fn measured(gateway: &Replica, world: &World) -> Result<[f64; 3]> {
    let before = gateway.process.seconds()?;
    let [p50, p99] = at_pace(&gateway.target(world, QUICK)).await?;
    Ok([p50, p99, (gateway.process.seconds()? - before) / REQUESTS])
}

/// Servers that stop when this is dropped.
struct Candidates {
    _well: Upstream,
    servers: Vec<AbortHandle>,
}

impl Drop for Candidates {
    fn drop(&mut self) {
        for server in &self.servers {
            server.abort();
        }
    }
}

async fn candidates(client: &Client) -> Result<Candidates> {
    let address = own_address()?;
    let well = Upstream::start(address, Duration::ZERO).await?;
    serve(client, "well", well.address).await?;
    // Somebody listened there once.
    let dead = TcpListener::bind((address, 0)).await.context("failed to listen")?;
    let nobody = dead.local_addr().context("failed to read a port")?;
    drop(dead);
    serve(client, "dead", nobody).await?;
    let mut servers = Vec::new();
    for (name, answer) in [("silent", None), ("broken", Some(BROKEN))] {
        let (address, server) = answering(SocketAddr::from((address, 0)), answer).await?;
        serve(client, name, address).await?;
        servers.push(server);
    }
    Ok(Candidates { _well: well, servers })
}

const BROKEN: &[u8] = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Takes connections and gives the same answer to each, or none ever.
async fn answering(address: SocketAddr, answer: Option<&'static [u8]>) -> Result<(SocketAddr, AbortHandle)> {
    let listener = TcpListener::bind(address).await.context("failed to listen")?;
    let address = listener.local_addr().context("failed to read a port")?;
    let server = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            match answer {
                None => held.push(stream),
                Some(answer) => {
                    tokio::spawn(async move {
                        let mut asked = [0; 4096];
                        let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut asked).await;
                        let _ = stream.write_all(answer).await;
                    });
                }
            }
        }
    });
    Ok((address, server.abort_handle()))
}

/// An operator leads, for all that a gateway can see.
async fn lead(client: &Client) -> Result<()> {
    let lease: Lease = serde_json::from_value(json!({
        "metadata": {"name": "atelier-operator"},
        "spec": {"holderIdentity": "bench", "renewTime": "2026-01-01T00:00:00.000000Z", "leaseDurationSeconds": 15},
    }))?;
    let leases = Api::<Lease>::namespaced(client.clone(), "default");
    leases
        .create(&PostParams::default(), &lease)
        .await
        .context("failed to create a Lease")?;
    let client = client.clone();
    tokio::spawn(async move {
        let leases = Api::<Lease>::namespaced(client, "default");
        for minute in 1.. {
            sleep(Duration::from_secs(30)).await;
            let renewed = format!("2026-01-01T{:02}:{:02}:00.000000Z", minute / 60 % 24, minute % 60);
            let patch = kube::api::Patch::Merge(json!({"spec": {"renewTime": renewed}}));
            // The bench is over soon after the API server is gone.
            let _ = leases
                .patch("atelier-operator", &kube::api::PatchParams::default(), &patch)
                .await;
        }
    });
    Ok(())
}

/// Begins to copy; the uid of the comparison.
async fn begin(client: &Client, name: &str, candidate: &str) -> Result<String> {
    let shadow: ShadowDeployment = serde_json::from_value(json!({
        "apiVersion": "atelier.dev/v1alpha1", "kind": "ShadowDeployment", "metadata": {"name": name},
        "spec": {
            "model": {"name": QUICK}, "candidate": {"model": candidate},
            "sample": {"percent": "10%", "key": "Random"},
            "compare": {
                "primary": {"metric": "RougeL"}, "guardrails": [{"metric": "Errors"}, {"metric": "Length"}, {"metric": "Total"}],
            },
        },
    }))?;
    let shadows = Api::<ShadowDeployment>::namespaced(client.clone(), NAMESPACE);
    let created = shadows.create(&PostParams::default(), &shadow).await;
    let created = created.context("failed to create a ShadowDeployment")?;
    created.metadata.uid.context("a ShadowDeployment has no uid")
}

async fn end(client: &Client, name: &str) -> Result<()> {
    let shadows = Api::<ShadowDeployment>::namespaced(client.clone(), NAMESPACE);
    let deleted = shadows.delete(name, &DeleteParams::default()).await;
    deleted.context("failed to delete a ShadowDeployment").map(drop)
}

async fn pairs(database: &TestDatabase, uid: &str) -> Result<f64> {
    let row = sqlx::query("SELECT count(*) FROM shadow_pair WHERE uid = $1")
        .bind(uid)
        .fetch_one(&mut database.connection().await)
        .await;
    Ok(row.context("failed to count pairs")?.get::<i64, _>(0) as f64)
}
