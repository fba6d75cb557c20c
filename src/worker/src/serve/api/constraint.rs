//! What a request says about the form of its answer: OpenAI's `response_format`, and vLLM's
//! `structured_outputs` and `guided_*`.

use engine::TokenConstraint;
use serde_json::Value;

use super::{Api, error::Error, fields::Fields};
use crate::serve::constraint::Grammar;

/// A form, and the field that asks for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Form {
    /// Where a fault of the grammar is.
    pub field: String,
    /// The form itself.
    pub grammar: Grammar,
}

impl Form {
    /// The form that a request asks for, if any.
    ///
    /// # Errors
    /// The first fault, or more than one form.
    pub fn read(fields: Fields<'_>) -> Result<Option<Self>, Error> {
        fields.refuse(&[
            (
                "guided_whitespace_pattern",
                "give the schema an x-guidance.whitespace_pattern",
            ),
            ("structural_tag", "use structured_outputs.grammar"),
        ])?;
        let mut forms: Vec<Self> = response_format(fields)?.into_iter().collect();
        for kind in ["json", "regex", "choice", "grammar"] {
            let field = format!("guided_{kind}");
            forms.extend(read(fields, &field, kind)?);
        }
        match fields.get("structured_outputs") {
            None => {}
            Some(Value::Object(outputs)) => {
                let outputs = Fields::inside(outputs, "structured_outputs.");
                outputs.refuse(&[("structural_tag", "use structured_outputs.grammar")])?;
                for kind in ["json", "regex", "choice", "grammar"] {
                    forms.extend(read(outputs, kind, kind)?);
                }
                if outputs.flag("json_object")? {
                    forms.push(Self::new(outputs.path_of("json_object"), Grammar::json_object()));
                }
            }
            Some(_) => return Err(fields.invalid("structured_outputs", "an object")),
        }
        match &forms[..] {
            [_, second, ..] => Err(Error::InvalidField {
                field: second.field.clone(),
                expected: format!("left out, because {:?} sets the form of the answer too", forms[0].field),
            }),
            _ => Ok(forms.pop()),
        }
    }

    fn new(field: impl Into<String>, grammar: Grammar) -> Self {
        Self {
            field: field.into(),
            grammar,
        }
    }

    /// Compiles it for the model.
    ///
    /// # Errors
    /// Why it cannot be compiled.
    pub async fn compile(self, api: &Api) -> Result<Box<dyn TokenConstraint>, Error> {
        let compiled = api.model.constraints.compile(self.grammar).await;
        compiled.map_err(|reason| Error::Grammar {
            field: self.field,
            reason,
        })
    }
}

fn response_format(fields: Fields<'_>) -> Result<Option<Form>, Error> {
    const EXPECTED: &str = "an object with a \"type\" of \"text\", \"json_object\" or \"json_schema\"";
    let format = match fields.get("response_format") {
        None => return Ok(None),
        Some(Value::Object(format)) => Fields::inside(format, "response_format."),
        Some(_) => return Err(fields.invalid("response_format", EXPECTED)),
    };
    match format.text("type")? {
        Some("text") => Ok(None),
        Some("json_object") => Ok(Some(Form::new("response_format", Grammar::json_object()))),
        Some("json_schema") => {
            let Some(Value::Object(wrapper)) = format.get("json_schema") else {
                return Err(format.invalid("json_schema", "an object with a \"name\" and a \"schema\""));
            };
            let wrapper = Fields::inside(wrapper, "response_format.json_schema.");
            // Answers are always kept to the schema, as `strict` asks for.
            wrapper.flag("strict")?;
            wrapper.text("name")?;
            let schema = wrapper.get("schema").filter(|schema| schema.is_object());
            let schema = schema.ok_or_else(|| wrapper.invalid("schema", "a JSON schema"))?;
            let grammar = Grammar::JsonSchema(schema.clone());
            Ok(Some(Form::new("response_format.json_schema.schema", grammar)))
        }
        _ => Err(format.invalid("type", "\"text\", \"json_object\" or \"json_schema\"")),
    }
}

fn read(fields: Fields<'_>, field: &str, kind: &str) -> Result<Option<Form>, Error> {
    let Some(value) = fields.get(field) else {
        return Ok(None);
    };
    let grammar = match (kind, value) {
        ("json", Value::Object(_)) => Grammar::JsonSchema(value.clone()),
        // vLLM's clients may send it as text.
        ("json", Value::String(text)) => match serde_json::from_str(text) {
            Ok(schema @ Value::Object(_)) => Grammar::JsonSchema(schema),
            _ => return Err(fields.invalid(field, "a JSON schema")),
        },
        ("json", _) => return Err(fields.invalid(field, "a JSON schema")),
        ("regex", Value::String(regex)) => Grammar::Regex(regex.clone()),
        ("grammar", Value::String(grammar)) => Grammar::Lark(grammar.clone()),
        ("choice", Value::Array(choices)) => {
            let text = |choice: &Value| choice.as_str().map(Into::into);
            let choices: Option<Vec<String>> = choices.iter().map(text).collect();
            Grammar::Choice(choices.ok_or_else(|| fields.invalid(field, "an array of strings"))?)
        }
        ("choice", _) => return Err(fields.invalid(field, "an array of strings")),
        _ => return Err(fields.invalid(field, "a string")),
    };
    Ok(Some(Form::new(fields.path_of(field), grammar)))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn read(value: &Value) -> Result<Option<Form>, String> {
        Form::read(Fields::new(value.as_object().unwrap())).map_err(|error| error.to_string())
    }

    #[rstest]
    #[case(json!({}), None)]
    #[case(json!({"response_format": {"type": "text"}}), None)]
    #[case(json!({"response_format": {"type": "json_object"}}), Some(Form::new("response_format", Grammar::json_object())))]
    #[case(json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}}),
        Some(Form::new("response_format.json_schema.schema", Grammar::JsonSchema(json!({})))))]
    #[case(json!({"guided_json": "{}"}), Some(Form::new("guided_json", Grammar::JsonSchema(json!({})))))]
    #[case(json!({"guided_choice": ["a"]}), Some(Form::new("guided_choice", Grammar::Choice(vec!["a".into()]))))]
    #[case(json!({"structured_outputs": {"regex": "a+"}}), Some(Form::new("structured_outputs.regex", Grammar::Regex("a+".into()))))]
    fn forms_are_read(#[case] request: Value, #[case] expected: Option<Form>) {
        assert_eq!(read(&request), Ok(expected));
    }

    #[rstest]
    #[case(json!({"response_format": "json"}), "\"response_format\" must be an object")]
    #[case(json!({"response_format": {"type": "xml"}}), "\"response_format.type\"")]
    #[case(json!({"response_format": {"type": "json_schema"}}), "\"response_format.json_schema\"")]
    #[case(json!({"response_format": {"type": "json_schema", "json_schema": {}}}), "\"response_format.json_schema.schema\"")]
    #[case(json!({"guided_regex": "a", "guided_choice": ["b"]}), "\"guided_choice\" must be left out, because \"guided_regex\"")]
    #[case(json!({"guided_choice": [1]}), "\"guided_choice\" must be an array of strings")]
    #[case(json!({"structured_outputs": {"grammar": 1}}), "\"structured_outputs.grammar\" must be a string")]
    fn faults_name_the_field(#[case] request: Value, #[case] expected: &str) {
        let error = read(&request).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}
