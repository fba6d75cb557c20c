//! Comparisons from their first pass to their verdict.

mod likelihoods;

use api::{ShadowDeployment, ShadowDeploymentStatus, conditions, names, shadowdeployment::Verdict};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use protocol::shadows::{Pair, Pairs, Score};
use rand::{Rng, SeedableRng, rngs::StdRng};
use rstest::rstest;
use serde_json::{Value, json};

use super::{
    decide::{self, Stage},
    dereference::Observed,
    reconcile::evidence_report,
    run::Run,
    status::{self, Facts},
    testing::{CANDIDATE, PRIMARY, model, settings, shadow},
    validate::{Owner, validate},
};

const BEGIN: i64 = 1_800_000_000;

/// A cluster with a gateway that has measured some pairs.
struct World {
    shadow: ShadowDeployment,
    observed: Observed,
    gateway: Pairs,
    silence: Option<String>,
    run: Option<Run>,
    second: i64,
    report: Option<Value>,
}

impl World {
    fn new(fields: Value) -> Self {
        let deployment =
            json!({"spec": {"replicas": 1, "selector": {}, "template": {}}, "status": {"readyReplicas": 1}});
        Self {
            shadow: shadow(fields),
            observed: Observed {
                model: Some(model(json!({}))),
                deployment: serde_json::from_value(deployment).unwrap(),
                ..Observed::default()
            },
            gateway: Pairs::default(),
            silence: None,
            run: None,
            second: 0,
            report: None,
        }
    }

    /// One that has begun.
    fn begun(fields: Value) -> Self {
        let mut world = Self::new(fields);
        world.pass();
        assert!(world.status().started.is_some());
        world
    }

    /// The gateway measures more pairs.
    fn measures(&mut self, count: usize, mut scores: impl FnMut(&mut StdRng) -> Value) {
        let begin = self.gateway.pairs.len() as u64;
        for number in begin..begin + count as u64 {
            let mut random = StdRng::seed_from_u64(number);
            let scores: std::collections::BTreeMap<String, Score> =
                serde_json::from_value(scores(&mut random)).unwrap();
            self.gateway.pairs.push(Pair {
                seq: number as i64 + 1,
                at: Timestamp::from_second(BEGIN + self.second).unwrap().to_string(),
                cluster: format!("{number:016x}{number:016x}"),
                scores,
            });
        }
    }

    /// As `reconcile` does it.
    fn pass(&mut self) {
        let owner = Owner::new(&self.shadow).unwrap();
        let wanted = validate(&self.shadow, &settings());
        let before = self.status();
        let started = before.started.as_ref().map(|it| it.0);
        let now = Timestamp::from_second(BEGIN + self.second).unwrap();
        let evidence = match (&wanted, started, &self.silence, before.verdict) {
            (Ok(wanted), Some(_), None, None) => {
                let run = self.run.get_or_insert_with(|| Run::new(wanted));
                // By pages, as the gateway gives them.
                for page in self.gateway.pairs.chunks(70) {
                    let page = Pairs {
                        pairs: page.to_vec(),
                        ..self.gateway.clone()
                    };
                    run.take(&page, wanted.deadline(started));
                }
                run.take(
                    &Pairs {
                        pairs: Vec::new(),
                        ..self.gateway.clone()
                    },
                    None,
                );
                let evidence = run.evidence(None);
                Some(match decide::end(wanted, &evidence, started, now) {
                    Some(end) => run.evidence(Some(end)),
                    None => evidence,
                })
            }
            _ => None,
        };
        let stage = decide::decide(&decide::Facts {
            wanted: wanted.as_ref(),
            observed: &self.observed,
            evidence: evidence.as_ref(),
            silence: self.silence.as_deref(),
            before: &before,
        });
        let report = wanted.as_ref().ok().and_then(|wanted| {
            evidence_report(&owner, wanted, &stage, evidence.as_ref()?, &self.shadow, &self.observed)
        });
        let report = report.transpose().unwrap();
        assert_eq!(report.is_some(), matches!(stage, Stage::Decided(_)));
        let name = report.as_ref().map(ResourceExt::name_any);
        if let Some(report) = &report {
            assert_eq!(report.immutable, Some(true));
            assert_eq!(report.owner_references()[0].uid, "shadow-uid");
            let text = &report.data.as_ref().unwrap()[names::REPORT_KEY];
            self.report = Some(serde_json::from_str(text).unwrap());
        }
        let facts = Facts {
            observed: &self.observed,
            shadow: &self.shadow,
            owner: &owner,
            stage: &stage,
            evidence: evidence.as_ref(),
            report: name.as_deref(),
            failure: None,
        };
        self.shadow.status = Some(status::compute(&facts, &Time(now)));
    }

