//! The files of a finished training.

mod weights;

use std::path::Path;

use engine::lora::{self, Description, Module};
use gguf::Header;
use protocol::tune::TrainPlan;
use serde_json::{Value, json};
use tch::{Kind, TchError, Tensor};

use crate::{
    Error,
    method::{Bottleneck, LowRank, Prefix},
    network::Network,
    parameters::{ParameterId, Parameters},
    tensor_file::{self, Entry},
};

pub(crate) use weights::weights;

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
/// The version of `peft` whose files these are.
const PEFT_VERSION: &str = "0.21.2";
/// The version of our own files.
const OWN_VERSION: u32 = 1;

/// What is published, and where.
#[derive(Clone, Copy)]
pub(crate) struct Published<'a> {
    pub directory: &'a Path,
    pub base_name: &'a str,
    pub network: &'a Network,
    pub parameters: &'a Parameters,
    pub plan: &'a TrainPlan,
    pub base: &'a Header,
}

/// LoRA, as the `peft` library writes it.
pub(crate) fn low_rank(published: Published<'_>, low_rank: &LowRank) -> Result<(), Error> {
    let settings = &published.plan.hyperparameters;
    let (alpha, rank_stabilized) = settings
        .lora
        .as_ref()
        .map_or((low_rank.rank as f64, false), |lora| (lora.alpha, lora.rank_stabilized));
    let rank = low_rank.rank as usize;
    let description = Description {
        base: published.base_name.into(),
        rank,
        alpha,
        rank_stabilized,
        dropout: settings.dropout,
        targets: low_rank.targets.clone(),
        layers: None,
        ranks: Default::default(),
        alphas: Default::default(),
    };
    let mut modules = Vec::new();
    for (layer, of_layer) in low_rank.matrices.iter().enumerate() {
        for matrices in of_layer {
            modules.push(Module {
                layer,
                projection: matrices.projection,
                rank,
                a: numbers(published.parameters.value(matrices.a))?,
                b: numbers(published.parameters.value(matrices.b))?,
            });
        }
    }
    Ok(lora::write(published.directory, &description, &modules)?)
}

/// Prefix tuning, as the `peft` library writes it.
pub(crate) fn prefix(published: Published<'_>, prefix: &Prefix) -> Result<(), Error> {
    let config = &published.network.config;
    // Under grouped-query attention these are the heads of keys and values.
    let width = config.kv_heads * config.head_dim;
    let settings = json!({
        "auto_mapping": null,
        "base_model_name_or_path": published.base_name,
        "encoder_hidden_size": width,
        "inference_mode": true,
        "init_weights": null,
        "modules_to_save": null,
        "num_attention_heads": config.kv_heads,
        "num_layers": config.layers,
        "num_transformer_submodules": 1,
        "num_virtual_tokens": prefix.tokens,
        "peft_type": "PREFIX_TUNING",
        "peft_version": PEFT_VERSION,
        "prefix_projection": false,
        "revision": null,
        "task_type": "CAUSAL_LM",
        "token_dim": width,
    });
    let tensors = [("prompt_embeddings".to_owned(), prefix.vectors)];
    adapter(published, &settings, &tensors)
}

/// Bottleneck layers, for which there is no form that others read.
pub(crate) fn bottleneck(published: Published<'_>, bottleneck: &Bottleneck) -> Result<(), Error> {
    let config = &published.network.config;
    let settings = json!({
        "atelier": {"adapter": "houlsby", "version": OWN_VERSION},
        "base_model_name_or_path": published.base_name,
        "bottleneck": bottleneck.width,
        "hidden_size": config.hidden_size,
        "layers": config.layers,
        "non_linearity": "gelu",
    });
    let mut tensors = Vec::new();
    for (layer, sites) in bottleneck.layers.iter().enumerate() {
        for (site, layers) in ["attention", "feed_forward"].into_iter().zip(sites) {
            let name = |tensor: &str| format!("layers.{layer}.{site}.{tensor}");
            tensors.extend([
                (name("down.weight"), layers.down),
                (name("down.bias"), layers.down_bias),
                (name("up.weight"), layers.up),
                (name("up.bias"), layers.up_bias),
            ]);
        }
    }
    adapter(published, &settings, &tensors)
}

/// Writes the tensors, and then the settings, which readers look for.
fn adapter(published: Published<'_>, settings: &Value, tensors: &[(String, ParameterId)]) -> Result<(), Error> {
    let entry = |(name, id): &(String, ParameterId)| Entry {
        name: name.clone(),
        shape: published.parameters.value(*id).size(),
        kind: Kind::Float,
    };
    let entries: Vec<_> = tensors.iter().map(entry).collect();
    let value = |index: usize| Ok(published.parameters.value(tensors[index].1).shallow_clone());
    tensor_file::write(&published.directory.join(WEIGHTS), &entries, value)?;
    write_json(&published.directory.join(CONFIG), settings)
}

fn write_json(path: &Path, value: &Value) -> Result<(), Error> {
    std::fs::write(path, format!("{value:#}\n")).map_err(Error::file("write", path))
}

fn numbers(tensor: &Tensor) -> Result<Vec<f32>, TchError> {
    let tensor = tensor.f_detach()?.f_contiguous()?;
    let mut values = vec![0f32; tensor.numel()];
    tensor.f_copy_data(&mut values, tensor.numel())?;
    Ok(values)
}
