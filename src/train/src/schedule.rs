//! The learning rate of a step.

use protocol::tune::{Schedule, Warmup};

/// Share of the largest rate at which a cosine ends.
const COSINE_END: f64 = 0.1;
/// Share of the steps in which [`Schedule::WarmupStableDecay`] falls.
const DECAY: f64 = 0.1;

/// The share of the largest learning rate in `step`, counted from 0, of `total`.
pub(crate) fn share(schedule: Schedule, warmup: Warmup, step: u64, total: u64) -> f64 {
    let total = total.max(1) as f64;
    let warmup = match warmup {
        Warmup::Steps(steps) => steps as f64,
        Warmup::Share(share) => (share.clamp(0.0, 1.0) * total).round(),
    };
    let step = step as f64;
    if step < warmup {
        // The first step learns something.
        return (step + 1.0) / warmup;
    }
    let rest = (total - warmup).max(1.0);
    let done = ((step - warmup) / rest).clamp(0.0, 1.0);
    match schedule {
        Schedule::Constant => 1.0,
        Schedule::Linear => 1.0 - done,
        Schedule::Cosine => COSINE_END + (1.0 - COSINE_END) * 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
        Schedule::WarmupStableDecay => {
            let decay = (total * DECAY).max(1.0);
            ((total - step) / decay).clamp(0.0, 1.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Schedule::Constant, [0.25, 1.0, 1.0, 1.0, 1.0])]
    #[case(Schedule::Linear, [0.25, 1.0, 1.0, 0.5, 1.0 / 16.0])]
    #[case(Schedule::Cosine, [0.25, 1.0, 1.0, 0.55, 0.1086])]
    #[case(Schedule::WarmupStableDecay, [0.25, 1.0, 1.0, 1.0, 0.5])]
    fn rates_grow_stay_and_fall(#[case] schedule: Schedule, #[case] expected: [f64; 5]) {
        for (step, expected) in [0, 3, 4, 12, 19].into_iter().zip(expected) {
            let found = share(schedule, Warmup::Steps(4), step, 20);
            assert!((found - expected).abs() < 1e-4, "{schedule:?} {step}: {found}");
        }
    }

    #[test]
    fn a_warmup_is_a_share_or_as_long_as_all() {
        let first = |warmup, total| share(Schedule::Linear, warmup, 0, total);
        assert!((first(Warmup::Share(0.5), 10) - 0.2).abs() < 1e-12);
        assert!((first(Warmup::Steps(100), 10) - 0.01).abs() < 1e-12);
        assert_eq!(first(Warmup::Steps(0), 0), 1.0);
    }
}
