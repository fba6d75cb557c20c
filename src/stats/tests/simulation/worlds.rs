//! Worlds from which pairs are drawn, each with a knob for how much worse the candidate is.

use atelier_stats::{Direction, Margin, Measure, MetricPlan, Pair};
use rand::{Rng, rngs::StdRng};

/// A world: what is measured in it, and how its pairs come to be.
#[derive(Clone, Copy)]
pub struct World {
    pub name: &'static str,
    pub measure: Measure,
    pub direction: Direction,
    pub margin: Margin,
    /// Draws a pair for a candidate that is worse by a number of margins: 0 is equally good, 1 just too bad.
    pub draw: fn(&mut StdRng, &Latent, f64) -> Pair,
    /// Mean number of pairs in a conversation.
    pub turns: f64,
}

/// What all pairs of a conversation share: three standard normal values.
pub struct Latent(pub [f64; 3]);

impl World {
    pub fn metric(&self) -> MetricPlan {
        MetricPlan {
            name: self.name.into(),
            measure: self.measure,
            direction: self.direction,
            margin: self.margin,
        }
    }
}

/// Conversations that take turns: eight are alive at once, and each ends after any of its turns.
pub struct Conversations {
    alive: Vec<(u64, Latent)>,
    next: u64,
    turns: f64,
}

impl Conversations {
    pub fn new(turns: f64) -> Self {
        Self {
            alive: Vec::new(),
            next: 0,
            turns,
        }
    }

    /// A pair of one of them.
    pub fn draw(&mut self, random: &mut StdRng, world: &World, worse: f64) -> (Option<u64>, Pair) {
        if self.turns <= 1.0 {
            let latent = Latent([normal(random), normal(random), normal(random)]);
            return (None, (world.draw)(random, &latent, worse));
        }
        let place = random.random_range(0..8);
        while self.alive.len() <= place {
            let latent = Latent([normal(random), normal(random), normal(random)]);
            self.alive.push((self.next, latent));
            self.next += 1;
        }
        let (key, latent) = &self.alive[place];
        let drawn = (Some(*key), (world.draw)(random, latent, worse));
        if random.random_bool(1.0 / self.turns) {
            self.alive.swap_remove(place);
        }
        drawn
    }
}

