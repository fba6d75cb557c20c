//! `rank_pattern` and `alpha_pattern`: values of single modules instead of the common one.

use serde_json::{Map, Value};

use super::AdapterError;

/// Values by module. The first that matches counts, as in `peft`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Patterns<T>(Vec<(Name, T)>);

/// The end of a module's path, or all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    text: String,
    whole: bool,
}

impl<T> Default for Patterns<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Copy> Patterns<T> {
    /// Reads the object `field`. `peft` takes its keys for regular expressions; names of modules,
    /// with or without `^` and escaped dots, are the ones that people write, and those we read.
    pub fn read(
        field: &'static str,
        object: &Map<String, Value>,
        value: impl Fn(&Value) -> Option<T>,
        expected: &'static str,
    ) -> Result<Self, AdapterError> {
        let one = |(key, given): (&String, &Value)| {
            let name = Name::read(key).ok_or_else(|| AdapterError::Config {
                field: format!("{field}.{key}"),
                problem: "is a regular expression; only names of modules are supported".into(),
            })?;
            let value = value(given).ok_or_else(|| AdapterError::Config {
                field: format!("{field}.{key}"),
                problem: format!("is {given}; expected {expected}"),
            })?;
            Ok((name, value))
        };
        object.iter().map(one).collect::<Result<_, _>>().map(Self)
    }

    /// The value for the module at this path.
    pub fn get(&self, path: &str) -> Option<T> {
        let found = self.0.iter().find(|(name, _)| name.matches(path));
        found.map(|(_, value)| *value)
    }
}

impl Name {
    fn read(key: &str) -> Option<Self> {
        let whole = key.starts_with('^');
        let text = key.strip_prefix('^').unwrap_or(key).replace("\\.", ".");
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
        (!text.is_empty() && text.bytes().all(plain)).then_some(Self { text, whole })
    }

    fn matches(&self, path: &str) -> bool {
        match self.whole {
            true => path == self.text,
            false => ends_with_module(path, &self.text),
        }
    }
}

/// Whether a path is `name`, or ends in it at a dot.
pub(crate) fn ends_with_module(path: &str, name: &str) -> bool {
    let before = path.strip_suffix(name);
    before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patterns(value: Value) -> Result<Patterns<u64>, AdapterError> {
        Patterns::read("rank_pattern", value.as_object().unwrap(), Value::as_u64, "a number")
    }

    #[test]
    fn the_first_match_counts_and_matches_begin_at_a_dot() {
        let patterns = patterns(json!({
            "layers.1.mlp.down_proj": 3,
            "down_proj": 4,
            "^model\\.layers\\.0\\.self_attn\\.q_proj": 5,
            "^layers.0.self_attn.k_proj": 6,
        }))
        .unwrap();
        for (path, expected) in [
            ("model.layers.1.mlp.down_proj", Some(3)),
            ("model.layers.11.mlp.down_proj", Some(4)),
            ("model.layers.0.self_attn.q_proj", Some(5)),
            ("model.layers.0.self_attn.k_proj", None),
            ("model.layers.0.mlp.up_down_proj", None),
        ] {
            assert_eq!(patterns.get(path), expected, "{path}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for (given, expected) in [
            (json!({"layers.[0-9]+.q_proj": 1}), "layers.[0-9]+.q_proj"),
            (json!({"": 1}), "regular expression"),
            (json!({"q_proj": "4"}), "rank_pattern.q_proj"),
        ] {
            let error = patterns(given).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
