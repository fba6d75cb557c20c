use api::{
    names::ANNOTATION_SYNC,
    room::{RedTeamSuite, RedTeamVerdict},
};
use protocol::{
    PrepareFailure,
    redteam::{RedTeamClass, RedTeamDetector, RedTeamOutcome, RedTeamReport, RedTeamVerdict as Verdict},
};
use rstest::rstest;
use serde_json::json;

use super::*;
use crate::controllers::room::decide::world::{World, at};

fn finished(verdict: Verdict) -> RedTeamOutcome {
    let leaked = u64::from(verdict == Verdict::Leaked);
    RedTeamOutcome::Finished(RedTeamReport {
        generation: 1,
        verdict,
        canaries: 1,
        found: u64::from(verdict != Verdict::Blind),
        attempts: 300,
        classes: vec![RedTeamClass {
            name: "direct".into(),
            attempts: 30,
            leaked: 2 * leaked,
            blind: 0,
        }],
        failures: match verdict {
            Verdict::Passed => Vec::new(),
            Verdict::Leaked => vec!["direct: 2 of 30 leaked".into()],
            Verdict::Blind => vec!["nobody saw what they may see".into()],
        },
        detectors: Vec::new(),
    })
}

/// A run that was passed, in which detectors were measured.
fn measured(names: &[&str], falsely: u64) -> RedTeamOutcome {
    let RedTeamOutcome::Finished(report) = finished(Verdict::Passed) else {
        panic!("it has finished")
    };
    let of = |name: &&str| RedTeamDetector {
        name: (*name).into(),
        found: 30,
        missed: 10,
        falsely,
        passed: 60,
    };
    RedTeamOutcome::Finished(RedTeamReport {
        detectors: names.iter().map(of).collect(),
        ..report
    })
}

fn asked() -> serde_json::Value {
    json!({
        "redTeam": {"schedule": "0 12 * * *"},
        "members": [{"kind": "User", "name": "jane", "role": "Reader"}],
        "sources": [{"name": "handbook", "pvc": {"claimName": "docs"}, "schedule": "@yearly"}],
    })
}

/// A Room whose sources were read, and that is being tested.
fn under_test() -> World {
    let mut world = World::new(asked());
    assert_eq!((world.settle(), world.under_test()), (1, 0));
    assert_eq!(world.condition("RedTeamPassed"), ("Unknown".into(), "NotTested".into()));
    world.publishes(&[]);
    assert_eq!((world.settle(), world.under_test()), (0, 1));
    world
}

fn may_test(world: &World) -> bool {
    let of = |name: String| name == "hr-room-redteam";
    let bound = world.observed.bindings.iter().any(|it| of(it.name_any()));
    assert_eq!(bound, world.observed.roles.iter().any(|it| of(it.name_any())));
    bound
}

fn passed() -> World {
    let mut world = under_test();
    world.test_ends(Some(&finished(Verdict::Passed)), "Complete");
    assert_eq!((world.settle(), world.under_test()), (0, 0));
    world
}

fn tests(world: &World) -> RedTeamStatus {
    world.status().red_team.unwrap()
}

#[test]
fn a_room_opens_once_it_has_passed_and_who_tests_has_rights_meanwhile_alone() {
    let mut world = under_test();
    assert!(may_test(&world));
    assert_eq!(world.condition("Ready"), ("False".into(), "NotTested".into()));
    let pod = world.observed.tests[0].spec.clone().unwrap().template.spec.unwrap();
    assert_eq!(pod.service_account_name.as_deref(), Some("hr-room-redteam"));
    world.test_ends(Some(&finished(Verdict::Passed)), "Complete");
    assert_eq!((world.settle(), world.under_test()), (0, 0));
    assert!(!may_test(&world));
    assert_eq!(world.condition("RedTeamPassed"), ("True".into(), "NoLeak".into()));
    assert_eq!(world.condition("Ready"), ("True".into(), "Open".into()));
    let noted = tests(&world);
    assert_eq!(
        (
            noted.verdict,
            noted.generation,
            noted.attempts,
            noted.controls,
            noted.run
        ),
        (Some(RedTeamVerdict::Passed), Some(1), Some(300), Some(1), 1)
    );
    assert!(noted.findings.is_empty() && noted.last_time.is_some());
}

