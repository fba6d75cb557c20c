//! Losses against those of `transformers`, `peft` and `torch`, see `reference.py`, and the modules below for
//! files and whole trainings.

mod nano;
mod theirs;

use std::collections::BTreeMap;

use engine::lora::Projection;
use protocol::tune::{LoraSettings, Method, Objective, TrainPlan};
use rstest::rstest;
use serde::Deserialize;
use tch::Tensor;

use crate::{
    Pair, Sequence, Trainer, Work,
    collective::Alone,
    method::Parts,
    testing::{plan, tiny, values},
};

#[derive(Deserialize)]
struct Reference {
    texts: Vec<Vec<Text>>,
    pairs: Vec<Vec<Answers>>,
    cases: BTreeMap<String, Case>,
}

#[derive(Deserialize)]
struct Text {
    tokens: Vec<i64>,
    targets: Vec<i64>,
}

#[derive(Deserialize)]
struct Answers {
    chosen: Text,
    rejected: Text,
}

#[derive(Deserialize)]
#[serde(default)]
struct Case {
    base: String,
    method: Method,
    dpo: bool,
    beta: Option<f64>,
    rate: f64,
    r: u64,
    alpha: f64,
    rslora: bool,
    targets: Vec<String>,
    tokens: Option<u64>,
    losses: Vec<f64>,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            base: String::new(),
            method: Method::Full,
            dpo: false,
            beta: None,
            rate: 0.0,
            r: 0,
            alpha: 0.0,
            rslora: false,
            targets: Vec::new(),
            tokens: None,
            losses: Vec::new(),
        }
    }
}

impl From<&Text> for Sequence {
    fn from(text: &Text) -> Self {
        Self {
            tokens: text.tokens.clone(),
            targets: text.targets.clone(),
        }
    }
}

fn reference() -> Reference {
    serde_json::from_str(include_str!("reference.json")).unwrap()
}

fn plan_of(case: &Case) -> TrainPlan {
    let mut plan = plan(case.method);
    plan.objective = if case.dpo { Objective::DPO } else { Objective::SFT };
    plan.hyperparameters.learning_rate = case.rate;
    plan.hyperparameters.beta = case.beta;
    plan.hyperparameters.virtual_tokens = case.tokens;
    plan.hyperparameters.lora = Some(LoraSettings {
        r: case.r,
        alpha: case.alpha,
        rank_stabilized: case.rslora,
        targets: case.targets.clone(),
    });
    plan
}

/// The first values of the script: those of `peft`'s names.
fn start(trainer: &mut Trainer, case: &Case) {
    fill(trainer, |name, size| {
        let shape: Vec<u64> = size.iter().map(|size| *size as u64).collect();
        let value = Tensor::from_slice(&values(name, &shape)).view(size);
        match name.contains("lora_B") {
            true => value * if case.dpo { 0.0 } else { 0.2 },
            false => value,
        }
    });
}

/// Puts values in the place of those that are trained beside the base, by `peft`'s names and sizes.
fn fill(trainer: &mut Trainer, of: impl Fn(&str, &[i64]) -> Tensor) {
    let _guard = tch::no_grad_guard();
    let (parameters, parts) = trainer.parameters_for_tests();
    let put = |id, name: &str| {
        let mut value = parameters.value(id).detach();
        value.copy_(&of(name, &value.size()));
    };
    match parts {
        Parts::LowRank(low_rank) => {
            for (layer, matrices) in low_rank.matrices.iter().enumerate() {
                for it in matrices {
                    let parent = match it.projection {
                        Projection::Gate | Projection::Up | Projection::Down => "mlp",
                        _ => "self_attn",
                    };
                    let module = format!("base_model.model.model.layers.{layer}.{parent}.{}", it.projection);
                    put(it.a, &format!("{module}.lora_A.weight"));
                    put(it.b, &format!("{module}.lora_B.weight"));
                }
            }
        }
        Parts::Prefix(prefix) => put(prefix.vectors, "prompt_embeddings"),
        Parts::None | Parts::Bottleneck(_) => {}
    }
}

#[rstest]
#[case("lora")]
#[case("lora of all layers")]
#[case("full")]
#[case("full of qwen2")]
#[case("full of qwen3")]
#[case("prefix")]
#[case("dpo")]
fn losses_are_those_of_peft(#[case] name: &str, #[values(false, true)] by_block: bool) {
    let reference = reference();
    let case = &reference.cases[name];
    let mut plan = plan_of(case);
    plan.hyperparameters.gradient_checkpointing = by_block;
    let mut trainer = Trainer::new(tiny(&case.base), &plan, case.losses.len() as u64).unwrap();
    start(&mut trainer, case);
    let mut far = 0f64;
    for (step, expected) in case.losses.iter().enumerate() {
        let work = match case.dpo {
            false => Work::Texts(reference.texts[step].iter().map(|text| vec![text.into()]).collect()),
            true => {
                let pair = |it: &Answers| Pair {
                    chosen: (&it.chosen).into(),
                    rejected: (&it.rejected).into(),
                };
                Work::Pairs(reference.pairs[step].iter().map(pair).collect())
            }
        };
        let loss = trainer.step(&[work], &mut Alone).unwrap().loss;
        far = far.max((loss - expected).abs());
        if case.dpo && step == 0 {
            assert!((loss - std::f64::consts::LN_2).abs() < 1e-6, "{loss}");
        }
        assert!(far < 1e-3, "{name}, step {step}: {loss}, expected {expected}");
    }
    println!("{name}: largest difference {far:.2e}");
}
