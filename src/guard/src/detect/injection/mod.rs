//! Instructions that try to override what a model was told before.
//!
//! Phrases with weights, after the published attacks that garak and PurpleLlama collect. This is a filter for what is crude and
//! frequent; whoever knows it writes around it.

mod encoded;
mod phrases;

use std::sync::{Arc, LazyLock};

use crate::{
    check::{Action, Check, Scoring},
    guard::Guard,
    rule::Rule,
};

const KIND: &str = "PROMPT_INJECTION";

static RULES: LazyLock<Vec<Arc<Rule>>> = LazyLock::new(|| {
    let rules = phrases::rules().into_iter().map(Arc::new);
    rules.chain([Arc::new(encoded::rule())]).collect()
});

/// Looks into what was encoded, which may not be encoded again.
static PLAIN: LazyLock<Arc<Guard>> = LazyLock::new(|| {
    let check = Check {
        name: String::new(),
        action: Action::Annotate,
        threshold: 0.0,
        scoring: Scoring::Summed,
        max_length: None,
        is_json: false,
    };
    let rules = phrases::rules().into_iter().map(Arc::new).collect();
    Arc::new(Guard::new(vec![(check, rules)]))
});

/// All rules.
pub fn rules() -> Vec<Arc<Rule>> {
    RULES.clone()
}
