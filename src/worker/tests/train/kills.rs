//! Processes that are killed, or told to end, at any instant of any phase: what is published in the end has the bytes of
//! one that was left alone, and nothing is left beside it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Child,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use protocol::tune::TrainReport;
use rstest::rstest;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    place::{Place, weights},
    signal, until,
};

/// Attempts that are ended before one is left alone.
const ATTEMPTS: u32 = 8;

/// Many records of which few are learned from, so that every phase takes its time.
fn place() -> Result<(Place, Value)> {
    let place = Place::new()?;
    let record = |at: usize| {
        let (left, right) = (at % 7, at % 5);
        json!({"prompt": format!("{at}: {left}+{right}="), "completion": format!("{}.", left + right)}).to_string()
    };
    let lines: Vec<String> = (0..4000).map(record).collect();
    place.data(&lines[..3990], &lines[3990..])?;
    let plan = place.plan(&[
        ("hyperparameters.steps", json!(12)),
        ("evaluateEvery", json!(4)),
        ("checkpoint", json!({"everySteps": 2, "keep": 2})),
        ("gate", json!({"against": "Base", "maxRegression": 1.0})),
    ]);
    Ok((place, plan))
}

/// What comes of it undisturbed, and how long that takes.
fn undisturbed() -> Result<(TrainReport, Vec<u8>, Duration)> {
    let (place, plan) = place()?;
    let since = Instant::now();
    let report = place.publishes(&plan)?;
    let took = since.elapsed();
    let bytes = weights(&place.output(&report.digest))?;
    Ok((report, bytes, took))
}

/// Ends a process unless it has ended.
fn end(child: &mut Child, how: Signal) -> Result<()> {
    if child.try_wait()?.is_none() {
        signal(child, how)?;
    }
    child.wait()?;
    Ok(())
}

/// A last attempt, which must come to the same.
fn ends_alike(place: &Place, plan: &Value, (report, bytes): (&TrainReport, &[u8])) -> Result<()> {
    let found = place.publishes(plan)?;
    ensure!(found.digest == report.digest, "{found:?} instead of {report:?}");
    ensure!(weights(&place.output(&found.digest))? == bytes, "the bytes differ");
    let losses = |report: &TrainReport| [Some(report.first_loss), Some(report.last_loss), report.eval_loss];
    ensure!(losses(&found) == losses(report), "{found:?} instead of {report:?}");
    ensure!(
        found.tokens == report.tokens && found.steps == report.steps,
        "{found:?}"
    );
    let left = unfinished(&place.path(""));
    ensure!(left.is_empty(), "{left:?} are left");
    ensure!(
        fs::read_dir(place.path("outputs"))?.count() == 1,
        "more than one output is left"
    );
    Ok(())
}

/// What is not complete, below a directory.
fn unfinished(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.file_name().to_string_lossy().starts_with(".tmp-") {
            true => found.push(entry.path()),
            false => found.extend(unfinished(&entry.path())),
        }
    }
    found
}

#[rstest]
#[case::killed(Signal::KILL)]
#[case::told_to_end(Signal::TERM)]
fn ended_at_random_instants_it_comes_to_the_same(#[case] how: Signal) -> Result<()> {
    let (report, bytes, took) = undisturbed()?;
    let (place, plan) = place()?;
    // The instants differ from machine to machine anyway.
    let mut random: u64 = 0x9e37_79b9;
    for _ in 0..ATTEMPTS {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let share = (random >> 40) as f64 / f64::from(1 << 24);
        let mut child = place.start(&plan, None)?;
        sleep(took.mul_f64(share));
        end(&mut child, how)?;
    }
    ends_alike(&place, &plan, (&report, &bytes))
}

/// Something that a phase makes before it is complete.
fn begun(place: &Place, directory: &str, name: &str) -> bool {
    let found = unfinished(&place.path(directory));
    found
        .iter()
        .any(|path| path.file_name().is_some_and(|it| it.to_string_lossy().contains(name)))
}

/// Whether a phase has begun.
type HasBegun<'a> = &'a dyn Fn(&Place) -> bool;

#[test]
fn killed_in_each_phase_it_comes_to_the_same() -> Result<()> {
    let (report, bytes, _) = undisturbed()?;
    let target = report.digest.trim_start_matches("sha256:").to_owned();
    let phases: [(&str, HasBegun<'_>); 6] = [
        ("tokens are made", &|place| begun(place, "data/r", ".tmp-")),
        ("a state is written", &|place| {
            begun(place, "checkpoints/r", ".tmp-step")
        }),
        ("a state is there", &|place| !place.states().is_empty()),
        ("the last state is there", &|place| {
            place.states().iter().any(|it| it.ends_with("step-00000012"))
        }),
        ("the output is written", &|place| begun(place, "outputs", ".tmp-r@")),
        ("the output has its name", &|place| {
            place.path("outputs").join(&target).exists()
        }),
    ];
    let (all, plan) = place()?;
    for (phase, has_begun) in phases {
        let (place, own_plan) = self::place()?;
        // Once on a volume of its own, and once on the one that all phases have left their traces on.
        for (place, plan) in [(&place, &own_plan), (&all, &plan)] {
            let mut child = place.start(plan, None)?;
            until(phase, || has_begun(place) || child.try_wait().ok().flatten().is_some())?;
            if child.try_wait()?.is_some() {
                eprintln!("it was over before it was seen that {phase}");
            }
            end(&mut child, Signal::KILL)?;
        }
        ends_alike(&place, &own_plan, (&report, &bytes))?;
    }
    ends_alike(&all, &plan, (&report, &bytes))
}

#[test]
fn two_that_come_to_the_same_share_an_output() -> Result<()> {
    let (place, plan) = place()?;
    let mut other = plan.clone();
    other["run"] = json!("s");
    other["checkpoints"] = json!(place.path("checkpoints/s"));
    let mut children = vec![place.start(&plan, None)?];
    // Their plans and last words have a file for each number.
    let mut second = place.command(&other, Some(1))?;
    second.env_remove("JOB_COMPLETION_INDEX");
    children.push(
        second
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()?,
    );
    for child in &mut children {
        ensure!(child.wait()?.success(), "one of them fails");
    }
    let reports: Vec<TrainReport> = [plan, other]
        .iter()
        .map(|plan| place.publishes(plan))
        .collect::<Result<_>>()?;
    ensure!(reports[0].digest == reports[1].digest, "{reports:?}");
    ensure!(weights(&place.output(&reports[0].digest)).is_ok());
    let left = fs::read_dir(place.path("outputs"))?.count();
    ensure!(left == 1 && unfinished(&place.path("")).is_empty(), "{left} are left");
    Ok(())
}

#[test]
fn a_store_that_is_away_costs_no_learning() -> Result<()> {
    let (report, bytes, _) = undisturbed()?;
    let (place, plan) = place()?;
    // What is no directory cannot be written to, whoever tries.
    fs::write(place.path("outputs"), "away")?;
    let failure = place.fails(&plan, protocol::report::EXIT_TEMPORARY)?;
    let outputs = place.path("outputs").display().to_string();
    ensure!(failure.retryable && failure.message.contains(&outputs), "{failure}");
    ensure!(
        place.states().iter().any(|it| it.ends_with("step-00000012")),
        "{failure}"
    );
    fs::remove_file(place.path("outputs"))?;
    let ended = place.run(&plan)?;
    ensure!(
        ended.stderr.contains("going on from") && !ended.stderr.contains("measured the base"),
        "{}",
        ended.stderr
    );
    ends_alike(&place, &plan, (&report, &bytes))
}
