//! What we would compute wrongly: refused by name.

use super::fields::{Fields, is_neutral, shortened};
use crate::lora::AdapterError;

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

impl Fields<'_> {
    pub(super) fn refuse_unsupported(&self) -> Result<(), AdapterError> {
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
}
