//! Answers of the base and of the result to the same prompts, for a human.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
};

use engine::text::TextStream;
use protocol::tune::{TrainFailure, TrainSample, records_file};
use train::{Trainer, Weights};

use super::{
    data::{Record, Renderer},
    failure::{io_at, of_train},
};

/// Prompts that are answered.
const COUNT: usize = 3;
/// Records that are looked at for them.
const LOOK: usize = 200;
/// Longest prompt and answer, in tokens.
const PROMPT: usize = 256;
const ANSWER: usize = 40;
/// Longest text of a sample, in characters.
const TEXT: usize = 400;

/// A prompt that both answer.
pub struct Question {
    tokens: Vec<i64>,
    prompt: String,
    expected: String,
}

/// The first records of the validation part that make good prompts.
///
/// # Errors
/// When it cannot be read.
pub fn questions(dataset: &Path, renderer: &Renderer<'_>) -> Result<Vec<Question>, TrainFailure> {
    let path = records_file(dataset, "validation");
    let Ok(file) = File::open(&path) else {
        return Ok(Vec::new());
    };
    let mut questions = Vec::new();
    for line in BufReader::new(file).lines().take(LOOK) {
        let line = line.map_err(io_at("read", &path))?;
        // Records that cannot be learned from have been refused before.
        let question = Record::parse(&line).and_then(|record| renderer.question(record));
        if let Ok(Some((tokens, prompt, expected))) = question
            && tokens.len() <= PROMPT.min(renderer.length)
        {
            questions.push(Question {
                tokens: tokens.into_iter().map(i64::from).collect(),
                prompt,
                expected,
            });
        }
        if questions.len() == COUNT {
            break;
        }
    }
    Ok(questions)
}

/// What the base answers, before anything was learned; `weights` are those that compute it.
///
/// # Errors
/// When it cannot be computed.
pub fn before(
    trainer: &Trainer,
    questions: &[Question],
    renderer: &Renderer<'_>,
    weights: Weights,
) -> Result<Vec<TrainSample>, TrainFailure> {
    let sample = |question: &Question| {
        Ok(TrainSample {
            prompt: short(&question.prompt),
            expected: short(&question.expected),
            base: answer(trainer, question, renderer, weights)?,
            tuned: String::new(),
        })
    };
    questions.iter().map(sample).collect()
}

/// The same samples with what the result answers.
///
/// # Errors
/// When it cannot be computed.
pub fn after(
    trainer: &Trainer,
    questions: &[Question],
    renderer: &Renderer<'_>,
    before: &[TrainSample],
) -> Result<Vec<TrainSample>, TrainFailure> {
    let sample = |(question, before): (&Question, &TrainSample)| {
        Ok(TrainSample {
            tuned: answer(trainer, question, renderer, Weights::Tuned)?,
            ..before.clone()
        })
    };
    questions.iter().zip(before).map(sample).collect()
}

fn answer(
    trainer: &Trainer,
    question: &Question,
    renderer: &Renderer<'_>,
    weights: Weights,
) -> Result<String, TrainFailure> {
    let tokenizer = renderer.tokenizer;
    let ends: Vec<i64> = tokenizer.ends().iter().map(|token| i64::from(*token)).collect();
    let answered = trainer
        .generate(&question.tokens, ANSWER, &ends, weights)
        .map_err(of_train)?;
    let mut stream = match tokenizer.leading_space() {
        true => TextStream::new(&[]).without_leading_space(),
        false => TextStream::new(&[]),
    };
    let mut text = String::new();
    for token in answered.into_iter().filter(|token| !ends.contains(token)) {
        let bytes = u32::try_from(token).map_or(&[][..], |token| tokenizer.bytes(token));
        text += &stream.push(bytes).text;
    }
    text += &stream.finish().text;
    Ok(short(&text))
}

fn short(text: &str) -> String {
    match text.char_indices().nth(TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into(),
    }
}
