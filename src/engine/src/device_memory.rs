//! What a GPU has room for and can do.

use engine_sys::cuda::FlashAttention;
use gguf::Header;
use tch::{Kind, TchError, Tensor};

use crate::{Device, Dtype, LoadError, ModelConfig, ModelOptions};

/// Checks that the weights fit the free memory of the GPU that they are to be loaded into: better now than
/// after minutes of loading.
///
/// # Errors
/// How much they take and how much there is.
pub(crate) fn check(header: &Header, options: &ModelOptions) -> Result<(), LoadError> {
    let Device::Cuda(index) = options.device else {
        return Ok(());
    };
    let memory = engine_sys::cuda::memory(index)?;
    let needed = weight_bytes(header, options.dtype);
    match needed <= memory.free {
        true => Ok(()),
        false => Err(LoadError::DeviceMemory {
            device: options.device,
            dtype: options.dtype,
            needed: needed >> 20,
            free: memory.free >> 20,
            total: memory.total >> 20,
        }),
    }
}

/// Bytes of all weights as plain numbers.
fn weight_bytes(header: &Header, dtype: Dtype) -> u64 {
    let element = match dtype {
        Dtype::Bf16 => 2,
        Dtype::Fp32 => 4,
    };
    let numbers = |shape: &[u64]| shape.iter().copied().fold(1, u64::saturating_mul);
    let tensors = header.tensors.iter();
    tensors.fold(0, |sum: u64, tensor| {
        sum.saturating_add(numbers(&tensor.shape).saturating_mul(element))
    })
}

/// Whether the device has libtorch's flash attention for the heads of a network: it is tried once.
pub(crate) fn has_flash_attention(config: &ModelConfig, dtype: Dtype, device: tch::Device) -> bool {
    if dtype != Dtype::Bf16 || !matches!(device, tch::Device::Cuda(_)) {
        return false;
    }
    let attempt = || {
        let zeros = |heads| Tensor::f_zeros([2, heads, config.head_dim], (Kind::BFloat16, device));
        let ends = Tensor::f_from_slice(&[0i32, 2])?.f_to_device(device)?;
        let keys = zeros(config.kv_heads)?;
        let attention = FlashAttention {
            queries: &zeros(config.heads)?,
            keys: &keys,
            values: &keys,
            query_ends: &ends,
            key_ends: &ends,
            lengths: &ends.f_narrow(0, 1, 1)?,
            most_queries: 2,
            most_keys: 2,
        };
        attention.compute().map(drop)
    };
    let outcome: Result<(), TchError> = attempt();
    if let Err(error) = &outcome {
        tracing::warn!(%error, "no flash attention on this GPU: attention is computed by slower operators");
    }
    outcome.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::tests::tiny_file;

    #[test]
    fn weights_take_what_their_numbers_take() {
        let file = tiny_file(&[]);
        let [half, full] = [Dtype::Bf16, Dtype::Fp32].map(|dtype| weight_bytes(file.header(), dtype));
        assert_eq!(full, 2 * half);
        // Embedding, head if there is one, and two blocks of 32 wide layers.
        assert!(half > 2 * 64 * 32, "{half}");
    }
}
