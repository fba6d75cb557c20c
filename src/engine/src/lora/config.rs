//! `adapter_config.json`: what an adapter says of itself.

use serde_json::{Map, Value};

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

/// Settings that change what is computed: neutral, or refused.
const UNSUPPORTED: &[(&str, &str)] = &[
    ("use_dora", "DoRA is not supported; train with use_dora false"),
    (
        "modules_to_save",
        "whole modules are not supported; train without modules_to_save",
    ),
    (
        "fan_in_fan_out",
        "is for models whose linear layers are transposed; this one's are not",
    ),
    ("lora_bias", "biases are not supported; train with lora_bias false"),
    ("trainable_token_indices", "trained embeddings are not supported"),
    (
        "target_parameters",
        "adapted parameters are not supported; use target_modules",
    ),
    ("layer_replication", "repeated layers are not supported"),
    ("alora_invocation_tokens", "activated LoRA is not supported"),
    ("arrow_config", "routing between adapters is not supported"),
    ("megatron_config", "Megatron's parallel layers are not supported"),
    ("velora_config", "VeLoRA is not supported"),
    ("monteclora_config", "MonteCLoRA is not supported"),
    ("kasa_config", "KaSA is not supported"),
    (
        "lora_ga_config",
        "LoRA-GA changes the base model's weights, which is not supported",
    ),
    (
        "corda_config",
        "CorDA changes the base model's weights, which is not supported",
    ),
];

/// Ways of initialization that leave the base model's weights alone.
const INITIALIZATIONS: [&str; 3] = ["gaussian", "eva", "orthogonal"];

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

/// Fields by name; `null` is the same as absent.
struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    fn get(&self, field: &str) -> Option<&'a Value> {
        self.0.get(field).filter(|value| !value.is_null())
    }

    fn fault<T>(&self, field: &str, problem: impl Into<String>) -> Result<T, AdapterError> {
        Err(AdapterError::Config {
            field: field.into(),
            problem: problem.into(),
        })
    }

    fn read<T>(
        &self,
        field: &str,
        read: impl Fn(&'a Value) -> Option<T>,
        expected: &str,
    ) -> Result<Option<T>, AdapterError> {
        let Some(value) = self.get(field) else { return Ok(None) };
        match read(value) {
            Some(read) => Ok(Some(read)),
            None => self.fault(field, format!("is {}; expected {expected}", shortened(value))),
        }
    }

    fn require<T>(
        &self,
        field: &str,
        read: impl Fn(&'a Value) -> Option<T>,
        expected: &str,
    ) -> Result<T, AdapterError> {
        match self.read(field, read, expected)? {
            Some(value) => Ok(value),
            None => self.fault(field, format!("is missing; expected {expected}")),
        }
    }

    fn patterns<T: Copy>(
        &self,
        field: &'static str,
        read: impl Fn(&Value) -> Option<T>,
        expected: &'static str,
    ) -> Result<Patterns<T>, AdapterError> {
        match self.read(field, Value::as_object, "an object")? {
            Some(object) => Patterns::read(field, object, read, expected),
            None => Ok(Patterns::default()),
        }
    }

    fn refuse_unsupported(&self) -> Result<(), AdapterError> {
        if let Some(kind) = self.get("peft_type")
            && kind != "LORA"
        {
            return self.fault("peft_type", format!("is {}; only LORA is supported", shortened(kind)));
        }
        if let Some(task) = self.get("task_type")
            && task != "CAUSAL_LM"
        {
            let problem = format!("is {}; only CAUSAL_LM is supported", shortened(task));
            return self.fault("task_type", problem);
        }
        if let Some(bias) = self.get("bias")
            && bias != "none"
        {
            return self.fault("bias", "trained biases are not supported; train with bias \"none\"");
        }
        if let Some(how) = self.get("init_lora_weights")
            && !how.is_boolean()
            && !INITIALIZATIONS.iter().any(|known| how == known)
        {
            let problem = format!(
                "is {}, which changes the base model's weights; save the adapter converted to plain LoRA",
                shortened(how)
            );
            return self.fault("init_lora_weights", problem);
        }
        if let Some(pattern) = self.get("layers_pattern")
            && !is_neutral(pattern)
            && pattern != "layers"
        {
            return self.fault("layers_pattern", "only \"layers\" is supported");
        }
        for (field, hint) in UNSUPPORTED {
            if self.get(field).is_some_and(|value| !is_neutral(value)) {
                return self.fault(field, *hint);
            }
        }
        // Variants of LoRA announce themselves so: what we have never heard of computes something else.
        for (field, value) in self.0 {
            if field.starts_with("use_") && field != "use_rslora" && !is_neutral(value) {
                return self.fault(field, "is a variant of LoRA that is not supported");
            }
        }
        Ok(())
    }

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

/// Whether a value leaves the setting off.
fn is_neutral(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// A value as it stands in the file, cut to a length that a message can have.
fn shortened(value: &Value) -> String {
    const LENGTH: usize = 80;
    let text = value.to_string();
    match text.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
