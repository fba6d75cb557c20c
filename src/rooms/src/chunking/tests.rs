use proptest::prelude::*;

use super::*;

fn block(kind: Kind, text: &str) -> Block {
    Block {
        kind,
        text: text.into(),
        page: Some(1),
        area: None,
        clearance: Clearance(0),
        acl: Acl::everyone(),
    }
}

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

fn settings(tokens: usize, overlap: usize) -> Settings {
    Settings { tokens, overlap }
}

const TEXT: &str =
    "One two three four five. Six seven eight nine ten. Eleven twelve thirteen fourteen fifteen. Sixteen seventeen.";

#[test]
fn chunks_end_with_sentences_and_share_some() {
    let blocks = [block(Kind::Paragraph, TEXT)];
    let found = pieces(&blocks, "", settings(16, 6), &words);
    let texts: Vec<_> = found.iter().map(|piece| piece.text.as_str()).collect();
    assert_eq!(texts[0], "One two three four five. Six seven eight nine ten.");
    assert_eq!(
        texts[1],
        "Six seven eight nine ten. Eleven twelve thirteen fourteen fifteen. Sixteen seventeen."
    );
    assert_eq!(texts.len(), 2);
    let apart = pieces(&blocks, "", settings(16, 0), &words);
    assert_eq!(
        apart[1].text,
        "Eleven twelve thirteen fourteen fifteen. Sixteen seventeen."
    );
}

#[test]
fn headings_stand_before_the_vector_and_in_the_place() {
    let blocks = [
        block(Kind::Heading { level: 1 }, "Handbook"),
        block(Kind::Heading { level: 2 }, "Leave"),
        block(Kind::Paragraph, "Twenty days a year."),
        block(Kind::Heading { level: 2 }, "Pay"),
        block(Kind::ListItem, "Monthly."),
        block(Kind::ListItem, "In euros."),
        block(Kind::Heading { level: 1 }, "Annex"),
    ];
    let found = pieces(&blocks, "Rules of the firm", settings(40, 0), &words);
    let texts: Vec<_> = found.iter().map(|piece| piece.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "Handbook\n\nLeave\n\nTwenty days a year.",
            "Pay\n\nMonthly.\nIn euros.",
            "Annex"
        ]
    );
    assert_eq!(
        found[0].embedded,
        "Rules of the firm\nHandbook > Leave\nTwenty days a year."
    );
    assert_eq!(found[1].place.headings, ["Handbook", "Pay"]);
    assert_eq!(found[2].embedded, "Rules of the firm\nAnnex\nAnnex");
    let chunk = found[1].clone().into_chunk(ChunkId(5), "a.md", "docs");
    assert_eq!((chunk.document.as_str(), chunk.place.page), ("a.md", Some(1)));
}

#[test]
fn pages_and_rights_part_chunks() {
    let mut blocks: Vec<_> = (0..4).map(|_| block(Kind::Paragraph, "Short.")).collect();
    blocks[1].page = Some(2);
    blocks[2].page = Some(2);
    blocks[2].clearance = Clearance(3);
    blocks[3].page = Some(2);
    blocks[3].clearance = Clearance(3);
    blocks[3].acl = Acl::of(["user:jane".into()]);
    let found = pieces(&blocks, "", settings(40, 10), &words);
    assert_eq!(found.len(), 4);
    assert_eq!(
        (found[2].clearance, found[3].acl.clone()),
        (Clearance(3), Acl::of(["user:jane".into()]))
    );
}

#[test]
fn tables_are_cut_between_rows_and_keep_their_columns() {
    let rows: String = (0..10).map(|row| format!("r{row} a b c d\n")).collect();
    let blocks = [block(Kind::Table, &format!("name w x y z\n{rows}"))];
    let found = pieces(&blocks, "", settings(20, 15), &words);
    assert!(found.len() > 2);
    assert!(found[0].text.starts_with("name w x y z\nr0"));
    for piece in &found[1..] {
        assert!(
            piece.embedded.starts_with("name w x y z\nr") && piece.text.starts_with('r'),
            "{piece:?}"
        );
        assert!(piece.text.lines().all(|row| words(row) == 5));
    }
    assert_eq!(
        found.iter().map(|piece| piece.text.lines().count()).sum::<usize>(),
        11,
        "rows are not shared"
    );
}

