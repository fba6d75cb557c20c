//! What the directory of tensors says about the weights as a whole.

use std::collections::{BTreeMap, HashSet};

use gguf::{GgmlType, TensorInfo};
use protocol::PrepareFailure;
use protocol::report::reasons;

/// The types that the engine widens.
const SUPPORTED_TYPES: [GgmlType; 11] = [
    GgmlType::F32,
    GgmlType::F16,
    GgmlType::BF16,
    GgmlType::Q8_0,
    GgmlType::Q4_0,
    GgmlType::Q4_1,
    GgmlType::Q5_0,
    GgmlType::Q5_1,
    GgmlType::Q4_K,
    GgmlType::Q5_K,
    GgmlType::Q6_K,
];

/// Refuses weights that the engine cannot read.
pub(super) fn check_types(tensors: &[TensorInfo]) -> Result<(), PrepareFailure> {
    let Some(tensor) = tensors
        .iter()
        .find(|tensor| !SUPPORTED_TYPES.contains(&tensor.ggml_type))
    else {
        return Ok(());
    };
    Err(PrepareFailure::new(
        reasons::UNSUPPORTED_FORMAT,
        format!(
            "failed to read tensor {:?}: weights of type {} are not supported in this release; use a file in {}",
            super::shortened(&tensor.name),
            tensor.ggml_type,
            SUPPORTED_TYPES.map(|kind| kind.to_string()).join(", ")
        ),
        false,
    ))
}

/// Number of weights. Tied embeddings are stored once, or twice at the same place: either way they
/// count once.
pub(super) fn parameters(tensors: &[TensorInfo]) -> u64 {
    let mut places = HashSet::new();
    tensors
        .iter()
        .filter(|tensor| places.insert(tensor.offset))
        .fold(0u64, |sum, tensor| sum.saturating_add(tensor.elements()))
}

/// Bytes of the weights as the engine keeps them to generate text. Quantized matrices stay quantized, in
/// groups of 32 weights with two halves (`Format` of `engine-sys`); all else becomes bfloat16.
pub(super) fn packed_bytes(tensors: &[TensorInfo]) -> u64 {
    let mut places = HashSet::new();
    let bytes = |tensor: &TensorInfo| {
        let bits = match tensor.ggml_type {
            GgmlType::Q4_0 | GgmlType::Q4_1 | GgmlType::Q4_K => 5,
            GgmlType::Q5_0 | GgmlType::Q5_1 | GgmlType::Q5_K | GgmlType::Q6_K | GgmlType::Q8_0 => 9,
            _ => 16,
        };
        tensor.elements().div_ceil(8).saturating_mul(bits)
    };
    tensors
        .iter()
        .filter(|tensor| places.insert(tensor.offset))
        .fold(0u64, |sum, tensor| sum.saturating_add(bytes(tensor)))
}

/// The most common type of the weight matrices; of two equally common ones, that with more weights.
pub(super) fn quantization(tensors: &[TensorInfo]) -> String {
    let mut found = BTreeMap::<GgmlType, (usize, u64)>::new();
    for tensor in tensors.iter().filter(|tensor| tensor.shape.len() > 1) {
        let (count, weights) = found.entry(tensor.ggml_type).or_default();
        *count += 1;
        *weights = weights.saturating_add(tensor.elements());
    }
    let most = found.into_iter().max_by_key(|(_, counts)| *counts);
    // The dimensions were read from matrices, so there are some.
    most.map_or_else(|| GgmlType::F32.to_string(), |(kind, _)| kind.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(name: &str, shape: &[u64], ggml_type: GgmlType, offset: u64) -> TensorInfo {
        TensorInfo {
            name: name.into(),
            shape: shape.to_vec(),
            ggml_type,
            offset,
            bytes: 1,
        }
    }

    #[test]
    fn tensors_that_share_their_bytes_count_once() {
        let tied = [
            tensor("token_embd.weight", &[64, 32], GgmlType::F32, 0),
            tensor("output.weight", &[64, 32], GgmlType::F32, 0),
            tensor("output_norm.weight", &[32], GgmlType::F32, 8192),
        ];
        assert_eq!(parameters(&tied), 64 * 32 + 32);
        assert_eq!(packed_bytes(&tied), 2 * (64 * 32 + 32));
    }

    #[test]
    fn quantized_matrices_stay_quantized() {
        for (ggml_type, bits) in [
            (GgmlType::Q4_K, 5),
            (GgmlType::Q4_1, 5),
            (GgmlType::Q5_0, 9),
            (GgmlType::Q6_K, 9),
            (GgmlType::Q8_0, 9),
            (GgmlType::F16, 16),
            (GgmlType::F32, 16),
        ] {
            let matrix = tensor("a", &[64, 256], ggml_type, 0);
            assert_eq!(packed_bytes(&[matrix]), 64 * 256 * bits / 8, "{ggml_type}");
        }
    }

    #[test]
    fn vectors_do_not_decide_the_quantization_and_size_breaks_ties() {
        let tensors = [
            tensor("a", &[32], GgmlType::F32, 0),
            tensor("b", &[32], GgmlType::F32, 1),
            tensor("c", &[32, 32], GgmlType::Q8_0, 2),
            tensor("d", &[64, 32], GgmlType::Q4_1, 3),
        ];
        assert_eq!(quantization(&tensors), "Q4_1");
    }

    #[test]
    fn a_type_that_the_engine_cannot_read_is_named() {
        let failure = check_types(&[tensor("blk.0.ffn_up.weight", &[256, 256], GgmlType::Q2_K, 0)]).unwrap_err();
        for part in ["blk.0.ffn_up.weight", "Q2_K", "Q4_0"] {
            assert!(failure.message.contains(part), "{failure}");
        }
        assert_eq!(failure.reason, reasons::UNSUPPORTED_FORMAT);
    }
}
