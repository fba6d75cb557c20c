//! The whole way on a tiny model.

use std::{cell::RefCell, path::Path};

use protocol::{PrepareFailure, Stage};
use rstest::rstest;
use sha2::{Digest, Sha256};

use super::*;
use crate::{Method, Pruning, Structure, testing::tiny_model};

const LAYERS: u64 = 3;

pub(super) fn options(store: &Path) -> Options {
    let text = store.with_extension("txt");
    std::fs::write(&text, include_str!("../sample.txt").get(..2000).unwrap()).unwrap();
    Options {
        quantization: Quantization::Int4,
        method: Some(Method::Rtn),
        group_size: 32,
        pruning: None,
        structure: None,
        max_increase: None,
        calibration: Some(text),
        store: store.to_owned(),
    }
}

/// The source lies beside the store.
fn job(source: &[u8], options: Options) -> Job {
    let file = options.store.with_extension("gguf");
    std::fs::write(&file, source).unwrap();
    Job {
        source: file,
        digest: format!("sha256:{}", hex::encode(Sha256::digest(source))),
        bytes: source.len() as u64,
        options,
    }
}

fn compress(options: Options) -> Result<Outcome, Error> {
    run(job(&tiny_model(LAYERS, 7), options), |_| {})
}

fn entries(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn number(text: &str) -> f64 {
    text.parse().unwrap()
}

#[rstest]
#[case::bf16(Quantization::BF16, None, None, None)]
#[case::fp16(Quantization::FP16, None, None, None)]
#[case::int8(Quantization::Int8, None, None, None)]
#[case::rtn(Quantization::Int4, Some(Method::Rtn), None, None)]
#[case::hqq(Quantization::Int4, Some(Method::Hqq), None, None)]
#[case::awq(Quantization::Int4, Some(Method::Awq), None, None)]
#[case::gptq(Quantization::Int4, Some(Method::Gptq), None, None)]
#[case::magnitude(Quantization::None, None, Some((Pruning::Magnitude, 0.3)), None)]
#[case::wanda(Quantization::Int4, Some(Method::Gptq), Some((Pruning::Wanda, 0.3)), None)]
#[case::layers(Quantization::Int4, Some(Method::Gptq), Some((Pruning::Structured, 0.3)), Some(Structure::Layers))]
#[case::channels(Quantization::Int4, Some(Method::Awq), Some((Pruning::Structured, 0.3)), None)]
fn what_is_published_is_what_was_measured(
    #[case] quantization: Quantization,
    #[case] method: Option<Method>,
    #[case] pruning: Option<(Pruning, f64)>,
    #[case] structure: Option<Structure>,
) {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        quantization,
        method,
        pruning,
        structure,
        ..options(&dir.path().join("store"))
    };
    let outcome = compress(options.clone()).unwrap();
    let path = options.store.join(&outcome.file);
    let bytes = std::fs::read(&path).unwrap();
    let digest = hex::encode(Sha256::digest(&bytes));
    assert_eq!(outcome.digest, format!("sha256:{digest}"));
    assert_eq!(outcome.file, format!("sha256-{digest}/model.gguf"));
    assert_eq!(outcome.bytes, bytes.len() as u64);

    // The file as the engine's own reader sees it, and its perplexity as that of a source.
    let again = Options {
        quantization: Quantization::BF16,
        method: None,
        pruning: None,
        structure: None,
        store: dir.path().join("again"),
        ..options
    };
    let measured = run(job(&bytes, again), |_| {}).unwrap().report;
    let (found, expected) = (
        number(&measured.perplexity_before),
        number(&outcome.report.perplexity_after),
    );
    assert!((found / expected - 1.0).abs() < 1e-5, "{found} {expected}");
    let before = number(&outcome.report.perplexity_before);
    assert!(before > 1.0 && expected < 1.5 * before, "{before} {expected}");
    assert_ne!(outcome.report.perplexity_before, outcome.report.perplexity_after);
}

