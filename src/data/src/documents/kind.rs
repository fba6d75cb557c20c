//! What a file is: its first bytes say it, and its name only where they could be anything.

use protocol::quarantine::Reason;

use super::{Refused, Result};

/// Bytes that are looked at.
const HEAD: usize = 4096;

/// What a file is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Pdf,
    /// A ZIP archive: a document of Word, or another one.
    Package,
    Html,
    Markdown,
    Text,
    /// A table, with this between its cells.
    Separated(u8),
    Picture,
}

/// Files of others, by their first bytes.
const OTHERS: &[(&[u8], &str)] = &[
    (b"\x1f\x8b", "is packed with gzip; unpack it"),
    (b"BZh", "is packed with bzip2; unpack it"),
    (b"\xfd7zXZ\0", "is packed with xz; unpack it"),
    (b"\x28\xb5\x2f\xfd", "is packed with zstd; unpack it"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive; unpack it"),
    (b"Rar!", "is a RAR archive; unpack it"),
    (b"{\\rtf", "is RTF; save it as DOCX"),
    (b"%!PS", "is PostScript; make a PDF of it"),
    (b"GIF8", "is a GIF; save it as PNG"),
    (b"\x7fELF", "is a program"),
    (b"MZ", "is a program"),
    (b"SQLite format 3", "is a database; export its tables as CSV"),
    (b"PAR1", "is a Parquet file; export it as CSV"),
];
/// Compound files: documents of old versions of Office, and new ones with a password.
const COMPOUND: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";

/// What the file is.
///
/// # Errors
/// When it is nothing that is read; what it is instead.
pub(super) fn of(bytes: &[u8], name: &str, media_type: Option<&str>) -> Result<Type> {
    if let Some(found) = by_magic(bytes) {
        return Ok(found);
    }
    if bytes.starts_with(COMPOUND) {
        return Err(compound(bytes));
    }
    // Two letters begin texts as well.
    let is_binary = bytes[..bytes.len().min(HEAD)].contains(&0);
    let is_told = |magic: &[u8]| magic.len() > 2 || is_binary || !magic.is_ascii();
    let other = OTHERS
        .iter()
        .find(|(magic, _)| bytes.starts_with(magic) && is_told(magic));
    if let Some((_, what)) = other {
        return Err(Refused::new(Reason::UnsupportedType, *what));
    }
    if is_html(bytes) {
        return Ok(Type::Html);
    }
    Ok(by_name(name)
        .or_else(|| by_media_type(media_type?))
        .unwrap_or(Type::Text))
}

fn by_magic(bytes: &[u8]) -> Option<Type> {
    // Some programs write a line before it, and readers of PDF look for it in the first KiB.
    let head = &bytes[..bytes.len().min(1024)];
    if head.windows(5).any(|five| five == b"%PDF-") {
        return Some(Type::Pdf);
    }
    let is_picture = bytes.starts_with(b"\x89PNG\r\n\x1a\n")
        || bytes.starts_with(b"\xff\xd8\xff")
        || bytes.starts_with(b"II*\0")
        || bytes.starts_with(b"MM\0*")
        || (bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP"));
    if is_picture {
        return Some(Type::Picture);
    }
    let is_package = [b"PK\x03\x04", b"PK\x05\x06"]
        .iter()
        .any(|magic| bytes.starts_with(*magic));
    is_package.then_some(Type::Package)
}

fn compound(bytes: &[u8]) -> Refused {
    let name: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
    match bytes.windows(name.len()).any(|window| window == name) {
        true => Refused::new(Reason::Encrypted, "is an Office document with a password"),
        false => Refused::new(
            Reason::UnsupportedType,
            "is of an old version of Office; save it as DOCX or PDF",
        ),
    }
}

/// Whether it begins as pages of the web do.
fn is_html(bytes: &[u8]) -> bool {
    let mut head = &bytes[..bytes.len().min(HEAD)];
    head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    // A declaration of XML, and comments.
    for _ in 0..8 {
        let rest = match head {
            [b'<', b'?', ..] => after(head, b"?>"),
            [b'<', b'!', b'-', b'-', ..] => after(head, b"-->"),
            _ => break,
        };
        let Some(rest) = rest else { return false };
        head = rest.trim_ascii_start();
    }
    let begins = |tag: &[u8]| {
        head.get(..tag.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(tag))
    };
    begins(b"<!doctype html") || begins(b"<html") || begins(b"<head") || begins(b"<body")
}

fn after<'a>(bytes: &'a [u8], end: &[u8]) -> Option<&'a [u8]> {
    let at = bytes.windows(end.len()).position(|window| window == end)?;
    Some(&bytes[at + end.len()..])
}

