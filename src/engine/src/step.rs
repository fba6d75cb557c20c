//! What the next forward pass computes, and who gets its results.

use tch::TchError;

use crate::{
    Batch, KvCache, LogitRows, Model, Segment,
    sequence::{Next, Sequence},
};

/// Chooses the tokens of the next pass: a token of every answer under way first, so that long
/// prompts do not hold them up, then prompts in order of arrival, as far as `budget` tokens go.
/// Returns indices into `sequences` with their segments.
pub(crate) fn plan(sequences: &[Sequence], budget: usize) -> Vec<(usize, Segment)> {
    let mut left = budget;
    let mut segments = Vec::new();
    for decoding in [true, false] {
        for (index, sequence) in sequences.iter().enumerate() {
            if left == 0 {
                return segments;
            }
            if sequence.is_decoding() == decoding {
                let segment = sequence.segment(left);
                left -= segment.tokens.len();
                segments.push((index, segment));
            }
        }
    }
    segments
}

/// Computes one pass over `sequences` and removes those that end.
///
/// # Errors
/// When libtorch fails: the sequences of the pass are then of no more use.
pub(crate) fn run(
    model: &Model,
    cache: &KvCache,
    sequences: &mut Vec<Sequence>,
    budget: usize,
) -> Result<(), TchError> {
    let planned = plan(sequences, budget);
    let (indices, segments): (Vec<usize>, Vec<Segment>) = planned.into_iter().unzip();
    let batch = Batch { segments };
    let logits = model.forward(&batch, cache)?;
    let mut row = 0;
    let mut ended = vec![false; sequences.len()];
    for (index, segment) in indices.into_iter().zip(&batch.segments) {
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
        ended[index] = sequences[index].advance(count, own.as_ref())? == Next::Ends;
    }
    let mut ended = ended.into_iter();
    sequences.retain(|_| !ended.next().unwrap_or_default());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::mpsc::unbounded_channel;

    use super::*;
    use crate::{Gauges, Request, engine_thread::Job, gauges::Place};

    fn sequence(slot: usize, prompt: usize, computed: usize) -> Sequence {
        let request = Request {
            prompt: (0..prompt as u32).collect(),
            max_tokens: 9,
            ..Request::default()
        };
        let job = Job {
            request,
            events: unbounded_channel().0,
            place: Place::take(&Arc::new(Gauges::default()), 1).unwrap(),
        };
        let mut sequence = Sequence::new(job, slot, 64);
        sequence.advance(computed, None).unwrap();
        sequence
    }

    #[test]
    fn answers_come_before_prompts_and_prompts_share_what_is_left() {
        let mut answering = sequence(0, 3, 2);
        let logits = tch::Tensor::zeros([1, 8], (tch::Kind::Float, tch::Device::Cpu));
        answering.advance(1, Some(&logits)).unwrap();
        let sequences = [sequence(1, 5, 0), answering, sequence(2, 9, 2), sequence(3, 4, 0)];
        let planned: Vec<_> = plan(&sequences, 10)
            .into_iter()
            .map(|(index, segment)| (index, segment.start, segment.tokens.len(), segment.logits))
            .collect();
        assert_eq!(
            planned,
            [
                (1, 3, 1, LogitRows::Last),
                (0, 0, 5, LogitRows::Last),
                (2, 2, 4, LogitRows::None)
            ]
        );
    }
}
