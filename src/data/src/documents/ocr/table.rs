//! Tesseract's table: a row for each word, with its place and how sure it is.

use rooms::chunking::Kind;

use crate::documents::Block;

/// How much larger than others the words of a heading are.
const LARGER: f32 = 1.4;
/// Characters of a heading.
const LONGEST: usize = 120;

/// A word.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Word {
    pub text: String,
    /// In percent.
    pub confidence: f32,
    pub left: u32,
    pub top: u32,
    pub width: u32,
    pub height: u32,
    /// Block and paragraph, and line in it.
    pub paragraph: (u32, u32),
    pub line: u32,
}

/// The words of a page, in reading order.
pub(super) fn words(table: &str) -> Vec<Word> {
    let mut words = Vec::new();
    for row in table.lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        let [
            "5",
            _,
            block,
            paragraph,
            line,
            _,
            left,
            top,
            width,
            height,
            confidence,
            text,
        ] = columns[..]
        else {
            continue;
        };
        let number = |text: &str| text.parse::<u32>().ok();
        let sure = confidence
            .parse::<f32>()
            .ok()
            .filter(|sure| (0.0..=100.0).contains(sure));
        let (Some(confidence), false) = (sure, text.trim().is_empty()) else {
            continue;
        };
        let places = [block, paragraph, line, left, top, width, height].map(number);
        let [
            Some(block),
            Some(paragraph),
            Some(line),
            Some(left),
            Some(top),
            Some(width),
            Some(height),
        ] = places
        else {
            continue;
        };
        words.push(Word {
            text: text.trim().to_owned(),
            confidence,
            left,
            top,
            width,
            height,
            paragraph: (block, paragraph),
            line,
        });
    }
    words
}

/// Paragraphs of a page of so many dots.
pub(super) fn blocks(words: &[Word], size: (u32, u32), page: Option<u32>) -> Vec<Block> {
    let usual = middle(words);
    let paragraphs = words.chunk_by(|one, other| one.paragraph == other.paragraph);
    paragraphs.map(|words| block(words, size, page, usual)).collect()
}

fn block(words: &[Word], (width, height): (u32, u32), page: Option<u32>, usual: f32) -> Block {
    let mut text = String::new();
    let mut lines = 0;
    for line in words.chunk_by(|one, other| one.line == other.line) {
        lines += 1;
        let line: Vec<&str> = line.iter().map(|word| word.text.as_str()).collect();
        let line = line.join(" ");
        let is_cut = text
            .strip_suffix('-')
            .is_some_and(|before| before.ends_with(char::is_alphabetic))
            && line.starts_with(char::is_lowercase);
        match is_cut {
            true => drop(text.pop()),
            false if text.is_empty() => {}
            false => text.push(' '),
        }
        text.push_str(&line);
    }
    let is_heading = lines <= 2 && text.chars().count() <= LONGEST && middle(words) >= LARGER * usual;
    let fold = |area: [u64; 4], word: &Word| {
        let [left, top, width, height] = [word.left, word.top, word.width, word.height].map(u64::from);
        [
            area[0].min(left),
            area[1].min(top),
            area[2].max(left + width),
            area[3].max(top + height),
        ]
    };
    let [left, top, right, bottom] = words.iter().fold([u64::MAX, u64::MAX, 0, 0], fold);
    let share = |place: u64, all: u32| (place as f32 / all.max(1) as f32).clamp(0.0, 1.0);
    Block {
        kind: if is_heading {
            Kind::Heading { level: 1 }
        } else {
            Kind::Paragraph
        },
        text,
        page,
        area: Some([
            share(left, width),
            share(top, height),
            share(right, width),
            share(bottom, height),
        ]),
    }
}

/// The middle one of the words' heights.
fn middle(words: &[Word]) -> f32 {
    let mut heights: Vec<u32> = words.iter().map(|word| word.height).collect();
    heights.sort_unstable();
    heights.get(heights.len() / 2).copied().unwrap_or_default() as f32
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) const TABLE: &str = "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext\n\
        1\t1\t0\t0\t0\t0\t0\t0\t1000\t1000\t-1\t\n\
        5\t1\t1\t1\t1\t1\t100\t100\t200\t60\t96.5\tTitle\n\
        5\t1\t2\t1\t1\t1\t100\t200\t50\t20\t96.5\tHello\n\
        5\t1\t2\t1\t1\t2\t160\t200\t50\t20\t91\twor-\n\
        5\t1\t2\t1\t2\t1\t100\t230\t50\t20\t50\tld,\n\
        5\t1\t2\t2\t1\t1\t0\t0\t9\t9\t95\t \n\
        5\t1\t3\t1\t1\t1\t500\t500\t50\t20\t95\tis.\n\
        5\t1\t3\t1\t1\t1\t-5\t500\t50\t20\t95\tno\n\
        nonsense\n";

    #[test]
    fn words_make_paragraphs_with_places() {
        let words = words(TABLE);
        assert_eq!(
            words.iter().map(|word| word.confidence).collect::<Vec<_>>(),
            [96.5, 96.5, 91.0, 50.0, 95.0]
        );
        let blocks = blocks(&words, (1000, 1000), Some(3));
        let texts: Vec<_> = blocks.iter().map(|block| (block.kind, block.text.as_str())).collect();
        assert_eq!(
            texts,
            [
                (Kind::Heading { level: 1 }, "Title"),
                (Kind::Paragraph, "Hello world,"),
                (Kind::Paragraph, "is.")
            ]
        );
        assert_eq!(blocks[1].area, Some([0.1, 0.2, 0.21, 0.25]));
        assert_eq!(blocks[1].page, Some(3));
        assert!(self::words("").is_empty());
    }
}
