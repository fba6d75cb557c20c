//! Experiments that are looked at after every pair, and how they end.

use atelier_stats::{Pair, Reason, Trial, TrialPlan, Verdict};
use rand::{SeedableRng, rngs::StdRng};

use crate::worlds::{Conversations, World};

/// How experiments are run.
#[derive(Clone, Copy)]
pub struct Setting {
    pub alpha: f64,
    pub min_pairs: u64,
    pub max_pairs: u64,
    pub futility: bool,
    pub experiments: u64,
}

/// How they ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ends {
    pub promote: u64,
    pub reject: u64,
    pub futile: u64,
    pub experiments: u64,
    /// Pairs of all of them.
    pub pairs: u64,
}

impl Ends {
    pub fn share(self, count: u64) -> f64 {
        count as f64 / self.experiments as f64
    }
}

/// The most errors that a rate of `alpha` explains: three standard deviations above the mean, so a correct method
/// fails one such check in 700, and, the seeds being fixed, either always or never.
pub fn allowed(alpha: f64, experiments: u64) -> u64 {
    let experiments = experiments as f64;
    (alpha * experiments + 3.0 * (alpha * (1.0 - alpha) * experiments).sqrt()) as u64
}

/// Runs experiments with one metric for each world, the candidate being worse by so many margins in each.
pub fn run(setting: Setting, worlds: &[(World, f64)]) -> Ends {
    // Seeds decide what is drawn, so the number of threads changes nothing.
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    let parts = std::thread::scope(|scope| {
        let part = |first: u64| {
            scope.spawn(move || {
                let mut ends = Ends::default();
                for seed in (first..setting.experiments).step_by(threads as usize) {
                    one(setting, worlds, seed, &mut ends);
                }
                ends
            })
        };
        let parts: Vec<_> = (0..threads).map(part).collect();
        let joined = parts.into_iter().map(|part| part.join().expect("no experiment panics"));
        joined.collect::<Vec<_>>()
    });
    let sum = |of: fn(&Ends) -> u64| parts.iter().map(of).sum();
    Ends {
        promote: sum(|part| part.promote),
        reject: sum(|part| part.reject),
        futile: sum(|part| part.futile),
        experiments: setting.experiments,
        pairs: sum(|part| part.pairs),
    }
}

fn one(setting: Setting, worlds: &[(World, f64)], seed: u64, ends: &mut Ends) {
    let mut random = StdRng::seed_from_u64(seed);
    let metric = |i: usize| {
        let mut metric = worlds[i].0.metric();
        metric.name = format!("{i}: {}", metric.name);
        metric
    };
    let mut trial = Trial::new(TrialPlan {
        primary: metric(0),
        guardrails: (1..worlds.len()).map(metric).collect(),
        alpha: setting.alpha,
        power: 0.8,
        min_pairs: setting.min_pairs,
        max_pairs: setting.max_pairs,
        futility: setting.futility,
    })
    .expect("a plan that makes sense");
    let mut conversations = Conversations::new(worlds[0].0.turns);
    let mut values: Vec<Option<Pair>> = Vec::new();
    loop {
        values.clear();
        let (cluster, pair) = conversations.draw(&mut random, &worlds[0].0, worlds[0].1);
        values.push(Some(pair));
        for (world, worse) in &worlds[1..] {
            values.push(Some(Conversations::new(1.0).draw(&mut random, world, *worse).1));
        }
        trial.push(cluster, &values).expect("values that can be");
        if let Some(decision) = trial.verdict(None) {
            ends.pairs += trial.pairs();
            match (decision.verdict, decision.reason) {
                (Verdict::Promote, _) => ends.promote += 1,
                (Verdict::Reject, _) => ends.reject += 1,
                (_, Reason::Futility) => ends.futile += 1,
                _ => {}
            }
            return;
        }
    }
}
