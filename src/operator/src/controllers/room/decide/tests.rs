use std::time::Duration;

use api::names::ANNOTATION_PAUSED;
use rstest::rstest;
use serde_json::{Value, json};

use super::{
    due::retry,
    world::{World, at},
    *,
};

const MINUTE: Duration = Duration::from_secs(60);

fn jane() -> Value {
    json!([{"kind": "User", "name": "jane", "role": "Reader"}])
}

fn names(world: &World) -> Vec<String> {
    world.observed.bindings.iter().map(ResourceExt::name_any).collect()
}

#[test]
fn a_room_is_read_once_and_then_opens() {
    let mut world = World::new(json!({"members": jane()}));
    let plan = world.pass();
    assert_eq!(plan.job.unwrap().name_any(), "hr-ingest-1");
    assert_eq!(world.condition("Ready"), ("False".into(), "NothingIndexed".into()));
    assert_eq!(world.settle(), 1);
    world.publishes(&[]);
    assert_eq!(world.settle(), 0);
    assert_eq!(world.condition("Ready"), ("True".into(), "Open".into()));
    assert_eq!(world.condition("Synced"), ("True".into(), "Synced".into()));
    assert_eq!(world.condition("AccessSynced"), ("True".into(), "AccessSynced".into()));
    let status = world.status();
    assert_eq!(
        (status.documents, status.chunks, status.generation),
        (Some(10), Some(100), Some(1))
    );
    assert_eq!(status.quarantined[0].documents, 2);
    assert_eq!(status.recall_at_10.as_deref(), Some("1.0"));
    assert_eq!(
        status.sources[0].last_sync.as_ref().map(|time| time.0),
        Some(at("2026-01-01T00:10:00Z"))
    );
    assert_eq!(
        status.url.as_deref(),
        Some("http://atelier-gateway.atelier-system.svc/v1/rooms/ns/hr")
    );
    assert_eq!(world.made, 1);
}

#[test]
fn who_is_no_member_any_more_is_let_in_no_more_whatever_else_is_the_matter() {
    let mut world = World::idle(json!({"members": jane()}));
    assert!(names(&world).contains(&"hr-room-reader".into()));
    // In the same breath the spec stops making sense.
    world.room.spec.members.clear();
    world.room.spec.sources[0].schedule = Some("61 * * * *".into());
    let plan = world.pass();
    assert_eq!(plan.delete_bindings[0].0, "hr-room-reader");
    assert_eq!(names(&world), ["hr-room-ingest"]);
    assert_eq!(world.condition("Ready").1, "InvalidSpec");
    assert!(
        world
            .observed
            .roles
            .iter()
            .all(|role| role.name_any() == "hr-room-ingest")
    );
}

#[test]
fn members_change_without_reading_anything() {
    let mut world = World::idle(json!({"members": jane()}));
    world.room.spec.members[0].name = "joe".into();
    assert_eq!(world.settle(), 0);
    assert_eq!(world.made, 1);
    let binding = world
        .observed
        .bindings
        .iter()
        .find(|it| it.name_any() == "hr-room-reader")
        .unwrap();
    assert_eq!(binding.subjects.as_ref().unwrap()[0].name, "joe");
}

#[test]
fn a_paused_room_stays_as_it_is_and_says_so() {
    let mut world = World::idle(json!({"members": jane()}));
    world.annotate(ANNOTATION_PAUSED, "true");
    world.room.spec.members.clear();
    assert_eq!(world.settle(), 0);
    assert!(names(&world).contains(&"hr-room-reader".into()));
    assert_eq!(world.condition("Paused").0, "True");
}

#[test]
fn a_change_of_what_is_wanted_takes_the_place_of_a_run() {
    let mut world = World::new(json!({}));
    world.pass();
    world.room.spec.sources[0].clearance = 5;
    let plan = world.pass();
    assert_eq!(plan.delete_jobs[0].0, "hr-ingest-1");
    assert!(plan.job.is_none(), "not two at a time");
    assert_eq!(world.settle(), 1);
    world.publishes(&[]);
    assert_eq!(world.settle(), 0);
    assert_eq!(world.sync().published, world.pass().key);
}

