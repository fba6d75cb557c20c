//! An answer out of the bytes in which it comes.

use ::shadow::answer::{Answer, Failure, Listener};
use serde_json::Value;

use crate::provider::sse::Decoder;

/// What a server says when a stream has ended.
const DONE: &str = "[DONE]";
/// The longest answer that is read where it does not stream, in bytes.
const LONGEST: usize = 4 << 20;

/// Hears an answer.
pub struct Hearing {
    listener: Listener,
    form: Form,
    failure: Option<Failure>,
}

enum Form {
    Events(Decoder),
    Whole(Vec<u8>),
}

impl Hearing {
    /// Of one that streams, or comes as a whole.
    pub fn new(streams: bool) -> Self {
        Self {
            listener: Listener::default(),
            form: match streams {
                true => Form::Events(Decoder::default()),
                false => Form::Whole(Vec::new()),
            },
            failure: None,
        }
    }

    /// A piece that came `at` seconds after the request was sent; `false` if no more need to be heard.
    pub fn piece(&mut self, bytes: &[u8], at: f64) -> bool {
        match &mut self.form {
            Form::Events(decoder) => match decoder.push(bytes) {
                Ok(events) => {
                    for event in events {
                        self.failure = self.failure.or(hear(&mut self.listener, &event, at));
                    }
                }
                Err(_) => self.failure = Some(Failure::Malformed),
            },
            Form::Whole(whole) if whole.len() + bytes.len() > LONGEST => self.failure = Some(Failure::TooLarge),
            Form::Whole(whole) => whole.extend_from_slice(bytes),
        }
        self.failure.is_none()
    }

    /// It has ended, after `total` seconds.
    pub fn finish(mut self, total: f64) -> Answer {
        match &mut self.form {
            Form::Events(decoder) => {
                if let Ok(Some(event)) = decoder.finish() {
                    self.failure = self.failure.or(hear(&mut self.listener, &event, total));
                }
            }
            Form::Whole(whole) => match serde_json::from_slice(whole) {
                Ok(body) => self.listener.whole(&body),
                Err(_) => self.failure = self.failure.or(Some(Failure::Malformed)),
            },
        }
        match self.failure {
            Some(failure) => Answer::failed(failure, total),
            None => self.listener.finish(total),
        }
    }
}

fn hear(listener: &mut Listener, event: &str, at: f64) -> Option<Failure> {
    if event.trim() == DONE {
        return None;
    }
    match serde_json::from_str::<Value>(event) {
        Ok(event) => {
            listener.event(&event, at);
            None
        }
        Err(_) => Some(Failure::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use ::shadow::answer::{Finish, Outcome};

    use super::*;

    const STREAM: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n\
        data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

    #[test]
    fn a_stream_is_the_same_however_it_is_cut() {
        for size in [1, 7, 1000] {
            let mut hearing = Hearing::new(true);
            for piece in STREAM.as_bytes().chunks(size) {
                assert!(hearing.piece(piece, 0.5));
            }
            let answer = hearing.finish(1.0);
            assert_eq!((&*answer.text, answer.outcome), ("Hi", Outcome::Finished(Finish::Stop)));
            assert_eq!(answer.timings.first_token, Some(0.5));
        }
    }

    #[test]
    fn nonsense_is_a_failure() {
        let heard = |streams, bytes: &[u8]| {
            let mut hearing = Hearing::new(streams);
            hearing.piece(bytes, 0.1);
            hearing.finish(0.2).outcome
        };
        assert_eq!(heard(true, b"data: {\n\n"), Outcome::Failed(Failure::Malformed));
        assert_eq!(heard(false, b"<html>"), Outcome::Failed(Failure::Malformed));
        assert_eq!(heard(true, b""), Outcome::Failed(Failure::Broken));
        assert_eq!(
            heard(false, &vec![b' '; LONGEST + 1]),
            Outcome::Failed(Failure::TooLarge)
        );
    }
}
