//! A report for a terminal: plain text, with intervals drawn.

use api::shadowdeployment::{MetricVerdict, Verdict};

use super::{
    Content, MetricReport, Report, Role,
    draw::{Place, share},
    visible::{line, visible},
};
use crate::metric;

/// How a terminal is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Characters in a line; 40 at least and 160 at most are used.
    pub width: usize,
    /// Whether intervals are drawn with ASCII alone.
    pub ascii: bool,
}

/// Of a metric's line: its name, and its verdict.
const NAME: usize = 17;
const VERDICT: usize = 10;
/// Characters of an example that are shown.
const EXAMPLE: usize = 400;

/// What intervals are drawn with.
struct Pen {
    line: char,
    low: char,
    high: char,
    middle: char,
    margin: char,
    zero: char,
    beyond: (char, char),
}

const UNICODE: Pen = Pen {
    line: '─',
    low: '├',
    high: '┤',
    middle: '●',
    margin: '┊',
    zero: '│',
    beyond: ('◀', '▶'),
};
const ASCII: Pen = Pen {
    line: '-',
    low: '[',
    high: ']',
    middle: 'o',
    margin: ':',
    zero: '|',
    beyond: ('<', '>'),
};

/// The report as lines of at most [`Style::width`] characters. Nothing in it can command the terminal.
pub fn text(report: &Report, style: Style) -> String {
    let width = style.width.clamp(40, 160);
    let pen = if style.ascii { ASCII } else { UNICODE };
    let mut out = Out {
        text: String::new(),
        width,
    };
    out.wrapped(
        "",
        &format!(
            "Shadow {}/{}: {} ({})",
            report.namespace,
            report.name,
            verdict(report.verdict),
            report.reason
        ),
    );
    out.wrapped("  ", &report.message);
    out.line("");
    for (name, arm) in [("serves", &report.primary), ("candidate", &report.candidate)] {
        out.wrapped("  ", &format!("{name:9}  {} {}", arm.model, arm.version));
    }
    out.wrapped("  ", &format!("{} to {}", report.window.from, report.window.to));
    out.wrapped(
        "  ",
        &format!(
            "{} pairs in {} conversations; {}",
            report.pairs,
            report.clusters,
            dropped(report)
        ),
    );
    out.line("");
    let drawing = (width - NAME - VERDICT).min(61);
    out.line(&format!("{}{}", " ".repeat(NAME + VERDICT), axis(drawing)));
    for metric in &report.metrics {
        one(&mut out, metric, drawing, &pen);
    }
    out.line("");
    let ends = "A line is the interval in units of the margin; dotted lines are margins. Right of the margin is worse. * is the \
        metric that the verdict is about.";
    out.wrapped(
        "",
        &if style.ascii {
            ends.replace("dotted lines", "colons")
        } else {
            ends.to_owned()
        },
    );
    examples(&mut out, report);
    out.text
}

fn one(out: &mut Out, metric: &MetricReport, drawing: usize, pen: &Pen) {
    let mark = if metric.role == Role::Primary { " *" } else { "" };
    let name = format!("{}{mark}", metric::name(metric.metric));
    out.line(&format!(
        "{name:NAME$}{:VERDICT$}{}",
        metric_verdict(metric.verdict),
        draw(metric, drawing, pen)
    ));
    out.wrapped("  ", &numbers(metric));
}

/// What is known about a metric, in words.
pub(super) fn numbers(metric: &MetricReport) -> String {
    let unit = metric::describe(metric.metric).unit.suffix();
    let mut parts = Vec::new();
    if let (Some(primary), Some(candidate)) = (metric.primary, metric.candidate) {
        parts.push(format!("{primary} to {candidate}{unit}"));
    }
    match (metric.difference, metric.interval) {
        (Some(difference), Some(interval)) => {
            parts.push(format!(
                "difference {difference}, between {} and {}",
                interval.low, interval.high
            ));
        }
        _ => parts.push("nothing known yet".into()),
    }
    parts.push(format!("margin {}", metric.margin));
    parts.extend(metric.baseline.map(|baseline| format!("A/A {baseline}")));
    parts.extend(metric.detectable.map(|detectable| format!("detectable {detectable}")));
    parts.push(format!("{} pairs", metric.pairs));
    parts.join("; ")
}

fn axis(width: usize) -> String {
    let mut line = vec![' '; width];
    for (place, label) in [(-1.0, "-1"), (0.0, "0"), (1.0, "+1")] {
        let start = column(place, width).saturating_sub(label.len() / 2);
        for (at, c) in label.chars().enumerate() {
            if let Some(cell) = line.get_mut(start + at) {
                *cell = c;
            }
        }
    }
    line.into_iter().collect()
}

fn column(place: f64, width: usize) -> usize {
    (share(place) * (width - 1) as f64).round() as usize
}

