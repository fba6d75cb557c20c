//! Encoders against the reference implementations; `reference.py` says how its figures were made.

use std::{collections::BTreeMap, env, path::PathBuf};

use checkpoint::{Checkpoint, write};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::oneshot::error::TryRecvError;

use super::{precision::cosine, *};
use crate::{Dtype, LoadError, SubmitError};

#[derive(Deserialize)]
struct Reference {
    texts: Vec<String>,
    tokens: Vec<usize>,
    embeddings: Vec<Vec<f32>>,
    cross_encoder: CrossEncoder,
}

#[derive(Deserialize)]
struct CrossEncoder {
    config: Value,
    shapes: BTreeMap<String, Vec<u64>>,
    pairs: Vec<(Vec<u32>, Vec<u32>)>,
    logits: Vec<f32>,
}

fn reference() -> Reference {
    serde_json::from_str(include_str!("reference.json")).unwrap()
}

fn minilm() -> Checkpoint {
    let dir = env::var_os("ATELIER_MODEL_DIR").expect("ATELIER_MODEL_DIR is set: eval \"$(cargo xtask env --build)\"");
    Checkpoint::open(&PathBuf::from(dir).join("all-MiniLM-L6-v2")).unwrap()
}

fn options(precision: Precision, max_length: usize) -> EncoderOptions {
    EncoderOptions {
        precision,
        max_length,
        max_batch_tokens: 300,
        max_queue: 8,
        threads: crate::available_threads(),
    }
}

/// The smallest cosine between our embeddings and the reference's.
fn least_cosine(dtype: Dtype) -> f64 {
    let reference = reference();
    let file = minilm();
    let config = EncoderConfig::from_header(file.header()).unwrap();
    assert_eq!((config.max_length, config.pooling), (256, Pooling::Mean));
    let tokenizer = TextEncoder::from_metadata(&file.header().metadata, config.max_length).unwrap();
    let encoder = Encoder::start(file, options(Precision::Given(dtype), config.max_length)).unwrap();
    let texts: Vec<Encoded> = reference
        .texts
        .iter()
        .map(|text| tokenizer.encode(text).unwrap())
        .collect();
    let lengths: Vec<usize> = texts.iter().map(|text| text.tokens.len()).collect();
    assert_eq!(lengths, reference.tokens);
    let rows = encoder.submit(texts).unwrap().blocking_recv().unwrap().unwrap();
    let lengths = rows
        .iter()
        .map(|row| row.iter().map(|number| number * number).sum::<f32>());
    assert!(lengths.into_iter().all(|length| (length - 1.0).abs() < 1e-5));
    let cosines = rows
        .iter()
        .zip(&reference.embeddings)
        .map(|(ours, theirs)| cosine(ours, theirs));
    cosines.fold(1.0, f64::min)
}

#[test]
fn embeddings_are_those_of_sentence_transformers() {
    let least = least_cosine(Dtype::Fp32);
    println!("fp32 cosine {least:.7}");
    assert!(least >= 0.99999, "{least}");
}

#[test]
fn embeddings_in_bf16_are_near() {
    let least = least_cosine(Dtype::Bf16);
    println!("bf16 cosine {least:.7}");
    assert!(least >= 0.9999, "{least}");
}

