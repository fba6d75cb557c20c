//! What a request turns out to have used.

use super::Admission;
use crate::usage::Usage;

/// Follows an answer and, when it is dropped, settles what was noted for the request.
#[derive(Default)]
pub struct Spending {
    admission: Option<Admission>,
    spent: Spent,
}

/// What is known of the tokens of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Spent {
    /// It has not begun.
    #[default]
    Nothing,
    /// Nothing is stated of a whole answer.
    Unstated,
    /// A stream had so many events, of about a token each.
    Events(u64),
    /// The worker stated them.
    Stated(Usage),
}

impl Spending {
    /// Of a request that counts against limits, if there are any.
    pub fn of(admission: Option<Admission>) -> Self {
        Self {
            admission,
            spent: Spent::Nothing,
        }
    }

    /// An answer has begun.
    pub fn begins(&mut self) {
        if self.spent == Spent::Nothing {
            self.spent = Spent::Unstated;
        }
    }

    /// Events of a stream are on their way to the client.
    pub fn streams(&mut self, events: &[u8]) {
        if self.admission.is_none() || matches!(self.spent, Spent::Stated(_)) {
            return;
        }
        let before = match self.spent {
            Spent::Events(before) => before,
            _ => 0,
        };
        self.spent = Spent::Events(before + count_events(events));
    }

    /// The answer states what it took.
    pub fn states(&mut self, usage: Usage) {
        self.spent = Spent::Stated(usage);
    }
}

impl Drop for Spending {
    fn drop(&mut self) {
        let Some(admission) = &mut self.admission else { return };
        match self.spent {
            Spent::Nothing => {}
            Spent::Unstated => admission.keep_estimate(),
            Spent::Events(events) => admission.used_events(events),
            Spent::Stated(usage) => admission.used(usage),
        }
    }
}

/// The pieces that clients see as such begin with `data:`.
fn count_events(events: &[u8]) -> u64 {
    let lines = events.split(|byte| *byte == b'\n');
    lines.filter(|line| line.starts_with(b"data:")).count() as u64
}