#[test]
fn another_embedding_model_reads_everything_anew() {
    let mut world = World::idle(json!({}));
    world.embedder("sha256:bb");
    assert_eq!(world.settle(), 1);
    // What answers until then is of the model before.
    assert_eq!(world.condition("Synced").1, "Syncing");
    assert_eq!(world.status().generation, Some(1));
}

#[test]
fn without_its_embedding_model_a_room_waits_and_a_run_goes_on() {
    let mut world = World::new(json!({}));
    world.pass();
    let missing = Trouble::new(api::reasons::MODEL_NOT_READY, "there is none");
    world.observed.models.embedder = Err(missing.clone());
    assert_eq!(world.settle(), 1);
    world.publishes(&[]);
    assert_eq!(world.settle(), 0);
    assert_eq!(world.pass().stage, Stage::Waiting(missing));
    assert_eq!(world.condition("Ready").1, "ModelNotReady");
}

#[test]
fn sources_are_read_again_at_their_times_and_each_at_its_own() {
    let spec = json!({"sources": [
        {"name": "often", "pvc": {"claimName": "a"}, "schedule": "@hourly"},
        {"name": "rarely", "pvc": {"claimName": "b"}, "schedule": "@daily"},
    ]});
    let mut world = World::idle(spec);
    assert_eq!(world.status().next_sync.unwrap().0, at("2026-01-01T01:00:00Z"));
    world.now = at("2026-01-01T00:59:59Z");
    assert_eq!(world.settle(), 0);
    // Two that were missed are one.
    world.now = at("2026-01-01T02:00:30Z");
    let plan = world.pass();
    assert_eq!(reads(&plan.job.unwrap()), ["often".to_owned()].into());
    world.publishes(&[]);
    assert_eq!(world.settle(), 0);
    let status = world.status();
    assert_eq!(
        status.sources[0].last_sync.as_ref().unwrap().0,
        at("2026-01-01T02:00:30Z")
    );
    assert_eq!(
        status.sources[1].last_sync.as_ref().unwrap().0,
        at("2026-01-01T00:10:00Z")
    );
    // That they are read again says nothing against what was read before.
    assert_eq!(world.condition("Synced"), ("True".into(), "Synced".into()));
}

#[test]
fn somebody_may_ask_for_a_run_and_gets_one() {
    let mut world = World::idle(json!({}));
    world.annotate(ANNOTATION_SYNC, "please");
    let plan = world.pass();
    assert_eq!(plan.job.unwrap().annotations()[ANNOTATION_SYNC], "please");
    world.publishes(&[]);
    assert_eq!(world.settle(), 0);
    assert_eq!((world.made, world.sync().requested.as_deref()), (2, Some("please")));
    // Another word is another request.
    world.annotate(ANNOTATION_SYNC, "again");
    assert_eq!(world.settle(), 1);
}

#[test]
fn a_failure_is_tried_again_after_pauses_that_grow() {
    let mut world = World::new(json!({}));
    for attempt in 1..=3 {
        assert_eq!(world.settle(), 1, "attempt {attempt}");
        world.fails(true);
        assert_eq!(world.settle(), 0, "attempt {attempt}");
        assert_eq!(world.condition("Synced"), ("False".into(), "DownloadFailed".into()));
        let sync = world.sync();
        assert_eq!((sync.failures, sync.run), (attempt, i64::from(attempt)));
        assert_eq!(sync.retry.as_ref().unwrap().0, retry(attempt, world.now));
        world.now = sync.retry.unwrap().0;
    }
    assert_eq!(world.settle(), 1);
    world.publishes(&[]);
    assert_eq!(world.settle(), 0);
    assert_eq!((world.sync().failures, world.sync().retry), (0, None));
    assert_eq!(world.condition("Ready").1, "Open");
}

