//! Where there is something like print on a page.

use super::table::Word;
use crate::documents::pictures::Gray;

/// Cells in an inch, on a side.
const CELLS: u32 = 12;
/// Share of dots in a cell that are dark, from which it may be print, and up to which it may.
const PRINT: (f32, f32) = (0.03, 0.6);

/// A page in cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ink {
    /// Dots on a cell's side.
    side: u32,
    columns: u32,
    /// Whether each cell may be print, row by row.
    print: Vec<bool>,
}

impl Ink {
    pub(super) fn of(picture: &Gray, resolution: u32) -> Self {
        let threshold = threshold(picture);
        let side = (resolution / CELLS).max(4);
        let (columns, rows) = (
            picture.width().div_ceil(side).max(1),
            picture.height().div_ceil(side).max(1),
        );
        let mut dark = vec![0_u32; (columns * rows) as usize];
        let width = picture.width().max(1) as usize;
        for (y, row) in picture.as_raw().chunks_exact(width).enumerate() {
            let first = (y as u32 / side * columns) as usize;
            for (x, shade) in row.iter().enumerate() {
                dark[first + x / side as usize] += u32::from(*shade < threshold);
            }
        }
        let all = (side * side) as f32;
        let print = dark
            .into_iter()
            .map(|dark| (PRINT.0..=PRINT.1).contains(&(dark as f32 / all)))
            .collect();
        Self { side, columns, print }
    }

    /// Cells that may be print.
    pub(super) fn cells(&self) -> usize {
        self.print.iter().filter(|print| **print).count()
    }

    /// Share of them that words are on.
    pub(super) fn covered(&self, words: &[Word]) -> f32 {
        let mut covered = vec![false; self.print.len()];
        let rows = self.print.len() as u32 / self.columns.max(1);
        for word in words {
            // Letters reach over their boxes a little.
            let from = |place: u32| (place / self.side).saturating_sub(1);
            let to = |place: u32, length: u32, most: u32| {
                (place.saturating_add(length) / self.side + 1).min(most.saturating_sub(1))
            };
            for row in from(word.top)..=to(word.top, word.height, rows) {
                for column in from(word.left)..=to(word.left, word.width, self.columns) {
                    if let Some(cell) = covered.get_mut((row * self.columns + column) as usize) {
                        *cell = true;
                    }
                }
            }
        }
        let both = self
            .print
            .iter()
            .zip(&covered)
            .filter(|(print, covered)| **print && **covered)
            .count();
        both as f32 / self.cells().max(1) as f32
    }
}

/// The shade between ink and paper, by Otsu; 0 where all is alike.
pub(super) fn threshold(picture: &Gray) -> u8 {
    let mut counts = [0_u64; 256];
    picture
        .as_raw()
        .iter()
        .for_each(|shade| counts[usize::from(*shade)] += 1);
    let total: u64 = counts.iter().sum();
    let sum: f64 = counts
        .iter()
        .enumerate()
        .map(|(shade, count)| shade as f64 * *count as f64)
        .sum();
    let (mut below, mut sum_below, mut best) = (0_u64, 0.0, (0.0, 0_usize));
    for (shade, count) in counts.iter().enumerate() {
        below += count;
        sum_below += shade as f64 * *count as f64;
        let above = total - below;
        if below == 0 || above == 0 {
            continue;
        }
        let difference = sum_below / below as f64 - (sum - sum_below) / above as f64;
        let variance = below as f64 * above as f64 * difference * difference;
        if variance > best.0 && difference.abs() > 20.0 {
            best = (variance, shade + 1);
        }
    }
    best.1.min(255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn print_is_found_and_covered() {
        let mut picture = Gray::from_pixel(1000, 1000, image::Luma([240]));
        for y in 200..300 {
            for x in (200..400).step_by(4) {
                picture.put_pixel(x, y, image::Luma([20]));
            }
        }
        let threshold = threshold(&picture);
        assert!((21..=240).contains(&threshold), "{threshold}");
        let ink = Ink::of(&picture, 300);
        assert_eq!(ink.cells(), 4 * 8);
        assert_eq!(ink.covered(&[]), 0.0);
        let word = |left: u32, width: u32| Word {
            left,
            width,
            top: 200,
            height: 100,
            ..Word::default()
        };
        assert_eq!(ink.covered(&[word(200, 200)]), 1.0);
        assert!((0.4..0.8).contains(&ink.covered(&[word(200, 100)])));
        // Numbers of programs are not believed.
        ink.covered(&[word(u32::MAX, u32::MAX)]);
    }

    #[test]
    fn an_empty_page_has_no_print() {
        assert_eq!(threshold(&Gray::from_pixel(100, 100, image::Luma([250]))), 0);
        assert_eq!(Ink::of(&Gray::from_pixel(100, 100, image::Luma([250])), 300).cells(), 0);
        assert_eq!(Ink::of(&Gray::new(0, 0), 300).cells(), 0);
    }
}
