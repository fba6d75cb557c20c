//! What callers may use of a model, by user and by group: requests and tokens in any minute, requests at once, and money in
//! a month.
//!
//! A request is noted before it is sent, with an estimate of its tokens, and corrected when it has ended. With
//! several replicas, one of them counts for each key: see [`peers`]. Requests under way are counted in
//! [`concurrency`], money in [`accounts`].

pub mod accounts;
mod admission;
pub mod concurrency;
mod ledger;
mod limiter;
mod money;
pub mod peers;
mod places;
mod quota;
pub mod routes;
mod spec;
mod spending;
pub mod watch;
mod window;

pub use admission::Admission;
pub use limiter::Limiter;
pub use money::Money;
pub use quota::{Quotas, Settlement, Verdict, Wish};
pub use spec::{Allowance, Limits, NoMoney};
pub use spending::Spending;
pub use window::Amount;

use crate::usage::Usage;

/// A token of most languages has about so many bytes.
const BYTES_PER_TOKEN: usize = 4;
/// Tokens that an answer is first noted with when the request sets no limit.
const UNSTATED_ANSWER: u64 = 256;

/// Tokens that a request is first noted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    prompt: u32,
    answer: u32,
}

impl Demand {
    /// What a body of so many bytes asks for, with an answer of at most so many tokens.
    pub fn of(body: usize, answer: Option<u64>) -> Self {
        let answer = answer.unwrap_or(UNSTATED_ANSWER);
        Self {
            prompt: u32::try_from(body / BYTES_PER_TOKEN).unwrap_or(u32::MAX),
            answer: u32::try_from(answer).unwrap_or(u32::MAX),
        }
    }

    fn tokens(self) -> u32 {
        self.prompt.saturating_add(self.answer)
    }

    /// The same as if it were used.
    fn usage(self) -> Usage {
        Usage {
            prompt_tokens: self.prompt.into(),
            completion_tokens: self.answer.into(),
        }
    }
}
