//! Files as memory, without reading them first.

use std::{
    ffi::c_void,
    fs::File,
    io,
    ops::{Deref, Range},
    sync::Arc,
};

use memmap2::{MmapMut, MmapOptions};
use tch::{Kind, TchError, Tensor};

use crate::{arguments::refuse, ffi, message::Message};

/// A whole file, mapped. Writes to tensors over it stay in this process's memory.
///
/// The file must not change while it is mapped: what the mapping shows then is undefined, and when it
/// is cut short, reading ends the process. Files in a content-addressed store never change, which is
/// what this is for.
#[derive(Debug)]
pub struct Mapping {
    memory: MmapMut,
}

impl Mapping {
    /// Maps `file`.
    ///
    /// # Errors
    /// When the system refuses, as it does for what is no regular file.
    pub fn new(file: &File) -> io::Result<Self> {
        // SAFETY: the documented assumption is that nobody changes the file.
        let memory = unsafe { MmapOptions::new().map_copy(file)? };
        Ok(Self { memory })
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory
    }
}

/// A tensor over bytes of a mapping, which stays mapped as long as the tensor lives. Do not write to
/// it while others read the same bytes.
///
/// # Errors
/// When the bytes are not as many as the shape takes, or begin at no multiple of an element's size.
pub fn tensor_over(mapping: &Arc<Mapping>, range: Range<usize>, shape: &[i64], kind: Kind) -> Result<Tensor, TchError> {
    let size = kind.elt_size_in_bytes();
    let elements = shape.iter().try_fold(1i64, |product, length| {
        product.checked_mul(*length).filter(|_| *length >= 0)
    });
    let wanted = elements.and_then(|count| usize::try_from(count).ok()?.checked_mul(size));
    let Some(bytes) = mapping.get(range.clone()).filter(|bytes| Some(bytes.len()) == wanted) else {
        return refuse(format!(
            "bytes {range:?} of a file of {} are no {kind:?} tensor {shape:?}",
            mapping.len()
        ));
    };
    if size == 0 || bytes.as_ptr().align_offset(size) != 0 {
        return refuse(format!("a {kind:?} tensor cannot begin at byte {}", range.start));
    }
    let scalar_type = scalar_type(kind)?;
    let mut message = Message::default();
    let owner = Arc::into_raw(Arc::clone(mapping)).cast_mut().cast::<c_void>();
    // SAFETY: the bytes are inside the mapping, aligned and as many as the shape takes; `release` gives
    // back the one count of the mapping that `owner` is.
    let tensor = unsafe {
        ffi::atelier_tensor_over(
            bytes.as_ptr().cast_mut().cast(),
            shape.as_ptr(),
            shape.len() as i64,
            scalar_type,
            owner,
            release,
            message.pointer(),
            message.capacity(),
        )
    };
    match tensor.is_null() {
        true => Err(message.into_error()),
        // SAFETY: a new tensor that nobody else owns.
        false => Ok(unsafe { Tensor::from_ptr(tensor) }),
    }
}

/// `c10::ScalarType`.
fn scalar_type(kind: Kind) -> Result<i8, TchError> {
    match kind {
        Kind::Uint8 => Ok(0),
        Kind::Int8 => Ok(1),
        Kind::Int16 => Ok(2),
        Kind::Int => Ok(3),
        Kind::Int64 => Ok(4),
        Kind::Half => Ok(5),
        Kind::Float => Ok(6),
        Kind::BFloat16 => Ok(15),
        other => Err(TchError::Kind(format!("files hold no {other:?} tensors"))),
    }
}

extern "C" fn release(owner: *mut c_void) {
    // SAFETY: made by Arc::into_raw in `tensor_over`, and called once.
    drop(unsafe { Arc::from_raw(owner.cast::<Mapping>()) });
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn mapped(bytes: &[u8]) -> Arc<Mapping> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Arc::new(Mapping::new(&file).unwrap())
    }

    #[test]
    fn a_tensor_keeps_the_file_mapped_and_never_writes_to_it() {
        let bytes: Vec<u8> = [1.0f32, 2.0, 3.0, 4.0].iter().flat_map(|x| x.to_le_bytes()).collect();
        let mapping = mapped(&bytes);
        let mut tensor = tensor_over(&mapping, 4..16, &[3], Kind::Float).unwrap();
        assert_eq!(Arc::strong_count(&mapping), 2);
        let view = tensor.narrow(0, 1, 2);
        let _ = tensor.f_add_scalar_(1.0).unwrap();
        drop(tensor);
        assert_eq!(Vec::<f32>::try_from(&view).unwrap(), [4.0, 5.0]);
        drop(view);
        assert_eq!(Arc::strong_count(&mapping), 1);
    }

    #[test]
    fn bytes_that_are_no_such_tensor_are_refused() {
        let mapping = mapped(&[0; 64]);
        for (range, shape) in [
            (0..16, vec![5]),
            (2..18, vec![4]),
            (56..72, vec![4]),
            (0..16, vec![-4, -1]),
        ] {
            assert!(tensor_over(&mapping, range, &shape, Kind::Float).is_err());
        }
    }
}
