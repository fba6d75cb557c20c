//! How the sentences of an answer are checked.

use ::rooms::{
    Chunk,
    answer::{
        gate::{Policy, Sentence},
        grounding::{MOST_UNCERTAIN, Settings, Signals},
        sentences::sentences,
        weak::says_unknown,
    },
};
use api::room::{AnswerDetector, Citations, RoomSpec, Ungrounded};

use super::super::{models::Asker, room::Room};
use crate::error::Error;

/// Score of a reranker from which a chunk entails a sentence.
const ENTAILED: f64 = 0.5;

/// Refuses where a detector of the Room cannot be applied: better no answer than one that was not looked at as the Room
/// wants it.
///
/// # Errors
/// Then.
pub fn check_detectors(room: &Room, spec: &RoomSpec) -> Result<(), Error> {
    let detectors = spec
        .answer
        .as_ref()
        .map(|answer| &answer.detectors[..])
        .unwrap_or_default();
    if detectors.contains(&AnswerDetector::Entailment) && spec.reranker.is_none() {
        tracing::error!(
            room = room.key.name,
            namespace = room.key.namespace,
            "a detector of the Room cannot be applied: Entailment needs a reranker"
        );
        return Err(Error::RoomsUnavailable);
    }
    Ok(())
}

/// What the Room wants to be checked, and what becomes of sentences that are not supported.
pub fn checks(answer: Option<&api::room::Answer>) -> (Settings, Policy) {
    let plain = api::room::Answer::default();
    let answer = answer.unwrap_or(&plain);
    let has = |detector| answer.detectors.is_empty() || answer.detectors.contains(&detector);
    let settings = Settings {
        citations: answer.citations == Citations::Required && has(AnswerDetector::Citations),
        overlap: has(AnswerDetector::Overlap),
        entailment: answer
            .detectors
            .contains(&AnswerDetector::Entailment)
            .then_some(ENTAILED),
        most_uncertain: (answer.detectors.contains(&AnswerDetector::Confidence)).then_some(MOST_UNCERTAIN),
        ..Settings::default()
    };
    let policy = match answer.ungrounded {
        Ungrounded::Refuse => Policy::Refuse,
        Ungrounded::Annotate => Policy::Annotate,
    };
    (settings, policy)
}

/// What one detector checks by itself.
pub fn alone(detector: AnswerDetector) -> Settings {
    let is = |other| detector == other;
    Settings {
        citations: is(AnswerDetector::Citations),
        overlap: is(AnswerDetector::Overlap),
        entailment: is(AnswerDetector::Entailment).then_some(ENTAILED),
        most_uncertain: is(AnswerDetector::Confidence).then_some(MOST_UNCERTAIN),
        ..Settings::default()
    }
}

/// What a reranker says of a sentence, where the Room wants to know.
///
/// # Errors
/// When it does not answer well.
pub async fn signals(asker: &Asker, spec: &RoomSpec, sentence: &Sentence, chunks: &[Chunk]) -> Result<Signals, Error> {
    let wants = spec
        .answer
        .as_ref()
        .is_some_and(|it| it.detectors.contains(&AnswerDetector::Entailment));
    let (Some(reranker), true, false) = (&spec.reranker, wants, sentence.cites.is_empty()) else {
        return Ok(Signals::default());
    };
    let cited: Vec<&str> = (sentence.cites.iter())
        .filter_map(|place| chunks.get(*place))
        .map(|chunk| &*chunk.text)
        .collect();
    let scores = asker.rerank(&reranker.name, &sentence.text, &cited).await?;
    Ok(Signals {
        entailment: scores.into_iter().reduce(f64::max),
        ..Signals::default()
    })
}

/// Whether a text says nothing but that the answer is not known, in one sentence or in several.
pub fn is_unknown(text: &str) -> bool {
    sentences(text).into_iter().all(|range| says_unknown(&text[range]))
}
