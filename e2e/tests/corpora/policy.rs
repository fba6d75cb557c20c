//! A manual of 193 pages, as TeX makes it, and scans of its pages, from good to bad.

use std::collections::HashSet;
use std::io::Cursor;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use atelier_e2e::{gateway, room};
use image::{GrayImage, ImageFormat, Luma, imageops};
use serde_json::{Value, json};

use crate::measure::share;
use crate::reader::Reader;

const MANUAL: &str = "/usr/share/doc/debian-policy/policy.pdf.gz";
const MANUAL_PAGES: u32 = 193;
/// Pages that are scanned.
const PAGES: [u32; 3] = [20, 60, 100];

/// What may happen to a scan, at 300 dots per inch, and what becomes of it: the sheet of reference measurements that these
/// follow has words found at .92 or more where it says `Kept`, and at .44 or less where it says `SetAside`.
const VARIANTS: [(&str, Spoil, Fate); 13] = [
    ("300 dpi", Spoil::None, Fate::Kept),
    ("200 dpi", Spoil::Dots(200), Fate::Kept),
    ("150 dpi", Spoil::Dots(150), Fate::Kept),
    ("100 dpi", Spoil::Dots(100), Fate::Either),
    ("72 dpi", Spoil::Dots(72), Fate::SetAside),
    ("blur 2 px", Spoil::Blur(2.0), Fate::Kept),
    ("blur 3 px", Spoil::Blur(3.0), Fate::Either),
    ("blur 5 px", Spoil::Blur(5.0), Fate::SetAside),
    ("noise 25", Spoil::Noise(25.0), Fate::Kept),
    ("noise 60", Spoil::Noise(60.0), Fate::SetAside),
    ("skew 2 degrees", Spoil::Skew(2.0), Fate::Kept),
    // Without being set upright first, not a word in thirty was found.
    ("skew 8 degrees", Spoil::Skew(8.0), Fate::Kept),
    ("contrast 0.2", Spoil::Contrast(0.2), Fate::Kept),
];

#[derive(Clone, Copy)]
enum Spoil {
    None,
    Dots(u32),
    Blur(f32),
    Noise(f64),
    Skew(f32),
    Contrast(f32),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Kept,
    SetAside,
    /// Between the two.
    Either,
}

fn manual() -> Result<Vec<u8>> {
    let unpacked = Command::new("gunzip").args(["--stdout", MANUAL]).output()?;
    ensure!(unpacked.status.success(), "{MANUAL} cannot be unpacked");
    Ok(unpacked.stdout)
}

/// A page, as a scanner of so many dots per inch sees it.
fn scan(pdf: &str, page: u32, dots: u32) -> Result<GrayImage> {
    let (page, dots) = (page.to_string(), dots.to_string());
    let drawn = Command::new("pdftoppm")
        .args(["-f", &page, "-l", &page, "-r", &dots, "-gray", "-png", pdf])
        .output()?;
    ensure!(drawn.status.success(), "{}", String::from_utf8_lossy(&drawn.stderr));
    Ok(image::load_from_memory(&drawn.stdout)?.into_luma8())
}

fn words_of(pdf: &str, page: u32) -> Result<HashSet<String>> {
    let page = page.to_string();
    let read = Command::new("pdftotext")
        .args(["-f", &page, "-l", &page, pdf, "-"])
        .output()?;
    Ok(words(&String::from_utf8_lossy(&read.stdout)))
}

fn words(text: &str) -> HashSet<String> {
    let words = text
        .split(|one: char| !one.is_alphanumeric())
        .filter(|word| word.len() > 2);
    words.map(str::to_lowercase).collect()
}

fn spoiled(pdf: &str, page: u32, spoil: Spoil) -> Result<GrayImage> {
    let dots = if let Spoil::Dots(dots) = spoil { dots } else { 300 };
    let mut picture = scan(pdf, page, dots)?;
    match spoil {
        Spoil::None | Spoil::Dots(_) => {}
        Spoil::Blur(sigma) => picture = imageops::blur(&picture, sigma),
        Spoil::Noise(deviation) => noise(&mut picture, deviation),
        Spoil::Skew(degrees) => picture = turned(&picture, degrees),
        Spoil::Contrast(factor) => {
            for pixel in picture.pixels_mut() {
                pixel.0[0] = (128.0 + (f32::from(pixel.0[0]) - 128.0) * factor) as u8;
            }
        }
    }
    Ok(picture)
}

/// Normal noise, the same each time.
fn noise(picture: &mut GrayImage, deviation: f64) {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    for pixel in picture.pixels_mut() {
        // The sum of twelve uniform numbers has a variance of one.
        let normal = (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
        pixel.0[0] = (f64::from(pixel.0[0]) + normal * deviation).clamp(0.0, 255.0) as u8;
    }
}

/// Turned around its middle, on white.
fn turned(picture: &GrayImage, degrees: f32) -> GrayImage {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (width, height) = picture.dimensions();
    let (middle_x, middle_y) = (width as f32 / 2.0, height as f32 / 2.0);
    GrayImage::from_fn(width, height, |x, y| {
        let (x, y) = (x as f32 - middle_x, y as f32 - middle_y);
        let (from_x, from_y) = (cos * x + sin * y + middle_x, cos * y - sin * x + middle_y);
        let is_inside = from_x >= 0.0 && from_y >= 0.0 && from_x < width as f32 - 1.0 && from_y < height as f32 - 1.0;
        match is_inside {
            true => imageops::interpolate_bilinear(picture, from_x, from_y).unwrap_or(Luma([255])),
            false => Luma([255]),
        }
    })
}

/// What a scan of a page is called.
fn file(variant: &str, page: u32) -> String {
    format!("{}-{page}.png", variant.replace(' ', "-"))
}

fn png(picture: &GrayImage) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    picture.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)?;
    Ok(bytes)
}

