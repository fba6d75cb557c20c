//! Words of the pairs whose answers differ most, where a spec asks for them.
//!
//! Nothing is kept of what is not copied: of callers who opt out, and of Rooms. Nor is a pair in which a guardrail of the
//! model finds something, whose answer the user may have got without it. All is encrypted with keys of whoever asked, so
//! to erase these (`atelier-gateway audit erase`) erases it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use ::shadow::{
    answer::Answer,
    metric::{self, PairValue},
    report::MAX_EXAMPLE,
    score::text::rouge_l,
};
use api::shadowdeployment::{ComparedMetric, Metric};
use protocol::shadows as wire;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{
    audit::content::{self, Content, KeyRing, Limits},
    shadows as kept,
};

use super::{Service, experiment::Experiment, spec::Words};

/// The longest words of a pair, in bytes: a prompt and two answers, each in quotes.
const LONGEST: usize = 8 * MAX_EXAMPLE;
/// All that is encrypted at once, in bytes.
const MEMORY: usize = 64 * LONGEST;
/// A bar is asked for anew after so long: words expire.
const FRESH: Duration = Duration::from_secs(60);

/// What encrypts words, and opens them.
pub struct Vault {
    /// The keys.
    pub keys: KeyRing,
    sealing: Arc<content::Vault>,
}

/// What was said in a pair. This is what is encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Said {
    /// The end of what was asked; empty where that is not kept.
    pub prompt: String,
    /// The beginning of the live answer.
    pub primary: String,
    /// The beginning of the candidate's.
    pub candidate: String,
}

/// In what two answers differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The metric that says so.
    metric: Metric,
    /// How alike they are by it.
    likeness: f64,
    said: Said,
}

/// How different answers must be for their words to be kept, as far as this process knows.
#[derive(Default)]
pub struct Bar(Mutex<Option<(f64, Instant)>>);

impl Vault {
    /// With these keys.
    pub fn new(keys: KeyRing) -> Self {
        let limits = Limits {
            longest: LONGEST,
            memory: MEMORY,
        };
        Self {
            sealing: content::Vault::new(keys.clone(), limits),
            keys,
        }
    }
}

impl Bar {
    fn lets(&self, likeness: f64) -> bool {
        let bar = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bar.is_none_or(|(bar, since)| likeness < bar || since.elapsed() >= FRESH)
    }

    fn set(&self, bar: Option<f64>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = bar.map(|bar| (bar, Instant::now()));
    }
}

impl Difference {
    /// Between two whole answers, by the first metric of the comparison that says how alike they are, or by ROUGE-L. Of
    /// `request` the end is kept with them. None where they are the same, or where a guardrail finds something.
    pub fn between(
        primary: &Answer,
        candidate: &Answer,
        scores: &BTreeMap<String, wire::Score>,
        metrics: &[ComparedMetric],
        request: Option<&Value>,
    ) -> Option<Self> {
        let is_clean = |answer: &Answer| answer.is_finished() && answer.violations.unwrap_or(0) == 0;
        if !is_clean(primary) || !is_clean(candidate) {
            return None;
        }
        let (one, other) = (primary.compared(), candidate.compared());
        let likeness = |compared: &ComparedMetric| {
            let is_likeness = metric::describe(compared.metric).value == PairValue::Similarity;
            let score = scores.get(metric::name(compared.metric)).filter(|_| is_likeness)?;
            Some((compared.metric, score.candidate))
        };
        let (metric, likeness) = metrics
            .iter()
            .find_map(likeness)
            .unwrap_or_else(|| (Metric::RougeL, rouge_l(&one, &other)));
        if one == other {
            return None;
        }
        let said = Said {
            prompt: request
                .map(|request| end(&asked(request)).to_owned())
                .unwrap_or_default(),
            primary: beginning(&one).to_owned(),
            candidate: beginning(&other).to_owned(),
        };
        Some(Self { metric, likeness, said })
    }
}

impl Service {
    /// Keeps words of a pair of `asker`, if there are keys and few pairs differ more. Numbers are kept before; of
    /// words that cannot be, nothing is said but in the log.
    pub(super) async fn keep_words(
        &self,
        experiment: &Experiment,
        namespace: &str,
        asker: String,
        pair: String,
        difference: Difference,
    ) {
        let (Some(vault), Ok(database), Words::Kept { retention, .. }) =
            (&self.vault, self.database(), experiment.words())
        else {
            return;
        };
        if !experiment.bar.lets(difference.likeness) {
            return;
        }
        let Ok(text) = serde_json::to_vec(&difference.said) else {
            return;
        };
        let Ok(content) = Content::whole(vault.sealing.clone(), namespace, &text) else {
            tracing::debug!("there is no room for the words of a pair");
            return;
        };
        let words = kept::Words {
            pair,
            metric: metric::name(difference.metric),
            likeness: difference.likeness,
            subject: asker,
            content,
        };
        match kept::keep(database, &experiment.key.uid, retention, words).await {
            Ok(bar) => experiment.bar.set(bar),
            Err(error) => tracing::warn!(%error, "the words of a pair cannot be kept"),
        }
    }

