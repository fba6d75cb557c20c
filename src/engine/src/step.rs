//! Computes one pass and hands its results out.

use tch::TchError;

use crate::{Batch, KvCache, LogitRows, Model, scheduler::Scheduler};

/// Computes the next pass of what `scheduler` holds.
///
/// # Errors
/// When libtorch fails: the requests that run are then of no more use.
pub(crate) fn run(model: &Model, cache: &KvCache, scheduler: &mut Scheduler) -> Result<(), TchError> {
    let mut planned = scheduler.plan();
    if planned.is_empty() {
        return Ok(());
    }
    let segments = planned.iter().map(|(_, segment)| segment.clone()).collect();
    let logits = model.forward(&Batch { segments }, cache)?;
    // A request that ends lets go of its adapter before its caller hears of it.
    planned.iter_mut().for_each(|(_, segment)| segment.adapter = None);
    let mut row = 0;
    scheduler.advance(&planned, |sequence, segment| {
        let count = segment.tokens.len();
        let rows = match segment.logits {
            LogitRows::None => 0,
            LogitRows::Last => 1,
            LogitRows::All => count,
        };
        let own = match (&logits, rows) {
            (Some(logits), 1..) => Some(logits.f_narrow(0, row, rows as i64)?),
            _ => None,
        };
        row += rows as i64;
        sequence.advance(count, own.as_ref())
    })
}
