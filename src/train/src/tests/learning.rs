//! Losses fall, with every method and optimizer.

use protocol::tune::{Method, Objective, Optimizer};
use rstest::rstest;

use crate::{
    Error, Trainer, Weights, Work,
    collective::Alone,
    testing::{pairs, plan, run, text, texts, tiny, trainer},
};

fn mean(trainer: &Trainer, weights: Weights) -> f64 {
    let measured = trainer.measure(&texts(1), weights).unwrap();
    measured.loss / measured.weight
}

#[rstest]
#[case(Method::LoRA)]
#[case(Method::QLoRA)]
#[case(Method::Full)]
#[case(Method::Adapter)]
#[case(Method::Prefix)]
#[case(Method::Pretrain)]
fn every_method_learns(#[case] method: Method, #[values("fp32", "bf16")] dtype: &str) {
    let mut plan = plan(method);
    plan.hyperparameters.dtype = Some(dtype.into());
    // Keys and values before those of the text can say less than changed weights can.
    let (rate, falls) = match method {
        Method::Prefix => (0.3, 0.99),
        Method::Adapter => (2e-2, 0.9),
        _ => (2e-2, 0.75),
    };
    plan.hyperparameters.learning_rate = rate;
    let mut trainer = trainer(&plan);
    let base = mean(&trainer, Weights::Base);
    let near = if dtype == "fp32" { 1e-5 } else { 0.02 };
    let begins = mean(&trainer, Weights::Tuned);
    assert!(
        (begins - base).abs() < near || method == Method::Prefix,
        "{begins} {base}"
    );
    let losses = run(&mut trainer, 0..40);
    assert!(losses[39] < falls * losses[0], "{losses:?}");
    let ends = mean(&trainer, Weights::Tuned);
    assert!(ends < falls * base, "{ends} {base}");
    let again = mean(&trainer, Weights::Base);
    assert!((again - base).abs() < 1e-9, "the base changed from {base} to {again}");
}

#[rstest]
#[case(Optimizer::SGD, 0.1)]
#[case(Optimizer::Lion, 3e-3)]
fn every_optimizer_learns(#[case] optimizer: Optimizer, #[case] rate: f64) {
    let mut plan = plan(Method::Full);
    plan.hyperparameters.optimizer = optimizer;
    plan.hyperparameters.learning_rate = rate;
    let losses = run(&mut trainer(&plan), 0..30);
    assert!(losses[29] < 0.8 * losses[0], "{losses:?}");
}

#[rstest]
#[case(Method::LoRA)]
#[case(Method::QLoRA)]
#[case(Method::Adapter)]
#[case(Method::Full)]
fn preferences_begin_at_ln_2_and_grow(#[case] method: Method) {
    let mut plan = plan(method);
    plan.objective = Objective::DPO;
    let mut trainer = trainer(&plan);
    let mut step = || trainer.step(&[pairs(3)], &mut Alone).unwrap();
    let first = step();
    assert!((first.loss - std::f64::consts::LN_2).abs() < 1e-5, "{}", first.loss);
    assert_eq!(first.weight, 3.0);
    let last = (0..15).map(|_| step()).last().unwrap();
    assert!(last.loss < 0.4, "{}", last.loss);
    assert_eq!(last.metrics["rewards/accuracies"], 1.0);
    assert!(last.metrics["rewards/chosen"] > last.metrics["rewards/rejected"]);
    let measured = trainer.measure(&pairs(3), Weights::Tuned).unwrap();
    assert_eq!((measured.correct, measured.weight), (3, 3.0));
    let base = trainer.measure(&pairs(3), Weights::Base).unwrap();
    assert!((base.loss / 3.0 - std::f64::consts::LN_2).abs() < 1e-9);
}

