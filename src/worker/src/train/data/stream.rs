//! The passes of a training, one after the other, dealt to its processes.

use std::{collections::VecDeque, io};

use super::batches::{Batch, Batching, Lengths, window, windows};

/// All passes of all epochs.
pub struct Stream<'a, L> {
    lengths: &'a L,
    batching: Batching,
    /// Passes after which it ends; goes round for ever without.
    most: Option<u64>,
    taken: u64,
    epoch: u64,
    window: u64,
    queue: VecDeque<Batch>,
    seen: u64,
}

/// What one process computes in a step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Share {
    /// Its passes.
    pub batches: Vec<Batch>,
    /// Those of all processes, by rank.
    pub all: Vec<Vec<Batch>>,
    /// How often all data have been seen after the step.
    pub epoch: f64,
}

impl<'a, L: Lengths> Stream<'a, L> {
    /// A stream at its beginning. There must be records.
    pub fn new(lengths: &'a L, batching: Batching, most: Option<u64>) -> Self {
        Self {
            lengths,
            batching,
            most,
            taken: 0,
            epoch: 0,
            window: 0,
            queue: VecDeque::new(),
            seen: 0,
        }
    }

    /// Number of passes of so many epochs.
    ///
    /// # Errors
    /// When lengths cannot be read.
    pub fn passes(lengths: &L, batching: &Batching, epochs: u64) -> io::Result<u64> {
        let mut passes = 0;
        for epoch in 0..epochs {
            for number in 0..windows(lengths.count()) {
                passes += window(lengths, batching, epoch, number)?.len() as u64;
            }
        }
        Ok(passes)
    }

    /// The passes of the next step for one of `size` processes, each of which adds up `accumulation` of them: they
    /// are dealt out in turn, so that it makes no difference to the sum of a step who computes them.
    ///
    /// # Errors
    /// When lengths cannot be read.
    pub fn step(&mut self, rank: usize, size: usize, accumulation: u64) -> io::Result<Share> {
        let mut all = vec![Vec::new(); size];
        for number in 0..accumulation * size as u64 {
            let Some(batch) = self.next()? else { break };
            all[(number % size as u64) as usize].push(batch);
        }
        Ok(Share {
            batches: all[rank].clone(),
            all,
            epoch: self.epochs(),
        })
    }

    /// How often all data have been seen.
    pub fn epochs(&self) -> f64 {
        self.epoch as f64 + self.seen as f64 / self.lengths.count() as f64
    }

    fn next(&mut self) -> io::Result<Option<Batch>> {
        if self.most.is_some_and(|most| self.taken >= most) {
            return Ok(None);
        }
        while self.queue.is_empty() {
            if self.window == windows(self.lengths.count()) {
                (self.epoch, self.window, self.seen) = (self.epoch + 1, 0, 0);
            }
            self.queue = window(self.lengths, &self.batching, self.epoch, self.window)?.into();
            self.window += 1;
        }
        self.taken += 1;
        let batch = self.queue.pop_front();
        self.seen += batch.iter().flat_map(Batch::records).count() as u64;
        Ok(batch)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::batches::tests::Known, *};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn several_processes_compute_what_one_does(
            lengths in prop::collection::vec(1usize..60, 1..400),
            size in 1usize..5, accumulation in 1u64..4, seed: u64, skipped in 0usize..5,
        ) {
            let known = Known(lengths);
            let batching = Batching { batch_tokens: 120, packing: None, texts: 1, seed };
            let most = Some(Stream::passes(&known, &batching, 2).unwrap());
            let mut one = Stream::new(&known, batching, most);
            let mut several: Vec<_> = (0..size).map(|_| Stream::new(&known, batching, most)).collect();
            let mut records = 0;
            for step in 0.. {
                let whole = one.step(0, 1, accumulation * size as u64).unwrap();
                let shares: Vec<_> = several
                    .iter_mut()
                    .enumerate()
                    .map(|(rank, stream)| stream.step(rank, size, accumulation).unwrap())
                    .collect();
                prop_assert!(shares.iter().all(|share| share.epoch == whole.epoch));
                // Dealt out in turn, they are the same passes in the same order.
                let dealt: Vec<&Batch> = (0..accumulation as usize)
                    .flat_map(|turn| shares.iter().filter_map(move |share| share.batches.get(turn)))
                    .collect();
                prop_assert!(dealt.into_iter().eq(&whole.batches));
                if whole.batches.is_empty() {
                    break;
                }
                records += whole.batches.iter().flat_map(Batch::records).count();
                if step == skipped {
                    // A process that begins in the middle is where the others are.
                    let mut late = Stream::new(&known, batching, most);
                    for _ in 0..=skipped {
                        late.step(0, 1, accumulation * size as u64).unwrap();
                    }
                    prop_assert_eq!(late.step(0, 1, 1).unwrap().batches, {
                        let mut other = Stream::new(&known, batching, most);
                        for _ in 0..=skipped {
                            other.step(0, size, accumulation).unwrap();
                        }
                        other.step(0, 1, 1).unwrap().batches
                    });
                }
            }
            prop_assert_eq!(records, 2 * known.0.len());
        }
    }

    #[test]
    fn without_an_end_it_goes_round() {
        let known = Known(vec![10; 3]);
        let batching = Batching {
            batch_tokens: 10,
            packing: None,
            texts: 1,
            seed: 1,
        };
        let mut stream = Stream::new(&known, batching, None);
        for step in 1..=10 {
            let share = stream.step(0, 1, 1).unwrap();
            assert_eq!(share.batches.len(), 1);
            assert!((share.epoch - f64::from(step) / 3.0).abs() < 1e-9, "{}", share.epoch);
        }
    }
}
