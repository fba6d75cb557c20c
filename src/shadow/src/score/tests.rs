use proptest::prelude::*;
use rstest::rstest;
use serde_json::json;

use super::*;
use crate::{
    answer::{
        Failure, Finish, ToolCall,
        testing::{called, said},
    },
    metric::{ALL, Direction, PairValue, describe},
};

/// What other models would say of two answers that are alike.
fn asked() -> Asked {
    Asked {
        embeddings: Some(Embeddings {
            primary: vec![1.0, 0.0],
            candidate: vec![1.0, 0.1],
            baseline: Some(vec![1.0, 0.2]),
        }),
        likelihoods: Some(Likelihoods {
            primary_of_primary: Some(1.0),
            candidate_of_primary: Some(1.1),
            primary_of_candidate: Some(1.2),
        }),
        preference: Some(0.5),
    }
}

fn json_format() -> Format {
    let tools = json!([{"type": "function", "function": {"name": "offered"}}]);
    Format::of(&json!({"response_format": {"type": "json_object"}, "tools": tools}))
}

fn score(metric: Metric, primary: &Answer, candidate: &Answer) -> Option<Score> {
    let (format, asked) = (json_format(), asked());
    let pair = Pair {
        format: &format,
        primary,
        candidate,
        baseline: None,
        asked: &asked,
        timeout: 60.0,
    };
    pair.score(metric)
}

#[test]
fn two_answers_have_a_score_in_every_metric() {
    let answer = said("{\"sum\": 5}");
    for metric in ALL {
        let score = score(metric, &answer, &answer).unwrap();
        let is_arms = matches!(score, Score::Arms { .. });
        assert_eq!(is_arms, describe(metric).value == PairValue::Arms, "{metric:?}");
        if let Score::Arms { primary, candidate } = score
            && metric != Metric::CrossPerplexity
        {
            assert_eq!(primary, candidate, "{metric:?}");
        }
    }
}

#[test]
fn a_failed_candidate_has_the_worst_score_in_every_metric() {
    let good = said("{\"sum\": 5}");
    let failed = Answer::failed(Failure::Timeout, 60.0);
    for metric in ALL {
        let worst = match score(metric, &good, &failed).unwrap() {
            Score::Arms { candidate, .. } | Score::Paired { candidate, .. } => candidate,
        };
        let expected = match (metric, describe(metric).direction) {
            (Metric::TTFT | Metric::InterToken | Metric::Total, _) => 60.0,
            // No embedding is opposite by being absent.
            (Metric::Embedding | Metric::Length, _) => 0.0,
            (_, Direction::LowerIsBetter) => describe(metric).range.1,
            (_, _) => describe(metric).range.0,
        };
        assert_eq!(worst, expected, "{metric:?}");
    }
}

#[test]
fn a_failed_candidate_needs_no_other_model_to_have_a_score() {
    let (good, failed) = (said("{}"), Answer::failed(Failure::Server, 1.0));
    let (format, asked) = (json_format(), Asked::default());
    let primary = Answer {
        mean_nll: Some(1.0),
        ..good
    };
    let pair = Pair {
        format: &format,
        primary: &primary,
        candidate: &failed,
        baseline: None,
        asked: &asked,
        timeout: 60.0,
    };
    for metric in ALL {
        assert!(pair.score(metric).is_some(), "{metric:?}");
    }
}

#[test]
fn a_failed_live_answer_is_an_error_and_compares_with_nothing_else() {
    let (failed, good) = (Answer::failed(Failure::Server, 1.0), said("{}"));
    for metric in ALL {
        let score = score(metric, &failed, &good);
        let expected = (metric == Metric::Errors).then_some(arms(1.0, 0.0));
        assert_eq!(score, expected, "{metric:?}");
    }
}

#[test]
fn of_a_user_who_left_only_times_are_left() {
    let left = Answer {
        outcome: Outcome::Abandoned,
        ..said("Hel")
    };
    for metric in ALL {
        let is_time = matches!(metric, Metric::TTFT | Metric::InterToken);
        assert_eq!(score(metric, &left, &said("Hello")).is_some(), is_time, "{metric:?}");
    }
}

#[test]
fn times_are_compared_where_both_streamed_and_no_longer_than_they_may() {
    let mut slow = said("a");
    slow.timings.first_token = Some(500.0);
    assert_eq!(score(Metric::TTFT, &said("a"), &slow), Some(arms(0.2, 60.0)));
    let mut whole = said("a");
    whole.timings.first_token = None;
    assert_eq!(score(Metric::TTFT, &whole, &said("a")), None);
}

#[test]
fn the_noise_floor_is_measured_on_the_same_request() {
    let (one, other, again) = (said("a b c d"), said("a b x y"), said("a b c y"));
    let (format, asked) = (json_format(), asked());
    let pair = Pair {
        format: &format,
        primary: &one,
        candidate: &other,
        baseline: Some(&again),
        asked: &asked,
        timeout: 60.0,
    };
    let score = pair.score(Metric::RougeL).unwrap();
    assert_eq!(
        score,
        Score::Paired {
            candidate: 0.5,
            baseline: Some(0.75)
        }
    );
    let failed = Answer::failed(Failure::Server, 1.0);
    let score = Pair {
        baseline: Some(&failed),
        ..pair
    }
    .score(Metric::RougeL)
    .unwrap();
    assert_eq!(
        score,
        Score::Paired {
            candidate: 0.5,
            baseline: None
        }
    );
}

