//! What a block does between its products, for libtorch's automatic differentiation.

use std::ptr;

use tch::{TchError, Tensor};

use crate::{ffi, message::Message};

/// Root mean square norm of the last dimension, times `weight`.
///
/// # Errors
/// When an argument has another type or shape.
pub fn norm(input: &Tensor, weight: &Tensor, epsilon: f64) -> Result<Tensor, TchError> {
    let mut message = Message::default();
    let (input, weight) = (input.as_ptr(), weight.as_ptr());
    // SAFETY: both tensors live during the call, and the message has the capacity that is said.
    let output = unsafe { ffi::atelier_learn_norm(input, weight, epsilon, message.pointer(), message.capacity()) };
    made(output, message)
}

/// `silu(gate) * up` of `gate_up`, `[rows, 2 width]` with gate first: `[rows, width]`.
///
/// # Errors
/// When the argument has another type or shape.
pub fn gate(gate_up: &Tensor) -> Result<Tensor, TchError> {
    let mut message = Message::default();
    // SAFETY: the tensor lives during the call, and the message has the capacity that is said.
    let output = unsafe { ffi::atelier_learn_gate(gate_up.as_ptr(), message.pointer(), message.capacity()) };
    made(output, message)
}

/// Queries, keys and values, `[rows, heads, head_dim]` each, of rows of `heads` query heads and twice `kv_heads` others:
/// queries and keys rotated by the angles of their rows, whose `cosines` and `sines` are `[rows, head_dim / 2]` in
/// single precision, and keys and values once for each query head that looks at them.
///
/// # Errors
/// When an argument has another type or shape.
pub fn heads(qkv: &Tensor, [cosines, sines]: [&Tensor; 2], heads: i64, kv_heads: i64) -> Result<[Tensor; 3], TchError> {
    let mut message = Message::default();
    let mut outputs = [ptr::null_mut(); 3];
    // SAFETY: the tensors live during the call, there is room for three outputs, and the message has the capacity that
    // is said.
    let fine = unsafe {
        ffi::atelier_learn_heads(
            qkv.as_ptr(),
            cosines.as_ptr(),
            sines.as_ptr(),
            heads,
            kv_heads,
            outputs.as_mut_ptr(),
            message.pointer(),
            message.capacity(),
        )
    };
    match fine {
        // SAFETY: three new tensors that nobody else owns.
        true => Ok(outputs.map(|output| unsafe { Tensor::from_ptr(output) })),
        false => Err(message.into_error()),
    }
}

/// Adds to the gradients of everything that `output` was computed from, from that of `output` itself.
///
/// # Errors
/// When `output` was computed without keeping the way back, or libtorch fails.
pub fn backward(output: &Tensor, gradient: &Tensor) -> Result<(), TchError> {
    let mut message = Message::default();
    let (output, gradient) = (output.as_ptr(), gradient.as_ptr());
    // SAFETY: both tensors live during the call, and the message has the capacity that is said.
    match unsafe { ffi::atelier_backward(output, gradient, message.pointer(), message.capacity()) } {
        true => Ok(()),
        false => Err(message.into_error()),
    }
}

/// Adds to the gradient of `tensor` what was computed otherwise. The first one that comes is kept as it is, not copied.
///
/// # Errors
/// When `more` has another type or shape than `tensor`.
pub fn add_gradient(tensor: &Tensor, more: &Tensor) -> Result<(), TchError> {
    let mut message = Message::default();
    let (tensor, more) = (tensor.as_ptr(), more.as_ptr());
    // SAFETY: both tensors live during the call, and the message has the capacity that is said.
    match unsafe { ffi::atelier_add_gradient(tensor, more, message.pointer(), message.capacity()) } {
        true => Ok(()),
        false => Err(message.into_error()),
    }
}

fn made(tensor: *mut torch_sys::C_tensor, message: Message) -> Result<Tensor, TchError> {
    match tensor.is_null() {
        true => Err(message.into_error()),
        // SAFETY: a new tensor that nobody else owns.
        false => Ok(unsafe { Tensor::from_ptr(tensor) }),
    }
}

#[cfg(test)]
mod tests {
    use tch::Kind;

    use super::*;
    use crate::{
        testing::{largest_difference, numbers, tensor},
        threads::on_every_processor,
    };

    /// Off by a rounding or two.
    const KINDS: [(Kind, f64); 2] = [(Kind::Float, 2e-5), (Kind::BFloat16, 0.02)];

    /// Compares `ours` with `theirs`, and the gradients of both, which libtorch finds for `theirs` in double precision.
    fn check(
        inputs: &[Tensor],
        (kind, near): (Kind, f64),
        ours: impl Fn(&[Tensor]) -> Vec<Tensor>,
        theirs: impl Fn(&[Tensor]) -> Vec<Tensor>,
    ) {
        let leaves = |kind| -> Vec<Tensor> {
            let leaf = |it: &Tensor| it.detach().to_kind(kind).copy().set_requires_grad(true);
            inputs.iter().map(leaf).collect()
        };
        let (mine, exact) = (leaves(kind), leaves(Kind::Double));
        let close = |name: &str, found: &Tensor, expected: &Tensor| {
            let expected = expected.contiguous().view([-1]);
            let most = expected.abs().max().double_value(&[]).max(1.0);
            let wanted: Vec<f64> = Vec::try_from(expected).unwrap();
            let off = largest_difference(&found.detach(), &wanted) / most;
            assert!(off < near, "{name} of {kind:?}: off by {off}");
        };
        let (ours, theirs) = (ours(&mine), theirs(&exact));
        for (found, expected) in ours.iter().zip(&theirs) {
            close("output", found, &expected.detach());
        }
        for outputs in [ours, theirs] {
            let each = outputs.iter().enumerate();
            let weighed = each.map(|(index, it)| it * tensor(&it.size(), kind, 90 + index as u64).to_kind(it.kind()));
            let sums: Vec<Tensor> = weighed.map(|it| it.sum(None::<Kind>)).collect();
            let sum = Tensor::stack(&sums, 0).sum(None::<Kind>);
            backward(&sum, &sum.ones_like()).unwrap();
        }
        for (found, expected) in mine.iter().zip(&exact) {
            close("gradient", &found.grad(), &expected.grad());
        }
    }

