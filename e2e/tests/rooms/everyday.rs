//! What people do in a Room: they bring documents, search, ask and are let in and out.

use anyhow::{Context, Result, ensure};
use api::conditions::types;
use atelier_e2e::gateway::{self, Gateway};
use atelier_e2e::{Model, Namespace, Room, kubectl, model, room, wait};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// Answers that are waited for until one has a citation.
const TRIES: usize = 16;
const LEAVE: &str =
    "# Leave\n\nEvery employee has 27 days of paid annual leave each year. Up to 5 days are carried over.\n";
const MERGER: &str =
    "# Merger\n\nThe company is going to buy Northwind Traders. The code name of the project is Bluebird.\n";
const LEAVE_QUESTION: &str = "How many days of paid annual leave does every employee have?";
const MERGER_QUESTION: &str = "What is the code name of the project to buy Northwind Traders?";

fn spec() -> Value {
    json!({
        "members": [
            {"kind": "ServiceAccount", "name": "staff", "role": "Reader"},
            {"kind": "ServiceAccount", "name": "jane", "role": "Curator", "clearance": 10},
        ],
        "model": {"name": "chat"},
        "embedding": {"name": "minilm"},
        "sources": [
            {"name": "handbook", "upload": {"maxSize": "1Mi"}},
            {"name": "board", "upload": {"maxSize": "1Mi"}, "clearance": 10},
        ],
    })
}

struct House {
    room: Room,
    staff: Gateway,
    jane: Gateway,
}

async fn house(namespace: &Namespace) -> Result<House> {
    let mut chat = model::bundled();
    chat["engine"]["atelier"]["contextLength"] = json!(4096);
    let chat = Model::create(namespace, "chat", chat).await?;
    let room = Room::create(namespace, "handbook", spec()).await?;
    let staff = room::person(namespace, "staff").await?;
    let jane = room::person(namespace, "jane").await?;
    // The two of them have to be let in before they can bring something.
    wait::until("the curator to be let in", async || {
        let (status, body) = gateway::read(jane.get(&room.at("")).await?).await?;
        ensure!(status == StatusCode::OK, "{status}: {body}");
        Ok(Some(()))
    })
    .await?;
    room.upload(&jane, "handbook", "leave.md", LEAVE).await?;
    room.upload(&jane, "board", "merger.md", MERGER).await?;
    room.sync().await?;
    room.condition(types::READY, "True").await?;
    chat.ready().await?;
    Ok(House { room, staff, jane })
}

#[tokio::test]
async fn everybody_is_answered_from_what_they_may_see_and_from_nothing_else() -> Result<()> {
    room::with_encoder("room", async |namespace| {
        let House { room, staff, jane } = house(&namespace).await?;
        let status = room.get().await?.status.unwrap_or_default();
        ensure!((status.documents, status.chunks) == (Some(2), Some(2)), "{status:?}");

        let answer = answered(&room, &staff).await?;
        ensure!(
            answer["answer"].as_str().is_some_and(|text| text.contains("27")),
            "{answer}"
        );
        let citation = &answer["citations"][0];
        ensure!(
            citation["name"].as_str().is_some_and(|name| name.ends_with("leave.md")),
            "{answer}"
        );
        ensure!(
            citation["quote"]
                .as_str()
                .is_some_and(|quote| quote.contains("27 days")),
            "{answer}"
        );

        // Who may not see the merger learns nothing of it; who may see it finds it.
        for answer in [
            room.ask(&staff, MERGER_QUESTION).await?,
            json!(room.search(&staff, MERGER_QUESTION).await?),
        ] {
            ensure!(!answer.to_string().contains("Bluebird"), "{answer}");
        }
        let found = room.search(&jane, MERGER_QUESTION).await?;
        ensure!(found[0].1.contains("Bluebird"), "{found:?}");
        let answer = room.ask(&jane, MERGER_QUESTION).await?;
        ensure!(
            answer["clearance"] == 10,
            "an answer inherits the clearance of what it is made of: {answer}"
        );

        said_and_kept(&room, &staff, &jane).await?;
        removed_at_once(&room, &staff, &jane).await?;
        agrees_with_kubectl(&room, &staff).await?;
        let_out(&room, &staff).await
    })
    .await
}

