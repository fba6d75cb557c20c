//! Every family against the `transformers` library, on small networks.

use std::collections::HashMap;

use rstest::rstest;

use crate::{Batch, Dtype, LogitRows, Model, ModelOptions, Ops, Segment, logprobs::floats, weights::tests::file_of};

const TOKENS: [u32; 11] = [3, 14, 15, 9, 26, 5, 35, 8, 9, 7, 9];

/// `reference.json` holds the logits after [`TOKENS`] that `transformers` computes with
/// the same weights; `reference.py` says how.
#[rstest]
#[case("llama", "LlamaForCausalLM")]
#[case("llama", "MistralForCausalLM")]
#[case("qwen2", "Qwen2ForCausalLM")]
#[case("qwen3", "Qwen3ForCausalLM")]
fn logits_are_those_of_transformers(
    #[case] architecture: &str,
    #[case] reference: &str,
    #[values(Ops::Own, Ops::Aten)] ops: Ops,
) {
    let references: HashMap<String, Vec<f32>> = serde_json::from_str(include_str!("reference.json")).unwrap();
    let model = Model::load(&file_of(architecture, &[]), &ModelOptions::plain(Dtype::Fp32, ops, 64)).unwrap();
    let difference = distance(&last_logits(&model), &references[reference]);
    assert!(difference <= 1e-4, "{reference}: {difference}");
}

/// The logits after [`TOKENS`].
pub(super) fn last_logits(model: &Model) -> Vec<f32> {
    let batch = Batch {
        segments: vec![Segment {
            pages: vec![0],
            start: 0,
            tokens: TOKENS.into(),
            logits: LogitRows::Last,
            adapter: None,
        }],
    };
    let _guard = tch::no_grad_guard();
    let cache = model.cache(1).unwrap();
    floats(&model.forward(&batch, &cache).unwrap().unwrap()).unwrap()
}

/// The largest difference of two numbers at one place.
pub(super) fn distance(logits: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(logits.len(), expected.len());
    let differences = logits.iter().zip(expected).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max)
}
