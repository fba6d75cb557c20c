//! What other models say of a pair: how alike the answers are, and which one is better.

use std::time::Duration;

use ::shadow::{
    answer::Answer,
    score::{
        Asked, Embeddings,
        judge::{self, Order, PositionBias},
    },
};
use api::shadowdeployment::{ComparedMetric, Metric};
use serde_json::Value;

use super::ask::Asking;
use crate::metrics::Operation;

/// Longest wait for one of them: they answer nobody who waits.
const PATIENCE: Duration = Duration::from_secs(60);

/// A pair to be judged.
pub struct Answers<'a> {
    /// The live answer.
    pub primary: &'a Answer,
    /// The candidate's.
    pub candidate: &'a Answer,
    /// The serving version's second one.
    pub baseline: Option<&'a Answer>,
}

impl Asking {
    /// Asks the models that metrics name, where both answers are whole. One that does not answer well says nothing.
    pub async fn judged(
        &self,
        namespace: &str,
        metrics: &[ComparedMetric],
        request: &Value,
        answers: &Answers<'_>,
        pair: &str,
    ) -> Asked {
        let mut asked = Asked::default();
        if !answers.primary.is_finished() || !answers.candidate.is_finished() {
            return asked;
        }
        for compared in metrics {
            let Some(model) = &compared.model else { continue };
            match compared.metric {
                Metric::Embedding => asked.embeddings = self.embeddings(namespace, &model.name, answers, pair).await,
                Metric::Judge => {
                    asked.preference = self.preference(namespace, &model.name, request, answers, pair).await;
                }
                _ => {}
            }
        }
        asked
    }

    async fn embeddings(&self, namespace: &str, model: &str, answers: &Answers<'_>, pair: &str) -> Option<Embeddings> {
        let place = self.model(namespace, model, pair)?;
        let baseline = answers.baseline.filter(|answer| answer.is_finished());
        let texts = [Some(answers.primary), Some(answers.candidate), baseline];
        let texts: Vec<_> = texts.into_iter().flatten().map(Answer::compared).collect();
        let texts: Vec<_> = texts.iter().map(String::as_str).collect();
        let mut vectors = self.embed(&place, &texts, pair, PATIENCE).await?.into_iter();
        Some(Embeddings {
            primary: vectors.next()?,
            candidate: vectors.next()?,
            baseline: vectors.next(),
        })
    }

    async fn preference(
        &self,
        namespace: &str,
        model: &str,
        request: &Value,
        answers: &Answers<'_>,
        pair: &str,
    ) -> Option<f64> {
        let place = self.model(namespace, model, pair)?;
        let ask = async |order: Order| {
            let body = judge::request(place.called(), request, answers.primary, answers.candidate, order);
            let answer = self.ask(&place, Operation::Chat, &body, pair, PATIENCE).await;
            judge::parse(&answer.text)
        };
        let [first, second] = Order::BOTH;
        PositionBias::default().add(ask(first).await, ask(second).await)
    }
}
