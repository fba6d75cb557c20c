//! Numbers that JSON may not have: it writes `null` for what is infinite or no number, and readers take that back as no
//! number. Last words with one of these must not be unreadable as a whole.

use serde::{Deserialize, Deserializer};

/// A number, or none.
pub fn or_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// Two numbers; nothing if one of them is none.
pub fn both<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<(f64, f64)>, D::Error> {
    let found: Option<(Option<f64>, Option<f64>)> = Option::deserialize(deserializer)?;
    Ok(found.and_then(|(first, second)| first.zip(second)))
}

#[cfg(test)]
mod tests {
    use crate::tune::{OutputKind, TrainOutcome, TrainProgress, TrainReport};

    #[test]
    fn words_with_what_is_no_number_are_read() {
        let report = TrainReport {
            digest: "sha256:0".into(),
            kind: OutputKind::Adapter,
            steps: 10,
            stopped_early: false,
            first_loss: f64::NAN,
            last_loss: f64::INFINITY,
            eval_loss: Some(f64::NAN),
            reference_loss: None,
            test_loss: Some(0.5),
            general_perplexity: Some((10.0, f64::INFINITY)),
            tokens: 1,
            seconds: 1,
            gate: None,
            suites: Vec::new(),
        };
        let text = serde_json::to_string(&TrainOutcome::Published(report)).unwrap();
        let Some(TrainOutcome::Published(read)) = TrainOutcome::parse(&text) else {
            panic!("{text}")
        };
        assert!(read.first_loss.is_nan() && read.last_loss.is_nan());
        assert_eq!((read.eval_loss, read.test_loss), (None, Some(0.5)));
        assert_eq!(read.general_perplexity, None);
        let progress = TrainProgress {
            epoch: f64::NAN,
            learning_rate: f64::INFINITY,
            tokens_per_second: f64::NAN,
            step: 3,
            ..TrainProgress::default()
        };
        let text = serde_json::to_string(&TrainOutcome::Running(progress)).unwrap();
        let read = TrainOutcome::parse(&text);
        assert!(
            matches!(read, Some(TrainOutcome::Running(it)) if it.step == 3),
            "{text}"
        );
    }
}
