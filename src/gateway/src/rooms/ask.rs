//! Answering a question from what was found.
//!
//! In order: what is found is retrieved; too little of it is "I do not know", and no model is asked. What the model is going to
//! be given is written down, with the clearance that the answer inherits. Then the model writes, and each of its sentences
//! is shown once it is checked. Meanwhile it is looked again and again whether the asker may still be here, and may still see
//! all that the model was given: whoever may not is cut off within ten seconds.

mod events;
mod meter;
mod sink;

use std::time::{Duration, Instant};

use ::rooms::{
    Chunk, ChunkId, Verb,
    answer::{
        gate::{Gate, Policy, Step},
        grounding::{Settings, Signals},
        prompt::{self, Budget, Request},
        sanitize::Links,
        sentences::sentences,
        source::Source,
        weak::{self, Found, Limits, UNKNOWN, says_unknown},
    },
};
use api::room::{AnswerDetector, Citations, Ungrounded};
use axum::{body::Body, http::Response};
use protocol::rooms::{
    self as wire,
    ask::{Answer, Ask, Outcome},
    document_id,
};
use serde_json::json;
use store::{
    audit::Place,
    rooms::{self as kept, Text},
};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{
    Admitted,
    models::Asker,
    request::{Knock, ended},
    search::{Retrieved, place, question},
};
use crate::{
    audit::{Entry, RoomOpening},
    error::Error,
    metrics::Operation,
};
use events::Deltas;
use meter::tokens;
use sink::Sink;

/// Turns of before that a caller may bring.
const MAX_TURNS: usize = 16;
/// The longest of them, in characters.
const LONGEST_TURN: usize = 32 << 10;
/// Tokens of rules, question and turns, beside those of the documents.
const OTHER_TOKENS: usize = 2048;
/// Tokens of an answer, unless the caller wants fewer.
const ANSWER_TOKENS: u32 = 1024;
/// Between two looks at whether the asker may still be here.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long such a look may take. With it, and what decisions are kept, nobody is here ten seconds after they may not.
const LOOK: Duration = Duration::from_secs(2);

/// `POST /ask`
///
/// # Errors
/// See [`Error`].
pub async fn serve(knock: Knock, body: Body) -> Result<Response<Body>, Error> {
    let mut trail = knock.trail("room_ask");
    let begun = match begin(&knock, body).await {
        Ok(begun) => begun,
        Err(error) => {
            knock.gateway.rooms.metrics.answers.with_label_values(&["failed"]).inc();
            return Err(trail.refuse(error).await);
        }
    };
    let given = begun.given.iter().map(|text| (text.chunk.id.0, text.chunk.clearance.0));
    let opening = RoomOpening::of(&begun.admitted).made_of(begun.retrieved.generation, given);
    let entry = trail.open_room(&opening).await?;
    let stream = begun.ask.stream;
    let (sink, response) = sink::begin(stream);
    let work = run(knock, begun, entry, sink);
    match response {
        Some(response) => {
            // Of its own, for whoever reads the stream may be slow. It ends with its reader, or with its asker's rights.
            tokio::spawn(work);
            Ok(response)
        }
        None => super::request::answer(&work.await?),
    }
}

/// A question for which all was found that there is.
struct Begun {
    admitted: Admitted,
    ask: Ask,
    retrieved: Retrieved,
    /// The messages for the model, unless too little was found.
    messages: Option<Vec<prompt::Message>>,
    /// What marks the documents in them.
    nonce: String,
    /// The texts that the model is given, in the order of their numbers.
    given: Vec<Text>,
}

