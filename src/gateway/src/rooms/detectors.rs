//! How well the Room's detectors tell sentences that its documents support from others: see [`rooms::answer::labelled`].
//!
//! Sentences are made of documents that the caller sees, and looked at here: nothing but counts goes out. Entailment asks the
//! Room's reranker, as answers do, and so about fewer sentences. Confidence is left out: how certain a model is of a sentence
//! is known where it writes it itself, and nobody can make it write the wrong one.

use ::rooms::{
    Chunk, Verb,
    answer::{
        gate::Sentence,
        grounding::{Measured, Signals},
        labelled::{Group, label, measure},
    },
    redteam::is_planted,
};
use api::room::{AnswerDetector, Citations, RoomSpec};
use axum::{body::Body, http::Response};
use protocol::rooms::redteam::{Detector, Detectors};

use super::{
    Admitted,
    ask::checks::{alone, signals},
    models::Asker,
    request::{Knock, answer},
};
use crate::error::Error;

/// Chunks that sentences are taken from.
const CHUNKS: usize = 96;
/// About how many sentences the reranker is asked about: each takes a call.
const RERANKED: usize = 60;

/// `GET /redteam/detectors`
///
/// # Errors
/// See [`Error`].
pub async fn serve(knock: Knock) -> Result<Response<Body>, Error> {
    let work = async |admitted: Admitted| {
        let spec = admitted.room.spec.clone().ok_or(Error::RoomsUnavailable)?;
        let (generation, chunks) = chunks(&knock, &admitted).await?;
        // The same as long as the same documents answer.
        let seed = generation.unsigned_abs();
        let groups = aside(move || label(chunks, seed)).await?;
        let mut measured = Vec::new();
        for detector in configured(&spec) {
            let signals = match detector {
                AnswerDetector::Entailment => entailment(&Asker::of(&knock), &spec, &groups).await?,
                _ => groups
                    .iter()
                    .flat_map(|group| group.sentences.iter().map(|_| Some(Signals::default())))
                    .collect(),
            };
            let groups = groups.clone();
            let found = aside(move || measure(&groups, &alone(detector), signals)).await?;
            measured.push(counted(detector.as_str(), &found));
        }
        answer(&Detectors {
            object: "room.detectors".into(),
            generation,
            detectors: measured,
        })
    };
    knock.recorded("room_detectors", knock.admit(Verb::RedTeam), work).await
}

/// Chunks of the generation that answers, of documents that the caller sees and nobody has planted.
async fn chunks(knock: &Knock, admitted: &Admitted) -> Result<(i64, Vec<Chunk>), Error> {
    let rooms = &knock.gateway.rooms;
    let current = rooms.current(admitted).await?;
    let generation = current.index.generation();
    let offset = usize::try_from(generation).unwrap_or_default();
    let chosen = current.index.sample(&admitted.grant, CHUNKS, offset);
    let texts = store::rooms::texts(rooms.database()?, &admitted.grant, generation, None, &chosen).await;
    let texts = texts.map_err(|error| rooms.told(error))?;
    let chunks = texts.into_iter().map(|text| text.chunk);
    Ok((generation, chunks.filter(|chunk| !is_planted(&chunk.acl)).collect()))
}

/// Does what takes its time beside the requests of others.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "a measurement of detectors panicked");
        Error::RoomsUnavailable
    })
}

/// The detectors of a Room that can be measured.
fn configured(spec: &RoomSpec) -> Vec<AnswerDetector> {
    let answer = spec.answer.clone().unwrap_or_default();
    let is_measured = |detector: &AnswerDetector| match detector {
        AnswerDetector::Citations => answer.citations == Citations::Required,
        AnswerDetector::Overlap => true,
        AnswerDetector::Entailment => spec.reranker.is_some(),
        AnswerDetector::Confidence => false,
    };
    answer.detectors().iter().copied().filter(is_measured).collect()
}

/// What the reranker says, of sentences that are spread over all of them.
async fn entailment(asker: &Asker, spec: &RoomSpec, groups: &[Group]) -> Result<Vec<Option<Signals>>, Error> {
    let all: usize = groups.iter().map(|group| group.sentences.len()).sum();
    let mut found = Vec::new();
    for group in groups {
        for sentence in &group.sentences {
            let is_asked = is_asked(found.len(), all);
            let asked = Sentence {
                text: sentence.text.clone(),
                cites: sentence.cites.into_iter().collect(),
                place: 0..0,
            };
            found.push(match is_asked {
                true => Some(signals(asker, spec, &asked, &group.chunks).await?),
                false => None,
            });
        }
    }
    Ok(found)
}

/// Whether the reranker is asked about one of so many sentences. They are spread over all, and not at equal distances: it
/// would hear of the same kind of change each time.
fn is_asked(place: usize, all: usize) -> bool {
    let spread = (place as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    (spread * all as u64) >> 32 < RERANKED as u64
}

fn counted(name: &str, measured: &Measured) -> Detector {
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    Detector {
        name: name.into(),
        samples: number(measured.all()),
        found: number(measured.found),
        missed: number(measured.missed),
        falsely: number(measured.falsely),
        passed: number(measured.passed),
        precision: measured.precision(),
        recall: measured.recall(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn about_so_many_are_asked_about_and_all_of_a_few() {
        for (all, expected) in [(10, 10..=10), (60, 60..=60), (240, 54..=66), (300, 54..=66)] {
            let asked = (0..all).filter(|place| is_asked(*place, all)).count();
            assert!(expected.contains(&asked), "{asked} of {all}");
        }
        let kinds: std::collections::BTreeSet<_> = (0..240)
            .filter(|place| is_asked(*place, 240))
            .map(|it| it % 6)
            .collect();
        assert_eq!(kinds.len(), 6);
    }

    #[rstest]
    #[case(json!({}), &["Citations", "Overlap"])]
    #[case(json!({"answer": {"citations": "Optional"}}), &["Overlap"])]
    #[case(json!({"answer": {"detectors": ["Overlap", "Confidence"]}}), &["Overlap"])]
    #[case(json!({"answer": {"detectors": ["Confidence"]}}), &[])]
    #[case(json!({"answer": {"detectors": ["Entailment"]}}), &[])]
    #[case(json!({"answer": {"detectors": ["Entailment", "Citations"]}, "reranker": {"name": "r"}}), &["Entailment", "Citations"])]
    fn detectors_are_those_of_the_spec(#[case] mut spec: Value, #[case] expected: &[&str]) {
        spec["embedding"] = json!({"name": "e"});
        let spec: RoomSpec = serde_json::from_value(spec).unwrap();
        let names: Vec<_> = configured(&spec).into_iter().map(AnswerDetector::as_str).collect();
        assert_eq!(names, expected);
    }
}
