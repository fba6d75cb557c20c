//! The tables of the README.

use atelier_stats::{Measure, Mixture, planned_pairs};

use crate::{
    experiments::{Setting, run},
    worlds::{LATENCY_MEDIAN, LATENCY_RATIO, NORMAL, RARE, WORLDS},
};

/// Prints the tables; `EXPERIMENTS` in the environment asks for another number than 10,000.
///
/// As many are drawn of candidates just at their margins, where errors are most frequent, and a fifth of them of
/// others, whose verdicts are told to a percent. Two 95th percentiles take fifty times as long as the others: a
/// tenth of them.
#[test]
#[ignore = "takes minutes to an hour: it prints the tables of the README"]
fn tables() {
    let experiments = std::env::var("EXPERIMENTS").ok().and_then(|number| number.parse().ok());
    let setting = Setting {
        alpha: 0.05,
        min_pairs: 300,
        max_pairs: 5000,
        futility: false,
        experiments: experiments.unwrap_or(10_000),
    };
    power(setting);
    errors(setting);
}

/// Errors and pairs of one metric in each world.
fn errors(setting: Setting) {
    println!(
        "| world | at the margin: Promote | Reject | equal: Promote | Reject | pairs | twice the margin: Reject | pairs | experiments |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for world in WORLDS {
        let part = if matches!(world.measure, Measure::QuantileRatio(_)) {
            10
        } else {
            1
        };
        let many = Setting {
            experiments: setting.experiments / part,
            ..setting
        };
        let few = Setting {
            experiments: many.experiments / 5,
            ..many
        };
        let edge = run(many, &[(world, 1.0)]);
        let equal = run(few, &[(world, 0.0)]);
        let bad = run(few, &[(world, 2.0)]);
        println!(
            "| {} | {:.2} % | {:.2} % | {:.1} % | {:.2} % | {} | {:.1} % | {} | {} |",
            world.name,
            100.0 * edge.share(edge.promote),
            100.0 * edge.share(edge.reject),
            100.0 * equal.share(equal.promote),
            100.0 * equal.share(equal.reject),
            equal.pairs / equal.experiments,
            100.0 * bad.share(bad.reject),
            bad.pairs / bad.experiments,
            edge.experiments,
        );
    }
}

/// How often an equal candidate is promoted within the pairs that were planned for 80 %.
fn power(setting: Setting) {
    println!("| world | planned pairs | equal: Promote | with futility | pairs | at the margin: given up | pairs |");
    println!("|---|---|---|---|---|---|---|");
    // Deviations of a pair's slack, which are known of these worlds, and margins on the same scale.
    for (world, deviation, margin) in [
        (NORMAL, 19.66, 2.0),
        (LATENCY_RATIO, 0.8, 1.1_f64.ln()),
        (RARE, 0.00995_f64.sqrt(), 0.01),
        (LATENCY_MEDIAN, 0.5, 0.047_4),
    ] {
        let mixture = Mixture::new(setting.alpha, setting.min_pairs, setting.max_pairs);
        let planned = planned_pairs(mixture, setting.alpha, 0.8, deviation, margin).expect("a number");
        let setting = Setting {
            max_pairs: planned.max(setting.min_pairs),
            experiments: setting.experiments / 5,
            ..setting
        };
        let hopeful = Setting {
            futility: true,
            ..setting
        };
        let equal = run(setting, &[(world, 0.0)]);
        let futile = run(hopeful, &[(world, 0.0)]);
        let edge = run(hopeful, &[(world, 1.0)]);
        println!(
            "| {} | {planned} | {:.1} % | {:.1} % | {} | {:.1} % | {} |",
            world.name,
            100.0 * equal.share(equal.promote),
            100.0 * futile.share(futile.promote),
            futile.pairs / futile.experiments,
            100.0 * edge.share(edge.futile),
            edge.pairs / edge.experiments,
        );
    }
}
