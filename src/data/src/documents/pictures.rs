//! Pictures of pages: to look at what is on them, and to keep.

use std::path::Path;
use std::time::Duration;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::{FilterType, resize};
use image::{ExtendedColorType, GrayImage, ImageEncoder as _};
use protocol::ingest::Limits as Most;
use protocol::quarantine::Reason;

use super::{PagePicture, Reader, Refused, Result};
use crate::readers::Programs;
use crate::readers::process::{self, Limits, run};

/// A picture in shades of gray.
pub(super) type Gray = GrayImage;

/// Width of a picture that is kept: text of usual size can be read.
const KEPT_WIDTH: u32 = 850;
const QUALITY: u8 = 70;
/// Pages that are drawn by one call: each is a file until then.
const AT_ONCE: u32 = 100;
/// Seconds for them.
const SECONDS: u64 = 120;

/// Draws a page of a PDF, with so many dots in an inch.
pub(super) fn draw(reader: &Reader<'_>, page: u32, resolution: u32) -> Result<Gray> {
    let (number, resolution) = (page.to_string(), resolution.to_string());
    let arguments = ["-r", &resolution, "-gray", "-singlefile", "-f", &number, "-l", &number].map(Into::into);
    let arguments = [&arguments[..], &[reader.request.path.clone().into(), "drawn".into()]].concat();
    let failed = |why: String| {
        Refused::new(
            Reason::ReaderFailed,
            format!("has a page {page} that cannot be drawn: {why}"),
        )
    };
    run(
        &reader.programs.pdftoppm,
        &arguments,
        reader.scratch,
        &Limits::pictures(),
    )
    .map_err(|refused| match refused {
        process::Refused::TooLong => failed("pdftoppm says too much".into()),
        process::Refused::Because(why) => failed(why),
    })?;
    let path = reader.scratch.join("drawn.pgm");
    let bytes = std::fs::read(&path).map_err(|error| failed(error.to_string()))?;
    let _ = std::fs::remove_file(&path);
    pgm(&bytes).ok_or_else(|| failed("its picture is broken".into()))
}

/// A picture as pdftoppm writes it: `P5 WIDTH HEIGHT 255`, and a byte for each dot.
fn pgm(bytes: &[u8]) -> Option<Gray> {
    let mut rest = bytes.strip_prefix(b"P5")?;
    let mut numbers = [0_u32; 3];
    for number in &mut numbers {
        rest = rest.trim_ascii_start();
        let end = rest.iter().position(|byte| !byte.is_ascii_digit())?;
        *number = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
        rest = &rest[end..];
    }
    let [width, height, 255] = numbers else { return None };
    let pixels = rest.get(1..)?;
    let count = (width as usize).checked_mul(height as usize)?;
    Gray::from_raw(width, height, pixels.get(..count)?.to_vec())
}

/// Keeps a picture of a page in a directory, smaller than it is.
pub(super) fn keep(picture: &Gray, page: u32, directory: &Path) -> std::io::Result<PagePicture> {
    let file = format!("page-{page}.jpg");
    let width = KEPT_WIDTH.min(picture.width()).max(1);
    let height =
        (u64::from(picture.height()) * u64::from(width) / u64::from(picture.width().max(1))).clamp(1, 10_000) as u32;
    let small = resize(picture, width, height, FilterType::Triangle);
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY)
        .write_image(&small, width, height, ExtendedColorType::L8)
        .map_err(std::io::Error::other)?;
    std::fs::write(directory.join(&file), bytes)?;
    Ok(PagePicture { page, file })
}

/// Draws the first pages of a PDF into a directory, to keep; as many as can be drawn.
pub(super) fn pages(path: &Path, count: u32, most: &Most, programs: &Programs, directory: &Path) -> Vec<PagePicture> {
    let last = count.min(most.pictures);
    let mut kept = Vec::new();
    let mut first = 1;
    while first <= last {
        let end = last.min(first + AT_ONCE - 1);
        let (from, to, width) = (first.to_string(), end.to_string(), KEPT_WIDTH.to_string());
        let arguments = [
            "-jpeg",
            "-jpegopt",
            "quality=70",
            "-scale-to-x",
            &width,
            "-scale-to-y",
            "-1",
            "-f",
            &from,
            "-l",
            &to,
        ];
        let arguments = [&arguments.map(Into::into)[..], &[path.into(), "kept".into()]].concat();
        let limits = Limits {
            time: Duration::from_secs(SECONDS),
            ..Limits::pictures()
        };
        // Those that were drawn before it failed are there.
        let _ = run(&programs.pdftoppm, &arguments, directory, &limits);
        first = end + 1;
    }
    // Numbers have as many digits as that of the last page.
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let file = entry.file_name().to_string_lossy().into_owned();
        let number = file.strip_prefix("kept-").and_then(|name| name.strip_suffix(".jpg"));
        if let Some(page) = number.and_then(|number| number.parse().ok()) {
            kept.push(PagePicture { page, file });
        }
    }
    kept.sort_by_key(|picture| picture.page);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_of_programs_are_read() {
        let picture = pgm(b"P5\n2 1\n255\n\x00\xff").unwrap();
        assert_eq!(
            (picture.width(), picture.height(), picture.as_raw().as_slice()),
            (2, 1, &[0, 255][..])
        );
        for bad in [
            &b"P6\n1 1\n255\n\0"[..],
            b"P5\n9 9\n255\n\0",
            b"P5\n4294967295 4294967295\n255\n\0",
            b"P5",
            b"P5 1 1 255",
        ] {
            assert!(pgm(bad).is_none());
        }
    }

    #[test]
    fn kept_pictures_are_small() {
        let dir = tempfile::tempdir().unwrap();
        let kept = keep(&Gray::from_pixel(2480, 3508, image::Luma([200])), 7, dir.path()).unwrap();
        assert_eq!(kept.page, 7);
        let bytes = std::fs::read(dir.path().join(kept.file)).unwrap();
        let picture = image::load_from_memory(&bytes).unwrap();
        assert_eq!((picture.width(), picture.height()), (850, 1202));
    }
}
