//! A worker under more load than it can take, for long: nothing but refusals may go wrong, and its
//! memory must not grow.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::report::Row;
use super::worker::load::{Ask, Outcome, outcome};
use super::worker::program::{Program, Server, Shape};
use crate::cargo;
use crate::home::Home;
use crate::ui::Stage;

const STREAMS: usize = 8;
/// Requests that may wait.
const QUEUE: u64 = 16;
/// Clients that ask again as soon as they are answered: twice as many as run and wait together.
const CLIENTS: u64 = 2 * (STREAMS as u64 + QUEUE);
const LOOK: Duration = Duration::from_secs(5);
/// The first minute fills the caches; growth is counted from then on.
const WARM: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Counts {
    answered: AtomicU64,
    refused: AtomicU64,
    left: AtomicU64,
    failed: AtomicU64,
}

/// Measures for `minutes`.
pub fn run(home: &Home, stage: &Stage, minutes: u64) -> Result<Vec<Row>> {
    let program = Program::Ours(cargo::release(home, stage, &["atelier-worker"])?.remove(0));
    let shape = Shape {
        threads: 2,
        streams: STREAMS,
        context: 1024,
    };
    let queue = QUEUE.to_string();
    let (server, _) = Server::start_with(home, &program, shape, &["--max-queue".as_ref(), queue.as_ref()])?;
    let end = Instant::now() + Duration::from_secs(minutes * 60);
    let (counts, mut memory) = (Counts::default(), Vec::new());
    let started = Instant::now();
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (server, counts) = (&server, &counts);
            scope.spawn(move || counts.ask_until(end, server, client));
        }
        while Instant::now() < end {
            thread::sleep(LOOK.min(end - Instant::now()));
            if started.elapsed() > WARM {
                memory.push(server.resident()? as f64);
            }
            stage.status(&counts.line());
        }
        anyhow::Ok(())
    })?;
    let quarter = (memory.len() / 4).max(1);
    let mean = |samples: &[f64]| samples.iter().sum::<f64>() / samples.len() as f64;
    let (first, last) = (
        memory.get(..quarter),
        memory.get(memory.len().saturating_sub(quarter)..),
    );
    let growth = mean(last.context("no samples")?) / mean(first.context("too short to see memory grow")?);
    let count = |counter: &AtomicU64| [counter.load(Ordering::Relaxed) as f64];
    Ok(vec![
        Row::new("answered", "requests", &count(&counts.answered), "whole answers"),
        Row::new("refused", "requests", &count(&counts.refused), "status 429"),
        Row::new("left", "requests", &count(&counts.left), "the client hung up"),
        Row::new("failed", "requests", &count(&counts.failed), "anything else; goal 0"),
        Row::new("rss", "bytes", &memory, "after the first minute"),
        Row::new(
            "rss_growth",
            "times",
            &[growth],
            "last quarter over the first; goal <= 1.02",
        ),
    ])
}

impl Counts {
    fn ask_until(&self, end: Instant, server: &Server, client: u64) {
        let mut seed = client * 1_000_003;
        while Instant::now() < end {
            seed += 1;
            // Short and long prompts and answers, in no order.
            let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
            let ask = Ask::new(
                seed as usize,
                5 + (mixed % 400) as usize,
                1 + (mixed / 400 % 96) as usize,
            );
            let ask = match mixed % 7 {
                0 => ask.left_after(1 + (mixed % 5) as usize),
                _ => ask,
            };
            let counter = match outcome(server, &ask) {
                Ok(Outcome::Answered(_)) => &self.answered,
                Ok(Outcome::Left) => &self.left,
                Ok(Outcome::Refused) => {
                    thread::sleep(Duration::from_millis(1000 + mixed % 1000));
                    &self.refused
                }
                Err(error) => {
                    eprintln!("{error:#}");
                    &self.failed
                }
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn line(&self) -> String {
        let [answered, refused, failed] =
            [&self.answered, &self.refused, &self.failed].map(|counter| counter.load(Ordering::Relaxed));
        format!("{answered} answered, {refused} refused, {failed} failed")
    }
}
