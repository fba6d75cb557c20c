//! How fast pairs are scored, on one core: `cargo run --release -p atelier-shadow --example speed [PAIRS]`.
//!
//! Prints a line of JSON for all scorers together and one for each metric: pairs each second, and microseconds of a pair.
//! Answers are of 150, 600 and 3000 words that are as unevenly distributed as words are; the candidate has the primary's
//! with every tenth word exchanged. Every pair has a baseline, a JSON schema, embeddings of 384 components and
//! likelihoods. The judge is not asked.

use std::{hint::black_box, time::Instant};

use api::shadowdeployment::Metric;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::json;
use shadow::{
    answer::{Answer, Failure, Finish, Outcome, Timings},
    metric,
    score::{Asked, Embeddings, Format, Likelihoods, Pair},
};

fn answer(words: &[String]) -> Answer {
    Answer {
        text: json!({"reply": words.join(" ")}).to_string(),
        outcome: Outcome::Finished(Finish::Stop),
        timings: Timings {
            first_token: Some(0.2),
            inter_token: Some(0.02),
            total: 5.0,
        },
        tokens_out: Some(words.len() as u64),
        mean_nll: Some(1.0),
        violations: Some(0),
        ..Answer::failed(Failure::Broken, 5.0)
    }
}

fn main() {
    let pairs: usize = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(500);
    let mut random = StdRng::seed_from_u64(7);
    for words in [150, 600, 3000] {
        let mut word = || format!("w{}", 60_000f64.powf(random.random::<f64>()) as u32);
        let mut text = || (0..words).map(|_| word()).collect::<Vec<_>>();
        let texts: Vec<_> = (0..20).map(|_| (text(), text())).collect();
        let near = |(text, other): &(Vec<String>, Vec<String>), every: usize| -> Answer {
            let pick = |at: usize| if at % every == every - 1 { &other[at] } else { &text[at] };
            answer(&(0..words).map(|at| pick(at).clone()).collect::<Vec<_>>())
        };
        let answers: Vec<_> = texts
            .iter()
            .map(|it| (answer(&it.0), near(it, 10), near(it, 25)))
            .collect();
        let request = json!({"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "object",
            "properties": {"reply": {"type": "string"}}, "required": ["reply"], "additionalProperties": false}}}});
        let vector: Vec<f32> = (0..384).map(|i| i as f32).collect();
        let asked = Asked {
            embeddings: Some(Embeddings {
                primary: vector.clone(),
                candidate: vector.clone(),
                baseline: Some(vector),
            }),
            likelihoods: Some(Likelihoods {
                primary_of_primary: Some(1.0),
                candidate_of_primary: Some(1.1),
                ..Likelihoods::default()
            }),
            preference: None,
        };
        let measure = |name: &str, metrics: &[Metric]| {
            let start = Instant::now();
            for at in 0..pairs {
                let (primary, candidate, baseline) = &answers[at % answers.len()];
                let format = Format::of(&request);
                let pair = Pair {
                    format: &format,
                    primary,
                    candidate,
                    baseline: Some(baseline),
                    asked: &asked,
                    timeout: 60.0,
                };
                for metric in metrics {
                    black_box(pair.score(*metric));
                }
            }
            let seconds = start.elapsed().as_secs_f64();
            let (rate, micros) = (pairs as f64 / seconds, 1e6 * seconds / pairs as f64);
            println!(
                "{}",
                json!({"metric": name, "words": words, "pairs_per_second": rate.round(), "us_per_pair": micros.round()})
            );
        };
        let scored: Vec<Metric> = metric::ALL.into_iter().filter(|it| *it != Metric::Judge).collect();
        measure("all", &scored);
        scored.iter().for_each(|it| measure(metric::name(*it), &[*it]));
    }
}
