//! What a model is told.
//!
//! Documents are data. Each line of a chunk begins with the same sign, and the lines around it do not, so nothing that
//! stands in a chunk can pass for its end, for another chunk or for a message: whoever wrote a document does not write
//! lines without that sign. (A form of spotlighting: Hines et al., "Defending Against Indirect Prompt Injection Attacks
//! With Spotlighting", arXiv:2403.14720.) Besides, each answer has a word of its own in those lines, which nobody knows
//! before; and what chat templates take for the borders of messages is broken up. A model may still obey what it reads.
//! What it can do then is bounded elsewhere: it has no tools, and its answer is checked and cleaned.

pub(super) mod data;
mod rules;

#[cfg(test)]
mod tests;

pub(crate) use data::defused;
pub use rules::DEFAULT_SYSTEM;

use crate::document::Chunk;

/// Who says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The Room.
    System,
    /// Who asks.
    User,
    /// The model.
    Assistant,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What.
    pub content: String,
}

/// A question of before, and what was answered. Whoever asks now must still be allowed to see what it was answered
/// from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The question.
    pub question: String,
    /// The answer.
    pub answer: String,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The Room's system message, if it has one.
    pub system: Option<&'a str>,
    /// Whether each statement has to cite.
    pub citations: bool,
    /// What was said before, oldest first.
    pub history: &'a [Turn],
    /// The question.
    pub question: &'a str,
    /// The chunks that were found, best first.
    pub hits: &'a [&'a Chunk],
    /// A word for this answer alone, of letters and digits, from a source of randomness.
    pub nonce: &'a str,
}

/// How much there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Tokens of all messages together.
    pub total: usize,
    /// Tokens of the chunks, which are a part of them.
    pub documents: usize,
}

/// Tokens that the borders of a message take in chat templates, at most.
const MESSAGE: usize = 8;

/// What a model is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// The messages, in order.
    pub messages: Vec<Message>,
    /// Places of the hits that it was given, in the order of their numbers: `[1]` is the first.
    pub given: Vec<usize>,
    /// How many of the turns of before it was given.
    pub turns: usize,
    /// Tokens, by the caller's counter.
    pub tokens: usize,
}

/// Why there is no prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooLong {
    /// The question.
    #[error("the question and the Room's own words take {needed} tokens, there is room for {room}")]
    Question {
        /// Tokens that it takes.
        needed: usize,
        /// Tokens that there are.
        room: usize,
    },
    /// Not even one chunk.
    #[error("no chunk fits into what is left of the {room} tokens")]
    Chunks {
        /// Tokens that there are.
        room: usize,
    },
}

/// Puts messages together: the rules and the question always, of the chunks as many as fit, best first, and then of
/// what was said before as much as fits, newest first. A chunk is given as a whole or not at all, for it is cited as a
/// whole. `count` counts the tokens of a text.
///
/// # Errors
/// When the question, or every single chunk, is too long. Without any hits there is no prompt to be made: see
/// [`super::weak`].
pub fn build(request: &Request<'_>, budget: Budget, count: &dyn Fn(&str) -> usize) -> Result<Prompt, TooLong> {
    let nonce: String = request
        .nonce
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(32)
        .collect();
    let system = rules::system(request.system, request.citations, &nonce);
    let (opening, closing) = (data::opening(&nonce), data::closing(request.question));
    let fixed = [system.as_str(), opening.as_str(), closing.as_str()];
    let mut tokens = fixed.iter().map(|text| count(text)).sum::<usize>() + 2 * MESSAGE;
    if tokens > budget.total {
        return Err(TooLong::Question {
            needed: tokens,
            room: budget.total,
        });
    }
    let mut documents = String::new();
    let (mut given, mut document_tokens) = (Vec::new(), 0);
    for (place, chunk) in request.hits.iter().enumerate() {
        let text = data::document(given.len() + 1, chunk, &nonce);
        let needed = count(&text);
        if document_tokens + needed <= budget.documents && tokens + needed <= budget.total {
            documents.push_str(&text);
            given.push(place);
            document_tokens += needed;
            tokens += needed;
        }
    }
    if given.is_empty() {
        return Err(TooLong::Chunks {
            room: budget.documents.min(budget.total),
        });
    }
    let mut turns = Vec::new();
    for turn in request.history.iter().rev() {
        let (question, answer) = (data::defused(&turn.question), data::old_answer(&turn.answer));
        let needed = count(&question) + count(&answer) + 2 * MESSAGE;
        if tokens + needed > budget.total {
            // What was said before that would not be understood without it.
            break;
        }
        tokens += needed;
        turns.push((question, answer));
    }
    let message = |role, content| Message { role, content };
    let mut messages = vec![message(Role::System, system)];
    for (question, answer) in turns.iter().rev() {
        messages.push(message(Role::User, question.clone()));
        messages.push(message(Role::Assistant, answer.clone()));
    }
    messages.push(message(Role::User, format!("{opening}{documents}{closing}")));
    Ok(Prompt {
        messages,
        given,
        turns: turns.len(),
        tokens,
    })
}
