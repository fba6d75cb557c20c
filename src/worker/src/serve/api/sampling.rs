//! The fields that chat and completions share: how the answer's tokens are chosen.

use engine::Sampling;
use serde_json::Value;

use super::{error::Error, fields::Fields};

/// Most stop strings of one request.
const MAX_STOPS: usize = 16;
/// Longest stop string in bytes.
const MAX_STOP: usize = 1024;
/// Most tokens whose logits one request may change.
const MAX_BIASES: usize = 1024;
/// Most answers to one prompt.
const MAX_ANSWERS: u64 = 16;

/// How answers are made.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Strings that end an answer.
    pub stops: Vec<String>,
    /// Answers to each prompt.
    pub answers: u64,
    /// Whether an answer goes on after the model's mark for its end (vLLM's extension).
    pub ignore_eos: bool,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// Whether a stream ends with the count of tokens.
    pub include_usage: bool,
}

impl Options {
    /// Reads the shared fields of a request to a model of so many tokens.
    ///
    /// # Errors
    /// The first fault.
    pub fn read(fields: Fields<'_>, vocabulary: usize) -> Result<Self, Error> {
        fields.refuse(&[("use_beam_search", "leave it out")])?;
        let answers = fields.integer("n", 1..=MAX_ANSWERS)?.unwrap_or(1);
        if fields
            .integer("best_of", 1..=u64::MAX)?
            .is_some_and(|best_of| best_of != answers)
        {
            return Err(fields.invalid("best_of", "left out, or the same as \"n\": all answers are returned"));
        }
        let default = Sampling::default();
        let sampling = Sampling {
            temperature: fields.number("temperature", 0.0..=2.0)?.unwrap_or(default.temperature),
            top_p: match fields.number("top_p", 0.0..=1.0)? {
                Some(0.0) => return Err(fields.invalid("top_p", "more than 0 and at most 1")),
                top_p => top_p.unwrap_or(default.top_p),
            },
            top_k: top_k(fields)?,
            frequency_penalty: fields.number("frequency_penalty", -2.0..=2.0)?.unwrap_or_default(),
            presence_penalty: fields.number("presence_penalty", -2.0..=2.0)?.unwrap_or_default(),
            repetition_penalty: match fields.number("repetition_penalty", 0.0..=2.0)? {
                Some(0.0) => return Err(fields.invalid("repetition_penalty", "more than 0 and at most 2")),
                penalty => penalty.unwrap_or(default.repetition_penalty),
            },
            min_p: fields.number("min_p", 0.0..=1.0)?.unwrap_or_default(),
            logit_bias: logit_bias(fields, vocabulary)?,
            seed: fields.seed("seed")?,
        };
        let stream = fields.flag("stream")?;
        Ok(Self {
            sampling,
            stops: stops(fields)?,
            answers,
            ignore_eos: fields.flag("ignore_eos")?,
            stream,
            include_usage: stream && include_usage(fields)?,
        })
    }

    /// How the tokens of the answer `index` to a prompt are chosen: with a seed, answers still differ.
    pub fn sampling_of(&self, index: u64) -> Sampling {
        let mut sampling = self.sampling.clone();
        sampling.seed = sampling.seed.map(|seed| seed.wrapping_add(index));
        sampling
    }
}

/// vLLM's extension, where -1 is all tokens.
fn top_k(fields: Fields<'_>) -> Result<usize, Error> {
    match fields.get("top_k").and_then(Value::as_i64) {
        Some(-1) => Ok(0),
        _ => Ok(fields.integer("top_k", 0..=u32::MAX.into())?.unwrap_or(0) as usize),
    }
}

/// Token ids, which are strings in JSON, and what is added to their logits.
fn logit_bias(fields: Fields<'_>, vocabulary: usize) -> Result<Vec<(u32, f32)>, Error> {
    let biases = match fields.get("logit_bias") {
        None => return Ok(Vec::new()),
        Some(Value::Object(biases)) if biases.len() <= MAX_BIASES => biases,
        Some(_) => {
            let expected = format!("an object of at most {MAX_BIASES} token ids with numbers from -100 to 100");
            return Err(fields.invalid("logit_bias", expected));
        }
    };
    let path = fields.path_of("logit_bias.");
    let inside = Fields::inside(biases, &path);
    let one = |token: &String| {
        let id = token.parse().ok().filter(|id| (*id as usize) < vocabulary);
        let id = id.ok_or_else(|| inside.invalid(token, format!("named by a token id below {vocabulary}")))?;
        Ok((id, inside.number(token, -100.0..=100.0)?.unwrap_or_default()))
    };
    biases.keys().map(one).collect()
}