    fn status(&self) -> ShadowDeploymentStatus {
        self.shadow.status.clone().unwrap_or_default()
    }

    /// Status, reason and message of a condition.
    fn condition(&self, kind: &str) -> (String, String, String) {
        let status = self.status();
        let found = conditions::find(&status.conditions, kind).unwrap();
        (found.status.clone(), found.reason.clone(), found.message.clone())
    }

    fn verdict(&self) -> (Option<Verdict>, String) {
        let status = self.status();
        (status.verdict, status.reason.unwrap_or_default())
    }
}

/// How alike an answer is, around `mean`.
fn alike(random: &mut StdRng, mean: f64) -> f64 {
    (mean + random.random_range(-0.1..0.1)).clamp(0.0, 1.0)
}

/// Answers of which the candidate's are as alike as `candidate`, where two of the serving model are 0.8.
fn rouge(candidate: f64) -> impl FnMut(&mut StdRng) -> Value {
    move |random| json!({"RougeL": {"baseline": alike(random, 0.8), "candidate": alike(random, candidate)}})
}

#[test]
fn a_candidate_as_good_as_what_serves_is_never_rejected() {
    let mut world = World::begun(json!({"compare": {
        "primary": {"metric": "RougeL", "margin": "2%"},
        "guardrails": [{"metric": "Errors"}, {"metric": "TTFT"}, {"metric": "Length", "margin": "10%"}],
    }}));
    let mut same = |random: &mut StdRng| {
        let time = |random: &mut StdRng| 0.2 + 0.1 * random.random::<f64>();
        let length = |random: &mut StdRng| 90.0 + 20.0 * random.random::<f64>();
        json!({
            "RougeL": {"baseline": alike(random, 0.8), "candidate": alike(random, 0.8)},
            "Errors": {"primary": 0.0, "candidate": 0.0},
            "TTFT": {"primary": time(random), "candidate": time(random)},
            "Length": {"primary": length(random), "candidate": length(random)},
        })
    };
    for _ in 0..10 {
        world.measures(100, &mut same);
        world.pass();
        assert_ne!(world.verdict().0, Some(Verdict::Reject));
    }
    assert_eq!(world.verdict(), (Some(Verdict::Promote), "NotWorse".into()));
    let status = world.status();
    assert_eq!(status.metrics.len(), 4);
    let baseline: f64 = status.baseline.unwrap().parse().unwrap();
    assert!((baseline - 0.8).abs() < 0.02, "{baseline}");
    let (complete, _, message) = world.condition("Complete");
    assert_eq!(complete, "True");
    assert!(
        message.contains("spec.onPass is None, so a person decides"),
        "{message}"
    );
    let report = world.report.unwrap();
    assert_eq!(
        (&report["verdict"], &report["primary"]["version"]),
        (&json!("Promote"), &json!(PRIMARY))
    );
    assert!(report["metrics"][0]["course"].as_array().unwrap().len() > 3);
    assert_eq!(status.report.unwrap().split("-report-").next(), Some("s"));
}

#[rstest]
#[case::answers(0.5, 0.0, 1.0, "RougeL")]
#[case::errors(0.8, 0.3, 1.0, "Errors")]
#[case::times(0.8, 0.0, 2.0, "TTFT")]
fn a_worse_candidate_is_rejected_by_the_metric_in_which_it_is(
    #[case] likeness: f64,
    #[case] failures: f64,
    #[case] slower: f64,
    #[case] metric: &str,
) {
    let mut world = World::begun(json!({"onFail": "Reject", "compare": {
        "primary": {"metric": "RougeL"}, "guardrails": [{"metric": "Errors"}, {"metric": "TTFT"}],
    }}));
    world.measures(500, |random| {
        let time = 0.2 + 0.1 * random.random::<f64>();
        json!({
            "RougeL": {"baseline": alike(random, 0.8), "candidate": alike(random, likeness)},
            "Errors": {"primary": 0.0, "candidate": f64::from(random.random_bool(failures))},
            "TTFT": {"primary": 0.25, "candidate": time * slower},
        })
    });
    world.pass();
    assert_eq!(world.verdict(), (Some(Verdict::Reject), "Worse".into()));
    let (_, reason, message) = world.condition("Complete");
    assert_eq!(reason, "Worse");
    assert!(
        message.starts_with(&format!("{metric} is worse than its margin")),
        "{message}"
    );
    assert!(
        message.ends_with(&format!("version {CANDIDATE} is rejected")),
        "{message}"
    );
    // Not one pair more than the first look that could tell.
    assert_eq!(world.status().pairs, Some(300));
}

