//! Answers: what a model is told, and what of its answer may be shown.
//!
//! The way of a question, after its chunks were found:
//!
//! 1. [`weak`]: is there enough to answer from? Otherwise the answer is "I do not know", and no model is asked.
//! 2. [`prompt`]: the messages for the model, with the chunks as numbered data that cannot pass for anything else.
//! 3. [`sanitize`]: of what the model writes, whatever a browser would fetch or a reader not see goes.
//! 4. [`sentences`], [`grounding`], [`gate`]: a sentence is shown once it is known to be supported by the chunks that
//!    it cites, and once one of them is known to tell the fact that is asked for, where the question says plainly which.
//! 5. [`mod@quote`]: where nothing that the model says holds, the sentence of a document that answers by itself.
//! 6. [`citations`]: the chunks that were cited, each with the words that support the answer.
//!
//! All of it is lexical and exact: it finds other numbers, dates and names, denials, foreign matter and citations that
//! point nowhere. What it cannot find is a wrong statement made of the right words; scores of models that can may be
//! added to each sentence.

mod asked;
pub mod citations;
pub mod gate;
pub mod grounding;
pub mod labelled;
mod places;
pub mod prompt;
pub mod quote;
mod repeats;
pub mod sanitize;
pub mod sentences;
pub mod source;
mod tells;
mod text;
pub mod weak;

pub use citations::{Citation, Dangling};
pub use gate::{Gate, Policy, Step};
pub use grounding::{Reason, Settings, Signals, Verdict};
pub use prompt::{Message, Prompt, Role};
pub use quote::{Quote, quote};
pub use source::Source;