/// The small cross-encoder of `reference.py`.
fn cross_encoder() -> (CrossEncoder, Checkpoint, tempfile::TempDir) {
    let case = reference().cross_encoder;
    let dir = tempfile::tempdir().unwrap();
    let tensors = case.shapes.iter().map(|(name, shape)| {
        let seed = name.bytes().map(u64::from).sum::<u64>();
        let number = |i: u64| {
            let wave = ((i * 37 + seed * 101) % 97) as f64 / 97.0 - 0.5;
            (if name.ends_with("LayerNorm.weight") {
                1.0 + wave / 4.0
            } else {
                wave / 2.0
            }) as f32
        };
        write::Tensor {
            name: name.clone(),
            dtype: "F32",
            shape: shape.clone(),
            bytes: (0..shape.iter().product())
                .map(number)
                .flat_map(f32::to_le_bytes)
                .collect(),
        }
    });
    let vocab: BTreeMap<String, u32> = ["[UNK]", "[CLS]", "[SEP]"]
        .map(String::from)
        .into_iter()
        .zip(0..)
        .collect();
    let mark = |id: &str, type_id: u32| json!({"SpecialToken": {"id": id, "type_id": type_id}});
    let text = |id: &str, type_id: u32| json!({"Sequence": {"id": id, "type_id": type_id}});
    let tokenizer = json!({
        "model": {"type": "WordPiece", "vocab": vocab, "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100},
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [mark("[CLS]", 0), text("A", 0), mark("[SEP]", 0)],
            "pair": [mark("[CLS]", 0), text("A", 0), mark("[SEP]", 0), text("B", 1), mark("[SEP]", 1)],
            "special_tokens": {
                "[CLS]": {"id": "[CLS]", "ids": [1], "tokens": ["[CLS]"]},
                "[SEP]": {"id": "[SEP]", "ids": [2], "tokens": ["[SEP]"]},
            },
        },
    });
    for (name, bytes) in [
        ("config.json", case.config.to_string().into_bytes()),
        ("tokenizer.json", tokenizer.to_string().into_bytes()),
        ("model.safetensors", write::to_bytes(&tensors.collect::<Vec<_>>())),
    ] {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    let file = Checkpoint::open(dir.path()).unwrap();
    (case, file, dir)
}

fn small(precision: Precision) -> Encoder {
    Encoder::start(cross_encoder().1, options(precision, 32)).unwrap()
}

#[test]
fn scores_are_those_of_transformers() {
    let (case, file, _dir) = cross_encoder();
    let encoder = Encoder::start(file, options(Precision::Given(Dtype::Fp32), 32)).unwrap();
    assert!(encoder.config().cross_encoder);
    let pair = |(first, second): &(Vec<u32>, Vec<u32>)| Encoded {
        tokens: [&[1], &first[..], &[2], &second[..], &[2]].concat(),
        types: [vec![0; first.len() + 2], vec![1; second.len() + 1]].concat(),
    };
    let pairs = case.pairs.iter().map(pair).collect();
    let rows = encoder.submit(pairs).unwrap().blocking_recv().unwrap().unwrap();
    for (row, logit) in rows.iter().zip(&case.logits) {
        assert_eq!(row.len(), 1);
        assert!((row[0] - logit).abs() <= 1e-4, "{row:?}, {logit}");
    }
    // The scores differ, so equality is not by chance.
    assert!(
        case.logits.iter().any(|logit| (logit - case.logits[0]).abs() > 1e-3),
        "{:?}",
        case.logits
    );
}

#[test]
fn pairs_are_marked_and_cut_at_their_longer_text() {
    let (_, file, _dir) = cross_encoder();
    let tokenizer = TextEncoder::from_metadata(&file.header().metadata, 8).unwrap();
    let pair = tokenizer.encode_pair("a", &"b ".repeat(50)).unwrap();
    assert_eq!(pair.tokens, [1, 0, 2, 0, 0, 0, 0, 2]);
    assert_eq!(pair.types, [0, 0, 0, 1, 1, 1, 1, 1]);
    let error = TextEncoder::from_metadata(&file.header().metadata, 3)
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("no room for a text between 3 marks"), "{error}");
}

#[test]
fn texts_of_one_pass_do_not_touch_each_other() {
    let encoder = small(Precision::Given(Dtype::Fp32));
    let texts: Vec<Encoded> = [3, 17, 3, 1, 32, 17]
        .iter()
        .map(|n| Encoded::of_tokens((3..3 + n).collect()))
        .collect();
    let alone: Vec<Vec<f32>> = texts
        .iter()
        .map(|text| {
            encoder
                .submit(vec![text.clone()])
                .unwrap()
                .blocking_recv()
                .unwrap()
                .unwrap()
                .remove(0)
        })
        .collect();
    let together = encoder.submit(texts).unwrap().blocking_recv().unwrap().unwrap();
    for (together, alone) in together.iter().zip(&alone) {
        assert!((together[0] - alone[0]).abs() < 1e-5, "{together:?}, {alone:?}");
    }
}

