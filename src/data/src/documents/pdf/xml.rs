//! What poppler prints of a PDF, as pages of runs.

use std::collections::HashMap;

use super::markup::{Part, attribute, attributes, number, parts, unescape};

/// A document as it is laid out.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Layout {
    pub pages: Vec<Page>,
    /// What its author says of its structure.
    pub outline: Vec<Entry>,
    /// Where its links lead.
    pub links: Vec<String>,
}

/// A page. Lengths are points, from its left upper corner.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Page {
    pub width: f32,
    pub height: f32,
    pub runs: Vec<Run>,
}

impl Page {
    /// Visible characters on it.
    pub(super) fn characters(&self) -> usize {
        let visible = |run: &Run| run.text.chars().filter(|c| !c.is_whitespace()).count();
        self.runs.iter().map(visible).sum()
    }
}

/// Text of one font on one line.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Run {
    pub left: f32,
    pub top: f32,
    pub right: f32,
    pub bottom: f32,
    /// Of its font.
    pub size: f32,
    pub is_bold: bool,
    pub is_fixed: bool,
    /// Whether its colour cannot be told from white.
    pub is_white: bool,
    pub text: String,
}

/// An entry of the outline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// 1 for the outermost.
    pub level: u8,
    /// Its page, from 1.
    pub page: u32,
    pub text: String,
}

#[derive(Clone, Copy, Default)]
struct Font {
    size: f32,
    is_bold: bool,
    is_fixed: bool,
    is_white: bool,
}

/// How many of poppler's units make a point: it rounds to whole ones, and takes no more than three.
pub(super) const ZOOM: f32 = 3.0;
/// Entries of an outline that are looked at.
const MAX_ENTRIES: usize = 100_000;
const MAX_LINKS: usize = 10_000;

/// Reads what was printed. What is none of it says nothing.
pub(super) fn parse(text: &str) -> Layout {
    let mut layout = Layout::default();
    let mut fonts: HashMap<&str, Font> = HashMap::new();
    let mut run: Option<Run> = None;
    let mut entry: Option<Entry> = None;
    let mut depth = 0_u8;
    for part in parts(text) {
        match part {
            Part::Tag("page", attributes) => layout.pages.push(Page {
                width: points(attributes, "width"),
                height: points(attributes, "height"),
                runs: Vec::new(),
            }),
            Part::Tag("fontspec", attributes) => {
                if let Some(id) = attribute(attributes, "id") {
                    fonts.insert(id, font(attributes));
                }
            }
            Part::Tag("text", attributes) => run = Some(begin(attributes, &fonts)),
            Part::Tag("/text", _) => {
                if let Some((run, page)) = run.take().zip(layout.pages.last_mut()) {
                    page.runs.push(run);
                }
            }
            Part::Tag("b", _) => {
                if let Some(run) = &mut run {
                    // It is, if all of it is.
                    run.is_bold |= run.text.trim().is_empty();
                }
            }
            Part::Tag("a", attributes) => {
                let link = attribute(attributes, "href").filter(|link| link.contains(':'));
                if let Some(link) = link.filter(|_| layout.links.len() < MAX_LINKS) {
                    let mut plain = String::new();
                    unescape(link, &mut plain);
                    layout.links.push(plain);
                }
            }
            Part::Tag("outline", _) => depth = depth.saturating_add(1),
            Part::Tag("/outline", _) => depth = depth.saturating_sub(1),
            Part::Tag("item", attributes) => {
                entry = Some(Entry {
                    level: depth.max(1),
                    page: attribute(attributes, "page").and_then(number).unwrap_or_default() as u32,
                    text: String::new(),
                });
            }
            Part::Tag("/item", _) => layout
                .outline
                .extend(entry.take().filter(|_| layout.outline.len() < MAX_ENTRIES)),
            Part::Text(text) => {
                if let Some(run) = &mut run {
                    unescape(text, &mut run.text);
                } else if let Some(entry) = &mut entry {
                    unescape(text, &mut entry.text);
                }
            }
            Part::Tag(..) => {}
        }
    }
    layout
}

/// A run that begins.
fn begin(written: &str, fonts: &HashMap<&str, Font>) -> Run {
    let [mut left, mut top, mut width, mut height] = [0.0; 4];
    let mut font = Font::default();
    for (name, value) in attributes(written) {
        let place = match name {
            "left" => &mut left,
            "top" => &mut top,
            "width" => &mut width,
            "height" => &mut height,
            "font" => {
                font = fonts.get(value).copied().unwrap_or_default();
                continue;
            }
            _ => continue,
        };
        *place = number(value).unwrap_or_default() / ZOOM;
    }
    Run {
        left,
        top,
        right: left + width.max(0.0),
        bottom: top + height.max(0.0),
        // Where fonts lie about their size, what is drawn has one.
        size: if font.size > 0.0 { font.size } else { height },
        is_bold: font.is_bold,
        is_fixed: font.is_fixed,
        is_white: font.is_white,
        text: String::new(),
    }
}

fn points(attributes: &str, name: &str) -> f32 {
    attribute(attributes, name).and_then(number).unwrap_or_default() / ZOOM
}

fn font(attributes: &str) -> Font {
    let family = attribute(attributes, "family").unwrap_or_default().to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| family.contains(word));
    Font {
        size: points(attributes, "size"),
        is_bold: has(&["bold", "black", "heavy", "cmbx", "sfbx", "demi"]),
        is_fixed: has(&["mono", "courier", "consol", "typewriter", "cmtt", "sftt", "code"]),
        is_white: attribute(attributes, "color").is_some_and(crate::documents::html::is_white),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_have_places_and_fonts() {
        let layout = parse(
            "<page number=\"1\" height=\"2376\" width=\"1836\">\n<fontspec id=\"0\" size=\"63\" family=\"X+CMBX12\" color=\"#ffffff\"/>\n\
             <text top=\"30\" left=\"270\" width=\"300\" height=\"60\" font=\"0\">A &lt; <a href=\"https://h.example/?a&amp;b\">b</a></text>\n\
             <text top=\"120\" left=\"270\" width=\"nan\" height=\"60\" font=\"7\"><b>all</b></text></page>\
             <outline><item page=\"1\">One</item><outline><item page=\"2\">Two &amp; a half</item></outline></outline>",
        );
        let [page] = &layout.pages[..] else {
            panic!("{layout:?}")
        };
        assert_eq!((page.width, page.height), (612.0, 792.0));
        let first = &page.runs[0];
        assert_eq!(
            (first.text.as_str(), first.right, first.bottom, first.size),
            ("A < b", 190.0, 30.0, 21.0)
        );
        assert!(first.is_bold && first.is_white && !first.is_fixed);
        assert!(page.runs[1].is_bold && page.runs[1].size == 20.0);
        assert_eq!(layout.links, ["https://h.example/?a&b"]);
        let outline: Vec<_> = layout
            .outline
            .iter()
            .map(|entry| (entry.level, entry.page, entry.text.as_str()))
            .collect();
        assert_eq!(outline, [(1, 1, "One"), (2, 2, "Two & a half")]);
    }
}
