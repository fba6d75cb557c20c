//! Keys, passwords and tokens that are found, and text that only looks like them.

mod common;

use common::redacted;
use rstest::rstest;
use serde_json::json;

fn secrets(text: &str) -> String {
    redacted(json!({"detector": "Secrets"}), text)
}

/// Not written in one piece: scanners of repositories would find them here.
fn joined(parts: &[&str]) -> String {
    parts.concat()
}

const RANDOM: &str = "q7Zt2LmX9vKc4RbN8sWd1HfG6jPy3TuA5eQo";

#[rstest]
#[case(&["AK", "IA", "IOSFODNN7EXAMPLE"], "[AWS_KEY]")]
#[case(&["gh", "p_", RANDOM], "[GITHUB_TOKEN]")]
#[case(&["gl", "pat-", "q7Zt2LmX9vKc4RbN8sWd"], "[GITLAB_TOKEN]")]
#[case(&["xo", "xb-123456789012-", "q7Zt2LmX9vKc4RbN8sWd"], "[SLACK_TOKEN]")]
#[case(&["AI", "za", "SyA1q7Zt2LmX9vKc4RbN8sWd1HfG6jPy3Tu"], "[GOOGLE_KEY]")]
#[case(&["AccountKey=", RANDOM, RANDOM, "q7Zt2LmX9vKc4Q=="], "[AZURE_KEY]")]
#[case(&["sk", "_live_", "q7Zt2LmX9vKc4RbN8sWd"], "[STRIPE_KEY]")]
#[case(&["sk", "-proj-", RANDOM], "[API_KEY]")]
#[case(&["ey", "JhbGciOiJIUzI1NiJ9.ey", "JzdWIiOiIxMjM0NTY3ODkwIn0.", RANDOM], "[JWT]")]
#[case(&["postgres://app:", "hunter2x", "@db:5432/x"], "[CREDENTIALS]db:5432/x")]
#[case(&["password=", "Tr0ub4dor&3"], "[SECRET]")]
#[case(&["api_key: \"", "a81f0c3e5b7d9264", "\""], "[SECRET]\"")]
#[case(&["-----BEGIN RSA PRIV", "ATE KEY-----\nMIIEow\nabc=\n-----END RSA PRIV", "ATE KEY-----\nafter"], "[PRIVATE_KEY]\nafter")]
#[case(&["-----BEGIN PRIV", "ATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nMIIEvQIBADANBgkq"], "[PRIVATE_KEY]")]
fn secrets_are_found(#[case] parts: &[&str], #[case] expected: &str) {
    let text = joined(parts);
    assert_eq!(secrets(&text), expected);
    // Anywhere in a text.
    let inside = secrets(&format!("It is {text} and"));
    assert!(inside.starts_with("It is [") && inside.ends_with(" and"), "{inside}");
}

#[rstest]
#[case("Set your password: it must have eight characters.")]
#[case("password=$PASSWORD")]
#[case("password: <your password here>")]
#[case("api_key = os.environ[\"API_KEY\"]")]
#[case("token: changeme")]
#[case("The secret: patience.")]
#[case("secret=************")]
#[case("https://example.com/path:8080/@user")]
#[case("the sk-learn package and risk-adjusted-returns-of-portfolios")]
#[case("-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkq\n-----END PUBLIC KEY-----")]
#[case("commit 9fceb02d0ae598e95dc970b74767f19372d61af8")]
#[case("max_tokens: 4096, tokenizer: llama")]
fn other_text_stays(#[case] text: &str) {
    assert_eq!(secrets(text), text);
}
