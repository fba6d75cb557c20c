use std::io::ErrorKind;

use rstest::rstest;

use super::*;
use crate::train::state::At;

fn state(tokens: u64) -> State {
    State {
        tokens,
        ..State::default()
    }
}

fn save(checkpoints: &Checkpoints, step: u64, state: &State) -> Result<(), TrainFailure> {
    checkpoints.save(step, state, |directory| {
        fs::write(directory.join("state.safetensors"), format!("weights of step {step}"))?;
        fs::write(directory.join("state.json"), "{}")
    })
}

#[test]
fn the_last_ones_and_the_best_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(dir.path(), "key", 2);
    assert_eq!(checkpoints.latest(), None);
    let mut state = state(7);
    state.best = Some(At { step: 2, loss: 1.0 });
    for step in 1..=5 {
        save(&checkpoints, step, &state).unwrap();
    }
    assert_eq!(numbers(&checkpoints.directory), [2, 4, 5]);
    let latest = checkpoints.latest().unwrap();
    assert_eq!((latest.step, latest.state), (5, state));
    // The same step again, after one that was gone on from an older state.
    save(&checkpoints, 4, &self::state(1)).unwrap();
    assert_eq!(numbers(&checkpoints.directory), [2, 4]);
    assert_eq!(checkpoints.latest().unwrap().state.tokens, 1);
}

#[test]
fn a_file_that_is_cut_anywhere_leaves_the_older_state() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(dir.path(), "key", 3);
    save(&checkpoints, 10, &state(1)).unwrap();
    save(&checkpoints, 20, &state(2)).unwrap();
    for name in ["state.safetensors", "state.json", STATE, MANIFEST] {
        let path = checkpoints.path(20).join(name);
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(checkpoints.latest().unwrap().step, 10, "{name} of {length} bytes");
        }
        let mut other = whole.clone();
        other[0] ^= 1;
        fs::write(&path, &other).unwrap();
        assert_eq!(checkpoints.latest().unwrap().step, 10, "{name}");
        fs::remove_file(&path).unwrap();
        assert_eq!(checkpoints.latest().unwrap().step, 10, "no {name}");
        fs::write(&path, &whole).unwrap();
        assert_eq!(checkpoints.latest().unwrap().step, 20);
    }
}

#[test]
fn without_the_best_state_an_older_one_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(dir.path(), "key", 5);
    let mut state = state(1);
    assert!(state.measure(10, 2.0, 0.0));
    save(&checkpoints, 10, &state).unwrap();
    assert!(state.measure(20, 1.0, 0.0));
    save(&checkpoints, 20, &state).unwrap();
    assert!(!state.measure(30, 3.0, 0.0));
    save(&checkpoints, 30, &state).unwrap();
    assert_eq!(checkpoints.latest().unwrap().step, 30);
    fs::remove_file(checkpoints.path(20).join(STATE)).unwrap();
    assert_eq!(checkpoints.latest().unwrap().step, 10);
}

#[rstest]
#[case::full(ErrorKind::StorageFull, reasons::NO_SPACE)]
#[case::other(ErrorKind::PermissionDenied, reasons::INTERNAL)]
fn a_state_that_cannot_be_written_leaves_the_older_ones(#[case] kind: ErrorKind, #[case] reason: &str) {
    let dir = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(dir.path(), "key", 1);
    save(&checkpoints, 1, &state(1)).unwrap();
    let failed = checkpoints.save(2, &state(2), |directory| {
        fs::write(directory.join("state.safetensors"), "half")?;
        Err(io::Error::from(kind))
    });
    let failure = failed.unwrap_err();
    assert!(failure.retryable && failure.reason == reason, "{failure}");
    let place = checkpoints.directory.display().to_string();
    assert!(failure.message.contains(&place), "{failure}");
    assert!(
        reason != reasons::NO_SPACE || failure.message.contains("4 bytes were written"),
        "{failure}"
    );
    assert_eq!(checkpoints.latest().unwrap().step, 1);
    // And nothing is left of the new one.
    assert_eq!(fs::read_dir(&checkpoints.directory).unwrap().count(), 1);
}

#[test]
fn states_of_another_plan_are_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let (one, other) = (
        Checkpoints::new(dir.path(), "one", 1),
        Checkpoints::new(dir.path(), "other", 1),
    );
    save(&one, 3, &state(1)).unwrap();
    other.tidy();
    assert_eq!(other.latest(), None);
    assert_eq!(one.latest().unwrap().step, 3);
}

#[test]
fn what_was_interrupted_is_swept() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(dir.path(), "key", 1);
    std::mem::forget(durable::temporary(&checkpoints.path(7)).unwrap());
    checkpoints.tidy();
    assert_eq!(fs::read_dir(&checkpoints.directory).unwrap().count(), 0);
}

#[test]
fn one_attempt_is_at_work() {
    let dir = tempfile::tempdir().unwrap();
    let held = lock(dir.path()).unwrap();
    let failure = lock_within(dir.path(), Duration::ZERO).unwrap_err();
    assert!(
        failure.retryable && failure.reason == reasons::ALREADY_RUNNING,
        "{failure}"
    );
    drop(held);
    lock_within(dir.path(), Duration::ZERO).unwrap();
}
