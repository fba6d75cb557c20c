//! What requests are kept together by.

use api::shadowdeployment::SampleKey;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::canonical;

/// What decides whether a request is copied: a hash, from which nothing of the request can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key([u8; 32]);

/// Who asks, as the gateway knows it.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// The authenticated caller.
    pub caller: &'a str,
    /// Value of the header that `sample.header` names, if the request has it.
    pub header: Option<&'a str>,
    /// What no other request has.
    pub request_id: &'a str,
}

/// Where clients name a conversation, at the top level and in `metadata`.
const CONVERSATION: [&str; 6] = [
    "conversation",
    "conversation_id",
    "thread_id",
    "thread",
    "session_id",
    "chat_id",
];
/// Where callers that ask for many people name one.
const USER: [&str; 2] = ["user", "safety_identifier"];

impl Key {
    /// The key of a request with this body.
    ///
    /// * `User`: the caller, and the person the caller names in `user` or `safety_identifier`.
    /// * `Conversation`: the id that the body states (`conversation`, `conversation_id`, `thread_id`, `session_id`,
    ///   ... or the same in `metadata`); otherwise the messages up to the first of the user, which each later turn
    ///   repeats.
    /// * `Header`: the header's value.
    /// * `Random`, and whatever lacks the above: the request itself.
    ///
    /// Every key but that of a header belongs to its caller: two people who begin with the same words have two
    /// conversations.
    pub fn of(kind: SampleKey, asker: &Asker<'_>, body: &Value) -> Self {
        let person = first_text(body, &USER).unwrap_or_default();
        let of_caller = |label, key: &str| Self::hash(&[label, asker.caller, &person, key]);
        let found = match kind {
            SampleKey::User => Some(of_caller("user", "")),
            SampleKey::Conversation => {
                let stated = first_text(body, &CONVERSATION)
                    .or_else(|| first_text(body.get("metadata")?, &CONVERSATION))
                    .map(|id| of_caller("conversation", &id));
                stated.or_else(|| Some(of_caller("opening", &opening(body)?)))
            }
            SampleKey::Header => asker.header.map(|value| Self::hash(&["header", value])),
            SampleKey::Random => None,
        };
        found.unwrap_or_else(|| Self::request(asker.request_id))
    }

    /// The key of a request that stands for itself.
    pub fn request(request_id: &str) -> Self {
        Self::hash(&["request", request_id])
    }

    fn hash(parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The first of the fields that has a text, a number, or an object with an `id`.
fn first_text(value: &Value, fields: &[&str]) -> Option<String> {
    fields.iter().find_map(|field| match value.get(field)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Object(object) => Some(object.get("id")?.as_str()?.to_owned()),
        _ => None,
    })
}

/// Roles and contents of the messages up to the first of the user; `None` where there is none. Other fields of messages
/// are left out: clients add ids and times to what they have sent.
fn opening(body: &Value) -> Option<String> {
    let messages = body.get("messages")?.as_array()?;
    let role = |message: &Value| message.get("role").and_then(Value::as_str).map(str::to_owned);
    let end = messages
        .iter()
        .position(|message| role(message).as_deref() == Some("user"))?;
    let mut opening = String::new();
    for message in &messages[..=end] {
        opening.push_str(&role(message).unwrap_or_default());
        opening.push(' ');
        opening.push_str(&canonical::json(message.get("content").unwrap_or(&Value::Null)));
        opening.push('\n');
    }
    Some(opening)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    const JANE: Asker<'_> = Asker {
        caller: "jane",
        header: None,
        request_id: "r-1",
    };

    fn conversation(body: Value) -> Key {
        Key::of(SampleKey::Conversation, &JANE, &body)
    }

    fn first_turn() -> Value {
        json!({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "a"}]})
    }

    #[test]
    fn a_later_turn_has_the_key_of_the_first() {
        let later = json!({"temperature": 1, "messages": [
            {"content": "s", "role": "system", "id": "m-1"},
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"},
            {"role": "user", "content": "c"},
        ]});
        assert_eq!(conversation(first_turn()), conversation(later));
    }

    #[rstest]
    #[case::other_system(json!({"messages": [{"role": "system", "content": "t"}, {"role": "user", "content": "a"}]}))]
    #[case::other_question(json!({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "b"}]}))]
    #[case::moved(json!({"messages": [{"role": "user", "content": "s"}, {"role": "user", "content": "a"}]}))]
    #[case::other_person(json!({"user": "joe", "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "a"}]}))]
    fn another_conversation_has_another_key(#[case] body: Value) {
        assert_ne!(conversation(first_turn()), conversation(body));
    }

    #[rstest]
    #[case(json!({"conversation": "c-1"}))]
    #[case(json!({"conversation": {"id": "c-1"}}))]
    #[case(json!({"metadata": {"conversation_id": "c-1"}}))]
    #[case(json!({"metadata": {"thread_id": "c-1"}, "user": ""}))]
    #[case(json!({"session_id": "c-1", "messages": [{"role": "user", "content": "whatever"}]}))]
    fn a_stated_conversation_is_that_wherever_it_is_stated(#[case] body: Value) {
        assert_eq!(conversation(json!({"conversation": "c-1"})), conversation(body));
    }

    #[test]
    fn conversations_belong_to_their_callers() {
        let joe = Asker { caller: "joe", ..JANE };
        for body in [first_turn(), json!({"conversation": "c-1"})] {
            assert_ne!(
                conversation(body.clone()),
                Key::of(SampleKey::Conversation, &joe, &body)
            );
        }
    }

    #[rstest]
    #[case(json!({"prompt": "a"}))]
    #[case(json!({"messages": []}))]
    #[case(json!({"messages": "a"}))]
    #[case(json!({"messages": [{"role": "assistant", "content": "a"}, 5, null]}))]
    #[case(json!({"conversation": {}, "metadata": 3}))]
    #[case(json!([]))]
    #[case(json!(null))]
    fn what_has_no_conversation_stands_for_itself(#[case] body: Value) {
        assert_eq!(conversation(body), Key::request("r-1"));
    }

    #[test]
    fn users_are_callers_and_the_people_they_ask_for() {
        let user = |asker: &Asker<'_>, body: Value| Key::of(SampleKey::User, asker, &body);
        let other_request = Asker {
            request_id: "r-2",
            ..JANE
        };
        assert_eq!(
            user(&JANE, json!({"user": "u"})),
            user(&other_request, json!({"user": "u", "messages": []}))
        );
        assert_ne!(user(&JANE, json!({"user": "u"})), user(&JANE, json!({"user": "v"})));
        assert_ne!(
            user(&JANE, json!({})),
            user(&Asker { caller: "joe", ..JANE }, json!({}))
        );
    }

    #[test]
    fn headers_go_by_their_value_and_without_it_by_request() {
        let header = |value, request_id| {
            let asker = Asker {
                header: value,
                request_id,
                ..JANE
            };
            Key::of(SampleKey::Header, &asker, &json!({}))
        };
        assert_eq!(header(Some("tenant-7"), "r-1"), header(Some("tenant-7"), "r-2"));
        assert_ne!(header(Some("tenant-7"), "r-1"), header(Some("tenant-8"), "r-1"));
        assert_ne!(header(None, "r-1"), header(None, "r-2"));
    }

    #[test]
    fn random_keys_are_those_of_requests() {
        assert_eq!(Key::of(SampleKey::Random, &JANE, &first_turn()), Key::request("r-1"));
        // Parts are told apart, however they are cut.
        assert_ne!(Key::hash(&["a", "bc"]), Key::hash(&["ab", "c"]));
    }
}
