//! Markdown and HTML without what has an address.

use super::url::{self, Links, REMOVED};
use crate::answer::citations;

/// How deep links within links are followed.
const MAX_DEPTH: usize = 8;

/// Tags that do something without an attribute; all that have one go in any case.
const TAGS: &[&str] = &[
    "a",
    "abbr",
    "address",
    "area",
    "article",
    "aside",
    "audio",
    "b",
    "base",
    "bdi",
    "bdo",
    "big",
    "blockquote",
    "body",
    "br",
    "button",
    "canvas",
    "caption",
    "center",
    "cite",
    "code",
    "col",
    "colgroup",
    "datalist",
    "dd",
    "del",
    "details",
    "dfn",
    "dialog",
    "dir",
    "div",
    "dl",
    "dt",
    "em",
    "embed",
    "fieldset",
    "figcaption",
    "figure",
    "font",
    "footer",
    "form",
    "frame",
    "frameset",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "header",
    "hr",
    "html",
    "i",
    "iframe",
    "image",
    "img",
    "input",
    "ins",
    "kbd",
    "label",
    "legend",
    "li",
    "link",
    "main",
    "map",
    "mark",
    "marquee",
    "math",
    "menu",
    "meta",
    "meter",
    "nav",
    "noembed",
    "noframes",
    "noscript",
    "object",
    "ol",
    "optgroup",
    "option",
    "output",
    "p",
    "param",
    "picture",
    "plaintext",
    "portal",
    "pre",
    "progress",
    "q",
    "rp",
    "rt",
    "ruby",
    "s",
    "samp",
    "script",
    "search",
    "section",
    "select",
    "slot",
    "small",
    "source",
    "span",
    "strike",
    "strong",
    "style",
    "sub",
    "summary",
    "sup",
    "svg",
    "table",
    "tbody",
    "td",
    "template",
    "textarea",
    "tfoot",
    "th",
    "thead",
    "time",
    "title",
    "tr",
    "track",
    "tt",
    "u",
    "ul",
    "var",
    "video",
    "wbr",
    "xml",
    "xmp",
];

/// Whether no construct of `text` may go on behind it.
pub fn is_closed(text: &str) -> bool {
    let paragraph = text.len() - last_paragraph(text).len();
    let text = &text[paragraph..];
    let (mut brackets, mut parentheses, mut is_tag) = (0_usize, 0_usize, false);
    let mut before = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '[' => brackets += 1,
            ']' => brackets = brackets.saturating_sub(1),
            '(' if before == Some(']') || parentheses > 0 => parentheses += 1,
            ')' => parentheses = parentheses.saturating_sub(1),
            '<' if chars.peek().is_some_and(|next| opens_tag(*next)) => is_tag = true,
            '>' => is_tag = false,
            _ => {}
        }
        before = Some(c);
    }
    brackets == 0 && parentheses == 0 && !is_tag
}

/// Cleans a text. Nothing in it spans an empty line.
pub fn clean(text: &str, links: &Links) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let end = first_paragraph(rest);
        Writer { links, out: &mut out }.write(&rest[..end], 0);
        rest = &rest[end..];
    }
    out
}

/// The end of the first paragraph with the empty line behind it.
fn first_paragraph(text: &str) -> usize {
    for (at, _) in text.match_indices('\n') {
        let behind = &text[at + 1..];
        let blank = behind.len() - behind.trim_start_matches([' ', '\t', '>']).len();
        if behind[blank..].starts_with('\n') {
            return at + 1 + blank + 1;
        }
    }
    text.len()
}

fn last_paragraph(text: &str) -> &str {
    let mut rest = text;
    loop {
        match first_paragraph(rest) {
            end if end == rest.len() => {
                // The text may end with an empty line.
                let trimmed = rest.trim_end_matches([' ', '\t']);
                let is_over = trimmed.ends_with('\n')
                    && trimmed[..trimmed.len() - 1]
                        .trim_end_matches([' ', '\t', '>'])
                        .ends_with('\n');
                return if is_over { "" } else { rest };
            }
            end => rest = &rest[end..],
        }
    }
}

struct Writer<'a> {
    links: &'a Links,
    out: &'a mut String,
}

