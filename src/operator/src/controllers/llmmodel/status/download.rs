//! How far the download of the wanted version's weights is.

use api::llmmodel::Download;
use protocol::{Progress, Stage};

use super::Facts;
use crate::controllers::llmmodel::plan::Target;

/// The download, while there is one.
pub fn status(facts: &Facts<'_>) -> Option<Download> {
    let progress = facts.observed.progress?;
    matches!(facts.plan.target, Target::Preparing(_)).then(|| of(&progress))?
}

fn of(progress: &Progress) -> Option<Download> {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    (progress.stage == Stage::Downloading).then(|| Download {
        bytes: number(progress.bytes),
        total: progress.total.map(number),
        per_second: Some(number(progress.bytes_per_second)),
        remaining_seconds: progress.remaining_seconds().map(number),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(stage: Stage, total: Option<u64>) -> Progress {
        Progress {
            stage,
            bytes: 600,
            total,
            bytes_per_second: 20,
            ..Progress::default()
        }
    }

    #[test]
    fn what_is_left_takes_time() {
        let shown = of(&progress(Stage::Downloading, Some(1000))).unwrap();
        assert_eq!(
            (shown.bytes, shown.total, shown.per_second, shown.remaining_seconds),
            (600, Some(1000), Some(20), Some(20))
        );
    }

    #[test]
    fn nobody_knows_how_long_a_file_of_unknown_size_takes() {
        let shown = of(&progress(Stage::Downloading, None)).unwrap();
        assert_eq!((shown.total, shown.remaining_seconds), (None, None));
    }

    #[test]
    fn compressing_is_no_download() {
        assert_eq!(of(&progress(Stage::Quantizing, Some(1000))), None);
    }
}
