//! libtorch's CUDA half, which is linked by nobody and loaded where there is one.

use std::ffi::CStr;

use crate::{ffi, message::Message};

const LIBRARY: &CStr = c"libtorch_cuda.so";

/// Loads libtorch's CUDA half and looks for a device; afterwards `tch::Cuda` and
/// `tch::Device::Cuda` work. One program thus serves images with and without CUDA.
///
/// # Errors
/// "no CUDA device", and why.
pub fn load() -> Result<(), String> {
    let mut message = Message::default();
    // SAFETY: both texts end with a zero, and the message has the capacity that is said. Loading runs
    // the library's initializers, which is what it is for.
    if !unsafe { ffi::atelier_load_library(LIBRARY.as_ptr(), message.pointer(), message.capacity()) } {
        return Err(format!("no CUDA device: {}", message.text()));
    }
    match tch::Cuda::is_available() {
        true => Ok(()),
        false => Err(
            "no CUDA device: libtorch_cuda.so is there and finds none; is the driver installed, and is a GPU assigned?"
                .into(),
        ),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn without_a_device_the_answer_says_so() {
        if let Err(message) = super::load() {
            assert!(message.starts_with("no CUDA device: "), "{message}");
            assert!(!tch::Cuda::is_available());
        } else {
            assert!(tch::Cuda::is_available());
        }
    }
}
