//! Gradients against differences of losses.

use protocol::tune::{Method, Objective};
use rstest::rstest;
use tch::Tensor;

use crate::{
    Trainer, Weights, Work,
    testing::{pairs, plan, run, texts, trainer},
};

/// Mean loss with one number of one tensor moved.
fn moved(trainer: &mut Trainer, work: &Work, (index, place): (usize, i64), by: f64) -> f64 {
    let move_by = |trainer: &mut Trainer, by: f64| {
        let _guard = tch::no_grad_guard();
        let value = trainer.parameters_for_tests().0.all()[index].value.detach();
        let _ = value.view([-1]).narrow(0, place, 1).f_add_scalar_(by).unwrap();
    };
    move_by(trainer, by);
    let measured = trainer.measure(work, Weights::Tuned).unwrap();
    move_by(trainer, -by);
    measured.loss
}

#[rstest]
#[case(Method::LoRA, Objective::SFT)]
#[case(Method::QLoRA, Objective::SFT)]
#[case(Method::Full, Objective::SFT)]
#[case(Method::Adapter, Objective::SFT)]
#[case(Method::Prefix, Objective::SFT)]
#[case(Method::Pretrain, Objective::CausalLM)]
#[case(Method::LoRA, Objective::DPO)]
#[case(Method::Full, Objective::DPO)]
fn gradients_are_slopes(#[case] method: Method, #[case] objective: Objective) {
    let mut plan = plan(method);
    plan.objective = objective;
    let mut trainer = trainer(&plan);
    // Away from where half of the gradients are zero.
    run(&mut trainer, 0..4);
    let work = if objective == Objective::DPO {
        pairs(2)
    } else {
        texts(2)
    };
    let gradients = trainer.gradients_for_tests(&work);
    assert!(!gradients.is_empty());
    for (index, gradient) in gradients.iter().enumerate() {
        // The steepest number of each tensor, where rounding matters least.
        let place = gradient.view([-1]).abs().argmax(0, false).int64_value(&[]);
        let slope = gradient.view([-1]).double_value(&[place]);
        let step = 5e-3;
        let ahead = moved(&mut trainer, &work, (index, place), step);
        let behind = moved(&mut trainer, &work, (index, place), -step);
        let found = (ahead - behind) / (2.0 * step);
        let scale = slope.abs().max(0.05);
        assert!(
            (found - slope).abs() / scale < 0.03,
            "tensor {index}: {slope}, expected {found}"
        );
    }
}

#[rstest]
#[case(Method::LoRA)]
#[case(Method::Full)]
#[case(Method::Adapter)]
#[case(Method::Prefix)]
fn computed_again_blocks_give_the_same_gradients(#[case] method: Method, #[values(0.0, 0.3)] dropout: f64) {
    let gradients = |by_block| -> Vec<Tensor> {
        let mut plan = plan(method);
        plan.hyperparameters.gradient_checkpointing = by_block;
        plan.hyperparameters.dropout = dropout;
        let mut trainer = trainer(&plan);
        run(&mut trainer, 0..1);
        trainer.gradients_for_tests(&texts(3))
    };
    for (kept, again) in gradients(false).iter().zip(gradients(true)) {
        let far = (kept - &again).abs().max().double_value(&[]);
        assert!(far < 1e-4, "{far}");
    }
}

#[rstest]
#[case(Method::LoRA)]
#[case(Method::Full)]
#[case(Method::Adapter)]
#[case(Method::Prefix)]
fn gradients_of_half_precision_point_the_same_way(#[case] method: Method) {
    let trained = |dtype: &str| {
        let mut plan = plan(method);
        plan.hyperparameters.dtype = Some(dtype.into());
        trainer(&plan)
    };
    let (mut exact, mut rounded) = (trained("fp32"), trained("bf16"));
    run(&mut exact, 0..3);
    rounded.copy_for_tests(&exact);
    let flat = |trainer: &mut Trainer| {
        let all: Vec<_> = trainer
            .gradients_for_tests(&texts(3))
            .iter()
            .map(|it| it.view([-1]))
            .collect();
        Tensor::cat(&all, 0)
    };
    let (a, b) = (flat(&mut exact), flat(&mut rounded));
    let alike = (&a * &b).sum(None::<tch::Kind>) / (a.norm() * b.norm());
    let alike = alike.double_value(&[]);
    println!("{method:?}: {alike:.5}");
    assert!(alike > 0.99, "{method:?}: {alike}");
}
