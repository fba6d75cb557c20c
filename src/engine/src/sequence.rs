//! One request on its way through the engine.

use std::{sync::Arc, time::Instant};

use tch::TchError;
use tokio::sync::mpsc::UnboundedSender;

use crate::{
    Event, Failure, FinishReason, LogitRows, Request, Segment, TokenLogprobs,
    draw::Choice,
    engine_thread::Job,
    gauges::Place,
    logits::LogitsOf,
    logprobs::logprobs,
    pages::{PageTable, Pages, Scope},
    sampler::Sampler,
};

/// A request and what has become of it so far.
pub(crate) struct Sequence {
    request: Request,
    events: UnboundedSender<Event>,
    sampler: Sampler,
    /// How its next token is chosen, if that is done where the logits are.
    choice: Option<Choice>,
    scope: Arc<Scope>,
    /// Its pages of the cache while it runs.
    table: Option<PageTable>,
    /// The prompt, then the answer.
    tokens: Vec<u32>,
    /// How many of `tokens` the cache holds.
    computed: usize,
    /// Longest that `tokens` may become.
    room: usize,
    /// When it was admitted for the first time.
    begun: Option<Instant>,
    /// How many of the prompt's tokens the cache held already.
    cached: usize,
    prompt_logprobs: Vec<TokenLogprobs>,
    /// Whether the caller knows that the prompt is computed.
    prompt_told: bool,
    /// Whether its keys and values may be no numbers.
    is_damaged: bool,
    place: Option<Place>,
}

impl Sequence {
    /// A request for an engine whose contexts have `context_length` tokens.
    pub fn new(job: Job, context_length: usize) -> Self {
        let Job {
            mut request,
            events,
            place,
        } = job;
        let room = request
            .prompt
            .len()
            .saturating_add(request.max_tokens)
            .min(context_length);
        let scope = Scope {
            name: request.cache_scope.clone(),
            adapter: request.adapter.as_ref().map(|adapter| adapter.id()),
        };
        Self {
            sampler: Sampler::new(request.sampling.clone(), request.constraint.take(), &request.prompt),
            choice: None,
            tokens: request.prompt.clone(),
            request,
            events,
            scope: Arc::new(scope),
            table: None,
            computed: 0,
            room,
            begun: None,
            cached: 0,
            prompt_logprobs: Vec::new(),
            prompt_told: false,
            is_damaged: false,
            place: Some(place),
        }
    }

    /// For whom it is computed; empty if nobody said.
    pub fn user(&self) -> &str {
        self.request.user.as_deref().unwrap_or_default()
    }

    /// Tokens of the prompt and of the answer so far.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Tokens that the cache holds of it.
    pub fn computed(&self) -> usize {
        self.computed
    }

    /// Whether nobody waits for it any more.
    pub fn is_cancelled(&self) -> bool {
        self.events.is_closed()
    }

    /// Whether it goes on by one token a pass.
    pub fn is_decoding(&self) -> bool {
        self.tokens.len() - self.computed == 1
    }

    /// Whether it takes the logits of each token that a pass computes of it.
    pub fn wants_prompt_logits(&self) -> bool {
        self.request.prompt_logprobs.is_some() && !self.prompt_told
    }

    /// Gets a table of pages, with what the cache knows of its beginning.
    pub fn begin(&mut self, pages: &mut Pages) {
        // Logits of known tokens are not known: who wants those has the prompt computed.
        let shared = match self.wants_prompt_logits() {
            true => &[][..],
            false => &self.tokens,
        };
        let table = pages.begin(self.scope.clone(), shared);
        self.computed = table.tokens();
        self.table = Some(table);
        if !self.prompt_told {
            self.cached = self.computed;
        }
        self.begun.get_or_insert_with(Instant::now);
    }

    /// Reserves pages for its next tokens, at most `most`; returns for how many there is room.
    pub fn reserve(&mut self, most: usize, pages: &mut Pages) -> usize {
        let count = most.min(self.tokens.len() - self.computed);
        let Some(table) = &mut self.table else { return 0 };
        pages.extend(table, self.computed + count);
        count.min(table.room() - self.computed)
    }

    /// Makes its full pages known to later prompts, unless they would fail by them.
    pub fn remember(&mut self, pages: &mut Pages) {
        match &mut self.table {
            Some(table) if self.is_damaged => pages.forget(table),
            Some(table) => pages.remember(table, &self.tokens[..self.computed]),
            None => {}
        }
    }

    /// Gives its pages back.
    pub fn release(&mut self, pages: &mut Pages) {
        if let Some(table) = self.table.take() {
            pages.release(table);
        }
    }

    /// Gives its pages back, to be computed again later.
    pub fn interrupt(&mut self, pages: &mut Pages) {
        self.release(pages);
        self.computed = 0;
        self.prompt_logprobs.clear();
        self.place.iter().for_each(Place::preempted);
    }

