//! What is published is read again: by the engine, and, by hand, by `peft` (`parity/check_written.py`).

use std::{collections::BTreeMap, path::Path};

use engine::{Dtype, ModelConfig};
use protocol::tune::{Method, OutputKind};
use rstest::rstest;
use safetensors::SafeTensors;
use serde_json::{Value, json};

use crate::{
    Trainer, Weights, Work,
    testing::{plan, run, text, tiny},
};

/// The weights of another training read as its base.
fn reopened(directory: &Path) -> Trainer {
    // The caller's part.
    let tokenizer = json!({
        "added_tokens": [],
        "decoder": {"type": "ByteLevel"},
        "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]},
    });
    std::fs::write(directory.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    let base = checkpoint::Checkpoint::open(directory).unwrap();
    Trainer::new(base, &plan(Method::LoRA), 1).unwrap()
}

fn work() -> Work {
    Work::Texts(vec![vec![text(5, 9)], vec![text(11, 6)]])
}

#[rstest]
#[case("llama", Method::Full, "fp32", 1e-5)]
#[case("qwen2", Method::Full, "fp32", 1e-5)]
#[case("qwen3", Method::Full, "fp32", 1e-5)]
#[case("llama", Method::Full, "bf16", 0.5)]
#[case("llama", Method::Pretrain, "fp32", 1e-5)]
fn weights_are_a_model(#[case] base: &str, #[case] method: Method, #[case] dtype: &str, #[case] near: f64) {
    for tied in [true, false] {
        let mut plan = plan(method);
        plan.hyperparameters.dtype = Some(dtype.into());
        plan.architecture.as_mut().unwrap().tie_embeddings = tied;
        let mut trainer = Trainer::new(tiny(base), &plan, 10).unwrap();
        run(&mut trainer, 0..3);
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(
            trainer.write_output(directory.path(), "base").unwrap(),
            OutputKind::Weights
        );
        let again = reopened(directory.path()).measure(&work(), Weights::Base).unwrap();
        let ours = trainer.measure(&work(), Weights::Tuned).unwrap();
        assert!((again.loss - ours.loss).abs() < near, "{again:?} {ours:?}");
    }
}

#[rstest]
#[case(Method::LoRA)]
#[case(Method::QLoRA)]
fn the_engine_reads_low_rank_matrices(#[case] method: Method) {
    let mut trainer = Trainer::new(tiny("llama"), &plan(method), 10).unwrap();
    run(&mut trainer, 0..3);
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(
        trainer.write_output(directory.path(), "base").unwrap(),
        OutputKind::Adapter
    );
    let model = ModelConfig::from_header(tiny("llama").header()).unwrap();
    let adapter = engine::lora::Adapter::load(directory.path(), &model, Dtype::Fp32).unwrap();
    assert_eq!(
        (adapter.rank(), adapter.base(), adapter.targets().count()),
        (4, Some("base"), 7)
    );
}

fn shapes(directory: &Path) -> (Value, BTreeMap<String, Vec<usize>>) {
    let config = std::fs::read(directory.join("adapter_config.json")).unwrap();
    let bytes = std::fs::read(directory.join("adapter_model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let named = tensors.tensors().into_iter();
    let shapes = named.map(|(name, tensor)| (name, tensor.shape().to_vec())).collect();
    (serde_json::from_slice(&config).unwrap(), shapes)
}

#[test]
fn a_prefix_is_what_peft_writes() {
    let trainer = Trainer::new(tiny("llama"), &plan(Method::Prefix), 10).unwrap();
    let directory = tempfile::tempdir().unwrap();
    trainer.write_output(directory.path(), "base").unwrap();
    let (config, shapes) = shapes(directory.path());
    assert_eq!(shapes, BTreeMap::from([("prompt_embeddings".to_owned(), vec![4, 64])]));
    // As peft 0.21.2 saves it, see `parity/check_written.py`.
    let expected = json!({
        "auto_mapping": null, "base_model_name_or_path": "base", "encoder_hidden_size": 16, "inference_mode": true,
        "init_weights": null, "modules_to_save": null, "num_attention_heads": 2, "num_layers": 2,
        "num_transformer_submodules": 1, "num_virtual_tokens": 4, "peft_type": "PREFIX_TUNING",
        "peft_version": "0.21.2", "prefix_projection": false, "revision": null, "task_type": "CAUSAL_LM",
        "token_dim": 16,
    });
    assert_eq!(config, expected);
}

#[test]
fn bottleneck_layers_say_what_they_are() {
    let trainer = Trainer::new(tiny("llama"), &plan(Method::Adapter), 10).unwrap();
    let directory = tempfile::tempdir().unwrap();
    trainer.write_output(directory.path(), "base").unwrap();
    let (config, shapes) = shapes(directory.path());
    assert_eq!(config["atelier"], json!({"adapter": "houlsby", "version": 1}));
    assert_eq!(config["bottleneck"], 8);
    assert_eq!(shapes.len(), 16);
    assert_eq!(shapes["layers.1.feed_forward.up.weight"], [32, 8]);
}

/// Writes trained adapters and weights for `parity/check_written.py`, with the loss that we compute.
#[test]
#[ignore = "writes to the directory in ATELIER_TRAIN_OUT, for a check by hand"]
fn write_for_peft() {
    let out = std::path::PathBuf::from(std::env::var_os("ATELIER_TRAIN_OUT").unwrap());
    let cases = [
        ("llama", Method::LoRA),
        ("qwen2", Method::LoRA),
        ("llama", Method::Prefix),
        ("llama", Method::Full),
        ("qwen2", Method::Full),
        ("qwen3", Method::Full),
        ("llama", Method::Pretrain),
    ];
    for (base, method) in cases {
        let directory = out.join(format!("{base}-{method:?}"));
        std::fs::create_dir_all(&directory).unwrap();
        let mut trainer = Trainer::new(tiny(base), &plan(method), 10).unwrap();
        run(&mut trainer, 0..5);
        trainer.write_output(&directory, "base").unwrap();
        let measured = trainer.measure(&work(), Weights::Tuned).unwrap();
        let Work::Texts(rows) = work() else { unreachable!() };
        let texts: Vec<_> = rows
            .iter()
            .flatten()
            .map(|it| json!({"tokens": it.tokens, "targets": it.targets}))
            .collect();
        let ours = json!({
            "base": base, "weights": matches!(method, Method::Full | Method::Pretrain), "texts": texts,
            "loss": measured.loss,
        });
        std::fs::write(directory.join("ours.json"), ours.to_string()).unwrap();
    }
}
