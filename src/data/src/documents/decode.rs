//! Bytes as text. Encodings are not guessed: a wrong guess makes wrong letters.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8};
use protocol::quarantine::Reason;

use super::{Refused, Result};

/// Where a page may say its encoding.
const HEAD: usize = 4096;

/// Text: UTF-8, or what a byte order mark says.
pub(super) fn text(bytes: &[u8]) -> Result<Cow<'_, str>> {
    let decoded = match Encoding::for_bom(bytes) {
        Some((encoding, mark)) => {
            let (text, is_bad) = encoding.decode_without_bom_handling(&bytes[mark..]);
            match is_bad {
                true => return Err(no_text(format!("is no {} from somewhere on", encoding.name()))),
                false => text,
            }
        }
        None => match std::str::from_utf8(bytes) {
            Ok(text) => text.into(),
            Err(error) => {
                return Err(no_text(format!(
                    "is no UTF-8 from its byte {} on",
                    error.valid_up_to() + 1
                )));
            }
        },
    };
    match decoded.contains('\0') {
        true => Err(no_text("has NUL characters, as no text has".into())),
        false => Ok(decoded),
    }
}

/// A page of the web, in the encoding that it or its server names; UTF-8 otherwise. As browsers do, what is no text of
/// that is replaced.
pub(super) fn html<'a>(bytes: &'a [u8], media_type: Option<&str>) -> Result<Cow<'a, str>> {
    let named = media_type.and_then(charset).or_else(|| declared(bytes));
    let encoding = named
        .and_then(|name| Encoding::for_label(name.as_bytes()))
        .unwrap_or(UTF_8);
    let (text, _, _) = encoding.decode(bytes);
    Ok(text)
}

fn charset(media_type: &str) -> Option<&str> {
    let mut parameters = media_type.split(';').skip(1).filter_map(|part| part.split_once('='));
    let (_, value) = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))?;
    Some(value.trim().trim_matches('"'))
}

/// The name after the first `charset=`.
fn declared(bytes: &[u8]) -> Option<&str> {
    let head = bytes[..bytes.len().min(HEAD)].to_ascii_lowercase();
    let at = head.windows(8).position(|window| window == b"charset=")? + 8;
    let rest = &bytes[at..bytes.len().min(HEAD)];
    let rest = rest
        .strip_prefix(b"\"")
        .or_else(|| rest.strip_prefix(b"'"))
        .unwrap_or(rest);
    let end = rest
        .iter()
        .position(|byte| !byte.is_ascii_alphanumeric() && !b"-_:.".contains(byte));
    std::str::from_utf8(&rest[..end.unwrap_or(rest.len())]).ok()
}

fn no_text(detail: String) -> Refused {
    Refused::new(Reason::NotText, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_declarations_are_followed() {
        assert_eq!(text(b"\xef\xbb\xbfa").unwrap(), "a");
        assert_eq!(text(b"\xff\xfea\0\xfc\0").unwrap(), "a\u{fc}");
        for bytes in [&b"\xfc"[..], b"\xff\xfe\0\xd8", b"a\0b"] {
            assert_eq!(text(bytes).unwrap_err().reason, Reason::NotText);
        }
        let page = b"<meta charset=\"ISO-8859-2\"> \xb1";
        assert!(html(page, None).unwrap().ends_with('\u{105}'));
        assert!(
            html(page, Some("text/html; Charset=\"windows-1252\""))
                .unwrap()
                .ends_with('\u{b1}')
        );
        assert!(html(b"<p>\xfc", None).unwrap().ends_with('\u{fffd}'));
    }
}
