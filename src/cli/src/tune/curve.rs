//! A curve of Braille characters, each of two by four dots.

/// The first Braille character: no dot.
const BLANK: u32 = 0x2800;
/// The bits of the dots of a character, by row and column.
const DOTS: [[u32; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];

/// Draws `points`, in the order of their first values, over `width` and `height` characters. The highest value is at
/// the top. Nothing for fewer than two points: they have no curve.
pub fn draw(points: &[(i64, f64)], width: usize, height: usize) -> Vec<String> {
    let ([first, .., last], 1.., 1..) = (points, width, height) else {
        return Vec::new();
    };
    let (columns, rows) = (2 * width, 4 * height);
    let values = || points.iter().map(|(_, value)| *value);
    let (low, high) = (values().fold(f64::MAX, f64::min), values().fold(f64::MIN, f64::max));
    let steps = (last.0 - first.0).max(1) as f64;
    // A flat curve runs through the middle.
    let share = |value: f64| if high > low { (value - low) / (high - low) } else { 0.5 };
    let row = |value: f64| ((1.0 - share(value)) * (rows - 1) as f64).round() as usize;
    let column = |step: i64| (step - first.0) as f64 / steps * (columns - 1) as f64;
    let mut cells = vec![vec![BLANK; width]; height];
    let mut dot = |x: usize, y: usize| cells[y / 4][x / 2] |= DOTS[y % 4][x % 2];
    let mut before: Option<usize> = None;
    let mut next = 0;
    for x in 0..columns {
        // The last of the points that share a column stands for them; between points the curve is straight.
        while next + 2 < points.len() && column(points[next + 1].0) <= x as f64 {
            next += 1;
        }
        let ((from, start), (to, end)) = (points[next], points[next + 1]);
        let (from, to) = (column(from), column(to));
        let part = if to > from {
            ((x as f64 - from) / (to - from)).clamp(0.0, 1.0)
        } else {
            1.0
        };
        let y = row(start + part * (end - start));
        // Without gaps where it is steep.
        let (top, bottom) = match before {
            Some(before) if before < y => (before + 1, y),
            Some(before) if before > y => (y, before - 1),
            _ => (y, y),
        };
        (top..=bottom).for_each(|y| dot(x, y));
        before = Some(y);
    }
    let text = |cells: Vec<u32>| cells.into_iter().filter_map(char::from_u32).collect();
    cells.into_iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_falling_loss_falls() {
        let points = [(0, 4.0), (10, 2.0), (20, 1.0), (30, 0.5), (40, 0.0)];
        assert_eq!(draw(&points, 8, 2), ["⠑⢄⠀⠀⠀⠀⠀⠀", "⠀⠀⠉⠒⠢⠤⢄⣀"].map(String::from));
    }

    #[test]
    fn a_flat_curve_is_a_line() {
        assert_eq!(draw(&[(1, 2.0), (9, 2.0)], 4, 1), ["⠤⠤⠤⠤"]);
    }

    #[test]
    fn what_has_no_curve_is_not_drawn() {
        assert!(draw(&[(1, 2.0)], 4, 1).is_empty());
        assert!(draw(&[(1, 2.0), (2, 1.0)], 0, 1).is_empty());
    }

    #[test]
    fn many_points_fit_into_few_columns() {
        let points: Vec<_> = (0..1000).map(|step| (step, f64::from(1000 - step as i32))).collect();
        let lines = draw(&points, 5, 3);
        assert!(lines.len() == 3 && lines.iter().all(|line| line.chars().count() == 5));
        assert_ne!(lines[0].chars().next(), char::from_u32(BLANK));
        assert_eq!(lines[0].chars().last(), char::from_u32(BLANK));
    }
}
