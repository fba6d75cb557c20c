//! Files of tiny networks, and what is refused of them.

use std::io::Write;

use gguf::{GgmlType, GgufFile, Value, write};

use super::*;

/// A Llama file, see [`file_of`].
pub(crate) fn tiny_file(changes: &[(&str, Value)]) -> Checkpoint {
    file_of("llama", changes)
}

/// A file of a tiny network (2 layers, 4 heads of 8 or, in Qwen 3, 12, 2 kv heads, 64 tokens) with
/// small weights that differ from place to place. `changes` replace or add metadata.
pub(crate) fn file_of(architecture: &str, changes: &[(&str, Value)]) -> Checkpoint {
    let family = gguf::Architecture::named(architecture).unwrap();
    let head_dim = if family.head_norm { 12 } else { 8 };
    let numbers = [
        ("block_count", Value::Unsigned(2)),
        ("embedding_length", Value::Unsigned(32)),
        ("feed_forward_length", Value::Unsigned(48)),
        ("attention.head_count", Value::Unsigned(4)),
        ("attention.head_count_kv", Value::Unsigned(2)),
        ("attention.key_length", Value::Unsigned(head_dim)),
        ("attention.layer_norm_rms_epsilon", Value::Float(1e-5)),
        ("context_length", Value::Unsigned(128)),
    ];
    let name = ("general.architecture".to_owned(), Value::String(architecture.into()));
    let numbers = numbers.map(|(key, value)| (format!("{architecture}.{key}"), value));
    let all = [name].into_iter().chain(numbers);
    let mut metadata: Vec<_> = all
        .filter(|(key, _)| changes.iter().all(|(changed, _)| changed != key))
        .collect();
    metadata.extend(changes.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    let metadata: Vec<_> = metadata
        .iter()
        .map(|(key, value)| (key.as_str(), value.clone()))
        .collect();

    let (queries, keys) = (4 * head_dim, 2 * head_dim);
    let mut tensors = vec![
        tensor("token_embd.weight", &[64, 32]),
        tensor("output_norm.weight", &[32]),
    ];
    for layer in 0..2 {
        let mut add = |name: &str, shape: &[u64]| tensors.push(tensor(&format!("blk.{layer}.{name}"), shape));
        add("attn_norm.weight", &[32]);
        add("attn_q.weight", &[queries, 32]);
        add("attn_k.weight", &[keys, 32]);
        add("attn_v.weight", &[keys, 32]);
        add("attn_output.weight", &[32, queries]);
        add("ffn_norm.weight", &[32]);
        add("ffn_gate.weight", &[48, 32]);
        add("ffn_up.weight", &[48, 32]);
        add("ffn_down.weight", &[32, 48]);
        if family.qkv_bias {
            add("attn_q.bias", &[queries]);
            add("attn_k.bias", &[keys]);
            add("attn_v.bias", &[keys]);
        }
        if family.head_norm {
            add("attn_q_norm.weight", &[head_dim]);
            add("attn_k_norm.weight", &[head_dim]);
        }
    }
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&write::to_bytes(&metadata, &tensors)).unwrap();
    GgufFile::from_file(file).unwrap().into()
}

fn tensor(name: &str, shape: &[u64]) -> write::Tensor {
    let count = shape.iter().product::<u64>();
    let seed = name.bytes().map(u64::from).sum::<u64>();
    let norm = shape.len() == 1 && name.ends_with("weight");
    let bytes = (0..count)
        .flat_map(|i| {
            let wave = ((i * 37 + seed * 101) % 97) as f32 / 97.0 - 0.5;
            // Norms are near one, matrices and biases small.
            let value = if norm { 1.0 + wave / 4.0 } else { wave / 2.0 };
            value.to_le_bytes()
        })
        .collect();
    write::Tensor {
        name: name.into(),
        shape: shape.into(),
        ggml_type: GgmlType::F32,
        bytes,
    }
}

#[test]
fn a_tensor_of_another_shape_is_refused() {
    let file = tiny_file(&[]);
    let mut config = ModelConfig::from_header(file.header()).unwrap();
    config.feed_forward_size = 40;
    let error = Weights::load(&file, &config, reading(None)).err().unwrap();
    assert!(error.to_string().contains("blk.0.ffn_gate.weight"), "{error}");
}

fn reading(cache: Option<&Cache>) -> Reading<'_> {
    Reading {
        dtype: Dtype::Bf16,
        device: tch::Device::Cpu,
        pack: true,
        cache,
        threads: 2,
    }
}

/// Everything packed, as bytes.
fn packed(weights: &Weights) -> Vec<(String, Vec<Vec<u8>>)> {
    let bytes = |parts: &[Packed]| parts.iter().map(|part| part.as_bytes().to_vec()).collect();
    weights.packed().map(|(name, parts)| (name, bytes(parts))).collect()
}

#[test]
fn packed_weights_are_kept_and_made_again_when_they_are_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache {
        directory: directory.path().join("new"),
        digest: "d".into(),
    };
    // Wide enough for the kernels.
    let file = tiny_file(&[]);
    let config = ModelConfig::from_header(file.header()).unwrap();
    let load = |cache| packed(&Weights::load(&file, &config, reading(cache)).unwrap());
    let plain = load(None);
    assert!(plain.len() > 5, "{}", plain.len());
    assert!(cache.open().is_none());
    assert_eq!(load(Some(&cache)), plain);
    assert!(cache.open().is_some());
    assert_eq!(load(Some(&cache)), plain);

    let path = cache.path();
    let whole = std::fs::read(&path).unwrap();
    let mut other_version = whole.clone();
    other_version[8] ^= 1;
    let mut no_index = whole.clone();
    no_index[16..24].copy_from_slice(&u64::MAX.to_le_bytes());
    for damaged in [
        &[][..],
        &whole[..40],
        &whole[..whole.len() - 1],
        &other_version,
        &no_index,
    ] {
        std::fs::write(&path, damaged).unwrap();
        assert_eq!(load(Some(&cache)), plain);
        assert_eq!(std::fs::read(&path).unwrap(), whole);
    }

    // A directory where the file belongs: nothing can be kept, and the model is served all the same.
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir_all(path.join("in the way")).unwrap();
    assert_eq!(load(Some(&cache)), plain);
}