#[test]
fn a_measured_type_gives_the_same_scores() {
    let (measured, single) = (small(Precision::Measured), small(Precision::Given(Dtype::Fp32)));
    let text = vec![Encoded::of_tokens((0..30).collect())];
    let score = |encoder: &Encoder| encoder.submit(text.clone()).unwrap().blocking_recv().unwrap().unwrap()[0][0];
    let (found, expected) = (score(&measured), score(&single));
    assert!((found - expected).abs() < 0.05, "{found}, {expected}");
}

#[test]
fn what_cannot_be_encoded_is_refused_at_once() {
    let encoder = small(Precision::Given(Dtype::Fp32));
    let submit = |tokens: Vec<u32>| encoder.submit(vec![Encoded::of_tokens(tokens)]).unwrap_err();
    assert_eq!(submit(vec![]), SubmitError::EmptyPrompt);
    assert_eq!(submit(vec![0; 33]), SubmitError::TextTooLong { text: 33, most: 32 });
    let (token, vocabulary) = (40, 40);
    assert_eq!(submit(vec![40]), SubmitError::UnknownToken { token, vocabulary });
    // A fault of the request inside the network fails that request and nothing else.
    let strange = Encoded {
        tokens: vec![1, 2],
        types: vec![0, 9],
    };
    let fault = encoder
        .submit(vec![strange])
        .unwrap()
        .blocking_recv()
        .unwrap()
        .unwrap_err();
    assert!(!fault.is_empty());
    assert!(
        encoder
            .submit(vec![Encoded::of_tokens(vec![1])])
            .unwrap()
            .blocking_recv()
            .unwrap()
            .is_ok()
    );
}

#[test]
fn the_queue_is_bounded_and_those_who_hang_up_make_room() {
    let encoder = small(Precision::Given(Dtype::Fp32));
    let large = || vec![Encoded::of_tokens(vec![5; 32]); 300];
    let mut taken = Vec::new();
    let refused = loop {
        match encoder.submit(large()) {
            Ok(rows) => taken.push(rows),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, SubmitError::QueueFull { .. }), "{refused}");
    drop(taken);
    loop {
        match encoder.submit(vec![Encoded::of_tokens(vec![1])]) {
            Ok(rows) => break assert!(rows.blocking_recv().unwrap().is_ok()),
            Err(SubmitError::QueueFull { .. }) => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn an_encoder_that_nobody_holds_answers_what_it_took_and_ends() {
    let encoder = small(Precision::Given(Dtype::Fp32));
    let mut rows = encoder.submit(vec![Encoded::of_tokens(vec![1; 20]); 40]).unwrap();
    drop(encoder);
    let answer = loop {
        match rows.try_recv() {
            Ok(answer) => break answer,
            Err(TryRecvError::Empty) => std::thread::yield_now(),
            Err(TryRecvError::Closed) => panic!("no answer"),
        }
    };
    assert_eq!(answer.unwrap().len(), 40);
}

#[test]
fn models_are_told_their_task() {
    let (_, file, _dir) = cross_encoder();
    let error = crate::ModelConfig::from_header(file.header()).unwrap_err().to_string();
    assert!(error.contains("--task embed or --task rerank"), "{error}");
    let decoder = crate::weights::tests::tiny_file(&[]);
    let error = EncoderConfig::from_header(decoder.header()).unwrap_err();
    assert!(
        matches!(error, LoadError::Task { .. }) && error.to_string().contains("--task generate"),
        "{error}"
    );
    let refused = Encoder::start(file, options(Precision::Measured, 33))
        .err()
        .unwrap()
        .to_string();
    assert!(refused.contains("longer than the 32 positions"), "{refused}");
}
