//! Answering a question from what was found.
//!
//! In order: what is found is retrieved, and databases are asked; too little of it is "I do not know", and no model is asked
//! for an answer. What the model is going to be given is written down, with the clearance that the answer inherits. Then the
//! model writes, and each of its sentences is shown once it is checked. Meanwhile it is looked again and again whether the
//! asker may still be here, and may still see all that the model was given: whoever may not is cut off within ten seconds.

mod begin;
pub mod certainty;
pub mod checks;
mod consult;
mod events;
mod given;
mod look;
mod meter;
mod sink;

use std::time::Instant;

use ::rooms::{
    Chunk,
    answer::{
        gate::{Gate, Policy, Step},
        grounding::{Settings, Signals},
        prompt,
        quote::{Quote, quote},
        sanitize::Links,
        source::Source,
        weak::UNKNOWN,
    },
};
use axum::{body::Body, http::Response};
use protocol::rooms::ask::{Answer, Citation, Outcome};
use serde_json::json;
use store::{audit::Place, rooms as kept};
use tokio::time::{MissedTickBehavior, interval};

use super::{
    models::Asker,
    request::{Knock, ended},
};
use crate::{
    audit::{Entry, RoomOpening},
    error::Error,
    metrics::Operation,
};
use begin::{Begun, begin};
use certainty::Certainty;
use checks::{checks, is_unknown, signals};
use events::{Deltas, Piece};
use given::{Given, Rows, cited};
use look::{LOOK_EVERY, look};
use sink::Sink;

/// Tokens of an answer, unless the caller wants fewer.
const ANSWER_TOKENS: u32 = 1024;

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
    let documents = begun.given.iter().filter_map(Given::document);
    let documents = documents.map(|text| (text.chunk.id.0, text.chunk.clearance.0));
    let rows: Vec<&Rows> = begun.given.iter().filter_map(Given::rows).collect();
    let highest = rows.iter().map(|rows| rows.chunk.clearance.0).max();
    let opening = RoomOpening::of(&begun.admitted)
        .made_of(begun.generation(), documents)
        .asked(
            rows.iter().map(|rows| rows.audited()).collect(),
            highest.unwrap_or_default(),
        );
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
    let rows = begun.given.iter().filter_map(Given::rows);
    let databases: Vec<_> = rows.map(|rows| rows.kept(keeps)).collect();
    let documents: Vec<_> = begun.given.iter().filter_map(Given::document).cloned().collect();
    let remembered = kept::Kept {
        request: knock.id(),
        question: keeps.then_some(&*begun.ask.question),
        databases: &databases,
    };
    let generation = begun.generation();
    let database = rooms.database()?;
    // What was found may have been put into order for long.
    let admitted = look(knock, begun).await?;
    // Before its first word goes out, and before any model is asked.
    let clearance = kept::keep_answer(database, &admitted.grant, at, generation, &documents, remembered)
        .await
        .map_err(|error| rooms.told(error))?;
    let mut answer = Answer {
        object: "room.answer".into(),
        id: knock.id().into(),
        clearance: clearance.0,
        unavailable: begun.unavailable.clone(),
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
    let mut body = json!({
        "messages": said.collect::<Vec<_>>(), "stream": true, "max_tokens": most.min(ANSWER_TOKENS), "temperature": 0,
    });
    let chunks: Vec<Chunk> = begun.given.iter().map(|given| given.chunk().clone()).collect();
    // The chunks are copies in the same order.
    let sources = begun.given.iter().zip(&chunks).map(|(given, chunk)| match given {
        Given::Document(_) => Source::of(chunk),
        Given::Rows(_) => Source::of_rows(chunk),
    });
    let sources: Vec<Source<'_>> = sources.collect();
    let (settings, policy) = checks(spec.answer.as_ref());
    let wants_certainty = settings.most_uncertain.is_some();
    if wants_certainty {
        body[certainty::FIELD] = true.into();
    }
    let mut certainty = Certainty::default();
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
    let name = format!("{}/{}", knock.namespace, model.name);
    let mut deltas = Deltas::of(response, name.clone());
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
        let (sentences, is_over) = match delta {
            Some(Piece { text, tokens }) => {
                certainty.add(&text, tokens);
                (gate.push(&text), false)
            }
            None => (gate.finish(), true),
        };
        for sentence in sentences {
            // A reader who is slow, or a reranker, may have taken long.
            if looked.elapsed() > 2 * LOOK_EVERY {
                look(knock, begun).await?;
                looked = Instant::now();
            }
            let mut signals = signals(&asker, spec, &sentence, &chunks).await?;
            if wants_certainty && !certainty.has_tokens() {
                return Err(Error::RoomModelUnsure { model: name });
            }
            signals.uncertainty = certainty.uncertainty(&sentence.place);
            match gate.decide(&sentence, &signals) {
                Step::Show(text) if text.is_empty() => {}
                Step::Show(text) => shown(answer, &text, sink, entry).await?,
                Step::ShowMarked(text, reason) => {
                    answer.unsupported.push(reason.code().into());
                    shown(answer, &text, sink, entry).await?;
                }
                Step::Refuse(reason) => {
                    answer.unsupported.push(reason.code().into());
                    answer.withheld = true;
                }
            }
        }
        // What comes after that is not shown, so nobody needs it.
        if is_over || answer.withheld {
            break;
        }
    }
    // What the model says when it does not know, until it is sure that no document does.
    let mut unknown = None;
    match gate.rest() {
        Step::Show(text) | Step::ShowMarked(text, _) if text.is_empty() => {}
        Step::Show(text) if answer.answer.is_empty() && is_unknown(&text) => unknown = Some(text),
        Step::Show(text) | Step::ShowMarked(text, _) => shown(answer, &text, sink, entry).await?,
        Step::Refuse(reason) => {
            answer.unsupported.push(reason.code().into());
            answer.withheld = true;
        }
    }
    answer.version = deltas.version().map(Into::into);
    if let (Some(entry), Some(version)) = (entry.as_mut(), deltas.version()) {
        entry.served_by(version);
    }
    answer.citations = citations(&gate, begun)?;
    let knows = unknown.is_none() && !is_unknown(&answer.answer);
    let may_cite_nothing = !settings.citations || policy == Policy::Annotate;
    // A statement that is supported stays an answer, whatever a model adds to it.
    if !answer.citations.is_empty() || knows && may_cite_nothing && !answer.withheld {
        return Ok(());
    }
    answer.outcome = match knows || answer.withheld {
        true => Outcome::Refused,
        false => Outcome::Unknown,
    };
    answer.withheld = false;
    // Also where the model said nothing at all, or merely copied what it was told.
    if policy == Policy::Refuse && (answer.outcome == Outcome::Refused || answer.answer.trim().is_empty()) {
        quoted(begun, &sources, settings, answer, sink, entry).await?;
    }
    if answer.answer.trim().is_empty() {
        let text = unknown.unwrap_or_else(|| UNKNOWN.into());
        sink.show(&text).await?;
        answer.answer = text;
    }
    Ok(())
}

