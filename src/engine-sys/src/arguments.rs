//! Checks of what callers pass, so that no kernel reads or writes where it must not.

use tch::{Device, Kind, TchError, Tensor};

use crate::ffi;

/// An argument that the kernel cannot take.
pub(crate) fn refuse<T>(message: String) -> Result<T, TchError> {
    Err(TchError::Shape(message))
}

/// The kernels' code of a kind.
pub(crate) fn kind_code(name: &str, kind: Kind) -> Result<i32, TchError> {
    match kind {
        Kind::Float => Ok(ffi::F32),
        Kind::BFloat16 => Ok(ffi::BF16),
        other => Err(TchError::Kind(format!(
            "{name} is {other:?}, expected Float or BFloat16"
        ))),
    }
}

fn plain(name: &str, tensor: &Tensor, kind: Kind) -> Result<(), TchError> {
    if !tensor.defined() || tensor.device() != Device::Cpu || tensor.is_sparse() || tensor.is_mkldnn() {
        return refuse(format!("{name} is no plain tensor in the CPU's memory"));
    }
    match tensor.f_kind()? {
        found if found == kind => Ok(()),
        found => Err(TchError::Kind(format!("{name} is {found:?}, expected {kind:?}"))),
    }
}

/// Checks that all of `tensor` lies in one piece.
pub(crate) fn dense(name: &str, tensor: &Tensor, kind: Kind, shape: &[i64]) -> Result<(), TchError> {
    plain(name, tensor, kind)?;
    if tensor.size() != shape || !tensor.is_contiguous() {
        return refuse(format!(
            "{name} has shape {:?} and strides {:?}, expected {shape:?} in one piece",
            tensor.size(),
            tensor.stride()
        ));
    }
    Ok(())
}

/// Checks that `tensor` is a matrix whose rows lie in one piece each; returns their number and how far
/// they are apart.
pub(crate) fn rows(name: &str, tensor: &Tensor, kind: Kind, width: i64) -> Result<(i64, i64), TchError> {
    plain(name, tensor, kind)?;
    match (tensor.size().as_slice(), tensor.stride().as_slice()) {
        ([rows, columns], [stride, step])
            if *columns == width && (*step == 1 || width == 1) && (*stride >= width || *rows <= 1) =>
        {
            Ok((*rows, *stride))
        }
        (shape, strides) => refuse(format!(
            "{name} has shape {shape:?} and strides {strides:?}, expected rows of {width} in one piece each"
        )),
    }
}
