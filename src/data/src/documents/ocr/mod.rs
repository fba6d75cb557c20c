//! Text that Tesseract recognizes in pictures, and whether it can be believed.
//!
//! How sure it is of its words tells good scans from bad ones, and how much of the ink they cover tells whether it has seen
//! them all; how sharp a picture is tells nothing. A picture is set upright before.

mod deskew;
mod ink;
mod judge;
mod table;

use std::io::Cursor;
use std::time::Duration;

use image::{ImageReader, Limits as ImageLimits};
use protocol::ingest::Ocr;
use protocol::quarantine::Reason;

use super::pictures::{self, Gray};
use super::{Block, Document, Reader, Refused, Result};
use crate::readers::process::{self, Limits, run};

pub(super) use judge::Doubts;

/// Width of a page, in inches, where a picture does not say how large it is.
const WIDTH: f32 = 8.27;
/// Dots on a side of a picture, at most, and bytes that it takes.
const MAX_SIDE: u32 = 20_000;
const MAX_BYTES: u64 = 512 << 20;
/// Degrees from which a picture is turned.
const LEAST_SKEW: f32 = 0.3;

/// What was recognized on a page.
#[derive(Debug)]
pub(super) struct Recognized {
    pub blocks: Vec<Block>,
    /// The picture, upright.
    pub picture: Gray,
}

/// Reads a picture of one page.
pub(super) fn picture(bytes: &[u8], reader: &Reader<'_>) -> Result<Document> {
    if has_more_pages(bytes) {
        let what = "is a TIFF of several pages; make a PDF of it";
        return Err(Refused::new(Reason::UnsupportedType, what));
    }
    let picture = decode(bytes)?;
    let mut document = Document {
        pages: Some(1),
        ..Document::default()
    };
    let mut doubts = Doubts::default();
    let picture = match &reader.request.ocr {
        Some(settings) => {
            check(settings, reader)?;
            let resolution = (picture.width() as f32 / WIDTH).clamp(70.0, 600.0) as u32;
            let found = recognize(picture, resolution, None, settings, reader, &mut doubts)?;
            document.blocks = found.blocks;
            document.blocks.iter_mut().for_each(|block| block.page = Some(1));
            found.picture
        }
        None => {
            doubts.add(Reason::NoTextLayer, None, "a picture".into());
            picture
        }
    };
    document.doubts = doubts.finish();
    document
        .pictures
        .extend(pictures::keep(&picture, 1, reader.scratch).ok());
    Ok(document)
}

fn decode(bytes: &[u8]) -> Result<Gray> {
    let broken = |error: &dyn std::fmt::Display| Refused::new(Reason::Broken, format!("is a broken picture: {error}"));
    let mut image = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| broken(&error))?;
    let mut limits = ImageLimits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_BYTES);
    image.limits(limits);
    match image.decode() {
        Ok(image) => Ok(flat(image)),
        Err(image::ImageError::Limits(error)) => Err(Refused::new(
            Reason::TooLarge,
            format!("is a picture that is too large: {error}"),
        )),
        Err(error) => Err(broken(&error)),
    }
}

/// In shades of gray, on white where it is transparent.
fn flat(image: image::DynamicImage) -> Gray {
    if !image.color().has_alpha() {
        return image.into_luma8();
    }
    let with = image.into_luma_alpha8();
    let mut gray = Gray::new(with.width(), with.height());
    for (to, from) in gray.pixels_mut().zip(with.pixels()) {
        let [shade, alpha] = from.0.map(u32::from);
        to.0[0] = ((shade * alpha + 255 * (255 - alpha)) / 255) as u8;
    }
    gray
}

/// Whether a TIFF goes on after its first page.
fn has_more_pages(bytes: &[u8]) -> bool {
    let is_little = bytes.starts_with(b"II*\0");
    if !is_little && !bytes.starts_with(b"MM\0*") {
        return false;
    }
    let number = |at: usize, width: usize| -> Option<usize> {
        let bytes = bytes.get(at..at.checked_add(width)?)?;
        let fold = |number: usize, byte: &u8| number << 8 | usize::from(*byte);
        Some(match is_little {
            true => bytes.iter().rev().fold(0, fold),
            false => bytes.iter().fold(0, fold),
        })
    };
    let next = || {
        let first = number(4, 4)?;
        let entries = number(first, 2)?;
        number(first.checked_add(2 + entries * 12)?, 4)
    };
    next().is_some_and(|next| next != 0)
}

