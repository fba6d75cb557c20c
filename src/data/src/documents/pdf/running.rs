//! Headers and footers: lines at the edge of pages that come again and again, but for numbers in them.

use std::collections::{BTreeSet, HashMap};

use super::lines::Line;

/// Lines at each edge of a page that may be such.
const LINES: usize = 3;
/// Pages on which one comes, at least.
const PAGES: usize = 3;

/// Takes them away.
pub(super) fn remove(lines: &mut Vec<Line>, pages: usize) {
    let mut of_page: Vec<Vec<usize>> = vec![Vec::new(); pages];
    for (at, line) in lines.iter().enumerate() {
        if let Some(page) = of_page.get_mut(line.page) {
            page.push(at);
        }
    }
    let numbered = numbered(lines, &mut of_page);
    let mut counts: HashMap<String, usize> = HashMap::new();
    let mut edges = Vec::new();
    for page in &of_page {
        let distinct: BTreeSet<usize> = page
            .iter()
            .take(LINES)
            .chain(page.iter().rev().take(LINES))
            .copied()
            .collect();
        let shapes: BTreeSet<String> = distinct.iter().map(|at| shape(&lines[*at])).collect();
        shapes
            .into_iter()
            .for_each(|shape| *counts.entry(shape).or_default() += 1);
        edges.push(distinct);
    }
    let gone: BTreeSet<usize> = edges
        .into_iter()
        .flatten()
        .filter(|at| {
            let shape = shape(&lines[*at]);
            let count = counts.get(&shape).copied().unwrap_or_default();
            count >= PAGES && (count * 10 >= pages || is_number(&shape))
        })
        .chain(numbered)
        .collect();
    let mut at = 0;
    lines.retain(|_| {
        at += 1;
        !gone.contains(&(at - 1))
    });
}

/// Lines at the very edge that have the number of their page, whatever else: where others have theirs as well. `of_page`
/// has the lines of each page, which are sorted from its top.
fn numbered(lines: &[Line], of_page: &mut [Vec<usize>]) -> Vec<usize> {
    let mut found = Vec::new();
    for (number, page) in of_page.iter_mut().enumerate() {
        page.sort_by(|a, b| lines[*a].top.total_cmp(&lines[*b].top));
        let edges: BTreeSet<usize> = page.first().into_iter().chain(page.last()).copied().collect();
        for at in edges {
            // The number of a section at the other end may look like one as well.
            let text = lines[at].text();
            let words = [text.split_whitespace().next(), text.split_whitespace().next_back()];
            let offsets: BTreeSet<i64> = words
                .into_iter()
                .flatten()
                .filter_map(|word| Some(word.parse::<u32>().ok()?.into()))
                .map(|shown: i64| shown - number as i64)
                .collect();
            found.push((at, offsets));
        }
    }
    let mut counts: HashMap<i64, usize> = HashMap::new();
    for offset in found.iter().flat_map(|(_, offsets)| offsets) {
        *counts.entry(*offset).or_default() += 1;
    }
    let usual = counts.into_iter().max_by_key(|(offset, count)| (*count, -offset.abs()));
    let Some((usual, count)) = usual else { return Vec::new() };
    let is_usual = count >= PAGES && count * 3 >= of_page.len();
    found
        .into_iter()
        .filter(|(_, offsets)| is_usual && offsets.contains(&usual))
        .map(|(at, _)| at)
        .collect()
}

/// What it has in common with those of other pages.
fn shape(line: &Line) -> String {
    let text = line.text();
    let mut shape = String::new();
    let words: Vec<&str> = text.split_whitespace().collect();
    for (at, word) in words.iter().enumerate() {
        let is_edge = at == 0 || at + 1 == words.len();
        let core = word.trim_matches(|c: char| !c.is_alphanumeric());
        let is_roman = core.len() <= 7 && !core.is_empty() && core.chars().all(|c| "ivxlc".contains(c));
        if is_edge && is_roman {
            shape.push('#');
        } else {
            shape.extend(word.chars().map(|c| if c.is_numeric() { '#' } else { c }));
        }
        shape.push(' ');
    }
    while shape.contains("##") {
        shape = shape.replace("##", "#");
    }
    shape
}

fn is_number(shape: &str) -> bool {
    shape.chars().all(|c| !c.is_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(page: usize, top: f32, text: &str) -> Line {
        Line {
            page,
            top,
            bottom: top + 10.0,
            cells: vec![text.into()],
            ..Line::default()
        }
    }

    #[test]
    fn what_comes_again_at_the_edge_goes() {
        let mut lines = Vec::new();
        for page in 0..5 {
            lines.push(line(page, 20.0, &format!("Handbook {}", page + 1)));
            for place in 0..8 {
                lines.push(line(
                    page,
                    100.0 + 20.0 * place as f32,
                    &format!("Text {place} of page {page}, which is {}", "z".repeat(page + 1)),
                ));
            }
            lines.push(line(page, 400.0, "The same in the middle is text."));
            for place in 0..3 {
                lines.push(line(
                    page,
                    500.0 + 20.0 * place as f32,
                    &format!("{} end", "y".repeat(page * 3 + place + 1)),
                ));
            }
            lines.push(line(page, 750.0, ["i", "ii", "iii", "iv", "v"][page]));
        }
        remove(&mut lines, 5);
        assert!(!lines.iter().any(|line| line.text().starts_with("Handbook")));
        assert!(!lines.iter().any(|line| line.top == 750.0));
        assert_eq!(lines.iter().filter(|line| line.top == 400.0).count(), 5);
        assert_eq!(lines.len(), 5 * 12);
    }

    #[test]
    fn the_number_of_a_page_takes_what_is_beside_it_along() {
        let mut lines = Vec::new();
        for page in 0..6 {
            lines.push(line(
                page,
                100.0,
                &format!("{} apples are text", ["Two", "Nine", "Ten", "No", "All", "Red"][page]),
            ));
            lines.push(line(page, 400.0, &format!("{} more of it", "w".repeat(page + 1))));
            let section = ["One", "Two", "Three", "Four", "Five", "Six"][page];
            lines.push(line(page, 750.0, &format!("{page}.1. Section {section} {}", page + 9)));
        }
        remove(&mut lines, 6);
        assert!(
            lines.len() == 12 && lines.iter().all(|line| line.top < 700.0),
            "{lines:?}"
        );
    }

    #[test]
    fn a_short_document_has_none() {
        let mut lines = vec![line(0, 20.0, "Title"), line(1, 20.0, "Title")];
        remove(&mut lines, 2);
        assert_eq!(lines.len(), 2);
    }
}