#[test]
fn what_trying_again_cannot_help_waits_for_people_or_its_time() {
    let mut world = World::new(json!({"sources": [{"name": "a", "pvc": {"claimName": "a"}, "schedule": "@daily"}]}));
    world.settle();
    world.fails(false);
    assert_eq!(world.settle(), 0);
    assert_eq!(world.sync().retry, None);
    world.now = at("2026-01-01T23:59:00Z");
    assert_eq!(world.settle(), 0);
    let mut changed = World {
        room: world.room.clone(),
        ..World::new(json!({}))
    };
    changed.now = world.now;
    changed.room.spec.sources[0].clearance = 1;
    assert_eq!(changed.settle(), 1, "a change of the spec");
    world.now = at("2026-01-02T00:00:00Z");
    assert_eq!(world.settle(), 1, "its time");
}

#[test]
fn a_source_that_could_not_be_read_keeps_what_it_has_and_is_read_again_alone() {
    let spec = json!({"sources": [
        {"name": "a", "pvc": {"claimName": "a"}, "schedule": "@daily"},
        {"name": "b", "http": {"urls": ["https://example.com/"]}, "schedule": "@daily"},
    ]});
    let mut world = World::new(spec);
    world.settle();
    world.publishes(&["b"]);
    assert_eq!(world.settle(), 0);
    assert_eq!(world.condition("Synced"), ("False".into(), "SourceFailed".into()));
    assert_eq!(world.condition("Ready").1, "Open", "the others are there");
    let status = world.status();
    assert_eq!(status.sources[1].error.as_deref(), Some("the server answered 503"));
    assert_eq!(
        (
            status.sources[0].error.as_ref(),
            status.sources[1].access_synced.as_ref()
        ),
        (None, None)
    );
    world.now = status.sync.unwrap().retry.unwrap().0;
    let plan = world.pass();
    assert_eq!(reads(&plan.job.unwrap()), ["b".to_owned()].into());
    world.publishes(&[]);
    assert_eq!(world.settle(), 0);
    assert_eq!(world.condition("Synced").1, "Synced");
    assert_eq!(world.status().sources[1].error, None);
}

#[test]
fn uploads_are_read_when_they_have_arrived_and_those_that_come_together_at_once() {
    let mut world = World::idle(json!({"sources": [{"name": "desk", "upload": {}}]}));
    world.uploads(None);
    assert_eq!(world.settle(), 0);
    // From before the run that has read everything.
    world.uploads(Some(60.0));
    assert_eq!(world.settle(), 0);
    world.now = at("2026-01-01T00:10:20Z");
    world.uploads(Some(1.0));
    let plan = world.pass();
    assert!(plan.job.is_none(), "the last run has just begun");
    assert_eq!(plan.next, Some(at("2026-01-01T00:10:30Z")));
    world.now = at("2026-01-01T00:10:40Z");
    world.uploads(Some(21.0));
    assert_eq!(world.settle(), 1);
    world.publishes(&[]);
    assert_eq!(world.settle(), 0);
    // It was there when that run began, and asks for no other, whatever became of it.
    world.now = at("2026-01-01T00:12:00Z");
    world.uploads(Some(101.0));
    assert_eq!(world.settle(), 0);
    assert_eq!(world.made, 2);
}

#[test]
fn rights_that_are_too_old_close_the_room() {
    let mut world = World::idle(json!({"access": {"maxStaleness": "2h"}, "sources": [
        {"name": "a", "pvc": {"claimName": "a"}, "schedule": "@daily"}, {"name": "desk", "upload": {}},
    ]}));
    world.now = at("2026-01-01T02:09:59Z");
    world.pass();
    assert_eq!(world.condition("Ready").1, "Open");
    world.now = at("2026-01-01T02:10:00Z");
    world.pass();
    assert_eq!(world.condition("AccessSynced"), ("False".into(), "AccessStale".into()));
    assert_eq!(world.condition("Ready"), ("False".into(), "AccessStale".into()));
}

