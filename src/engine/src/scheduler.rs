//! Decides which requests are computed, in which order, and what each pass holds. No tensors here.
//!
//! Requests wait in a fair queue until the cache has room for their prompt. Each pass holds a token of
//! every answer under way, then parts of prompts in order of admission. When answers outgrow the
//! cache, the latest request gives its pages back and is computed again later: its caller notices
//! nothing but a pause.

use std::collections::VecDeque;

use crate::{
    Device, EngineOptions, LogitRows, Segment,
    draw::{Choice, Draw},
    fair_queue::FairQueue,
    pages::{PAGE, Pages},
    sequence::Sequence,
};

/// Prompt tokens of a pass that also computes answers: what their next tokens wait for.
const PROMPT_TOKENS_BESIDE_ANSWERS: usize = 128;
/// The same on a GPU, which needs many rows to be busy.
const PROMPT_TOKENS_BESIDE_ANSWERS_ON_GPU: usize = 1024;

/// Prompt tokens of a pass whose logits are computed, of all requests that want those: a row of logits is large.
pub(crate) const LOGIT_ROWS: usize = 64;

/// All requests, and the pages of the cache.
pub(crate) struct Scheduler {
    waiting: FairQueue<Sequence>,
    /// Requests that gave their pages back; they come before those that wait.
    interrupted: VecDeque<Sequence>,
    /// In order of admission.
    running: Vec<Sequence>,
    pages: Pages,
    max_running: usize,
    max_tokens: usize,
    max_tokens_beside_answers: usize,
}

impl Scheduler {
    pub fn new(options: &EngineOptions, pages: Pages) -> Self {
        Self {
            waiting: FairQueue::new(),
            interrupted: VecDeque::new(),
            running: Vec::new(),
            pages,
            max_running: options.max_concurrent_sequences,
            max_tokens: options.max_batch_tokens,
            max_tokens_beside_answers: match options.model.device {
                Device::Cpu => PROMPT_TOKENS_BESIDE_ANSWERS,
                Device::Cuda(_) => PROMPT_TOKENS_BESIDE_ANSWERS_ON_GPU,
            },
        }
    }

    pub fn push(&mut self, sequence: Sequence) {
        let user = sequence.user().to_owned();
        self.waiting.push(&user, sequence);
    }

    /// Whether there is nothing to do.
    pub fn is_idle(&self) -> bool {
        self.running.is_empty() && self.interrupted.is_empty() && self.waiting.is_empty()
    }

    pub fn running(&self) -> &[Sequence] {
        &self.running
    }

    pub fn pages(&self) -> &Pages {
        &self.pages
    }

    pub fn pages_mut(&mut self) -> &mut Pages {
        &mut self.pages
    }

    /// Drops the requests that nobody waits for any more.
    pub fn forget_cancelled(&mut self) {
        self.waiting.retain(|sequence| !sequence.is_cancelled());
        self.interrupted.retain(|sequence| !sequence.is_cancelled());
        self.remove(Sequence::is_cancelled);
    }

    /// Takes requests in as far as there is room.
    pub fn admit(&mut self) {
        while self.running.len() < self.max_running {
            let Some(next) = self.interrupted.front().or_else(|| self.waiting.peek()) else {
                return;
            };
            // A page more for each that runs, so that those do not have to be interrupted at once.
            let needed = next.len().div_ceil(PAGE) + 1 + self.running.len();
            if self.pages.available() < needed && !self.running.is_empty() {
                return;
            }
            let Some(mut sequence) = self.interrupted.pop_front().or_else(|| self.waiting.pop()) else {
                return;
            };
            sequence.begin(&mut self.pages);
            self.running.push(sequence);
        }
    }

    /// The next pass: indices into [`Self::running`] with what is to be computed of each.
    pub fn plan(&mut self) -> Vec<(usize, Segment)> {
        loop {
            self.make_room_for_answers();
            let planned = self.plan_with_room();
            // Prompts may hold all pages between them without one of them getting on.
            if !planned.is_empty() || self.running.len() <= 1 {
                return planned;
            }
            self.interrupt_latest();
        }
    }

