//! The end of the first sentence of a text.

use super::{MAX_SENTENCE, abbreviations, look::Look};
use crate::answer::text::months::month;

/// Longest mark of a citation, in bytes: `[1, 2, 3]`.
const MAX_MARK: usize = 48;

/// How far is looked at most, in bytes: whatever stands further on decides nothing.
const WINDOW: usize = MAX_SENTENCE + 256;

/// Where the first sentence ends: behind the spaces that follow it. Nothing while nobody knows, which is never so if
/// the text is there as a whole and not empty, and never so beyond [`WINDOW`].
pub fn first(text: &str, is_whole: bool) -> Option<usize> {
    if text.is_empty() {
        return None;
    }
    let is_long = text.len() >= WINDOW;
    let seen = &text[..text.floor_char_boundary(WINDOW)];
    match natural(Look::new(seen, is_whole && !is_long)) {
        Some(end) if end <= MAX_SENTENCE => Some(end),
        None if !is_long => None,
        _ => Some(cut(seen)),
    }
}

/// At the last space before the greatest length, or in between.
fn cut(text: &str) -> usize {
    let end = text.floor_char_boundary(MAX_SENTENCE);
    let space = text[..end].rfind(char::is_whitespace).map(|space| space + 1);
    let space = space.map(|space| text.ceil_char_boundary(space));
    space.filter(|space| *space > end / 2).unwrap_or(end).max(1)
}

fn natural(look: Look<'_>) -> Option<usize> {
    if let Some(end) = code(look)? {
        return Some(end);
    }
    let is_block = starts_block(look, look.skip(0, is_blank)?)?;
    let mut at = 0;
    // What stands behind the number of a list is its item.
    if is_block {
        at = look.skip(0, |c| !c.is_whitespace())?;
    }
    loop {
        let Some(c) = look.char(at)? else {
            return Some(at);
        };
        let next = at + c.len_utf8();
        if c == '\n' {
            let behind = look.skip(next, is_blank)?;
            let is_end = is_block && at > 0
                || matches!(look.char(behind)?, Some('\n') | None)
                || starts_block(look, behind)?
                || look.rest(behind).starts_with("```");
            if is_end && !look.rest(0)[..at].trim().is_empty() {
                return look.skip(next, char::is_whitespace);
            }
            at = next;
        } else if is_stop(c) {
            match stop(look, at, c)? {
                Some(end) => return Some(end),
                None => at = next,
            }
        } else {
            at = next;
        }
    }
}

/// The end of a block of code, if the text begins with one.
fn code(look: Look<'_>) -> Option<Option<usize>> {
    let start = look.skip(0, char::is_whitespace)?;
    let fence_end = look.skip(start, |c| c == '`')?;
    if fence_end - start < 3 {
        return Some(None);
    }
    let Some(close) = look.find(fence_end, "```")? else {
        return Some(Some(look.skip(start, |_| true)?));
    };
    let line = look.skip(close, |c| c != '\n')?;
    Some(Some(look.skip(line, char::is_whitespace)?))
}

/// Whether an item of a list, a heading, a row of a table or a quotation begins at `at`.
fn starts_block(look: Look<'_>, at: usize) -> Option<bool> {
    let Some(c) = look.char(at)? else {
        return Some(false);
    };
    match c {
        '-' | '*' | '+' | '•' | '–' | '‣' | '◦' => {
            let behind = look.char(at + c.len_utf8())?;
            Some(behind.is_none_or(is_blank))
        }
        '#' => {
            let behind = look.skip(at, |c| c == '#')?;
            Some(look.char(behind)?.is_none_or(is_blank))
        }
        '|' | '>' => Some(true),
        c if c.is_ascii_digit() => {
            let behind = look.skip(at, |c| c.is_ascii_digit())?;
            if behind - at > 3 || !matches!(look.char(behind)?, Some('.' | ')')) {
                return Some(false);
            }
            Some(look.char(behind + 1)?.is_none_or(is_blank))
        }
        _ => Some(false),
    }
}

