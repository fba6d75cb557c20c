use engine::TokenMask;
use proptest::prelude::*;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use regex::Regex;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
pub(crate) use crate::serve::fuzz::tokenizer;

pub(crate) async fn compile(grammar: Grammar) -> Result<Box<dyn TokenConstraint>, String> {
    Constraints::new(tokenizer()).compile(grammar).await
}

/// An answer whose tokens are drawn evenly from what is allowed; `None` if it does not end.
pub(crate) fn draw(mut constraint: Box<dyn TokenConstraint>, seed: u64) -> Option<String> {
    let tokenizer = tokenizer();
    let mut random = StdRng::seed_from_u64(seed);
    let mut text = Vec::new();
    for _ in 0..2000 {
        if constraint.is_complete() {
            return String::from_utf8(text).ok();
        }
        let mut mask = TokenMask::new(tokenizer.len());
        constraint.mask(&mut mask).unwrap();
        let allowed: Vec<u32> = (0..tokenizer.len() as u32)
            .filter(|token| mask.allows(*token))
            .collect();
        let token = allowed[random.random_range(0..allowed.len())];
        if Some(token) == tokenizer.end() {
            return String::from_utf8(text).ok();
        }
        constraint.accept(token).unwrap();
        text.extend_from_slice(tokenizer.bytes(token));
    }
    None
}

#[tokio::test]
async fn every_draw_is_valid() {
    let schema = json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 8},
            "age": {"type": "integer", "minimum": 0, "maximum": 150},
            "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 3},
        },
        "required": ["name", "age"],
        "additionalProperties": false,
    });
    let constraint = compile(Grammar::JsonSchema(schema)).await.unwrap();
    for seed in 0..20 {
        let text = draw(constraint.clone(), seed).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert!(value["age"].as_u64().unwrap() <= 150, "{text}");
        assert!(value["name"].as_str().unwrap().chars().count() <= 8, "{text}");
        let keys = value.as_object().unwrap().keys();
        assert!(
            keys.into_iter()
                .all(|key| ["name", "age", "tags"].contains(&key.as_str())),
            "{text}"
        );
    }
}

#[rstest]
#[case(Grammar::Regex(r"[a-c]{2,4}-\d+x".into()), r"^[a-c]{2,4}-\d+x$")]
#[case(Grammar::Choice(vec!["yes".into(), "no \"way\"".into(), "no".into()]), "^(yes|no|no \"way\")$")]
#[case(Grammar::Lark("start: \"<\" /[0-9]/{1,3} \">\"".into()), "^<[0-9]{1,3}>$")]
#[tokio::test]
async fn texts_match(#[case] grammar: Grammar, #[case] expected: &str) {
    let constraint = compile(grammar).await.unwrap();
    let expected = Regex::new(expected).unwrap();
    for seed in 0..20 {
        let text = draw(constraint.clone(), seed).unwrap();
        assert!(expected.is_match(&text), "{text:?}");
    }
}

#[tokio::test]
async fn a_copy_goes_its_own_way() {
    let mut one = compile(Grammar::Regex("ab".into())).await.unwrap();
    let other = one.clone();
    one.accept(tokenizer().find("a").unwrap()).unwrap();
    assert_eq!(draw(other, 1).as_deref(), Some("ab"));
    assert_eq!(draw(one, 1).as_deref(), Some("b"));
}

#[rstest]
#[case(Grammar::Regex("(".into()), "")]
#[case(Grammar::Regex(r"(a)\1".into()), "")]
#[case(Grammar::Regex("a".repeat(9000)), "9000 bytes")]
#[case(Grammar::Choice(vec![]), "at least one")]
#[case(Grammar::Choice(vec![String::new()]), "empty")]
#[case(Grammar::JsonSchema(json!({"type": "strnig"})), "strnig")]
#[case(Grammar::JsonSchema(json!(false)), "")]
#[case(Grammar::JsonSchema(json!({"$ref": "https://example.com/schema"})), "")]
#[case(Grammar::JsonSchema(json!({"$ref": "#/$defs/none"})), "")]
#[case(Grammar::JsonSchema(json!({"type": "string", "pattern": "("})), "")]
#[case(Grammar::Lark("start: nothing".into()), "nothing")]
#[tokio::test]
async fn what_cannot_be_compiled_is_told(#[case] grammar: Grammar, #[case] expected: &str) {
    let error = compile(grammar).await.expect_err("an error");
    assert!(!error.is_empty() && error.contains(expected), "{error}");
}

/// Whatever the compiler makes of these, it does not panic, run on or run out of memory.
#[rstest]
#[case(Grammar::Regex("((((a{0,99}){0,99}){0,99}){0,99}){0,99}".into()))]
#[case(Grammar::Regex("(a|b|ab)*c".repeat(300)))]
#[case(Grammar::Regex("(?i)".to_owned() + &"(".repeat(2000) + &")".repeat(2000)))]
#[case(Grammar::Regex(r"\p{L}{1000}.*\p{N}{1000}".into()))]
#[case(Grammar::JsonSchema(json!({"type": "string", "minLength": 1_000_000_000u64})))]
#[case(Grammar::JsonSchema(json!({"type": "array", "minItems": 1_000_000_000u64})))]
#[case(Grammar::JsonSchema(json!({"$ref": "#"})))]
#[case(Grammar::JsonSchema(json!({"allOf": [{"$ref": "#"}, {"$ref": "#"}]})))]
#[case(Grammar::JsonSchema(json!({"multipleOf": 1e-300})))]
#[case(Grammar::JsonSchema(json!({"type": "integer", "minimum": -1e308, "maximum": 1e308})))]
#[case(Grammar::JsonSchema(json!({"type": "object", "required": (0..5000).map(|i| i.to_string()).collect::<Vec<_>>()})))]
#[case(Grammar::Lark("start: ".to_owned() + &"(".repeat(30_000)))]
#[case(Grammar::Lark("start: start start | \"a\" |".into()))]
#[case(Grammar::Lark("start: \"a\"{0,1000000000}".into()))]
#[tokio::test]
async fn hostile_grammars_end(#[case] grammar: Grammar) {
    if let Ok(mut constraint) = compile(grammar).await {
        let mut mask = TokenMask::new(tokenizer().len());
        let _ = constraint.mask(&mut mask);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_regex_makes_it_panic(regex in r"[ab().*+?{}\[\]|^$\\0-9,-]{0,30}") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        if let Err(error) = runtime.block_on(compile(Grammar::Regex(regex))) {
            prop_assert!(!error.contains("panic") && !error.contains("fault"), "{}", error);
        }
    }
}
