//! Scans: text that is recognized in pictures of pages, and whether it can be trusted.
//!
//! How sure the recognizer is of its words tells good scans from bad ones; how sharp a picture is does not. Text of
//! which it is sure enough is accepted, all other is set aside for a human.

use std::path::Path;

use crate::readers::Settings;
use crate::readers::process::{Limits, Refused, run};

/// Pages of one document that are recognized; each takes seconds.
const MAX_PAGES: usize = 500;
/// Dots in an inch of a page's picture.
const RESOLUTION: &str = "300";
/// Dots in an inch that a scan must have to be read at all.
const LEAST_RESOLUTION: f64 = 150.0;
/// How sure the recognizer must be of the words on average, in percent.
const ACCEPTED: f64 = 90.0;
/// Below this a human need not look.
const HOPELESS: f64 = 75.0;
/// Words below this are guesses.
const GUESSED: f64 = 60.0;
/// Share of the words that may be guesses.
const MOST_GUESSED: f64 = 0.05;

/// The text of a scanned document.
pub(super) fn recognize(path: &Path, pages: usize, settings: &Settings) -> Result<String, Refused> {
    if pages > MAX_PAGES {
        let why = format!("is a scan of {pages} pages; {MAX_PAGES} are recognized at most, split it");
        return Err(Refused::Because(why));
    }
    check_resolution(path, settings)?;
    let directory = tempfile::Builder::new().prefix("pages-").tempdir_in(&settings.scratch);
    let directory = directory.map_err(|error| Refused::Because(format!("its pages cannot be drawn: {error}")))?;
    let mut read = Vec::new();
    for page in 1..=pages {
        let picture = draw(path, page, directory.path(), settings)?;
        let limits = Limits::text(settings.max_bytes.saturating_mul(4));
        let arguments = [picture.into(), "-".into(), "tsv".into()];
        let table = run(&settings.programs.tesseract, &arguments, directory.path(), &limits)?;
        read.push(Page::of(&String::from_utf8_lossy(&table)));
    }
    judge(&read)?;
    Ok(read
        .iter()
        .map(|page| page.text.trim())
        .collect::<Vec<_>>()
        .join("\n\n"))
}

/// Draws a page; the name of the picture.
fn draw(path: &Path, page: usize, directory: &Path, settings: &Settings) -> Result<&'static str, Refused> {
    let number = page.to_string();
    let arguments = ["-r", RESOLUTION, "-gray", "-singlefile", "-f", &number, "-l", &number].map(Into::into);
    let arguments = [&arguments[..], &[path.into(), "page".into()]].concat();
    run(&settings.programs.pdftoppm, &arguments, directory, &Limits::pictures())?;
    Ok("page.pgm")
}

/// Refuses a document whose pages are mostly pictures of too few dots.
fn check_resolution(path: &Path, settings: &Settings) -> Result<(), Refused> {
    let arguments = ["-list".into(), path.into()];
    let table = run(
        &settings.programs.pdfimages,
        &arguments,
        &settings.scratch,
        &Limits::text(16 << 20),
    )?;
    match resolution(&String::from_utf8_lossy(&table)) {
        Some(dots) if dots < LEAST_RESOLUTION => Err(Refused::Because(format!(
            "is a scan with {dots:.0} dots in an inch; {LEAST_RESOLUTION:.0} are needed, scan it again"
        ))),
        _ => Ok(()),
    }
}

/// Dots in an inch of the middle one of the pages' largest pictures.
fn resolution(table: &str) -> Option<f64> {
    let mut largest = std::collections::BTreeMap::new();
    for line in table.lines().skip(2) {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let number = |index: usize| columns.get(index)?.parse::<f64>().ok();
        let (Some(page), Some(width), Some(height), Some(dots)) = (columns.first(), number(3), number(4), number(12))
        else {
            continue;
        };
        let entry = largest.entry((*page).to_owned()).or_insert((0.0, 0.0));
        if width * height > entry.0 {
            *entry = (width * height, dots);
        }
    }
    let mut dots: Vec<f64> = largest.into_values().map(|(_, dots)| dots).collect();
    dots.sort_by(f64::total_cmp);
    dots.get(dots.len() / 2).copied()
}

/// What was recognized on a page.
#[derive(Clone, Debug, Default, PartialEq)]
struct Page {
    text: String,
    /// How sure the recognizer is of each word, in percent.
    confidence: Vec<f64>,
}

