//! Pages without text: those that are pictures are recognized, where the source asks for it.

use std::collections::BTreeMap;

use protocol::quarantine::Reason;

use super::xml::Layout;
use crate::documents::ocr::{self, Doubts};
use crate::documents::pictures;
use crate::documents::{Block, Doubt, PagePicture, Reader, Refused, Result};
use crate::readers::process::{self, Limits, run};

/// Share of a page that pictures cover, from which it is one.
const LEAST_SHARE: f32 = 0.4;
/// Dots in an inch of a page's picture that is recognized.
const RESOLUTION: u32 = 300;
/// And that it must have had.
const LEAST_RESOLUTION: f32 = 150.0;

/// Ranges of pages that are looked at one by one.
const MAX_RANGES: usize = 8;

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    pub blocks: Vec<Block>,
    pub doubts: Vec<Doubt>,
    pub pictures: Vec<PagePicture>,
}

/// Recognizes those of the pages `without` text that are pictures. Others are empty.
pub(super) fn recognize(reader: &Reader<'_>, without: &[u32], layout: &Layout) -> Result<Scanned> {
    let mut scanned = Scanned::default();
    if without.is_empty() {
        return Ok(scanned);
    }
    let mut images = BTreeMap::new();
    for (first, last) in ranges(without) {
        images.extend(self::images(&list(reader, first, last)?));
    }
    let is_scan = |page: &&u32| {
        let size = layout
            .pages
            .get(**page as usize - 1)
            .map_or((612.0, 792.0), |page| (page.width, page.height));
        images
            .get(*page)
            .is_some_and(|image| image.points / (size.0 * size.1).max(1.0) >= LEAST_SHARE)
    };
    let pages: Vec<u32> = without.iter().filter(is_scan).copied().collect();
    let mut doubts = Doubts::default();
    let Some(settings) = reader.request.ocr.as_ref() else {
        pages
            .iter()
            .for_each(|page| doubts.add(Reason::NoTextLayer, Some(*page), "a picture without text".into()));
        scanned.doubts = doubts.finish();
        return Ok(scanned);
    };
    let most = reader.request.limits.ocr_pages;
    if pages.len() > most as usize {
        let what = format!("is a scan of {} pages, and {most} are recognized at most", pages.len());
        return Err(Refused::new(Reason::TooManyPages, what));
    }
    if pages.is_empty() {
        return Ok(scanned);
    }
    ocr::check(settings, reader)?;
    for page in pages {
        let resolution = images.get(&page).map(|image| image.resolution);
        if let Some(dots) = resolution.filter(|dots| *dots < LEAST_RESOLUTION) {
            let what = format!("{dots:.0} dots in an inch, of {LEAST_RESOLUTION:.0} that are needed");
            doubts.add(Reason::LowResolution, Some(page), what);
        }
        let picture = pictures::draw(reader, page, RESOLUTION)?;
        let found = ocr::recognize(picture, RESOLUTION, Some(page), settings, reader, &mut doubts)?;
        scanned
            .pictures
            .extend(pictures::keep(&found.picture, page, reader.scratch).ok());
        scanned.blocks.extend(found.blocks);
    }
    scanned.doubts = doubts.finish();
    Ok(scanned)
}

/// Pages that follow each other, from the first to the last; all that lies between where there are many: looking at a page
/// takes as long as reading it.
fn ranges(pages: &[u32]) -> Vec<(u32, u32)> {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for page in pages {
        match ranges.last_mut().filter(|(_, last)| last + 1 == *page) {
            Some((_, last)) => *last = *page,
            None => ranges.push((*page, *page)),
        }
    }
    match (ranges.first(), ranges.last()) {
        (Some((first, _)), Some((_, last))) if ranges.len() > MAX_RANGES => vec![(*first, *last)],
        _ => ranges,
    }
}

/// The table of the pictures of some pages.
fn list(reader: &Reader<'_>, first: u32, last: u32) -> Result<String> {
    let (first, last) = (first.to_string(), last.to_string());
    let path = reader.request.path.clone().into();
    let arguments = [
        "-list".into(),
        "-f".into(),
        first.into(),
        "-l".into(),
        last.into(),
        path,
    ];
    let printed = run(
        &reader.programs.pdfimages,
        &arguments,
        reader.scratch,
        &Limits::text(64 << 20),
    );
    match printed {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(process::Refused::TooLong) => Err(Refused::new(Reason::Broken, "has more pictures than a document has")),
        Err(process::Refused::Because(why)) => Err(Refused::new(
            Reason::ReaderFailed,
            format!("has pictures that cannot be listed: {why}"),
        )),
    }
}

/// What is known of the pictures of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Images {
    /// Square points that they cover all together.
    points: f32,
    /// Square points and dots in an inch of the largest one.
    largest: f32,
    resolution: f32,
}

fn images(table: &str) -> BTreeMap<u32, Images> {
    let mut pages: BTreeMap<u32, Images> = BTreeMap::new();
    for line in table.lines().skip(2) {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let number = |index: usize| columns.get(index)?.parse::<f32>().ok();
        let page = columns.first().and_then(|page| page.parse::<u32>().ok());
        let (Some(page), Some(width), Some(height), Some(x), Some(y)) =
            (page, number(3), number(4), number(12), number(13))
        else {
            continue;
        };
        // Masks lie over pictures.
        if columns.get(2).is_some_and(|kind| matches!(*kind, "smask" | "mask")) {
            continue;
        }
        let points = width / x.max(1.0) * 72.0 * (height / y.max(1.0) * 72.0);
        let entry = pages.entry(page).or_default();
        entry.points += points;
        if points > entry.largest {
            (entry.largest, entry.resolution) = (points, x.min(y));
        }
    }
    pages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_without_text_are_looked_at_together() {
        assert_eq!(ranges(&[2, 3, 4, 9]), [(2, 4), (9, 9)]);
        let many: Vec<u32> = (0..20).map(|at| 3 + 2 * at).collect();
        assert_eq!(ranges(&many), [(3, 41)]);
        assert!(ranges(&[]).is_empty());
    }

    #[test]
    fn the_pictures_of_a_page_count_together() {
        let table = "page   num  type   width height color comp bpc  enc interp  object ID x-ppi y-ppi size ratio\n\
            ----\n\
            1     0 image    2550  1650  gray    1   8  jpeg   no         8  0   300   300  100K 1.2%\n\
            1     1 image    2550  1650  gray    1   8  jpeg   no         9  0   300   300  100B 1.2%\n\
            1     1 smask    2550  1650  gray    1   8  jpeg   no         9  0   300   300  100B 1.2%\n\
            2     2 image     850  1100  gray    1   8  jpeg   no        10  0   100   100  100K 1.2%\n\
            nonsense\n";
        let pages = images(table);
        assert_eq!(pages[&1].points, 612.0 * 792.0);
        assert_eq!((pages[&2].resolution, pages[&1].resolution), (100.0, 300.0));
        assert!(images("").is_empty());
    }
}
