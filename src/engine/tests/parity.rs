//! The real model against figures of the reference implementation.

#![allow(clippy::unwrap_used, reason = "a test says where it failed by panicking")]

#[path = "support/oracle.rs"]
mod oracle;

<<<<<<< HEAD
use atelier_engine::{Dtype, Engine, EngineOptions, Event, ModelOptions, Ops, Request, Sampling, text::Tokenizer};
=======
use atelier_engine::{Dtype, Event, Ops, Request, Sampling, text::Tokenizer};
>>>>>>> 238fa24 (Leave out whole layers, and clean up after killed runs)
use checkpoint::Checkpoint;
use rstest::rstest;

use oracle::{REFERENCE, engine, model};

fn model_file() -> Checkpoint {
    Checkpoint::open(&model()).unwrap()
}

<<<<<<< HEAD
fn engine(dtype: Dtype) -> Engine {
    let options = EngineOptions {
        model: ModelOptions {
            threads: atelier_engine::available_threads(),
            ..ModelOptions::plain(dtype, Ops::Own, WINDOW)
        },
        max_concurrent_sequences: 1,
        max_batch_tokens: 64,
        max_queue: WINDOWS,
        prefix_cache: true,
        kv_cache_tokens: None,
    };
    Engine::start(model_file(), options).unwrap()
}

fn corpus() -> String {
    let file = File::open(directory("ATELIER_CORPORA_DIR").join("HumanEval.jsonl.gz")).unwrap();
    let mut lines = String::new();
    GzDecoder::new(file).read_to_string(&mut lines).unwrap();
    let texts = lines.lines().take(TEXTS).map(|line| {
        let problem: serde_json::Value = serde_json::from_str(line).unwrap();
        let part = |key: &str| problem[key].as_str().unwrap().to_owned();
        part("prompt") + &part("canonical_solution")
    });
    texts.collect::<Vec<_>>().join("\n\n")
}

/// The tokenizer as the reference reads it from the file: it does not know that `smollm` sets digits
/// apart before the rest, which changes the spaces in front of some. The same text in other tokens
/// has another perplexity.
fn references_tokenizer() -> Tokenizer {
    let file = model_file();
    let metadata = file.header().metadata.iter().map(|(key, value)| match key {
        "tokenizer.ggml.pre" => (key.to_owned(), gguf::Value::String("gpt-2".into())),
        _ => (key.to_owned(), value.clone()),
    });
    Tokenizer::from_metadata(&metadata.collect()).unwrap()
}

fn perplexity(dtype: Dtype) -> f64 {
    let tokenizer = references_tokenizer();
    let tokens = tokenizer.encode(&corpus(), false).unwrap();
    assert_eq!(tokens[..6], [1455, 11146, 752, 5516, 1116, 198]);
    let engine = engine(dtype);
    let windows: Vec<_> = tokens
        .chunks(WINDOW)
        .take(WINDOWS)
        .map(|window| {
            let request = Request {
                prompt: window.into(),
                prompt_logprobs: Some(0),
                ..Request::default()
            };
            engine.submit(request).unwrap()
        })
        .collect();
    let (mut sum, mut count) = (0.0, 0);
    for mut events in windows {
        let Some(Event::Prompt { logprobs, .. }) = events.blocking_recv() else {
            panic!("no logprobs of the prompt")
        };
        sum -= logprobs
            .iter()
            .map(|logprobs| f64::from(logprobs.chosen.logprob))
            .sum::<f64>();
        count += logprobs.len();
    }
    assert_eq!(count, WINDOWS * (WINDOW - 1));
    (sum / count as f64).exp()
}

#[test]
fn perplexity_in_single_precision_is_the_references() {
    let found = perplexity(Dtype::Fp32);
    println!("fp32 perplexity {found:.4}, reference {REFERENCE}");
    assert!((found / REFERENCE - 1.0).abs() < 0.001, "{found}");
}

#[test]
fn perplexity_in_bf16_is_near_the_references() {
    let found = perplexity(Dtype::Bf16);
    println!("bf16 perplexity {found:.4}, reference {REFERENCE}");
    assert!((found / REFERENCE - 1.0).abs() < 0.005, "{found}");
=======
#[rstest]
#[case::in_single_precision(Dtype::Fp32, Ops::Own, 0.001)]
#[case::in_bfloat16(Dtype::Bf16, Ops::Aten, 0.005)]
#[case::in_the_files_own_four_bits(Dtype::Bf16, Ops::Own, 0.005)]
fn perplexity_is_the_references(#[case] dtype: Dtype, #[case] ops: Ops, #[case] tolerance: f64) {
    let found = oracle::perplexity(model_file(), dtype, ops);
    println!("{dtype} {ops:?}: perplexity {found:.4}, reference {REFERENCE}");
    assert!((found / REFERENCE - 1.0).abs() <= tolerance, "{found}");
>>>>>>> 238fa24 (Leave out whole layers, and clean up after killed runs)
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