impl Page {
    /// Reads the recognizer's table: a word a row, after rows for pages, blocks, paragraphs and lines.
    fn of(table: &str) -> Self {
        let mut page = Self::default();
        let mut place: Option<[String; 3]> = None;
        for row in table.lines().skip(1) {
            let columns: Vec<&str> = row.split('\t').collect();
            let [level, _, block, paragraph, line, _, _, _, _, _, confidence, word] = columns[..] else {
                continue;
            };
            let Some(confidence) = confidence.parse::<f64>().ok().filter(|sure| *sure >= 0.0) else {
                continue;
            };
            if level != "5" || word.trim().is_empty() {
                continue;
            }
            let here = [block, paragraph, line].map(str::to_owned);
            page.text += match &place {
                None => "",
                Some(before) if *before == here => " ",
                Some([b, p, _]) if b == block && p == paragraph => "\n",
                Some(_) => "\n\n",
            };
            page.text += word.trim();
            page.confidence.push(confidence);
            place = Some(here);
        }
        page
    }
}

/// Whether the text of these pages can be trusted.
fn judge(pages: &[Page]) -> Result<(), Refused> {
    let words: Vec<f64> = pages.iter().flat_map(|page| page.confidence.iter().copied()).collect();
    if words.is_empty() {
        return Err(Refused::Because("is a scan in which no word is recognized".into()));
    }
    let mean = words.iter().sum::<f64>() / words.len() as f64;
    let guessed = words.iter().filter(|sure| **sure < GUESSED).count() as f64 / words.len() as f64;
    let figures = format!(
        "confidence {mean:.0} of 100, {:.0}% of the words are guesses",
        guessed * 100.0
    );
    if mean < HOPELESS {
        return Err(Refused::Because(format!("is a bad scan ({figures}); scan it again")));
    }
    if mean < ACCEPTED || guessed > MOST_GUESSED {
        let why =
            format!("is a scan that a human should check ({figures}); correct its text and give it as a text file");
        return Err(Refused::Because(why));
    }
    Ok(())
}

/// What is made of the programs' tables.
#[cfg(any(test, fuzzing))]
pub(super) fn printed(table: &str) {
    resolution(table);
    let page = Page::of(table);
    // What is trusted has words.
    if judge(std::slice::from_ref(&page)).is_ok() {
        assert!(!page.text.trim().is_empty());
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const TABLE: &str = "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext\n\
        1\t1\t0\t0\t0\t0\t0\t0\t9\t9\t-1\t\n\
        5\t1\t1\t1\t1\t1\t0\t0\t9\t9\t96.5\tHello\n\
        5\t1\t1\t1\t1\t2\t0\t0\t9\t9\t91\tworld,\n\
        5\t1\t1\t1\t2\t1\t0\t0\t9\t9\t50\tit\n\
        5\t1\t1\t2\t1\t1\t0\t0\t9\t9\t95\t \n\
        5\t1\t2\t1\t1\t1\t0\t0\t9\t9\t95\tis.\n\
        nonsense\n";

    #[test]
    fn words_make_lines_and_paragraphs() {
        let page = Page::of(TABLE);
        assert_eq!(page.text, "Hello world,\nit\n\nis.");
        assert_eq!(page.confidence, [96.5, 91.0, 50.0, 95.0]);
        assert_eq!(Page::of(""), Page::default());
    }

    #[rstest]
    #[case::good(&[95.0; 100], None)]
    #[case::some_guesses(&[[95.0; 19].as_slice(), &[50.0]].concat(), None)]
    #[case::many_guesses(&[[99.0; 9].as_slice(), &[50.0]].concat(), Some("human"))]
    #[case::unsure(&[85.0; 100], Some("human"))]
    #[case::bad(&[51.0; 100], Some("bad scan"))]
    #[case::nothing(&[], Some("no word"))]
    fn gates(#[case] confidence: &[f64], #[case] says: Option<&str>) {
        let page = Page {
            text: String::new(),
            confidence: confidence.to_vec(),
        };
        match (judge(&[page]), says) {
            (Ok(()), None) => {}
            (Err(Refused::Because(why)), Some(says)) => assert!(why.contains(says), "{why}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_largest_picture_of_a_page_tells_its_resolution() {
        let table = "page   num  type   width height color comp bpc  enc interp  object ID x-ppi y-ppi size ratio\n\
            ----\n\
            1     0 image    2550  3300  gray    1   8  jpeg   no         8  0   300   300  100K 1.2%\n\
            1     1 image      10    10  gray    1   8  jpeg   no         9  0    20    20  100B 1.2%\n\
            2     2 image     850  1100  gray    1   8  jpeg   no        10  0   100   100  100K 1.2%\n\
            3     3 image     850  1100  gray    1   8  jpeg   no        11  0   100   100  100K 1.2%\n";
        assert_eq!(resolution(table), Some(100.0));
        assert_eq!(resolution(""), None);
    }
}
