//! What is said of the weights.

use api::{
    conditions::{Finding, types},
    reasons,
};
use protocol::{Progress, Stage};

use super::Facts;
use crate::controllers::llmmodel::plan::{Step, Target};

/// Whether the weights of the wanted version are complete and verified.
pub fn finding(facts: &Facts<'_>) -> Finding {
    let finding =
        |status: bool, reason: &str, message: String| Finding::new(types::WEIGHTS_READY, status, reason, message);
    match &facts.plan.target {
        Target::Known(version) | Target::Evaluating(version, _) => {
            let report = &version.report;
            let place = match version.artifact() {
                Some(_) => format!("made from {}", version.source.describe()),
                None => format!("of {}", version.source.describe()),
            };
            let tuned = version.tuned.as_ref().map(|tuned| {
                let claim = &tuned.place.claim;
                format!("; with the adapter {} of PersistentVolumeClaim {claim}", tuned.digest)
            });
            let message = format!(
                "{} {place}: {} bytes, {}{}",
                version.file(),
                report.bytes,
                report.digest,
                tuned.unwrap_or_default()
            );
            finding(true, reasons::VERIFIED, message)
        }
        Target::Preparing(None) => finding(false, reasons::PREPARING, preparing(facts)),
        Target::Preparing(Some(trouble)) | Target::Refused(trouble) => {
            finding(false, &trouble.reason, trouble.message.clone())
        }
    }
}

/// Whether they were compressed within the allowed loss; nothing where the spec asks for no compression.
pub fn compressed(facts: &Facts<'_>) -> Option<Finding> {
    let finding =
        |status: bool, reason: &str, message: String| Finding::new(types::COMPRESSED, status, reason, message);
    match &facts.plan.target {
        Target::Known(version) | Target::Evaluating(version, _) => {
            let (compression, measured) = (version.compression.as_ref()?, version.measured()?);
            let message = format!(
                "{}: perplexity {} before and {} after, {} more where {} is allowed",
                compression.describe(),
                measured.perplexity_before,
                measured.perplexity_after,
                measured.increase,
                compression.max_perplexity_increase
            );
            Some(finding(true, reasons::COMPRESSED, message))
        }
        Target::Preparing(None) => {
            facts.compression?;
            Some(finding(false, reasons::COMPRESSING, preparing(facts)))
        }
        Target::Preparing(Some(trouble)) | Target::Refused(trouble) => {
            facts.compression?;
            Some(finding(false, &trouble.reason, trouble.message.clone()))
        }
    }
}

/// What the prepare step is at.
pub fn preparing(facts: &Facts<'_>) -> String {
    let step = match facts.plan.step {
        Step::Verify => "the weights are being verified",
        Step::Compress => "the weights are being compressed",
    };
    match facts.observed.progress.map(describe) {
        Some(progress) => format!("{step}: {progress}"),
        None => step.into(),
    }
}

fn describe(progress: Progress) -> String {
    let doing = match progress.stage {
        Stage::Downloading => "downloading",
        Stage::Converting => "converting",
        Stage::Calibrating => "calibrating",
        Stage::Quantizing => "quantizing",
        Stage::Evaluating => "measuring perplexity",
    };
    match (progress.stage, progress.layers, progress.total_layers, progress.total) {
        (Stage::Downloading, _, _, Some(total)) => {
            let left = progress
                .remaining_seconds()
                .map(|left| format!(", {} left", duration(left)));
            format!(
                "{doing}, {} of {total} bytes{}",
                progress.bytes,
                left.unwrap_or_default()
            )
        }
        (Stage::Downloading, _, _, None) => format!("{doing}, {} bytes", progress.bytes),
        (_, Some(layers), Some(all), _) => format!("{doing} layer {layers} of {all}"),
        _ => doing.into(),
    }
}

/// Seconds as people say them: `40 s`, `12 min`, `3 h 20 min`. What is an estimate needs no more.
fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Stage::Downloading, None, Some(200), "downloading, 100 of 200 bytes, 20 s left")]
    #[case(
        Stage::Downloading,
        None,
        Some(40_000),
        "downloading, 100 of 40000 bytes, 2 h 13 min left"
    )]
    #[case(Stage::Downloading, None, Some(100), "downloading, 100 of 100 bytes")]
    #[case(Stage::Downloading, None, None, "downloading, 100 bytes")]
    #[case(Stage::Quantizing, Some(12), None, "quantizing layer 12 of 30")]
    #[case(Stage::Evaluating, None, None, "measuring perplexity")]
    fn progress_reads_well(
        #[case] stage: Stage,
        #[case] layers: Option<u64>,
        #[case] total: Option<u64>,
        #[case] text: &str,
    ) {
        let progress = Progress {
            stage,
            layers,
            total_layers: layers.map(|_| 30),
            bytes: 100,
            total,
            bytes_per_second: 5,
        };
        assert_eq!(describe(progress), text);
    }
}
