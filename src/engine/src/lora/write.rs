//! Writes adapters as the `peft` library does, so that it and others read them.

use std::{collections::BTreeMap, path::Path};

use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use serde_json::{Map, Value, json};

use super::{
    AdapterError, Projection,
    files::{CONFIG, WEIGHTS},
    module::{ModuleName, Side},
};

/// The version of `peft` whose files these are.
const PEFT_VERSION: &str = "0.21.2";

/// What an adapter says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// The base model, by the name that people load it with.
    pub base: String,
    /// Rank of modules that `ranks` does not name.
    pub rank: usize,
    /// The scale is this over the rank, or over its square root.
    pub alpha: f64,
    /// Whether the scale is over the square root of the rank.
    pub rank_stabilized: bool,
    /// Share of inputs that was left out in training.
    pub dropout: f64,
    /// The projections that it changes.
    pub targets: Vec<Projection>,
    /// The layers that it changes, if not all.
    pub layers: Option<Vec<usize>>,
    /// Other ranks, by the end of a module's path.
    pub ranks: BTreeMap<String, usize>,
    /// Other alphas, by the end of a module's path.
    pub alphas: BTreeMap<String, f64>,
}

/// The matrices of one module, rows first.
#[derive(Clone, Debug, PartialEq)]
pub struct Module {
    /// The block.
    pub layer: usize,
    /// The linear layer in it.
    pub projection: Projection,
    /// Rows of `a`, columns of `b`.
    pub rank: usize,
    /// `[rank, in]`
    pub a: Vec<f32>,
    /// `[out, rank]`
    pub b: Vec<f32>,
}

/// Writes an adapter into `directory`, which exists. Each file appears whole; the configuration, which
/// readers look for, comes last.
///
/// # Errors
/// When the disk is full or refuses, or values are left over in a matrix.
pub fn write(directory: &Path, description: &Description, modules: &[Module]) -> Result<(), AdapterError> {
    let mut contents = Vec::with_capacity(2 * modules.len());
    for module in modules {
        let Module { a, b, rank, .. } = module;
        let name = ModuleName {
            layer: module.layer,
            projection: module.projection,
        };
        contents.push((name.tensor(Side::A), vec![*rank, a.len() / rank.max(&1)], bytes(a)));
        contents.push((name.tensor(Side::B), vec![b.len() / rank.max(&1), *rank], bytes(b)));
    }
    let failed = |error: safetensors::SafeTensorError| AdapterError::Weights(error.to_string());
    let mut views = Vec::with_capacity(contents.len());
    for (name, shape, bytes) in &contents {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(failed)?;
        views.push((name, view));
    }
    let format = [("format".to_owned(), "pt".to_owned())];
    serialize_to_file(views, Some(format.into()), &directory.join(WEIGHTS)).map_err(failed)?;

    let path = directory.join(CONFIG);
    let text = format!("{:#}", Value::Object(config(description)));
    let written = tempfile::NamedTempFile::new_in(directory)
        .and_then(|file| std::fs::write(file.path(), text).map(|()| file))
        .and_then(|file| file.persist(&path).map_err(|error| error.error));
    written.map(drop).map_err(|source| AdapterError::File { path, source })
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// A number as Python writes it: whole ones without a fraction.
fn number(value: f64) -> Value {
    match value.fract() == 0.0 && value.abs() < 2f64.powi(53) {
        true => json!(value as i64),
        false => json!(value),
    }
}

/// The configuration, keys sorted, with everything that `peft` writes.
fn config(description: &Description) -> Map<String, Value> {
    let mut targets: Vec<&str> = description.targets.iter().map(|target| target.name()).collect();
    targets.sort_unstable();
    let alphas: Map<String, Value> = description
        .alphas
        .iter()
        .map(|(name, alpha)| (name.clone(), number(*alpha)))
        .collect();
    let value = json!({
        "alora_invocation_tokens": null,
        "alpha_pattern": alphas,
        "arrow_config": null,
        "auto_mapping": null,
        "base_model_name_or_path": description.base,
        "bias": "none",
        "corda_config": null,
        "ensure_weight_tying": false,
        "eva_config": null,
        "exclude_modules": null,
        "fan_in_fan_out": false,
        "inference_mode": true,
        "init_lora_weights": true,
        "kasa_config": null,
        "layer_replication": null,
        "layers_pattern": null,
        "layers_to_transform": description.layers,
        "loftq_config": {},
        "lora_alpha": number(description.alpha),
        "lora_bias": false,
        "lora_dropout": description.dropout,
        "lora_ga_config": null,
        "megatron_config": null,
        "megatron_core": "megatron.core",
        "modules_to_save": null,
        "monteclora_config": null,
        "peft_type": "LORA",
        "peft_version": PEFT_VERSION,
        "qalora_group_size": 16,
        "r": description.rank,
        "rank_pattern": description.ranks,
        "revision": null,
        "target_modules": targets,
        "target_parameters": null,
        "task_type": "CAUSAL_LM",
        "trainable_token_indices": null,
        "use_bdlora": null,
        "use_dora": false,
        "use_qalora": false,
        "use_rslora": description.rank_stabilized,
        "velora_config": null,
    });
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