async fn begin(knock: &Knock, body: Body) -> Result<Begun, Error> {
    let ask: Ask = knock.json(body).await?;
    question("question", &ask.question)?;
    let is_long = |text: &str| text.chars().count() > LONGEST_TURN;
    if ask.history.len() > MAX_TURNS
        || ask
            .history
            .iter()
            .any(|turn| is_long(&turn.question) || is_long(&turn.answer))
    {
        return Err(Error::InvalidField {
            field: "history",
            expected: "at most 16 turns of at most 32768 characters each",
        });
    }
    let admitted = knock.admit(Verb::Ask).await?;
    let spec = admitted.room.spec.clone().ok_or(Error::RoomsUnavailable)?;
    if spec.model.is_none() {
        return Err(Error::RoomHasNoModel);
    }
    let detectors = spec
        .answer
        .as_ref()
        .map(|answer| &answer.detectors[..])
        .unwrap_or_default();
    if detectors.contains(&AnswerDetector::Confidence)
        || (detectors.contains(&AnswerDetector::Entailment) && spec.reranker.is_none())
    {
        // Better no answer than one that was not looked at as the Room wants it.
        tracing::error!(
            room = admitted.room.key.name,
            namespace = admitted.room.key.namespace,
            "a detector of the Room cannot be applied: Confidence is not known yet, Entailment needs a reranker"
        );
        return Err(Error::RoomsUnavailable);
    }
    let options = admitted.room.search_options();
    let asker = Asker::of(knock);
    let rooms = &knock.gateway.rooms;
    let (admitted, mut retrieved) = rooms.retrieve(knock, admitted, &ask.question, &options).await?;
    if let Some(reranker) = &spec.reranker {
        rerank(&asker, &reranker.name, &ask.question, &mut retrieved).await?;
    }
    let found = Found::of(retrieved.hits.len(), &retrieved.evidence);
    let (mut messages, mut given) = (None, Vec::new());
    let nonce = format!("{:016x}", rand::random::<u64>());
    if weak::gate(&found, &Limits::default()).is_ok() {
        let chunks: Vec<&Chunk> = retrieved.hits.iter().map(|(_, text)| &text.chunk).collect();
        let history: Vec<_> = (ask.history.iter())
            .map(|turn| prompt::Turn {
                question: turn.question.clone(),
                answer: turn.answer.clone(),
            })
            .collect();
        let answer = spec.answer.as_ref();
        let request = Request {
            system: answer.and_then(|answer| answer.system.as_deref()),
            citations: answer.is_none_or(|answer| answer.citations == Citations::Required),
            history: &history,
            question: &ask.question,
            hits: &chunks,
            nonce: &nonce,
        };
        let documents = options.max_context_tokens as usize;
        let budget = Budget {
            total: documents + OTHER_TOKENS,
            documents,
        };
        let prompt = prompt::build(&request, budget, &tokens).map_err(|error| Error::Unfit {
            detail: error.to_string(),
        })?;
        given = prompt
            .given
            .iter()
            .map(|place| retrieved.hits[*place].1.clone())
            .collect();
        messages = Some(prompt.messages);
    }
    Ok(Begun {
        admitted,
        ask,
        retrieved,
        messages,
        nonce,
        given,
    })
}

/// Puts what was found into the order of a reranker.
async fn rerank(asker: &Asker, model: &str, question: &str, retrieved: &mut Retrieved) -> Result<(), Error> {
    if retrieved.hits.is_empty() {
        return Ok(());
    }
    let texts: Vec<&str> = retrieved.hits.iter().map(|(_, text)| &*text.chunk.text).collect();
    let scores = asker.rerank(model, question, &texts).await?;
    let mut scored: Vec<_> = scores.into_iter().zip(std::mem::take(&mut retrieved.hits)).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    retrieved.hits = scored.into_iter().map(|(_, hit)| hit).collect();
    Ok(())
}

/// Answers, and keeps what was answered.
async fn run(knock: Knock, begun: Begun, mut entry: Option<Entry>, mut sink: Sink) -> Result<Answer, Error> {
    let rooms = knock.gateway.rooms.clone();
    // Where nobody keeps an audit trail, an answer has a place all the same.
    let at = entry.as_ref().and_then(Entry::place).unwrap_or_else(|| Place {
        chain: "room".into(),
        seq: (rand::random::<u64>() >> 1) as i64,
    });
    let outcome = answered(&knock, &begun, &at, &mut sink, &mut entry).await;
    let label = match &outcome {
        Ok(answer) => match answer.outcome {
            Outcome::Answered => "answered",
            Outcome::Unknown => "unknown",
            Outcome::Refused => "refused",
        },
        Err(_) => "failed",
    };
    rooms.metrics.answers.with_label_values(&[label]).inc();
    sink.end(&outcome).await;
    ended(entry, &outcome);
    outcome
}

