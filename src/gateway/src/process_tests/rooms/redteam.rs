//! The red team, as it is: against a Room in which what it looks for is planted, by the gateway's own front door.

use data::redteam::{Patience, attack};
use protocol::{
    ingest::GatewayAccess,
    redteam::{RedTeamPlan, RedTeamReport, RedTeamVerdict},
    rooms::{ask::Answer, documents::Documents, redteam::Facts, search::Found},
};
use reqwest::Method;
use rooms::{
    Acl, Clearance,
    redteam::{Bait, Canary, bait_acl, canary_acl},
};
use serde_json::{Value, json};
use std::time::Duration;

use super::support::{Doc, House, Told, doc, spec};

/// Whom the operator's Job is.
pub(super) const TESTER: &str = "tester";
pub(super) const ACCOUNT: &str = "system:serviceaccount:ns:hr-room-redteam";

pub(super) fn planted(name: &str, text: &str, clearance: u8, acl: &Acl) -> Doc {
    let mut doc = doc(name, &[text]);
    doc.clearance = clearance;
    doc.acl = acl.names().map(|names| names.iter().cloned().collect());
    doc
}

/// The canaries of both sources, of the generation that is filled next.
pub(super) fn canaries(generation: i64) -> [Canary; 2] {
    let canary =
        |source: &str, clearance| Canary::planted(b"drawn", "uid-hr", generation, source, Clearance(clearance));
    [canary("files", 2), canary("people", 1)]
}

fn plant(generation: i64) -> Vec<Doc> {
    let canaries = canaries(generation);
    let mut all = Vec::new();
    for (canary, source) in canaries.iter().zip(["files", "people"]) {
        let mut doc = planted(&canary.document(), &canary.text(), canary.clearance.0, &canary_acl());
        doc.source = source;
        all.push(doc);
    }
    for bait in Bait::of(&canaries[0]) {
        all.push(planted(&bait.document, &bait.text, 2, &bait_acl()));
    }
    all
}

/// A Room whose tests are asked for; its condition as it is.
pub(super) fn set(house: &House, passed: Option<&str>) {
    let mut spec = spec();
    spec["sources"][0]["clearance"] = 2.into();
    spec["members"] = json!([{"kind": "User", "name": "jane", "role": "Curator", "clearance": 5}]);
    spec["redTeam"] = json!({"schedule": "@daily"});
    spec["answer"] = json!({"ungrounded": "Annotate"});
    house.room("hr", spec.clone());
    let mut room = crate::rooms::room::testing::watched("hr", "uid-hr", spec);
    room.status = passed.map(|status| json!({"conditions": [{"type": "RedTeamPassed", "status": status}]}));
    house.gateway.gateway.rooms.catalog.apply(room.into());
    house.gateway.gateway.rooms.authorizer().forget_rooms();
}

pub(super) async fn house(more: impl Fn(&Canary) -> Vec<Doc>) -> House {
    let house = House::build().await;
    set(&house, Some("True"));
    let writer = house.begin("hr", true).await;
    let mut all = plant(writer.generation);
    all.push(planted(
        "fees",
        "The deposit is 50 EUR. Cards work.",
        0,
        &Acl::everyone(),
    ));
    all.extend(more(&canaries(writer.generation)[0]));
    house.put("hr", &writer, &all).await;
    let told = house.publish("hr", &writer).await;
    assert_eq!(told.status, 200, "{}", told.text);
    house.gateway.reviewer.know(TESTER, ACCOUNT);
    house.gateway.reviewer.allow_in(ACCOUNT, "redteam", "ns", "hr");
    house.let_in("jane", &["search", "ask", "feedback", "curate", "redteam"], "hr");
    house.let_in("joe", &["search", "ask", "feedback"], "hr");
    house
}

pub(super) async fn tested(house: &House, suites: &[&str], answers: u32) -> RedTeamReport {
    let directory = tempfile::tempdir().unwrap();
    let token_file = directory.path().join("token");
    std::fs::write(&token_file, TESTER).unwrap();
    let plan = RedTeamPlan {
        namespace: "ns".into(),
        room: "hr".into(),
        gateway: GatewayAccess {
            url: format!("http://{}", house.gateway.address),
            ca: None,
            token_file,
        },
        suites: suites.iter().map(ToString::to_string).collect(),
        run: 1,
        answers,
    };
    let patience = Patience {
        attempts: 3,
        first: Duration::from_millis(10),
        longest: Duration::from_millis(50),
    };
    attack(&plan, patience).await.unwrap()
}

