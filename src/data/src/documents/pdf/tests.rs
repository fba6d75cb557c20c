use protocol::ingest::Limits;
use rooms::chunking::Kind;
use rstest::rstest;

use super::testing::{drawn, drawn_with, lines, text};
use super::*;
use crate::documents::testing::of_bytes;
use crate::documents::{Document, Request};

fn read(bytes: &[u8]) -> Result<Document> {
    of_bytes("a.pdf", bytes, |_| {})
}

fn texts(document: &Document) -> Vec<(Kind, &str)> {
    document
        .blocks
        .iter()
        .map(|block| (block.kind, block.text.as_str()))
        .collect()
}

/// A page of a handbook.
fn page() -> String {
    [
        text("F2", 20.0, 72.0, 720.0, "Leave of absence"),
        text(
            "F1",
            11.0,
            72.0,
            690.0,
            "Everybody has twenty days in a year, unless an agree-",
        ),
        text(
            "F1",
            11.0,
            72.0,
            676.0,
            "ment says otherwise. The days of the year before are",
        ),
        text("F1", 11.0, 72.0, 662.0, "lost in April."),
        text(
            "F1",
            11.0,
            72.0,
            632.0,
            "Another paragraph stands apart from the first one.",
        ),
        text("F1", 11.0, 72.0, 600.0, "1. The first item of a list"),
        text("F1", 11.0, 72.0, 586.0, "2. The second item of it"),
        text("F1", 11.0, 72.0, 550.0, "Name") + &text("F1", 11.0, 250.0, 550.0, "Town"),
        text("F1", 11.0, 72.0, 536.0, "Ann") + &text("F1", 11.0, 250.0, 536.0, "Rome"),
        text("F3", 11.0, 72.0, 500.0, "let x = 1;"),
        text("F3", 11.0, 85.2, 486.0, "print(x)"),
    ]
    .concat()
}

#[test]
fn structure_and_places_are_kept() {
    let document = read(&drawn(&[page()])).unwrap();
    assert_eq!(
        texts(&document),
        [
            (Kind::Heading { level: 1 }, "Leave of absence"),
            (
                Kind::Paragraph,
                "Everybody has twenty days in a year, unless an agreement says otherwise. The days of the year before are lost in April."
            ),
            (Kind::Paragraph, "Another paragraph stands apart from the first one."),
            (Kind::ListItem, "1. The first item of a list"),
            (Kind::ListItem, "2. The second item of it"),
            (Kind::Table, "Name | Town\nAnn | Rome"),
            (Kind::Code, "let x = 1;\n  print(x)"),
        ]
    );
    assert_eq!(
        (document.pages, document.title.as_deref()),
        (Some(1), Some("Leave of absence"))
    );
    let [left, top, right, bottom] = document.blocks[1].area.unwrap();
    assert!(
        (left - 72.0 / 612.0).abs() < 0.01 && (top - (792.0 - 700.0) / 792.0).abs() < 0.02,
        "{left} {top}"
    );
    assert!(right < 0.7 && bottom > top && bottom < 0.18, "{right} {bottom}");
    assert!(document.hidden.is_empty() && document.doubts.is_empty());
}

#[test]
fn headers_and_numbers_of_pages_go() {
    let pages: Vec<String> = (1..=4)
        .map(|number| {
            let around = text("F1", 9.0, 72.0, 770.0, "Handbook of the harbour")
                + &text("F1", 9.0, 300.0, 30.0, &number.to_string());
            let own = ["First", "Second", "Third", "Last"][number - 1];
            let said: Vec<String> = (0..8)
                .map(|line| {
                    format!(
                        "{own} page, and its line number {} of text.",
                        ["a", "b", "c", "d", "e", "f", "g", "h"][line]
                    )
                })
                .collect();
            around + &lines(&said.iter().map(String::as_str).collect::<Vec<_>>())
        })
        .collect();
    let bytes = drawn(&pages);
    let document = read(&bytes).unwrap();
    let all: String = document
        .blocks
        .iter()
        .map(|block| format!("{}\n", block.text))
        .collect();
    assert!(
        !all.contains("harbour") && all.contains("Last page, and its line number h"),
        "{all}"
    );
    assert_eq!(document.blocks.last().unwrap().page, Some(4));
    let raw = of_bytes("a.pdf", &bytes, |request: &mut Request| request.clean = false).unwrap();
    assert!(raw.blocks.iter().any(|block| block.text.contains("harbour")));
}

#[test]
fn hidden_text_is_apart() {
    let blue = "0 0 0.5 rg 60 540 500 40 re f 1 1 1 rg\n".to_owned()
        + &text("F1", 16.0, 72.0, 550.0, "White letters on blue are seen");
    let white = "1 1 1 rg\n".to_owned()
        + &text(
            "F1",
            12.0,
            72.0,
            400.0,
            "White letters on white are not seen by anybody",
        );
    let tiny = "0 0 0 rg\n".to_owned()
        + &text(
            "F1",
            1.0,
            72.0,
            300.0,
            "Letters of a single point are too small for people",
        );
    let off = text("F1", 12.0, 700.0, 200.0, "Off the page");
    let invisible = "3 Tr\n".to_owned() + &text("F1", 12.0, 72.0, 100.0, "Invisible by mode");
    let page = lines(&["Visible text of some length is here."]) + &blue + &white + &tiny + &off + &invisible;
    let document = read(&drawn(&[page])).unwrap();
    let seen: String = document
        .blocks
        .iter()
        .map(|block| format!("{}\n", block.text))
        .collect();
    assert!(
        seen.contains("Visible text") && seen.contains("on blue are seen"),
        "{seen}"
    );
    for unseen in ["on white", "single point", "Off the page", "Invisible"] {
        assert!(!seen.contains(unseen), "{seen}");
    }
    let hidden = document.hidden.join(" ");
    assert!(
        hidden.contains("on white") && hidden.contains("single point") && hidden.contains("Off the page"),
        "{hidden}"
    );
    assert_eq!(document.doubts[0].reason, Reason::HiddenText);
}

#[rstest]
#[case(b"%PDF-1.4 and nothing behind it".to_vec(), Reason::Broken)]
#[case(drawn_with(&["".into()], &format!("/Encrypt << /Filter /Standard /V 1 /R 2 /O <{0}> /U <{0}> /P -4 >> /ID [<00><00>]", "41".repeat(32))), Reason::Encrypted)]
#[case(drawn(&["".into()]), Reason::Empty)]
#[case(drawn(&vec![String::new(); 30]), Reason::TooManyPages)]
fn what_cannot_be_read_is_told(#[case] bytes: Vec<u8>, #[case] reason: Reason) {
    let refused = of_bytes("a.pdf", &bytes, |request| request.limits.pages = 20).unwrap_err();
    assert_eq!(refused.reason, reason, "{refused}");
}

#[test]
fn without_programs_it_says_which() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.pdf");
    std::fs::write(&path, drawn(&[page()])).unwrap();
    let request = Request {
        path,
        name: "a.pdf".into(),
        media_type: None,
        clean: true,
        ocr: None,
        limits: Limits::default(),
    };
    let programs = crate::readers::Programs {
        pdftohtml: "no-such-pdftohtml".into(),
        ..Default::default()
    };
    let refused = crate::documents::read(&request, &programs, dir.path()).unwrap_err();
    assert_eq!(refused.reason, Reason::ReaderFailed);
    assert!(
        refused.detail.contains("no-such-pdftohtml is not installed here"),
        "{refused}"
    );
}
