//! What goes wrong, and when.

use std::{fmt, ops::RangeInclusive, str::FromStr};

use anyhow::{Context, Result, bail};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Faults in a plan of a seed.
const RULES: RangeInclusive<u32> = 2..=6;
/// Writes among which a seed chooses: a rollout makes about as many.
const WRITES: u32 = 16;
/// Reads and events among which it chooses.
const READS: u32 = 50;
/// Watches that are begun: one for each kind, and again after each end.
const WATCHES: u32 = 12;
/// Answers that a server gives for a moment, to a write and to a read. That something is gone it tells watches only.
const WRITE_CODES: [u16; 3] = [409, 429, 500];
const READ_CODES: [u16; 2] = [429, 500];
const WATCH_CODES: [u16; 3] = [410, 429, 500];
/// Pauses in milliseconds; the operator itself gives a call ten seconds.
const PAUSES: [u64; 3] = [50, 400, 1500];

/// The calls that a rule counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// Requests that change something.
    Write,
    /// Gets and lists.
    Read,
    /// Watches that are begun.
    Watch,
    /// Events of watches, but for bookmarks.
    Event,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Not forwarded, but answered with a status.
    Refuse(u16),
    /// Not forwarded, and the connection is closed without an answer.
    Drop,
    /// Forwarded or delivered this many milliseconds later.
    Delay(u64),
    /// Forwarded; the answer is replaced by a status.
    Mask(u16),
    /// Forwarded; the connection is closed instead of an answer.
    DropAnswer,
    /// Forwarded; the answer comes this many milliseconds later.
    DelayAnswer(u64),
    /// Forwarded; from then on this operator reaches nothing, and whoever runs it is told to kill it.
    Kill,
    /// Answered with what was answered to the same request before.
    Stale,
    /// The event is lost. As in a real gap, the watch ends a little later with 410.
    Lose,
    /// The watch ends as the server's timeout ends it.
    End,
    /// The watch ends with 410.
    Gone,
}

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What is counted.
    pub on: On,
    /// Which one of them it hits, from 1 on.
    pub nth: u32,
    /// What becomes of it.
    pub action: Action,
}

/// All that goes wrong in a run. As text it is `write 3: kill, read 7: stale`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The faults, each of which happens once.
    pub rules: Vec<Rule>,
}

impl Plan {
    /// Kills the operator after the write number `k`.
    pub fn kill(k: u32) -> Self {
        let rule = Rule {
            on: On::Write,
            nth: k,
            action: Action::Kill,
        };
        Self { rules: vec![rule] }
    }

    /// A few faults, always the same for a seed.
    pub fn of_seed(seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let count = random.random_range(RULES);
        let rules = (0..count).map(|_| rule(&mut random)).collect();
        Self { rules }
    }
}

fn rule(random: &mut ChaCha8Rng) -> Rule {
    let pause = PAUSES[random.random_range(0..PAUSES.len())];
    let mut code = |codes: &[u16]| codes[random.random_range(0..codes.len())];
    let (write, read, watch) = (code(&WRITE_CODES), code(&READ_CODES), code(&WATCH_CODES));
    let (on, most, actions) = match random.random_range(0..10) {
        0..=5 => {
            let actions = vec![
                Action::Refuse(write),
                Action::Drop,
                Action::Delay(pause),
                Action::Mask(500),
                Action::DropAnswer,
                Action::DelayAnswer(pause),
                Action::Kill,
            ];
            (On::Write, WRITES, actions)
        }
        6 | 7 => {
            let actions = vec![Action::Refuse(read), Action::Drop, Action::Delay(pause), Action::Stale];
            (On::Read, READS, actions)
        }
        8 => (
            On::Watch,
            WATCHES,
            vec![Action::Refuse(watch), Action::Drop, Action::Delay(pause)],
        ),
        _ => {
            let actions = vec![Action::Lose, Action::Delay(pause), Action::End, Action::Gone];
            (On::Event, READS, actions)
        }
    };
    Rule {
        on,
        nth: random.random_range(1..=most),
        action: actions[random.random_range(0..actions.len())],
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rules.is_empty() {
            return f.write_str("no faults");
        }
        for (index, rule) in self.rules.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{rule}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = match self.on {
            On::Write => "write",
            On::Read => "read",
            On::Watch => "watch",
            On::Event => "event",
        };
        write!(f, "{on} {}: ", self.nth)?;
        match self.action {
            Action::Refuse(code) => write!(f, "refuse {code}"),
            Action::Drop => f.write_str("drop"),
            Action::Delay(pause) => write!(f, "delay {pause}"),
            Action::Mask(code) => write!(f, "mask {code}"),
            Action::DropAnswer => f.write_str("drop-answer"),
            Action::DelayAnswer(pause) => write!(f, "delay-answer {pause}"),
            Action::Kill => f.write_str("kill"),
            Action::Stale => f.write_str("stale"),
            Action::Lose => f.write_str("lose"),
            Action::End => f.write_str("end"),
            Action::Gone => f.write_str("gone"),
        }
    }
}