async fn answered(
    knock: &Knock,
    begun: &Begun,
    at: &Place,
    sink: &mut Sink,
    entry: &mut Option<Entry>,
) -> Result<Answer, Error> {
    let rooms = &knock.gateway.rooms;
    let room = &begun.admitted.room;
    let keeps = !room.texts.is_zero();
    let remembered = kept::Kept {
        request: knock.id(),
        question: keeps.then_some(&*begun.ask.question),
    };
    let generation = begun.retrieved.generation;
    let database = rooms.database()?;
    // What was found may have been put into order for long.
    let admitted = look(knock, begun).await?;
    // Before its first word goes out, and before any model is asked.
    let clearance = kept::keep_answer(database, &admitted.grant, at, generation, &begun.given, remembered)
        .await
        .map_err(|error| rooms.told(error))?;
    let mut answer = Answer {
        object: "room.answer".into(),
        id: knock.id().into(),
        clearance: clearance.0,
        ..Answer::default()
    };
    match &begun.messages {
        None => {
            answer.outcome = Outcome::Unknown;
            answer.answer = UNKNOWN.into();
            sink.show(UNKNOWN).await?;
        }
        Some(messages) => write(knock, begun, messages, &mut answer, sink, entry).await?,
    }
    let text = keeps.then_some(&*answer.answer);
    let outcome = match answer.outcome {
        Outcome::Answered => "answered",
        Outcome::Unknown => "unknown",
        Outcome::Refused => "refused",
    };
    // The first grant may be over by now. Whoever may not be here any more gets no citations either.
    let admitted = look(knock, begun).await?;
    kept::finish_answer(database, &admitted.grant, at, text, outcome)
        .await
        .map_err(|error| rooms.told(error))?;
    Ok(answer)
}

/// Lets the model write, and shows what is supported.
async fn write(
    knock: &Knock,
    begun: &Begun,
    messages: &[prompt::Message],
    answer: &mut Answer,
    sink: &mut Sink,
    entry: &mut Option<Entry>,
) -> Result<(), Error> {
    let spec = begun.admitted.room.spec.as_ref().ok_or(Error::RoomsUnavailable)?;
    let model = spec.model.as_ref().ok_or(Error::RoomHasNoModel)?;
    let asker = Asker::of(knock);
    let said = messages.iter().map(|message| {
        let role = match message.role {
            prompt::Role::System => "system",
            prompt::Role::User => "user",
            prompt::Role::Assistant => "assistant",
        };
        json!({"role": role, "content": message.content})
    });
    let most = begun.ask.max_tokens.filter(|most| *most > 0).unwrap_or(ANSWER_TOKENS);
    let body = json!({
        "messages": said.collect::<Vec<_>>(), "stream": true, "max_tokens": most.min(ANSWER_TOKENS), "temperature": 0,
    });
    let chunks: Vec<Chunk> = begun.given.iter().map(|text| text.chunk.clone()).collect();
    let sources: Vec<Source<'_>> = chunks.iter().map(Source::of).collect();
    let (settings, policy) = checks(spec.answer.as_ref());
    let gate = Gate::new(&begun.ask.question, &sources, settings, policy, Links::default());
    let mut gate = gate.told_with(&begun.nonce);
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks.tick().await;
    let asked = asker.ask(Operation::Chat, &model.name, None, body);
    tokio::pin!(asked);
    let response = loop {
        tokio::select! {
            response = &mut asked => break response?,
            _ = looks.tick() => drop(look(knock, begun).await?),
            () = sink.closed() => return Err(Error::ClientGone),
        }
    };
    let mut looked = Instant::now();
    let mut deltas = Deltas::of(response, format!("{}/{}", knock.namespace, model.name));
    loop {
        let delta = tokio::select! {
            delta = deltas.next() => delta?,
            _ = looks.tick() => {
                look(knock, begun).await?;
                looked = Instant::now();
                continue;
            }
            () = sink.closed() => return Err(Error::ClientGone),
        };
        let (sentences, is_over) = match &delta {
            Some(text) => (gate.push(text), false),
            None => (gate.finish(), true),
        };
        for sentence in sentences {
            // A reader who is slow, or a reranker, may have taken long.
            if looked.elapsed() > 2 * LOOK_EVERY {
                look(knock, begun).await?;
                looked = Instant::now();
            }
            let signals = signals(&asker, spec, &sentence, &chunks).await?;
            match gate.decide(&sentence, &signals) {
                Step::Show(text) if text.is_empty() => {}
                Step::Show(text) => shown(answer, &text, sink, entry).await?,
                Step::ShowMarked(text, reason) => {
                    answer.unsupported.push(reason.code().into());
                    shown(answer, &text, sink, entry).await?;
                }
                Step::Refuse(reason) => {
                    answer.unsupported.push(reason.code().into());
                    answer.outcome = Outcome::Refused;
                }
            }
        }
        // What comes after a refusal is not shown, so nobody needs it.
        if is_over || answer.outcome == Outcome::Refused {
            break;
        }
    }
    answer.version = deltas.version().map(Into::into);
    if let (Some(entry), Some(version)) = (entry.as_mut(), deltas.version()) {
        entry.served_by(version);
    }
    let citations = gate.citations().map_err(|error| {
        tracing::error!(%error, "a citation that points nowhere was shown");
        Error::RoomsUnavailable
    })?;
    answer.citations = citations
        .into_iter()
        .map(|citation| cited(citation, &begun.given))
        .collect();
    if answer.outcome == Outcome::Answered && answer.citations.is_empty() && is_unknown(&answer.answer) {
        answer.outcome = Outcome::Unknown;
    }
    // Nothing of it was supported.
    if answer.outcome == Outcome::Refused && answer.answer.trim().is_empty() {
        answer.answer = UNKNOWN.into();
        sink.show(UNKNOWN).await?;
    }
    Ok(())
}

