//! Asks a server for answers and notes when their tokens come.

use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::program::Server;
use crate::ask::http;

/// Vocabulary that prompts are made of: ordinary words of the model, none of its marks.
const WORDS: std::ops::Range<u64> = 1000..40_000;

/// A prompt of made-up tokens, and how long its answer is.
#[derive(Clone, Debug)]
pub struct Ask {
    model: String,
    tokens: Vec<u64>,
    answer: usize,
    /// Hang up after so many pieces.
    leave: Option<usize>,
}

/// When the tokens of one answer came, in seconds from the question.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// The first.
    pub first: f64,
    last: f64,
    tokens: usize,
}

/// Answers that were made at the same time.
#[derive(Clone, Debug)]
pub struct Together {
    answers: Vec<Answer>,
    seconds: f64,
}

impl Ask {
    /// A prompt that no other seed has the beginning of.
    pub fn new(seed: usize, prompt: usize, answer: usize) -> Self {
        Self {
            model: "bench".into(),
            tokens: words(seed as u64, prompt),
            answer,
            leave: None,
        }
    }

    /// The same, of an adapter.
    pub fn with_adapter(self, name: &str) -> Self {
        Self {
            model: format!("bench:{name}"),
            ..self
        }
    }

    /// The same, but the client hangs up after `pieces` pieces of the answer.
    pub fn left_after(self, pieces: usize) -> Self {
        Self {
            leave: Some(pieces),
            ..self
        }
    }

    /// A prompt that shares all but its last 20 tokens with others of the same seed.
    pub fn shared(seed: usize, prompt: usize, tail: usize) -> Self {
        let mut tokens = words(seed as u64 + 5000, prompt - 20);
        tokens.extend(words(tail as u64 + 6000, 20));
        Self {
            model: "bench".into(),
            tokens,
            answer: 1,
            leave: None,
        }
    }
}

fn words(seed: u64, count: usize) -> Vec<u64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        // Xorshift: any numbers that differ from prompt to prompt will do.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        WORDS.start + state % (WORDS.end - WORDS.start)
    };
    (0..count).map(|_| next()).collect()
}

impl Answer {
    /// Tokens a second after the first.
    pub fn rate(&self) -> f64 {
        1.0 / self.gap()
    }

    /// Mean seconds between two tokens.
    pub fn gap(&self) -> f64 {
        (self.last - self.first) / (self.tokens.saturating_sub(1).max(1)) as f64
    }
}

impl Together {
    /// Tokens of all answers a second.
    pub fn rate(&self) -> f64 {
        let tokens: usize = self.answers.iter().map(|answer| answer.tokens).sum();
        tokens as f64 / self.seconds
    }

    /// The time to the first token that 95 % of the answers keep.
    pub fn first_p95(&self) -> f64 {
        let mut firsts: Vec<f64> = self.answers.iter().map(|answer| answer.first).collect();
        firsts.sort_by(f64::total_cmp);
        let index = (firsts.len() * 95).div_ceil(100).max(1) - 1;
        firsts.get(index).copied().unwrap_or(f64::NAN)
    }

    /// The middle one of the answers' mean gaps.
    pub fn gap_median(&self) -> f64 {
        super::median(&self.answers.iter().map(Answer::gap).collect::<Vec<_>>())
    }
}

/// One answer.
pub fn one(server: &Server, ask: &Ask) -> Result<Answer> {
    match outcome(server, ask)? {
        Outcome::Answered(answer) => Ok(answer),
        Outcome::Refused => bail!("the server refused a request: it is too busy"),
        Outcome::Left => bail!("the client hung up"),
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    /// It was answered.
    Answered(Answer),
    /// Too many wait already (status 429).
    Refused,
    /// The client hung up before the end.
    Left,
}

/// Asks, and takes a full queue for an outcome like others.
pub fn outcome(server: &Server, ask: &Ask) -> Result<Outcome> {
    let body = json!({
        "model": ask.model, "prompt": ask.tokens, "max_tokens": ask.answer, "temperature": 0,
        "stream": true, "stream_options": {"include_usage": true}, "ignore_eos": true, "cache_prompt": true,
    });
    let started = Instant::now();
    let response = http::post(&server.api, "/v1/completions", "none", &body.to_string())?;
    if response.status == 429 {
        return Ok(Outcome::Refused);
    }
    if response.status != 200 {
        let status = response.status;
        bail!("the server refused a request: {status} {}", response.text()?);
    }
    let (mut times, mut tokens) = (Vec::new(), None);
    let read = response.each_line(|line| {
        let now = started.elapsed().as_secs_f64();
        let Some(data) = line.strip_prefix("data: ").filter(|data| *data != "[DONE]") else {
            return Ok(());
        };
        let event: Value = serde_json::from_str(data).with_context(|| format!("failed to read the event {data}"))?;
        ensure!(event.get("error").is_none(), "the answer failed: {event}");
        if event["choices"].get(0).is_some() {
            times.push(now);
            ensure!(ask.leave.is_none_or(|pieces| times.len() < pieces), "hung up");
        }
        if let Some(count) = event["usage"]["completion_tokens"].as_u64() {
            tokens = Some(count as usize);
        }
        Ok(())
    });
    if ask.leave.is_some_and(|pieces| times.len() >= pieces) {
        return Ok(Outcome::Left);
    }
    read?;
    let (Some(first), Some(last), Some(tokens)) = (times.first(), times.last(), tokens) else {
        bail!("the answer has no tokens");
    };
    ensure!(
        tokens == ask.answer,
        "the answer has {tokens} tokens instead of {}",
        ask.answer
    );
    Ok(Outcome::Answered(Answer {
        first: *first,
        last: *last,
        tokens,
    }))
}

/// Several answers at once.
pub fn concurrently(server: &Server, asks: &[Ask]) -> Result<Together> {
    let started = Instant::now();
    let answers = thread::scope(|scope| {
        let threads: Vec<_> = asks.iter().map(|ask| scope.spawn(|| one(server, ask))).collect();
        let joined = threads.into_iter().map(|thread| match thread.join() {
            Ok(answer) => answer,
            Err(_) => bail!("a client ended early"),
        });
        joined.collect::<Result<Vec<_>>>()
    })?;
    Ok(Together {
        answers,
        seconds: started.elapsed().as_secs_f64(),
    })
}
