//! Intervals against margins, all on one axis.

use api::shadowdeployment::MetricVerdict;

use super::escape::Page;
use crate::{
    metric,
    report::{
        MetricReport, Report, Role,
        draw::{Place, share},
        terminal,
    },
};

const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 32.0;

/// The figure. Texts stand outside of the drawings, so that they stay readable however narrow the page is.
pub fn figure(page: &mut Page, report: &Report) {
    page.raw(
        "<h2>Differences against margins</h2>\n<figure>\n<div class=\"axis\"><span></span><div><span>better</span>",
    );
    page.raw("<span>no difference</span><span>worse</span></div><span></span></div>\n");
    for metric in &report.metrics {
        row(page, metric);
    }
    page.raw("<figcaption>Each line is the interval that holds the true difference, candidate less serving version, at all times with a ");
    page.raw("probability of ")
        .text(&format!("{}%", round(100.0 * (1.0 - report.alpha.get()))));
    page.raw(", in units of the metric's margin; the dot is the estimate. The dashed line is the margin: what lies in the shaded part ");
    page.raw("is worse. Lines that leave the axis end at its edge. * marks the metric that the verdict is about.</figcaption>\n</figure>\n");
}

fn row(page: &mut Page, metric: &MetricReport) {
    let (class, sign) = look(metric.verdict);
    page.raw("<div class=\"row\"><span>").text(metric::name(metric.metric));
    page.raw(if metric.role == Role::Primary { " *" } else { "" })
        .raw("</span>");
    page.raw("<svg role=\"img\" preserveAspectRatio=\"none\" viewBox=\"0 0 600 32\" class=\"")
        .raw(class)
        .raw("\" aria-label=\"");
    page.text(metric::name(metric.metric))
        .raw(": ")
        .text(&terminal::numbers(metric))
        .raw("\">");
    let place = Place::of(metric);
    let at = |place: f64| share(place) * WIDTH;
    let mut shaded = vec![(at(1.0), WIDTH - at(1.0))];
    if place.is_some_and(|place| place.is_two_sided) {
        shaded.push((0.0, at(-1.0)));
    }
    for (x, width) in shaded {
        page.shape(
            "<rect class=\"worse\"",
            &[("x", x), ("y", 0.0), ("width", width), ("height", HEIGHT)],
        );
        let edge = if x > 0.0 { x } else { width };
        page.shape(
            "<line class=\"margin\"",
            &[("x1", edge), ("x2", edge), ("y1", 0.0), ("y2", HEIGHT)],
        );
    }
    page.shape(
        "<line class=\"zero\"",
        &[("x1", at(0.0)), ("x2", at(0.0)), ("y1", 0.0), ("y2", HEIGHT)],
    );
    if let Some(place) = place {
        let middle = HEIGHT / 2.0;
        // Round ends would be cut off at the very edge.
        let within = |x: f64| x.clamp(3.0, WIDTH - 3.0);
        let line = |from: f64, to: f64| {
            [
                ("x1", within(at(from))),
                ("x2", within(at(to))),
                ("y1", middle),
                ("y2", middle),
            ]
        };
        page.shape("<line class=\"bar\"", &line(place.low, place.high));
        page.shape("<line class=\"dot\"", &line(place.middle, place.middle));
    }
    page.raw("</svg><span class=\"")
        .raw(class)
        .raw("\">")
        .raw(sign)
        .text(terminal::metric_verdict(metric.verdict));
    page.raw("</span></div>\n");
}

/// The colour of a verdict, and a sign for those who do not see it.
pub fn look(verdict: MetricVerdict) -> (&'static str, &'static str) {
    match verdict {
        MetricVerdict::NotWorse => ("good", "✓ "),
        MetricVerdict::Worse => ("bad", "✗ "),
        MetricVerdict::Open => ("open", "? "),
    }
}

fn round(percent: f64) -> f64 {
    (percent * 1e4).round() / 1e4
}
