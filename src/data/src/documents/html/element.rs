//! What elements mean.

/// What an element does to the text inside of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Begins and ends a block.
    Block,
    Heading(u8),
    Item,
    Preformatted,
    Table,
    Row,
    Cell,
    /// A line ends.
    Break,
    /// The main part of the page.
    Main,
    /// What belongs to the site and not to the page.
    Navigation,
    /// Nobody sees it, or it is no text.
    Nothing,
    /// Part of a line.
    Inline,
}

pub(super) fn role(name: &str) -> Role {
    match name {
        "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => Role::Heading(name.as_bytes()[1] - b'0'),
        "p" | "div" | "section" | "blockquote" | "ul" | "ol" | "dl" | "dd" | "figure" | "figcaption" | "fieldset"
        | "address" | "details" | "summary" | "body" | "html" | "center" | "caption" | "hr" | "menu" | "hgroup"
        | "head" => Role::Block,
        "li" | "dt" => Role::Item,
        "pre" | "listing" | "xmp" => Role::Preformatted,
        "table" => Role::Table,
        "tr" => Role::Row,
        "td" | "th" => Role::Cell,
        "br" => Role::Break,
        "main" | "article" => Role::Main,
        "nav" | "header" | "footer" | "aside" | "form" | "menuitem" | "dialog" | "search" => Role::Navigation,
        "script" | "style" | "noscript" | "template" | "svg" | "math" | "iframe" | "object" | "embed" | "canvas"
        | "audio" | "video" | "select" | "datalist" | "button" | "textarea" | "noembed" | "noframes" | "map" => {
            Role::Nothing
        }
        _ => Role::Inline,
    }
}

/// Elements without content and without an end.
pub(super) fn is_void(name: &str) -> bool {
    matches!(
        name,
        "area"
            | "base"
            | "br"
            | "col"
            | "embed"
            | "hr"
            | "img"
            | "input"
            | "link"
            | "meta"
            | "param"
            | "source"
            | "track"
            | "wbr"
    )
}

/// Which open elements one ends by beginning, as their ends may be left out; and behind which none is looked for.
pub(super) fn ends(name: &str) -> (&'static [&'static str], &'static [&'static str]) {
    match name {
        "li" => (&["li"], &["ul", "ol", "menu"]),
        "dt" | "dd" => (&["dt", "dd"], &["dl"]),
        "td" | "th" => (&["td", "th"], &["table", "tr"]),
        "tr" => (&["tr"], &["table"]),
        "tbody" | "thead" | "tfoot" => (&["tbody", "thead", "tfoot"], &["table"]),
        "body" => (&["head"], &[]),
        name if matches!(
            role(name),
            Role::Block | Role::Heading(_) | Role::Preformatted | Role::Table | Role::Main | Role::Navigation
        ) =>
        {
            (
                &["p"],
                &[
                    "div", "section", "td", "th", "li", "table", "article", "main", "button", "object",
                ],
            )
        }
        _ => (&[], &[]),
    }
}

/// What a `role` of ARIA makes of an element.
pub(super) fn aria(role: &str) -> Option<Role> {
    match role.trim() {
        "main" | "article" => Some(Role::Main),
        "navigation" | "banner" | "contentinfo" | "search" | "complementary" | "menu" | "menubar" | "dialog" => {
            Some(Role::Navigation)
        }
        _ => None,
    }
}
