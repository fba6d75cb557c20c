//! Twelve principals at six Rooms with documents of three clearances, and everything that there is to ask: nobody gets to
//! see a canary that is not theirs, in answers, errors, counts, times or logs.

mod attempts;

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use api::conditions::types;
use atelier_e2e::gateway::{self, Gateway};
use atelier_e2e::settings::SYSTEM_NAMESPACE;
use atelier_e2e::{Model, Namespace, Room, kubectl, model, room, wait};
use futures::{StreamExt, TryStreamExt, stream};
use protocol::rooms::document_of;
use reqwest::StatusCode;
use rooms::redteam::timing;
use serde_json::{Value, json};

use self::attempts::{Attempt, attempts, tell};

const ROOMS: usize = 6;
const PRINCIPALS: usize = 12;
const CLEARANCES: [u8; 3] = [0, 10, 20];
/// What `kubectl` is asked of everybody at every Room.
const VERBS: [&str; 4] = ["search", "ask", "contribute", "audit"];
/// Questions to it at once.
const AT_ONCE: usize = 4;
/// Times of each kind that are compared.
const TIMES: usize = 150;
/// Of so many comparisons of which one fails, all have to fail: one finds something by accident once in a hundred times.
const COMPARISONS: usize = 3;

/// What a principal is in a Room; most are nothing.
fn role(principal: usize, room: usize) -> Option<&'static str> {
    const ROLES: [&str; 4] = ["Reader", "Contributor", "Curator", "Auditor"];
    (principal + 2 * room)
        .is_multiple_of(3)
        .then(|| ROLES[(principal + room) / 3 % ROLES.len()])
}

fn clearance(principal: usize, room: usize) -> u8 {
    CLEARANCES[(principal / 3 + room) % CLEARANCES.len()]
}

/// A document that says what nobody else's does.
struct Secret {
    room: usize,
    clearance: u8,
    canary: String,
    /// Its name in paths.
    id: String,
}

impl Secret {
    /// Whether an answer to an attempt may have it.
    fn may_be_told(&self, principal: usize, attempt: &Attempt) -> bool {
        // Auditors read what others were answered, up to their own clearance, and no documents.
        let audits = role(principal, self.room) == Some("Auditor") && attempt.path.ends_with("/audit");
        self.is_seen_by(principal) || audits && self.clearance <= clearance(principal, self.room)
    }

    fn is_seen_by(&self, principal: usize) -> bool {
        let reads = role(principal, self.room).is_some_and(|role| role != "Auditor");
        reads && self.clearance <= clearance(principal, self.room)
    }
}

fn spec(room: usize) -> Value {
    let member = |principal: usize| {
        let role = role(principal, room)?;
        let name = format!("p{principal}");
        Some(json!({"kind": "ServiceAccount", "name": name, "role": role, "clearance": clearance(principal, room)}))
    };
    let keeper = json!({"kind": "ServiceAccount", "name": "keeper", "role": "Curator", "clearance": 100});
    let source = |clearance: u8| json!({"name": format!("s{clearance}"), "upload": {}, "clearance": clearance});
    json!({
        "members": (0..PRINCIPALS).filter_map(member).chain([keeper]).collect::<Vec<_>>(),
        "model": {"name": "chat"},
        "embedding": {"name": "minilm"},
        "sources": CLEARANCES.map(source),
        // What is not supported is marked, and shown: the model may say whatever it was given.
        "answer": {"ungrounded": "Annotate"},
    })
}

struct House {
    rooms: Vec<Room>,
    people: Vec<Gateway>,
    secrets: Vec<Secret>,
}

async fn build(namespace: &Namespace) -> Result<House> {
    let mut chat = model::bundled();
    chat["engine"]["atelier"]["contextLength"] = json!(4096);
    let chat = Model::create(namespace, "chat", chat).await?;
    let keeper = room::person(namespace, "keeper").await?;
    let mut house = House {
        rooms: Vec::new(),
        people: Vec::new(),
        secrets: Vec::new(),
    };
    for principal in 0..PRINCIPALS {
        house
            .people
            .push(room::person(namespace, &format!("p{principal}")).await?);
    }
    for number in 0..ROOMS {
        let room = Room::create(namespace, &format!("room{number}"), spec(number)).await?;
        wait::until("the keeper to be let in", async || {
            Ok(keeper.get(&room.at("")).await?.status().is_success().then_some(()))
        })
        .await?;
        for clearance in CLEARANCES {
            let canary = format!("kanari{number}x{clearance}q");
            let text = format!("# Treasure\n\nThe secret word of the treasure is {canary}. Nobody else knows it.\n");
            let id = room
                .upload(&keeper, &format!("s{clearance}"), &format!("{canary}.md"), &text)
                .await?;
            house.secrets.push(Secret {
                room: number,
                clearance,
                canary,
                id,
            });
        }
        house.rooms.push(room);
    }
    for room in &house.rooms {
        room.sync().await?;
        let room = room.condition(types::READY, "True").await?;
        let documents = room.status.unwrap_or_default().documents;
        ensure!(documents == Some(3), "the Room has {documents:?} documents");
    }
    chat.ready().await?;
    Ok(house)
}