#[test]
fn areas_are_put_together() {
    let mut blocks = [block(Kind::Paragraph, "One."), block(Kind::Paragraph, "Two.")];
    blocks[0].area = Some([0.1, 0.2, 0.5, 0.3]);
    blocks[1].area = Some([0.2, 0.3, 0.9, 0.4]);
    let found = pieces(&blocks, "", settings(40, 0), &words);
    assert_eq!(found[0].place.area, Some([0.1, 0.2, 0.9, 0.4]));
}

#[test]
fn what_is_too_long_is_cut_between_words_or_letters() {
    let blocks = [
        block(Kind::Paragraph, &"word ".repeat(50)),
        block(Kind::Code, &"x".repeat(100)),
    ];
    let letters = |text: &str| text.chars().count();
    let found = pieces(&blocks, "", settings(23, 0), &letters);
    assert!(found.iter().all(|piece| letters(&piece.embedded) <= 23));
    assert!(found[0].text.split(' ').all(|word| word == "word"));
}

fn documents() -> impl Strategy<Value = Vec<Block>> {
    let kind = prop_oneof![
        (1_u8..4).prop_map(|level| Kind::Heading { level }),
        Just(Kind::Paragraph),
        Just(Kind::Paragraph),
        Just(Kind::Table),
        Just(Kind::ListItem),
        Just(Kind::Code),
    ];
    let text = prop_oneof![
        "([A-Za-zé]{1,9}[ .\n]{1,2}){0,40}",
        "(?s).{0,40}",
        "[a-z]{0,120}",
        "(([a-z]{1,4} \\| ){1,4}\n){0,9}",
    ];
    let block = (kind, text, 1_u32..3, 0_u8..2).prop_map(|(kind, text, page, clearance)| Block {
        page: Some(page),
        clearance: Clearance(clearance),
        ..block(kind, &text)
    });
    prop::collection::vec(block, 0..8)
}

proptest! {
    #[test]
    fn nothing_is_lost_or_too_large_or_mixed(
        blocks in documents(), tokens in 16_usize..60, overlap in 0_usize..30, description in "[a-z ]{0,30}", by_letters: bool,
    ) {
        let count = |text: &str| if by_letters { text.chars().count().div_ceil(3) } else { words(text) };
        let found = pieces(&blocks, &description, settings(tokens, overlap), &count);
        let mut seen: Vec<Vec<bool>> = blocks.iter().map(|block| vec![false; block.text.len()]).collect();
        for piece in &found {
            prop_assert!(count(&piece.embedded) <= tokens.max(MIN_TOKENS), "{piece:?}");
            prop_assert!(!piece.text.trim().is_empty());
            let mut rest = piece.text.as_str();
            for span in &piece.spans {
                let block = &blocks[span.block];
                let part = &block.text[span.start..span.end];
                rest = rest.trim_start_matches('\n');
                let trimmed = part.trim_start_matches('\n');
                prop_assert!(rest.starts_with(trimmed), "{rest:?} {part:?}");
                rest = &rest[trimmed.len()..];
                prop_assert_eq!((block.page, block.clearance), (piece.place.page, piece.clearance));
                seen[span.block][span.start..span.end].fill(true);
            }
            prop_assert_eq!(rest, "");
            let headings = piece.spans.iter().map(|span| matches!(blocks[span.block].kind, Kind::Heading { .. }));
            let headings: Vec<bool> = headings.collect();
            prop_assert!(headings.windows(2).all(|pair| pair[0] || !pair[1]), "no heading behind text");
        }
        for (block, seen) in blocks.iter().zip(seen) {
            for (at, c) in block.text.char_indices() {
                prop_assert!(seen[at] || c.is_whitespace(), "{c:?} at {at} of {block:?}");
            }
        }
        for pair in found.windows(2) {
            let shared = |span: &Span| pair[0].spans.iter().any(|other| other.block == span.block && span.start < other.end);
            let both: usize = pair[1].spans.iter().filter(|span| shared(span)).map(|span| {
                let end = pair[0].spans.iter().filter(|other| other.block == span.block).map(|other| other.end).max().unwrap_or(0);
                count(&blocks[span.block].text[span.start..end.min(span.end)])
            }).sum();
            prop_assert!(both <= overlap, "{both}");
        }
    }
}
