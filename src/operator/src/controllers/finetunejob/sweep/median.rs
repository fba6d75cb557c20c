//! Which trials are not worth going on with: the median rule of Google Vizier (Golovin et al. 2017). Pure.
//!
//! A trial is stopped when the best loss that it has reached by a step is worse than the median of the best losses that
//! the others had reached by the same step.

use api::finetunejob::{Measurement, Phase, TrialStatus};

/// Others that must have come as far.
const FEWEST: usize = 2;
/// Measurements that a trial gets in any case.
const GRACE: usize = 2;
/// Measurements of all trials that are kept: an object has 1.5 MiB at most, settings of trials included.
const KEPT: usize = 4096;
/// Those of a trial that are kept at most.
const MOST: usize = 64;

/// Whether a trial is worse than the median of the others.
pub fn is_poor(trial: &TrialStatus, others: &[&TrialStatus]) -> bool {
    let Some(last) = trial.curve.last().filter(|_| trial.curve.len() >= GRACE) else {
        return false;
    };
    let step = last.step;
    // What has ended has come as far as it will.
    let came = |other: &&&TrialStatus| {
        other.phase == Phase::Succeeded || other.curve.last().is_some_and(|last| last.step >= step)
    };
    let mut reached: Vec<f64> = others
        .iter()
        .filter(came)
        .filter_map(|other| best(&other.curve, step))
        .collect();
    if reached.len() < FEWEST {
        return false;
    }
    reached.sort_by(f64::total_cmp);
    let middle = reached.len() / 2;
    let median = match (reached.len() % 2, middle.checked_sub(1)) {
        (0, Some(below)) => f64::midpoint(reached[below], reached[middle]),
        _ => reached[middle],
    };
    best(&trial.curve, step).is_some_and(|own| own > median)
}

/// The least value up to a step.
fn best(curve: &[Measurement], step: i64) -> Option<f64> {
    let values = curve.iter().filter(|it| it.step <= step);
    values.filter_map(|it| it.value.parse().ok()).min_by(f64::total_cmp)
}

/// How many measurements each of so many trials may keep.
pub fn points(trials: i32) -> usize {
    let trials = usize::try_from(trials).unwrap_or_default().max(1);
    (KEPT / trials).clamp(2 * GRACE, MOST)
}

/// Adds a measurement, if it is news; with more than `most`, later ones take the place of every second one.
pub fn note(curve: &mut Vec<Measurement>, step: i64, value: &str, most: usize) {
    let is_news = curve.last().is_none_or(|last| last.step < step && last.value != value);
    if !is_news {
        return;
    }
    if curve.len() >= most {
        let mut index = 0;
        curve.retain(|_| {
            index += 1;
            index % 2 == 1
        });
    }
    curve.push(Measurement {
        step,
        value: value.into(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(phase: Phase, curve: &[(i64, &str)]) -> TrialStatus {
        TrialStatus {
            name: "t".into(),
            phase,
            settings: std::collections::BTreeMap::new(),
            metric: None,
            step: None,
            reason: None,
            curve: curve
                .iter()
                .map(|(step, value)| Measurement {
                    step: *step,
                    value: (*value).into(),
                })
                .collect(),
        }
    }

    #[test]
    fn the_worse_half_is_stopped_once_there_is_something_to_compare_with() {
        let good = trial(Phase::Training, &[(10, "2.0"), (20, "1.5"), (30, "1.2")]);
        let fair = trial(Phase::Succeeded, &[(10, "2.2"), (20, "1.8")]);
        let poor = trial(Phase::Training, &[(10, "2.5"), (20, "2.4")]);
        assert!(is_poor(&poor, &[&good, &fair]));
        assert!(!is_poor(&good, &[&poor, &fair]));
        // One other says nothing.
        assert!(!is_poor(&poor, &[&good]));
        // Others that are not as far say nothing.
        let slow = trial(Phase::Training, &[(10, "1.0")]);
        assert!(!is_poor(&poor, &[&good, &slow]));
        // Everybody gets a second measurement.
        assert!(!is_poor(&trial(Phase::Training, &[(20, "9.0")]), &[&good, &fair]));
    }

    #[test]
    fn later_luck_of_others_does_not_count() {
        let others = [
            trial(Phase::Training, &[(10, "3.0"), (20, "3.0"), (30, "0.1")]),
            trial(Phase::Training, &[(10, "3.0"), (20, "3.0"), (30, "0.2")]),
        ];
        let trial = trial(Phase::Training, &[(10, "2.9"), (20, "2.8")]);
        assert!(!is_poor(&trial, &[&others[0], &others[1]]));
    }

    #[test]
    fn curves_have_a_bound() {
        let mut curve = Vec::new();
        for step in 0..1000 {
            note(&mut curve, step, &format!("{step}.5"), 64);
            note(&mut curve, step, &format!("{step}.5"), 64);
        }
        assert!(curve.len() <= 64);
        assert_eq!(curve.last().unwrap().step, 999);
        assert!(curve.is_sorted_by_key(|it| it.step));
        assert_eq!((points(1), points(64), points(500)), (64, 64, 8));
    }
}
