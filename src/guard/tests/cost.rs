//! What looking costs, printed and not judged:
//!
//! ```sh
//! cargo test --release -p atelier-guard --test cost -- --ignored --nocapture
//! ```

mod common;

use std::time::Instant;

use common::{pass, rails};
use serde_json::json;

const PROSE: &str =
    "The weather in Gdańsk is fine today, and 12 people of 1.250 said so; nobody has to wait for words like these. ";

#[test]
#[ignore = "it measures"]
fn what_looking_costs() {
    let checks = [
        json!({"detector": "PersonalData"}),
        json!({"detector": "Secrets"}),
        json!({"detector": "PromptInjection"}),
        json!({"detector": "InvisibleUnicode"}),
        json!({"detector": "Pattern", "pattern": r"(?i)\bproject (?:falcon|owl)\b"}),
    ];
    let text = PROSE.repeat(10);
    for check in checks {
        let begun = Instant::now();
        let rails = rails(check.clone());
        let compiled = begun.elapsed();
        let rounds = 200;
        let begun = Instant::now();
        for _ in 0..rounds {
            let (out, ..) = pass(rails.output.whole(), [&*text]);
            assert_eq!(out, text);
        }
        let whole = begun.elapsed() / rounds;
        let begun = Instant::now();
        for _ in 0..rounds {
            pass(rails.output.stream(), text.split_inclusive(' '));
        }
        let piece = begun.elapsed() / rounds / text.split(' ').count() as u32;
        println!(
            "{}: compiled in {compiled:?}, {} bytes in {whole:?}, {piece:?} for a word of a stream",
            check["detector"],
            text.len()
        );
    }
}