#[rstest]
#[case(Metric::Format, said("{}"), said("no"), 1.0, 0.0)]
#[case(Metric::Refusals, said("Sure."), said("I can't help with that."), 0.0, 1.0)]
#[case(Metric::Guardrails, said("a"), Answer { violations: Some(2), ..said("b") }, 0.0, 1.0)]
#[case(Metric::Length, said("a b c"), said("a"), 3.0, 1.0)]
#[case(Metric::Format, called("f", "{}"), said("{}"), 0.0, 1.0)]
fn arms_of(
    #[case] metric: Metric,
    #[case] one: Answer,
    #[case] other: Answer,
    #[case] primary: f64,
    #[case] candidate: f64,
) {
    assert_eq!(score(metric, &one, &other), Some(arms(primary, candidate)));
}

#[rstest]
#[case::spelling(called("f", "{\"a\": 1, \"b\": 2}"), called("f", "{\"b\":2,\"a\":1.0}"), 1.0)]
#[case::arguments(called("f", "{\"a\": 1}"), called("f", "{\"a\": 2}"), 0.0)]
#[case::name(called("f", "{}"), called("g", "{}"), 0.0)]
#[case::talk_instead(called("f", "{}"), said("I would call f."), 0.0)]
#[case::other_words(said("Nothing to do."), said("All is done."), 1.0)]
fn calls_of_tools_are_the_same_or_not(#[case] one: Answer, #[case] other: Answer, #[case] candidate: f64) {
    let baseline = None;
    assert_eq!(
        score(Metric::ToolCalls, &one, &other),
        Some(Score::Paired { candidate, baseline })
    );
}

#[test]
fn what_was_not_asked_has_no_score() {
    let (format, asked, answer) = (Format::default(), Asked::default(), said("a"));
    let unchecked = Answer {
        violations: None,
        ..answer.clone()
    };
    let pair = Pair {
        format: &format,
        primary: &answer,
        candidate: &unchecked,
        baseline: None,
        asked: &asked,
        timeout: 60.0,
    };
    for metric in [
        Metric::Format,
        Metric::ToolCalls,
        Metric::Embedding,
        Metric::CrossPerplexity,
        Metric::Judge,
        Metric::Guardrails,
    ] {
        assert_eq!(pair.score(metric), None, "{metric:?}");
    }
}

#[test]
fn likelihoods_are_compared_both_ways() {
    let both = |candidate: &Answer, asked: &Asked| {
        let (format, answer) = (Format::default(), said("a"));
        let pair = Pair {
            format: &format,
            primary: &answer,
            candidate,
            baseline: None,
            asked,
            timeout: 60.0,
        };
        pair.scores(Metric::CrossPerplexity).collect::<Vec<_>>()
    };
    let (good, failed) = (said("b"), Answer::failed(Failure::Timeout, 60.0));
    assert_eq!(
        both(&good, &asked()),
        [
            ("CrossPerplexity", arms(1.0, 1.2)),
            ("CrossPerplexityBack", arms(1.0, 1.1))
        ]
    );
    let worst = arms(1.0, MAX_NLL);
    assert_eq!(
        both(&failed, &asked()),
        [("CrossPerplexity", worst), ("CrossPerplexityBack", worst)]
    );
    // A candidate that cannot be asked is compared one way.
    let mut one = asked();
    one.likelihoods.as_mut().unwrap().candidate_of_primary = None;
    assert_eq!(both(&good, &one), [("CrossPerplexity", arms(1.0, 1.2))]);
    assert_eq!(both(&good, &Asked::default()), []);
}

fn any_answer() -> impl Strategy<Value = Answer> {
    let outcome = prop_oneof![
        Just(Outcome::Finished(Finish::Stop)),
        Just(Outcome::Finished(Finish::ContentFilter)),
        Just(Outcome::Failed(Failure::Broken)),
        Just(Outcome::Abandoned),
    ];
    let number = prop::option::of(any::<f64>());
    (
        "\\PC{0,40}",
        "\\PC{0,20}",
        outcome,
        number.clone(),
        number.clone(),
        number,
    )
        .prop_map(
            |(text, arguments, outcome, first_token, inter_token, mean_nll)| Answer {
                tool_calls: vec![ToolCall {
                    name: "f".into(),
                    arguments,
                }],
                outcome,
                timings: crate::answer::Timings {
                    first_token,
                    inter_token,
                    total: 1.0,
                },
                mean_nll,
                ..said(&text)
            },
        )
}

proptest! {
    #[test]
    fn whatever_comes_scores_are_numbers_within_their_range(one in any_answer(), other in any_answer(), again in any_answer(),
            nll in prop::option::of(any::<f64>()), preference in prop::option::of(any::<f64>()), vector in prop::collection::vec(any::<f32>(), 2)) {
        let format = json_format();
        let asked = Asked {
            embeddings: Some(Embeddings { primary: vector.clone(), candidate: vector, baseline: None }),
            likelihoods: Some(Likelihoods { primary_of_primary: Some(1.0), candidate_of_primary: nll, primary_of_candidate: nll }),
            preference,
        };
        let pair = Pair { format: &format, primary: &one, candidate: &other, baseline: Some(&again), asked: &asked, timeout: 60.0 };
        for metric in ALL {
            let (low, high) = describe(metric).range;
            let values = pair.scores(metric).flat_map(|(_, score)| match score {
                Score::Arms { primary, candidate } => [primary, candidate],
                Score::Paired { candidate, baseline } => [candidate, baseline.unwrap_or(candidate)],
            });
            for value in values {
                prop_assert!(value.is_finite() && (low..=high).contains(&value), "{metric:?}: {value}");
            }
        }
    }
}