#[rstest]
#[case(Verdict::Leaked, "False", "Leaked", 1)]
#[case(Verdict::Blind, "Unknown", "NothingProved", 0)]
fn a_room_that_did_not_pass_answers_nobody_and_is_tested_again(
    #[case] verdict: Verdict,
    #[case] status: &str,
    #[case] reason: &str,
    #[case] findings: usize,
) {
    let mut world = passed();
    world.now = at("2026-01-01T12:00:01Z");
    assert_eq!((world.settle(), world.under_test()), (0, 1), "its time has come");
    // Until it is known, what was passed counts.
    assert_eq!(world.condition("RedTeamPassed").0, "True");
    world.test_ends(Some(&finished(verdict)), "Complete");
    assert_eq!((world.settle(), world.under_test()), (0, 0));
    assert_eq!(world.condition("RedTeamPassed"), (status.into(), reason.into()));
    assert_eq!(world.condition("Ready"), ("False".into(), reason.into()));
    let noted = tests(&world);
    assert_eq!((noted.findings.len(), noted.failures), (findings, 1));
    world.now = noted.retry.unwrap().0;
    assert_eq!((world.settle(), world.under_test()), (0, 1));
    world.test_ends(Some(&finished(Verdict::Passed)), "Complete");
    world.settle();
    assert_eq!(world.condition("Ready").1, "Open");
    assert_eq!((tests(&world).failures, tests(&world).retry), (0, None));
}