impl Writer<'_> {
    fn write(&mut self, text: &str, depth: usize) {
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            let rest = &text[at..];
            let length = match c {
                '[' => self.bracket(rest, depth),
                '<' => self.angle(rest),
                '&' => self.reference(rest),
                ':' if self.out.ends_with(']') => {
                    // Else it is the definition of a link.
                    self.out.push_str(" :");
                    1
                }
                '(' if self.out.ends_with(']') => {
                    self.out.push_str(" (");
                    1
                }
                _ => self.plain(rest, text[..at].chars().next_back(), c),
            };
            at += length;
        }
    }

    /// A character, or the address that begins with it.
    fn plain(&mut self, rest: &str, before: Option<char>, c: char) -> usize {
        match url::length(rest, before) {
            Some(length) => {
                self.address(&rest[..length]);
                length
            }
            None => {
                self.out.push(c);
                c.len_utf8()
            }
        }
    }

    fn address(&mut self, url: &str) {
        let shown = if self.links.allow(url) { url } else { REMOVED };
        // Behind a bracket, parentheses are the target of a link.
        if shown.starts_with('(') && self.out.ends_with(']') {
            self.out.push(' ');
        }
        self.out.push_str(shown);
    }

    /// A link or an image, of which the text stays; or just a bracket.
    fn bracket(&mut self, rest: &str, depth: usize) -> usize {
        let Some(close) = matching(rest, '[', ']') else {
            self.open_bracket();
            return 1;
        };
        let (text, behind) = (&rest[1..close], &rest[close + 1..]);
        let target = behind.starts_with('(').then(|| matching(behind, '(', ')')).flatten();
        let Some(end) = target.filter(|end| is_target(&behind[1..*end])) else {
            // Whatever is inside is looked at, and the closing bracket in its turn.
            self.open_bracket();
            return 1;
        };
        let address = behind[1..end].split_whitespace().next().unwrap_or_default();
        let is_image = self.out.ends_with('!');
        if is_image {
            self.out.pop();
        }
        let is_citation = citations::marks(&rest[..=close])
            .first()
            .is_some_and(|mark| mark.range == (0..close + 1));
        if is_citation {
            self.open_bracket();
            self.out.push_str(&rest[1..=close]);
        } else if !is_image && depth == 0 && self.links.allow(address) && !text.contains(['[', ']', '!', '<']) {
            self.open_bracket();
            self.write(text, MAX_DEPTH);
            self.out.push_str("](");
            self.out.push_str(address);
            self.out.push(')');
        } else if depth < MAX_DEPTH {
            self.write(text, depth + 1);
        }
        close + 1 + end + 1
    }

    /// Behind an exclamation mark it would be an image.
    fn open_bracket(&mut self) {
        if self.out.ends_with('!') {
            self.out.push(' ');
        }
        self.out.push('[');
    }

    /// A tag, which goes; or a sign that begins none.
    fn angle(&mut self, rest: &str) -> usize {
        let next = rest[1..].chars().next();
        match next {
            Some(next) if opens_tag(next) => {}
            // What follows cannot make a tag of it.
            Some(next) if next.is_whitespace() || next.is_ascii_digit() || matches!(next, '=' | '-') => {
                self.out.push('<');
                return 1;
            }
            _ => {
                self.out.push_str("&lt;");
                return 1;
            }
        }
        let Some(end) = rest.find('>') else {
            self.out.push_str("&lt;");
            return 1;
        };
        let inside = &rest[1..end];
        let name = inside.trim_start_matches('/');
        let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let is_known = TAGS.contains(&name.to_ascii_lowercase().as_str());
        if is_name && !is_known && !name.is_empty() {
            // `Vec<String>`.
            self.out.push_str(&rest[..=end]);
        } else if url::length(inside, None).is_some() {
            self.address(inside.trim());
        }
        end + 1
    }

    /// A character reference: what it stands for may be anything above.
    fn reference(&mut self, rest: &str) -> usize {
        let name = rest[1..].trim_start_matches('#');
        let length = name.chars().take_while(char::is_ascii_alphanumeric).count();
        let is_one = length > 0 && length <= 32 && (name[length..].starts_with(';') || rest.starts_with("&#"));
        self.out.push_str(if is_one { "&amp;" } else { "&" });
        1
    }
}

/// Where the bracket that `text` begins with is closed.
fn matching(text: &str, open: char, close: char) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        if c == open {
            depth += 1;
        } else if c == close {
            depth -= 1;
            if depth == 0 {
                return Some(at);
            }
        }
    }
    None
}

/// Whether what is in parentheses behind a bracket is an address with or without a title.
fn is_target(inside: &str) -> bool {
    let inside = inside.trim();
    let behind = match inside.starts_with('<') {
        true => inside.find('>').map_or("", |end| &inside[end + 1..]),
        false => inside.find(char::is_whitespace).map_or("", |end| &inside[end..]),
    };
    let behind = behind.trim_start();
    behind.is_empty() || behind.starts_with(['"', '\'', '('])
}

fn opens_tag(c: char) -> bool {
    c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?')
}