fn by_name(name: &str) -> Option<Type> {
    let name = name.split(['?', '#']).next().unwrap_or(name);
    let file = name.rsplit('/').next().unwrap_or(name);
    let (_, extension) = file.rsplit_once('.')?;
    Some(match extension.to_ascii_lowercase().as_str() {
        "html" | "htm" | "xhtml" => Type::Html,
        "md" | "markdown" | "mdown" => Type::Markdown,
        "csv" => Type::Separated(b','),
        "tsv" | "tab" => Type::Separated(b'\t'),
        "txt" | "text" | "log" | "rst" | "adoc" => Type::Text,
        _ => return None,
    })
}

fn by_media_type(media_type: &str) -> Option<Type> {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    Some(match essence.to_ascii_lowercase().as_str() {
        "text/html" | "application/xhtml+xml" => Type::Html,
        "text/markdown" => Type::Markdown,
        "text/csv" => Type::Separated(b','),
        "text/tab-separated-values" => Type::Separated(b'\t'),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(b"%PDF-1.7", "a.docx", Type::Pdf)]
    #[case(b"\n%PDF-1.7", "a", Type::Pdf)]
    #[case(b"PK\x03\x04", "a.pdf", Type::Package)]
    #[case(b"\x89PNG\r\n\x1a\nx", "a.txt", Type::Picture)]
    #[case(b"RIFF....WEBP", "a", Type::Picture)]
    #[case(b"<!DOCTYPE HTML><p>", "a.txt", Type::Html)]
    #[case(b"\xef\xbb\xbf <?xml version='1.0'?><!-- a --><html>", "a", Type::Html)]
    #[case(b"<p>", "a.html", Type::Html)]
    #[case(b"<p>", "a.txt", Type::Text)]
    #[case(b"a,b", "dir.md/b.CSV", Type::Separated(b','))]
    #[case(b"a", "https://h.example/a.md?x=b.csv", Type::Markdown)]
    #[case(b"MZ is a town", "a", Type::Text)]
    #[case(b"fn main() {}", "main.rs", Type::Text)]
    fn content_says_more_than_names(#[case] bytes: &[u8], #[case] name: &str, #[case] expected: Type) {
        assert_eq!(of(bytes, name, None), Ok(expected));
    }

    #[test]
    fn servers_say_it_where_names_do_not() {
        let said = |name: &str, media_type| of(b"a", name, Some(media_type)).unwrap();
        assert_eq!(said("a", "text/html; charset=utf-8"), Type::Html);
        assert_eq!(said("a.md", "text/plain"), Type::Markdown);
        assert_eq!(said("a.php", "Text/CSV"), Type::Separated(b','));
    }

    #[rstest]
    #[case(b"\x1f\x8b\x08", Reason::UnsupportedType)]
    #[case(b"MZ\x90\0", Reason::UnsupportedType)]
    #[case(b"{\\rtf1", Reason::UnsupportedType)]
    #[case(COMPOUND, Reason::UnsupportedType)]
    #[case(
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1..E\0n\0c\0r\0y\0p\0t\0e\0d\0P\0a\0c\0k\0a\0g\0e\0",
        Reason::Encrypted
    )]
    fn others_are_told_what_to_do(#[case] bytes: &[u8], #[case] reason: Reason) {
        assert_eq!(of(bytes, "a.txt", None).unwrap_err().reason, reason);
    }
}
