//! Which of two answers another model prefers.
//!
//! A judge favours places (Zheng et al. 2023, "Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena", 3.3), so it is
//! asked twice, with the answers swapped. A preference that follows the place and not the answer is a tie, and is
//! counted: a judge of which many are so says little.

mod ask;
mod bias;
mod verdict;

pub use ask::{MAX_ANSWER, MAX_CONVERSATION, request};
pub use bias::PositionBias;
pub use verdict::{NoVerdict, Winner, parse};

/// Which answer the judge sees as `A`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The primary's.
    PrimaryFirst,
    /// The candidate's.
    CandidateFirst,
}

impl Order {
    /// Both, as they are asked.
    pub const BOTH: [Self; 2] = [Self::PrimaryFirst, Self::CandidateFirst];

    /// What a verdict in this order says of the candidate: 1 if it won, 0.5 for a tie, 0 if it lost.
    fn preference(self, winner: Winner) -> f64 {
        match (self, winner) {
            (_, Winner::Tie) => 0.5,
            (Self::PrimaryFirst, Winner::B) | (Self::CandidateFirst, Winner::A) => 1.0,
            (Self::PrimaryFirst, Winner::A) | (Self::CandidateFirst, Winner::B) => 0.0,
        }
    }
}

/// The preference for the candidate over both orders, from 0 to 1: the mean of what they say. Two opposite verdicts are
/// 0.5, a tie; a win and a tie are 0.75.
pub fn preference(primary_first: Winner, candidate_first: Winner) -> f64 {
    let both = Order::PrimaryFirst.preference(primary_first) + Order::CandidateFirst.preference(candidate_first);
    both / 2.0
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Winner::B, Winner::A, 1.0)]
    #[case(Winner::A, Winner::B, 0.0)]
    #[case(Winner::Tie, Winner::Tie, 0.5)]
    #[case(Winner::B, Winner::Tie, 0.75)]
    #[case(Winner::Tie, Winner::B, 0.25)]
    // Always the first one, always the second one.
    #[case(Winner::A, Winner::A, 0.5)]
    #[case(Winner::B, Winner::B, 0.5)]
    fn preferences(#[case] primary_first: Winner, #[case] candidate_first: Winner, #[case] expected: f64) {
        assert_eq!(preference(primary_first, candidate_first), expected);
    }
}
