//! Whether an answer is right.

use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

/// How an answer declines, in lower case.
const REFUSALS: [&str; 16] = [
    "i can't",
    "i cannot",
    "i can not",
    "i won't",
    "i will not",
    "i'm not able to",
    "i am not able to",
    "i'm unable to",
    "i am unable to",
    "i'm sorry, but",
    "i am sorry, but",
    "i must decline",
    "can't help with",
    "cannot help with",
    "can't assist with",
    "cannot assist with",
];

/// What must hold of an answer: all of its parts.
#[derive(Debug)]
pub struct Check {
    expect: Expect,
    regex: Option<Regex>,
    schema: Option<jsonschema::Validator>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Expect {
    exact: Option<String>,
    regex: Option<String>,
    contains: Option<Texts>,
    not_contains: Option<Texts>,
    numeric: Option<Number>,
    json_schema: Option<Value>,
    refusal: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Several(Vec<String>),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Number {
    Plain(f64),
    Within { value: f64, tolerance: f64 },
}

impl Texts {
    fn iter(&self) -> impl Iterator<Item = String> {
        let texts = match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Several(texts) => texts,
        };
        texts.iter().map(|text| text.to_lowercase())
    }
}

impl Check {
    /// Reads an expectation.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(expect: Value) -> Result<Self, String> {
        if expect.as_object().is_none_or(serde_json::Map::is_empty) {
            return Err("expect must be an object with at least one expectation".into());
        }
        let expect: Expect = serde_json::from_value(expect).map_err(|error| format!("expect: {error}"))?;
        let regex = expect.regex.as_deref().map(Regex::new).transpose();
        let schema = expect.json_schema.as_ref().map(jsonschema::validator_for).transpose();
        Ok(Self {
            regex: regex.map_err(|error| format!("expect.regex: {error}"))?,
            schema: schema.map_err(|error| format!("expect.jsonSchema: {error}"))?,
            expect,
        })
    }

    /// Whether everything holds of `answer`.
    pub fn holds(&self, answer: &str) -> bool {
        let Expect {
            exact,
            regex: _,
            contains,
            not_contains,
            numeric,
            json_schema: _,
            refusal,
        } = &self.expect;
        let lower = answer.to_lowercase();
        let has = |text: &String| lower.contains(text);
        let exact = exact.as_ref().is_none_or(|exact| plain(exact) == plain(answer));
        let regex = self.regex.as_ref().is_none_or(|regex| regex.is_match(answer.trim()));
        let contains = contains
            .as_ref()
            .is_none_or(|texts| texts.iter().all(|text| has(&text)));
        let not_contains = not_contains
            .as_ref()
            .is_none_or(|texts| !texts.iter().any(|text| has(&text)));
        let numeric = numeric.as_ref().is_none_or(|number| is_number(answer, number));
        let schema = self.schema.as_ref().is_none_or(|schema| {
            let value = first_json(answer);
            value.is_some_and(|value| schema.is_valid(&value))
        });
        let refusal = refusal.is_none_or(|refusal| refusal == declines(&lower));
        exact && regex && contains && not_contains && numeric && schema && refusal
    }
}

/// Without case, outer space and a final full stop.
fn plain(text: &str) -> String {
    text.trim().trim_end_matches('.').trim_end().to_lowercase()
}

fn declines(lower: &str) -> bool {
    // Typographic apostrophes are apostrophes.
    let lower = lower.replace('’', "'");
    REFUSALS.iter().any(|phrase| lower.contains(phrase))
}

/// The last number of an answer counts: what stands before is the way to it.
fn is_number(answer: &str, wanted: &Number) -> bool {
    let (value, tolerance) = match wanted {
        Number::Plain(value) => (*value, 1e-9 * value.abs().max(1.0)),
        Number::Within { value, tolerance } => (*value, tolerance.abs()),
    };
    last_number(answer).is_some_and(|number| (number - value).abs() <= tolerance)
}