impl FromStr for Plan {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let rules = text.split(',').map(|rule| {
            rule.parse()
                .with_context(|| format!("failed to read the fault {rule:?}: write it like `write 3: drop-answer`"))
        });
        Ok(Self {
            rules: rules.collect::<Result<_>>()?,
        })
    }
}

impl FromStr for Rule {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (when, what) = text.split_once(':').context("there is no colon in it")?;
        let (on, nth) = when.trim().split_once(' ').context("it has no number")?;
        let on = match on {
            "write" => On::Write,
            "read" => On::Read,
            "watch" => On::Watch,
            "event" => On::Event,
            other => bail!("{other} is none of write, read, watch, event"),
        };
        let mut words = what.split_whitespace();
        let name = words.next().context("it says not what happens")?;
        let mut number = || {
            words
                .next()
                .context("it has no value")?
                .parse::<u64>()
                .context("its value is no number")
        };
        let mut code = || u16::try_from(number()?).context("its value is no HTTP status");
        let action = match name {
            "refuse" => Action::Refuse(code()?),
            "mask" => Action::Mask(code()?),
            "drop" => Action::Drop,
            "drop-answer" => Action::DropAnswer,
            "delay" => Action::Delay(number()?),
            "delay-answer" => Action::DelayAnswer(number()?),
            "kill" => Action::Kill,
            "stale" => Action::Stale,
            "lose" => Action::Lose,
            "end" => Action::End,
            "gone" => Action::Gone,
            other => bail!("{other} is no fault"),
        };
        let fits = match on {
            On::Write => !matches!(action, Action::Stale | Action::Lose | Action::End | Action::Gone),
            On::Read => matches!(
                action,
                Action::Refuse(_) | Action::Drop | Action::Delay(_) | Action::Stale
            ),
            On::Watch => matches!(action, Action::Refuse(_) | Action::Drop | Action::Delay(_)),
            On::Event => matches!(action, Action::Delay(_) | Action::Lose | Action::End | Action::Gone),
        };
        if !fits {
            bail!("{name} does not happen to such a call");
        }
        Ok(Self {
            on,
            nth: nth.parse().context("its number is none")?,
            action,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_always_the_same_plan_and_reads_back() {
        for seed in 0..200 {
            let plan = Plan::of_seed(seed);
            assert_eq!(plan, Plan::of_seed(seed));
            assert_eq!(plan.to_string().parse::<Plan>().unwrap(), plan, "{plan}");
        }
        // Pinned: a seed that was reported must replay after an update of the generator's crate.
        assert_eq!(Plan::of_seed(3).to_string(), SEED_3);
    }

    const SEED_3: &str = "write 13: refuse 429, write 4: drop-answer";

    #[test]
    fn what_cannot_happen_is_refused() {
        for text in [
            "write 3",
            "write x: kill",
            "read 1: kill",
            "event 1: stale",
            "write 1: mask 70000",
            "call 1: drop",
        ] {
            assert!(text.parse::<Plan>().is_err(), "{text}");
        }
    }
}
