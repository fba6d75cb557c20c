//! What a judge replied.

use serde::Deserialize;

/// Which answer won.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Winner {
    /// The first one.
    A,
    /// The second one.
    B,
    /// Neither.
    #[serde(rename = "tie")]
    Tie,
}

/// A reply is no verdict. The pair is not judged; it is never taken for a tie.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the judge's reply is no verdict: it must be {{\"winner\": \"A\"}}, {{\"winner\": \"B\"}} or {{\"winner\": \"tie\"}} and nothing else"
)]
pub struct NoVerdict;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reply {
    winner: Winner,
}

/// Longest reply that is read, in bytes.
const MAX_REPLY: usize = 256;

/// Reads a reply: one JSON object as it was asked for, with spaces around it at most. A verdict is not picked out of
/// prose: an answer that quotes one would be found there as well.
///
/// # Errors
/// When it is anything else.
pub fn parse(reply: &str) -> Result<Winner, NoVerdict> {
    // A list of fields in their order would be read as an object, too.
    if reply.len() > MAX_REPLY || !reply.trim_start().starts_with('{') {
        return Err(NoVerdict);
    }
    let reply: Reply = serde_json::from_str(reply).map_err(|_| NoVerdict)?;
    Ok(reply.winner)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(r#"{"winner": "A"}"#, Winner::A)]
    #[case("\n {\"winner\":\"B\"} ", Winner::B)]
    #[case(r#"{"winner": "tie"}"#, Winner::Tie)]
    fn verdicts(#[case] reply: &str, #[case] winner: Winner) {
        assert_eq!(parse(reply), Ok(winner));
    }

    #[rstest]
    #[case("A")]
    #[case("")]
    #[case(r#"{"winner": "a"}"#)]
    #[case(r#"{"winner": "C"}"#)]
    #[case(r#"{"winner": "A"} because it is shorter"#)]
    #[case(r#"The winner is {"winner": "A"}"#)]
    #[case(r#"{"winner": "A", "winner": "B"}"#)]
    #[case(r#"{"winner": "A", "reason": "x"}"#)]
    #[case(r#"["A"]"#)]
    #[case("```json\n{\"winner\": \"A\"}\n```")]
    fn anything_else_is_no_verdict(#[case] reply: &str) {
        assert_eq!(parse(reply), Err(NoVerdict));
    }

    #[test]
    fn a_long_reply_is_not_read() {
        assert_eq!(
            parse(&format!("{}{{\"winner\": \"A\"}}", " ".repeat(MAX_REPLY))),
            Err(NoVerdict)
        );
    }
}
