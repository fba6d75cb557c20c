//! A report as one page: no script, nothing fetched, nothing that words of users or models could add to it.

mod escape;
mod forest;
mod plots;
mod tables;

use api::shadowdeployment::Verdict;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

use self::escape::Page;
use super::{Content, Fault, Report, terminal};
use crate::metric;

const CSS: &str = include_str!("page.css");

/// The report as an HTML page. It stands alone: a policy within it forbids scripts, and whatever a browser would fetch.
///
/// # Errors
/// With the field that is wrong, as [`Report::check`].
pub fn page(report: &Report) -> Result<String, Fault> {
    let digest = report.digest()?;
    let mut page = Page::default();
    head(&mut page, report);
    page.raw("<body>\n<main>\n");
    verdict(&mut page, report);
    forest::figure(&mut page, report);
    tables::metrics(&mut page, report);
    plots::courses(&mut page, report);
    plots::distributions(&mut page, report);
    tables::accounts(&mut page, report);
    content(&mut page, report);
    tables::identities(&mut page, report, &digest);
    page.raw("</main>\n</body>\n</html>\n");
    Ok(page.finish())
}

fn head(page: &mut Page, report: &Report) {
    page.raw("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    // Only this style, and nothing else at all.
    let style = format!("'sha256-{}'", STANDARD.encode(Sha256::digest(CSS)));
    page.raw("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; base-uri 'none'; form-action 'none'; style-src ");
    page.policy(&style);
    page.raw("\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    page.raw("<meta name=\"referrer\" content=\"no-referrer\">\n<title>");
    page.text(terminal::verdict(report.verdict))
        .raw(": ")
        .text(&report.namespace)
        .raw("/")
        .text(&report.name);
    page.raw("</title>\n<style>").raw(CSS).raw("</style>\n</head>\n");
}

fn verdict(page: &mut Page, report: &Report) {
    page.raw("<h1>Shadow deployment ")
        .text(&report.namespace)
        .raw("/")
        .text(&report.name)
        .raw("</h1>\n");
    let (class, sign) = match report.verdict {
        Verdict::Promote => ("<div class=\"verdict good\">", "✓ "),
        Verdict::Reject => ("<div class=\"verdict bad\">", "✗ "),
        Verdict::Inconclusive => ("<div class=\"verdict open\">", "? "),
    };
    page.raw(class)
        .raw("<strong>")
        .raw(sign)
        .text(terminal::verdict(report.verdict))
        .raw("</strong> <span>(");
    page.text(&report.reason)
        .raw(")</span><p>")
        .text(&report.message)
        .raw("</p></div>\n<p>");
    page.text(&format!("{} {}", report.candidate.model, report.candidate.version));
    page.raw(" answered copies of requests in the dark; ");
    page.text(&format!("{} {}", report.primary.model, report.primary.version));
    page.raw(" served. ")
        .text(&count(report.pairs))
        .raw(" pairs in ")
        .text(&count(report.clusters));
    page.raw(" conversations, from ")
        .text(&report.window.from)
        .raw(" to ")
        .text(&report.window.to)
        .raw(".</p>\n");
}

fn content(page: &mut Page, report: &Report) {
    page.raw("<h2>Most different pairs</h2>\n");
    let examples = match &report.content {
        Content::Withheld => {
            page.raw("<p>No words of users and models are shown here.</p>\n");
            return;
        }
        Content::Kept(examples) => examples,
    };
    if examples.is_empty() {
        page.raw("<p>There are none.</p>\n");
    }
    for example in examples {
        page.raw("<section class=\"pair\"><h3>")
            .text(metric::name(example.metric))
            .raw(" ");
        page.text(&example.score.to_string())
            .raw(" <span class=\"quiet\">(pair ")
            .text(&example.pair);
        page.raw(")</span></h3>\n");
        words(page, "Asked", &example.prompt);
        page.raw("<div class=\"answers\">");
        words(page, "Serving version", &example.primary);
        words(page, "Candidate", &example.candidate);
        page.raw("</div></section>\n");
    }
}

fn words(page: &mut Page, title: &'static str, text: &str) {
    page.raw("<div><h3>")
        .raw(title)
        .raw("</h3><pre tabindex=\"0\" dir=\"auto\">")
        .text(text)
        .raw("</pre></div>\n");
}

/// A count with thin groups of digits.
fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests;
