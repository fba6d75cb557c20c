//! New models that learn the characters of plays, as far as those that `torch` trains: see `nano.py`. Both begin with
//! the same numbers and read the same pieces, so the losses are the same step by step until rounding parts them.

use std::{collections::BTreeSet, fs};

use protocol::tune::{Architecture, Method, Objective, Schedule, TrainPlan, Warmup};
use serde::Deserialize;

use crate::{
    Sequence, Trainer, Weights, Work,
    collective::Alone,
    testing::{plan, tiny_of},
};

/// What nanoGPT's smallest setting reaches on such a text, by its own account.
const NANOGPT: f64 = 1.88;
/// Pieces that are measured at once.
const AT_ONCE: usize = 64;

/// What `nano.py` found out.
#[derive(Deserialize)]
struct Reference {
    seed: u64,
    /// The beginning of the whole text.
    text: String,
    small: Task,
    whole: Task,
}

#[derive(Deserialize)]
struct Task {
    layers: u64,
    hidden: u64,
    feed_forward: u64,
    heads: u64,
    block: usize,
    rows: usize,
    steps: usize,
    rate: f64,
    losses: Vec<f64>,
    validation: f64,
    /// What nanoGPT's network reaches.
    nanogpt: f64,
}

impl Task {
    fn plan(&self, seed: u64) -> TrainPlan {
        let mut plan = plan(Method::Pretrain);
        plan.objective = Objective::CausalLM;
        plan.architecture = Some(Architecture {
            layers: self.layers,
            hidden_size: self.hidden,
            feed_forward_size: self.feed_forward,
            heads: self.heads,
            kv_heads: self.heads,
            context_length: self.block as u64,
            tie_embeddings: true,
        });
        let settings = &mut plan.hyperparameters;
        settings.learning_rate = self.rate;
        settings.schedule = Schedule::Cosine;
        settings.warmup = Warmup::Steps(100);
        settings.weight_decay = 0.1;
        settings.seed = seed;
        plan
    }

    /// The loss of each step, and the mean loss of what was not learned.
    fn learn(&self, seed: u64, text: &str) -> (Vec<f64>, f64) {
        let known: BTreeSet<char> = text.chars().collect();
        let known: Vec<char> = known.into_iter().collect();
        let tokens: Vec<i64> = text
            .chars()
            .map(|it| known.binary_search(&it).unwrap() as i64)
            .collect();
        let (train, validation) = tokens.split_at(tokens.len() * 9 / 10);
        let piece = |tokens: &[i64], first: usize| Sequence {
            tokens: tokens[first..first + self.block].into(),
            targets: tokens[first + 1..first + self.block + 1].into(),
        };
        let base = tiny_of("llama", known.len() as u64);
        let mut trainer = Trainer::new(base, &self.plan(seed), self.steps as u64).unwrap();
        let mut losses = Vec::new();
        for step in 0..self.steps {
            // Spread over the text without drawing numbers.
            let first = |row| (step * self.rows + row) * 2_654_435_761 % (train.len() - self.block);
            let rows = (0..self.rows).map(|row| vec![piece(train, first(row))]).collect();
            losses.push(trainer.step(&[Work::Texts(rows)], &mut Alone).unwrap().loss);
        }
        let firsts: Vec<usize> = (0..(validation.len() - 1) / self.block)
            .map(|at| at * self.block)
            .collect();
        let (mut loss, mut weight) = (0.0, 0.0);
        for some in firsts.chunks(AT_ONCE) {
            let rows = some.iter().map(|first| vec![piece(validation, *first)]).collect();
            let measured = trainer.measure(&Work::Texts(rows), Weights::Tuned).unwrap();
            loss += measured.loss;
            weight += measured.weight;
        }
        (losses, loss / weight)
    }

    /// Learns, and holds all losses against those of `torch`.
    fn check(&self, seed: u64, text: &str) -> f64 {
        let (losses, validation) = self.learn(seed, text);
        let far = |count: usize| {
            let pairs = losses.iter().zip(&self.losses).take(count);
            pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
        };
        println!(
            "first step off by {:.1e}, 50 by {:.1e}, all by {:.1e}; validation {validation:.4}, of torch {:.4}, of \
             nanoGPT's network {:.4}",
            far(1),
            far(50),
            far(losses.len()),
            self.validation,
            self.nanogpt,
        );
        assert!(far(50) < 1e-3 && losses.len() == self.losses.len());
        assert!(
            (validation - self.validation).abs() < 0.01,
            "{validation} {}",
            self.validation
        );
        validation
    }
}

fn reference() -> Reference {
    serde_json::from_str(include_str!("nano.json")).unwrap()
}

#[test]
fn a_new_model_learns_what_torch_learns() {
    let Reference { seed, text, small, .. } = reference();
    let validation = small.check(seed, &text);
    assert!(validation < small.nanogpt, "{validation}");
}

#[test]
#[ignore = "takes minutes, and the text that nano.py writes, in ATELIER_NANO_TEXT"]
fn a_nano_model_is_of_the_class_of_nanogpt() {
    let Reference { seed, whole, .. } = reference();
    let text = fs::read_to_string(std::env::var_os("ATELIER_NANO_TEXT").unwrap()).unwrap();
    let validation = whole.check(seed, &text);
    assert!(validation <= NANOGPT.min(whole.nanogpt), "{validation}");
}
