//! What earlier trainings left on the volume goes once nobody needs it.
//!
//! * Of a row of runs (`tone-202601020300` of a schedule, `tone-t7` of a sweep), data and states of those before this
//!   one go, but for those that the plan names. Those after it are never touched: the plan may be older than they are.
//! * Of one run, states of other plans go, but for those of the plan before: somebody may go back to it.
//!
//! Nothing goes that a process holds the lock of.

use std::{
    collections::BTreeSet,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use protocol::tune::{TrainPlan, checkpoints_dir, data_dir};

use super::{durable, suites};

/// The file that attempts hold in a directory of states.
pub const LOCK: &str = ".lock";
/// What `atelier-data` has beside a data set: what it locks comes first.
const BESIDE: [&str; 3] = ["lock", "partial", "scratch"];

/// Removes what a plan says that nobody needs.
pub fn tidy(plan: &TrainPlan) {
    let run = plan.checkpoints.parent().filter(|run| run.ends_with(&plan.run));
    if let Some(run) = run {
        forget_plans(run, &plan.checkpoints);
    }
    let (Some(kept), Some(volume)) = (&plan.keep_before, plan.outputs.parent()) else {
        return;
    };
    let places = [checkpoints_dir(volume, ""), data_dir(volume, "")];
    places.iter().for_each(|place| durable::sweep(place, None));
    let names: BTreeSet<String> = places.iter().flat_map(|place| names(place)).collect();
    for name in names {
        if is_before(&name, &plan.run) && !kept.contains(&name) {
            forget_run(volume, &name);
        }
    }
}

/// The names of runs in a directory.
fn names(directory: &Path) -> Vec<String> {
    let names = entries(directory).filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()));
    // Names of runs have no dots.
    names
        .filter_map(|name| name.split('.').next().map(Into::into))
        .collect()
}

/// Whether a run is of the same row as another one, and before it.
fn is_before(name: &str, other: &str) -> bool {
    let parts = |name: &str| {
        let row = name.trim_end_matches(|letter: char| letter.is_ascii_digit()).len();
        let number: u64 = name[row..].parse().ok()?;
        Some((name[..row].to_owned(), number))
    };
    match (parts(name), parts(other)) {
        (Some((row, number)), Some((its_row, its_number))) => row == its_row && number < its_number,
        _ => false,
    }
}

/// Removes data and states of a run that nobody works on.
fn forget_run(volume: &Path, run: &str) {
    let (states, data) = (checkpoints_dir(volume, run), data_dir(volume, run));
    let beside = BESIDE.map(|suffix| data.with_extension(suffix));
    let mut locks = vec![beside[0].clone(), states.join(LOCK)];
    locks.extend(entries(&states).map(|plan| plan.join(LOCK)));
    let Some(_held) = held(&locks) else {
        tracing::info!(run, "somebody works on an earlier run: it stays");
        return;
    };
    for path in [&states, &data].into_iter().chain(&beside[1..]) {
        remove(path);
    }
    let _ = fs::remove_file(&beside[0]);
    let outputs = volume.join("outputs");
    durable::sweep(&outputs, Some(run));
    durable::sweep(&outputs, Some(&suites::scratch(run)));
}

/// Removes the states of all plans beside `own`, but for those of the one that was worked on last.
pub fn forget_plans(all: &Path, own: &Path) {
    let others = entries(all).filter(|path| path != own && is_of_states(path));
    let mut others: Vec<_> = others.map(|path| (changed(&path), path)).collect();
    others.sort();
    others.pop();
    for (_, path) in others {
        let mut locks = vec![path.join(LOCK)];
        locks.extend(entries(&path).map(|below| below.join(LOCK)));
        if let Some(_held) = held(&locks) {
            remove(&path);
        }
    }
}

/// Whether states are in a directory, or in one below.
fn is_of_states(directory: &Path) -> bool {
    let has = |directory: &Path| !super::checkpoints::numbers(directory).is_empty();
    has(directory) || entries(directory).any(|below| has(&below))
}

/// When something was written to a directory, or to one below.
fn changed(directory: &Path) -> SystemTime {
    let of = |path: &Path| fs::metadata(path).and_then(|it| it.modified()).ok();
    let below = entries(directory).filter_map(|path| of(&path));
    below.chain(of(directory)).max().unwrap_or(SystemTime::UNIX_EPOCH)
}

/// The locks that are there, all of them held; nothing if another process holds one.
fn held(paths: &[PathBuf]) -> Option<Vec<File>> {
    let mut files = Vec::new();
    for path in paths {
        let Ok(file) = File::open(path) else { continue };
        match file.try_lock() {
            Ok(()) => files.push(file),
            // On such a volume nobody has one.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
            Err(_) => return None,
        }
    }
    Some(files)
}

fn remove(path: &Path) {
    match durable::remove(path) {
        Ok(true) => tracing::info!("removed {}, which nobody needs any more", path.display()),
        Ok(false) => {}
        Err(error) => tracing::warn!("failed to remove {}: {error}", path.display()),
    }
}

