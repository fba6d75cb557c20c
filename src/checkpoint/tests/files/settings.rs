//! What the files around the weights say, and what of it is refused.

use atelier_checkpoint::{Checkpoint, Files, keys};
use gguf::{Dimensions, Value as Meta};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{bert, bert_tensors, llama, llama_tensors, model, tensor, tokenizer, write_json};

/// Settings with a field replaced or added.
fn with(mut settings: Value, field: &str, value: Value) -> Value {
    settings[field] = value;
    settings
}

#[test]
fn a_directory_looks_like_a_gguf_file() {
    let dir = model(&llama(), &llama_tensors());
    let opened = Checkpoint::open(dir.path()).unwrap();
    let dimensions = Dimensions::from_header(opened.header()).unwrap();
    assert_eq!((dimensions.architecture.name, dimensions.layers), ("llama", 1));
    assert_eq!((dimensions.kv_heads, dimensions.rope_base), (1, 5000.0));
    assert_eq!((opened.format(), opened.rows_are_permuted()), ("safetensors", false));
    let names: Vec<_> = opened
        .header()
        .tensors
        .iter()
        .map(|tensor| tensor.name.as_str())
        .collect();
    assert!(
        names.contains(&"output.weight") && names.contains(&"blk.0.ffn_down.weight"),
        "{names:?}"
    );
    // One file of the directory stands for it.
    let one = Checkpoint::open(&dir.path().join("model.safetensors")).unwrap();
    assert_eq!(one.header(), opened.header());
}

#[test]
fn a_tied_head_is_left_out() {
    let dir = model(&with(llama(), "tie_word_embeddings", json!(true)), &llama_tensors());
    let opened = Checkpoint::open(dir.path()).unwrap();
    assert!(opened.header().tensor("output.weight").is_err());
}

#[rstest]
#[case("model_type", json!("gpt2"), "llama, mistral, qwen2, qwen3 and bert")]
#[case("architectures", json!(["LlamaForSequenceClassification"]), "LlamaForCausalLM")]
#[case("hidden_act", json!("gelu"), "only silu")]
#[case("attention_bias", json!(true), "attention_bias")]
#[case("mlp_bias", json!(true), "mlp_bias")]
#[case("rope_scaling", json!({"rope_type": "llama3", "factor": 8.0}), "rope_scaling")]
#[case("rope_parameters", json!({"rope_type": "yarn"}), "rope_parameters")]
#[case("rope_parameters", json!({"partial_rotary_factor": 0.5}), "whole heads")]
#[case("partial_rotary_factor", json!(0.5), "whole heads")]
#[case("layer_types", json!(["sliding_attention"]), "layer_types")]
#[case("quantization_config", json!({"quant_method": "gptq"}), "quantization_config")]
#[case("rope_theta", json!(1), "")]
#[case("rope_scaling", json!({"type": "default"}), "")]
#[case("num_hidden_layers", json!(1u64 << 60), "num_hidden_layers")]
#[case("num_hidden_layers", json!("1"), "num_hidden_layers")]
#[case("rms_norm_eps", Value::Null, "rms_norm_eps")]
#[case("eos_token_id", json!([3, 6]), "eos_token_id")]
#[case("vocab_size", json!(4), "vocab_size")]
fn settings_of_a_llama(#[case] field: &str, #[case] value: Value, #[case] says: &str) {
    let dir = model(&with(llama(), field, value), &llama_tensors());
    match Checkpoint::open(dir.path()) {
        Ok(_) => assert_eq!(says, ""),
        Err(error) => assert!(!says.is_empty() && error.to_string().contains(says), "{error}"),
    }
}

#[rstest]
#[case("mistral", json!({}), "lower max_position_embeddings to 4096")]
#[case("mistral", json!({"sliding_window": 8}), "lower max_position_embeddings to 8")]
#[case("mistral", json!({"sliding_window": null}), "")]
#[case("mistral", json!({"sliding_window": 8192}), "")]
#[case("qwen2", json!({"sliding_window": 8, "use_sliding_window": false}), "")]
#[case("qwen2", json!({"sliding_window": 8, "use_sliding_window": true}), "sliding_window")]
fn a_window_must_be_as_wide_as_the_context(#[case] kind: &str, #[case] more: Value, #[case] says: &str) {
    let class = if kind == "mistral" {
        "MistralForCausalLM"
    } else {
        "Qwen2ForCausalLM"
    };
    let mut settings = with(llama(), "model_type", json!(kind));
    settings["architectures"] = json!([class]);
    settings["max_position_embeddings"] = json!(8192);
    settings
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let dir = model(&settings, &llama_tensors());
    match Checkpoint::open(dir.path()) {
        Ok(_) => assert_eq!(says, ""),
        Err(error) => assert!(!says.is_empty() && error.to_string().contains(says), "{error}"),
    }
}

#[rstest]
#[case("hidden_act", json!("gelu_new"), "only gelu")]
#[case("position_embedding_type", json!("relative_key"), "absolute")]
#[case("is_decoder", json!(true), "is_decoder")]
#[case("architectures", json!(["BertForQuestionAnswering"]), "BertForSequenceClassification")]
fn variants_of_bert_are_refused(#[case] field: &str, #[case] value: Value, #[case] says: &str) {
    let dir = model(&with(bert(), field, value), &bert_tensors());
    let error = Checkpoint::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains(says), "{error}");
}

/// The steps of `sentence-transformers`.
fn modules(last: &str) -> Value {
    let module = |kind: &str, path: &str| json!({"type": format!("sentence_transformers.models.{kind}"), "path": path});
    json!([
        module("Transformer", ""),
        module("Pooling", "1_Pooling"),
        module(last, "2_Last")
    ])
}

