//! Adapters that `peft` wrote, byte for byte, give the logits that it computes with them: in the engine, and in a
//! training that goes on from their numbers. See `theirs.py`.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use engine::{Dtype, LogitRows, Model, ModelOptions, Ops, Segment, lora::Adapter};
use protocol::tune::{LoraSettings, Method};
use rstest::rstest;
use safetensors::SafeTensors;
use serde::Deserialize;
use serde_json::Value;
use tch::{Kind, Tensor};
use tempfile::TempDir;

use super::fill;
use crate::{
    Trainer,
    testing::{plan, tiny},
};

/// What logits may be off by: both sides add up in an order of their own.
const NEAR: f64 = 1e-3;

/// What `theirs.py` found out about one adapter.
#[derive(Deserialize)]
struct Theirs {
    base: String,
    files: BTreeMap<String, String>,
    tokens: Vec<i64>,
    logits: Vec<f32>,
}

fn theirs(name: &str) -> (Theirs, TempDir) {
    let mut all: BTreeMap<String, Theirs> = serde_json::from_str(include_str!("theirs.json")).unwrap();
    let theirs = all.remove(name).unwrap();
    let directory = tempfile::tempdir().unwrap();
    for (file, content) in &theirs.files {
        let content = BASE64_STANDARD.decode(content).unwrap();
        fs::write(directory.path().join(file), content).unwrap();
    }
    (theirs, directory)
}

impl Theirs {
    fn check(&self, name: &str, ours: &Tensor, base: &Tensor) {
        let theirs = Tensor::from_slice(&self.logits).view([self.tokens.len() as i64, -1]);
        let far = |a: &Tensor, b: &Tensor| (a - b).abs().max().double_value(&[]);
        let off = far(ours, &theirs);
        println!("{name}: largest difference {off:.2e}");
        assert!(off < NEAR, "{name}: {off}");
        assert!(far(base, &theirs) > 100.0 * NEAR, "{name}: the adapter changes nothing");
    }
}

/// The logits of the engine, `[tokens, vocabulary]`.
fn served(model: &Model, tokens: &[i64], adapter: Option<&Arc<Adapter>>) -> Tensor {
    let segment = Segment {
        pages: vec![0],
        start: 0,
        tokens: tokens.iter().map(|token| *token as u32).collect(),
        logits: LogitRows::All,
        adapter: adapter.cloned(),
    };
    let batch = engine::Batch {
        segments: vec![segment],
    };
    let _guard = tch::no_grad_guard();
    model.forward(&batch, &model.cache(1).unwrap()).unwrap().unwrap()
}

#[rstest]
#[case("lora")]
#[case("rslora of all layers")]
#[case("other ranks")]
fn the_engine_computes_with_adapters_of_peft(#[case] name: &str) {
    let (theirs, directory) = theirs(name);
    let options = ModelOptions::plain(Dtype::Fp32, Ops::Own, 64);
    let model = Model::load(&tiny(&theirs.base), &options).unwrap();
    let adapter = Arc::new(Adapter::load(directory.path(), model.config(), Dtype::Fp32).unwrap());
    let ours = served(&model, &theirs.tokens, Some(&adapter));
    theirs.check(name, &ours, &served(&model, &theirs.tokens, None));
}

/// The training that has the adapter's numbers.
fn training(base: &str, directory: &Path) -> Trainer {
    let config: Value = serde_json::from_slice(&fs::read(directory.join("adapter_config.json")).unwrap()).unwrap();
    let prefix = config["peft_type"] == "PREFIX_TUNING";
    let mut plan = plan(if prefix { Method::Prefix } else { Method::LoRA });
    plan.hyperparameters.virtual_tokens = config["num_virtual_tokens"].as_u64();
    plan.hyperparameters.lora = config["r"].as_u64().map(|r| LoraSettings {
        r,
        alpha: config["lora_alpha"].as_f64().unwrap(),
        rank_stabilized: config["use_rslora"].as_bool().unwrap(),
        targets: serde_json::from_value(config["target_modules"].clone()).unwrap(),
    });
    let mut trainer = Trainer::new(tiny(base), &plan, 1).unwrap();
    let bytes = fs::read(directory.join("adapter_model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    fill(&mut trainer, |name, size| {
        let view = file.tensor(name).unwrap();
        assert_eq!(view.dtype(), safetensors::Dtype::F32);
        Tensor::f_from_data_size(view.data(), size, Kind::Float).unwrap()
    });
    // Nothing of the file is left out.
    let numbers: usize = file
        .tensors()
        .iter()
        .map(|(_, view)| view.shape().iter().product::<usize>())
        .sum();
    assert_eq!(numbers as u64, trainer.trained_numbers());
    trainer
}

#[rstest]
#[case("lora")]
#[case("rslora of all layers")]
#[case("prefix")]
#[case("prefix of qwen2")]
fn a_training_computes_with_adapters_of_peft(#[case] name: &str) {
    let (theirs, directory) = theirs(name);
    let trainer = training(&theirs.base, directory.path());
    let base = Model::load(&tiny(&theirs.base), &ModelOptions::plain(Dtype::Fp32, Ops::Own, 64)).unwrap();
    let ours = trainer.logits_for_tests(&theirs.tokens);
    theirs.check(name, &ours, &served(&base, &theirs.tokens, None));
}
