//! What the user sees while something takes time: a spinner on a terminal, plain lines elsewhere.
//!
//! Everything here goes to standard error, so that the output of `env`, `ask` or `kubectl` stays clean.

use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a long step shows a sign of life where there is no spinner.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// One step of a command, e.g. "images".
#[derive(Debug)]
pub struct Stage {
    title: String,
    started: Instant,
    spinner: Option<ProgressBar>,
    last: Mutex<Last>,
}

#[derive(Debug)]
struct Last {
    text: String,
    at: Instant,
}

impl Stage {
    /// Announces a step.
    pub fn begin(title: &str) -> Self {
        let spinner = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{spinner} {prefix}  {wide_msg} {elapsed:>4}")
                .expect("the template is well formed");
            let bar = ProgressBar::new_spinner()
                .with_style(style)
                .with_prefix(title.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        let stage = Self {
            title: title.into(),
            started: Instant::now(),
            spinner,
            last: Mutex::new(Last {
                text: String::new(),
                at: Instant::now(),
            }),
        };
        if stage.spinner.is_none() {
            eprintln!("==> {title}");
        }
        stage
    }

    /// A line that stays.
    pub fn note(&self, text: &str) {
        match &self.spinner {
            Some(bar) => bar.println(format!("    {text}")),
            None => eprintln!("    {text}"),
        }
    }

    /// What a subprocess just said: of interest for a moment only.
    pub fn tick(&self, text: &str) {
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        match &self.spinner {
            Some(bar) => bar.set_message(text.to_owned()),
            None => {
                let mut last = self.last.lock().expect("no holder of this lock panics");
                if last.at.elapsed() >= HEARTBEAT {
                    last.at = Instant::now();
                    eprintln!("    … {text}");
                }
            }
        }
    }

    /// What is being waited for; shown whenever it changes.
    pub fn status(&self, text: &str) {
        let mut last = self.last.lock().expect("no holder of this lock panics");
        if last.text == text {
            return;
        }
        last.text = text.into();
        last.at = Instant::now();
        match &self.spinner {
            Some(bar) => bar.set_message(text.to_owned()),
            None => eprintln!("    {text}"),
        }
    }

    /// Ends the step with one line that says what came out.
    pub fn done(self, result: &str) {
        if let Some(bar) = &self.spinner {
            bar.finish_and_clear();
        }
        eprintln!("==> {}: {result} ({})", self.title, seconds(self.started.elapsed()));
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(bar) = &self.spinner {
            bar.finish_and_clear();
        }
    }
}

/// A line outside any step.
pub fn say(text: &str) {
    eprintln!("{text}");
}

/// `0.4 s`, `12 s`, `3 min 05 s`.
pub fn seconds(duration: Duration) -> String {
    let whole = duration.as_secs();
    match whole {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..120 => format!("{whole} s"),
        _ => format!("{} min {:02} s", whole / 60, whole % 60),
    }
}

/// Bytes in units a person reads: `437.2 MB` (10^6 bytes).
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        for (millis, expected) in [(420, "0.4 s"), (12_300, "12 s"), (185_000, "3 min 05 s")] {
            assert_eq!(seconds(Duration::from_millis(millis)), expected);
        }
    }
}
