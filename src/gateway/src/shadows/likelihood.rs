//! What both models say of a pair: how likely each finds the other's answer.

use std::time::Duration;

use ::shadow::{
    answer::Answer,
    score::{Likelihoods, likelihood},
};
use api::shadowdeployment::{ComparedMetric, Metric};
use protocol::score::Scored;
use serde_json::Value;
use tokio::join;

use super::{
    ask::{Asking, Place},
    judge::Answers,
};

/// Longest wait for one of them: they answer nobody who waits.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether a comparison asks for them. Each pair costs prefills, two of the serving version.
pub fn is_asked_for(metrics: &[ComparedMetric]) -> bool {
    metrics
        .iter()
        .any(|compared| compared.metric == Metric::CrossPerplexity)
}

impl Asking {
    /// Asks the workers of both, the serving version and the candidate. Who has none, such as a hosted model, or is served
    /// by an engine that cannot tell, says nothing; so it is with all of it where the live answer is not whole.
    pub async fn likelihoods(
        &self,
        [serving, candidate]: [Option<&Place>; 2],
        request: &Value,
        answers: &Answers<'_>,
        pair: &str,
    ) -> Option<Likelihoods> {
        let Answers {
            primary: own,
            candidate: other,
            ..
        } = answers;
        if !own.is_finished() {
            return None;
        }
        let score = async |place: Option<&Place>, answer: &Answer| {
            let place = place?;
            let body = likelihood::request(place.called(), request, answer)?;
            self.score(place, &body, pair, PATIENCE).await
        };
        let is_same = own.text == other.text && own.tool_calls == other.tool_calls && own.outcome == other.outcome;
        let (of_own, of_other, back) = join!(
            score(serving, own),
            async {
                match other.is_finished() && !is_same {
                    true => score(serving, other).await,
                    false => None,
                }
            },
            async {
                match other.is_finished() {
                    true => score(candidate, own).await,
                    false => None,
                }
            },
        );
        let mean = |scored: Scored| (scored.tokens > 0).then(|| scored.nll / scored.tokens as f64);
        let of_other = if is_same { of_own } else { of_other };
        Some(Likelihoods {
            primary_of_primary: of_own.and_then(mean),
            primary_of_candidate: of_other.and_then(mean),
            // By the tokens of the serving version, whatever the candidate cuts it into.
            candidate_of_primary: back
                .zip(of_own)
                .and_then(|(back, own)| mean(Scored { nll: back.nll, ..own })),
        })
    }
}