/// Canaries in a text, by words or by what their documents are called.
fn canaries<'a>(text: &str, all: &'a [Secret]) -> Vec<&'a Secret> {
    let text = text.to_lowercase();
    let is_there = |secret: &&Secret| text.contains(&secret.canary) || text.contains(&secret.id.to_lowercase());
    all.iter().filter(is_there).collect()
}

#[tokio::test]
async fn nobody_gets_to_see_a_canary_that_is_not_theirs() -> Result<()> {
    room::with_encoder("matrix", async |namespace| {
        let house = build(&namespace).await?;
        let (mut made, mut refused, mut seen) = (0, 0, BTreeSet::new());
        for (number, room) in house.rooms.iter().enumerate() {
            let secrets = house.secrets.iter().filter(|it| it.room == number);
            let documents: Vec<&str> = secrets.map(|it| &*it.id).collect();
            for (principal, somebody) in house.people.iter().enumerate() {
                for attempt in attempts(room, &documents) {
                    let told = tell(somebody, &attempt).await?;
                    let (status, text) = (told.status, format!("{:?} {}", told.headers, told.body));
                    made += 1;
                    refused += usize::from(status != 200);
                    ensure!(
                        status < 500,
                        "{}: p{principal} at {}: {status}: {text}",
                        attempt.what,
                        attempt.path
                    );
                    for secret in canaries(&text, &house.secrets) {
                        ensure!(
                            secret.room == number && secret.may_be_told(principal, &attempt),
                            "{}: p{principal} sees {} at {}: {text}",
                            attempt.what,
                            secret.canary,
                            attempt.path
                        );
                        seen.extend(secret.is_seen_by(principal).then_some((principal, &secret.canary)));
                    }
                }
            }
        }
        made += same_as_absent(&house).await?;
        let visible = |secret: &Secret| (0..PRINCIPALS).filter(|it| secret.is_seen_by(*it)).count();
        let all: usize = house.secrets.iter().map(visible).sum();
        println!(
            "{made} attempts, {refused} refused, 0 foreign canaries, {} of {all} own ones seen",
            seen.len()
        );
        // The test itself is not blind: whoever may see a canary does.
        ensure!(
            seen.len() == all,
            "{} of {all} canaries were seen by those who may",
            seen.len()
        );
        ensure!(made >= 2000, "only {made} attempts");
        counted(&house).await?;
        agrees_with_kubectl(&namespace, &house).await?;
        logged(&namespace, &house).await?;
        timed(&house).await
    })
    .await
}

/// What is hidden and what is absent look the same, in every word and header but the date and the request's id.
async fn same_as_absent(house: &House) -> Result<usize> {
    let mut made = 0;
    for secret in &house.secrets {
        let room = &house.rooms[secret.room];
        let (source, name) = document_of(&secret.id).context("the id of a document")?;
        let absent = protocol::rooms::document_id(&source, &name.replace("kanari", "nobody"));
        for principal in (0..PRINCIPALS).filter(|it| !secret.is_seen_by(*it)) {
            for (method, rest) in [("GET", ""), ("GET", "/pages/1"), ("POST", "/release"), ("DELETE", "")] {
                let mut told = Vec::new();
                for id in [&secret.id, &absent] {
                    let path = room.at(&format!("/documents/{id}{rest}"));
                    let attempt = Attempt {
                        what: "pair",
                        method,
                        path,
                        body: None,
                    };
                    let somebody = &house.people[principal];
                    told.push(tell(somebody, &attempt).await?);
                    made += 1;
                }
                ensure!(
                    told[0] == told[1] && told[0].status == 404,
                    "{method} {rest} by p{principal}: {told:?}"
                );
            }
        }
    }
    Ok(made)
}

