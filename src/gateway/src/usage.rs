//! The token counts that a worker states in its answers.

use serde::Deserialize;

/// Tokens of one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of the answer; absent when nothing was generated.
    #[serde(default)]
    pub completion_tokens: u64,
}

impl Usage {
    /// The counts by the conventions' `gen_ai.token.type`.
    pub fn by_type(self) -> [(&'static str, u64); 2] {
        [("input", self.prompt_tokens), ("output", self.completion_tokens)]
    }
}

/// Inside a JSON string its quotes would be escaped, so this only matches a field.
const FIELD: &[u8] = b"\"usage\":";

/// The last usage stated in `bytes`, a piece of an answer. A statement that lies across two pieces
/// is not seen: workers write theirs, and the end of an answer, at once.
pub fn find(bytes: &[u8]) -> Option<Usage> {
    let start = bytes.windows(FIELD.len()).rposition(|window| window == FIELD)? + FIELD.len();
    let mut values = serde_json::Deserializer::from_slice(&bytes[start..]).into_iter::<Usage>();
    values.next()?.ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn usage(prompt_tokens: u64, completion_tokens: u64) -> Option<Usage> {
        Some(Usage {
            prompt_tokens,
            completion_tokens,
        })
    }

    #[rstest]
    #[case(
        r#"{"id":"x","usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}"#,
        usage(3, 4)
    )]
    #[case(
        "data: {\"usage\":null}\n\ndata: {\"usage\": {\"prompt_tokens\":3}}\n\ndata: [DONE]\n\n",
        usage(3, 0)
    )]
    #[case(r#"{"text":"\"usage\":{\"prompt_tokens\":1}"}"#, None)]
    #[case(r#"{"usage":null}"#, None)]
    #[case(r#"{"usage":{"prompt_tok"#, None)]
    #[case("", None)]
    fn usage_is_found_where_it_is_a_field(#[case] text: &str, #[case] expected: Option<Usage>) {
        assert_eq!(find(text.as_bytes()), expected);
    }
}
