//! How far a judge goes by the place of an answer.

use serde::{Deserialize, Serialize};

use super::{NoVerdict, Winner};

/// Counts of what a judge said in both orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PositionBias {
    /// Pairs with two verdicts.
    pub judged: u64,
    /// Pairs in which one reply at least was no verdict.
    pub unreadable: u64,
    /// Pairs of which both orders said the same.
    pub consistent: u64,
    /// Pairs in which the first answer won twice.
    pub first: u64,
    /// Pairs in which the second answer won twice.
    pub second: u64,
}

impl PositionBias {
    /// Counts a pair, and gives the preference for the candidate if it was judged.
    pub fn add(
        &mut self,
        primary_first: Result<Winner, NoVerdict>,
        candidate_first: Result<Winner, NoVerdict>,
    ) -> Option<f64> {
        let (Ok(one), Ok(other)) = (primary_first, candidate_first) else {
            self.unreadable += 1;
            return None;
        };
        self.judged += 1;
        match (one, other) {
            (Winner::A, Winner::A) => self.first += 1,
            (Winner::B, Winner::B) => self.second += 1,
            (Winner::A, Winner::B) | (Winner::B, Winner::A) | (Winner::Tie, Winner::Tie) => self.consistent += 1,
            // A win and a tie are neither the same nor opposite.
            (Winner::Tie, _) | (_, Winner::Tie) => {}
        }
        Some(super::preference(one, other))
    }

    /// The share of judged pairs in which the verdict followed the place, from 0 to 1: 0.5 for a judge that always takes
    /// one place and as often is right by accident is not told apart from a judge of equal answers, so it is to be read
    /// beside `consistent`. `None` before the first one.
    pub fn inconsistency(&self) -> Option<f64> {
        (self.judged > 0).then(|| (self.first + self.second) as f64 / self.judged as f64)
    }

    /// Adds the counts of another process.
    pub fn merge(&mut self, other: &Self) {
        let Self {
            judged,
            unreadable,
            consistent,
            first,
            second,
        } = other;
        self.judged += judged;
        self.unreadable += unreadable;
        self.consistent += consistent;
        self.first += first;
        self.second += second;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_apart_from_answers() {
        let mut bias = PositionBias::default();
        assert_eq!(bias.inconsistency(), None);
        assert_eq!(bias.add(Ok(Winner::A), Ok(Winner::A)), Some(0.5));
        assert_eq!(bias.add(Ok(Winner::B), Ok(Winner::A)), Some(1.0));
        assert_eq!(bias.add(Ok(Winner::B), Ok(Winner::B)), Some(0.5));
        assert_eq!(bias.add(Ok(Winner::Tie), Ok(Winner::A)), Some(0.75));
        assert_eq!(bias.add(Err(NoVerdict), Ok(Winner::A)), None);
        let expected = PositionBias {
            judged: 4,
            unreadable: 1,
            consistent: 1,
            first: 1,
            second: 1,
        };
        assert_eq!((bias, bias.inconsistency()), (expected, Some(0.5)));
        let mut both = bias;
        both.merge(&bias);
        assert_eq!((both.judged, both.inconsistency()), (8, Some(0.5)));
    }
}
