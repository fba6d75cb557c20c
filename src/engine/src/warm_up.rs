//! Computes once what costs more the first time, before anybody waits for it.

use crate::{
    Batch, EngineOptions, KvCache, LoadError, LogitRows, Model, PAGE, Segment, batch::buckets, logprobs::floats,
};

/// Blocks that a pass of the warm-up goes through: the kernels that the matrix library prepares
/// depend on shapes, and those are the same in all blocks.
const BLOCKS: usize = 1;

/// Computes every number of rows that a pass may have and every number of answers that it may go
/// on with, and checks on one whole pass that the weights give finite numbers.
pub(crate) fn warm_up(model: &Model, cache: &KvCache, options: &EngineOptions) -> Result<(), LoadError> {
    let batch = |tokens: usize| Batch {
        segments: vec![Segment {
            pages: (0..tokens.div_ceil(PAGE) as u32).collect(),
            start: 0,
            tokens: vec![0; tokens],
            logits: LogitRows::Last,
            adapter: None,
        }],
    };
    if let Some(logits) = model.forward(&batch(1), cache)?
        && floats(&logits)?.iter().any(|logit| !logit.is_finite())
    {
        return Err(LoadError::NotFinite);
    }
    let most = options.max_batch_tokens.min(options.model.context_length);
    for rows in buckets(most) {
        let hidden = model.hidden(&batch(rows.min(most)), cache, BLOCKS)?;
        if rows <= options.max_concurrent_sequences {
            drop(model.logits(hidden)?);
        }
    }
    Ok(())
}
