//! What libtorch has and tch does not bind.

use std::{ffi::c_void, marker::PhantomData};

use tch::{TchError, Tensor};

use crate::{ffi, message::Message};

/// libtorch's inference mode on this thread until it is dropped: like no-grad, and operations also
/// keep no record of versions and views. Tensors made in it can never take part in training.
#[must_use]
pub struct InferenceMode {
    guard: *mut c_void,
    /// It belongs to the thread that it was made on.
    _not_send: PhantomData<*mut ()>,
}

impl InferenceMode {
    /// Enters it.
    pub fn enter() -> Self {
        Self {
            // SAFETY: has no preconditions.
            guard: unsafe { ffi::atelier_inference_mode_enter() },
            _not_send: PhantomData,
        }
    }
}

impl Drop for InferenceMode {
    fn drop(&mut self) {
        // SAFETY: made by `enter` on this thread.
        unsafe { ffi::atelier_inference_mode_leave(self.guard) }
    }
}

/// Gives memory that was freed back to the system, where the allocator keeps it otherwise.
pub fn release_memory() {
    // SAFETY: has no preconditions.
    unsafe { ffi::atelier_release_memory() }
}

/// Has blocks of `least` bytes and more mapped one by one, and given back as soon as they are free; up to `kept` bytes of
/// smaller ones are kept at the end of each heap. glibc would raise its own limit to the largest block that was ever freed.
/// False when the allocator does not take it.
pub fn map_large_blocks(least: i32, kept: i32) -> bool {
    // SAFETY: has no preconditions.
    unsafe { ffi::atelier_map_large_blocks(least, kept) }
}

/// The state of libtorch's random numbers on the CPU, bytes in a tensor.
///
/// # Errors
/// When libtorch fails.
pub fn generator_state() -> Result<Tensor, TchError> {
    let mut message = Message::default();
    // SAFETY: the message has the capacity that is said.
    let state = unsafe { ffi::atelier_generator_state(message.pointer(), message.capacity()) };
    match state.is_null() {
        true => Err(message.into_error()),
        // SAFETY: a new tensor that nobody else owns.
        false => Ok(unsafe { Tensor::from_ptr(state) }),
    }
}

/// Goes back to a state that [`generator_state`] gave.
///
/// # Errors
/// When `state` is no such state.
pub fn set_generator_state(state: &Tensor) -> Result<(), TchError> {
    let mut message = Message::default();
    // SAFETY: the tensor lives during the call, and the message has the capacity that is said.
    match unsafe { ffi::atelier_set_generator_state(state.as_ptr(), message.pointer(), message.capacity()) } {
        true => Ok(()),
        false => Err(message.into_error()),
    }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;

    #[test]
    fn random_numbers_repeat_from_a_saved_state() {
        let draw = || Vec::<f32>::try_from(Tensor::rand([4], (Kind::Float, Device::Cpu))).unwrap();
        let state = generator_state().unwrap();
        let first = draw();
        assert_ne!(first, draw());
        set_generator_state(&state).unwrap();
        assert_eq!(first, draw());
        let error = set_generator_state(&Tensor::from_slice(&[1u8, 2, 3])).unwrap_err();
        assert!(!error.to_string().is_empty());
    }

    #[test]
    fn inference_mode_ends_with_its_guard() {
        let weight = Tensor::ones([1], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        {
            let _guard = InferenceMode::enter();
            assert!(!(&weight * 2.0).requires_grad());
        }
        assert!((&weight * 2.0).requires_grad());
    }
}
