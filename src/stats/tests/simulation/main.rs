//! Simulated comparisons: the promised error rates, with a look after every pair, in worlds that are known.

mod experiments;
mod tables;
mod worlds;

use experiments::{Ends, Setting, allowed, run};
use rand::{Rng, SeedableRng, rngs::StdRng};
use worlds::World;

/// A few hundred short experiments at an alpha at which that many say something.
const QUICK: Setting = Setting {
    alpha: 0.1,
    min_pairs: 100,
    max_pairs: 1000,
    futility: false,
    experiments: 300,
};

/// Runs experiments with a candidate that is just at the margin, of which neither finding is right.
fn neither_is_found(world: World) {
    let ends = run(QUICK, &[(world, 1.0)]);
    let allowed = allowed(QUICK.alpha, QUICK.experiments);
    assert!(ends.promote <= allowed, "{}: {ends:?}", world.name);
    assert!(ends.reject <= allowed, "{}: {ends:?}", world.name);
}

#[test]
fn normal_values_keep_the_error_rates() {
    neither_is_found(worlds::NORMAL);
}

#[test]
fn skewed_times_keep_the_error_rates() {
    neither_is_found(worlds::LATENCY_MEAN);
    neither_is_found(worlds::LATENCY_RATIO);
    neither_is_found(worlds::LATENCY_MEDIAN);
    neither_is_found(worlds::LATENCY_P95);
    neither_is_found(worlds::LATENCY_ARMS);
}

#[test]
fn rare_events_keep_the_error_rates() {
    neither_is_found(worlds::RARE);
    neither_is_found(worlds::RARE_RELATIVE);
}

#[test]
fn ties_keep_the_error_rates() {
    neither_is_found(worlds::TIES);
    neither_is_found(worlds::TIED_LENGTHS);
}

#[test]
fn conversations_keep_the_error_rates() {
    neither_is_found(worlds::CLUSTERED);
    neither_is_found(worlds::CLUSTERED_RARE);
    neither_is_found(worlds::CLUSTERED_LATENCY);
}

#[test]
fn conversations_taken_for_single_requests_break_the_error_rates() {
    // The same values without saying which belong together: that the checks above can fail.
    let errors = (0..300).filter(|seed| {
        let mut random = StdRng::seed_from_u64(*seed);
        let mut conversations = worlds::Conversations::new(8.0);
        let mixture = atelier_stats::Mixture::new(0.1, 100, 1000);
        let mut sequence = atelier_stats::MeanSequence::new(mixture);
        (1..=1000).any(|pairs| {
            let (_, pair) = conversations.draw(&mut random, &worlds::CLUSTERED, 1.0);
            sequence.push(None, pair.candidate - 0.98 * pair.primary);
            pairs >= 100 && sequence.log_evidence_above(0.0) >= 10.0_f64.ln()
        })
    });
    assert!(errors.count() as u64 > allowed(0.1, 300));
}

#[test]
fn a_test_for_one_look_raises_false_alarms_when_looked_at_again_and_again() {
    let alarms = (0..300).filter(|seed| {
        let mut random = StdRng::seed_from_u64(*seed);
        let (mut sum, mut pairs) = (0.0, 0.0);
        (1..=1000).any(|_| {
            sum += worlds::normal(&mut random);
            pairs += 1.0;
            pairs >= 100.0 && sum / f64::sqrt(pairs) > 1.2816
        })
    });
    assert!(alarms.count() as u64 > allowed(0.1, 300));
}

#[test]
fn an_equal_candidate_is_promoted_with_the_planned_power_and_hardly_ever_rejected() {
    // Normal differences with a deviation of 20 and a margin of 2, at alpha 0.05.
    let mixture = atelier_stats::Mixture::new(0.05, 300, 5000);
    let planned = atelier_stats::planned_pairs(mixture, 0.05, 0.8, 19.8, 2.0).expect("a number of pairs");
    let setting = Setting {
        alpha: 0.05,
        min_pairs: 300,
        max_pairs: planned,
        futility: false,
        experiments: 200,
    };
    let ends = run(setting, &[(worlds::NORMAL, 0.0)]);
    // 160 on average if the plan were just kept; three standard deviations less.
    assert!(ends.promote >= 160 - 17, "{planned}: {ends:?}");
    assert!(ends.reject <= 1, "{ends:?}");
}

