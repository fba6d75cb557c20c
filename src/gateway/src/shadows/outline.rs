//! The little of a body that says what a request belongs to, read without the rest of it: whoever asked waits for this.

use std::{borrow::Cow, collections::HashMap};

use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

/// Fields that name a user or a conversation are shorter.
const LONGEST: usize = 16 << 10;

/// A body with the short fields of `body` and its messages up to the first of the user: it has the same
/// [`Key`](shadow::sample::Key). What is no object has none of them.
pub fn outline(body: &[u8]) -> Value {
    let mut outline = Map::new();
    let fields: HashMap<Cow<'_, str>, &RawValue> = serde_json::from_slice(body).unwrap_or_default();
    for (name, value) in fields {
        let value = match &*name {
            "messages" => opening(value),
            "prompt" | "tools" | "response_format" => None,
            _ if value.get().len() > LONGEST => None,
            _ => serde_json::from_str(value.get()).ok(),
        };
        if let Some(value) = value {
            outline.insert(name.into_owned(), value);
        }
    }
    outline.into()
}

fn opening(messages: &RawValue) -> Option<Value> {
    #[derive(Deserialize)]
    struct Role<'a> {
        #[serde(borrow, default)]
        role: Option<Cow<'a, str>>,
    }
    let messages: Vec<&RawValue> = serde_json::from_str(messages.get()).ok()?;
    let is_users = |message: &RawValue| {
        let message = serde_json::from_str::<Role<'_>>(message.get());
        message.is_ok_and(|message| message.role.as_deref() == Some("user"))
    };
    let end = messages.iter().position(|message| is_users(message))?;
    let opening = messages[..=end]
        .iter()
        .map(|message| serde_json::from_str(message.get()));
    opening.collect::<Result<Vec<Value>, _>>().ok().map(Value::Array)
}

#[cfg(test)]
mod tests {
    use ::shadow::sample::{Asker, Key};
    use api::shadowdeployment::SampleKey;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case(json!({"model": "m", "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}))]
    #[case(json!({"messages": [{"role": "assistant", "content": "b"}]}))]
    #[case(json!({"messages": 5, "conversation": "c"}))]
    #[case(json!({"metadata": {"thread_id": "t"}, "user": "u", "messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]}))]
    #[case(json!({"prompt": "x", "safety_identifier": "u"}))]
    #[case(json!({"messages": [5, null, {"role": "user"}]}))]
    #[case(json!([1]))]
    fn an_outline_has_the_key_of_its_body(#[case] body: Value) {
        let asker = Asker {
            caller: "jane",
            header: None,
            request_id: "r-1",
        };
        for kind in [SampleKey::Conversation, SampleKey::User, SampleKey::Random] {
            let short = outline(body.to_string().as_bytes());
            assert_eq!(Key::of(kind, &asker, &short), Key::of(kind, &asker, &body), "{short}");
        }
    }

    #[test]
    fn what_comes_after_the_opening_is_not_read() {
        let body =
            br#"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "tools": [1]}"#;
        assert_eq!(outline(body), json!({"messages": [{"role": "user", "content": "a"}]}));
        assert_eq!(outline(b"{"), json!({}));
    }
}
