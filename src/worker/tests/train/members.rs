//! Several processes that train together.

use std::{fs, net::TcpListener, time::Duration};

use anyhow::{Context as _, Result, ensure};
use protocol::{
    report::{EXIT_INTERRUPTED, EXIT_MEMBER_LOST},
    tune::{TrainOutcome, TrainReport},
};
use serde_json::{Value, json};

use crate::{
    place::{Place, weights},
    signal, until,
};

fn addresses(count: usize) -> Result<Vec<String>> {
    let sockets: Result<Vec<_>, _> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect();
    sockets?.iter().map(|it| Ok(it.local_addr()?.to_string())).collect()
}

fn published(place: &Place) -> Result<TrainReport> {
    let words = fs::read_to_string(place.report(Some(0)))?;
    match TrainOutcome::parse(&words) {
        Some(TrainOutcome::Published(report)) => Ok(report),
        _ => anyhow::bail!("{words}"),
    }
}

/// Without dropout, which differs from process to process.
fn changes(more: &[(&'static str, Value)]) -> Vec<(&'static str, Value)> {
    [&[("hyperparameters.dropout", json!(0.0))], more].concat()
}

#[test]
fn two_learn_what_one_does() -> Result<()> {
    let one = Place::new()?;
    let alone = one.publishes(&one.plan(&changes(&[])))?;

    let place = Place::new()?;
    let members = json!({"addresses": addresses(2)?});
    let each = ("hyperparameters.gradientAccumulation", json!(1));
    let plan = place.plan(&changes(&[("members", members), each]));
    let children = [0, 1].map(|rank| place.start(&plan, Some(rank)));
    for child in children {
        ensure!(child?.wait()?.code() == Some(0));
    }
    let report = published(&place)?;
    ensure!(
        report.steps == alone.steps && report.tokens == alone.tokens,
        "{report:?} {alone:?}"
    );
    for (found, expected) in [
        (report.first_loss, alone.first_loss),
        (report.last_loss, alone.last_loss),
        (report.eval_loss.context("none")?, alone.eval_loss.context("none")?),
    ] {
        ensure!((found - expected).abs() < 1e-3, "{report:?} {alone:?}");
    }
    // Only the first one has last words.
    ensure!(!place.report(Some(1)).exists());
    Ok(())
}

#[test]
fn when_one_is_lost_all_begin_again() -> Result<()> {
    let place = Place::new()?;
    let plan = |place: &Place| -> Result<Value> {
        Ok(place.plan(&changes(&[("members", json!({"addresses": addresses(2)?}))])))
    };
    let first = plan(&place)?;
    let mut children = Vec::new();
    for rank in [0, 1] {
        children.push(place.start(&first, Some(rank))?);
    }
    until("a state", || !place.states().is_empty())?;
    children[1].kill()?;
    children[1].wait()?;
    let code = children[0].wait()?.code();
    let words = fs::read_to_string(place.report(Some(0)))?;
    if let Some(TrainOutcome::Failed(failure)) = TrainOutcome::parse(&words) {
        ensure!(
            code == Some(EXIT_MEMBER_LOST) && failure.reason == "MemberLost",
            "{failure}"
        );
    } else {
        // It was over before.
        ensure!(code == Some(0), "{code:?} {words}");
    }
    // Both come again, and the result is that of an undisturbed pair.
    for rank in [1, 0] {
        let child = place.start(&first, Some(rank))?;
        children[rank] = child;
        std::thread::sleep(Duration::from_millis(50));
    }
    for child in &mut children {
        ensure!(child.wait()?.code() == Some(0));
    }
    let report = published(&place)?;

    let other = Place::new()?;
    let second = plan(&other)?;
    let pair = [0, 1].map(|rank| other.start(&second, Some(rank)));
    for child in pair {
        ensure!(child?.wait()?.code() == Some(0));
    }
    let undisturbed = published(&other)?;
    ensure!(report.digest == undisturbed.digest);
    ensure!(weights(&place.output(&report.digest))? == weights(&other.output(&undisturbed.digest))?);
    Ok(())
}

#[test]
fn all_that_are_told_to_end_are_to_come_again() -> Result<()> {
    let place = Place::new()?;
    let more = [
        ("members", json!({"addresses": addresses(2)?})),
        ("hyperparameters.epochs", json!(60)),
    ];
    let plan = place.plan(&changes(&more));
    let mut children = Vec::new();
    for rank in [0, 1] {
        children.push(place.start(&plan, Some(rank))?);
    }
    until("a state", || !place.states().is_empty())?;
    for child in &children {
        signal(child, rustix::process::Signal::TERM)?;
    }
    // One that has done its part would never be started again, and the other one wait for it in vain.
    let codes: Result<Vec<_>> = children.iter_mut().map(|child| Ok(child.wait()?.code())).collect();
    let codes = codes?;
    let words = fs::read_to_string(place.report(Some(0)))?;
    match TrainOutcome::parse(&words) {
        Some(TrainOutcome::Interrupted(_)) => ensure!(codes == [Some(EXIT_INTERRUPTED); 2], "{codes:?} {words}"),
        // It was over before.
        _ => ensure!(codes == [Some(0); 2], "{codes:?} {words}"),
    }
    Ok(())
}
