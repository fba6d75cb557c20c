//! Computes one pass and hands its results out.

use tch::{Device, TchError};

use crate::{Batch, KvCache, Model, logits::Logits, scheduler::Scheduler};

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
    let logits = match model.compute(&Batch { segments }, cache)? {
        // The processor draws one by one, from numbers that it has at hand.
        Some(rows) if rows.device() == Device::Cpu => Some(Logits::new(rows, &[])?),
        Some(rows) => Some(Logits::new(rows, &scheduler.draws(&planned))?),
        None => None,
    };
    // A request that ends lets go of its adapter before its caller hears of it.
    planned.iter_mut().for_each(|(_, segment)| segment.adapter = None);
    let mut row = 0;
    scheduler.advance(&planned, |sequence, segment| {
        let rows = segment.logit_rows() as i64;
        let own = logits
            .as_ref()
            .filter(|_| rows > 0)
            .map(|logits| logits.rows(row, rows));
        row += rows;
        sequence.advance(segment.tokens.len(), own)
    })
}