#[test]
fn structured_pruning_makes_a_smaller_model() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        quantization: Quantization::FP16,
        method: None,
        pruning: Some((Pruning::Structured, 0.3)),
        ..options(&dir.path().join("store"))
    };
    let outcome = compress(options.clone()).unwrap();
    let file = gguf::GgufFile::open(&options.store.join(outcome.file)).unwrap();
    let metadata = &file.header().metadata;
    assert_eq!(metadata.unsigned("llama.feed_forward_length").unwrap(), 64);
    assert_eq!(metadata.unsigned("general.file_type").unwrap(), 1);
    assert_eq!(file.header().tensor("blk.2.ffn_down.weight").unwrap().shape, [64, 64]);
    let less = Options {
        pruning: Some((Pruning::Structured, 0.1)),
        ..options
    };
    assert!(compress(less).unwrap_err().to_string().contains("--sparsity 0.1"));
}

/// The tiny model with a layer that does nothing in the middle.
fn with_an_idle_layer() -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), tiny_model(LAYERS, 7)).unwrap();
    let source = gguf::GgufFile::open(file.path()).unwrap();
    let tensors = source.header().tensors.iter().map(|info| {
        let mut bytes = source.read_tensor(info).unwrap();
        if ["blk.1.attn_output.weight", "blk.1.ffn_down.weight"].contains(&info.name.as_str()) {
            bytes.fill(0);
        }
        gguf::write::Tensor {
            name: info.name.clone(),
            shape: info.shape.clone(),
            ggml_type: info.ggml_type,
            bytes,
        }
    });
    let metadata = source.header().metadata.iter();
    let metadata: Vec<_> = metadata.map(|(key, value)| (key, value.clone())).collect();
    gguf::write::to_bytes(&metadata, &tensors.collect::<Vec<_>>())
}

fn fewer_layers(store: &Path) -> Options {
    Options {
        quantization: Quantization::None,
        method: None,
        pruning: Some((Pruning::Structured, 0.3)),
        structure: Some(Structure::Layers),
        ..options(store)
    }
}

#[test]
fn the_layer_that_does_nothing_goes_without_a_trace() {
    let dir = tempfile::tempdir().unwrap();
    let source = with_an_idle_layer();
    let options = fewer_layers(&dir.path().join("store"));
    let outcome = run(job(&source, options.clone()), |_| {}).unwrap();
    assert_eq!(outcome.report.perplexity_before, outcome.report.perplexity_after);
    assert_eq!(outcome.report.structure.as_deref(), Some("Layers"));

    let found = gguf::GgufFile::open(&options.store.join(outcome.file)).unwrap();
    assert_eq!(
        found.header().metadata.unsigned("llama.block_count").unwrap(),
        LAYERS - 1
    );
    let before = gguf::GgufFile::open(&options.store.with_extension("gguf")).unwrap();
    assert_eq!(found.header().tensors.len(), before.header().tensors.len() - 9);
    for info in &found.header().tensors {
        // What follows the layer that is gone moves up.
        let old = info.name.replace("blk.1.", "blk.2.");
        let old = before.read_tensor(before.header().tensor(&old).unwrap()).unwrap();
        assert!(found.read_tensor(info).unwrap() == old, "{}", info.name);
    }
}

#[test]
fn a_share_that_takes_no_layer_is_refused_and_one_layer_always_stays() {
    let dir = tempfile::tempdir().unwrap();
    let options = fewer_layers(&dir.path().join("store"));
    let share = |share| Options {
        pruning: Some((Pruning::Structured, share)),
        ..options.clone()
    };
    let message = compress(share(0.1)).unwrap_err().to_string();
    assert!(message.contains("--sparsity 0.1 takes none of 3 layers"), "{message}");
    assert_eq!(entries(&options.store), [""; 0]);
    let outcome = compress(share(0.99)).unwrap();
    let file = gguf::GgufFile::open(&options.store.join(outcome.file)).unwrap();
    assert_eq!(file.header().metadata.unsigned("llama.block_count").unwrap(), 1);
}

#[test]
fn a_result_over_the_limit_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let strict = Options {
        pruning: Some((Pruning::Magnitude, 0.9)),
        max_increase: Some(0.0001),
        ..options(&dir.path().join("store"))
    };
    let failure = PrepareFailure::from(compress(strict.clone()).unwrap_err());
    assert_eq!(
        (failure.reason.as_str(), failure.retryable),
        ("PerplexityExceeded", false)
    );
    assert!(failure.message.contains("0.01%"), "{failure}");
    assert_eq!(entries(&strict.store), [""; 0]);
}

