//! `kubectl atelier tune watch`.

use std::{
    io::{self, IsTerminal as _, Write},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use api::FineTuneJob;
use k8s_openapi::jiff::Timestamp;
use tokio::time::{interval, timeout};

use super::{
    history::History,
    view::{self, End},
};
use crate::{
    args::JobName,
    cluster::{Cluster, told},
    text::{clean, size},
};

/// Between two looks. The operator tells of progress more rarely.
const LOOK: Duration = Duration::from_secs(1);
/// Longest answer of the API server.
const PATIENCE: Duration = Duration::from_secs(10);
/// Looks that may fail in a row: an API server may be replaced meanwhile.
const FAILURES: u32 = 60;

/// Shows a training until it ends.
///
/// # Errors
/// When it is not there, the API server does not answer any more, or nobody reads.
pub async fn watch(cluster: &Cluster, name: &JobName) -> Result<ExitCode> {
    let namespace = cluster.namespace_or(name.namespace.as_deref());
    let trainings = cluster.trainings(namespace);
    let out = io::stdout();
    let mut screen = match out.is_terminal() {
        true => Screen::Terminal { drawn: 0 },
        false => Screen::Lines { last: String::new() },
    };
    let mut history = History::default();
    let (mut seen, mut failures) = (false, 0);
    let mut look = interval(LOOK);
    loop {
        look.tick().await;
        let found = match timeout(PATIENCE, trainings.get_opt(&name.name)).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) if seen && failures < FAILURES => {
                tell(&format!("{:#}", told(error)));
                failures += 1;
                continue;
            }
            Ok(Err(error)) => {
                return Err(told(error)).with_context(|| format!("failed to get the FineTuneJob {}", name.name));
            }
            Err(_) if seen && failures < FAILURES => {
                tell("the API server does not answer");
                failures += 1;
                continue;
            }
            Err(_) => bail!("the API server does not answer"),
        };
        let Some(job) = found else {
            match seen {
                true => bail!("the FineTuneJob {} was deleted", name.name),
                false => bail!("there is no FineTuneJob {} in namespace {namespace}", name.name),
            }
        };
        (seen, failures) = (true, 0);
        history.see(&job.status.clone().unwrap_or_default());
        let shown = screen.show(&mut out.lock(), &job, &history, Timestamp::now());
        shown.context("failed to write to standard output")?;
        match view::end(&job) {
            Some(End::Succeeded) => return Ok(ExitCode::SUCCESS),
            Some(End::Failed(why)) => {
                tell(&format!("the training has failed: {why}"));
                return Ok(ExitCode::FAILURE);
            }
            None => {}
        }
    }
}

/// On standard error, where it disturbs no line of the output.
fn tell(text: &str) {
    eprintln!("{}", clean(text));
}

/// Where a training is shown.
enum Screen {
    /// Over and over again in the same place, which has so many lines.
    Terminal { drawn: usize },
    /// A line for each change.
    Lines { last: String },
}

impl Screen {
    fn show(&mut self, out: &mut impl Write, job: &FineTuneJob, history: &History, now: Timestamp) -> io::Result<()> {
        match self {
            Self::Terminal { drawn } => {
                let (width, height) = size();
                let mut lines = view::picture(job, history, now, width);
                // What has left the screen above could not be drawn over.
                lines.truncate(height.saturating_sub(1));
                let mut text = String::new();
                if *drawn > 0 {
                    text += &format!("\x1b[{drawn}A");
                }
                text += "\r\x1b[J";
                lines.iter().for_each(|line| text += &format!("{line}\n"));
                *drawn = lines.len();
                out.write_all(text.as_bytes())?;
            }
            Self::Lines { last } => {
                let line = view::line(job);
                if line != *last {
                    writeln!(out, "{now:.0} {line}")?;
                    *last = line;
                }
            }
        }
        out.flush()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn job(status: Value) -> FineTuneJob {
        let dataset = json!({"format": "Text", "sources": []});
        serde_json::from_value(json!({
            "apiVersion": "atelier.dev/v1alpha1", "kind": "FineTuneJob", "metadata": {"name": "j", "namespace": "n"},
            "spec": {"base": {"name": "b"}, "method": "Full", "dataset": dataset}, "status": status,
        }))
        .unwrap()
    }

    fn shown(screen: &mut Screen, status: Value) -> String {
        let mut out = Vec::new();
        let now = "2026-11-26T10:00:00Z".parse().unwrap();
        screen.show(&mut out, &job(status), &History::default(), now).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_change_is_a_line() {
        let mut screen = Screen::Lines { last: String::new() };
        let first = json!({"phase": "Training", "step": 1, "totalSteps": 9});
        assert_eq!(
            shown(&mut screen, first.clone()),
            "2026-11-26T10:00:00Z Training · step 1 of 9\n"
        );
        assert_eq!(shown(&mut screen, first), "");
        let next = json!({"phase": "Training", "step": 2, "totalSteps": 9});
        assert!(shown(&mut screen, next).contains("step 2 of 9"));
    }

    #[test]
    fn a_picture_replaces_the_one_before() {
        let mut screen = Screen::Terminal { drawn: 0 };
        let first = shown(&mut screen, json!({"phase": "Training", "step": 1, "totalSteps": 9}));
        assert!(
            first.starts_with("\r\x1b[Jn/j") && first.matches('\n').count() == 2,
            "{first:?}"
        );
        let second = shown(&mut screen, json!({"phase": "Succeeded"}));
        assert!(second.starts_with("\x1b[2A\r\x1b[J"), "{second:?}");
    }
}
