//! How intervals became narrower, and how times are distributed.

use super::escape::Page;
use crate::{
    metric::{self, Direction, describe},
    report::{Distribution, MetricReport, Number, Report},
};

const WIDTH: f64 = 320.0;
const HEIGHT: f64 = 170.0;
/// The frame: left, right, top and bottom.
const FRAME: (f64, f64, f64, f64) = (52.0, 312.0, 10.0, 146.0);

/// An axis from a value to another one.
struct Axis {
    from: f64,
    to: f64,
    start: f64,
    end: f64,
    is_log: bool,
}

impl Axis {
    fn at(&self, value: f64) -> f64 {
        let scale = |value: f64| {
            if self.is_log {
                value.max(f64::MIN_POSITIVE).ln()
            } else {
                value
            }
        };
        let (from, to) = (scale(self.from), scale(self.to));
        // Halves, so that the width of the widest axis is still a number.
        let span = to / 2.0 - from / 2.0;
        let share = if span > 0.0 {
            (scale(value) / 2.0 - from / 2.0) / span
        } else {
            0.5
        };
        self.start + share.clamp(0.0, 1.0) * (self.end - self.start)
    }
}

/// A figure for each metric of which the course is known.
pub fn courses(page: &mut Page, report: &Report) {
    let known: Vec<_> = report.metrics.iter().filter(|metric| metric.course.len() > 1).collect();
    if known.is_empty() {
        return;
    }
    page.raw("<h2>Intervals as pairs came</h2>\n<div class=\"plots\">\n");
    known.into_iter().for_each(|metric| course(page, metric));
    page.raw("</div>\n");
}

fn course(page: &mut Page, metric: &MetricReport) {
    let points = &metric.course;
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return;
    };
    let margins = match describe(metric.metric).direction {
        Direction::LowerIsBetter => vec![metric.margin.get()],
        Direction::HigherIsBetter => vec![-metric.margin.get()],
        Direction::NeitherIsBetter => vec![-metric.margin.get(), metric.margin.get()],
    };
    // The first intervals are so wide that nothing would be seen of the last ones.
    let half = (last.high.get() / 2.0 - last.low.get() / 2.0).max(f64::MIN_POSITIVE);
    let shown = [0.0, last.low.get() - 3.0 * half, last.high.get() + 3.0 * half]
        .into_iter()
        .chain(margins.clone());
    let (low, high) = shown.fold((f64::MAX, f64::MIN), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    let y = Axis {
        from: low.max(f64::MIN / 2.0),
        to: high.min(f64::MAX / 2.0),
        start: FRAME.3,
        end: FRAME.2,
        is_log: false,
    };
    let x = Axis {
        from: first.pairs.max(1) as f64,
        to: last.pairs as f64,
        start: FRAME.0,
        end: FRAME.1,
        is_log: true,
    };
    open(page, metric, "interval as pairs came; at the end ");
    page.text(&crate::report::terminal::numbers(metric)).raw("\">");
    frame(page, &x, &y);
    let at = |pairs: u64, value: Number| (x.at(pairs as f64), y.at(value.get()));
    let over = points.iter().map(|point| at(point.pairs, point.high));
    let under = points.iter().rev().map(|point| at(point.pairs, point.low));
    page.points("<polygon class=\"band\"", over.chain(under));
    page.points(
        "<polyline class=\"estimate\"",
        points.iter().map(|point| at(point.pairs, point.difference)),
    );
    for margin in margins {
        page.shape(
            "<line class=\"margin\"",
            &[
                ("x1", FRAME.0),
                ("x2", FRAME.1),
                ("y1", y.at(margin)),
                ("y2", y.at(margin)),
            ],
        );
    }
    page.shape(
        "<line class=\"zero\"",
        &[("x1", FRAME.0), ("x2", FRAME.1), ("y1", y.at(0.0)), ("y2", y.at(0.0))],
    );
    page.raw("</svg><figcaption>")
        .text(metric::name(metric.metric))
        .raw(": difference");
    page.text(describe(metric.metric).unit.suffix().trim_end())
        .raw(" over pairs (log scale); dashed: margin</figcaption></figure>\n");
}

/// A figure for each metric of which the distribution is known.
pub fn distributions(page: &mut Page, report: &Report) {
    let known = report
        .metrics
        .iter()
        .filter_map(|metric| Some((metric, metric.distribution.as_ref()?)));
    let known: Vec<_> = known
        .filter(|(_, it)| it.primary.len() > 1 && it.candidate.len() > 1)
        .collect();
    if known.is_empty() {
        return;
    }
    page.raw("<h2>Distributions of times</h2>\n<div class=\"plots\">\n");
    for (metric, distribution) in &known {
        curves(page, metric, distribution);
    }
    page.raw("</div>\n");
}

fn curves(page: &mut Page, metric: &MetricReport, distribution: &Distribution) {
    let arms = [&distribution.primary, &distribution.candidate];
    // Zero has no place on a logarithmic axis.
    let values = arms.into_iter().flatten().map(|it| it.value.get().max(1e-6));
    let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    let x = Axis {
        from: low,
        to: high,
        start: FRAME.0,
        end: FRAME.1,
        is_log: true,
    };
    let y = Axis {
        from: 0.0,
        to: 1.0,
        start: FRAME.3,
        end: FRAME.2,
        is_log: false,
    };
    open(
        page,
        metric,
        "share of answers that are as fast, for both versions; quantiles are in the table of times",
    );
    page.raw("\">");
    frame(page, &x, &y);
    for (class, quantiles) in [
        ("<polyline class=\"one\"", arms[0]),
        ("<polyline class=\"other\"", arms[1]),
    ] {
        let points = quantiles.iter().map(|it| (x.at(it.value.get()), y.at(it.share.get())));
        page.points(class, points);
    }
    page.raw("</svg><figcaption>").text(metric::name(metric.metric));
    page.raw(": share of answers over seconds (log scale); dashed: serving version, solid: candidate</figcaption></figure>\n");
}

fn open(page: &mut Page, metric: &MetricReport, what: &'static str) {
    page.raw("<figure><svg role=\"img\" viewBox=\"0 0 320 170\" aria-label=\"")
        .text(metric::name(metric.metric))
        .raw(": ")
        .raw(what);
}

/// The frame, with the ends of both axes.
fn frame(page: &mut Page, x: &Axis, y: &Axis) {
    let (left, right, top, bottom) = FRAME;
    page.points(
        "<polyline class=\"frame\"",
        [(left, top), (left, bottom), (right, bottom)].into_iter(),
    );
    let label = |value: f64| Number::new(value).map(|it| it.to_string()).unwrap_or_default();
    page.shape_with_text(
        "<text text-anchor=\"start\"",
        &[("x", left), ("y", HEIGHT - 8.0)],
        &label(x.from),
    );
    page.shape_with_text(
        "<text text-anchor=\"end\"",
        &[("x", WIDTH - 8.0), ("y", HEIGHT - 8.0)],
        &label(x.to),
    );
    page.shape_with_text(
        "<text text-anchor=\"end\"",
        &[("x", left - 4.0), ("y", bottom)],
        &short(y.from),
    );
    page.shape_with_text(
        "<text text-anchor=\"end\"",
        &[("x", left - 4.0), ("y", top + 8.0)],
        &short(y.to),
    );
}

/// A number that fits beside a frame.
fn short(value: f64) -> String {
    let rounded = format!("{value:.2e}").parse().ok().and_then(Number::new);
    rounded.map(|it| it.to_string()).unwrap_or_default()
}
