//! Which styles of paragraphs are headings, and which hide their text.

use std::collections::HashMap;

use quick_xml::events::{BytesStart, Event};

use super::xml::{attribute, next, reader};
use crate::documents::Result;

/// Levels of headings that there are.
const LEVELS: u8 = 9;

/// A style.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Style {
    /// 1 for the outermost headings.
    pub heading: Option<u8>,
    pub is_hidden: bool,
    based_on: Option<String>,
}

/// Styles by their ids.
#[derive(Debug, Default)]
pub(super) struct Styles(HashMap<String, Style>);

impl Styles {
    /// What a style says, with what those say that it is based on.
    pub(super) fn of(&self, id: &str) -> Style {
        let mut found = Style::default();
        let mut id = id;
        // They may be based on each other in a circle.
        for _ in 0..16 {
            let Some(style) = self.0.get(id) else {
                found.heading = found.heading.or_else(|| by_name(id));
                break;
            };
            found.heading = found.heading.or(style.heading);
            found.is_hidden |= style.is_hidden;
            match &style.based_on {
                Some(base) => id = base,
                None => break,
            }
        }
        found
    }
}

/// Reads `word/styles.xml`.
pub(super) fn read(part: &[u8]) -> Result<Styles> {
    let mut reader = reader(part);
    let mut styles = Styles::default();
    let mut current: Option<(String, Style)> = None;
    loop {
        match next(&mut reader)? {
            Event::Start(start) if start.local_name().as_ref() == b"style" => {
                let id = attribute(&start, b"styleId").unwrap_or_default();
                current = Some((id, Style::default()));
            }
            Event::Start(start) | Event::Empty(start) => {
                if let Some((_, style)) = &mut current {
                    take(&start, style);
                }
            }
            Event::End(end) if end.local_name().as_ref() == b"style" => styles.0.extend(current.take()),
            Event::Eof => return Ok(styles),
            _ => {}
        }
    }
}

fn take(element: &BytesStart<'_>, style: &mut Style) {
    let value = attribute(element, b"val");
    match element.local_name().as_ref() {
        b"name" => style.heading = style.heading.or_else(|| by_name(&value.unwrap_or_default())),
        b"outlineLvl" => style.heading = outline(value.as_deref()).or(style.heading),
        b"basedOn" => style.based_on = value,
        b"vanish" => style.is_hidden |= is_on(value.as_deref()),
        _ => {}
    }
}

/// The level of an outline: 0 is the outermost, 9 is text.
pub(super) fn outline(value: Option<&str>) -> Option<u8> {
    let level = value?.parse::<u8>().ok()?;
    (level < LEVELS).then_some(level + 1)
}

/// Whether a switch is on: it is without a value.
pub(super) fn is_on(value: Option<&str>) -> bool {
    !matches!(value, Some("0" | "false" | "off" | "none"))
}

/// `heading 2`, `Heading2`, `Title`.
fn by_name(name: &str) -> Option<u8> {
    let name = name.to_ascii_lowercase();
    if name == "title" {
        return Some(1);
    }
    let level = name.strip_prefix("heading")?.trim().parse::<u8>().ok()?;
    (1..=LEVELS).contains(&level).then_some(level)
}