/// An answer that cites something. A model as small as this one often says what no document does, and is refused; how often
/// is nothing that a test of what works can decide.
async fn answered(room: &Room, somebody: &Gateway) -> Result<Value> {
    for _ in 0..TRIES {
        let answer = room.ask(somebody, LEAVE_QUESTION).await?;
        if answer["citations"].as_array().is_some_and(|it| !it.is_empty()) {
            return Ok(answer);
        }
        ensure!(
            answer["outcome"] != "answered",
            "it was answered without a citation: {answer}"
        );
    }
    anyhow::bail!("none of {TRIES} answers cites anything")
}

/// Feedback is taken about one's own answers, and history is one's own.
async fn said_and_kept(room: &Room, staff: &Gateway, jane: &Gateway) -> Result<()> {
    let history = gateway::read(staff.get(&room.at("/history")).await?).await?.1;
    let entry = history["entries"]
        .as_array()
        .and_then(|entries| entries.iter().find(|entry| entry["question"] == LEAVE_QUESTION));
    let id = entry.with_context(|| format!("the question is not in the history: {history}"))?["id"].clone();
    let said =
        json!({"id": id, "kind": "error_report", "value": "wrong_source", "comment": "look at the 2027 edition"});
    let (status, body) = staff.send(&room.at("/feedback"), &said).await?;
    ensure!(status.is_success(), "{status}: {body}");
    let (status, body) = jane.send(&room.at("/feedback"), &said).await?;
    ensure!(
        status == StatusCode::NOT_FOUND,
        "somebody else's answer: {status}: {body}"
    );
    Ok(())
}

/// What a curator removes is found no more, before anything is read again.
async fn removed_at_once(room: &Room, staff: &Gateway, jane: &Gateway) -> Result<()> {
    let list = gateway::read(jane.get(&room.at("/documents")).await?).await?.1;
    let documents = list["documents"].as_array().context("no documents")?;
    let leave = documents
        .iter()
        .find(|it| it["source"] == "handbook")
        .context("no leave.md")?;
    let path = room.at(&format!("/documents/{}", leave["id"].as_str().unwrap_or_default()));
    let refused = staff.delete(&path).await?.status();
    ensure!(refused == StatusCode::NOT_FOUND, "a reader removes: {refused}");
    let removed = jane.delete(&path).await?.status();
    ensure!(removed == StatusCode::OK, "a curator removes: {removed}");
    let found = room.search(staff, LEAVE_QUESTION).await?;
    ensure!(found.is_empty(), "{found:?}");
    room.sync().await?;
    let found = room.search(staff, LEAVE_QUESTION).await?;
    ensure!(found.is_empty(), "it came back: {found:?}");
    Ok(())
}

/// `kubectl auth can-i` says what the Room does.
async fn agrees_with_kubectl(room: &Room, staff: &Gateway) -> Result<()> {
    let user = format!("--as=system:serviceaccount:{}:staff", room.namespace.name);
    let overview = gateway::read(staff.get(&room.at("")).await?).await?.1;
    for verb in ["search", "ask", "feedback", "contribute", "curate", "audit", "redteam"] {
        let what = format!("rooms/{}", room.name);
        let args = ["auth", "can-i", verb, &what, &user, "--namespace", &room.namespace.name];
        let says = kubectl::run(&args, "").await?.stdout.trim() == "yes";
        let verbs = overview["verbs"].as_array().context("no verbs")?;
        let does = verbs.iter().any(|it| *it == verb);
        ensure!(says == does, "{verb}: kubectl says {says}, the Room {does}: {overview}");
    }
    Ok(())
}

/// Who is a member no more is let out.
async fn let_out(room: &Room, staff: &Gateway) -> Result<()> {
    let members = json!([{"kind": "ServiceAccount", "name": "jane", "role": "Curator", "clearance": 10}]);
    room.patch(json!({"spec": {"members": members}})).await?;
    wait::until("the reader to be let out", async || {
        let body = json!({"query": LEAVE_QUESTION});
        let (status, body) = staff.send(&room.at("/search"), &body).await?;
        let absent = staff
            .send(
                &room.at("/search").replace("handbook", "nothing"),
                &json!({"query": "x"}),
            )
            .await?;
        let same = (status, &body["error"]["code"]) == (absent.0, &absent.1["error"]["code"]);
        Ok((status == StatusCode::NOT_FOUND && same).then_some(()))
    })
    .await
}