async fn shown(answer: &mut Answer, text: &str, sink: &mut Sink, entry: &mut Option<Entry>) -> Result<(), Error> {
    if answer.answer.is_empty()
        && let Some(entry) = entry
    {
        entry.first_token();
    }
    answer.answer.push_str(text);
    sink.show(text).await
}

/// How answers are checked.
fn checks(answer: Option<&api::room::Answer>) -> (Settings, Policy) {
    let plain = api::room::Answer::default();
    let answer = answer.unwrap_or(&plain);
    let has = |detector| answer.detectors.is_empty() || answer.detectors.contains(&detector);
    let settings = Settings {
        citations: answer.citations == Citations::Required && has(AnswerDetector::Citations),
        overlap: has(AnswerDetector::Overlap),
        entailment: answer.detectors.contains(&AnswerDetector::Entailment).then_some(0.5),
        ..Settings::default()
    };
    let policy = match answer.ungrounded {
        Ungrounded::Refuse => Policy::Refuse,
        Ungrounded::Annotate => Policy::Annotate,
    };
    (settings, policy)
}

/// What a reranker says of a sentence, where the Room wants to know.
async fn signals(
    asker: &Asker,
    spec: &api::room::RoomSpec,
    sentence: &::rooms::answer::gate::Sentence,
    chunks: &[Chunk],
) -> Result<Signals, Error> {
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

/// Whether the asker may still be here, and may still see all that the model was given.
async fn look(knock: &Knock, begun: &Begun) -> Result<Admitted, Error> {
    let looked = timeout(LOOK, async {
        let rooms = &knock.gateway.rooms;
        let admitted = knock.admit_to_read(Verb::Ask).await?;
        let not_found = || Error::RoomNotFound {
            room: format!("{}/{}", knock.namespace, knock.name),
        };
        if admitted.room.key != begun.admitted.room.key {
            return Err(not_found());
        }
        let chunks: Vec<ChunkId> = begun.given.iter().map(|text| text.chunk.id).collect();
        let seen = kept::texts(
            rooms.database()?,
            &admitted.grant,
            begun.retrieved.generation,
            None,
            &chunks,
        )
        .await;
        match seen.map_err(|error| rooms.told(error))?.len() == chunks.len() {
            true => Ok(admitted),
            false => Err(not_found()),
        }
    });
    looked.await.unwrap_or(Err(Error::AuthorizationUnavailable))
}

fn is_unknown(text: &str) -> bool {
    // In one sentence or in several.
    sentences(text).into_iter().all(|range| says_unknown(&text[range]))
}

fn cited(citation: ::rooms::answer::citations::Citation, given: &[Text]) -> wire::ask::Citation {
    let text = given.iter().find(|text| text.chunk.id == citation.chunk);
    wire::ask::Citation {
        number: u32::try_from(citation.number).unwrap_or(u32::MAX),
        chunk: citation.chunk.0,
        document: document_id(&citation.source, &citation.document),
        title: text.and_then(|text| text.title.clone()),
        origin: text.and_then(|text| text.origin.clone()),
        place: place(&citation.place),
        source: citation.source,
        name: citation.document,
        quote: citation.quote,
    }
}
