//! How far a page is turned, and back.
//!
//! Rows of print are darker than the gaps between them; how much more so is greatest where they are level.

use image::imageops::{FilterType, resize};

use super::ink::threshold;
use crate::documents::pictures::Gray;

/// Degrees that are tried on both sides.
const MOST: f32 = 12.0;
/// Dots on the longer side of the picture that is looked at.
const SIDE: u32 = 1000;
/// Dark dots that are looked at.
const DOTS: usize = 40_000;

/// How much sharper rows must become to turn a page.
const LEAST_GAIN: f64 = 1.3;

/// By how many degrees the rows of a page fall to the right; 0 where there are none.
pub(super) fn angle(picture: &Gray) -> f32 {
    let (width, height) = (picture.width(), picture.height());
    let longer = width.max(height);
    if longer == 0 {
        return 0.0;
    }
    let scaled = |side: u32| (u64::from(side) * u64::from(SIDE) / u64::from(longer)).max(1) as u32;
    let small = match longer > SIDE {
        true => resize(picture, scaled(width), scaled(height), FilterType::Triangle),
        false => picture.clone(),
    };
    let limit = threshold(&small);
    let mut dots: Vec<(f32, f32)> = small
        .enumerate_pixels()
        .filter(|(_, _, pixel)| pixel.0[0] < limit)
        .map(|(x, y, _)| (x as f32, y as f32))
        .collect();
    if dots.len() < 100 {
        return 0.0;
    }
    let step = dots.len().div_ceil(DOTS);
    dots = dots.into_iter().step_by(step).collect();
    let score = |degrees: f32| sharpness(&dots, degrees, small.height());
    let best = |middle: f32, reach: f32, step: f32| {
        let count = (reach / step).round() as i32;
        let tried = (-count..=count).map(|at| middle + at as f32 * step);
        // Of angles that are as good, the smaller one.
        tried
            .max_by(|a, b| score(*a).total_cmp(&score(*b)).then(b.abs().total_cmp(&a.abs())))
            .unwrap_or(middle)
    };
    let near = best(best(0.0, MOST, 1.0), 1.0, 0.2);
    let found = best(near, 0.2, 0.05);
    // A page of pictures is no sharper one way than another.
    match score(found) > LEAST_GAIN * score(0.0) {
        true => found,
        false => 0.0,
    }
}

/// How much rows differ from their neighbours.
fn sharpness(dots: &[(f32, f32)], degrees: f32, height: u32) -> f64 {
    let slope = degrees.to_radians().tan();
    let offset = SIDE as f32 * 0.25;
    let mut rows = vec![0_u32; height as usize + 2 * offset as usize + 2];
    for (x, y) in dots {
        let row = (y - x * slope + offset).max(0.0) as usize;
        if let Some(row) = rows.get_mut(row) {
            *row += 1;
        }
    }
    rows.windows(2)
        .map(|pair| (f64::from(pair[0]) - f64::from(pair[1])).powi(2))
        .sum()
}

/// The picture turned back by so many degrees, on white.
pub(super) fn turned(picture: &Gray, degrees: f32) -> Gray {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (width, height) = (picture.width(), picture.height());
    let middle = (width as f32 / 2.0, height as f32 / 2.0);
    Gray::from_fn(width, height, |x, y| {
        let (dx, dy) = (x as f32 - middle.0, y as f32 - middle.1);
        let at = (dx * cos - dy * sin + middle.0, dx * sin + dy * cos + middle.1);
        image::Luma([shade(picture, at)])
    })
}

/// The shade between dots; white outside.
fn shade(picture: &Gray, (x, y): (f32, f32)) -> u8 {
    let (left, top) = (x.floor(), y.floor());
    let dot = |x: f32, y: f32| {
        let is_inside = x >= 0.0 && y >= 0.0 && x < picture.width() as f32 && y < picture.height() as f32;
        if is_inside {
            f32::from(picture.get_pixel(x as u32, y as u32).0[0])
        } else {
            255.0
        }
    };
    let (across, down) = (x - left, y - top);
    let upper = dot(left, top) * (1.0 - across) + dot(left + 1.0, top) * across;
    let lower = dot(left, top + 1.0) * (1.0 - across) + dot(left + 1.0, top + 1.0) * across;
    (upper * (1.0 - down) + lower * down).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of dashes.
    fn page() -> Gray {
        Gray::from_fn(800, 1000, |x, y| {
            let is_inside = (100..700).contains(&x) && (100..900).contains(&y);
            image::Luma([if is_inside && y % 25 < 9 && x % 11 < 7 { 20 } else { 240 }])
        })
    }

    #[test]
    fn pages_are_turned_back() {
        assert_eq!(angle(&page()), 0.0);
        for degrees in [2.0, -5.0, 8.0] {
            let skewed = turned(&page(), degrees);
            let found = angle(&skewed);
            assert!((found + degrees).abs() < 0.3, "{degrees}: {found}");
            assert!(angle(&turned(&skewed, found)).abs() < 0.3);
        }
    }

    #[test]
    fn what_has_no_rows_stays() {
        assert_eq!(angle(&Gray::from_pixel(500, 500, image::Luma([255]))), 0.0);
        assert_eq!(angle(&Gray::new(0, 0)), 0.0);
        let noise = |x: u32, y: u32| {
            let mixed = x.wrapping_mul(374_761_393).wrapping_add(y.wrapping_mul(668_265_263));
            let mixed = (mixed ^ (mixed >> 13)).wrapping_mul(1_274_126_177);
            image::Luma([((mixed ^ (mixed >> 16)) & 0xff) as u8])
        };
        assert_eq!(angle(&Gray::from_fn(300, 300, noise)), 0.0);
    }
}
