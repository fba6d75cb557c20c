use protocol::ingest::IngestSourceKind;

use rooms::{
    Clearance,
    redteam::{Bait, Canary},
};

use super::gateway as wire;
use super::testing::{gateway, impatient, plan, room::Room, source};
use super::*;

/// A plan for a Room, with a folder of two texts.
fn prepared(room: &Room, dir: &Path) -> IngestPlan {
    let mut plan = plan();
    std::fs::create_dir(dir.join("docs")).unwrap();
    std::fs::write(dir.join("docs/a.txt"), "The first text.").unwrap();
    std::fs::write(dir.join("docs/b.txt"), "The second text.").unwrap();
    std::fs::write(dir.join("token"), testing::room::TOKEN).unwrap();
    plan.gateway.url = format!("http://{}", room.address);
    plan.gateway.token_file = dir.join("token");
    plan.scratch = dir.join("scratch");
    plan.sources = vec![source("files", IngestSourceKind::Mounted { path: dir.join("docs") })];
    plan
}

async fn filled(plan: &IngestPlan) -> Result<IngestReport> {
    run(
        plan.clone(),
        Programs::default(),
        ReportFile::new(Some("/dev/null".into())),
        impatient(),
    )
    .await
}

#[tokio::test]
async fn without_its_model_nothing_is_published_and_the_next_one_goes_on() {
    let (room, dir) = (Room::start(), tempfile::tempdir().unwrap());
    let plan = prepared(&room, dir.path());
    room.inner().faults.no_model = true;
    let failure = filled(&plan).await.unwrap_err();
    assert!(failure.retryable && failure.message.contains("no worker"), "{failure}");
    assert_eq!(room.inner().generations.len(), 0, "its dimension is not known");
    room.inner().faults.no_model = false;
    assert_eq!(filled(&plan).await.unwrap().documents, 2);
}

#[tokio::test]
async fn a_gateway_that_is_away_is_told() {
    let (room, dir) = (Room::start(), tempfile::tempdir().unwrap());
    let mut plan = prepared(&room, dir.path());
    plan.gateway.url = "http://127.0.0.1:9".into();
    let failure = filled(&plan).await.unwrap_err();
    assert!(
        failure.retryable && failure.message.contains("cannot be reached"),
        "{failure}"
    );
    plan.gateway.ca = Some("nonsense".into());
    // Whatever the library makes of it, there is no connection.
    assert!(filled(&plan).await.is_err());
}

#[tokio::test]
async fn what_is_published_already_is_published() {
    let room = Room::start();
    let (gateway, _dir) = gateway(&room);
    let recipe = Recipe {
        model: "m".into(),
        digest: "d".into(),
        dimension: 8,
        settings: String::new(),
    };
    let filling = Filling::begin(&gateway, "team", "handbook", recipe).await.unwrap();
    filling.publish(1, BTreeMap::new()).await.unwrap_err();
    filling.verify().await.unwrap();
    filling.publish(1, BTreeMap::new()).await.unwrap();
    // As after an answer that was lost.
    filling.publish(1, BTreeMap::new()).await.unwrap();
    room.inner().live = Some(99);
    assert_eq!(
        filling.publish(1, BTreeMap::new()).await.unwrap_err().reason,
        wire::SUPERSEDED
    );
}

#[tokio::test]
async fn what_the_red_team_looks_for_is_planted_anew_each_time() {
    let (room, dir) = (Room::start(), tempfile::tempdir().unwrap());
    let mut plan = prepared(&room, dir.path());
    let mut second = source(
        "wiki",
        IngestSourceKind::Mounted {
            path: dir.path().join("docs"),
        },
    );
    second.clearance = 7;
    plan.sources.push(second);
    plan.red_team = Some("uid".into());
    let planted = || {
        let inner = room.inner();
        let live = inner.live.unwrap();
        let canary = |source: &str, clearance: u8| {
            let topic = Canary::topic_of("uid", live, source);
            let key = (source.to_owned(), Canary::document_of(&topic));
            let document = &inner.documents[&key];
            let content = &inner.generations[&live].contents[&document.id];
            let text = &content.chunks[&0].text;
            assert_eq!(
                (document.clearance, document.acl.clone().unwrap()),
                (clearance, vec!["group:atelier:redteam".to_owned()])
            );
            Canary::read(text, "uid", source, Clearance(clearance), &topic).unwrap()
        };
        let canaries = [canary("files", 0), canary("wiki", 7)];
        for bait in Bait::of(&canaries[0]) {
            let document = &inner.documents[&("files".to_owned(), bait.document)];
            assert_eq!(document.acl.clone().unwrap(), ["group:atelier:redteam:baited"]);
            let content = &inner.generations[&live].contents[&document.id];
            assert!(content.new.quarantined.is_none() && !content.chunks.is_empty());
        }
        assert!(Bait::of(&canaries[1]).iter().all(|bait| {
            !inner
                .documents
                .contains_key(&("wiki".to_owned(), bait.document.clone()))
        }));
        canaries
    };
    let report = filled(&plan).await.unwrap();
    assert_eq!(
        report.sources.iter().map(|source| source.documents).collect::<Vec<_>>(),
        [2, 2]
    );
    let first = planted();
    // The one before stays in its generation, and is no document that its source has lost, or that is taken over.
    plan.sources[1].read = false;
    let report = filled(&plan).await.unwrap();
    let removed: u64 = report.sources.iter().map(|source| source.removed).sum();
    assert_eq!(
        (removed, report.sources[0].unchanged, report.sources[1].unchanged),
        (0, 2, 2)
    );
    let second = planted();
    assert!(
        first
            .iter()
            .zip(&second)
            .all(|(one, other)| one.words != other.words && one.topic != other.topic)
    );
    let inner = room.inner();
    let former = &inner.documents[&("files".to_owned(), first[0].document())];
    assert!(
        !former.is_deleted
            && !inner.generations[&inner.live.unwrap()]
                .contents
                .contains_key(&former.id)
    );
}
