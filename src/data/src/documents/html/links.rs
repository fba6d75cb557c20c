//! Where a page leads.

use std::cell::RefCell;

use html5ever::buffer_queue::BufferQueue;
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts};

use super::super::decode;

/// Links of one page.
const MAX_LINKS: usize = 10_000;

/// The addresses in the links of a page, as they are written, and its `base` first, if it has one.
pub fn links(bytes: &[u8], media_type: Option<&str>) -> Vec<String> {
    let Ok(text) = decode::html(bytes, media_type) else {
        return Vec::new();
    };
    let tokenizer = Tokenizer::new(Links::default(), TokenizerOpts::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(&text));
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    tokenizer.sink.found.into_inner()
}

#[derive(Default)]
struct Links {
    found: RefCell<Vec<String>>,
}

impl Links {
    fn tag(&self, tag: &Tag) {
        let is_base = &*tag.name == "base";
        if tag.kind != TagKind::StartTag || !(is_base || matches!(&*tag.name, "a" | "area")) {
            return;
        }
        let value = |name: &str| {
            tag.attrs
                .iter()
                .find(|attr| &*attr.name.local == name)
                .map(|attr| &*attr.value)
        };
        if value("rel").is_some_and(|rel| {
            rel.split_ascii_whitespace()
                .any(|word| word.eq_ignore_ascii_case("nofollow"))
        }) {
            return;
        }
        let mut found = self.found.borrow_mut();
        match value("href") {
            Some(href) if is_base && found.is_empty() => found.push(format!("base:{href}")),
            Some(href) if !is_base && found.len() < MAX_LINKS => found.push(href.to_owned()),
            _ => {}
        }
    }
}

impl TokenSink for Links {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        if let Token::TagToken(tag) = &token {
            self.tag(tag);
            if let Some(result) = super::flow::raw(tag) {
                return result;
            }
        }
        TokenSinkResult::Continue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_come_in_order_and_scripts_have_none() {
        let page = b"<base href='/docs/'><a href=a.html>x</a><script>'<a href=b>'</script><A HREF='c?d&amp;e'>\
            <a rel='external nofollow' href=f><area href=g>";
        assert_eq!(links(page, None), ["base:/docs/", "a.html", "c?d&e", "g"]);
    }
}
