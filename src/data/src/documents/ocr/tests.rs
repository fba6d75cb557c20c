use image::imageops;
use protocol::ingest::Ocr;

use super::*;
use crate::documents::pdf::testing::{drawn, lines, picture as drawn_picture, scanned};
use crate::documents::testing::of_bytes;
use crate::documents::{Document, Request};

const LINES: [&str; 12] = [
    "The harbour master counts the ships at dawn, and writes",
    "their names into a book that nobody but him may open.",
    "Every crate is weighed before it leaves the quay, and once",
    "more when it arrives at the other end of the town.",
    "Nobody may open a seal without a witness who can write.",
    "Letters are answered within three days, unless the person",
    "who wrote them has asked for an answer by word of mouth.",
    "The gates are closed when the bell has rung nine times.",
    "Whoever is late sleeps in the house of the old customs.",
    "Fires are lit on the northern wall when there is fog.",
    "Fish is sold in the morning, and only by those who have",
    "caught it themselves or are related to whoever has.",
];

fn page(dots: u32) -> Gray {
    drawn_picture(&drawn(&[lines(&LINES)]), dots)
}

fn with_ocr(request: &mut Request) {
    request.ocr = Some(Ocr {
        languages: vec!["eng".into()],
        min_confidence: 75,
    });
}

/// Share of the words that are found.
fn recall(document: &Document) -> f64 {
    let text: String = document.blocks.iter().map(|block| format!("{} ", block.text)).collect();
    let expected: Vec<&str> = LINES.iter().flat_map(|line| line.split(' ')).collect();
    let found = expected.iter().filter(|word| text.contains(**word)).count();
    found as f64 / expected.len() as f64
}

fn reasons(document: &Document) -> Vec<Reason> {
    document.doubts.iter().map(|doubt| doubt.reason).collect()
}

#[test]
fn a_good_scan_is_read_with_places_and_a_picture() {
    let document = of_bytes("a.pdf", &scanned(&[page(300)]), with_ocr).unwrap();
    assert!(document.doubts.is_empty(), "{:?}", document.doubts);
    assert!(recall(&document) > 0.95, "{document:?}");
    assert_eq!((document.pages, document.blocks[0].page), (Some(1), Some(1)));
    // Twelve lines from an inch on, each of them some five inches long.
    let [left, top, right, bottom] = document.blocks[0].area.unwrap();
    assert!(
        (0.1..0.14).contains(&left) && (0.09..0.13).contains(&top),
        "{left} {top}"
    );
    assert!(
        (0.5..0.8).contains(&right) && (top..0.4).contains(&bottom),
        "{right} {bottom}"
    );
    assert_eq!(document.pictures.len(), 1);
}

#[test]
fn a_page_that_lies_askew_or_on_its_side_is_set_upright() {
    for picture in [deskew::turned(&page(300), 6.0), imageops::rotate180(&page(300))] {
        let document = of_bytes("a.pdf", &scanned(&[picture]), with_ocr).unwrap();
        assert!(
            document.doubts.is_empty() && recall(&document) > 0.95,
            "{:?}",
            document.doubts
        );
    }
}

#[test]
fn bad_scans_are_doubted() {
    let blurred = imageops::blur(&page(300), 6.0);
    let low = imageops::resize(&page(72), 612, 792, imageops::FilterType::Nearest);
    for (picture, expected) in [(blurred, Reason::BadScan), (low, Reason::LowResolution)] {
        let document = of_bytes("a.pdf", &scanned(&[picture]), with_ocr).unwrap();
        let found = reasons(&document);
        let is_coverage = expected == Reason::BadScan && found == [Reason::LowCoverage];
        assert!(found.contains(&expected) || is_coverage, "{:?}", document.doubts);
        assert_eq!(document.pictures.len(), 1);
    }
}

#[test]
fn a_blank_page_among_others_is_no_bad_scan() {
    let blank = Gray::from_pixel(2550, 3300, image::Luma([252]));
    let document = of_bytes("a.pdf", &scanned(&[page(300), blank.clone()]), with_ocr).unwrap();
    assert!(
        document.doubts.is_empty() && recall(&document) > 0.95,
        "{:?}",
        document.doubts
    );
    let alone = of_bytes("a.pdf", &scanned(&[blank]), with_ocr).unwrap_err();
    assert_eq!(alone.reason, Reason::Empty);
}

#[test]
fn without_ocr_pictures_are_doubted() {
    let document = of_bytes("a.pdf", &scanned(&[page(150)]), |_| {}).unwrap();
    assert_eq!(reasons(&document), [Reason::NoTextLayer]);
    let mut bytes = Vec::new();
    page(100)
        .write_to(&mut Cursor::new(&mut bytes), image::ImageFormat::Png)
        .unwrap();
    let document = of_bytes("a.png", &bytes, |_| {}).unwrap();
    assert_eq!(
        (reasons(&document), document.pictures.len()),
        (vec![Reason::NoTextLayer], 1)
    );
}

#[test]
fn pictures_of_all_kinds_are_read() {
    for format in [
        image::ImageFormat::Png,
        image::ImageFormat::Jpeg,
        image::ImageFormat::Tiff,
    ] {
        let mut bytes = Vec::new();
        page(300).write_to(&mut Cursor::new(&mut bytes), format).unwrap();
        let document = of_bytes("a", &bytes, with_ocr).unwrap();
        assert!(
            document.doubts.is_empty() && recall(&document) > 0.95,
            "{format:?}: {:?}",
            document.doubts
        );
    }
}

#[test]
fn what_cannot_be_read_says_why() {
    let refused = |bytes: &[u8], change: fn(&mut Request)| of_bytes("a", bytes, change).unwrap_err();
    let languages = |request: &mut Request| {
        request.ocr = Some(Ocr {
            languages: vec!["eng".into(), "xyz".into()],
            min_confidence: 75,
        });
    };
    let found = refused(&scanned(&[page(300)]), languages);
    assert_eq!(found.reason, Reason::OcrUnavailable);
    assert!(found.detail.contains("\"xyz\""), "{found}");
    assert_eq!(refused(b"\x89PNG\r\n\x1a\nnonsense", with_ocr).reason, Reason::Broken);
    // Two pages: where the second one begins stands behind the twelve bytes of each entry of the first.
    let tiff = [&b"II*\0"[..], &[8, 0, 0, 0, 1, 0], &[0; 12], &[9, 0, 0, 0]].concat();
    assert_eq!(refused(&tiff, with_ocr).reason, Reason::UnsupportedType);
    let mut huge = Vec::new();
    image::GrayImage::new(20_001, 1)
        .write_to(&mut Cursor::new(&mut huge), image::ImageFormat::Png)
        .unwrap();
    assert_eq!(refused(&huge, with_ocr).reason, Reason::TooLarge);
}
