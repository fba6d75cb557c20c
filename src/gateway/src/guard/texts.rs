//! Where the texts of a request are. Whatever nobody here knows counts as text: it may reach the model.

use serde_json::Value;

/// Fields of a request that no model reads.
const SETTINGS: [&str; 11] = [
    "model",
    "user",
    "metadata",
    "service_tier",
    "prompt_cache_key",
    "safety_identifier",
    "encoding_format",
    "reasoning_effort",
    "stream_options",
    "stop",
    "tool_choice",
];

/// Fields that name something, or hold what is no text, wherever they are.
const NAMES: [&str; 13] = [
    "role",
    "type",
    "id",
    "tool_call_id",
    "detail",
    "format",
    "url",
    "image_url",
    "video_url",
    "data",
    "file_data",
    "file_id",
    "b64_json",
];

/// Whether a string of that name is no text.
pub fn is_name(field: &str) -> bool {
    NAMES.contains(&field)
}

/// Who looks at the texts of a request.
pub trait Look<E> {
    /// Looks at a text, by somebody who may instruct the model if `is_trusted`, and may change it.
    ///
    /// # Errors
    /// When nothing more has to be looked at.
    fn text(&mut self, text: &mut String, is_trusted: bool) -> Result<(), E>;

    /// Looks at what several texts are together: models read the parts of a message as one.
    ///
    /// # Errors
    /// As [`Self::text`].
    fn joined(&mut self, text: &str, is_trusted: bool) -> Result<(), E>;
}

/// Shows all texts of a request.
///
/// # Errors
/// The first that looking gives.
pub fn visit<E>(body: &mut Value, look: &mut impl Look<E>) -> Result<(), E> {
    let Value::Object(fields) = body else {
        return Ok(());
    };
    for (name, value) in fields.iter_mut() {
        match (name.as_str(), value) {
            (name, _) if SETTINGS.contains(&name) => {}
            ("messages", Value::Array(messages)) => {
                for message in messages {
                    let is_trusted = matches!(message["role"].as_str(), Some("system" | "developer"));
                    walk(message, is_trusted, look)?;
                    let parts = message["content"].as_array().map(Vec::as_slice).unwrap_or_default();
                    let texts: Vec<_> = parts.iter().filter_map(|part| part["text"].as_str()).collect();
                    if texts.len() > 1 {
                        look.joined(&texts.concat(), is_trusted)?;
                    }
                }
            }
            (_, value) => walk(value, false, look)?,
        }
    }
    Ok(())
}

fn walk<E>(value: &mut Value, is_trusted: bool, look: &mut impl Look<E>) -> Result<(), E> {
    match value {
        Value::String(text) => look.text(text, is_trusted),
        Value::Array(values) => values.iter_mut().try_for_each(|it| walk(it, is_trusted, look)),
        Value::Object(fields) => fields.iter_mut().try_for_each(|(name, value)| match value {
            Value::String(_) if is_name(name) => Ok(()),
            value => walk(value, is_trusted, look),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Default)]
    struct Seen(Vec<(String, bool)>);

    impl Look<()> for Seen {
        fn text(&mut self, text: &mut String, is_trusted: bool) -> Result<(), ()> {
            self.0.push((text.clone(), is_trusted));
            Ok(())
        }

        fn joined(&mut self, text: &str, is_trusted: bool) -> Result<(), ()> {
            self.0.push((text.into(), is_trusted));
            Ok(())
        }
    }

    #[test]
    fn all_that_may_reach_the_model_is_text() {
        let mut body = json!({
            "model": "m", "user": "no", "stop": ["no"], "temperature": 1,
            "messages": [
                {"role": "system", "content": "s1"},
                {"role": "user", "content": [
                    {"type": "text", "text": "u1"},
                    {"type": "image_url", "image_url": {"url": "data:no", "detail": "no"}},
                    {"type": "text", "text": "v1"},
                ]},
                {"role": "assistant", "content": null, "tool_calls": [
                    {"id": "no", "type": "function", "function": {"name": "u2", "arguments": "u3"}},
                ]},
                {"role": "tool", "tool_call_id": "no", "content": "u4"},
            ],
            "tools": [{"type": "function", "function": {"description": "u5", "parameters": {
                "properties": {"url": {"type": "string", "description": "u6"}},
            }}}],
            "something_new": {"deep": ["u7"]},
        });
        let mut seen = Seen::default();
        visit(&mut body, &mut seen).unwrap();
        let expected = ["s1", "u1", "v1", "u1v1", "u2", "u3", "u4", "u5", "u6", "u7"];
        let expected = expected.map(|text| (text.to_owned(), text == "s1"));
        assert_eq!(seen.0, expected);
    }
}
