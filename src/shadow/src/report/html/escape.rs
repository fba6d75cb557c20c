//! Markup that nothing can break out of.

use crate::report::visible::visible;

/// A page on its way. Markup is what stands in this program ([`Self::raw`]); whatever else comes in is escaped.
#[derive(Default)]
pub struct Page(String);

impl Page {
    /// Markup of our own: the type lets nothing else in.
    pub fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Text, within an element or within a quoted attribute. What has no picture of its own is shown by its number.
    pub fn text(&mut self, text: &str) -> &mut Self {
        for c in visible(text).chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '`' => self.0.push_str("&#96;"),
                c => self.0.push(c),
            }
        }
        self
    }

    /// A source of a content security policy, whose quotes must stay as they are: `'sha256-...'`.
    pub(super) fn policy(&mut self, source: &str) -> &mut Self {
        let is_known = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '\'' | '-' | '+' | '/' | '=');
        self.0.extend(source.chars().filter(is_known));
        self
    }

    /// An attribute with a coordinate, to a hundredth.
    pub fn number(&mut self, name: &'static str, value: f64) -> &mut Self {
        let value = if value.is_finite() { value } else { 0.0 };
        let text = format!("{value:.2}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        self.0.push_str(&format!(" {name}=\"{text}\""));
        self
    }

    /// An empty element with coordinates.
    pub fn shape(&mut self, open: &'static str, numbers: &[(&'static str, f64)]) -> &mut Self {
        self.raw(open);
        for (name, value) in numbers {
            self.number(name, *value);
        }
        self.raw("/>")
    }

    /// A text with coordinates, in a drawing.
    pub fn shape_with_text(&mut self, open: &'static str, numbers: &[(&'static str, f64)], text: &str) -> &mut Self {
        self.raw(open);
        for (name, value) in numbers {
            self.number(name, *value);
        }
        self.raw(">").text(text).raw("</text>")
    }

    /// A line through points, or what it encloses.
    pub fn points(&mut self, open: &'static str, points: impl Iterator<Item = (f64, f64)>) -> &mut Self {
        self.raw(open).raw(" points=\"");
        for (x, y) in points {
            self.0.push_str(&format!("{x:.1},{y:.1} "));
        }
        self.raw("\"/>")
    }

    /// The page.
    pub fn finish(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn text_is_never_markup(text in any::<String>()) {
            let mut page = Page::default();
            page.text(&text);
            let out = page.finish();
            prop_assert!(!out.contains(['<', '>', '"', '\'', '`']));
            for (at, _) in out.match_indices('&') {
                let known = ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;", "&#96;"];
                prop_assert!(known.iter().any(|entity| out[at..].starts_with(entity)));
            }
        }
    }

    #[test]
    fn coordinates_are_numbers() {
        let mut page = Page::default();
        page.shape("<line", &[("x1", 0.5), ("x2", f64::NAN), ("y1", 12.0)]);
        assert_eq!(page.finish(), "<line x1=\"0.5\" x2=\"0\" y1=\"12\"/>");
    }
}
