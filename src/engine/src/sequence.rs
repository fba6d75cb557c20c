//! One request on its way through the engine.

use tch::{TchError, Tensor};
use tokio::sync::mpsc::UnboundedSender;

use crate::{
    Event, FinishReason, LogitRows, Request, Segment, TokenLogprobs,
    engine_thread::Job,
    gauges::Place,
    logprobs::{floats, logprobs},
    sampler::Sampler,
};

/// Prompt tokens whose logits are computed in one pass: a row of logits is large.
const LOGIT_ROWS: usize = 64;

/// A request that has a slot of the cache.
pub(crate) struct Sequence {
    request: Request,
    events: UnboundedSender<Event>,
    sampler: Sampler,
    slot: usize,
    /// The prompt, then the answer.
    tokens: Vec<u32>,
    /// How many of `tokens` the cache holds.
    computed: usize,
    /// Longest that `tokens` may become.
    room: usize,
    prompt_logprobs: Vec<TokenLogprobs>,
    place: Option<Place>,
}

/// What becomes of a sequence after a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// It goes on in the next pass.
    Goes,
    /// It is over, and its slot is free.
    Ends,
}

impl Sequence {
    /// Starts a request in `slot` of a cache of `context_length` tokens a slot.
    pub fn new(job: Job, slot: usize, context_length: usize) -> Self {
        let Job { request, events, place } = job;
        let room = request
            .prompt
            .len()
            .saturating_add(request.max_tokens)
            .min(context_length);
        Self {
            sampler: Sampler::new(request.sampling.clone()),
            tokens: request.prompt.clone(),
            request,
            events,
            slot,
            computed: 0,
            room,
            prompt_logprobs: Vec::new(),
            place: Some(place),
        }
    }

    /// Where its keys and values are.
    pub fn slot(&self) -> usize {
        self.slot
    }

    /// Tokens that the cache holds of it.
    pub fn cached(&self) -> usize {
        self.computed
    }

    /// Whether nobody waits for it any more.
    pub fn is_cancelled(&self) -> bool {
        self.events.is_closed()
    }

    /// Whether it writes its answer, one token a pass.
    pub fn is_decoding(&self) -> bool {
        self.computed >= self.request.prompt.len()
    }

    /// Its part of the next pass, of at most `budget` tokens.
    pub fn segment(&self, budget: usize) -> Segment {
        let mut count = budget.min(self.tokens.len() - self.computed);
        let wants_prompt = self.request.prompt_logprobs.is_some() && !self.is_decoding();
        if wants_prompt {
            count = count.min(LOGIT_ROWS);
        }
        let end = self.computed + count;
        Segment {
            slot: self.slot,
            start: self.computed,
            tokens: self.tokens[self.computed..end].into(),
            logits: match (wants_prompt, end == self.tokens.len()) {
                (true, _) => LogitRows::All,
                (false, true) => LogitRows::Last,
                (false, false) => LogitRows::None,
            },
        }
    }

    /// Takes the outcome of a pass over `count` tokens: `logits` are the rows that its segment asked
    /// for, or `None` if it asked for none.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn advance(&mut self, count: usize, logits: Option<&Tensor>) -> Result<Next, TchError> {
        let first = self.computed;
        self.computed += count;
        let Some(logits) = logits else { return Ok(Next::Goes) };
        let prompt = self.request.prompt.len();
        if first < prompt
            && let Some(top) = self.request.prompt_logprobs
        {
            // Row i is of the token that follows token first + i.
            let following = &self.request.prompt[prompt.min(first + 1)..prompt.min(first + 1 + count)];
            let rows = logits.f_narrow(0, 0, following.len() as i64)?;
            self.prompt_logprobs.extend(logprobs(&rows, following, top)?);
        }
        if self.computed < self.tokens.len() {
            return Ok(Next::Goes);
        }
        if self.tokens.len() == prompt {
            let logprobs = std::mem::take(&mut self.prompt_logprobs);
            self.send(Event::Prompt(logprobs));
            if self.request.max_tokens == 0 {
                return Ok(self.finish(FinishReason::Length));
            }
        }
        self.choose(&logits.f_narrow(0, logits.size()[0] - 1, 1)?)
    }

    fn choose(&mut self, logits: &Tensor) -> Result<Next, TchError> {
        let token = self.sampler.choose(&mut floats(logits)?);
        if self.request.stop_tokens.contains(&token) {
            return Ok(self.finish(FinishReason::Stop));
        }
        let logprobs = match self.request.logprobs {
            Some(top) => logprobs(logits, &[token], top)?.pop(),
            None => None,
        };
        self.tokens.push(token);
        self.send(Event::Token { token, logprobs });
        if self.tokens.len() >= self.room {
            return Ok(self.finish(FinishReason::Length));
        }
        Ok(Next::Goes)
    }

    fn finish(&mut self, reason: FinishReason) -> Next {
        // Before the caller hears of it: it may come back at once and must find the place free.
        self.place = None;
        self.send(Event::Finished(reason));
        Next::Ends
    }

    /// Tells the caller that the answer cannot be completed.
    pub fn fail(&self, message: &str) {
        self.send(Event::Failed(message.into()));
    }

    fn send(&self, event: Event) {
        // A caller that hung up is noticed before the next pass.
        let _ = self.events.send(event);
    }
}
