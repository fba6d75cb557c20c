//! Perplexity as the reference implementation measured it (PyTorch eager by the `transformers` library
//! 5.23 on the same file): over six windows of 512 tokens of the first 40 HumanEval prompts and
//! solutions, in single precision. Tests of other crates include this file.

use std::{env, fs::File, io::Read, path::PathBuf};

use atelier_engine::{Dtype, Engine, EngineOptions, Event, ModelOptions, Ops, Request, text::Tokenizer};
use checkpoint::Checkpoint;
use flate2::read::GzDecoder;

/// The reference's perplexity.
pub const REFERENCE: f64 = 4.7582;

const WINDOW: usize = 512;
const WINDOWS: usize = 6;
const TEXTS: usize = 40;

fn directory(variable: &str) -> PathBuf {
    let value = env::var_os(variable);
    value
        .unwrap_or_else(|| panic!("{variable} is not set: eval \"$(cargo xtask env --build)\""))
        .into()
}

/// The model that the reference was measured with.
pub fn model() -> PathBuf {
    directory("ATELIER_MODEL_DIR").join("SmolLM2-135M-Instruct.Q4_1.gguf")
}

/// An engine for one window after the other.
pub fn engine(file: Checkpoint, dtype: Dtype, ops: Ops) -> Engine {
    let options = EngineOptions {
        model: ModelOptions {
            threads: atelier_engine::available_threads(),
            ..ModelOptions::plain(dtype, ops, WINDOW)
        },
        max_concurrent_sequences: 1,
        max_batch_tokens: 64,
        max_queue: WINDOWS,
        prefix_cache: true,
        kv_cache_tokens: None,
    };
    Engine::start(file, options).unwrap()
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
fn references_tokenizer(file: &Checkpoint) -> Tokenizer {
    let metadata = file.header().metadata.iter().map(|(key, value)| match key {
        "tokenizer.ggml.pre" => (key.to_owned(), gguf::Value::String("gpt-2".into())),
        _ => (key.to_owned(), value.clone()),
    });
    Tokenizer::from_metadata(&metadata.collect()).unwrap()
}

/// The perplexity of a model with that vocabulary, as it is served.
pub fn perplexity(file: Checkpoint, dtype: Dtype, ops: Ops) -> f64 {
    let tokens = references_tokenizer(&file).encode(&corpus(), false).unwrap();
    assert_eq!(tokens[..6], [1455, 11146, 752, 5516, 1116, 198]);
    let engine = engine(file, dtype, ops);
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
