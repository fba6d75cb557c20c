//! BM25 over what is visible (Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond", with
//! Lucene's weight of words, which is never negative).

use super::Words;
use crate::index::{Block, Candidate, Top};

/// How soon more of the same word counts no more.
const K1: f32 = 1.2;
/// How much the length of a chunk counts.
const B: f32 = 0.75;
/// So many different words of a question are looked for, the rarest: one that is a letter would read every list.
const TERMS: usize = 64;
/// Beside others, a word that most chunks have is not looked for where these are so many. It says little then, and to read
/// its lists takes most of the time.
const MANY: usize = if cfg!(test) { 20 } else { 50_000 };

/// Among few chunks nobody knows which words are rare: what is covered is weighed as if there were so many more.
const OTHERS: usize = 8;

/// A word of a question.
struct Term {
    word: u64,
    /// How often the question has it.
    count: u32,
    /// How much it says: the rarer among visible chunks, the more.
    weight: f32,
    /// How much it says of whether a question is covered.
    telling: f32,
    /// Whether too many chunks have it.
    is_common: bool,
}

/// A question's words, weighed by what somebody sees.
pub(crate) struct Question {
    /// Those that any visible chunk has.
    terms: Vec<Term>,
    /// How much all words say, also those that no visible chunk has: they would say most.
    telling: f32,
    /// Words of a visible chunk on average.
    average: f32,
}

impl Question {
    /// Weighs the words of `text` by `blocks`, which must be all that the asker sees and nothing else.
    pub(crate) fn new(text: &str, blocks: &[&Block]) -> Self {
        let chunks: usize = blocks.iter().map(|block| block.len()).sum();
        let words: u64 = blocks.iter().map(|block| block.postings.total()).sum();
        let mut telling = 0.0;
        let mut terms = Vec::new();
        for &(word, count) in Words::of(text).counts() {
            let having: usize = blocks.iter().map(|block| block.postings.rows(word).len()).sum();
            let term = Term {
                word,
                count,
                weight: rarity(chunks, having),
                telling: rarity(chunks + OTHERS, having),
                is_common: having > MANY && having > chunks / 2,
            };
            telling += term.telling;
            if having > 0 {
                terms.push(term);
            }
        }
        // Stable, and words are in order: equals are chosen alike every time.
        terms.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        terms.truncate(TERMS);
        Self {
            terms,
            telling,
            average: (words as f32 / chunks.max(1) as f32).max(1.0),
        }
    }

    /// The best `keep` chunks that have any of the words, from the best.
    pub(crate) fn rank(&self, blocks: &[&Block], keep: usize) -> Vec<Candidate> {
        let (mut top, mut scores) = (Top::new(keep), Vec::new());
        // Without others, common words are all there is. Words are from the rarest to the most common.
        let rare = self.terms.iter().take_while(|term| !term.is_common).count();
        let terms = if rare == 0 { &self.terms } else { &self.terms[..rare] };
        for (number, block) in blocks.iter().enumerate() {
            scores.clear();
            scores.resize(block.len(), 0f32);
            for term in terms {
                for (row, count) in block.postings.rows(term.word) {
                    scores[row as usize] += self.score(term, count, block.postings.length(row));
                }
            }
            for (row, score) in (0..).zip(&scores) {
                if *score > 0.0 && top.may_take(*score) {
                    let (score, chunk, block) = (*score, block.chunk(row), number as u32);
                    top.offer(Candidate {
                        score,
                        chunk,
                        block,
                        row,
                    });
                }
            }
        }
        top.into_sorted()
    }

    fn score(&self, term: &Term, count: u32, length: u32) -> f32 {
        let count = count as f32;
        let length = 1.0 - B + B * length as f32 / self.average;
        term.weight * term.count as f32 * count * (K1 + 1.0) / (count + K1 * length)
    }

    /// How much of the question's words, by weight, occurs in any of some chunks, from 0 to 1. None without words.
    pub(crate) fn coverage(&self, blocks: &[&Block], chunks: &[Candidate]) -> Option<f32> {
        if self.telling == 0.0 {
            return None;
        }
        let mut places: Vec<_> = chunks.iter().map(|chunk| (chunk.block, chunk.row)).collect();
        places.sort_unstable();
        let occurs = |term: &&Term| {
            let mut of_blocks = places.chunk_by(|a, b| a.0 == b.0);
            of_blocks.any(|places| {
                let mut rows = blocks[places[0].0 as usize].postings.rows(term.word);
                rows.any(|(row, _)| places.binary_search_by_key(&row, |place| place.1).is_ok())
            })
        };
        let covered: f32 = self.terms.iter().filter(occurs).map(|term| term.telling).sum();
        Some(covered / self.telling)
    }
}

