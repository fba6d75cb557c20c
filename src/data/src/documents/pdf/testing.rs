//! PDFs for tests, and scans of them.

/// A PDF of these objects, the first of which is its catalog.
pub(crate) fn objects(objects: &[Vec<u8>], trailer: &str) -> Vec<u8> {
    let mut bytes = b"%PDF-1.4\n".to_vec();
    let mut places = Vec::new();
    for (number, object) in (1..).zip(objects) {
        places.push(bytes.len());
        bytes.extend(format!("{number} 0 obj\n").bytes());
        bytes.extend(object);
        bytes.extend(b"\nendobj\n");
    }
    let table = bytes.len();
    bytes.extend(format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).bytes());
    for place in places {
        bytes.extend(format!("{place:010} 00000 n \n").bytes());
    }
    let size = objects.len() + 1;
    bytes.extend(format!("trailer\n<< /Size {size} /Root 1 0 R {trailer} >>\nstartxref\n{table}\n%%EOF\n").bytes());
    bytes
}

pub(crate) fn stream(dictionary: &str, content: &[u8]) -> Vec<u8> {
    let head = format!("<< {dictionary} /Length {} >>\nstream\n", content.len());
    [head.as_bytes(), content, b"\nendstream"].concat()
}

/// Pages of US letter with these drawings; F1 is Helvetica, F2 bold, and F3 fixed.
pub(crate) fn drawn(pages: &[String]) -> Vec<u8> {
    drawn_with(pages, "")
}

/// The same, with more in its trailer.
pub(crate) fn drawn_with(pages: &[String], trailer: &str) -> Vec<u8> {
    let first = 6;
    let kids: Vec<String> = (0..pages.len()).map(|at| format!("{} 0 R", first + 2 * at)).collect();
    let font = |name: &str| format!("<< /Type /Font /Subtype /Type1 /BaseFont /{name} >>").into_bytes();
    let mut all = vec![
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        format!("<< /Type /Pages /Kids [{}] /Count {} >>", kids.join(" "), pages.len()).into_bytes(),
        font("Helvetica"),
        font("Helvetica-Bold"),
        font("Courier"),
    ];
    for (at, page) in pages.iter().enumerate() {
        let content = first + 2 * at + 1;
        let dictionary = format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {content} 0 R /Resources << /Font << /F1 3 0 R /F2 4 0 R /F3 5 0 R >> >> >>"
        );
        all.push(dictionary.into_bytes());
        all.push(stream("", page.as_bytes()));
    }
    objects(&all, trailer)
}

/// A drawing of text: font, size, and where it begins, from the left lower corner.
pub(crate) fn text(font: &str, size: f32, left: f32, bottom: f32, text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('(', "\\(").replace(')', "\\)");
    format!("BT /{font} {size} Tf {left} {bottom} Td ({text}) Tj ET\n")
}

/// Lines below each other, from the top.
pub(crate) fn lines(texts: &[&str]) -> String {
    (0..)
        .zip(texts)
        .map(|(at, line)| text("F1", 12.0, 72.0, 700.0 - 15.0 * at as f32, line))
        .collect()
}

/// A picture of the first page of a PDF, in shades of gray, as `P5`.
pub(crate) fn picture(pdf: &[u8], dots: u32) -> image::GrayImage {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.pdf"), pdf).unwrap();
    let status = std::process::Command::new("pdftoppm")
        .args(["-gray", "-png", "-singlefile", "-r", &dots.to_string(), "a.pdf", "page"])
        .current_dir(dir.path())
        .status()
        .expect("pdftoppm is installed: see TEST_PACKAGES of xtask");
    assert!(status.success());
    image::open(dir.path().join("page.png")).unwrap().into_luma8()
}

/// A PDF of pages that are pictures, as a scanner makes it, each of so many dots in an inch.
pub(crate) fn scanned(pictures: &[image::GrayImage]) -> Vec<u8> {
    let first = 3;
    let kids: Vec<String> = (0..pictures.len())
        .map(|at| format!("{} 0 R", first + 3 * at))
        .collect();
    let mut all = vec![
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        format!(
            "<< /Type /Pages /Kids [{}] /Count {} >>",
            kids.join(" "),
            pictures.len()
        )
        .into_bytes(),
    ];
    for (at, picture) in pictures.iter().enumerate() {
        let page = first + 3 * at;
        all.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {} 0 R /Resources << /XObject << /I {} 0 R >> >> >>",
            page + 1,
            page + 2
        ).into_bytes());
        all.push(stream("", b"q 612 0 0 792 0 0 cm /I Do Q"));
        let kind = format!(
            "/Type /XObject /Subtype /Image /Width {} /Height {} /ColorSpace /DeviceGray /BitsPerComponent 8",
            picture.width(),
            picture.height()
        );
        all.push(stream(&kind, picture.as_raw()));
    }
    objects(&all, "")
}