fn draw(metric: &MetricReport, width: usize, pen: &Pen) -> String {
    let mut line = vec![' '; width];
    line[column(0.0, width)] = pen.zero;
    line[column(1.0, width)] = pen.margin;
    let Some(place) = Place::of(metric) else {
        return line.into_iter().collect();
    };
    if place.is_two_sided {
        line[column(-1.0, width)] = pen.margin;
    }
    let (low, high) = (column(place.low, width), column(place.high, width));
    line[low..=high].fill(pen.line);
    let is_beyond = |place: f64| place.abs() > super::draw::REACH;
    line[low] = if is_beyond(place.low) { pen.beyond.0 } else { pen.low };
    line[high] = if is_beyond(place.high) { pen.beyond.1 } else { pen.high };
    line[column(place.middle, width)] = pen.middle;
    line.into_iter().collect()
}

fn dropped(report: &Report) -> String {
    let all: u64 = report.dropped.values().fold(0, |all, count| all.saturating_add(*count));
    let reasons: Vec<_> = report
        .dropped
        .iter()
        .map(|(reason, count)| format!("{reason} {count}"))
        .collect();
    match reasons.is_empty() {
        true => "none dropped".into(),
        false => format!("{all} dropped: {}", reasons.join(", ")),
    }
}

fn examples(out: &mut Out, report: &Report) {
    let Content::Kept(examples) = &report.content else {
        return;
    };
    for example in examples {
        out.line("");
        out.wrapped(
            "",
            &format!(
                "Pair {}: {} {}",
                example.pair,
                metric::name(example.metric),
                example.score
            ),
        );
        for (name, text) in [
            ("asked", &example.prompt),
            ("serves", &example.primary),
            ("candidate", &example.candidate),
        ] {
            out.wrapped("  ", &format!("{name}:"));
            let shown: String = text.chars().take(EXAMPLE).collect();
            for line in visible(&shown).lines() {
                out.wrapped("    ", line);
            }
        }
    }
}

/// A verdict's name.
pub(super) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Promote => "Promote",
        Verdict::Reject => "Reject",
        Verdict::Inconclusive => "Inconclusive",
    }
}

/// The name of what follows for a metric.
pub(super) fn metric_verdict(verdict: MetricVerdict) -> &'static str {
    match verdict {
        MetricVerdict::NotWorse => "NotWorse",
        MetricVerdict::Worse => "Worse",
        MetricVerdict::Open => "Open",
    }
}

struct Out {
    text: String,
    width: usize,
}

impl Out {
    fn line(&mut self, text: &str) {
        self.text.push_str(text.trim_end());
        self.text.push('\n');
    }

    /// Words in as many lines as they take. Words that are longer than a line are cut.
    fn wrapped(&mut self, indent: &str, text: &str) {
        let room = self.width - indent.len();
        let text = line(text);
        let mut current = String::new();
        let mut length = 0;
        for word in text.split_inclusive(' ') {
            let letters: Vec<char> = word.chars().collect();
            // A space at the end of a line needs no room.
            let needed = word.trim_end().chars().count();
            if length > 0 && length + needed > room {
                self.line(&format!("{indent}{current}"));
                (current, length) = (String::new(), 0);
            }
            for piece in letters.chunks(room) {
                if length > 0 && length + piece.len() > room && needed > room {
                    self.line(&format!("{indent}{current}"));
                    (current, length) = (String::new(), 0);
                }
                current.extend(piece);
                length += piece.len();
            }
        }
        self.line(&format!("{indent}{current}"));
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::report::testing::example;

    #[rstest]
    #[case::wide(100, false)]
    #[case::narrow_ascii(50, true)]
    fn a_report_in_a_terminal(#[case] width: usize, #[case] ascii: bool) {
        let text = text(&example(), Style { width, ascii });
        insta::with_settings!({omit_expression => true}, {
            insta::assert_snapshot!(format!("terminal_{width}"), text);
        });
    }

    #[rstest]
    fn no_line_is_wider_than_the_terminal(
        #[values(0, 40, 41, 66, 80, 160, 1000)] width: usize,
        #[values(true, false)] ascii: bool,
    ) {
        let mut report = example();
        report.message = format!("{} {}", "x".repeat(500), "word ".repeat(50));
        let text = text(&report, Style { width, ascii });
        let longest = text.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(longest <= width.clamp(40, 160), "{longest}: {text}");
    }

    #[test]
    fn nothing_commands_the_terminal() {
        let mut report = example();
        report.reason = "a\u{1b}[2Jb\u{9b}31m\r\n\u{202e}".into();
        let text = text(
            &report,
            Style {
                width: 80,
                ascii: false,
            },
        );
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
        assert!(!text.contains('\u{202e}') && text.contains("\\u{1b}[2Jb"));
    }

    #[test]
    fn ascii_draws_with_ascii() {
        let mut report = example();
        report.content = Content::Withheld;
        assert!(text(&report, Style { width: 80, ascii: true }).is_ascii());
    }
}
