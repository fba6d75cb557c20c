//! `adapter_config.json`: what an adapter says of itself.

mod fields;
mod unsupported;

use serde_json::Value;

use self::fields::Fields;
use super::{
    AdapterError, Projection,
    module::ModuleName,
    pattern::{Patterns, ends_with_module},
};

/// Highest rank. What is useful is far below.
const MAX_RANK: u64 = 1024;

/// The configuration of an adapter that we can compute.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterConfig {
    base: Option<String>,
    rank: usize,
    alpha: f64,
    rank_stabilized: bool,
    targets: Targets,
    /// `layers_to_transform`, if not all.
    layers: Option<Vec<usize>>,
    rank_pattern: Patterns<usize>,
    alpha_pattern: Patterns<f64>,
}

/// The modules that the adapter changes.
#[derive(Clone, Debug, PartialEq)]
enum Targets {
    /// Names, or ends of paths; those that are taken out again.
    Named(Vec<String>, Vec<String>),
    /// A regular expression, which we do not evaluate: what the file has is what is meant.
    Unknown,
}

impl AdapterConfig {
    /// Reads the configuration.
    ///
    /// # Errors
    /// When it is no configuration, or one of an adapter that we cannot compute exactly.
    pub fn parse(bytes: &[u8]) -> Result<Self, AdapterError> {
        let value: Value = serde_json::from_slice(bytes).map_err(|error| AdapterError::Json(error.to_string()))?;
        let Value::Object(object) = value else {
            return Err(AdapterError::Json("expected an object".into()));
        };
        let fields = Fields(&object);
        fields.refuse_unsupported()?;
        Ok(Self {
            base: fields.read("base_model_name_or_path", text, "a string")?,
            rank: fields.require("r", rank, "a rank of 1 to 1024")?,
            alpha: fields.require("lora_alpha", number, "a number")?,
            rank_stabilized: fields
                .read("use_rslora", Value::as_bool, "true or false")?
                .unwrap_or_default(),
            targets: fields.targets()?,
            layers: fields
                .read("layers_to_transform", layers, "a layer, or an array of layers")?
                .filter(|layers| !layers.is_empty()),
            rank_pattern: fields.patterns("rank_pattern", rank, "a rank of 1 to 1024")?,
            alpha_pattern: fields.patterns("alpha_pattern", number, "a number")?,
        })
    }

    /// The base model that it was made for, as it says.
    pub fn base(&self) -> Option<&str> {
        self.base.as_deref()
    }

    /// Rank of the module at a path.
    pub(crate) fn rank(&self, path: &str) -> usize {
        self.rank_pattern.get(path).unwrap_or(self.rank)
    }

    /// What the product of the module's matrices is multiplied with (for rank-stabilized adapters:
    /// Kalajdzievski 2023, <https://arxiv.org/abs/2312.03732>).
    pub(crate) fn scale(&self, path: &str) -> f64 {
        let alpha = self.alpha_pattern.get(path).unwrap_or(self.alpha);
        let rank = self.rank(path) as f64;
        alpha / if self.rank_stabilized { rank.sqrt() } else { rank }
    }

    /// Whether it changes a module; `None` if it does not say so in a way that we understand.
    pub(crate) fn targets(&self, module: ModuleName) -> Option<bool> {
        let Targets::Named(targets, excluded) = &self.targets else {
            return None;
        };
        let path = module.path();
        let among = |names: &[String]| names.iter().any(|name| ends_with_module(&path, name));
        let layer = self.layers.as_ref().is_none_or(|layers| layers.contains(&module.layer));
        Some(layer && among(targets) && !among(excluded))
    }
}

impl Fields<'_> {
    fn targets(&self) -> Result<Targets, AdapterError> {
        let excluded = match self.get("exclude_modules") {
            None => Vec::new(),
            Some(Value::String(_)) => return Ok(Targets::Unknown),
            Some(_) => self.require("exclude_modules", names, "an array of names")?,
        };
        let targets = match self.get("target_modules") {
            Some(Value::String(all)) if all == "all-linear" => Projection::ALL.map(|one| one.name().into()).into(),
            Some(Value::String(_)) => return Ok(Targets::Unknown),
            _ => self.require("target_modules", names, "an array of names")?,
        };
        if targets.is_empty() {
            return self.fault("target_modules", "is empty; an adapter changes at least one module");
        }
        let outer = |name: &&String| {
            ["lm_head", "embed_tokens"]
                .iter()
                .any(|outer| ends_with_module(name, outer))
        };
        if let Some(name) = targets.iter().find(outer) {
            let problem = format!("has {name:?}; only the linear layers of the blocks are supported");
            return self.fault("target_modules", problem);
        }
        Ok(Targets::Named(targets, excluded))
    }
}

fn rank(value: &Value) -> Option<usize> {
    value
        .as_u64()
        .filter(|rank| (1..=MAX_RANK).contains(rank))
        .map(|rank| rank as usize)
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().filter(|number| number.is_finite())
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(Into::into)
}

fn names(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(text).collect()
}

fn layers(value: &Value) -> Option<Vec<usize>> {
    let layer = |value: &Value| value.as_u64().and_then(|layer| usize::try_from(layer).ok());
    match value {
        Value::Array(layers) => layers.iter().map(layer).collect(),
        one => layer(one).map(|layer| vec![layer]),
    }
}
