//! How likely each model finds the other's answers, as a metric.

use super::*;

fn fields() -> Value {
    json!({"compare": {"primary": {"metric": "CrossPerplexity", "margin": "10%"}}})
}

/// Answers that the serving model finds `forth` less likely than its own, and that the candidate finds `back` less likely.
fn likelihoods(forth: f64, back: f64) -> impl FnMut(&mut StdRng) -> Value {
    move |random| {
        let mut nats = || 1.0 + random.random_range(-0.3..0.3);
        let own = nats();
        json!({
            "CrossPerplexity": {"primary": own, "candidate": nats() + forth},
            "CrossPerplexityBack": {"primary": own, "candidate": own + back},
        })
    }
}

#[test]
fn equal_models_find_each_others_answers_as_likely() {
    let mut world = World::begun(fields());
    for _ in 0..20 {
        world.measures(100, likelihoods(0.0, 0.0));
        world.pass();
        assert_ne!(world.verdict().0, Some(Verdict::Reject));
    }
    assert_eq!(world.verdict(), (Some(Verdict::Promote), "NotWorse".into()));
    let status = world.status();
    let names: Vec<_> = status.metrics.iter().map(|found| found.metric).collect();
    assert_eq!(names.len(), 1, "{names:?}");
}

#[rstest]
// What it writes would surprise the model that serves.
#[case::forth(0.5, 0.0)]
// It repeats a word for ever, which any model soon finds likely; but nothing that others write is likely to it.
#[case::back(-0.8, 3.0)]
fn a_difference_either_way_is_worse(#[case] forth: f64, #[case] back: f64) {
    let mut world = World::begun(fields());
    world.measures(500, likelihoods(forth, back));
    world.pass();
    assert_eq!(world.verdict(), (Some(Verdict::Reject), "Worse".into()));
    let (_, _, message) = world.condition("Complete");
    assert!(
        message.starts_with("CrossPerplexity is worse than its margin"),
        "{message}"
    );
    // The way in which it is worse is the one that is shown.
    let shown: f64 = world.status().metrics[0].difference.as_ref().unwrap().parse().unwrap();
    assert!((shown - forth.max(back)).abs() < 0.1, "{shown}");
}

#[test]
fn one_way_alone_proves_nothing() {
    let mut world = World::begun(fields());
    world.measures(2000, |random| {
        let mut scores = likelihoods(0.0, 0.0)(random);
        scores.as_object_mut().unwrap().remove("CrossPerplexityBack");
        scores
    });
    world.pass();
    assert_ne!(world.verdict().0, Some(Verdict::Promote));
}

#[rstest]
#[case::the_serving_model(json!({"engine": {"openAICompatible": {"image": "vllm"}}}), "engine.openAICompatible")]
#[case::hosted(json!({"source": {"provider": {"openAI": {"model": "gpt-x", "credentialsSecretRef": {"name": "k", "key": "k"}}}}}), "provider")]
fn models_that_nobody_can_ask_are_refused_by_name(#[case] spec: Value, #[case] words: &str) {
    let mut world = World::new(fields());
    world.observed.model = Some(model(spec));
    world.pass();
    let (_, reason, message) = world.condition("Ready");
    assert_eq!(reason, "NotSupported");
    assert!(
        message.contains(words) && message.contains("CrossPerplexity"),
        "{message}"
    );
    assert_eq!(world.status().started, None);
    // Without the metric they can be compared.
    let mut world = World::new(json!({}));
    world.observed.model = Some(model(json!({"engine": {"openAICompatible": {"image": "vllm"}}})));
    world.pass();
    assert_eq!(world.condition("Ready").1, "Comparing");
}
