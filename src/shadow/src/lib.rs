//! ShadowDeployments without their surroundings: which requests are copied, what a copy looks like, how two answers
//! are compared, and the report of it all.
//!
//! Everything here is a pure function over values. The gateway copies, asks and measures; what pairs prove is for
//! `stats` to say; nothing here knows the clock or the network.
//!
//! The way of a request:
//!
//! 1. [`sample`]: is it copied? A hash of a stable key decides, so that conversations stay whole.
//! 2. [`copy()`]: the request as the candidate gets it, without credentials, identities and side effects.
//! 3. [`answer`]: what either model answered, read from events of a stream or from a whole body.
//! 4. [`score`]: what the pair says about each metric; [`metric`] says in which unit and what is better.
//! 5. [`report`]: what came of all pairs, as JSON with a digest, as a page, and for a terminal.

pub mod answer;
pub mod canonical;
pub mod copy;
pub mod metric;
pub mod report;
pub mod sample;
pub mod score;