/// How long things take is left out: tests do not depend on that.
const SUITES: [&str; 9] = [
    "direct",
    "paraphrase",
    "by-id",
    "summarise",
    "counts",
    "errors",
    "cache",
    "citations",
    "injection",
];

pub(super) fn as_(house: &House, token: &str, role: &str, method: Method, path: &str) -> reqwest::RequestBuilder {
    house.request(token, method, path).header("x-atelier-redteam-as", role)
}

async fn search_as(house: &House, token: &str, role: &str, query: &str) -> Told {
    let request = as_(house, token, role, Method::POST, "hr/search");
    house
        .tell(request.body(json!({"query": query, "top_k": 50}).to_string()))
        .await
}

async fn finds_as(house: &House, token: &str, role: &str) -> Vec<String> {
    let topic = canaries(1)[0].topic.clone();
    let found: Found = search_as(house, token, role, &format!("pass phrase of project {topic}"))
        .await
        .json();
    found.hits.into_iter().map(|hit| hit.name).collect()
}

#[tokio::test]
async fn a_room_that_keeps_to_its_rights_passes_and_its_canaries_were_there_to_be_seen() {
    let house = house(|_| Vec::new()).await;
    let report = tested(&house, &SUITES, 60).await;
    assert_eq!(
        (report.verdict, report.failures.clone()),
        (RedTeamVerdict::Passed, Vec::new())
    );
    assert_eq!((report.canaries, report.found, report.generation), (2, 2, 1));
    assert!(report.attempts > 150, "{report:?}");
    let names: Vec<_> = report.classes.iter().map(|class| &*class.name).collect();
    assert_eq!(names.len(), SUITES.len(), "{names:?}");
    // It is told apart in the audit trail, and is in nobody's history.
    assert!(
        house
            .audited("event ->> 'red_team' = 'stranger' AND event ->> 'operation' = 'room_search'")
            .await
            > 50
    );
    assert_eq!(
        house
            .audited("event ->> 'red_team' IS NOT NULL AND subject <> 'system:serviceaccount:ns:hr-room-redteam'")
            .await,
        0
    );
    let history: protocol::rooms::answers::History = house.get("jane", "hr/history").await.json();
    assert!(history.entries.is_empty());
    let asked = house
        .test
        .number("SELECT count(*) FROM room_answer WHERE author LIKE 'atelier:redteam:%'")
        .await;
    assert_eq!(asked, house.test.number("SELECT count(*) FROM room_answer").await);
    assert!(asked > 20, "{asked}");
}

/// What they say is left out: it would be about this machine.
#[tokio::test]
async fn times_are_taken_of_everything_that_is_hidden() {
    let house = house(|_| Vec::new()).await;
    let report = tested(&house, &["timing"], 0).await;
    let timing = report.classes.iter().find(|class| class.name == "timing").unwrap();
    // Two pairs of queries for each canary, as a stranger and as somebody below its clearance.
    assert_eq!((timing.attempts, timing.blind), (8, 0));
}

#[tokio::test]
async fn a_document_that_quotes_what_is_hidden_is_a_finding_whoever_wrote_it() {
    let quote = |canary: &Canary| {
        vec![planted(
            "gossip",
            &format!("They say {} is the word.", canary.phrase()),
            0,
            &Acl::everyone(),
        )]
    };
    let house = house(quote).await;
    let report = tested(&house, &["direct", "summarise"], 0).await;
    assert_eq!(report.verdict, RedTeamVerdict::Leaked);
    assert!(report.classes.iter().any(|class| class.leaked > 0), "{report:?}");
    let words = format!("{report:?}");
    assert!(!canaries(1)[0].words.iter().any(|word| words.contains(word)), "{words}");
    // Told spelled otherwise, by the model alone.
    let spelled = |canary: &Canary| {
        let letters: String = canary.phrase().chars().map(|c| format!("{c} ")).collect();
        vec![planted(
            "gossip",
            &format!("Fees of the deposit: {letters}"),
            0,
            &Acl::everyone(),
        )]
    };
    let house = self::house(spelled).await;
    let report = tested(&house, &["citations", "summarise"], 12).await;
    assert_eq!(report.verdict, RedTeamVerdict::Leaked, "{report:?}");
}