#[test]
fn a_new_index_and_new_members_ask_for_a_run_and_old_ones_do_not() {
    let mut world = passed();
    world.now = at("2026-01-01T00:20:00Z");
    assert_eq!((world.settle(), world.under_test(), world.tested), (0, 0, 1));
    world.annotate(ANNOTATION_SYNC, "now");
    assert_eq!(
        (world.settle(), world.under_test()),
        (1, 0),
        "not while sources are read"
    );
    world.publishes(&[]);
    assert_eq!((world.settle(), world.under_test()), (0, 1));
    world.test_ends(Some(&finished(Verdict::Passed)), "Complete");
    assert_eq!((world.settle(), world.under_test()), (0, 0));

    let next = |world: &mut World| {
        world.now = world.now.checked_add(Duration::from_secs(60)).unwrap();
        assert_eq!((world.settle(), world.under_test()), (0, 1));
        world.test_ends(Some(&finished(Verdict::Passed)), "Complete");
        assert_eq!((world.settle(), world.under_test()), (0, 0));
    };
    world.room.spec.members[0].clearance = 7;
    next(&mut world);
    world.room.spec.members.clear();
    next(&mut world);
    world.room.spec.red_team.as_mut().unwrap().suites = vec![RedTeamSuite::Direct];
    next(&mut world);
    let env = world
        .observed
        .tests
        .last()
        .unwrap()
        .spec
        .clone()
        .unwrap()
        .template
        .spec
        .unwrap();
    let plan = env.containers[0].env.clone().unwrap()[0].value.clone().unwrap();
    assert!(
        plan.contains(r#""suites":["direct"]"#) && plan.contains(r#""run":5"#),
        "{plan}"
    );
    assert_eq!(world.tested, 5);
    // Three stay to be looked at.
    assert_eq!(world.observed.tests.len(), 3);
}

#[test]
fn what_detectors_are_worth_is_kept_until_it_is_measured_again() {
    let mut world = under_test();
    assert!(world.status().detectors.is_empty());
    world.test_ends(Some(&measured(&["Citations", "Overlap"], 10)), "Complete");
    world.settle();
    let status = world.status();
    let [citations, overlap] = &status.detectors[..] else {
        panic!("{status:?}")
    };
    assert_eq!(
        (&*citations.name, &*overlap.name, overlap.samples),
        ("Citations", "Overlap", 110)
    );
    assert_eq!(
        (overlap.precision.as_deref(), overlap.recall.as_deref()),
        (Some("0.75"), Some("0.75"))
    );
    assert_eq!(overlap.last_time, tests(&world).last_time);
    // A run that could not measure changes nothing, and neither does a pass.
    let mut next = |names: &[&str], at: &str| {
        world.now = self::at(at);
        assert_eq!((world.settle(), world.under_test()), (0, 1));
        world.test_ends(Some(&measured(names, 0)), "Complete");
        world.settle();
        let writes = world.writes;
        world.pass();
        assert_eq!(world.writes, writes);
        let known = world.status().detectors;
        known
            .into_iter()
            .map(|one| (one.name, one.precision))
            .collect::<Vec<_>>()
    };
    assert_eq!(next(&[], "2026-01-01T12:00:01Z").len(), 2);
    let known = next(&["Overlap"], "2026-01-02T12:00:01Z");
    assert_eq!(known, [("Overlap".to_owned(), Some("1.00".to_owned()))]);
    // Of what is not applied any more nothing is known, nor without tests.
    let answer = json!({"detectors": ["Citations"]});
    world.room.spec.answer = serde_json::from_value(answer).unwrap();
    world.pass();
    assert!(world.status().detectors.is_empty());
}

#[test]
fn changes_that_come_together_are_tested_together() {
    let mut world = passed();
    world.room.spec.members.clear();
    let plan = world.pass();
    assert!(plan.test.is_none());
    let soon = tests(&world).started.unwrap().0.checked_add(GATHER).unwrap();
    assert_eq!(plan.next_test, Some(soon));
    world.now = soon;
    assert_eq!((world.settle(), world.under_test()), (0, 1));
}

#[test]
fn a_run_that_crashed_is_made_again_and_passes_nothing() {
    let mut world = under_test();
    world.test_ends(None, "Failed");
    assert_eq!((world.settle(), world.under_test()), (0, 0));
    assert_eq!(
        world.condition("RedTeamPassed"),
        ("Unknown".into(), "RedTeamFailed".into())
    );
    let noted = tests(&world);
    assert_eq!((noted.verdict, noted.failures), (None, 1));
    world.now = noted.retry.unwrap().0;
    assert_eq!((world.settle(), world.under_test()), (0, 1));
    // Complete without a word is no pass either.
    world.test_ends(None, "Complete");
    world.settle();
    assert_eq!(world.condition("RedTeamPassed").0, "Unknown");
    assert_eq!(tests(&world).failures, 2);
}

#[test]
fn what_was_passed_does_not_count_for_ever() {
    let mut world = passed();
    world.now = at("2026-01-01T12:00:01Z");
    for failures in 1..=3 {
        assert_eq!((world.settle(), world.under_test()), (0, 1), "{failures}");
        let failure = PrepareFailure::new("GatewayFailed", "it does not answer", true);
        world.test_ends(Some(&RedTeamOutcome::Failed(failure)), "Failed");
        world.settle();
        let noted = tests(&world);
        assert_eq!(
            (noted.failures, noted.verdict),
            (failures, Some(RedTeamVerdict::Passed))
        );
        let expected = if failures < 3 { "True" } else { "Unknown" };
        assert_eq!(world.condition("RedTeamPassed").0, expected);
        world.now = noted.retry.unwrap().0;
    }
    assert_eq!(world.condition("Ready"), ("False".into(), "GatewayFailed".into()));
}

#[test]
fn who_asks_for_tests_later_reads_the_sources_first() {
    let mut world = World::idle(json!({"members": []}));
    assert_eq!(world.condition("Ready").1, "Open");
    world.room.spec.red_team = serde_json::from_value(json!({"schedule": "@daily"})).unwrap();
    assert_eq!(
        (world.settle(), world.under_test()),
        (1, 0),
        "what is looked for has to be planted"
    );
    assert_eq!(world.condition("RedTeamPassed").0, "Unknown");
    world.publishes(&[]);
    assert_eq!((world.settle(), world.under_test()), (0, 1));
    // And who asks no more has none, and nothing of them is left.
    world.room.spec.red_team = None;
    world.settle();
    assert_eq!(world.under_test(), 0);
    assert!(world.status().red_team.is_none() && !may_test(&world));
    assert!(api::conditions::find(&world.status().conditions, "RedTeamPassed").is_none());
}

/// An operator that dies after any of its writes makes no second run of one, and passes nothing that was not.
#[rstest]
fn an_operator_may_die_after_any_write(#[values(0, 1, 2, 3, 4, 5, 6, 7, 8)] after: usize) {
    let mut world = World::new(asked());
    world.settle();
    world.publishes(&[]);
    world.pass_until(after);
    assert_ne!(world.condition("RedTeamPassed").0, "True");
    assert_eq!((world.settle(), world.under_test(), world.tested), (0, 1, 1));
    world.test_ends(Some(&finished(Verdict::Leaked)), "Complete");
    world.pass_until(after);
    assert_ne!(world.condition("RedTeamPassed").0, "True");
    assert_eq!((world.settle(), world.under_test(), world.tested), (0, 0, 1));
    assert_eq!(world.condition("RedTeamPassed").0, "False");
}