/// Refuses languages that are not installed.
pub(super) fn check(settings: &Ocr, reader: &Reader<'_>) -> Result<()> {
    let refused = |what: String| Refused::new(Reason::OcrUnavailable, what);
    let printed = run(
        &reader.programs.tesseract,
        &["--list-langs".into()],
        reader.scratch,
        &Limits::text(1 << 16),
    );
    let printed = printed.map_err(|why| refused(format!("needs Tesseract: {}", said(why))))?;
    let installed = String::from_utf8_lossy(&printed).into_owned();
    let missing = settings
        .languages
        .iter()
        .find(|language| !installed.lines().any(|line| line.trim() == **language));
    match missing {
        Some(language) => Err(refused(format!(
            "needs the language {language:?} of Tesseract, which is not installed"
        ))),
        None => Ok(()),
    }
}

/// Recognizes a page. Whether it can be believed goes to `doubts`.
pub(super) fn recognize(
    picture: Gray,
    resolution: u32,
    page: Option<u32>,
    settings: &Ocr,
    reader: &Reader<'_>,
    doubts: &mut Doubts,
) -> Result<Recognized> {
    let skew = deskew::angle(&picture);
    let mut picture = match skew.abs() >= LEAST_SKEW {
        true => deskew::turned(&picture, skew),
        false => picture,
    };
    let mut words = words(&picture, resolution, settings, reader)?;
    let mut verdict = judge::judge(&words, &ink::Ink::of(&picture, resolution), settings);
    if verdict.is_some()
        && let Some(upright) = upright(&picture, resolution, reader)
    {
        let other = self::words(&upright, resolution, settings, reader)?;
        let better = judge::judge(&other, &ink::Ink::of(&upright, resolution), settings);
        if better.is_none() || judge::mean(&other) > judge::mean(&words) {
            (picture, words, verdict) = (upright, other, better);
        }
    }
    if let Some((reason, what)) = verdict {
        doubts.add(reason, page, what);
    }
    Ok(Recognized {
        blocks: table::blocks(&words, (picture.width(), picture.height()), page),
        picture,
    })
}

fn words(picture: &Gray, resolution: u32, settings: &Ocr, reader: &Reader<'_>) -> Result<Vec<table::Word>> {
    let languages = settings.languages.join("+");
    let resolution = resolution.to_string();
    let arguments = ["-", "--dpi", &resolution, "-l", &languages, "tsv"];
    let printed = tesseract(picture, &arguments, reader)?;
    Ok(table::words(&printed))
}

/// The picture turned by quarters, if its text does not stand upright.
fn upright(picture: &Gray, resolution: u32, reader: &Reader<'_>) -> Option<Gray> {
    let resolution = resolution.to_string();
    let printed = tesseract(picture, &["-", "--dpi", &resolution, "--psm", "0"], reader).ok()?;
    let turn = printed.lines().find_map(|line| line.strip_prefix("Rotate:"))?.trim();
    Some(match turn {
        "90" => image::imageops::rotate90(picture),
        "180" => image::imageops::rotate180(picture),
        "270" => image::imageops::rotate270(picture),
        _ => return None,
    })
}

fn tesseract(picture: &Gray, arguments: &[&str], reader: &Reader<'_>) -> Result<String> {
    let path = reader.scratch.join("recognized.pgm");
    let failed = |what: String| Refused::new(Reason::ReaderFailed, what);
    let mut bytes = format!("P5\n{} {}\n255\n", picture.width(), picture.height()).into_bytes();
    bytes.extend_from_slice(picture.as_raw());
    std::fs::write(&path, bytes).map_err(|error| failed(format!("has a page that cannot be written: {error}")))?;
    let arguments: Vec<_> = std::iter::once(path.clone().into())
        .chain(arguments.iter().map(Into::into))
        .collect();
    let limits = Limits {
        time: Duration::from_secs(u64::from(reader.request.limits.ocr_page_seconds)),
        ..Limits::text(32 << 20)
    };
    let printed = run(&reader.programs.tesseract, &arguments, reader.scratch, &limits);
    let _ = std::fs::remove_file(&path);
    let printed = printed.map_err(|why| match said(why) {
        why if why.contains("did not end") => {
            Refused::new(Reason::TooSlow, "has a page that is not recognized in time")
        }
        why => failed(format!("has a page that is not recognized: {why}")),
    })?;
    Ok(String::from_utf8_lossy(&printed).into_owned())
}

fn said(refused: process::Refused) -> String {
    match refused {
        process::Refused::TooLong => "it says too much".into(),
        process::Refused::Because(why) => why,
    }
}

/// What is made of what Tesseract prints.
#[cfg(any(test, fuzzing))]
pub(crate) fn printed(text: &str) -> Vec<Block> {
    table::blocks(&table::words(text), (1000, 1000), Some(1))
}

#[cfg(test)]
mod tests;
