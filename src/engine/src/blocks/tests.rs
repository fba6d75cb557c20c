//! Blocks against the logits of the `transformers` library, see `model/reference.py`.

use std::collections::HashMap;

use checkpoint::Checkpoint;
use rstest::rstest;
use tch::{TchError, Tensor};

use super::*;
use crate::{ModelConfig, weights::tests::file_of};

const TOKENS: [i64; 11] = [3, 14, 15, 9, 26, 5, 35, 8, 9, 7, 9];

#[derive(Debug)]
struct Failed(#[allow(dead_code, reason = "shown by a failing test")] TchError);

impl From<TchError> for Failed {
    fn from(error: TchError) -> Self {
        Self(error)
    }
}

fn tensor(file: &Checkpoint, name: &str) -> Tensor {
    let info = file.header().tensor(name).unwrap();
    let weights = widen(&file.read_tensor(info).unwrap(), info.ggml_type).unwrap();
    let shape: Vec<i64> = info.shape.iter().map(|size| *size as i64).collect();
    Tensor::from_slice(&weights).view(shape.as_slice())
}

fn block(file: &Checkpoint, index: usize) -> Block {
    let prefix = format!("blk.{index}.");
    let names = file.header().tensors.iter().map(|info| info.name.as_str());
    let mine = names.filter_map(|name| name.strip_prefix(&prefix));
    Block::new(
        mine.map(|name| (name.to_owned(), tensor(file, &format!("{prefix}{name}"))))
            .collect(),
    )
}

/// The residual stream after both blocks, and the inputs of all linear layers.
fn run(file: &Checkpoint) -> (ModelConfig, Tensor, Vec<(Layer, Vec<i64>)>) {
    let config = ModelConfig::from_header(file.header()).unwrap();
    let positions = Positions::new(&config, TOKENS.len()).unwrap();
    let mut hidden = tensor(file, "token_embd.weight").index_select(0, &Tensor::from_slice(&TOKENS));
    let mut seen = Vec::new();
    for index in 0..config.layers {
        let forward = block(file, index).forward(&config, &positions, &hidden, |layer, input| {
            seen.push((layer, input.size()));
            Ok::<_, Failed>(())
        });
        hidden = forward.unwrap();
    }
    (config, hidden, seen)
}

#[rstest]
#[case("llama", "LlamaForCausalLM")]
#[case("llama", "MistralForCausalLM")]
#[case("qwen2", "Qwen2ForCausalLM")]
#[case("qwen3", "Qwen3ForCausalLM")]
fn the_chain_of_blocks_gives_the_logits_of_transformers(#[case] architecture: &str, #[case] reference: &str) {
    let references: HashMap<String, Vec<f32>> = serde_json::from_str(include_str!("../model/reference.json")).unwrap();
    let file = file_of(architecture, &[]);
    let (config, hidden, _) = run(&file);
    let hidden = normed(&config, &hidden, &tensor(&file, "output_norm.weight")).unwrap();
    let logits = hidden.get(-1).matmul(&tensor(&file, "token_embd.weight").tr());
    let expected = Tensor::from_slice(&references[reference]);
    assert!((logits - expected).abs().max().double_value(&[]) <= 1e-4);
}

#[test]
fn the_input_of_every_linear_layer_is_seen() {
    let (_, _, seen) = run(&file_of("llama", &[]));
    let widths = [32, 32, 32, 48].map(|width| vec![11, width]);
    let expected: Vec<_> = Layer::ALL.into_iter().zip(widths).collect();
    assert_eq!(seen, [expected.clone(), expected].concat());
}

#[test]
fn the_head_in_pieces_is_the_head_as_a_whole() {
    let file = file_of("llama", &[]);
    let (config, hidden, _) = run(&file);
    let hidden = normed(&config, &hidden, &tensor(&file, "output_norm.weight")).unwrap();
    let head = tensor(&file, "token_embd.weight");
    let inputs = hidden.narrow(0, 0, 10);
    let mut loss = HeadLoss::new(inputs.shallow_clone(), &TOKENS[1..]).unwrap();
    assert!(loss.negative_log_likelihood().unwrap().is_nan());
    for (first, count) in [(0, 5), (5, 30), (35, 29)] {
        loss.add(first, &head.narrow(0, first, count)).unwrap();
    }
    let logits = inputs.matmul(&head.tr());
    let expected = logits
        .cross_entropy_for_logits(&Tensor::from_slice(&TOKENS[1..]))
        .double_value(&[])
        * 10.0;
    let found = loss.negative_log_likelihood().unwrap();
    assert!((found - expected).abs() < 1e-4, "{found} {expected}");
    assert!(HeadLoss::new(inputs, &[1]).is_err());
}

#[test]
fn a_missing_tensor_is_named() {
    let file = file_of("llama", &[]);
    let config = ModelConfig::from_header(file.header()).unwrap();
    let positions = Positions::new(&config, 2).unwrap();
    let hidden = tensor(&file, "token_embd.weight").narrow(0, 0, 2);
    let empty = Block::new(Default::default());
    let error = empty
        .forward(&config, &positions, &hidden, |_, _| Ok::<_, Failed>(()))
        .err();
    assert!(format!("{error:?}").contains("attn_norm.weight"), "{error:?}");
}
