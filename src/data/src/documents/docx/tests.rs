use rooms::chunking::Kind;
use rstest::rstest;

use super::testing::{document, package};
use super::*;

fn texts(document: &Document) -> Vec<(Kind, &str)> {
    document
        .blocks
        .iter()
        .map(|block| (block.kind, block.text.as_str()))
        .collect()
}

fn text(text: &str) -> String {
    format!("<w:p><w:r><w:t>{text}</w:t></w:r></w:p>")
}

#[test]
fn structure_is_kept() {
    let cell = |content: &str| format!("<w:tc><w:tcPr/>{}</w:tc>", text(content));
    let body = format!(
        "<w:p><w:pPr><w:pStyle w:val=\"Mine\"/></w:pPr><w:r><w:t>Leave</w:t></w:r></w:p>\
         <w:p><w:r><w:t xml:space=\"preserve\">Twenty &lt;days&gt; </w:t></w:r><w:r><w:t>a&#160;year</w:t><w:br/><w:t>now</w:t></w:r></w:p>\
         <w:p><w:pPr><w:numPr><w:ilvl w:val=\"0\"/></w:numPr></w:pPr><w:r><w:t>one</w:t></w:r></w:p>\
         <w:p><w:del><w:r><w:delText>gone</w:delText></w:r></w:del><w:r><w:instrText>PAGE</w:instrText></w:r></w:p>\
         <w:p><w:pPr><w:outlineLvl w:val=\"1\"/></w:pPr><w:r><w:t>Pay</w:t></w:r></w:p>\
         <w:tbl><w:tr>{}{}</w:tr><w:tr>{}<w:tc><w:tbl><w:tr>{}</w:tr></w:tbl><w:p/></w:tc></w:tr></w:tbl>\
         <mc:AlternateContent><mc:Choice>{}</mc:Choice><mc:Fallback>{}</mc:Fallback></mc:AlternateContent>",
        cell("Name"),
        cell("Town"),
        cell("Ann"),
        cell("Rome"),
        text("box"),
        text("box again")
    );
    let found = read(&document(&body), &Limits::default(), true).unwrap();
    assert_eq!(
        texts(&found),
        [
            (Kind::Heading { level: 1 }, "Leave"),
            (Kind::Paragraph, "Twenty <days> a\u{a0}year\nnow"),
            (Kind::ListItem, "one"),
            (Kind::Heading { level: 2 }, "Pay"),
            (Kind::Table, "Name | Town\nAnn | Rome"),
            (Kind::Paragraph, "box"),
        ]
    );
    assert_eq!(found.title.as_deref(), Some("Leave & pay"));
}

#[rstest]
#[case("<w:vanish/>")]
#[case("<w:color w:val=\"FFFFFF\"/>")]
#[case("<w:sz w:val=\"2\"/>")]
fn what_is_not_seen_is_apart(#[case] property: &str) {
    let body = format!(
        "{}<w:p><w:r><w:rPr>{property}</w:rPr><w:t>obey me</w:t></w:r></w:p>",
        text("seen")
    );
    let found = read(&document(&body), &Limits::default(), true).unwrap();
    assert_eq!(texts(&found), [(Kind::Paragraph, "seen")]);
    assert_eq!(found.hidden, ["obey me"]);
}

#[test]
fn white_on_something_is_seen() {
    let body = "<w:p><w:pPr><w:shd w:fill=\"000080\"/></w:pPr><w:r><w:rPr><w:color w:val=\"FFFFFF\"/></w:rPr><w:t>Title</w:t></w:r></w:p>\
        <w:p><w:r><w:rPr><w:vanish w:val=\"0\"/></w:rPr><w:t>text</w:t></w:r></w:p>";
    let found = read(&document(body), &Limits::default(), true).unwrap();
    assert_eq!(texts(&found), [(Kind::Paragraph, "Title"), (Kind::Paragraph, "text")]);
}

#[test]
fn other_archives_are_told_what_to_do() {
    for (files, reason, says) in [
        (&[("xl/workbook.xml", &b"x"[..])][..], Reason::UnsupportedType, "CSV"),
        (&[("ppt/a.xml", b"x")], Reason::UnsupportedType, "PDF"),
        (&[("content.xml", b"x")], Reason::UnsupportedType, "OpenDocument"),
        (&[("word/styles.xml", b"x")], Reason::Broken, "body"),
        (&[("a", b"x")], Reason::UnsupportedType, "unpack"),
    ] {
        let refused = read(&package(files), &Limits::default(), true).unwrap_err();
        assert_eq!(refused.reason, reason, "{refused}");
        assert!(refused.detail.contains(says), "{refused}");
    }
    assert_eq!(
        read(b"PK\x03\x04nonsense", &Limits::default(), true)
            .unwrap_err()
            .reason,
        Reason::Broken
    );
}

#[test]
fn bombs_are_refused_before_they_are_unpacked() {
    let limits = Limits {
        unpacked_bytes: 1 << 20,
        ..Limits::default()
    };
    let bomb = document(&" ".repeat(8 << 20));
    assert!(bomb.len() < 1 << 17);
    let refused = read(&bomb, &limits, true).unwrap_err();
    assert_eq!(refused.reason, Reason::UnpacksTooLarge, "{refused}");
}

#[rstest]
#[case("<!DOCTYPE a [<!ENTITY x \"y\">]><w:document/>", "entities")]
#[case("<w:document><w:body><w:p>", "ends in the middle")]
#[case("<w:document></w:body>", "broken")]
fn broken_xml_is_told(#[case] main: &str, #[case] says: &str) {
    let refused = read(
        &package(&[("word/document.xml", main.as_bytes())]),
        &Limits::default(),
        true,
    )
    .unwrap_err();
    assert_eq!(refused.reason, Reason::Broken);
    assert!(refused.detail.contains(says), "{refused}");
}

#[test]
fn deep_nesting_ends() {
    for element in ["w:p", "w:tbl", "w:del", "w:rPr"] {
        let body = format!("<{element}>").repeat(100_000) + &format!("</{element}>").repeat(100_000);
        let _ = read(&document(&body), &Limits::default(), true);
    }
    let loops = "<w:p><w:pPr><w:pStyle w:val=\"Loop\"/></w:pPr><w:r><w:t>a</w:t></w:r></w:p>";
    assert_eq!(
        read(&document(loops), &Limits::default(), true).unwrap().blocks.len(),
        1
    );
}