#[test]
fn the_same_again_is_found_and_another_limit_is_applied_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(&dir.path().join("store"));
    options.pruning = Some((Pruning::Magnitude, 0.9));
    let first = compress(options.clone()).unwrap();
    let stages = RefCell::new(Vec::new());
    let second = run(job(&tiny_model(LAYERS, 7), options.clone()), |progress| {
        stages.borrow_mut().push(progress.stage);
    });
    assert_eq!(second.unwrap(), first);
    assert_eq!(stages.into_inner(), []);
    assert_eq!(entries(&options.store).len(), 2, "{:?}", entries(&options.store));
    options.max_increase = Some(0.0001);
    assert!(matches!(compress(options), Err(Error::PerplexityExceeded { .. })));
}

/// Ends a run after `after` reports of progress, as a crash of the thread would.
fn interrupted(options: &Options, after: usize) -> bool {
    let job = job(&tiny_model(LAYERS, 7), options.clone());
    let count = RefCell::new(0);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        run(job, |_| {
            *count.borrow_mut() += 1;
            assert!(*count.borrow() <= after, "interrupted as the test wants");
        })
    }));
    result.is_err()
}

#[rstest]
#[case(Method::Rtn)]
#[case(Method::Gptq)]
fn an_interrupted_run_goes_on_and_gives_the_same_file(#[case] method: Method) {
    let dir = tempfile::tempdir().unwrap();
    let mut whole = options(&dir.path().join("whole"));
    whole.method = Some(method);
    let expected = compress(whole.clone()).unwrap();
    let pieces = Options {
        store: dir.path().join("pieces"),
        ..whole
    };
    let mut interruptions = 0;
    // Each time a little further: reports of finished steps do not come again.
    while interrupted(&pieces, 4) {
        interruptions += 1;
        assert!(entries(&pieces.store).iter().all(|name| name.starts_with(".work-")));
        assert!(interruptions < 20);
    }
    assert!(interruptions >= 2, "{interruptions}");
    assert_eq!(compress(pieces).unwrap(), expected);
}

#[test]
fn damaged_work_is_done_anew() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(&dir.path().join("store"));
    assert!(interrupted(&options, 5));
    let work = options.store.join(&entries(&options.store)[0]);
    let path = work.join("artifact/model.gguf");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 4;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let outcome = compress(options).unwrap();
    let clean = super::tests::options(&dir.path().join("clean"));
    assert_eq!(compress(clean).unwrap().digest, outcome.digest);
}

#[test]
fn progress_counts_blocks_and_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(&dir.path().join("store"));
    options.method = Some(Method::Gptq);
    let seen = RefCell::new(Vec::new());
    run(job(&tiny_model(LAYERS, 7), options), |progress| {
        seen.borrow_mut().push(progress)
    })
    .unwrap();
    let seen = seen.into_inner();
    let stages: Vec<_> = seen.iter().map(|progress| progress.stage).collect();
    let block = [Stage::Calibrating, Stage::Evaluating, Stage::Quantizing];
    assert_eq!(
        stages,
        [&[Stage::Converting][..], &block, &block, &block, &[Stage::Evaluating]].concat()
    );
    let last = seen.last().unwrap();
    assert_eq!((last.layers, last.total_layers), (Some(3), Some(3)));
    assert!(seen.is_sorted_by_key(|progress| progress.bytes));
    assert!(last.bytes > 0 && Some(last.bytes) < last.total);
}

#[test]
fn a_source_that_computes_no_numbers_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut source = tiny_model(1, 7);
    // Large, but finite, weights at the end: down gives infinities.
    let end = source.len();
    for weight in source[end - 4096..].as_chunks_mut::<4>().0 {
        *weight = 3e38f32.to_le_bytes();
    }
    let options = Options {
        quantization: Quantization::BF16,
        method: None,
        ..options(&dir.path().join("store"))
    };
    let error = run(job(&source, options), |_| {}).unwrap_err();
    assert!(matches!(error, Error::PerplexityExceeded { .. }), "{error}");
}

#[test]
fn a_file_that_is_no_model_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.gguf");
    std::fs::write(&path, b"GGUF").unwrap();
    let job = Job {
        source: path,
        digest: "sha256:0".into(),
        bytes: 4,
        options: options(&dir.path().join("store")),
    };
    assert!(matches!(run(job, |_| {}), Err(Error::Files(_))));
}