    /// Takes away words that are older than specs say, or that they do not ask for any more.
    pub(crate) async fn expire_words(&self) {
        if !self.catalog.is_complete() {
            return;
        }
        let Ok(database) = self.migrated().await else { return };
        for (uid, words) in self.catalog.words() {
            let retention = match words {
                Words::Unknown => continue,
                Words::Never => None,
                Words::Kept { retention, .. } => Some(retention),
            };
            match kept::expire(database, &uid, retention).await {
                Ok(0) => {}
                Ok(pairs) => tracing::info!(uid, pairs, "words of pairs have expired"),
                Err(error) => {
                    tracing::warn!(%error, "words of pairs that have expired cannot be taken away");
                    return;
                }
            }
        }
    }
}

/// What the user asked last.
fn asked(request: &Value) -> String {
    let text = |content: &Value| match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    };
    let messages = request["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let last = messages.iter().rev().find(|message| message["role"] == "user");
    last.map_or_else(|| text(&request["prompt"]), |message| text(&message["content"]))
}

fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_EXAMPLE)]
}

fn end(text: &str) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(MAX_EXAMPLE))..]
}

#[cfg(test)]
mod tests {
    use ::shadow::answer::{Failure, Finish, Outcome};
    use serde_json::json;

    use super::*;

    fn said(text: &str) -> Answer {
        Answer {
            text: text.into(),
            outcome: Outcome::Finished(Finish::Stop),
            ..Answer::failed(Failure::Broken, 1.0)
        }
    }

    fn compared(metric: Metric) -> ComparedMetric {
        ComparedMetric {
            metric,
            margin: None,
            model: None,
        }
    }

    fn between(primary: &Answer, candidate: &Answer, request: Option<&Value>) -> Option<Difference> {
        let prefix = wire::Score {
            candidate: 0.25,
            ..wire::Score::default()
        };
        let scores = BTreeMap::from([("ExactPrefix".to_owned(), prefix)]);
        let metrics = [Metric::Errors, Metric::ExactPrefix, Metric::RougeL].map(compared);
        Difference::between(primary, candidate, &scores, &metrics, request)
    }

    #[test]
    fn answers_differ_by_the_first_metric_that_compares_them() {
        let request = json!({"messages": [
            {"role": "user", "content": "first"}, {"role": "assistant", "content": "a"},
            {"role": "user", "content": [{"type": "text", "text": "last"}]}, {"role": "tool", "content": "t"},
        ]});
        let found = between(&said("five"), &said("six"), Some(&request)).unwrap();
        assert_eq!((found.metric, found.likeness), (Metric::ExactPrefix, 0.25));
        assert_eq!(found.said.prompt, "last");
        assert_eq!((&*found.said.primary, &*found.said.candidate), ("five", "six"));
        assert_eq!(between(&said("five"), &said("six"), None).unwrap().said.prompt, "");
        let plain = Difference::between(&said("a b"), &said("a c"), &BTreeMap::new(), &[], None).unwrap();
        assert_eq!((plain.metric, plain.likeness), (Metric::RougeL, 0.5));
    }

    #[test]
    fn what_failed_is_the_same_or_was_caught_is_not_kept() {
        let caught = Answer {
            violations: Some(1),
            ..said("six")
        };
        let failed = Answer::failed(Failure::Timeout, 1.0);
        for other in [said("five"), caught, failed] {
            assert_eq!(between(&said("five"), &other, None), None);
            assert_eq!(between(&other, &said("five"), None), None);
        }
    }

    #[test]
    fn long_words_are_cut_where_characters_end() {
        let long = format!("{}é", "x".repeat(MAX_EXAMPLE - 1));
        assert_eq!(beginning(&long).len(), MAX_EXAMPLE - 1);
        assert_eq!(end(&format!("é{}", "x".repeat(MAX_EXAMPLE - 1))).len(), MAX_EXAMPLE - 1);
        assert_eq!(asked(&json!({"prompt": "text"})), "text");
    }

    #[test]
    fn a_bar_keeps_out_what_is_more_alike() {
        let bar = Bar::default();
        assert!(bar.lets(0.9));
        bar.set(Some(0.5));
        assert!(bar.lets(0.4) && !bar.lets(0.5));
        bar.set(None);
        assert!(bar.lets(0.9));
    }
}
