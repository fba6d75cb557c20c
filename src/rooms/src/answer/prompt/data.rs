//! Texts of others, as data.

use crate::{answer::citations, document::Chunk};

/// What each line of a document begins with.
const BAR: &str = "| ";
/// Longest name or heading that is shown, in characters.
const MAX_NAME: usize = 120;

/// What stands before the documents.
pub fn opening(nonce: &str) -> String {
    format!("Documents, marked {nonce}:\n\n")
}

/// A document with its number.
pub fn document(number: usize, chunk: &Chunk, nonce: &str) -> String {
    let mut place = vec![line(&chunk.document)];
    place.extend(chunk.place.page.map(|page| format!("page {page}")));
    place.extend(chunk.place.headings.iter().map(|heading| line(heading)));
    let mut text = format!("DOCUMENT {nonce} [{number}]\n{BAR}({})\n", place.join(", "));
    let defused = defused(&chunk.text);
    for part in unmarked(&defused).lines() {
        text.push_str(BAR);
        text.push_str(part);
        text.push('\n');
    }
    text + &format!("END {nonce} [{number}]\n\n")
}

/// A sentence of an answer without what it has copied of a document's frame; none where it is nothing else.
pub fn unframed<'a>(sentence: &'a str, nonce: &str) -> Option<&'a str> {
    if sentence.contains(nonce) {
        return None;
    }
    match sentence.strip_prefix(BAR) {
        // Rows of tables have more of them.
        Some(line) if !line.contains('|') => {
            let text = line.trim();
            let is_place = text.starts_with('(') && text.ends_with(')');
            (!is_place && !text.is_empty()).then_some(line)
        }
        _ => Some(sentence),
    }
}

/// What stands behind the documents.
pub fn closing(question: &str) -> String {
    format!("Question: {}", defused(question).trim())
}

/// An answer of before: its citations point at other documents than those of now.
pub fn old_answer(answer: &str) -> String {
    defused(&citations::without_marks(answer))
}

/// A text in which nothing is the border of a message in any chat template that we know, and lines end in one way.
pub fn defused(text: &str) -> String {
    const BORDERS: &[&str] = &[
        "<|",
        "|>",
        "<｜",
        "｜>",
        "[INST]",
        "[/INST]",
        "<<SYS>>",
        "<</SYS>>",
        "<s>",
        "</s>",
        "<bos>",
        "<eos>",
        "<pad>",
        "<unk>",
        "<start_of_turn>",
        "<end_of_turn>",
        "<think>",
        "</think>",
        "<tool_call>",
        "</tool_call>",
        "[TOOL_CALLS]",
        "[AVAILABLE_TOOLS]",
        "[SYSTEM_PROMPT]",
        "[/SYSTEM_PROMPT]",
    ];
    let mut out: String = text
        .replace("\r\n", "\n")
        .chars()
        .filter_map(|c| match c {
            '\r' | '\u{B}' | '\u{C}' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some('\n'),
            '\n' | '\t' => Some(c),
            c if c.is_control() => None,
            // Of these, borders might be put together by a reader who does not see them.
            '\u{200B}'..='\u{200F}'
            | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{FEFF}'
            | '\u{E0000}'..='\u{E007F}' => None,
            c => Some(c),
        })
        .collect();
    // Breaking one up may bring two parts of another one together, never itself.
    while let Some((at, border)) = first_border(&out, BORDERS) {
        let first = border.chars().next().map_or(1, char::len_utf8);
        out.insert(at + first, ' ');
    }
    out
}

fn first_border(text: &str, borders: &[&'static str]) -> Option<(usize, &'static str)> {
    let found = borders
        .iter()
        .filter_map(|border| text.find(border).map(|at| (at, *border)));
    found.min_by_key(|(at, _)| *at)
}

/// `[7]` in a document is a note of its own; a model would take it for a citation.
fn unmarked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut end = 0;
    for mark in citations::marks(text) {
        let inside = &text[mark.range.clone()];
        out.push_str(&text[end..mark.range.start]);
        out.push('(');
        out.push_str(inside.trim_matches(['[', ']', '【', '】']));
        out.push(')');
        end = mark.range.end;
    }
    out + &text[end..]
}

/// A name or a heading on one line, without brackets.
fn line(text: &str) -> String {
    let text = unmarked(&defused(text)).replace(['[', ']', '|'], " ");
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ").chars().take(MAX_NAME).collect()
}
