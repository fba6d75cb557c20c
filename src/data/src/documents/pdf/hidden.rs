//! Text that is in a PDF and that people do not see: too small, off the page, or in the colour of what is behind it.
//!
//! Of the last one, nothing but the picture of the page tells: white text stands on blue as well as on white. So pages
//! with white text are drawn, and looked at where it should be.

use protocol::quarantine::Reason;

use super::xml::{Layout, Run};
use crate::documents::pictures::{Gray, draw};
use crate::documents::{Doubt, Reader, Result};

/// Points up to which nobody reads a text.
const TINY: f32 = 2.5;
/// Letters that are hidden by chance, at most.
const CHANCE: usize = 20;
/// Pages that are drawn to look at them; on others, white text counts as hidden.
const MAX_PAGES: usize = 20;
/// Dots in an inch: a stroke of a letter makes a difference at least to one of them.
const RESOLUTION: u32 = 72;
/// How much lighter or darker than its surroundings a letter is, of 255.
const CONTRAST: u8 = 24;

/// Takes hidden text out of the pages.
pub(super) fn take(layout: &mut Layout, reader: &Reader<'_>) -> Result<Vec<String>> {
    let mut hidden = Vec::new();
    let mut drawn = 0;
    for (number, page) in (1..).zip(&mut layout.pages) {
        let white: usize = page.runs.iter().filter(|run| run.is_white).map(letters).sum();
        let picture = match white > 0 && drawn < MAX_PAGES {
            true => {
                drawn += 1;
                draw(reader, number, RESOLUTION).ok()
            }
            false => None,
        };
        let (width, height) = (page.width, page.height);
        let runs = std::mem::take(&mut page.runs);
        let (seen, unseen): (Vec<_>, Vec<_>) = runs.into_iter().partition(|run| {
            let is_drawn = picture
                .as_ref()
                .is_some_and(|picture| is_seen(picture, run, width, height));
            !is_out(run, width, height) && run.size > TINY && (!run.is_white || is_drawn)
        });
        page.runs = seen;
        let text: Vec<String> = unseen
            .into_iter()
            .map(|run| run.text)
            .filter(|text| !text.trim().is_empty())
            .collect();
        if !text.is_empty() {
            hidden.push(text.join(" "));
        }
    }
    Ok(hidden)
}

/// Whether there is more of it than by chance.
pub(super) fn doubt(hidden: &[String]) -> Option<Doubt> {
    let letters: usize = hidden
        .iter()
        .map(|text| text.chars().filter(|c| c.is_alphanumeric()).count())
        .sum();
    (letters > CHANCE).then(|| Doubt {
        reason: Reason::HiddenText,
        detail: format!("has {letters} letters that nobody sees: too small, off the page, or in the page's own colour"),
    })
}

fn letters(run: &Run) -> usize {
    run.text.chars().filter(|c| c.is_alphanumeric()).count()
}

/// Whether nothing of it is on the page.
fn is_out(run: &Run, width: f32, height: f32) -> bool {
    // Where a page does not say how large it is, everything is on it.
    let is_known = width > 0.0 && height > 0.0;
    is_known && (run.left >= width || run.top >= height || run.right <= 0.0 || run.bottom <= 0.0)
}

fn is_seen(picture: &Gray, run: &Run, width: f32, height: f32) -> bool {
    let place = |share: f32, pixels: u32| (share.clamp(0.0, 1.0) * pixels as f32) as u32;
    let (w, h) = (width.max(1.0), height.max(1.0));
    let columns = place(run.left / w, picture.width())..place(run.right / w, picture.width()) + 1;
    let rows = place(run.top / h, picture.height())..place(run.bottom / h, picture.height()) + 1;
    let (mut darkest, mut lightest) = (u8::MAX, u8::MIN);
    for y in rows {
        for x in columns.clone() {
            if let Some(pixel) = picture.get_pixel_checked(x, y) {
                darkest = darkest.min(pixel.0[0]);
                lightest = lightest.max(pixel.0[0]);
            }
        }
    }
    lightest.saturating_sub(darkest) >= CONTRAST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_off_the_page_is_not_seen() {
        let run = |left: f32, top: f32| Run {
            left,
            top,
            right: left + 50.0,
            bottom: top + 10.0,
            size: 10.0,
            ..Run::default()
        };
        assert!(!is_out(&run(0.0, 0.0), 612.0, 792.0));
        assert!(is_out(&run(700.0, 0.0), 612.0, 792.0) && is_out(&run(0.0, -20.0), 612.0, 792.0));
        assert!(!is_out(&run(700.0, 0.0), 0.0, 0.0));
    }

    #[test]
    fn letters_are_seen_by_what_is_around_them() {
        let run = Run {
            left: 61.2,
            top: 79.2,
            right: 122.4,
            bottom: 158.4,
            ..Run::default()
        };
        let flat = Gray::from_pixel(100, 100, image::Luma([0]));
        assert!(!is_seen(&flat, &run, 612.0, 792.0));
        let mut with = flat.clone();
        with.put_pixel(15, 15, image::Luma([255]));
        assert!(is_seen(&with, &run, 612.0, 792.0));
        let mut elsewhere = flat;
        elsewhere.put_pixel(50, 50, image::Luma([255]));
        assert!(!is_seen(&elsewhere, &run, 612.0, 792.0));
    }

    #[test]
    fn a_few_letters_are_no_doubt() {
        assert_eq!(doubt(&["x".repeat(CHANCE)]), None);
        assert!(doubt(&["x".repeat(CHANCE), "y".into()]).is_some());
    }
}
