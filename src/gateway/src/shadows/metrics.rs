//! What is counted of copies.

use prometheus::{IntCounterVec, IntGauge, Opts, Registry};

use super::drops::Drop;
use crate::metrics::register;

/// Numbers of copies, by ShadowDeployment. Series of one that is gone go with it.
#[derive(Clone)]
pub struct Metrics {
    copies: IntCounterVec,
    baselines: IntCounterVec,
    tokens: IntCounterVec,
    /// Copies under way.
    pub in_flight: IntGauge,
}

/// What becomes of a request that was chosen, beside the reasons of [`Drop`].
const OUTCOMES: [&str; 3] = [PAIRED, FAILED, OPTED_OUT];
const PAIRED: &str = "paired";
const FAILED: &str = "failed";
const OPTED_OUT: &str = "opted_out";

impl Metrics {
    /// Shown by `registry`.
    pub fn new(registry: &Registry) -> Self {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            register(registry, IntCounterVec::new(Opts::new(name, help), labels))
        };
        Self {
            copies: counters(
                "atelier_shadow_copies_total",
                "Live requests that a ShadowDeployment chose, by what became of their copies: paired, failed (a pair whose \
                 candidate did not answer), opted_out, or why there is no pair.",
                &["namespace", "shadow", "outcome"],
            ),
            baselines: counters(
                "atelier_shadow_baselines_total",
                "Copies that the serving version was asked once more, by whether it answered.",
                &["namespace", "shadow", "answered"],
            ),
            tokens: counters(
                "atelier_shadow_tokens_total",
                "Tokens of prompts and answers of copies, as servers state them. They count nowhere else.",
                &["namespace", "shadow"],
            ),
            in_flight: register(
                registry,
                IntGauge::new("atelier_shadow_copies_in_flight", "Copies being answered."),
            ),
        }
    }

    /// There is a pair.
    pub fn paired(&self, namespace: &str, shadow: &str, has_failed: bool) {
        self.count(namespace, shadow, if has_failed { FAILED } else { PAIRED });
    }

    /// There is none.
    pub fn dropped(&self, namespace: &str, shadow: &str, why: Drop) {
        self.count(namespace, shadow, why.as_str());
    }

    /// Its caller does not want it to be copied.
    pub fn opted_out(&self, namespace: &str, shadow: &str) {
        self.count(namespace, shadow, OPTED_OUT);
    }

    /// The serving version was asked once more.
    pub fn baseline(&self, namespace: &str, shadow: &str, answered: bool) {
        let answered = if answered { "true" } else { "false" };
        self.baselines.with_label_values(&[namespace, shadow, answered]).inc();
    }

    /// A copy took so many tokens.
    pub fn used(&self, namespace: &str, shadow: &str, tokens: u64) {
        self.tokens.with_label_values(&[namespace, shadow]).inc_by(tokens);
    }

    /// Copies of a ShadowDeployment that had this outcome.
    #[cfg(test)]
    pub fn copies(&self, namespace: &str, shadow: &str, outcome: &str) -> u64 {
        self.copies.with_label_values(&[namespace, shadow, outcome]).get()
    }

    /// Drops the series of a ShadowDeployment that is gone.
    pub fn forget(&self, namespace: &str, shadow: &str) {
        for outcome in OUTCOMES.into_iter().chain(Drop::ALL.map(Drop::as_str)) {
            let _ = self.copies.remove_label_values(&[namespace, shadow, outcome]);
        }
        for answered in ["true", "false"] {
            let _ = self.baselines.remove_label_values(&[namespace, shadow, answered]);
        }
        let _ = self.tokens.remove_label_values(&[namespace, shadow]);
    }

    fn count(&self, namespace: &str, shadow: &str, outcome: &str) {
        self.copies.with_label_values(&[namespace, shadow, outcome]).inc();
    }
}
