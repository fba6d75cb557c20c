//! Plain text: paragraphs with empty lines between them.

use protocol::ingest::Limits;
use rooms::chunking::Kind;

use super::build::Builder;
use super::{Document, Result};

pub(super) fn read(text: &str, limits: &Limits) -> Result<Document> {
    let mut builder = Builder::new(limits);
    // Form feeds stand between pages.
    for page in text.split('\u{c}') {
        let mut start = 0;
        let mut at = 0;
        for line in page.split_inclusive('\n') {
            if line.trim().is_empty() {
                builder.push(Kind::Paragraph, &page[start..at])?;
                start = at + line.len();
            }
            at += line.len();
        }
        builder.push(Kind::Paragraph, &page[start..])?;
    }
    Ok(builder.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_lines_and_form_feeds_end_paragraphs() {
        let document = read("a\nb\r\n \r\n\n c\u{c}d", &Limits::default()).unwrap();
        let texts: Vec<_> = document.blocks.iter().map(|block| block.text.as_str()).collect();
        assert_eq!(texts, ["a\nb", "c", "d"]);
        let limits = Limits {
            text_bytes: 3,
            ..Limits::default()
        };
        assert!(read("ab\n\ncd", &limits).is_err());
    }
}