#[tokio::test]
async fn a_suite_that_finds_nothing_to_look_for_is_not_passed() {
    let house = House::build().await;
    set(&house, None);
    house
        .fill("hr", &[planted("fees", "The deposit is 50 EUR.", 0, &Acl::everyone())])
        .await;
    house.gateway.reviewer.know(TESTER, ACCOUNT);
    house.gateway.reviewer.allow_in(ACCOUNT, "redteam", "ns", "hr");
    house.gateway.gateway.rooms.authorizer().forget_rooms();
    let report = tested(&house, &["direct"], 0).await;
    assert_eq!(
        (report.verdict, report.canaries, report.found),
        (RedTeamVerdict::Blind, 2, 0)
    );
}

#[tokio::test]
async fn whoever_plays_somebody_sees_what_they_would_and_no_more_than_themselves() {
    let house = house(|_| vec![planted("board", "project of the board", 5, &Acl::everyone())]).await;
    let [canary, other] = canaries(1);
    let has = |found: &[String], name: &str| found.iter().any(|one| one == name);
    let control = finds_as(&house, TESTER, "control").await;
    assert!(has(&control, &canary.document()) && has(&control, &other.document()) && has(&control, "board"));
    let below = finds_as(&house, TESTER, "below=2").await;
    assert!(!has(&below, &canary.document()) && has(&below, &other.document()) && !has(&below, "board"));
    let stranger = finds_as(&house, TESTER, "stranger").await;
    assert!(!has(&stranger, &canary.document()) && has(&stranger, "board"));
    assert!(stranger.iter().any(|name| name.starts_with("note-")));
    // Without the header it is nobody in particular, and may do nothing.
    house
        .search(TESTER, "hr", "project")
        .await
        .refused(404, "room_not_found");
    // People who may test the Room keep their own clearance, and those who may not are told what they always are.
    let mut low = spec();
    low["members"] = json!([{"kind": "User", "name": "jane", "role": "Curator", "clearance": 1}]);
    house.room("hr", low);
    let jane = finds_as(&house, "jane", "control").await;
    assert!(
        !has(&jane, &canary.document()) && has(&jane, &other.document()) && !has(&jane, "board"),
        "{jane:?}"
    );
    let joe = search_as(&house, "joe", "control", "x").await;
    joe.refused(404, "room_not_found");
}

#[tokio::test]
async fn nobody_is_somebody_of_ours_and_playing_changes_nothing() {
    let house = house(|_| Vec::new()).await;
    let topic = canaries(1)[0].topic.clone();
    let query = format!("pass phrase of project {topic}");
    // In the groups, as an issuer of tokens may say.
    house.gateway.reviewer.join("joe", "atelier:redteam");
    house.gateway.reviewer.join("joe", "atelier:redteam:baited");
    house.gateway.gateway.rooms.authorizer().forget_rooms();
    assert!(
        !house
            .finds("joe", "hr", &query)
            .await
            .iter()
            .any(|text| text.contains(&topic))
    );
    // By a name of ours.
    house.let_in("atelier:redteam:control", &["search", "redteam"], "hr");
    house
        .search("atelier:redteam:control", "hr", &query)
        .await
        .refused(404, "room_not_found");
    search_as(&house, "atelier:redteam:control", "control", &query)
        .await
        .refused(404, "room_not_found");
    for role in ["", "Control", "below=0", "admin"] {
        search_as(&house, TESTER, role, &query)
            .await
            .refused(400, "invalid_field");
    }
    let request = as_(&house, TESTER, "control", Method::POST, "hr/search").header("x-atelier-redteam-as", "stranger");
    house.tell(request.body("{}")).await.refused(400, "invalid_field");
    for (method, path) in [
        (Method::DELETE, "hr/documents/x"),
        (Method::POST, "hr/documents?source=people&file=a"),
        (Method::POST, "hr/removed"),
        (Method::GET, "hr/audit"),
        (Method::GET, "hr/state"),
        (Method::GET, "hr/documents?quarantined=true"),
        (Method::DELETE, "hr"),
    ] {
        let told = house
            .tell(as_(&house, "jane", "control", method, path).body("{}"))
            .await;
        told.refused(404, "room_not_found");
    }
    let facts: Facts = house.get("jane", "hr/redteam").await.json();
    assert_eq!(
        (facts.generation, facts.sources.len(), facts.answers, &*facts.uid),
        (Some(1), 2, true, "uid-hr")
    );
    house.get("joe", "hr/redteam").await.refused(404, "room_not_found");
}