/// The end of the sentence whose stop is at `at`, unless it is none.
fn stop(look: Look<'_>, at: usize, stop: char) -> Option<Option<usize>> {
    let mut end = look.skip(at, |c| is_stop(c) || is_closing(c))?;
    let is_wide = matches!(stop, '。' | '！' | '？' | '｡');
    loop {
        let behind = look.skip(end, is_blank)?;
        // In French there is a space before the end of a quotation.
        let quoted = (look.char(behind)? == Some('»')).then(|| behind + '»'.len_utf8());
        match quoted.or(mark(look, behind)?) {
            Some(part_end) => end = look.skip(part_end, |c| is_stop(c) || is_closing(c))?,
            None => break,
        }
    }
    let behind = look.skip(end, is_blank)?;
    let next = look.char(behind)?;
    if is_wide {
        return Some(Some(look.skip(end, is_blank)?));
    }
    let Some(next) = next else {
        return Some(Some(behind));
    };
    if next == '\n' {
        // The end of a line within a paragraph is a space. What follows decides as it would on the same line.
        let line = look.skip(behind, char::is_whitespace)?;
        let Some(first) = look.char(line)? else {
            return Some(Some(line));
        };
        let is_paragraph = look.rest(behind)[..line - behind].matches('\n').count() > 1;
        let ends = is_paragraph || starts_block(look, line)? || ends(look, at, stop, first, line)?;
        return Some(ends.then_some(line));
    }
    if behind == end {
        return Some(None);
    }
    Some(ends(look, at, stop, next, behind)?.then_some(behind))
}

/// Whether a sentence ends with the stop at `at`, where `next` at `behind` follows.
fn ends(look: Look<'_>, at: usize, stop: char, next: char, behind: usize) -> Option<bool> {
    if next.is_lowercase() {
        return Some(false);
    }
    if stop != '.' {
        return Some(true);
    }
    let before = &look.rest(0)[..at];
    let word = before
        .rsplit(|c: char| c.is_whitespace() || matches!(c, '(' | '[' | '"' | '„' | '“' | '«'))
        .next();
    let word = word.unwrap_or_default();
    let folded = word.to_lowercase();
    if word.chars().all(|c| c.is_ascii_digit()) && !word.is_empty() && word.len() <= 2 {
        let next_end = look.skip(behind, char::is_alphabetic)?;
        let next_word = look.rest(behind)[..next_end - behind].to_lowercase();
        let rest = before[..before.len() - word.len()].trim_end();
        let is_first = rest.is_empty() || rest.ends_with('\n');
        let article = rest
            .rsplit(char::is_whitespace)
            .next()
            .unwrap_or_default()
            .to_lowercase();
        return Some(!is_first && month(&next_word).is_none() && !abbreviations::precedes_ordinal(&article));
    }
    // Initials, and what is made of them: `J.`, `z.B.`, `U.S.`.
    let letters = word
        .split('.')
        .all(|part| part.chars().count() <= 1 && part.chars().all(char::is_alphabetic));
    if letters && !word.is_empty() && !abbreviations::may_end(&folded) {
        return Some(false);
    }
    if next.is_ascii_digit() && abbreviations::precedes_number(&folded) {
        return Some(false);
    }
    if abbreviations::is_one(&folded) {
        return Some(abbreviations::may_end(&folded));
    }
    Some(true)
}

/// The end of a mark of citations at `at`, if there is one.
fn mark(look: Look<'_>, at: usize) -> Option<Option<usize>> {
    let close = match look.char(at)? {
        Some('[') => ']',
        Some('【') => '】',
        _ => return Some(None),
    };
    let open = at + if close == ']' { 1 } else { close.len_utf8() };
    let end = look.skip(open, |c| {
        c.is_ascii_digit() || matches!(c, ',' | ';' | ' ' | '-' | '–' | '†' | '^')
    });
    match end {
        _ if look.rest(open).len() > MAX_MARK && end.is_none() => Some(None),
        None => None,
        Some(end) if end - open > MAX_MARK || end == open => Some(None),
        Some(end) => Some((look.char(end)? == Some(close)).then(|| end + close.len_utf8())),
    }
}

fn is_stop(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '…' | '。' | '！' | '？' | '｡' | '।' | '؟' | '۔')
}

fn is_closing(c: char) -> bool {
    matches!(
        c,
        '"' | '\'' | '”' | '’' | '»' | '“' | ')' | ']' | '*' | '_' | '」' | '』' | '）'
    )
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() && c != '\n'
}