#[tokio::test]
#[ignore = "fetches texts: cargo xtask e2e corpora"]
async fn good_scans_are_kept_and_bad_ones_set_aside() -> Result<()> {
    let work = tempfile::tempdir()?;
    let pdf = work.path().join("policy.pdf");
    std::fs::write(&pdf, manual()?)?;
    let pdf = pdf.to_string_lossy().into_owned();
    let mut files = vec![("policy.pdf".to_owned(), std::fs::read(&pdf)?)];
    for (variant, spoil, _) in VARIANTS {
        for page in PAGES {
            files.push((file(variant, page), png(&spoiled(&pdf, page, spoil)?)?));
        }
    }
    room::with_encoder("policy", async |namespace| {
        let namespace = &namespace;
        let sources = json!([{"name": "texts", "upload": {"maxSize": "32Mi"}, "ocr": {"languages": ["eng"]}}]);
        let extra = json!({"sources": sources, "retrieval": {"topK": 100}});
        let reader = Reader::with(namespace, "policy", extra, &files).await?;
        // At once: reading the manual takes longer than an idle connection is kept.
        let aside = set_aside(&reader).await?;
        let texts = texts().await?;
        let of = |name: &str| -> String {
            let of_it = texts.iter().filter(|(document, ..)| document.ends_with(name));
            of_it.map(|(_, text, _)| format!("{text} ")).collect()
        };
        // Chunks have the page that they begin on, and go on to the next ones.
        let around = |page: u32| -> HashSet<String> {
            let chunks = texts.iter().filter(|(name, _, place)| {
                let begins = place["page"].as_u64().unwrap_or_default();
                name.ends_with("policy.pdf") && begins <= page.into() && begins + 2 >= page.into()
            });
            chunks.flat_map(|(_, text, _)| words(text)).collect()
        };
        // Lines at the head and foot of pages are left out, of which short pages have a good part of their words.
        let (mut found, mut all, mut whole, mut there) = (0, 0, 0, 0);
        for page in 1..=MANUAL_PAGES {
            let (truth, read) = (words_of(&pdf, page)?, around(page));
            let known = truth.intersection(&read).count();
            (found, all) = (found + known, all + truth.len());
            whole += u32::from(share(known, truth.len()) >= 0.95);
            there += u32::from(share(known, truth.len()) >= 0.8);
        }
        println!(
            "| policy.pdf, pages | words found | pages with 95 % of theirs | with 80 % |\n|---|---|---|---|\n\
             | {MANUAL_PAGES} | {:.3} | {whole} | {there} |",
            share(found, all)
        );
        ensure!(share(found, all) >= 0.95, "only {found} of {all} words are there");
        println!(
            "\n| scan, {} pages | kept | set aside | words found in what is kept |\n|---|---|---|---|",
            PAGES.len()
        );
        let mut wrong = Vec::new();
        for (variant, _, fate) in VARIANTS {
            let (mut kept, mut found, mut all, mut reasons) = (0, 0, 0, Vec::new());
            for page in PAGES {
                let name = file(variant, page);
                if let Some((_, reason)) = aside.iter().find(|(document, _)| document.ends_with(&name)) {
                    reasons.push(reason.clone());
                    continue;
                }
                kept += 1;
                let (truth, read) = (words_of(&pdf, page)?, words(&of(&name)));
                found += truth.intersection(&read).count();
                all += truth.len();
            }
            println!(
                "| {variant} | {kept} | {} | {:.3} |",
                reasons.join(", "),
                share(found, all)
            );
            let is_as_expected = match fate {
                Fate::Kept => kept == PAGES.len() && share(found, all) > 0.9,
                Fate::SetAside => kept == 0,
                Fate::Either => true,
            };
            wrong.extend((!is_as_expected).then_some(variant));
        }
        ensure!(wrong.is_empty(), "these are not as they should be: {wrong:?}");
        Ok(())
    })
    .await
}

/// Names of the documents that are set aside, and why.
async fn set_aside(reader: &Reader) -> Result<Vec<(String, String)>> {
    let path = reader.room.at("/documents?quarantined=true&limit=200");
    let list = gateway::read(reader.gateway.get(&path).await?).await?.1;
    let documents = list["documents"].as_array().context("no list of what is set aside")?;
    let text = |one: &Value, field: &str| one[field].as_str().unwrap_or_default().to_owned();
    Ok(documents
        .iter()
        .map(|one| (text(one, "name"), text(one, "quarantined")))
        .collect())
}

/// Documents' names, texts and places of all chunks, from the database.
async fn texts() -> Result<Vec<(String, String, Value)>> {
    let statement = "SELECT json_build_array(d.name, c.text, c.place) FROM room_chunk c JOIN room r ON r.id = c.room \
                     AND r.live = c.generation JOIN room_document d ON d.room = c.room AND d.id = c.document \
                     WHERE r.name = 'policy'";
    let rows = atelier_e2e::installation::sql(statement).await?;
    rows.lines()
        .map(|row| serde_json::from_str(row).context("a chunk cannot be read"))
        .collect()
}