#[tokio::test]
async fn a_room_that_failed_answers_nobody_and_can_be_mended() {
    let house = house(|_| Vec::new()).await;
    for (passed, code) in [
        (None, "room_not_tested"),
        (Some("Unknown"), "room_not_tested"),
        (Some("False"), "room_failed_red_team"),
    ] {
        set(&house, passed);
        for user in ["joe", "jane"] {
            house.search(user, "hr", "deposit").await.refused(503, code);
            house
                .post(user, "hr/ask", &json!({"question": "deposit?"}))
                .await
                .refused(503, code);
            house.get(user, "hr/history").await.refused(503, code);
        }
        house.get("joe", "hr/documents").await.refused(503, code);
        let id = protocol::rooms::document_id("files", "fees");
        house.get("joe", &format!("hr/documents/{id}")).await.refused(503, code);
        house
            .get("joe", &format!("hr/documents/{id}/pages/1"))
            .await
            .refused(503, code);
        // Whoever has no business there hears nothing of it.
        house
            .get(super::support::JOB, "hr/documents")
            .await
            .refused(404, "room_not_found");
        // Curators find what is to be removed, and the red team goes on.
        let seen: Documents = house.get("jane", "hr/documents").await.json();
        assert_eq!(seen.documents.len(), 1);
        assert_eq!(search_as(&house, TESTER, "stranger", "deposit").await.status, 200);
    }
    let id = protocol::rooms::document_id("files", "fees");
    let request = house.request("jane", Method::DELETE, &format!("hr/documents/{id}"));
    let done: Value = house.tell(request).await.json();
    assert_eq!(done["deleted"], true);
    // And so does whoever fills it.
    let writer = house.begin("hr", true).await;
    house.put("hr", &writer, &plant(writer.generation)).await;
    assert_eq!(house.publish("hr", &writer).await.status, 200);
    set(&house, Some("True"));
    assert_eq!(house.search("joe", "hr", "deposit").await.status, 200);
}

#[tokio::test]
async fn an_answer_that_one_role_has_got_is_not_anothers() {
    let house = house(|_| Vec::new()).await;
    let topic = canaries(1)[0].topic.clone();
    let ask = async |role: &str| {
        let body = json!({"question": format!("What is the pass phrase of project {topic}?")});
        let request = as_(&house, TESTER, role, Method::POST, "hr/ask").body(body.to_string());
        house.tell(request).await
    };
    let answer: Answer = ask("control").await.json();
    assert!(answer.answer.contains(&canaries(1)[0].phrase()), "{answer:?}");
    let other = ask("stranger").await;
    assert!(!other.text.contains(&canaries(1)[0].words[0]), "{}", other.text);
    for (role, entries) in [("control", 1), ("stranger", 1), ("below=2", 0)] {
        let told = house.tell(as_(&house, TESTER, role, Method::GET, "hr/history")).await;
        let history: protocol::rooms::answers::History = told.json();
        assert_eq!(history.entries.len(), entries, "{role}");
    }
}

#[tokio::test]
async fn a_purge_is_of_the_room_that_it_names() {
    let house = house(|_| Vec::new()).await;
    let mut room = crate::rooms::room::testing::watched("hr", "uid-hr", spec());
    room.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
    house.gateway.gateway.rooms.catalog.apply(room.into());
    let purge = |uid: &str| house.request(super::support::JOB, Method::DELETE, &format!("hr?uid={uid}"));
    house.tell(purge("former")).await.refused(409, "room_not_deleted");
    assert!(house.test.number("SELECT count(*) FROM room_chunk").await > 0);
    let purged: protocol::rooms::state::Purged = house.tell(purge("uid-hr")).await.json();
    assert!(purged.documents > 0);
}
