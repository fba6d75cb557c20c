//! Gradients between the way back and the optimizer: added up over the group, averaged, clipped.

use tch::{Kind, TchError, Tensor};

use crate::{
    Error,
    collective::{Group, Lost},
};

/// Numbers that are sent at once, unless one tensor has more.
const BUCKET: usize = 4 << 20;
/// What PyTorch adds to the norm that it divides by.
const CLIP_EPSILON: f64 = 1e-6;

/// Adds the gradients of all processes up.
pub(crate) fn reduce(gradients: &mut [Tensor], group: &mut dyn Group) -> Result<(), Error> {
    if group.size() < 2 {
        return Ok(());
    }
    let _guard = tch::no_grad_guard();
    let mut values = Vec::new();
    let mut rest = gradients;
    while !rest.is_empty() {
        let mut total = 0;
        let many = rest.iter().take_while(|gradient| {
            let fits = total == 0 || total + gradient.numel() <= BUCKET;
            total += gradient.numel();
            fits
        });
        let (bucket, others) = rest.split_at_mut(many.count());
        values.clear();
        values.resize(bucket.iter().map(Tensor::numel).sum(), 0f32);
        let mut free = &mut values[..];
        for gradient in bucket.iter() {
            let (mine, others) = free.split_at_mut(gradient.numel());
            gradient.f_contiguous()?.f_copy_data(mine, mine.len())?;
            free = others;
        }
        group.all_reduce(&mut values)?;
        let mut sums = &values[..];
        for gradient in bucket {
            let (mine, others) = sums.split_at(gradient.numel());
            let mine = Tensor::f_from_slice(mine)?.f_view(&gradient.size()[..])?;
            gradient.f_copy_(&mine)?;
            sums = others;
        }
        rest = others;
    }
    Ok(())
}

/// The norm of all gradients together; not finite if one of them is not.
pub(crate) fn norm(gradients: &[Tensor]) -> Result<f64, TchError> {
    let _guard = tch::no_grad_guard();
    let mut squares = 0.0;
    for gradient in gradients {
        let norm = gradient.f_norm()?.f_double_value(&[])?;
        squares += norm * norm;
    }
    Ok(squares.sqrt())
}

/// Divides all gradients by `weight`, and shortens them to the norm `most`, if that is above zero. Returns their norm
/// before that.
pub(crate) fn average_and_clip(gradients: &mut [Tensor], weight: f64, most: f64) -> Result<f64, TchError> {
    let _guard = tch::no_grad_guard();
    let norm = norm(gradients)? / weight;
    let clip = match most > 0.0 {
        true => (most / (norm + CLIP_EPSILON)).min(1.0),
        false => 1.0,
    };
    for gradient in gradients {
        let _ = gradient.f_mul_scalar_(clip / weight)?;
    }
    Ok(norm)
}

/// Adds numbers of all processes up, more exactly than single numbers of 32 bits would.
pub(crate) fn sum(numbers: &mut [f64], group: &mut dyn Group) -> Result<(), Lost> {
    if group.size() < 2 {
        return Ok(());
    }
    let halves = |number: &f64| {
        let high = *number as f32;
        [high, (*number - f64::from(high)) as f32]
    };
    let mut values: Vec<f32> = numbers.iter().flat_map(halves).collect();
    group.all_reduce(&mut values)?;
    for (number, halves) in numbers.iter_mut().zip(values.chunks(2)) {
        *number = halves.iter().map(|half| f64::from(*half)).sum();
    }
    Ok(())
}

/// A gradient's sum that is known to be a number.
pub(crate) fn finite(gradients: &[Tensor]) -> Result<bool, TchError> {
    let _guard = tch::no_grad_guard();
    for gradient in gradients {
        if !gradient.f_sum(Kind::Float)?.f_double_value(&[])?.is_finite() {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_gradients_are_shortened() {
        let mut gradients = [Tensor::from_slice(&[6f32, 0.0]), Tensor::from_slice(&[8f32])];
        let norm = average_and_clip(&mut gradients, 2.0, 1.0).unwrap();
        assert!((norm - 5.0).abs() < 1e-6);
        assert!((super::norm(&gradients).unwrap() - 1.0).abs() < 1e-5);
        let mut short = [Tensor::from_slice(&[0.3f32])];
        assert!((average_and_clip(&mut short, 1.0, 1.0).unwrap() - 0.3).abs() < 1e-6);
        assert!((short[0].double_value(&[0]) - 0.3).abs() < 1e-6);
        average_and_clip(&mut short, 0.5, 0.0).unwrap();
        assert!((short[0].double_value(&[0]) - 0.6).abs() < 1e-6);
        assert!(!finite(&[Tensor::from_slice(&[f32::NAN])]).unwrap());
        assert!(finite(&gradients).unwrap());
    }
}