fn stops(fields: Fields<'_>) -> Result<Vec<String>, Error> {
    let expected = || {
        fields.invalid(
            "stop",
            format!("a string or up to {MAX_STOPS} of them, of up to {MAX_STOP} bytes"),
        )
    };
    let stops = match fields.get("stop") {
        None => Vec::new(),
        Some(Value::String(stop)) => vec![stop.clone()],
        Some(Value::Array(stops)) => stops
            .iter()
            .map(|stop| stop.as_str().map(Into::into).ok_or_else(expected))
            .collect::<Result<_, _>>()?,
        Some(_) => return Err(expected()),
    };
    if stops.len() > MAX_STOPS || stops.iter().any(|stop: &String| stop.len() > MAX_STOP) {
        return Err(expected());
    }
    Ok(stops)
}

fn include_usage(fields: Fields<'_>) -> Result<bool, Error> {
    match fields.get("stream_options") {
        None => Ok(false),
        Some(Value::Object(options)) => Fields::inside(options, "stream_options.").flag("include_usage"),
        Some(_) => Err(fields.invalid("stream_options", "an object")),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn read(value: &Value) -> Result<Options, Error> {
        Options::read(Fields::new(value.as_object().unwrap()), 100)
    }

    #[test]
    fn everything_has_a_default() {
        let options = read(&json!({"model": "m", "user": "someone", "stop": null})).unwrap();
        assert_eq!(
            (options.answers, options.stream, options.include_usage),
            (1, false, false)
        );
        assert_eq!((options.sampling, options.stops.len()), (Sampling::default(), 0));
    }

    #[test]
    fn what_is_given_is_taken() {
        let request = json!({
            "temperature": 0, "top_p": 0.5, "top_k": -1, "seed": 3, "stop": "END", "n": 2,
            "logit_bias": {"5": -100, "7": 2.5}, "min_p": 0.1, "repetition_penalty": 1.2, "best_of": 2,
            "frequency_penalty": -1, "presence_penalty": 0.5,
            "stream": true, "stream_options": {"include_usage": true},
        });
        let options = read(&request).unwrap();
        assert_eq!(
            (
                options.sampling.temperature,
                options.sampling.top_p,
                options.sampling.top_k
            ),
            (0.0, 0.5, 0)
        );
        assert_eq!(
            (options.stops.as_slice(), options.include_usage),
            (&["END".to_owned()][..], true)
        );
        assert_eq!(options.sampling.logit_bias, [(5, -100.0), (7, 2.5)]);
        assert_eq!(
            (options.sampling.min_p, options.sampling.repetition_penalty),
            (0.1, 1.2)
        );
        assert_eq!(
            (options.sampling_of(0).seed, options.sampling_of(1).seed),
            (Some(3), Some(4))
        );
    }

    #[rstest]
    #[case(json!({"temperature": 2.5}), "temperature")]
    #[case(json!({"top_p": 0}), "top_p")]
    #[case(json!({"top_k": -2}), "top_k")]
    #[case(json!({"seed": 0.5}), "seed")]
    #[case(json!({"n": 17}), "\"n\" must be a whole number from 1 to 16")]
    #[case(json!({"stop": [1]}), "stop")]
    #[case(json!({"stop": ["x".repeat(1025)]}), "up to 1024 bytes")]
    #[case(json!({"stream_options": true, "stream": true}), "stream_options")]
    #[case(json!({"stream_options": {"include_usage": 1}, "stream": true}), "stream_options.include_usage")]
    #[case(json!({"min_p": 1.5}), "min_p")]
    #[case(json!({"repetition_penalty": 0}), "repetition_penalty")]
    #[case(json!({"best_of": 2}), "\"best_of\" must be left out, or the same as \"n\"")]
    #[case(json!({"logit_bias": [1]}), "\"logit_bias\" must be an object of at most 1024")]
    #[case(json!({"logit_bias": {"1": 101}}), "\"logit_bias.1\" must be a number from -100 to 100")]
    #[case(json!({"logit_bias": {"100": 1}}), "\"logit_bias.100\" must be named by a token id below 100")]
    #[case(json!({"logit_bias": {"a": 1}}), "\"logit_bias.a\" must be named by a token id")]
    fn faults_name_the_field(#[case] request: Value, #[case] expected: &str) {
        let error = read(&request).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