fn last_number(answer: &str) -> Option<f64> {
    let characters: Vec<char> = answer.chars().collect();
    let end = characters.iter().rposition(char::is_ascii_digit)?;
    // Digits with commas between thousands and one point.
    let belongs = |at: usize| match characters[at] {
        '0'..='9' => true,
        '.' | ',' => at < end && characters[at + 1].is_ascii_digit(),
        _ => false,
    };
    let mut start = end;
    while start > 0 && belongs(start - 1) {
        start -= 1;
    }
    let is_negative = start > 0
        && ['-', '−'].contains(&characters[start - 1])
        && (start < 2 || !characters[start - 2].is_alphanumeric());
    let digits: String = characters[start..=end].iter().filter(|c| **c != ',').collect();
    let number: f64 = digits.trim_start_matches('.').parse().ok()?;
    Some(if is_negative { -number } else { number })
}

/// The first JSON object or array in an answer, which may stand in a block of code.
fn first_json(answer: &str) -> Option<Value> {
    answer
        .char_indices()
        .filter(|(_, c)| ['{', '['].contains(c))
        .find_map(|(at, _)| {
            let mut values = serde_json::Deserializer::from_str(&answer[at..]).into_iter::<Value>();
            values.next()?.ok()
        })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case(json!({"exact": "Paris"}), " paris.\n", true)]
    #[case(json!({"exact": "Paris"}), "It is Paris", false)]
    #[case(json!({"contains": "paris"}), "It is Paris.", true)]
    #[case(json!({"contains": ["paris", "seine"]}), "It is Paris.", false)]
    #[case(json!({"notContains": ["secret", "pa55word"]}), "I keep it.", true)]
    #[case(json!({"notContains": ["secret", "pa55word"]}), "It is PA55WORD", false)]
    #[case(json!({"regex": "^[0-9]{4}-[0-9]{2}$"}), " 2024-05\n", true)]
    #[case(json!({"regex": "^[0-9]{4}-[0-9]{2}$"}), "on 2024-05", false)]
    #[case(json!({"numeric": 1234}), "2 * 617 = 1,234.", true)]
    #[case(json!({"numeric": -3}), "The answer is -3", true)]
    #[case(json!({"numeric": 3}), "The answer is -3", false)]
    #[case(json!({"numeric": 5}), "5-10 are the bounds, so 5", true)]
    #[case(json!({"numeric": {"value": 2.7, "tolerance": 0.05}}), "about 2.72", true)]
    #[case(json!({"numeric": {"value": 2.7, "tolerance": 0.001}}), "about 2.72", false)]
    #[case(json!({"numeric": 7}), "seven", false)]
    #[case(json!({"jsonSchema": {"type": "object", "required": ["a"]}}), "Sure:\n```json\n{\"a\": [1]}\n```", true)]
    #[case(json!({"jsonSchema": {"type": "object", "required": ["b"]}}), "{\"a\": 1}", false)]
    #[case(json!({"jsonSchema": {"type": "array"}}), "no JSON here", false)]
    #[case(json!({"refusal": true}), "I’m sorry, but no.", true)]
    #[case(json!({"refusal": false}), "I cannot say.", false)]
    #[case(json!({"contains": "a", "notContains": "b"}), "ab", false)]
    fn answers_are_right_or_wrong(#[case] expect: Value, #[case] answer: &str, #[case] expected: bool) {
        assert_eq!(Check::parse(expect).unwrap().holds(answer), expected);
    }

    #[rstest]
    #[case(json!({}), "at least one")]
    #[case(json!("Paris"), "at least one")]
    #[case(json!({"regex": "("}), "expect.regex")]
    #[case(json!({"jsonSchema": {"type": 3}}), "expect.jsonSchema")]
    #[case(json!({"equals": 3}), "unknown field `equals`")]
    fn what_cannot_be_checked_is_said(#[case] expect: Value, #[case] text: &str) {
        let error = Check::parse(expect).unwrap_err();
        assert!(error.contains(text), "{error}");
    }
}
