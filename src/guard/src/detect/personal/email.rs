//! E-mail addresses, as RFC 5321 limits them. Quoted local parts and characters beyond ASCII are not looked for.

use crate::rule::{Candidate, Rule};

/// Addresses at a domain with a top level that can exist.
pub fn rule() -> Rule {
    let pattern = r"\b[A-Za-z0-9][A-Za-z0-9._%+'-]{0,63}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])";
    Rule::judged("EMAIL", pattern, judge)
}

fn judge(candidate: Candidate<'_>) -> Option<f64> {
    let (local, domain) = candidate.text.split_once('@')?;
    let is_local = !local.ends_with('.') && !local.contains("..") && local.len() <= 64;
    let (_, top) = domain.rsplit_once('.')?;
    let is_label = |label: &str| {
        let is_length = (1..=63).contains(&label.len());
        is_length && !label.starts_with('-') && !label.ends_with('-')
    };
    let is_top = top.len() >= 2 && top.bytes().all(|byte| byte.is_ascii_alphabetic()) || top.starts_with("xn--");
    (is_local && is_top && domain.split('.').all(is_label)).then_some(0.95)
}
