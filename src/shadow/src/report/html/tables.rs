//! What the drawings show, in numbers, and who and what it is about.

use super::{count, escape::Page, forest::look};
use crate::{
    metric::{self, describe},
    report::{Arm, MetricReport, Number, Quantile, Report, Role, terminal},
};

/// All metrics.
pub fn metrics(page: &mut Page, report: &Report) {
    page.raw("<h2>Metrics</h2>\n<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"Metrics\">\n<table><caption>Means of both ");
    page.raw("versions and their difference over pairs. A/A is how far two answers of the serving version differ from each other; no ");
    page.raw("candidate can be closer than that. Detectable is the smallest difference that the pairs could show.</caption>\n<thead><tr>");
    page.raw("<th scope=\"col\">Metric</th><th scope=\"col\">Verdict</th>");
    for title in [
        "Serving",
        "Candidate",
        "Difference",
        "Interval",
        "Margin",
        "A/A",
        "Detectable",
        "Pairs",
    ] {
        page.raw("<th scope=\"col\" class=\"n\">").raw(title).raw("</th>");
    }
    page.raw("</tr></thead>\n<tbody>\n");
    report.metrics.iter().for_each(|metric| row(page, metric));
    page.raw("</tbody></table></div>\n");
}

fn row(page: &mut Page, metric: &MetricReport) {
    let description = describe(metric.metric);
    let (class, sign) = look(metric.verdict);
    page.raw("<tr><th scope=\"row\">").text(metric::name(metric.metric));
    page.raw(if metric.role == Role::Primary { " *" } else { "" });
    page.raw("<br><span class=\"quiet\">").text(description.title);
    if !description.unit.suffix().is_empty() {
        page.raw(",").text(description.unit.suffix());
    }
    page.raw("</span></th><td class=\"").raw(class).raw("\">").raw(sign);
    page.text(terminal::metric_verdict(metric.verdict)).raw("</td>");
    let interval = metric.interval.map(|it| format!("{} to {}", it.low, it.high));
    let plain = |number: Option<Number>| number.map(|it| it.to_string());
    for cell in [
        plain(metric.primary),
        plain(metric.candidate),
        plain(metric.difference),
        interval,
        Some(metric.margin.to_string()),
        plain(metric.baseline),
        plain(metric.detectable),
        Some(count(metric.pairs)),
    ] {
        page.raw("<td class=\"n\">")
            .text(cell.as_deref().unwrap_or("–"))
            .raw("</td>");
    }
    page.raw("</tr>\n");
}

/// What was dropped, what was used, and quantiles of times.
pub fn accounts(page: &mut Page, report: &Report) {
    times(page, report);
    page.raw("<h2>Accounts</h2>\n");
    open(
        page,
        "Copies without a pair, by reason. None of them was the candidate's fault.",
        ["Reason", "Copies"],
    );
    for (reason, copies) in &report.dropped {
        line(page, reason, &count(*copies));
    }
    if report.dropped.is_empty() {
        page.raw("<tr><td colspan=\"2\">None.</td></tr>\n");
    }
    page.raw("</tbody></table>\n");
    let limits = &report.limits;
    let of = |used: String, most: Option<String>| format!("{used} of {}", most.as_deref().unwrap_or("any number"));
    open(page, "What the comparison used, and might have.", ["Limit", "Used"]);
    line(
        page,
        "Pairs",
        &format!(
            "{}, between {} and {}",
            count(report.pairs),
            count(limits.min_pairs),
            count(limits.max_pairs)
        ),
    );
    line(page, "Tokens", &of(count(limits.tokens), limits.max_tokens.map(count)));
    if let Some(money) = &limits.money {
        line(page, "Money", &of(money.clone(), limits.max_money.clone()));
    }
    if let Some(judge) = report.judge.filter(|judge| judge.judged + judge.unreadable > 0) {
        let inconsistency = judge.inconsistency().and_then(|share| Number::new(100.0 * share));
        let inconsistency = inconsistency.map_or("–".into(), |percent| format!("{percent}%"));
        line(
            page,
            "Verdicts of the judge",
            &format!("{}, {} unreadable", count(judge.judged), count(judge.unreadable)),
        );
        line(page, "Verdicts that followed the place", &inconsistency);
    }
    page.raw("</tbody></table>\n");
}

fn times(page: &mut Page, report: &Report) {
    let known: Vec<_> = report
        .metrics
        .iter()
        .filter_map(|metric| Some((metric, metric.distribution.as_ref()?)))
        .collect();
    if known.is_empty() {
        return;
    }
    page.raw("<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"Quantiles of times\"><table><caption>Quantiles of times, in ");
    page.raw("seconds: the time that a share of the answers does not exceed.</caption><thead><tr><th scope=\"col\">Metric</th>");
    const SHARES: [f64; 4] = [0.5, 0.9, 0.95, 0.99];
    for title in ["Version", "50%", "90%", "95%", "99%"] {
        page.raw("<th scope=\"col\" class=\"n\">").raw(title).raw("</th>");
    }
    page.raw("</tr></thead><tbody>\n");
    for (metric, distribution) in known {
        for (arm, quantiles) in [
            ("serving", &distribution.primary),
            ("candidate", &distribution.candidate),
        ] {
            page.raw("<tr><th scope=\"row\">")
                .text(metric::name(metric.metric))
                .raw("</th><td class=\"n\">")
                .raw(arm)
                .raw("</td>");
            for share in SHARES {
                let value = quantile(quantiles, share).map(|it| it.to_string());
                page.raw("<td class=\"n\">")
                    .text(value.as_deref().unwrap_or("–"))
                    .raw("</td>");
            }
            page.raw("</tr>\n");
        }
    }
    page.raw("</tbody></table></div>\n");
}

fn quantile(quantiles: &[Quantile], share: f64) -> Option<Number> {
    let found = quantiles.iter().find(|it| (it.share.get() - share).abs() < 1e-9);
    found.map(|it| it.value)
}

/// Who was compared, by digests, and the digest of the report itself.
pub fn identities(page: &mut Page, report: &Report, digest: &str) {
    page.raw("<h2>Identities</h2>\n");
    open(
        page,
        "What this report is about. The digest is that of its canonical JSON.",
        ["What", "Is"],
    );
    for (title, arm) in [("Serving", &report.primary), ("Candidate", &report.candidate)] {
        let Arm {
            model,
            version,
            weights,
            image,
        } = arm;
        line(page, title, &format!("{model} {version}"));
        for (what, value) in [("weights", weights), ("image", image)] {
            if let Some(value) = value {
                line(page, &format!("{title}: {what}"), value);
            }
        }
    }
    line(page, "Spec", &report.spec_digest);
    line(page, "ShadowDeployment", &report.uid);
    line(page, "alpha, power", &format!("{}, {}", report.alpha, report.power));
    line(page, "Report", digest);
    page.raw("</tbody></table>\n");
}

fn open(page: &mut Page, caption: &'static str, titles: [&'static str; 2]) {
    page.raw("<table class=\"word\"><caption>")
        .raw(caption)
        .raw("</caption><thead><tr>");
    for title in titles {
        page.raw("<th scope=\"col\">").raw(title).raw("</th>");
    }
    page.raw("</tr></thead><tbody>\n");
}

fn line(page: &mut Page, name: &str, value: &str) {
    page.raw("<tr><th scope=\"row\">")
        .text(name)
        .raw("</th><td>")
        .text(value)
        .raw("</td></tr>\n");
}