/// The weight of a word that so many of the chunks have.
fn rarity(chunks: usize, having: usize) -> f32 {
    let (chunks, having) = (chunks as f64, having as f64);
    (1.0 + (chunks - having + 0.5) / (having + 0.5)).ln() as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::testing::{acl, chunk, grant, index as index_of};

    #[test]
    fn rare_words_and_short_chunks_are_first() {
        let texts = [
            "the pump and the valve",
            "the valve",
            "the pump the pump of the house",
            "a tree",
        ];
        let chunks: Vec<_> = (1..).zip(texts).map(|(id, text)| chunk(id, text, 0, acl(0))).collect();
        let (index, grant) = (index_of(&chunks), grant(0, 0, 0));
        let blocks = index.blocks_seen(&grant);
        let ranked = |text: &str| {
            let ranked = Question::new(text, &blocks).rank(&blocks, 10);
            ranked.iter().map(|candidate| candidate.chunk + 1).collect::<Vec<_>>()
        };
        assert_eq!(ranked("VALVE?"), [2, 1]);
        assert_eq!(ranked("the pump"), [3, 1, 2]);
        assert_eq!(ranked("tree, valve"), [4, 2, 1]);
        assert!(ranked("fish").is_empty() && ranked("").is_empty());
    }

    /// By hand: four chunks of 2.5 words on average, two of which have the word.
    #[test]
    fn scores_are_those_of_the_formula() {
        let texts = ["x y", "x x z w", "y", "z y w"];
        let chunks: Vec<_> = (1..).zip(texts).map(|(id, text)| chunk(id, text, 0, acl(0))).collect();
        let (index, grant) = (index_of(&chunks), grant(0, 0, 0));
        let blocks = index.blocks_seen(&grant);
        let ranked = Question::new("x", &blocks).rank(&blocks, 10);
        let weight = 2f32.ln();
        let twice = weight * 2.0 * 2.2 / (2.0 + 1.2 * (0.25 + 0.75 * 4.0 / 2.5));
        let once = weight * 2.2 / (1.0 + 1.2 * (0.25 + 0.75 * 2.0 / 2.5));
        let found: Vec<_> = ranked.iter().map(|candidate| candidate.score).collect();
        assert!(
            (found[0] - twice).abs() < 1e-6 && (found[1] - once).abs() < 1e-6,
            "{found:?} {twice} {once}"
        );
    }

    #[test]
    fn coverage_is_by_weight() {
        let texts = ["the pump", "the valve", "the tree"];
        let chunks: Vec<_> = (1..).zip(texts).map(|(id, text)| chunk(id, text, 0, acl(0))).collect();
        let (index, grant) = (index_of(&chunks), grant(0, 0, 0));
        let blocks = index.blocks_seen(&grant);
        let covered = |text: &str| {
            let question = Question::new(text, &blocks);
            question.coverage(&blocks, &question.rank(&blocks, 1))
        };
        assert_eq!(
            (covered("pump"), covered("submarine"), covered("?")),
            (Some(1.0), Some(0.0), None)
        );
        let half = covered("the submarine").unwrap();
        assert!(half < crate::answer::weak::Limits::default().coverage, "{half}");
        // A word that nobody has says more than one that somebody has.
        assert!(covered("pump submarine").unwrap() < 0.5);
    }

    #[test]
    fn a_single_chunk_covers_what_it_answers_and_nothing_else() {
        let chunks = [chunk(1, "The deposit is 50 EUR. Cards work.", 0, acl(0))];
        let (index, grant) = (index_of(&chunks), grant(0, 0, 0));
        let blocks = index.blocks_seen(&grant);
        let covered = |text: &str| {
            let question = Question::new(text, &blocks);
            question.coverage(&blocks, &question.rank(&blocks, 1)).unwrap()
        };
        let limit = crate::answer::weak::Limits::default().coverage;
        assert!(covered("How much is the deposit?") >= limit);
        assert!(covered("What is the notice period?") < limit);
    }

    #[test]
    fn a_long_question_is_cut_to_its_rarest_words() {
        let chunks = [
            chunk(1, "needle", 0, acl(0)),
            chunk(2, "hay", 0, acl(0)),
            chunk(3, "hay", 0, acl(0)),
        ];
        let (index, grant) = (index_of(&chunks), grant(0, 0, 0));
        let blocks = index.blocks_seen(&grant);
        let text: String = (0..1000).map(|i| format!("w{i} ")).collect();
        let question = Question::new(&(text.clone() + "needle hay"), &blocks);
        assert_eq!(question.rank(&blocks, 9).len(), 3);
        let all = chunk(4, &text, 0, acl(0));
        let index = index_of(&[all]);
        let blocks = index.blocks_seen(&grant);
        assert_eq!(Question::new(&text, &blocks).terms.len(), TERMS);
    }

    #[test]
    fn common_words_are_not_looked_for_beside_others() {
        let text = |id: i64| ["the the", "the pump"][usize::from(id == 30)];
        let chunks: Vec<_> = (0..40).map(|id| chunk(id, text(id), 0, acl(0))).collect();
        let (index, grant) = (index_of(&chunks), grant(0, 0, 0));
        let blocks = index.blocks_seen(&grant);
        let ranked = |text: &str| Question::new(text, &blocks).rank(&blocks, 100).len();
        assert_eq!(
            (ranked("the pump"), ranked("the"), ranked("the submarine")),
            (1, 40, 40)
        );
        let both = Question::new("the pump", &blocks);
        assert_eq!(both.coverage(&blocks, &both.rank(&blocks, 1)), Some(1.0));
    }
}