/// A standard normal value (Box & Muller).
pub fn normal(random: &mut StdRng) -> f64 {
    let radius = (-2.0 * (1.0 - random.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.random::<f64>()).cos()
}

/// All worlds of the tables.
pub const WORLDS: [World; 14] = [
    NORMAL,
    LATENCY_MEAN,
    HEAVY_MEAN,
    LATENCY_RATIO,
    LATENCY_MEDIAN,
    LATENCY_P95,
    LATENCY_ARMS,
    RARE,
    RARE_RELATIVE,
    TIES,
    TIED_LENGTHS,
    CLUSTERED,
    CLUSTERED_RARE,
    CLUSTERED_LATENCY,
];

/// Values around 100 with a deviation of 20, half of it shared: a difference with a deviation of 20.
pub const NORMAL: World = World {
    name: "normal, mean",
    measure: Measure::Mean,
    direction: Direction::HigherIsBetter,
    margin: Margin::Relative(0.02),
    draw: |random, latent, worse| {
        let shared = 100.0 + 14.0 * latent.0[0];
        Pair {
            primary: shared + 14.0 * normal(random),
            candidate: shared - 2.0 * worse + 14.0 * normal(random),
        }
    },
    turns: 1.0,
};

/// Lognormal times: skewness 3.7 of each, half of the variance of the logarithm shared.
fn times(random: &mut StdRng, latent: &Latent, worse: f64, deviation: f64) -> Pair {
    let own = deviation * 0.5_f64.sqrt();
    let shared = own * latent.0[0];
    Pair {
        primary: (shared + own * normal(random)).exp(),
        candidate: (1.0 + 0.1 * worse) * (shared + own * normal(random)).exp(),
    }
}

const LATENCY: World = World {
    name: "",
    measure: Measure::Mean,
    direction: Direction::LowerIsBetter,
    margin: Margin::Relative(0.1),
    draw: |random, latent, worse| times(random, latent, worse, 0.8),
    turns: 1.0,
};

pub const LATENCY_MEAN: World = World {
    name: "lognormal times (sd of log 0.8), mean",
    ..LATENCY
};

/// The candidate alone is heavy-tailed: the primary always takes the same time.
pub const HEAVY_MEAN: World = World {
    name: "lognormal times (sd of log 1.2) against a constant, mean",
    margin: Margin::Relative(0.2),
    draw: |random, _, worse| Pair {
        primary: 0.72_f64.exp(),
        candidate: (1.0 + 0.2 * worse) * (1.2 * normal(random)).exp(),
    },
    ..LATENCY
};

pub const LATENCY_RATIO: World = World {
    name: "lognormal times, geometric mean",
    measure: Measure::GeometricMean,
    ..LATENCY
};

pub const LATENCY_MEDIAN: World = World {
    name: "lognormal times, median of paired ratios",
    measure: Measure::PairedRatioQuantile(0.5),
    ..LATENCY
};

/// The candidate is as fast in most pairs; 5 % of its answers take longer than 1.5 times if it is just too bad.
pub const LATENCY_P95: World = World {
    name: "times with a slow tail, p95 of paired ratios",
    measure: Measure::PairedRatioQuantile(0.95),
    margin: Margin::Relative(0.5),
    draw: |random, latent, worse| {
        let primary = latent.0[0].exp();
        let slow = random.random_bool(0.02 + 0.03 * worse);
        let ratio: f64 = if slow {
            1.5 + random.random::<f64>()
        } else {
            0.5 + random.random::<f64>()
        };
        Pair {
            primary,
            candidate: primary * ratio.max(f64::MIN_POSITIVE),
        }
    },
    ..LATENCY
};

pub const LATENCY_ARMS: World = World {
    name: "lognormal times, ratio of both p95",
    measure: Measure::QuantileRatio(0.95),
    margin: Margin::Relative(0.2),
    draw: |random, latent, worse| times(random, latent, 2.0 * worse, 0.5),
    ..LATENCY
};

/// Errors: half a percent of the primary's, a third of them shared.
fn errors(random: &mut StdRng, worse: f64, step: f64, shared: bool) -> Pair {
    let share = |yes: bool| f64::from(u8::from(yes));
    let both = shared && random.random_bool(0.33);
    let primary = random.random_bool(if both { 1.0 } else { 0.005 });
    let candidate = random.random_bool(if both { 1.0 } else { 0.005 + step * worse });
    Pair {
        primary: share(primary),
        candidate: share(candidate),
    }
}

pub const RARE: World = World {
    name: "errors of 0.5 %, margin 1 point",
    measure: Measure::Share,
    direction: Direction::LowerIsBetter,
    margin: Margin::Absolute(0.01),
    draw: |random, _, worse| errors(random, worse, 0.01, false),
    turns: 1.0,
};

pub const RARE_RELATIVE: World = World {
    name: "errors of 0.5 %, margin 100 %",
    margin: Margin::Relative(1.0),
    draw: |random, _, worse| errors(random, worse, 0.005, false),
    ..RARE
};

/// Similarities that are 1 in nine of ten pairs.
pub const TIES: World = World {
    name: "similarity, 90 % ties",
    measure: Measure::BoundedMean { low: 0.0, high: 1.0 },
    direction: Direction::HigherIsBetter,
    margin: Margin::Absolute(0.02),
    draw: |random, _, worse| {
        let score = |random: &mut StdRng, worse: f64| {
            if random.random_bool(0.9 - 0.04 * worse) {
                1.0
            } else {
                random.random::<f64>()
            }
        };
        Pair {
            primary: score(random, 0.0),
            candidate: score(random, worse),
        }
    },
    turns: 1.0,
};

/// Lengths that are equal in most pairs, as of quantized models at temperature 0; otherwise the candidate stops
/// early or not.
pub const TIED_LENGTHS: World = World {
    name: "lengths, 95 % ties, rarely cut short, mean",
    measure: Measure::Mean,
    direction: Direction::HigherIsBetter,
    margin: Margin::Relative(0.02),
    draw: |random, latent, worse| {
        let primary = (50.0 * (0.7 * latent.0[1]).exp()).round();
        // Halved in 4 % of the pairs: 2 % less.
        let halved = random.random_bool(0.04 * worse);
        let noise = if random.random_bool(0.05) {
            (0.1 * primary * normal(random)).round()
        } else {
            0.0
        };
        Pair {
            primary,
            candidate: if halved { 0.5 * primary } else { primary + noise },
        }
    },
    turns: 1.0,
};

/// Conversations of eight turns on average, whose difference is mostly that of the conversation.
pub const CLUSTERED: World = World {
    name: "normal in conversations of 8 turns, mean",
    draw: |random, latent, worse| {
        let shared = 100.0 + 14.0 * latent.0[0];
        Pair {
            primary: shared + 10.0 * latent.0[1] + 10.0 * normal(random),
            candidate: shared - 2.0 * worse + 10.0 * latent.0[2] + 10.0 * normal(random),
        }
    },
    turns: 8.0,
    ..NORMAL
};

/// Errors that come together: in one of a hundred conversations half of the answers fail, of either model.
pub const CLUSTERED_RARE: World = World {
    name: "errors of 0.5 % in conversations of 8 turns, margin 1 point",
    draw: |random, latent, worse| {
        // Upper tails of the normal distribution: 1 % above 2.326; 3 % above 1.881.
        let threshold = if worse >= 2.0 {
            1.645
        } else if worse >= 1.0 {
            1.881
        } else {
            2.326
        };
        let fails = |random: &mut StdRng, prone: bool| f64::from(u8::from(prone && random.random_bool(0.5)));
        Pair {
            primary: fails(random, latent.0[0] > 2.326),
            candidate: fails(random, latent.0[1] > threshold),
        }
    },
    turns: 8.0,
    ..RARE
};

pub const CLUSTERED_LATENCY: World = World {
    name: "lognormal times in conversations of 8 turns, geometric mean",
    draw: |random, latent, worse| {
        let time = |random: &mut StdRng, own: f64| (0.4 * latent.0[0] + 0.4 * own + 0.4 * normal(random)).exp();
        Pair {
            primary: time(random, latent.0[1]),
            candidate: (1.0 + 0.1 * worse) * time(random, latent.0[2]),
        }
    },
    turns: 8.0,
    ..LATENCY_RATIO
};
