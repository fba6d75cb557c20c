//! The last words, in as many bytes as Kubernetes keeps.

use artifacts::report::MAX_BYTES;
use protocol::tune::TrainOutcome;

/// The outcome as JSON that is kept whole: examples and ends of texts go first.
pub fn last(mut outcome: TrainOutcome) -> String {
    let json = |outcome: &TrainOutcome| serde_json::to_string(outcome).expect("it has text keys only");
    let mut text = json(&outcome);
    while text.len() > MAX_BYTES {
        match &mut outcome {
            TrainOutcome::Published(report) | TrainOutcome::Rejected(report) => {
                let reason = report.gate.as_mut().map(|gate| &mut gate.reason);
                if report.suites.iter().any(|score| !score.failed.is_empty()) {
                    report.suites.iter_mut().for_each(|score| score.failed.clear());
                } else if let Some(reason) = reason.filter(|reason| !reason.is_empty()) {
                    halve(reason);
                } else if report.suites.pop().is_none() {
                    break;
                }
            }
            TrainOutcome::Failed(failure) if !failure.message.is_empty() => halve(&mut failure.message),
            _ => break,
        }
        text = json(&outcome);
    }
    text
}

fn halve(text: &mut String) {
    let half = text.chars().count() / 2;
    *text = text.chars().take(half).collect();
}

#[cfg(test)]
mod tests {
    use protocol::{
        SuiteScore,
        tune::{GateOutcome, OutputKind, TrainFailure, TrainReport},
    };

    use super::*;

    #[test]
    fn they_fit() {
        let failed = TrainFailure {
            reason: "X".into(),
            message: "\"".repeat(9000),
            retryable: true,
        };
        let text = last(TrainOutcome::Failed(failed));
        assert!(text.len() <= MAX_BYTES && TrainOutcome::parse(&text).is_some());
        let score = SuiteScore {
            suite: "s".repeat(40),
            digest: format!("sha256:{}", "0".repeat(64)),
            score: "0.1234".into(),
            questions: 100_000,
            failed: vec!["é".repeat(40); 3],
        };
        let report = TrainReport {
            digest: format!("sha256:{}", "0".repeat(64)),
            kind: OutputKind::Adapter,
            steps: 10,
            stopped_early: false,
            first_loss: 1.0,
            last_loss: 0.5,
            eval_loss: Some(0.5),
            reference_loss: Some(1.0),
            test_loss: None,
            general_perplexity: Some((10.0, 11.0)),
            tokens: 1,
            seconds: 1,
            gate: Some(GateOutcome {
                passed: true,
                reason: "r".repeat(3000),
            }),
            suites: vec![score; 16],
        };
        let text = last(TrainOutcome::Published(report));
        assert!(text.len() <= MAX_BYTES && TrainOutcome::parse(&text).is_some());
    }
}