#[test]
fn a_bad_candidate_is_rejected_soon() {
    for world in [worlds::LATENCY_RATIO, worlds::TIES] {
        let ends = run(
            Setting {
                experiments: 100,
                ..QUICK
            },
            &[(world, 6.0)],
        );
        assert!(ends.reject >= 97, "{}: {ends:?}", world.name);
        assert!(ends.pairs / ends.experiments < 300, "{}: {ends:?}", world.name);
    }
}

/// All metrics of a usual comparison, each with how much worse the candidate is in it.
fn many(worse: [f64; 6]) -> Vec<(World, f64)> {
    let worlds = [
        worlds::TIES,
        worlds::RARE,
        worlds::NORMAL,
        worlds::LATENCY_RATIO,
        worlds::LATENCY_MEDIAN,
        worlds::RARE_RELATIVE,
    ];
    worlds.into_iter().zip(worse).collect()
}

#[test]
fn many_metrics_at_their_margins_seldom_reject() {
    let ends = run(QUICK, &many([1.0; 6]));
    assert!(ends.reject <= allowed(QUICK.alpha, QUICK.experiments), "{ends:?}");
    assert_eq!(ends.promote, 0, "all six at once by chance");
}

#[test]
fn one_metric_at_its_margin_is_enough_not_to_promote() {
    let mut worse = [-2.0; 6];
    (worse[1], worse[5]) = (0.0, 0.0);
    // The relative margin of rare errors would never be proved.
    let worlds = |worse| many(worse).into_iter().take(5).collect::<Vec<_>>();
    let good = run(QUICK, &worlds(worse));
    assert!(good.promote > QUICK.experiments / 2, "{good:?}");
    for place in [0, 3] {
        let mut worse = worse;
        worse[place] = 1.0;
        let ends = run(QUICK, &worlds(worse));
        assert!(ends.promote <= allowed(QUICK.alpha, QUICK.experiments), "{ends:?}");
    }
}

#[test]
fn futility_saves_pairs_and_costs_hardly_any_verdicts() {
    let setting = Setting {
        alpha: 0.05,
        min_pairs: 300,
        max_pairs: 2000,
        futility: true,
        experiments: 200,
    };
    let go_on = Setting {
        futility: false,
        ..setting
    };
    let ends = |setting: Setting, worse: f64| -> Ends { run(setting, &[(worlds::NORMAL, worse)]) };
    let (hopeless, patient) = (ends(setting, 1.0), ends(go_on, 1.0));
    assert!(
        hopeless.futile > 20 && hopeless.pairs < patient.pairs,
        "{hopeless:?} {patient:?}"
    );
    let (given_up, patient) = (ends(setting, 0.0), ends(go_on, 0.0));
    assert!(given_up.promote + 6 >= patient.promote, "{given_up:?} {patient:?}");
}

#[test]
fn a_comparison_goes_on_after_a_restart_as_if_nothing_had_happened() {
    use atelier_stats::{Trial, TrialPlan};
    let worlds = [
        worlds::TIES,
        worlds::CLUSTERED_LATENCY,
        worlds::LATENCY_P95,
        worlds::LATENCY_ARMS,
    ];
    let mut trial = Trial::new(TrialPlan {
        primary: worlds[0].metric(),
        guardrails: worlds[1..].iter().map(World::metric).collect(),
        alpha: 0.05,
        power: 0.8,
        min_pairs: 30,
        max_pairs: 1000,
        futility: true,
    })
    .expect("a plan");
    let mut restarted = trial.clone();
    let mut random = StdRng::seed_from_u64(7);
    for i in 0..300_u64 {
        let values = worlds.map(|world| Some(worlds::Conversations::new(1.0).draw(&mut random, &world, 0.0).1));
        let cluster = random.random_bool(0.9).then_some(i / 5);
        trial.push(cluster, &values).expect("values");
        restarted.push(cluster, &values).expect("values");
        if i % 50 == 0 {
            let state = serde_json::to_string(&restarted).expect("state");
            restarted = serde_json::from_str(&state).expect("state");
        }
    }
    assert_eq!(trial.pairs(), restarted.pairs());
    // Text may lose the last digit of a number.
    for (one, other) in trial.results().iter().zip(restarted.results()) {
        assert_eq!(
            (&one.metric, one.verdict, one.pairs),
            (&other.metric, other.verdict, other.pairs)
        );
        let (one, other) = (one.interval.expect("an interval"), other.interval.expect("an interval"));
        assert!(
            (one.low - other.low).abs() < 1e-9 && (one.high - other.high).abs() < 1e-9,
            "{one:?} {other:?}"
        );
    }
}
