use protocol::ingest::IngestSourceKind;

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