/// Counts are those of what is visible.
async fn counted(house: &House) -> Result<()> {
    for (number, room) in house.rooms.iter().enumerate() {
        for (principal, somebody) in house.people.iter().enumerate() {
            let secrets = || house.secrets.iter().filter(|it| it.room == number);
            if role(principal, number).is_none_or(|role| role == "Auditor") {
                continue;
            }
            let visible = secrets().filter(|it| it.is_seen_by(principal)).count();
            for (path, field) in [("/documents", "total"), ("", "documents")] {
                let (status, body) = gateway::read(somebody.get(&room.at(path)).await?).await?;
                ensure!(
                    body[field] == visible,
                    "p{principal} counts at {path}: {status}: {body}, not {visible}"
                );
            }
        }
    }
    Ok(())
}

/// `kubectl auth can-i` says of each principal and each Room what the Room does.
async fn agrees_with_kubectl(namespace: &Namespace, house: &House) -> Result<()> {
    let agrees = async |room: &Room, principal: usize, verb: &str| -> Result<bool> {
        let user = format!("--as=system:serviceaccount:{}:p{principal}", namespace.name);
        let what = format!("rooms/{}", room.name);
        let args = ["auth", "can-i", verb, &what, &user, "--namespace", &namespace.name];
        let says = kubectl::run(&args, "").await?.stdout.trim() == "yes";
        let (status, body) = gateway::read(house.people[principal].get(&room.at("")).await?).await?;
        let verbs = body["verbs"].as_array();
        let does = status == StatusCode::OK && verbs.is_some_and(|all| all.iter().any(|it| it == verb));
        ensure!(
            says == does,
            "p{principal} {verb} {what}: kubectl says {says}, the Room {does}: {status}: {body}"
        );
        Ok(says)
    };
    let mut cells = Vec::new();
    for room in &house.rooms {
        for principal in 0..PRINCIPALS {
            cells.extend(VERBS.map(|verb| (room, principal, verb)));
        }
    }
    let allowed: Vec<bool> = stream::iter(&cells)
        .map(|(room, principal, verb)| agrees(room, *principal, verb))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let granted = allowed.iter().filter(|is| **is).count();
    println!(
        "kubectl auth can-i and the Rooms agree in {} cells, {granted} of them yes",
        cells.len()
    );
    ensure!(granted > 0 && granted < cells.len(), "all cells are the same");
    Ok(())
}

/// Logs hold no canary: neither those of the gateway nor those of the Jobs, which people of the namespace can read.
async fn logged(namespace: &Namespace, house: &House) -> Result<()> {
    let gateways = "app.kubernetes.io/name=atelier";
    let jobs = "app.kubernetes.io/managed-by=atelier";
    for (namespace, selector) in [(SYSTEM_NAMESPACE, gateways), (&namespace.name, jobs)] {
        let args = [
            "logs",
            "--namespace",
            namespace,
            "--selector",
            selector,
            "--tail=-1",
            "--all-containers",
        ];
        let logs = kubectl::succeed(&[&args[..], &["--max-log-requests=50"]].concat(), "").await?;
        ensure!(!logs.is_empty(), "{selector} has no logs");
        let found = logs.lines().find(|line| !canaries(line, &house.secrets).is_empty());
        ensure!(found.is_none(), "a canary stands in the logs of {selector}: {found:?}");
    }
    Ok(())
}

/// Times do not tell a hidden document from an absent one.
async fn timed(house: &House) -> Result<()> {
    let secret = house.secrets.iter().find(|it| it.clearance == 20).context("a secret")?;
    let room = &house.rooms[secret.room];
    let reads = |it: &usize| role(*it, secret.room).is_some_and(|role| role != "Auditor") && !secret.is_seen_by(*it);
    let principal = (0..PRINCIPALS).find(reads).context("a reader who may not see it")?;
    let somebody = &house.people[principal];
    let (source, name) = document_of(&secret.id).context("the id of a document")?;
    let absent = protocol::rooms::document_id(&source, &name.replace("kanari", "nobody"));
    let mut found = Vec::new();
    for _ in 0..COMPARISONS {
        let mut times = [Vec::new(), Vec::new()];
        for turn in 0..2 * TIMES {
            // In turns, the first one by turns as well.
            let kind = (turn + turn / 2) % 2;
            let id = [&secret.id, &absent][kind];
            let started = Instant::now();
            somebody
                .get(&room.at(&format!("/documents/{id}")))
                .await?
                .bytes()
                .await?;
            times[kind].push(started.elapsed().as_secs_f64());
        }
        let test = timing::mann_whitney(&times[0], &times[1]).context("too few times")?;
        println!("hidden against absent: p = {:.3}, larger {:.3}", test.p, test.larger);
        if test.p > timing::LEVEL {
            return Ok(());
        }
        found.push(test);
    }
    anyhow::bail!("times tell what is hidden: {found:?}")
}
