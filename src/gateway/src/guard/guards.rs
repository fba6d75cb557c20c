//! The guardrails of a model, compiled once.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, LazyLock, Mutex, PoisonError, Weak},
};

use ::guard::{Fault, Guardrails, NamedWebhook};
use serde_json::Value;

use super::{notes::Direction, webhook::Hook};

/// The guardrails of a model. A spec that cannot be used makes some that refuse everything.
pub struct Guards {
    spec: String,
    rails: Result<Guardrails, String>,
    input: Vec<Hook>,
    output: Vec<Hook>,
}

/// Those in use: a model's status changes more often than its guardrails.
static IN_USE: LazyLock<Mutex<HashMap<String, Weak<Guards>>>> = LazyLock::new(Mutex::default);

impl Guards {
    /// Those of `spec.guardrails`; the same ones while somebody uses them.
    pub fn of(spec: &Value) -> Arc<Self> {
        let text = spec.to_string();
        let mut in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(guards) = in_use.get(&text).and_then(Weak::upgrade) {
            return guards;
        }
        in_use.retain(|_, guards| guards.strong_count() > 0);
        let rails = compile(spec);
        let hooks = |named: fn(&Guardrails) -> &[NamedWebhook]| {
            let named = rails.as_ref().map(named).unwrap_or_default();
            named.iter().map(Hook::new).collect()
        };
        let guards = Arc::new(Self {
            input: hooks(|rails| &rails.input_webhooks),
            output: hooks(|rails| &rails.output_webhooks),
            rails,
            spec: text.clone(),
        });
        in_use.insert(text, Arc::downgrade(&guards));
        guards
    }

    /// What checks requests and answers.
    ///
    /// # Errors
    /// Why nothing can.
    pub fn rails(&self) -> Result<&Guardrails, &str> {
        self.rails.as_ref().map_err(String::as_str)
    }

    /// The webhooks that judge texts of that direction.
    pub fn hooks(&self, direction: Direction) -> &[Hook] {
        match direction {
            Direction::Input => &self.input,
            Direction::Output => &self.output,
        }
    }
}

fn compile(spec: &Value) -> Result<Guardrails, String> {
    let spec: ::guard::Spec = serde_json::from_value(spec.clone()).map_err(|error| error.to_string())?;
    Guardrails::compile(&spec).map_err(|faults| {
        let faults = faults.into_iter().map(|fault| match fault {
            Fault::Invalid(what) | Fault::Unsupported(what) => what,
        });
        faults.collect::<Vec<_>>().join("; ")
    })
}

impl PartialEq for Guards {
    fn eq(&self, other: &Self) -> bool {
        self.spec == other.spec
    }
}

impl Eq for Guards {}

impl fmt::Debug for Guards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guards").field(&self.spec).finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn guardrails_are_compiled_once_while_they_are_used() {
        let spec =
            |name: &str| json!({"input": [{"name": name, "detector": "Pattern", "pattern": "only-in-this-test"}]});
        let first = Guards::of(&spec("a"));
        assert!(Arc::ptr_eq(&first, &Guards::of(&spec("a"))));
        assert_ne!(first, Guards::of(&spec("b")));
        drop(first);
        let known = |name: &str| IN_USE.lock().unwrap().contains_key(&spec(name).to_string());
        let _other = Guards::of(&spec("c"));
        assert!(!known("a") && known("c"));
    }

    #[test]
    fn what_cannot_be_compiled_is_told() {
        for (check, text) in [
            (json!({"name": "x", "detector": "Newer"}), "Newer"),
            (json!({"name": "x", "detector": "Secrets", "newer": 1}), "newer"),
            (
                json!({"name": "x", "detector": "Pattern", "pattern": "("}),
                "spec.guardrails.input[x].pattern",
            ),
            (json!({"name": "x", "detector": "Toxicity"}), "Toxicity"),
            (
                json!({"name": "x", "detector": "Webhook", "webhook": {"url": "ftp://h"}}),
                "spec.guardrails.input[x].webhook.url",
            ),
            (json!({"name": "x", "detector": "Webhook"}), "webhook is required"),
        ] {
            let guards = Guards::of(&json!({"input": [check]}));
            let why = guards.rails().unwrap_err();
            assert!(why.contains(text), "{why}");
        }
    }
}