    fn plan_with_room(&mut self) -> Vec<(usize, Segment)> {
        let mut segments = Vec::new();
        let mut left = self.max_tokens;
        for (index, sequence) in self.running.iter().enumerate() {
            if sequence.is_decoding() && left > 0 {
                segments.push((index, sequence.segment(1)));
                left -= 1;
            }
        }
        if !segments.is_empty() {
            left = left.min(self.max_tokens_beside_answers);
        }
        let mut rows = LOGIT_ROWS;
        for (index, sequence) in self.running.iter_mut().enumerate() {
            let has_logits = sequence.wants_prompt_logits();
            let most = if has_logits { left.min(rows) } else { left };
            if sequence.is_decoding() || most == 0 {
                continue;
            }
            let count = sequence.reserve(most, &mut self.pages);
            if count > 0 {
                segments.push((index, sequence.segment(count)));
                left -= count;
                rows -= if has_logits { count } else { 0 };
            }
        }
        segments
    }

    /// Gives every answer under way a page for its next token.
    fn make_room_for_answers(&mut self) {
        let mut index = 0;
        while index < self.running.len() {
            let sequence = &mut self.running[index];
            if !sequence.is_decoding() || sequence.reserve(1, &mut self.pages) > 0 {
                index += 1;
            } else if self.running.len() == 1 {
                // Alone and still without room: the limit has fallen below what a request may need.
                self.running.remove(0).fail(
                    &mut self.pages,
                    "the cache has become too small for this request: the memory limit was lowered",
                );
            } else {
                self.interrupt_latest();
            }
        }
    }

    fn interrupt_latest(&mut self) {
        if let Some(mut sequence) = self.running.pop() {
            sequence.interrupt(&mut self.pages);
            self.interrupted.push_front(sequence);
        }
    }

    /// The draws of those tokens that can be drawn where their logits are, by row among the logits of the
    /// pass `planned`.
    pub fn draws(&mut self, planned: &[(usize, Segment)]) -> Vec<(i64, Draw)> {
        let (mut draws, mut rows) = (Vec::new(), 0);
        for (index, segment) in planned {
            rows += segment.logit_rows();
            if segment.logits != LogitRows::None
                && let Some(Choice::Drawn(draw)) = self.running[*index].plan_choice(segment)
            {
                draws.push((rows as i64 - 1, draw));
            }
        }
        draws
    }

    /// Takes the outcome of a pass: `outcome` gets the sequence of each index and says whether it is over.
    ///
    /// # Errors
    /// The first error of `outcome`.
    pub fn advance<E>(
        &mut self,
        planned: &[(usize, Segment)],
        mut outcome: impl FnMut(&mut Sequence, &Segment) -> Result<bool, E>,
    ) -> Result<(), E> {
        let mut over = vec![false; self.running.len()];
        for (index, segment) in planned {
            let sequence = &mut self.running[*index];
            self.waiting.charge(sequence.user(), segment.tokens.len());
            over[*index] = outcome(sequence, segment)?;
            sequence.remember(&mut self.pages);
        }
        let mut over = over.into_iter();
        self.remove(|_| over.next().unwrap_or_default());
        Ok(())
    }

    /// Fails every request that runs. What the cache holds is of no more use to anybody.
    pub fn fail_running(&mut self, message: &str) {
        for sequence in self.running.drain(..) {
            sequence.fail(&mut self.pages, message);
        }
        self.pages.forget_all();
    }

    fn remove(&mut self, mut which: impl FnMut(&Sequence) -> bool) {
        let pages = &mut self.pages;
        self.running.retain_mut(|sequence| {
            let goes = which(sequence);
            if goes {
                sequence.release(pages);
            }
            !goes
        });
    }
}

#[cfg(test)]
mod tests;
