//! Looks at text on its way to a model and back, and says what must not pass: pure functions over text, without I/O.
//!
//! A [`Spec`] says which checks there are; [`Guardrails::compile`] makes [`Guard`]s of it, or tells every fault with
//! its field. A [`Stream`] takes text in pieces and gives out what is safe. Every detector is a set of rules, each
//! a small automaton that proposes a span and a function that judges it, by checksum where there is one.
//!
//! # What holds for every stream
//!
//! * Text leaves only when no rule can still find something in it, so a secret that is cut anywhere is found.
//! * How a text is cut into pieces changes nothing: everything is decided byte by byte.
//! * No more than [`MAX_HELD`] bytes are held back. Where a rule cannot decide within them the text is refused.

mod check;
mod compile;
mod detect;
mod guard;
mod json;
mod report;
mod rule;
mod settle;
mod shape;
mod spec;
mod stream;
mod track;

pub use check::Action;
pub use compile::{Fault, Guardrails, NamedWebhook};
pub use guard::Guard;
pub use report::{Report, Violations};
pub use spec::{CheckSpec, Detector, FailurePolicy, Locale, PersonalDataKind, SecretKey, Spec, Webhook};
pub use stream::{Refusal, Stream};

/// Names the detectors as they are: it changes whenever they find something else than before.
pub const VERSION: &str = "2026-11.1";

/// Bytes of a text that is still coming in that are held back at most.
pub const MAX_HELD: usize = 8 << 10;
