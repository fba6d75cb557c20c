//! However texts are cut into rows and batches, the same is learned.

use protocol::tune::Method;
use rstest::rstest;

use crate::{
    Sequence, Weights, Work,
    collective::Alone,
    testing::{plan, run, text, trainer},
};

fn some() -> Vec<Sequence> {
    [(3, 7), (9, 4), (20, 9), (41, 9)]
        .map(|(first, length)| text(first, length))
        .into()
}

fn far(a: &[tch::Tensor], b: &[tch::Tensor]) -> f64 {
    let far = a.iter().zip(b).map(|(a, b)| (a - b).abs().max().double_value(&[]));
    far.fold(0.0, f64::max)
}

#[rstest]
#[case(Method::LoRA)]
#[case(Method::Prefix)]
#[case(Method::Full)]
fn packed_rows_are_what_single_ones_are(#[case] method: Method) {
    let mut trainer = trainer(&plan(method));
    run(&mut trainer, 0..2);
    let single = Work::Texts(some().into_iter().map(|text| vec![text]).collect());
    let packed = Work::Texts(vec![some()]);
    let losses = [&single, &packed].map(|work| trainer.measure(work, Weights::Tuned).unwrap());
    assert_eq!(losses[0], losses[1]);
    let alone: f64 = some()
        .into_iter()
        .map(|text| {
            trainer
                .measure(&Work::Texts(vec![vec![text]]), Weights::Tuned)
                .unwrap()
                .loss
        })
        .sum();
    assert!((alone - losses[1].loss).abs() < 1e-4, "{alone} {:?}", losses[1]);
}

#[test]
fn two_small_batches_are_a_large_one() {
    let trained = |work: &[Work]| {
        let mut trainer = trainer(&plan(Method::LoRA));
        run(&mut trainer, 0..1);
        let report = trainer.step(work, &mut Alone).unwrap();
        (report, trainer.values_for_tests())
    };
    let rows: Vec<_> = some().into_iter().map(|text| vec![text]).collect();
    // Of different numbers of targets, so that a mean of means would be another one.
    let [one, two] = [&rows[..1], &rows[1..]].map(|rows| Work::Texts(rows.into()));
    let (large, at_once) = trained(&[Work::Texts(rows.clone())]);
    let (small, in_parts) = trained(&[one, two]);
    assert!((large.loss - small.loss).abs() < 1e-6, "{large:?} {small:?}");
    assert_eq!((large.weight, large.tokens), (small.weight, small.tokens));
    assert!((large.gradient_norm - small.gradient_norm).abs() < 1e-5);
    assert!(far(&at_once, &in_parts) < 1e-4);
}

#[test]
fn long_batches_with_rows_beside_them_are_learned_as_they_are() {
    let trainer = trainer(&plan(Method::LoRA));
    let long: Vec<_> = (0..5).map(|first| text(first, 31)).collect();
    let all = trainer
        .measure(&Work::Texts(vec![long.clone()]), Weights::Base)
        .unwrap();
    let each = |text| {
        trainer
            .measure(&Work::Texts(vec![vec![text]]), Weights::Base)
            .unwrap()
            .loss
    };
    let sum: f64 = long.into_iter().map(each).sum();
    assert!((all.loss - sum).abs() < 1e-3, "{} {sum}", all.loss);
    assert_eq!(all.weight, 150.0);
}

#[test]
fn dropout_follows_from_seed_step_and_batch() {
    let trained = |seed, dropout| {
        let mut plan = plan(Method::LoRA);
        plan.hyperparameters.seed = seed;
        plan.hyperparameters.dropout = dropout;
        let mut trainer = trainer(&plan);
        run(&mut trainer, 0..3);
        trainer.values_for_tests()
    };
    assert_eq!(far(&trained(1, 0.2), &trained(1, 0.2)), 0.0);
    assert!(far(&trained(1, 0.2), &trained(1, 0.0)) > 1e-4);
}
