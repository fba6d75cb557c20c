//! The real model against figures of the reference implementation.

#![allow(clippy::unwrap_used, reason = "a test says where it failed by panicking")]

#[path = "support/oracle.rs"]
mod oracle;

use atelier_engine::{Dtype, Event, Ops, Request, Sampling, text::Tokenizer};
use checkpoint::Checkpoint;
use rstest::rstest;

use oracle::{REFERENCE, engine, model};

fn model_file() -> Checkpoint {
    Checkpoint::open(&model()).unwrap()
}

#[rstest]
#[case::in_single_precision(Dtype::Fp32, Ops::Own, 0.001)]
#[case::in_bfloat16(Dtype::Bf16, Ops::Aten, 0.005)]
#[case::in_the_files_own_four_bits(Dtype::Bf16, Ops::Own, 0.005)]
fn perplexity_is_the_references(#[case] dtype: Dtype, #[case] ops: Ops, #[case] tolerance: f64) {
    let found = oracle::perplexity(model_file(), dtype, ops);
    println!("{dtype} {ops:?}: perplexity {found:.4}, reference {REFERENCE}");
    assert!((found / REFERENCE - 1.0).abs() <= tolerance, "{found}");
}

/// The model's own template, written out.
fn answer(dtype: Dtype, question: &str) -> String {
    let tokenizer = Tokenizer::from_metadata(&model_file().header().metadata).unwrap();
    let prompt = format!(
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n\
         <|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
    );
    let request = Request {
        prompt: tokenizer.encode(&prompt, true).unwrap(),
        max_tokens: 40,
        sampling: Sampling {
            temperature: 0.0,
            ..Sampling::default()
        },
        stop_tokens: tokenizer.end().into_iter().collect(),
        ..Request::default()
    };
    let mut events = engine(model_file(), dtype, Ops::Own).submit(request).unwrap();
    let mut bytes = Vec::new();
    while let Some(event) = events.blocking_recv() {
        if let Event::Token { token, .. } = event {
            bytes.extend_from_slice(tokenizer.bytes(token));
        }
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn greedy_answers_are_the_references() {
    let answer_fp32 = answer(Dtype::Fp32, "What is the capital of France?");
    assert_eq!(answer_fp32, "The capital of France is Paris.");
    let answer_bf16 = answer(Dtype::Bf16, "Name the capital city of France.");
    assert_eq!(answer_bf16, "The capital city of France is Paris.");
}