#[test]
fn too_few_pairs_at_the_deadline_leave_it_open_and_say_what_could_be_seen() {
    let mut world =
        World::begun(json!({"stop": {"minPairs": 30, "maxPairs": 5000, "maxDuration": "1h", "futility": false}}));
    world.measures(40, rouge(0.8));
    world.pass();
    assert_eq!(world.verdict().0, None);
    world.second = 3600;
    // One that came too late does not count, whenever it is read.
    world.second += 1;
    world.measures(200, rouge(0.1));
    world.pass();
    assert_eq!(world.verdict(), (Some(Verdict::Inconclusive), "Deadline".into()));
    let (_, _, message) = world.condition("Complete");
    assert!(message.contains("40 pairs could show is"), "{message}");
    assert!(world.status().smallest_detectable_difference.unwrap().ends_with('%'));
    assert_eq!(world.report.unwrap()["pairs"], 40);
}

#[test]
fn a_budget_that_is_spent_ends_it() {
    let mut world = World::begun(json!({"limits": {"budget": {"tokens": 1000}}}));
    world.measures(50, rouge(0.8));
    world.gateway.tokens = 999;
    world.pass();
    assert_eq!(world.verdict().0, None);
    world.gateway.tokens = 1000;
    world.pass();
    assert_eq!(world.verdict(), (Some(Verdict::Inconclusive), "Budget".into()));
    let mut world = World::begun(json!({"limits": {"budget": {"money": "0.50"}}}));
    world.gateway.cost = Some("0.5001".into());
    world.pass();
    assert_eq!(world.verdict().1, "Budget");
}

#[test]
fn it_begins_when_both_can_answer() {
    let mut world = World::new(json!({}));
    let ready = world.observed.deployment.take();
    world.pass();
    let (status, reason, message) = world.condition("Ready");
    assert_eq!((status.as_str(), reason.as_str()), ("False", "ModelNotReady"));
    assert!(message.contains(CANDIDATE), "{message}");
    assert_eq!(world.condition("Progressing").0, "True");
    assert_eq!(world.status().started, None);
    world.observed.deployment = ready;
    world.pass();
    assert_eq!(world.condition("Ready").1, "Comparing");
    let status = world.status();
    assert_eq!(
        (status.primary_version.as_deref(), status.candidate_version.as_deref()),
        (Some(PRIMARY), Some(CANDIDATE))
    );
}

#[rstest]
#[case::no_such_version(json!({"candidate": {"version": "v-00000000ff"}}), json!({}), "CandidateGone")]
#[case::no_such_model(json!({"candidate": {"model": "other"}}), json!({}), "CandidateGone")]
#[case::serves_already(json!({"candidate": {"version": PRIMARY}}), json!({}), "InvalidSpec")]
#[case::no_room(json!({}), json!({"rollout": {"strategy": "Recreate"}}), "InvalidSpec")]
#[case::no_canary(json!({"onPass": "Canary"}), json!({}), "InvalidSpec")]
#[case::not_of_texts(json!({}), json!({"task": "Embed"}), "InvalidSpec")]
fn what_cannot_be_compared_is_said(#[case] fields: Value, #[case] spec: Value, #[case] reason: &str) {
    let mut world = World::new(fields);
    world.observed.model = Some(model(spec));
    world.pass();
    assert_eq!(world.condition("Ready").1, reason);
    assert_eq!(world.condition("Degraded").0, "True");
    assert_eq!((world.verdict().0, world.status().started), (None, None));
}

#[test]
fn a_model_that_is_deleted_meanwhile_ends_it_without_a_finding() {
    let mut world = World::begun(json!({}));
    world.measures(40, rouge(0.8));
    world.pass();
    world.observed.model = None;
    world.pass();
    assert_eq!(world.verdict(), (Some(Verdict::Inconclusive), "ModelGone".into()));
    // What the pairs said is kept.
    assert_eq!(world.report.unwrap()["pairs"], 40);
}

#[test]
fn a_candidate_whose_pods_are_lost_is_waited_for() {
    let mut world = World::begun(json!({}));
    let ready = world.observed.deployment.take();
    world.pass();
    assert_eq!(world.verdict().0, None);
    assert_eq!(world.condition("Ready").1, "ModelNotReady");
    world.observed.deployment = ready;
    world.pass();
    assert_eq!(world.condition("Ready").1, "Comparing");
}

