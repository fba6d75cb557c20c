//! Addresses.

/// What stands for an address that was removed.
pub const REMOVED: &str = "(link removed)";

/// Schemes that need no slashes to be followed.
const BARE: &[&str] = &[
    "http",
    "https",
    "ftp",
    "file",
    "data",
    "javascript",
    "vbscript",
    "mailto",
    "tel",
    "sms",
    "ws",
    "wss",
    "blob",
    "about",
    "view-source",
    "xmpp",
    "magnet",
    "cid",
];

/// Links that may stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    origins: Vec<String>,
}

impl Links {
    /// To these origins, `https://example.org`, alone. Without any, none.
    pub fn to(origins: impl IntoIterator<Item = String>) -> Self {
        let origins = origins
            .into_iter()
            .map(|origin| origin.trim_end_matches('/').to_owned());
        Self {
            origins: origins.filter(|origin| origin.contains("://")).collect(),
        }
    }

    /// Whether an address may stay: one of an allowed origin that is a plain path. A query or a fragment, or anything
    /// that programs read differently, may carry something away even there.
    pub fn allow(&self, url: &str) -> bool {
        let is_plain = |path: &str| {
            let plain = path
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.' | '~'));
            plain && !path.contains("..")
        };
        let path = self.origins.iter().find_map(|origin| url.strip_prefix(origin.as_str()));
        path.is_some_and(|path| (path.is_empty() || path.starts_with('/')) && is_plain(path))
    }
}

/// The length of the address at the beginning of `text`, where `before` is the character before it. Nothing if there is
/// none.
pub fn length(text: &str, before: Option<char>) -> Option<usize> {
    if before.is_some_and(is_scheme) {
        return None;
    }
    let scheme = text.find(|c| !is_scheme(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(scheme);
    let folded = name.to_ascii_lowercase();
    let is_address = match rest.strip_prefix(':') {
        Some(rest) => {
            let slashes = rest.starts_with("//") || rest.starts_with("\\/\\/") || rest.starts_with("\\\\");
            let is_followed = rest.starts_with(|c: char| !c.is_whitespace());
            !name.is_empty() && (slashes || is_followed && BARE.contains(&folded.as_str()))
        }
        None => folded.starts_with("www.") && name.len() > 4,
    };
    if !is_address {
        return None;
    }
    let end = text.find(|c: char| {
        c.is_whitespace()
            || matches!(
                c,
                '<' | '>' | '"' | '\'' | '`' | '|' | '}' | '[' | ']' | '“' | '”' | '»'
            )
    });
    let url = &text[..end.unwrap_or(text.len())];
    // What ends a sentence is none of it, nor a parenthesis that it did not open.
    let mut url = url.trim_end_matches(['.', ',', ';', ':', '!', '?', '*', '_']);
    while url.ends_with(')') && url.matches(')').count() > url.matches('(').count() {
        url = url[..url.len() - 1].trim_end_matches(['.', ',', ';', ':', '!', '?', '*', '_']);
    }
    Some(url.len())
}

fn is_scheme(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '.' | '-')
}