/// Where nothing that the model said holds, the sentence of a document that answers by itself is the answer, if there is one.
/// A model that says it does not know is believed, unless a document tells the very fact that is asked for.
async fn quoted(
    begun: &Begun,
    sources: &[Source<'_>],
    settings: Settings,
    answer: &mut Answer,
    sink: &mut Sink,
    entry: &mut Option<Entry>,
) -> Result<(), Error> {
    let question = &begun.ask.question;
    let may_be = |quote: &Quote| {
        let knows_better = quote.is_told || answer.outcome == Outcome::Refused;
        knows_better && begun.given[quote.source].document().is_some()
    };
    let Some(quote) = quote(question, sources).filter(may_be) else {
        return Ok(());
    };
    // It is checked and cleaned as what a model says, but for how certain a model was: none wrote it.
    let settings = Settings {
        most_uncertain: None,
        ..settings
    };
    let mut gate = Gate::new(question, sources, settings, Policy::Refuse, Links::default());
    let mut sentences = gate.push(&quote.text);
    sentences.extend(gate.finish());
    let mut text = String::new();
    for sentence in &sentences {
        match gate.decide(sentence, &Signals::default()) {
            Step::Show(more) => text += &more,
            Step::ShowMarked(..) | Step::Refuse(_) => return Ok(()),
        }
    }
    let citations = citations(&gate, begun)?;
    if !citations.is_empty() {
        shown(answer, &text, sink, entry).await?;
        answer.citations = citations;
        answer.outcome = Outcome::Answered;
        answer.quoted = true;
    }
    Ok(())
}

fn citations(gate: &Gate<'_>, begun: &Begun) -> Result<Vec<Citation>, Error> {
    let citations = gate.citations().map_err(|error| {
        tracing::error!(%error, "a citation that points nowhere was shown");
        Error::RoomsUnavailable
    })?;
    Ok(citations
        .into_iter()
        .map(|citation| cited(citation, &begun.given))
        .collect())
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