#[test]
fn another_version_that_serves_ends_it() {
    let mut world = World::begun(json!({}));
    let status = world.observed.model.as_mut().unwrap().status.as_mut().unwrap();
    status.current_version = Some("v-0000000003".into());
    world.pass();
    assert_eq!(world.verdict(), (Some(Verdict::Inconclusive), "PrimaryChanged".into()));
}

#[test]
fn a_restart_reads_all_pairs_again_and_comes_to_the_same() {
    let mut world = World::begun(json!({}));
    world.measures(150, rouge(0.79));
    world.pass();
    world.measures(100, rouge(0.79));
    world.pass();
    let before = world.status();
    world.run = None;
    world.pass();
    assert_eq!(world.status(), before);
    // While the gateway does not tell, what is known stays.
    world.run = None;
    world.silence = Some("the gateway does not answer".into());
    world.pass();
    assert_eq!(world.status().metrics, before.metrics);
    assert_eq!(world.condition("Degraded").1, "PairsUnavailable");
    world.silence = None;
    world.pass();
    assert_eq!(world.status().pairs, before.pairs);
}

#[test]
fn a_verdict_is_given_once() {
    let mut world = World::begun(json!({}));
    world.measures(300, rouge(0.3));
    world.pass();
    let decided = world.status();
    assert_eq!(decided.verdict, Some(Verdict::Reject));
    world.measures(5000, rouge(0.8));
    world.observed.model = None;
    world.second = 100;
    world.pass();
    assert_eq!(world.status(), decided);
}

#[test]
fn nothing_is_written_while_nothing_changes() {
    let mut world = World::begun(json!({}));
    world.measures(35, rouge(0.8));
    world.pass();
    let before = world.status();
    world.second = 500;
    world.pass();
    assert_eq!(world.status(), before);
    assert!(status::notices(&before, &before).is_empty());
}

#[test]
fn a_pinned_version_is_left_alone_and_the_condition_says_so() {
    let mut world = World::begun(json!({"onPass": "Promote", "onFail": "Reject"}));
    world.measures(300, rouge(0.3));
    let model = world.observed.model.as_mut().unwrap();
    model.spec.version = Some(PRIMARY.into());
    world.pass();
    assert_eq!(world.verdict().0, Some(Verdict::Reject));
    let (_, _, message) = world.condition("Complete");
    assert!(
        message.contains(&format!("spec.version of the LlmModel pins {PRIMARY}")),
        "{message}"
    );
}

#[test]
fn margins_that_the_planned_pairs_cannot_show_are_warned_of() {
    let mut world = World::begun(json!({
        "compare": {"primary": {"metric": "Errors", "margin": "0.1%"}},
        "stop": {"minPairs": 30, "maxPairs": 1000},
    }));
    world.pass();
    let (status, reason, message) = world.condition("Degraded");
    assert_eq!((status.as_str(), reason.as_str()), ("True", "MarginTooSmall"));
    assert!(message.contains("needs 2996 pairs"), "{message}");
}

#[test]
fn words_that_nobody_can_keep_are_said_to_be_missing() {
    let mut world = World::begun(json!({"retention": {"content": "7d"}}));
    world.pass();
    let (status, reason, message) = world.condition("Degraded");
    assert_eq!((status.as_str(), reason.as_str()), ("True", "WordsNotKept"));
    assert!(message.contains("audit.content.keysSecret"), "{message}");
    world.gateway.keeps_words = true;
    world.pass();
    assert_eq!(world.condition("Degraded").0, "False");
}

#[test]
fn a_template_does_nothing() {
    let mut world = World::new(json!({}));
    world
        .shadow
        .annotations_mut()
        .insert(names::ANNOTATION_PAUSED.into(), "true".into());
    world.pass();
    assert_eq!(world.status().started, None);
    assert_eq!(world.condition("Paused").0, "True");
    assert_eq!(world.condition("Degraded").0, "False");
}

#[rstest]
#[case(0.0, "0")]
#[case(0.812_345_678, "0.812346")]
#[case(-12.5, "-12.5")]
#[case(123_456_789.0, "123456789")]
#[case(0.000_012_345, "0.000012345")]
fn numbers_are_short(#[case] number: f64, #[case] text: &str) {
    assert_eq!(decide::decimal(number), text);
}
