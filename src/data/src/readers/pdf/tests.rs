use super::*;
use crate::documents::pdf::testing::{objects, stream};
use crate::readers::{Programs, of_bytes};
use protocol::tune::DataFormat;

/// A PDF of these objects, the first of which is its catalog.
fn pdf(of: &[Vec<u8>]) -> Vec<u8> {
    objects(of, "")
}

/// A page of 6 by 4 inches with these lines.
fn text_pdf(lines: &[&str]) -> Vec<u8> {
    let mut drawing = String::from("BT /F1 16 Tf 40 240 Td 22 TL\n");
    for line in lines {
        drawing += &format!("({line}) Tj T*\n");
    }
    drawing += "ET";
    pdf(&[
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_vec(),
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 432 288] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>"
            .to_vec(),
        stream("", drawing.as_bytes()),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_vec(),
    ])
}

/// The same page as a picture, of so many dots in an inch, as a scanner makes it.
fn scanned(lines: &[&str], dots: u32) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.pdf"), text_pdf(lines)).unwrap();
    let status = std::process::Command::new("pdftoppm")
        .args(["-gray", "-singlefile", "-r", &dots.to_string(), "a.pdf", "page"])
        .current_dir(dir.path())
        .status()
        .unwrap();
    assert!(status.success());
    let picture = std::fs::read(dir.path().join("page.pgm")).unwrap();
    let (width, height) = (432 * dots / 72, 288 * dots / 72);
    let pixels = &picture[picture.len() - (width * height) as usize..];
    let kind = format!(
        "/Type /XObject /Subtype /Image /Width {width} /Height {height} /ColorSpace /DeviceGray /BitsPerComponent 8"
    );
    pdf(&[
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_vec(),
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 432 288] /Contents 4 0 R /Resources << /XObject << /I 5 0 R >> >> >>"
            .to_vec(),
        stream("", b"q 432 0 0 288 0 0 cm /I Do Q"),
        stream(&kind, pixels),
    ])
}

const LINES: [&str; 4] = [
    "The harbour master counts ships at dawn.",
    "Every crate is weighed before it leaves.",
    "Nobody may open a seal without a witness.",
    "Letters are answered within three days.",
];

fn read(bytes: &[u8], max: usize) -> Item {
    let mut items = of_bytes(bytes, "a.pdf", DataFormat::Text, max);
    assert_eq!(items.len(), 1, "{items:?}");
    items.remove(0)
}

#[test]
#[ignore = "needs poppler-utils"]
fn a_text_layer_is_read() {
    let Item::Text(text) = read(&text_pdf(&LINES), 10_000) else {
        panic!()
    };
    assert_eq!(text.lines().collect::<Vec<_>>(), LINES);
    assert!(matches!(read(&text_pdf(&LINES), 50), Item::Bad { bad, .. } if bad.reason == "tooLong"));
}

#[test]
#[ignore = "needs poppler-utils and tesseract-ocr"]
fn a_good_scan_is_recognized() {
    let Item::Text(text) = read(&scanned(&LINES, 300), 10_000) else {
        panic!()
    };
    let expected = LINES.join(" ");
    let (words, expected): (Vec<_>, Vec<_>) = (text.split_whitespace().collect(), expected.split(' ').collect());
    assert_eq!(words.len(), expected.len(), "{text}");
    // Versions of the recognizer differ in a letter.
    let wrong = words.iter().zip(&expected).filter(|(word, expected)| word != expected);
    assert!(wrong.count() <= 1, "{text}");
}

#[test]
#[ignore = "needs poppler-utils and tesseract-ocr"]
fn a_bad_scan_is_set_aside() {
    for (pdf, says) in [
        (scanned(&LINES, 72), "72 dots in an inch"),
        (scanned(&[], 300), "no word"),
        (text_pdf(&[]), "no word"),
        (b"%PDF-1.4 and nothing behind it".to_vec(), "pdftotext cannot read it"),
    ] {
        match read(&pdf, 10_000) {
            Item::Quarantined(why) => assert!(why.contains(says), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn without_programs_documents_are_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.pdf");
    std::fs::write(&path, text_pdf(&LINES)).unwrap();
    let settings = Settings {
        format: DataFormat::Text,
        max_bytes: 1000,
        scratch: dir.path().into(),
        programs: Programs {
            pdftotext: "no-such-pdftotext".into(),
            ..Programs::default()
        },
    };
    let mut why = None;
    super::read(&path, &settings, &mut |item| {
        if let Item::Quarantined(text) = item {
            why = Some(text);
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(why.as_deref(), Some("no-such-pdftotext is not installed here"));
}