    /// What a pass computes of it: the next `count` tokens, which it has reserved pages for.
    pub fn segment(&self, count: usize) -> Segment {
        let end = self.computed + count;
        let pages = self.table.as_ref().map(|table| table.pages().to_vec());
        Segment {
            pages: pages.unwrap_or_default(),
            start: self.computed,
            tokens: self.tokens[self.computed..end].into(),
            logits: match (self.wants_prompt_logits(), end == self.tokens.len()) {
                (true, _) => LogitRows::All,
                (false, true) => LogitRows::Last,
                (false, false) => LogitRows::None,
            },
            adapter: self.request.adapter.clone(),
        }
    }

    /// How the token after `segment` is chosen, if there is to be one and the logits are all that it takes:
    /// then [`Self::advance`] expects it to be chosen in their summary.
    pub fn plan_choice(&mut self, segment: &Segment) -> Option<Choice> {
        if segment.end() == self.tokens.len() && self.request.max_tokens > 0 {
            self.choice = self.sampler.plan();
        }
        self.choice
    }

    /// Takes the outcome of a pass over `count` tokens: `logits` are the rows that its segment asked
    /// for, or `None` if it asked for none. True when the request is over.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn advance(&mut self, count: usize, logits: Option<LogitsOf<'_>>) -> Result<bool, TchError> {
        let first = self.computed;
        self.computed += count;
        let Some(logits) = logits else { return Ok(false) };
        if self.wants_prompt_logits()
            && let Some(top) = self.request.prompt_logprobs
        {
            // Row i is of the token that follows token first + i.
            let prompt = self.request.prompt.len();
            let following = &self.request.prompt[prompt.min(first + 1)..prompt.min(first + 1 + count)];
            let rows = logits.beginning(following.len() as i64)?;
            let logprobs = logprobs(&rows, following, top)?;
            if logprobs.iter().any(|entry| !entry.chosen.logprob.is_finite()) {
                return Ok(self.give_up(Failure::NotFinite));
            }
            self.prompt_logprobs.extend(logprobs);
        }
        if self.computed < self.tokens.len() {
            return Ok(false);
        }
        if !self.prompt_told {
            self.prompt_told = true;
            let logprobs = std::mem::take(&mut self.prompt_logprobs);
            let begun = self.begun.unwrap_or_else(Instant::now);
            let cached = self.cached;
            self.send(Event::Prompt {
                begun,
                cached,
                logprobs,
            });
            if self.request.max_tokens == 0 {
                return Ok(self.finish(FinishReason::Length));
            }
        }
        self.choose(logits)
    }

    fn choose(&mut self, logits: LogitsOf<'_>) -> Result<bool, TchError> {
        let chosen = match (self.choice.take(), logits.summary()) {
            (Some(_), Some(summary)) => summary.chosen(),
            _ => {
                let (numbers, log_sum_exp) = logits.numbers()?;
                self.sampler.choose(&numbers, log_sum_exp)
            }
        };
        let (token, nll) = match chosen {
            Ok(chosen) => chosen,
            Err(failure) => return Ok(self.give_up(failure)),
        };
        if self.request.stop_tokens.contains(&token) {
            return Ok(self.finish(FinishReason::Stop));
        }
        let logprobs = match self.request.logprobs {
            Some(top) => logprobs(&logits.last()?, &[token], top)?.pop(),
            None => None,
        };
        self.tokens.push(token);
        self.send(Event::Token { token, nll, logprobs });
        match self.sampler.accept(token) {
            Ok(true) => return Ok(self.finish(FinishReason::Stop)),
            Ok(false) => {}
            Err(failure) => return Ok(self.give_up(failure)),
        }
        if self.tokens.len() >= self.room {
            return Ok(self.finish(FinishReason::Length));
        }
        Ok(false)
    }

    fn finish(&mut self, reason: FinishReason) -> bool {
        // Before the caller hears of it: it may come back at once and must find the place free, and the
        // adapter unused.
        self.place = None;
        self.request.adapter = None;
        self.send(Event::Finished(reason));
        true
    }

    fn give_up(&mut self, failure: Failure) -> bool {
        self.is_damaged = failure == Failure::NotFinite;
        self.place = None;
        self.send(Event::Failed(failure));
        true
    }

    /// Tells the caller that the answer cannot be completed.
    pub fn fail(mut self, pages: &mut Pages, message: &str) {
        self.release(pages);
        self.place = None;
        self.send(Event::Failed(Failure::Computation(message.into())));
    }

    fn send(&self, event: Event) {
        // A caller that hung up is noticed before the next pass.
        let _ = self.events.send(event);
    }
}

#[cfg(test)]
mod tests;