    #[test]
    fn norms_and_their_gradients() {
        on_every_processor(|| {
            for kind in KINDS {
                for (rows, width) in [(1, 5), (3, 64), (40, 1000)] {
                    let inputs = [tensor(&[rows, width], kind.0, 1), tensor(&[width], kind.0, 2)];
                    let theirs = |it: &[Tensor]| {
                        let mean = (&it[0] * &it[0]).mean_dim(-1, true, None::<Kind>);
                        vec![&it[0] * (mean + 1e-5).rsqrt() * &it[1]]
                    };
                    check(&inputs, kind, |it| vec![norm(&it[0], &it[1], 1e-5).unwrap()], theirs);
                }
            }
        });
    }

    #[test]
    fn gates_and_their_gradients() {
        on_every_processor(|| {
            for kind in KINDS {
                for (rows, width) in [(1, 5), (9, 48)] {
                    let inputs = [tensor(&[rows, 2 * width], kind.0, 3) * 6.0];
                    let theirs = |it: &[Tensor]| vec![it[0].narrow(1, 0, width).silu() * it[0].narrow(1, width, width)];
                    check(&inputs, kind, |it| vec![gate(&it[0]).unwrap()], theirs);
                }
            }
        });
        let far = Tensor::from_slice(&[-1e30f32, 1e30, 1.0, 1.0])
            .view([1, 4])
            .set_requires_grad(true);
        backward(&gate(&far).unwrap(), &Tensor::from_slice(&[1f32, 1.0]).view([1, 2])).unwrap();
        assert_eq!(numbers(&far.grad()), [0.0, 1.0, 0.0, 1e30]);
    }

    #[test]
    fn heads_and_their_gradients() {
        on_every_processor(|| {
            for kind in KINDS {
                for (rows, [of_queries, of_keys], dim) in [(1, [2, 2], 6), (7, [6, 2], 32), (5, [3, 1], 64)] {
                    let width = (of_queries + 2 * of_keys) * dim;
                    let inputs = [tensor(&[rows, width], kind.0, 4)];
                    let angles = tensor(&[rows, dim / 2], Kind::Float, 5) * 3.0;
                    let (cosines, sines) = (angles.cos(), angles.sin());
                    let ours = |it: &[Tensor]| heads(&it[0], [&cosines, &sines], of_queries, of_keys).unwrap().into();
                    let theirs = |it: &[Tensor]| {
                        let all = it[0].view([rows, -1, dim]);
                        let rotated = |first, count| {
                            let (cosines, sines) = (cosines.unsqueeze(1), sines.unsqueeze(1));
                            let of = |half| all.narrow(1, first, count).narrow(2, half * dim / 2, dim / 2);
                            let (a, b) = (of(0), of(1));
                            Tensor::cat(&[&a * &cosines - &b * &sines, &b * &cosines + &a * &sines], 2)
                        };
                        let group = of_queries / of_keys;
                        let of_each = |it: Tensor| it.repeat_interleave_self_int(group, 1, None);
                        vec![
                            rotated(0, of_queries),
                            of_each(rotated(of_queries, of_keys)),
                            of_each(all.narrow(1, of_queries + of_keys, of_keys)),
                        ]
                    };
                    check(&inputs, kind, ours, theirs);
                }
            }
        });
    }

    #[test]
    fn gradients_are_added_up() {
        let weight = tensor(&[3], Kind::Float, 1).set_requires_grad(true);
        add_gradient(&weight, &Tensor::from_slice(&[1f32, 2.0, 3.0])).unwrap();
        backward(&(&weight * 2.0), &Tensor::from_slice(&[1f32, 1.0, 0.5])).unwrap();
        add_gradient(&weight, &Tensor::from_slice(&[0f32, 0.0, 1.0])).unwrap();
        assert_eq!(numbers(&weight.grad()), [3.0, 4.0, 5.0]);
        assert!(add_gradient(&weight, &tensor(&[2], Kind::Float, 1)).is_err());
        assert!(backward(&weight.detach(), &weight.detach()).is_err());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let rows = tensor(&[2, 8], Kind::Float, 1);
        assert!(norm(&rows, &tensor(&[7], Kind::Float, 1), 0.0).is_err());
        assert!(norm(&rows, &tensor(&[8], Kind::BFloat16, 1), 0.0).is_err());
        assert!(gate(&tensor(&[2, 7], Kind::Float, 1)).is_err());
        assert!(gate(&tensor(&[2, 8], Kind::Half, 1)).is_err());
        let angles = tensor(&[2, 1], Kind::Float, 1);
        assert!(heads(&rows, [&angles, &angles], 2, 1).is_ok());
        assert!(heads(&rows, [&angles, &angles], 3, 2).is_err());
        assert!(heads(&rows, [&angles, &angles], 4, 1).is_err());
        let wide = tensor(&[2, 1], Kind::Double, 1);
        assert!(heads(&rows, [&wide, &wide], 2, 1).is_err());
    }
}
