//! From a question to what the model is going to be given.

use ::rooms::{
    Chunk, Verb,
    answer::{
        prompt::{self, Budget, Request},
        weak::{self, Found, Limits},
    },
    search::Options,
};
use api::room::{Citations, RoomSpec};
use axum::body::Body;
use protocol::rooms::ask::{Ask, Unavailable};

use super::{
    super::{
        Admitted,
        models::Asker,
        request::Knock,
        search::{Retrieved, question},
    },
    checks::check_detectors,
    consult::consult,
    given::Given,
    meter::tokens,
};
use crate::error::Error;

/// Turns of before that a caller may bring.
const MAX_TURNS: usize = 16;
/// The longest of them, in characters.
const LONGEST_TURN: usize = 32 << 10;
/// Tokens of rules, question and turns, beside those of the documents.
const OTHER_TOKENS: usize = 2048;

/// A question for which all was found that there is.
pub struct Begun {
    /// Who asks.
    pub admitted: Admitted,
    /// What.
    pub ask: Ask,
    /// What was found in documents; none where there are none.
    pub retrieved: Option<Retrieved>,
    /// The messages for the model, unless too little was found.
    pub messages: Option<Vec<prompt::Message>>,
    /// What marks the documents in them.
    pub nonce: String,
    /// The texts that the model is given, in the order of their numbers.
    pub given: Vec<Given>,
    /// Databases that did not answer.
    pub unavailable: Vec<Unavailable>,
}

impl Begun {
    /// The generation whose documents were searched; 0 where there are none.
    pub fn generation(&self) -> i64 {
        self.retrieved.as_ref().map_or(0, |retrieved| retrieved.generation)
    }
}

/// Reads a question and finds what it is about.
///
/// # Errors
/// See [`Error`].
pub async fn begin(knock: &Knock, body: Body) -> Result<Begun, Error> {
    let ask = read(knock, body).await?;
    let admitted = knock.admit(Verb::Ask).await?;
    let spec = admitted.room.spec.clone().ok_or(Error::RoomsUnavailable)?;
    let Some(model) = &spec.model else {
        return Err(Error::RoomHasNoModel);
    };
    check_detectors(&admitted.room, &spec)?;
    let options = admitted.room.search_options();
    let asker = Asker::of(knock);
    let (admitted, mut retrieved) = found(knock, admitted, &ask, &options).await?;
    if let (Some(reranker), Some(retrieved)) = (&spec.reranker, &mut retrieved) {
        rerank(&asker, &reranker.name, &ask.question, retrieved).await?;
    }
    // Half of the room is left to documents.
    let documents = options.max_context_tokens as usize;
    let hits = hits(retrieved.as_ref());
    let bounds = (documents / 2, !hits.is_empty());
    let (admitted, consulted) = consult(knock, &asker, admitted, &model.name, &ask, bounds).await?;
    // Rows first, for they were asked for.
    let candidates = [consulted.rows, hits].concat();
    let (mut messages, mut given) = (None, Vec::new());
    let nonce = format!("{:016x}", rand::random::<u64>());
    if !candidates.is_empty() {
        let prompt = prompt(&spec, &ask, &candidates, documents, &nonce)?;
        given = prompt.given.iter().map(|place| candidates[*place].clone()).collect();
        messages = Some(prompt.messages);
    }
    Ok(Begun {
        admitted,
        ask,
        retrieved,
        messages,
        nonce,
        given,
        unavailable: consulted.unavailable,
    })
}

async fn read(knock: &Knock, body: Body) -> Result<Ask, Error> {
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
    Ok(ask)
}

/// What documents have. A Room that has databases can be asked before the first document is there, and without any.
async fn found(
    knock: &Knock,
    admitted: Admitted,
    ask: &Ask,
    options: &Options,
) -> Result<(Admitted, Option<Retrieved>), Error> {
    let has_databases = !admitted.room.databases(admitted.grant.clearance()).is_empty();
    if has_databases && !admitted.room.has_documents() {
        return Ok((admitted, None));
    }
    let rooms = &knock.gateway.rooms;
    match rooms.retrieve(knock, admitted, &ask.question, options).await {
        Ok((admitted, retrieved)) => Ok((admitted, Some(retrieved))),
        Err(Error::RoomEmpty) if has_databases => Ok((knock.admit(Verb::Ask).await?, None)),
        Err(error) => Err(error),
    }
}

/// What was found in documents, unless it is too little to answer from.
fn hits(retrieved: Option<&Retrieved>) -> Vec<Given> {
    let Some(retrieved) = retrieved else { return Vec::new() };
    let found = Found::of(retrieved.hits.len(), &retrieved.evidence);
    match weak::gate(&found, &Limits::default()) {
        Ok(()) => retrieved
            .hits
            .iter()
            .map(|(_, text)| Given::Document(text.clone()))
            .collect(),
        Err(_) => Vec::new(),
    }
}

fn prompt(
    spec: &RoomSpec,
    ask: &Ask,
    candidates: &[Given],
    documents: usize,
    nonce: &str,
) -> Result<prompt::Prompt, Error> {
    let chunks: Vec<&Chunk> = candidates.iter().map(Given::chunk).collect();
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
        nonce,
    };
    let budget = Budget {
        total: documents + OTHER_TOKENS,
        documents,
    };
    prompt::build(&request, budget, &tokens).map_err(|error| Error::Unfit {
        detail: error.to_string(),
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
