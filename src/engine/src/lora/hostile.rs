//! Adapters that are damaged, hostile, of another model or of another kind.

use std::{fs, path::Path};

use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    Adapter, AdapterConfig, Projection,
    files::{CONFIG, WEIGHTS},
    testing::{description, module, tiny, tiny_model},
    write,
};
use crate::Dtype;

fn load(directory: &Path) -> Result<Adapter, String> {
    Adapter::load(directory, &tiny_model(), Dtype::Fp32).map_err(|error| error.to_string())
}

fn good() -> TempDir {
    tiny(2, 4.0, &[Projection::Query, Projection::Down])
}

/// A good adapter with these fields of its configuration changed.
fn configured(changes: &Value) -> TempDir {
    let directory = good();
    let path = directory.path().join(CONFIG);
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let changes = changes.as_object().unwrap().clone();
    config.as_object_mut().unwrap().extend(changes);
    fs::write(path, config.to_string()).unwrap();
    directory
}

fn weights_of(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

#[rstest]
#[case(json!({"peft_type": "IA3"}), "\"peft_type\" is \"IA3\"; only LORA")]
#[case(json!({"task_type": "SEQ_CLS"}), "\"task_type\" is \"SEQ_CLS\"")]
#[case(json!({"r": 0}), "\"r\" is 0; expected a rank of 1 to 1024")]
#[case(json!({"r": -1}), "\"r\" is -1")]
#[case(json!({"r": 1u64 << 60}), "\"r\" is 1152921504606846976")]
#[case(json!({"r": null}), "\"r\" is missing")]
#[case(json!({"r": "8"}), "\"r\" is \"8\"")]
#[case(json!({"r": 4}), "has the shape [2, 48], the model served here and rank 4 call for [4, 48]")]
#[case(json!({"lora_alpha": "x".repeat(1000)}), "x...; expected a number")]
#[case(json!({"bias": "all"}), "train with bias \"none\"")]
#[case(json!({"use_dora": true}), "DoRA is not supported")]
#[case(json!({"use_bdlora": {"nblocks": 2}}), "\"use_bdlora\" is a variant")]
#[case(json!({"use_never_heard_of": true}), "\"use_never_heard_of\" is a variant")]
#[case(json!({"fan_in_fan_out": true}), "\"fan_in_fan_out\"")]
#[case(json!({"lora_bias": true}), "\"lora_bias\"")]
#[case(json!({"modules_to_save": ["lm_head"]}), "\"modules_to_save\"")]
#[case(json!({"trainable_token_indices": [1]}), "\"trainable_token_indices\"")]
#[case(json!({"init_lora_weights": "pissa_niter_4"}), "changes the base model's weights")]
#[case(json!({"target_modules": ["q_proj", "lm_head"]}), "\"target_modules\" has \"lm_head\"")]
#[case(json!({"target_modules": ["model.embed_tokens"]}), "\"target_modules\" has \"model.embed_tokens\"")]
#[case(json!({"target_modules": []}), "\"target_modules\" is empty")]
#[case(json!({"target_modules": [1]}), "expected an array of names")]
#[case(json!({"target_modules": null}), "\"target_modules\" is missing")]
#[case(json!({"target_modules": ["q_proj"]}), "layers.0.mlp.down_proj.lora_A.weight\" is not among")]
#[case(json!({"target_modules": ["q_proj", "k_proj", "down_proj"]}), "lacks the tensor \"base_model.model.model.layers.0.self_attn.k_proj.lora_A.weight\"")]
#[case(json!({"layers_to_transform": [0]}), "layers.1.self_attn.q_proj.lora_A.weight\" is not among")]
#[case(json!({"layers_to_transform": -1}), "\"layers_to_transform\" is -1")]
#[case(json!({"layers_pattern": "h"}), "\"layers_pattern\" only")]
#[case(json!({"rank_pattern": {"q_.*": 1}}), "\"rank_pattern.q_.*\" is a regular expression")]
#[case(json!({"rank_pattern": {"q_proj": 0}}), "\"rank_pattern.q_proj\" is 0")]
#[case(json!({"rank_pattern": {"q_proj": 1}}), "rank 1 call for [1, 32]")]
#[case(json!({"alpha_pattern": [1]}), "\"alpha_pattern\" is [1]; expected an object")]
fn configurations_are_refused_by_field(#[case] changes: Value, #[case] expected: &str) {
    let error = load(configured(&changes).path()).unwrap_err();
    assert!(error.contains(expected), "{error}");
    assert!(error.len() < 600, "{error}");
}

#[rstest]
#[case(json!({}))]
#[case(json!({"peft_type": null, "task_type": null, "lora_dropout": 0.5, "lora_alpha": 2.5}))]
#[case(json!({"target_modules": "all-linear", "exclude_modules": ["k_proj", "v_proj", "self_attn.o_proj", "gate_proj", "up_proj"]}))]
#[case(json!({"target_modules": ".*(q|down)_proj"}))]
#[case(json!({"target_modules": ["self_attn.q_proj", "down_proj", "c_attn"]}))]
#[case(json!({"layers_to_transform": [0, 1], "layers_pattern": "layers"}))]
#[case(json!({"layers_to_transform": [], "init_lora_weights": "gaussian", "some_new_field": 7}))]
fn harmless_configurations_are_not(#[case] changes: Value) {
    assert_eq!(load(configured(&changes).path()).map(|adapter| adapter.rank()), Ok(2));
}

#[test]
fn an_adapter_of_another_model_names_both() {
    let mut larger = tiny_model();
    larger.hidden_size = 64;
    let directory = tempfile::tempdir().unwrap();
    let modules: Vec<_> = (0..2).map(|layer| module(layer, Projection::Key, 2, &larger)).collect();
    write(directory.path(), &description(2, 4.0, &[Projection::Key]), &modules).unwrap();
    assert_eq!(
        load(directory.path()).unwrap_err(),
        "adapter_model.safetensors: tensor \"base_model.model.model.layers.0.self_attn.k_proj.lora_A.weight\" has the shape \
         [2, 64], the model served here and rank 2 call for [2, 32]; the adapter says that it was made for \"tiny\""
    );
    let deeper = [module(2, Projection::Key, 2, &tiny_model())];
    write(directory.path(), &description(2, 4.0, &[Projection::Key]), &deeper).unwrap();
    let error = load(directory.path()).unwrap_err();
    assert!(
        error.contains("belongs to layer 2, the model served here has 2 layers"),
        "{error}"
    );
}

const A: &str = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";

#[rstest]
#[case(Vec::new(), "truncated")]
#[case(u64::MAX.to_le_bytes().into(), "claims 18446744073709551615 bytes")]
#[case((3u64 << 20).to_le_bytes().into(), "shorter than its header")]
#[case(weights_of("{", 0), "EOF")]
#[case(weights_of("[]", 0), "not valid")]
#[case(weights_of("{}", 0), "no tensors")]
#[case(weights_of("{}", 8), "longer or shorter")]
#[case(weights_of(&json!({A: {"dtype": "F32", "shape": [1u64 << 60, 2], "data_offsets": [0, 8]}}).to_string(), 8), "not valid")]
#[case(weights_of(&json!({A: {"dtype": "F32", "shape": [2, 32], "data_offsets": [0, 1u64 << 60]}}).to_string(), 8), "not valid")]
#[case(weights_of(&json!({A: {"dtype": "F32", "shape": [2, 32], "data_offsets": [8, 264]}}).to_string(), 264), "not valid")]
#[case(weights_of(&json!({A: {"dtype": "F32", "shape": [2, 32], "data_offsets": [0, 256]}}).to_string(), 255), "longer or shorter")]
#[case(weights_of(&json!({A: {"dtype": "F32", "shape": [2, 32], "data_offsets": [0, 256]}}).to_string(), 256), "lacks the tensor")]
#[case(weights_of(&json!({A: {"dtype": "F32", "shape": [64], "data_offsets": [0, 256]}}).to_string(), 256), "the shape [64]")]
#[case(weights_of(&json!({A: {"dtype": "I32", "shape": [2, 32], "data_offsets": [0, 256]}}).to_string(), 256), "has the type I32")]
#[case(weights_of(&json!({"x": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]}}).to_string(), 4), "only lora_A")]
fn weights_files_are_refused(#[case] bytes: Vec<u8>, #[case] expected: &str) {
    let directory = good();
    fs::write(directory.path().join(WEIGHTS), bytes).unwrap();
    let error = load(directory.path()).unwrap_err();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn values_must_be_numbers_also_when_scaled() {
    let directory = tempfile::tempdir().unwrap();
    for (value, alpha) in [(f32::NAN, 2.0), (f32::INFINITY, 2.0), (3e38, 4.0)] {
        let mut modules: Vec<_> = (0..2)
            .map(|layer| module(layer, Projection::Up, 2, &tiny_model()))
            .collect();
        modules[1].b[5] = value;
        write(directory.path(), &description(2, alpha, &[Projection::Up]), &modules).unwrap();
        let error = load(directory.path()).unwrap_err();
        assert!(
            error.contains("layers.1.mlp.up_proj.lora_B.weight\" has infinite"),
            "{error}"
        );
    }
}

#[test]
fn what_is_no_regular_file_of_a_normal_size_is_not_read() {
    let directory = good();
    let config = directory.path().join(CONFIG);
    fs::write(&config, " ".repeat((1 << 20) + 1)).unwrap();
    let error = load(directory.path()).unwrap_err();
    assert!(error.contains("more than the 1048576 that are read"), "{error}");
    fs::remove_file(&config).unwrap();
    let error = load(directory.path()).unwrap_err();
    assert!(error.contains("adapter_config.json"), "{error}");
    fs::create_dir(&config).unwrap();
    let error = load(directory.path()).unwrap_err();
    assert!(error.contains("no regular file"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_bytes_are_no_reason_to_panic(config: Vec<u8>) {
        let _ = AdapterConfig::parse(&config);
    }

    #[test]
    fn damaged_configurations_load_or_are_refused(at: prop::sample::Index, byte: u8) {
        let directory = good();
        let path = directory.path().join(CONFIG);
        let mut bytes = fs::read(&path).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        fs::write(path, bytes).unwrap();
        let _ = load(directory.path());
    }

    #[test]
    fn damaged_headers_load_or_are_refused(at: prop::sample::Index, byte: u8, cut: Option<prop::sample::Index>) {
        let directory = good();
        let path = directory.path().join(WEIGHTS);
        let mut bytes = fs::read(&path).unwrap();
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize + 8;
        let at = at.index(header);
        bytes[at] = byte;
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
            fs::write(path, bytes).unwrap();
            prop_assert!(load(directory.path()).is_err());
        } else {
            fs::write(path, bytes).unwrap();
            if let Ok(adapter) = load(directory.path()) {
                prop_assert_eq!(adapter.rank(), 2);
            }
        }
    }
}
