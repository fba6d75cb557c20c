//! What is to be embedded: a text, tokens, or several of either.

use serde_json::Value;

use crate::serve::api::{error::Error, fields::Fields};

/// Most inputs of one request, as OpenAI has it.
const MAX_INPUTS: usize = 2048;

/// One input as the client gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Text.
    Text(String),
    /// Tokens of the model, marks included: they are taken as they are.
    Tokens(Vec<u32>),
}

/// Reads the field `input`.
///
/// # Errors
/// When it is missing, of another shape or has too many inputs.
pub fn read(fields: Fields<'_>) -> Result<Vec<Input>, Error> {
    let value = fields.get("input").ok_or(Error::MissingField { field: "input" })?;
    let one = |value: &Value| match value {
        Value::String(text) => Some(Input::Text(text.clone())),
        Value::Array(tokens) if !tokens.is_empty() => {
            let token = |token: &Value| token.as_u64().and_then(|token| u32::try_from(token).ok());
            tokens.iter().map(token).collect::<Option<_>>().map(Input::Tokens)
        }
        _ => None,
    };
    let inputs = match value {
        Value::Array(inputs) if inputs.iter().any(|input| !input.is_number()) => {
            if inputs.len() > MAX_INPUTS {
                let expected = format!("at most {MAX_INPUTS} inputs, it has {}", inputs.len());
                return Err(fields.invalid("input", expected));
            }
            inputs.iter().map(one).collect::<Option<Vec<_>>>()
        }
        other => one(other).map(|input| vec![input]),
    };
    inputs.ok_or_else(|| {
        fields.invalid(
            "input",
            "a string, an array of tokens, or a list of either that is not empty",
        )
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn inputs(input: Value) -> Result<Vec<Input>, String> {
        let body = json!({ "input": input });
        read(Fields::new(body.as_object().unwrap())).map_err(|error| error.to_string())
    }

    #[test]
    fn all_four_shapes_are_read() {
        let (text, tokens) = (Input::Text("a".into()), Input::Tokens(vec![1, 2]));
        assert_eq!(inputs(json!("a")).unwrap(), vec![text.clone()]);
        assert_eq!(inputs(json!([1, 2])).unwrap(), vec![tokens.clone()]);
        assert_eq!(inputs(json!(["a", [1, 2]])).unwrap(), [text, tokens]);
    }

    #[rstest]
    #[case(json!([]), "not empty")]
    #[case(json!([[]]), "not empty")]
    #[case(json!([1, "a", {}]), "a string")]
    #[case(json!([-1]), "a string")]
    #[case(json!(vec!["a"; 2049]), "at most 2048 inputs, it has 2049")]
    #[case(Value::Null, "\"input\" is missing")]
    fn other_shapes_are_refused(#[case] input: Value, #[case] says: &str) {
        let error = inputs(input).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
}