fn entries(directory: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::train::plan::tests::plan;

    #[rstest]
    #[case("tone-202601010300", "tone-202601020300", true)]
    #[case("tone-202601020300", "tone-202601020300", false)]
    #[case("tone-202601030300", "tone-202601020300", false)]
    #[case("tone-t9", "tone-t10", true)]
    #[case("tone", "tone-t10", false)]
    #[case("tone-t9", "tone-10", false)]
    #[case("tone-t9", "tone", false)]
    fn runs_have_an_order(#[case] name: &str, #[case] other: &str, #[case] before: bool) {
        assert_eq!(is_before(name, other), before);
    }

    /// A volume with these runs.
    fn volume(runs: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for run in runs {
            state(&checkpoints_dir(dir.path(), run).join("plan/key"));
            let data = data_dir(dir.path(), run);
            fs::create_dir_all(&data).unwrap();
            fs::write(data.join("train.jsonl"), "{}").unwrap();
            fs::create_dir(data.with_extension("scratch")).unwrap();
            fs::write(data.with_extension("lock"), "").unwrap();
            fs::write(checkpoints_dir(dir.path(), run).join("plan").join(LOCK), "").unwrap();
        }
        dir
    }

    fn state(directory: &Path) {
        fs::create_dir_all(directory.join("step-00000001")).unwrap();
    }

    fn left(volume: &Path, place: &str) -> Vec<String> {
        let mut names: Vec<_> = entries(&volume.join(place))
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    fn run(volume: &Path, run: &str, keep: serde_json::Value) {
        let checkpoints = checkpoints_dir(volume, run).join("plan");
        tidy(&plan(&[
            ("run", json!(run)),
            ("checkpoints", json!(checkpoints)),
            ("outputs", json!(volume.join("outputs"))),
            ("keepBefore", keep),
        ]));
    }

    #[test]
    fn earlier_runs_go_but_for_those_that_are_kept() {
        let dir = volume(&["tone-1", "tone-2", "tone-3", "tone-4", "tone-5", "other"]);
        let volume = dir.path();
        fs::create_dir_all(volume.join("outputs/.tmp-tone-1@7-0-0")).unwrap();
        fs::create_dir_all(volume.join("outputs/.tmp-tone-2@7-0-0")).unwrap();
        run(volume, "tone-4", json!(null));
        assert_eq!(left(volume, "checkpoints").len(), 6);
        run(volume, "tone-4", json!(["tone-2"]));
        let expected = ["other", "tone-2", "tone-4", "tone-5"];
        assert_eq!(left(volume, "checkpoints"), expected);
        let all = left(volume, "data");
        let data: Vec<_> = all.iter().filter(|name| !name.contains('.')).collect();
        assert_eq!(data, expected.iter().collect::<Vec<_>>());
        assert_eq!(all.len(), 3 * expected.len(), "{all:?}");
        assert_eq!(left(volume, "outputs"), [".tmp-tone-2@7-0-0"]);
        // Once more finds nothing.
        run(volume, "tone-4", json!(["tone-2"]));
        assert_eq!(left(volume, "checkpoints"), expected);
    }

    #[rstest]
    #[case("checkpoints/tone-1/plan/.lock")]
    #[case("data/tone-1.lock")]
    fn what_somebody_works_on_stays(#[case] lock: &str) {
        let dir = volume(&["tone-1", "tone-2"]);
        let file = File::create(dir.path().join(lock)).unwrap();
        file.lock().unwrap();
        run(dir.path(), "tone-2", json!([]));
        assert_eq!(left(dir.path(), "checkpoints"), ["tone-1", "tone-2"]);
        assert!(data_dir(dir.path(), "tone-1").join("train.jsonl").exists());
        drop(file);
        run(dir.path(), "tone-2", json!([]));
        assert_eq!(left(dir.path(), "checkpoints"), ["tone-2"]);
        assert!(!data_dir(dir.path(), "tone-1").exists());
    }

    #[test]
    fn states_of_the_plan_before_stay_and_older_ones_go() {
        let dir = volume(&["tone"]);
        let states = checkpoints_dir(dir.path(), "tone");
        for (age, name) in (0..).zip(["now", "before", "older", "oldest"]) {
            state(&states.join(name).join("key"));
            let time = SystemTime::now() - std::time::Duration::from_secs(1000 * age);
            for path in [states.join(name), states.join(name).join("key")] {
                File::open(path).unwrap().set_modified(time).unwrap();
            }
        }
        fs::create_dir(states.join("runs")).unwrap();
        fs::remove_dir_all(states.join("plan")).unwrap();
        let held = File::create(states.join("oldest").join(LOCK)).unwrap();
        held.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        let oldest = File::open(states.join("oldest")).unwrap();
        oldest.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        held.lock().unwrap();
        forget_plans(&states, &states.join("now"));
        assert_eq!(left(&states, ""), ["before", "now", "oldest", "runs"]);
    }
}
