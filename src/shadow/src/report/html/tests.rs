use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::report::{Interval, Number, testing::example};

#[test]
fn a_report_as_a_page() {
    insta::with_settings!({omit_expression => true}, {
        insta::assert_snapshot!("page", page(&example()).unwrap());
    });
}

/// Tags of a page, by the letters behind `<`.
fn tags(page: &str) -> std::collections::BTreeSet<String> {
    let tags = page.split('<').skip(1);
    tags.map(|tag| {
        tag.chars()
            .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '!'))
            .collect()
    })
    .collect()
}

/// What runs, fetches or leads away.
const DANGEROUS: [&str; 12] = [
    "script",
    "img",
    "iframe",
    "object",
    "embed",
    "link",
    "a",
    "form",
    "input",
    "base",
    "image",
    "foreignObject",
];

#[test]
fn words_of_strangers_add_nothing_to_a_page() {
    let hostile = "</pre></style><script>alert(1)</script><img src=x onerror=alert(1)>\" onload=\"x' `${x}` &lt; <!-- ]]>\u{202e}";
    let harmless = tags(&page(&example()).unwrap());
    let mut report = example();
    for text in [
        &mut report.namespace,
        &mut report.name,
        &mut report.uid,
        &mut report.reason,
        &mut report.message,
        &mut report.window.from,
        &mut report.primary.model,
        &mut report.candidate.version,
    ] {
        *text = hostile.into();
    }
    report.candidate.image = Some(hostile.into());
    report.limits.money = Some(hostile.into());
    report.dropped.insert(hostile.into(), 1);
    if let Content::Kept(examples) = &mut report.content {
        let example = &mut examples[0];
        for text in [
            &mut example.pair,
            &mut example.prompt,
            &mut example.primary,
            &mut example.candidate,
        ] {
            *text = hostile.into();
        }
    }
    let page = page(&report).unwrap();
    assert_eq!(tags(&page), harmless);
    assert!(!page.contains('\u{202e}'));
    assert!(!page.contains("onload=\"") && !page.contains("onerror=alert(1)>"));
}

#[test]
fn a_page_runs_and_fetches_nothing() {
    let page = page(&example()).unwrap();
    let tags = tags(&page);
    for tag in DANGEROUS {
        assert!(!tags.contains(tag), "{tag}");
    }
    assert!(page.contains("content=\"default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-"));
    assert!(!CSS.contains("url(") && !CSS.contains("@import") && !page.contains(" style="));
}

#[test]
fn every_tag_is_closed() {
    let page = page(&example()).unwrap();
    for tag in [
        "html", "head", "body", "main", "div", "span", "table", "thead", "tbody", "tr", "th", "td", "figure", "svg",
        "pre", "section", "p",
    ] {
        let opened = page.matches(&format!("<{tag} ")).count() + page.matches(&format!("<{tag}>")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn drawings_and_tables_are_told_in_words() {
    let page = page(&example()).unwrap();
    let with = |tag: &str, part: &str| {
        page.split(tag)
            .skip(1)
            .filter(|rest| rest[..300.min(rest.len())].contains(part))
            .count()
    };
    let all = |tag: &str| page.matches(tag).count();
    assert_eq!(with("<svg ", "aria-label=\""), all("<svg "));
    assert_eq!(all("<caption>"), all("<table"));
    assert!(all("<svg ") > 10);
}

#[test]
fn what_may_not_be_kept_is_not_shown() {
    let mut report = example();
    report.content = Content::Withheld;
    let page = page(&report).unwrap();
    assert!(page.contains("No words of users and models are shown here.") && !page.contains("<pre"));
}

#[test]
fn a_report_that_is_wrong_has_no_page() {
    let mut report = example();
    report.metrics.clear();
    assert_eq!(page(&report).unwrap_err().field, "metrics");
}

#[rstest]
#[case(0, "0")]
#[case(999, "999")]
#[case(1000, "1,000")]
#[case(12_345_678, "12,345,678")]
fn counts_are_grouped(#[case] number: u64, #[case] text: &str) {
    assert_eq!(count(number), text);
}

proptest! {
    #[test]
    fn whatever_the_numbers_nothing_of_a_page_is_no_number(low in any::<f64>(), high in any::<f64>(), margin in any::<f64>(), value in any::<f64>()) {
        let numbers = [low, high, margin, value].map(Number::new);
        if let [Some(low), Some(high), Some(margin), Some(value)] = numbers {
            let mut report = example();
            for metric in &mut report.metrics {
                metric.interval = (low <= high).then_some(Interval { low, high });
                metric.difference = Some(value);
                metric.margin = Number::new(margin.get().abs()).unwrap();
                for point in &mut metric.course {
                    (point.low, point.high) = if low <= high { (low, high) } else { (high, low) };
                    point.difference = value;
                }
            }
            let page = page(&report).unwrap();
            prop_assert!(!page.contains("NaN") && !page.contains("inf"));
        }
    }
}