#[rstest]
#[case(json!({"pooling_mode": "cls"}), "cls")]
#[case(json!({"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": false}), "mean")]
#[case(json!({"pooling_mode_max_tokens": true}), "max")]
#[case(json!({"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true}), "exactly one of mean, cls, max")]
#[case(json!({"pooling_mode_weightedmean_tokens": true}), "pooling_mode_weightedmean_tokens")]
#[case(json!({"pooling_mode": "lasttoken"}), "lasttoken")]
fn pooling_is_read(#[case] settings: Value, #[case] expected: &str) {
    let dir = model(&bert(), &bert_tensors());
    write_json(dir.path(), "modules.json", &modules("Normalize"));
    write_json(
        dir.path(),
        "sentence_bert_config.json",
        &json!({"max_seq_length": 12, "do_lower_case": false}),
    );
    std::fs::create_dir(dir.path().join("1_Pooling")).unwrap();
    write_json(&dir.path().join("1_Pooling"), "config.json", &settings);
    match Checkpoint::open(dir.path()) {
        Ok(opened) => {
            let metadata = &opened.header().metadata;
            assert_eq!(metadata.string(keys::POOLING).unwrap(), expected);
            assert_eq!(metadata.unsigned(keys::MAX_SEQUENCE_LENGTH).unwrap(), 12);
            assert!(opened.header().tensor("cls.weight").is_err(), "the pooler is not used");
        }
        Err(error) => assert!(error.to_string().contains(expected), "{error}"),
    }
}

#[test]
fn steps_that_we_do_not_compute_are_refused() {
    let dir = model(&bert(), &bert_tensors());
    write_json(dir.path(), "modules.json", &modules("Dense"));
    let error = Checkpoint::open(dir.path()).unwrap_err().to_string();
    assert!(
        error.contains("module 2 is \"sentence_transformers.models.Dense\""),
        "{error}"
    );
}

#[test]
fn a_classifier_of_several_labels_is_refused() {
    let settings = with(bert(), "architectures", json!(["BertForSequenceClassification"]));
    let mut tensors = bert_tensors();
    for tensor in &mut tensors {
        tensor.name.insert_str(0, "bert.");
    }
    tensors.push(tensor("classifier.weight", &[2, 8]));
    let error = Checkpoint::open(model(&settings, &tensors).path())
        .unwrap_err()
        .to_string();
    assert!(error.contains("id2label") && error.contains("2 labels"), "{error}");
}

#[test]
fn marks_and_template_come_from_the_files_around_the_tokenizer() {
    let dir = model(&llama(), &llama_tensors());
    let read = || Checkpoint::open(dir.path()).unwrap().header().metadata.clone();
    let found = read();
    assert_eq!(found.unsigned("tokenizer.ggml.eos_token_id").unwrap(), 3);
    assert!(found.get("tokenizer.ggml.bos_token_id").is_none());

    write_json(dir.path(), "generation_config.json", &json!({"eos_token_id": [5, 3]}));
    let settings = json!({
        "bos_token": {"content": "<s>"}, "eos_token": "</s>", "add_bos_token": true,
        "chat_template": [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "D"}],
    });
    write_json(dir.path(), "tokenizer_config.json", &settings);
    let found = read();
    assert_eq!(found.unsigned("tokenizer.ggml.bos_token_id").unwrap(), 4);
    assert_eq!(found.unsigned("tokenizer.ggml.eos_token_id").unwrap(), 3);
    assert_eq!(found.integers(keys::END_TOKENS).unwrap(), [5, 3]);
    assert_eq!(found.get("tokenizer.ggml.add_bos_token"), Some(&Meta::Bool(true)));
    assert_eq!(found.string("tokenizer.chat_template").unwrap(), "D");

    std::fs::write(dir.path().join("chat_template.jinja"), "J").unwrap();
    assert_eq!(read().string("tokenizer.chat_template").unwrap(), "J");

    write_json(dir.path(), "tokenizer_config.json", &json!({"eos_token": "<nowhere>"}));
    let error = Checkpoint::open(dir.path()).unwrap_err().to_string();
    assert!(
        error.contains("<nowhere>") && error.contains("tokenizer_config.json"),
        "{error}"
    );
}

#[rstest]
#[case("config.json")]
#[case("tokenizer.json")]
#[case("model.safetensors")]
fn a_missing_file_is_named(#[case] name: &str) {
    let dir = model(&llama(), &llama_tensors());
    std::fs::remove_file(dir.path().join(name)).unwrap();
    let error = Checkpoint::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains(name) && error.contains("failed to find"), "{error}");
}

#[test]
fn a_tokenizer_larger_than_the_embedding_is_refused() {
    let dir = model(&llama(), &llama_tensors());
    let mut file = tokenizer();
    file["added_tokens"][0]["id"] = json!(6);
    write_json(dir.path(), "tokenizer.json", &file);
    let error = Checkpoint::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("its 7 tokens do not fit the 6"), "{error}");
}

#[test]
fn the_files_of_a_model_are_those_that_decide_its_answers() {
    let dir = model(&llama(), &llama_tensors());
    write_json(dir.path(), "generation_config.json", &json!({}));
    std::fs::write(dir.path().join("README.md"), "x").unwrap();
    let files = Files::of(dir.path()).unwrap();
    assert_eq!(
        files.names,
        [
            "config.json",
            "generation_config.json",
            "model.safetensors",
            "tokenizer.json"
        ]
    );
    assert_eq!(files.weights, ["model.safetensors"]);
}
