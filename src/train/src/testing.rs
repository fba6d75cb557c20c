//! A tiny network, plans and texts for tests.

use std::io::Write;

use checkpoint::Checkpoint;
use gguf::{GgmlType, GgufFile, Value, write};
use protocol::tune::{
    Adapter, Architecture, Checkpointing, Hyperparameters, LoraSettings, Method, Objective, Optimizer, Schedule,
    TrainPlan, Warmup,
};

use crate::{IGNORE, Pair, Sequence, Trainer, Work, collective::Alone};

pub const VOCABULARY: u64 = 64;

/// The formula of the engine's `model/reference.py`.
pub fn values(name: &str, shape: &[u64]) -> Vec<f32> {
    let seed = name.bytes().map(u64::from).sum::<u64>();
    let norm = shape.len() == 1 && name.ends_with("weight");
    let value = |i: u64| {
        let wave = ((i * 37 + seed * 101) % 97) as f32 / 97.0 - 0.5;
        // Norms are near one, matrices and biases small.
        if norm { 1.0 + wave / 4.0 } else { wave / 2.0 }
    };
    (0..shape.iter().product()).map(value).collect()
}

/// A tiny network (2 layers, 4 heads of 8 or, in Qwen 3, 12, 2 kv heads, 64 tokens), as in that script.
pub fn tiny(architecture: &str) -> Checkpoint {
    tiny_of(architecture, VOCABULARY)
}

/// Likewise, of as many tokens.
pub fn tiny_of(architecture: &str, vocabulary: u64) -> Checkpoint {
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
    let numbers = numbers.map(|(key, value)| (format!("{architecture}.{key}"), value));
    let name = ("general.architecture", Value::String(architecture.into()));
    let mut metadata = vec![name];
    metadata.extend(numbers.iter().map(|(key, value)| (key.as_str(), value.clone())));

    let (queries, keys) = (4 * head_dim, 2 * head_dim);
    let mut shapes: Vec<(String, Vec<u64>)> = vec![
        ("token_embd.weight".into(), vec![vocabulary, 32]),
        ("output_norm.weight".into(), vec![32]),
    ];
    for layer in 0..2 {
        let mut add = |name: &str, shape: &[u64]| shapes.push((format!("blk.{layer}.{name}"), shape.into()));
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
    let tensors: Vec<_> = shapes
        .into_iter()
        .map(|(name, shape)| write::Tensor {
            bytes: values(&name, &shape)
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
            name,
            shape,
            ggml_type: GgmlType::F32,
        })
        .collect();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&write::to_bytes(&metadata, &tensors)).unwrap();
    GgufFile::from_file(file).unwrap().into()
}

/// A training in single precision without anything random on the way.
pub fn plan(method: Method) -> TrainPlan {
    TrainPlan {
        run: "test".into(),
        model: "base.gguf".into(),
        digest: None,
        base_name: "base".into(),
        method,
        objective: Objective::SFT,
        architecture: Some(Architecture {
            layers: 2,
            hidden_size: 32,
            feed_forward_size: 64,
            heads: 4,
            kv_heads: 2,
            context_length: 64,
            tie_embeddings: true,
        }),
        dataset: "data".into(),
        template: None,
        hyperparameters: Hyperparameters {
            learning_rate: 1e-2,
            schedule: Schedule::Constant,
            warmup: Warmup::Steps(0),
            optimizer: Optimizer::AdamW,
            batch_tokens: 1024,
            sequence_length: None,
            packing: false,
            gradient_accumulation: 1,
            epochs: 1,
            steps: None,
            weight_decay: 0.01,
            dropout: 0.0,
            clip: 1.0,
            lora: Some(LoraSettings {
                r: 4,
                alpha: 8.0,
                rank_stabilized: false,
                targets: Vec::new(),
            }),
            virtual_tokens: Some(4),
            adapter: Some(Adapter { bottleneck: 8 }),
            beta: None,
            gradient_checkpointing: false,
            dtype: Some("fp32".into()),
            seed: 17,
        },
        checkpoint: Checkpointing {
            every_steps: None,
            every_seconds: None,
            keep: 1,
        },
        evaluate_every: None,
        early_stopping: None,
        gate: None,
        suites: Vec::new(),
        checkpoints: "checkpoints".into(),
        outputs: "outputs".into(),
        members: None,
        suite_limits: Default::default(),
        keep_before: None,
    }
}

pub fn trainer(plan: &TrainPlan) -> Trainer {
    Trainer::new(tiny("llama"), plan, 100).unwrap()
}

/// A text in which every token follows from the one before; the first target is not learned.
pub fn text(first: i64, length: usize) -> Sequence {
    let mut tokens = vec![first];
    while tokens.len() <= length {
        tokens.push((tokens[tokens.len() - 1] * 5 + 3) % VOCABULARY as i64);
    }
    let mut targets = tokens.split_off(1);
    tokens.extend(&targets[..length - 1]);
    targets[0] = IGNORE;
    Sequence { tokens, targets }
}

/// Texts of different lengths, one in each row.
pub fn texts(first: i64) -> Work {
    let lengths = [7, 7, 9, 5].into_iter().enumerate();
    Work::Texts(
        lengths
            .map(|(i, length)| vec![text(first + 11 * i as i64, length)])
            .collect(),
    )
}

/// Pairs of which the better answer follows the rule.
pub fn pairs(first: i64) -> Work {
    let pair = |i: i64| Pair {
        chosen: text(first + 7 * i, 8),
        rejected: Sequence {
            tokens: vec![first + 7 * i, 1, 2, 1, 2],
            targets: vec![1, 2, 1, 2, 1],
        },
    };
    Work::Pairs((0..3).map(pair).collect())
}

/// Steps on changing texts, or pairs; the losses.
pub fn run(trainer: &mut Trainer, steps: std::ops::Range<i64>) -> Vec<f64> {
    steps
        .map(|step| {
            let work = texts(step % 5);
            trainer.step(&[work], &mut Alone).unwrap().loss
        })
        .collect()
}