#[test]
fn what_was_learned_is_said() {
    let mut trainer = trainer(&plan(Method::Full));
    let work = || Work::Texts(vec![vec![text(7, 12)]]);
    for _ in 0..40 {
        trainer.step(&[work()], &mut Alone).unwrap();
    }
    let learned = text(7, 12);
    let tuned = trainer.generate(&learned.tokens[..3], 6, &[], Weights::Tuned).unwrap();
    assert_eq!(tuned, learned.targets[2..8]);
    let base = trainer.generate(&learned.tokens[..3], 6, &[], Weights::Base).unwrap();
    assert_ne!(base, tuned);
    let cut = trainer
        .generate(&learned.tokens[..3], 6, &[learned.targets[4]], Weights::Tuned)
        .unwrap();
    assert_eq!(cut, learned.targets[2..4]);
    let measured = trainer.measure(&work(), Weights::Tuned).unwrap();
    assert_eq!(measured.correct as f64, measured.weight);
    assert!(trainer.generate(&[], 1, &[], Weights::Base).is_err());
}

#[test]
fn a_step_that_gives_no_numbers_changes_nothing() {
    let mut trainer = trainer(&plan(Method::LoRA));
    run(&mut trainer, 0..2);
    let before = tempfile::tempdir().unwrap();
    trainer.save(before.path()).unwrap();
    assert!(trainer.is_finite().unwrap());
    trainer.poison_for_tests();
    assert!(!trainer.is_finite().unwrap());
    let error = trainer.step(&[texts(1), texts(2)], &mut Alone).unwrap_err();
    assert!(matches!(error, Error::NotFinite { step: 2, batch: 0 }), "{error}");
    assert_eq!(trainer.step_number(), 2);
    trainer.load(before.path()).unwrap();
    run(&mut trainer, 2..3);
}

#[test]
fn a_step_without_targets_counts_and_changes_nothing() {
    let mut trainer = trainer(&plan(Method::Full));
    let base = mean(&trainer, Weights::Tuned);
    let mut silent = text(3, 5);
    silent.targets.fill(crate::IGNORE);
    let report = trainer.step(&[Work::Texts(vec![vec![silent]])], &mut Alone).unwrap();
    assert_eq!((report.weight, report.loss, trainer.step_number()), (0.0, 0.0, 1));
    assert_eq!(mean(&trainer, Weights::Tuned), base);
}

#[rstest]
#[case("lora.r", |plan: &mut protocol::tune::TrainPlan| plan.hyperparameters.lora.as_mut().unwrap().r = 0)]
#[case("lora.targets", |plan: &mut protocol::tune::TrainPlan| {
    plan.hyperparameters.lora.as_mut().unwrap().targets = vec!["c_attn".into()];
})]
#[case("lora:", |plan: &mut protocol::tune::TrainPlan| plan.hyperparameters.lora = None)]
#[case("dtype", |plan: &mut protocol::tune::TrainPlan| plan.hyperparameters.dtype = Some("fp16".into()))]
#[case("dropout", |plan: &mut protocol::tune::TrainPlan| plan.hyperparameters.dropout = 1.0)]
#[case("learningRate", |plan: &mut protocol::tune::TrainPlan| plan.hyperparameters.learning_rate = f64::NAN)]
#[case("virtualTokens", |plan: &mut protocol::tune::TrainPlan| {
    plan.method = Method::Prefix;
    plan.hyperparameters.virtual_tokens = Some(0);
})]
#[case("adapter.bottleneck", |plan: &mut protocol::tune::TrainPlan| {
    plan.method = Method::Adapter;
    plan.hyperparameters.adapter.as_mut().unwrap().bottleneck = 1 << 40;
})]
#[case("architecture", |plan: &mut protocol::tune::TrainPlan| {
    plan.method = Method::Pretrain;
    plan.architecture.as_mut().unwrap().kv_heads = 3;
})]
#[case("objective", |plan: &mut protocol::tune::TrainPlan| {
    plan.method = Method::Pretrain;
    plan.objective = Objective::DPO;
})]
fn plans_that_cannot_be_are_refused(#[case] field: &str, #[case] change: fn(&mut protocol::tune::TrainPlan)) {
    let mut plan = plan(Method::LoRA);
    change(&mut plan);
    let error = Trainer::new(tiny("llama"), &plan, 1).err().unwrap().to_string();
    assert!(error.contains(field), "{error}");
}
