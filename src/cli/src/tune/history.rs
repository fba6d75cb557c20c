//! What was seen of a training since it is watched.

use api::FineTuneJobStatus;

/// Points that are kept. More than a terminal has columns for.
const MOST: usize = 4096;

/// Values by step.
pub type Series = Vec<(i64, f64)>;

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// Loss on the training data.
    pub loss: Series,
    /// Loss on the validation data, where it changed.
    pub eval: Series,
}

impl History {
    /// Takes note of a status.
    pub fn see(&mut self, status: &FineTuneJobStatus) {
        let Some(step) = status.step else { return };
        let number = |text: &Option<String>| text.as_ref()?.parse::<f64>().ok().filter(|value| value.is_finite());
        if let Some(loss) = number(&status.loss) {
            add(&mut self.loss, step, loss);
        }
        // It is measured now and then, and told of in between.
        if let Some(eval) = number(&status.eval_loss)
            && self.eval.last().is_none_or(|(_, before)| *before != eval)
        {
            add(&mut self.eval, step, eval);
        }
    }
}

fn add(series: &mut Series, step: i64, value: f64) {
    // A training that went back to a checkpoint takes these steps again.
    series.retain(|(before, _)| *before < step);
    series.push((step, value));
    if series.len() > MOST {
        let mut number = 0;
        series.retain(|_| {
            number += 1;
            number % 2 == 1
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn status(status: Value) -> FineTuneJobStatus {
        serde_json::from_value(status).unwrap()
    }

    #[test]
    fn a_training_that_goes_back_writes_its_history_anew() {
        let mut history = History::default();
        for (step, loss) in [(10, "3.0"), (20, "2.5"), (30, "2.2"), (20, "2.6"), (25, "NaN")] {
            history.see(&status(json!({"step": step, "loss": loss})));
        }
        assert_eq!(history.loss, [(10, 3.0), (20, 2.6)]);
    }

    #[test]
    fn a_measurement_counts_once() {
        let mut history = History::default();
        history.see(&status(json!({"loss": "3.0"})));
        for (step, eval) in [(10, "3.0"), (20, "3.0"), (30, "2.5")] {
            history.see(&status(json!({"step": step, "evalLoss": eval})));
        }
        assert_eq!(history.eval, [(10, 3.0), (30, 2.5)]);
        assert!(history.loss.is_empty());
    }

    #[test]
    fn a_long_history_is_thinned_out() {
        let mut history = History::default();
        for step in 0..10_000 {
            history.see(&status(json!({"step": step, "loss": "1.0"})));
        }
        assert!(history.loss.len() <= MOST && history.loss.len() > MOST / 4);
        assert_eq!((history.loss[0].0, history.loss.last().unwrap().0), (0, 9999));
    }
}