#[test]
fn a_room_without_sources_reads_nothing_and_says_so() {
    let mut world = World::new(json!({"sources": []}));
    assert_eq!(world.settle(), 0);
    assert_eq!(world.condition("Ready").1, "NoSources");
    let mut world = World::new(json!({}));
    world.pass();
    world.room.spec.sources.clear();
    assert_eq!(world.settle(), 0, "a run that nobody wants ends");
}

#[test]
fn a_few_runs_stay_to_be_looked_at() {
    let mut world = World::idle(json!({}));
    for number in 0..6 {
        world.annotate(ANNOTATION_SYNC, &number.to_string());
        assert_eq!(world.settle(), 1);
        world.publishes(&[]);
        assert_eq!(world.settle(), 0);
    }
    let left: Vec<_> = world.observed.jobs.iter().map(ResourceExt::name_any).collect();
    assert_eq!(left, ["hr-ingest-5", "hr-ingest-6", "hr-ingest-7"]);
}

#[test]
fn a_run_whose_pod_is_gone_is_tried_again() {
    let mut world = World::new(json!({}));
    world.settle();
    world.ends(None, "Complete");
    assert_eq!(world.settle(), 0);
    assert_eq!(world.condition("Synced"), ("False".into(), "SyncFailed".into()));
    world.now = world.now.checked_add(MINUTE).unwrap();
    assert_eq!(world.settle(), 1);
}

#[test]
fn a_status_that_was_lost_makes_no_run_of_a_name_that_is_taken() {
    let mut world = World::idle(json!({}));
    world.room.status = None;
    // What ended is noted again.
    assert_eq!(world.settle(), 0);
    assert_eq!((world.made, world.sync().run), (1, 1));
    world.room.status = None;
    world.observed.pods.clear();
    assert_eq!(
        world.settle(),
        0,
        "it is not known what it did, and it is tried again later"
    );
    assert_eq!(world.sync().failures, 1);
}

#[test]
fn pauses_have_an_end() {
    let start = at("2026-01-01T00:00:00Z");
    let pause = |failures| retry(failures, start).duration_since(start).as_secs();
    assert_eq!([1, 2, 3, 7, 100].map(pause), [60, 120, 240, 3600, 3600]);
}

/// An operator that dies after any of its writes is followed by one that goes on: in the end all is as if nothing had
/// happened, and nothing was read twice.
#[rstest]
fn an_operator_may_die_after_any_write(#[values(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)] after: usize) {
    let stories: [fn(&mut World); 4] = [
        |_| {},
        |world| world.room.spec.members[0].role = api::room::Role::Curator,
        |world| world.room.spec.sources[0].clearance = 7,
        |world| world.annotate(ANNOTATION_SYNC, "now"),
    ];
    let begin = || World::new(json!({"members": jane()}));
    let finish = |world: &mut World| {
        if world.settle() > 0 {
            world.publishes(&[]);
        }
        assert_eq!(world.settle(), 0);
    };
    for (number, story) in stories.iter().enumerate() {
        let mut calm = begin();
        finish(&mut calm);
        story(&mut calm);
        finish(&mut calm);

        let mut world = begin();
        // It dies before anything is read, after the report is there, and after the change.
        world.pass_until(after);
        finish(&mut world);
        story(&mut world);
        world.pass_until(after);
        if world.settle() > 0 {
            world.publishes(&[]);
            world.pass_until(after);
        }
        finish(&mut world);

        assert_eq!(world.made, calm.made, "story {number}");
        assert_eq!(world.sync(), calm.sync(), "story {number}");
        let access = |world: &World| {
            let mut all: Vec<_> = world.observed.bindings.iter().map(|it| json!(it).to_string()).collect();
            all.sort();
            all
        };
        assert_eq!(access(&world), access(&calm), "story {number}");
    }
}
