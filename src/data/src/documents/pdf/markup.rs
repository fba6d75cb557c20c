//! Tags and text of what only looks like XML: poppler escapes most of what it prints, and not all.

/// A part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// A tag: its name, with a slash before it where it ends something, and its attributes as they are written.
    Tag(&'a str, &'a str),
    /// What stands between tags, as it is written.
    Text(&'a str),
}

/// The parts of a text.
pub(super) fn parts(text: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some((name, attributes, after)) = tag(rest) {
            rest = after;
            return Some(Part::Tag(name, attributes));
        }
        // One that begins no tag is text.
        let start = usize::from(rest.starts_with('<'));
        let end = rest[start..].find('<').map_or(rest.len(), |at| at + start);
        let (text, after) = rest.split_at(end);
        rest = after;
        Some(Part::Text(text))
    })
}

fn tag(text: &str) -> Option<(&str, &str, &str)> {
    let inside = text.strip_prefix('<')?;
    let first = inside.trim_start_matches('/').chars().next()?;
    if !(first.is_ascii_alphabetic() || matches!(first, '?' | '!')) {
        return None;
    }
    let end = inside.find('>')?;
    let (inside, after) = (&inside[..end], &inside[end + 1..]);
    let (name, attributes) = inside
        .split_once(|c: char| c.is_ascii_whitespace())
        .unwrap_or((inside, ""));
    Some((name.trim_end_matches('/'), attributes, after))
}

/// Attributes, with their values as they are written.
pub(super) fn attributes(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        // By single characters: there are hundreds of thousands of them.
        let (name, after) = rest.split_once('=')?;
        let (value, after) = after.strip_prefix('"')?.split_once('"')?;
        rest = after;
        Some((name.trim(), value))
    })
}

/// An attribute, as it is written.
pub(super) fn attribute<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    attributes(text)
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value)
}

/// A number that can be computed with.
pub(super) fn number(value: &str) -> Option<f32> {
    value.parse().ok().filter(|number: &f32| number.is_finite())
}

/// Text without escapes.
pub(super) fn unescape(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.char_indices().take(12).find(|(_, c)| *c == ';').map(|(at, _)| at);
        match end.and_then(|end| Some((character(&rest[1..end])?, end))) {
            Some((character, end)) => {
                out.push(character);
                rest = &rest[end + 1..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
}

fn character(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        name => {
            let number = name.strip_prefix('#')?;
            let number = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(number)?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_text_are_told_apart() {
        let found: Vec<_> = parts("<text a=\"1\" b=\"x y\">1 < 2 <b>c</b><br/>").collect();
        assert_eq!(
            found,
            [
                Part::Tag("text", "a=\"1\" b=\"x y\""),
                Part::Text("1 "),
                Part::Text("< 2 "),
                Part::Tag("b", ""),
                Part::Text("c"),
                Part::Tag("/b", ""),
                Part::Tag("br", ""),
            ]
        );
        assert_eq!(attribute("a=\"1\" b=\"x y\"", "b"), Some("x y"));
        assert_eq!((number("inf"), number("x"), number("-2.5")), (None, None, Some(-2.5)));
        let mut out = String::new();
        unescape("a &amp;&#160;&#x41; & b &nope; &#xffffffff;", &mut out);
        assert_eq!(out, "a &\u{a0}A & b &nope; &#xffffffff;");
    }
}
