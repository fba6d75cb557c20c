//! The tables of the README.

use std::time::Instant;

use crate::{
    experiments::{Setting, run},
    worlds::WORLDS,
};

/// Prints the tables; `EXPERIMENTS` in the environment asks for another number than 10,000.
#[test]
#[ignore = "takes an hour of a processor: it prints the tables of the README"]
fn tables() {
    let experiments = std::env::var("EXPERIMENTS").ok().and_then(|number| number.parse().ok());
    let setting = Setting {
        alpha: 0.05,
        min_pairs: 300,
        max_pairs: 5000,
        futility: false,
        experiments: experiments.unwrap_or(10_000),
    };
    println!(
        "| pairs | just too bad: Promote | just too bad: Reject | equal: Promote | equal: Reject | equal, pairs | twice too bad: Reject | pairs |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for world in WORLDS {
        let start = Instant::now();
        let edge = run(setting, &[(world, 1.0)]);
        let equal = run(setting, &[(world, 0.0)]);
        let bad = run(setting, &[(world, 2.0)]);
        println!(
            "| {} | {:.2} % | {:.2} % | {:.1} % | {:.2} % | {} | {:.1} % | {} |",
            world.name,
            100.0 * edge.share(edge.promote),
            100.0 * edge.share(edge.reject),
            100.0 * equal.share(equal.promote),
            100.0 * equal.share(equal.reject),
            equal.pairs / equal.experiments,
            100.0 * bad.share(bad.reject),
            bad.pairs / bad.experiments,
        );
        eprintln!("{} s", start.elapsed().as_secs());
    }
}
