//! Finds the chunks that a question is about, among those that a grant sees.
//!
//! The order of things is what keeps a Room tight. First the grant itself: old ones, those of other Rooms, and those for
//! other purposes are refused. Then the classes that it sees (the first net), whose chunks alone are scored. In the end
//! each chunk that was found is held against the grant once more by what it is marked with itself (the second net).

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Instant;

use crate::document::ChunkId;
use crate::fusion::reciprocal_ranks;
use crate::grant::{Clearance, Grant, Verb};
use crate::index::{Block, Candidate, Index, Probe, VectorError, look, measure};
use crate::lexical::Question;

/// So many of each ranking are fused.
const FUSED: usize = 50;
/// At least so many of the best by a look are measured.
const MEASURED: usize = 200;
/// The most hits that a search gives.
pub const MAX_TOP_K: usize = 1000;

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// The question's vector, by the model that made the chunks' vectors, of any length.
    pub vector: &'a [f32],
    /// The question's text, for its words.
    pub text: &'a str,
}

/// How it is looked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The most hits, up to [`MAX_TOP_K`].
    pub top_k: usize,
    /// Whether the question's words count beside its vector.
    pub hybrid: bool,
    /// The cosine that a hit needs, from -1 to 1, however it was found.
    pub min_score: f32,
    /// The most tokens of all hits. One that does not fit any more is left out; smaller ones behind it may fit.
    pub max_context_tokens: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            top_k: 8,
            hybrid: true,
            min_score: 0.0,
            max_context_tokens: 4096,
        }
    }
}

/// A chunk that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// Its name.
    pub chunk: ChunkId,
    /// The cosine of the angle between its vector and the question's.
    pub score: f32,
    /// What it is ranked by: the sum of its reciprocal ranks if words counted, otherwise its cosine.
    pub rank_score: f64,
    /// Its tokens.
    pub tokens: u32,
    /// Clearance that it needs, and that whatever is made of it needs.
    pub clearance: Clearance,
}

/// How well something was found, by what is visible to the asker: [`crate::answer`] decides whether it is enough.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Evidence {
    /// The best cosine, of whatever was measured. 0 if nothing is visible.
    pub top: f32,
    /// By how many standard deviations of all visible chunks' cosines it is above their mean. Cosines of one model lie
    /// between 0.7 and 0.9, of another between 0 and 0.5; this depends on it less. It cannot be large among few chunks.
    pub margin: f32,
    /// How much of the question's words occurs in the hits, weighed by rarity, from 0 to 1. None where it has no words.
    pub coverage: Option<f32>,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// From the best.
    pub hits: Vec<Hit>,
    /// How well.
    pub evidence: Evidence,
}

/// Why nothing is looked for, or nothing given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The grant is too old: decide again.
    #[error("the grant has expired")]
    Expired,
    /// The grant is for another Room.
    #[error("the grant is for another Room")]
    OtherRoom,
    /// The grant is for something else.
    #[error("a grant to {} is none to search", .0.as_str())]
    Verb(Verb),
    /// The question's vector is none of this index.
    #[error(transparent)]
    Vector(#[from] VectorError),
    /// Both nets disagree about a chunk: an error of ours. Nothing is given; somebody has to be alarmed, and the name is
    /// for the audit trail, not for the caller.
    #[error("the rights of a chunk contradict each other")]
    Disagreement(ChunkId),
}

/// Searches an index for a query. What is not visible to the grant has no part in it: the hits, their scores, their order
/// and the evidence are the same as if it were not there.
///
/// # Errors
/// See [`Refused`].
pub fn search(
    index: &Index,
    grant: &Grant,
    query: Query<'_>,
    options: &Options,
    now: Instant,
) -> Result<Found, Refused> {
    admit(index, grant, now, &[Verb::Search, Verb::Ask, Verb::RedTeam])?;
    let mut probe = Probe::new(query.vector, index.dimension())?;
    let blocks = index.blocks_seen(grant);
    let top_k = options.top_k.min(MAX_TOP_K);
    let keep = top_k.max(FUSED);
    let (mut near, spread) = look(&blocks, &probe, candidates(keep));
    measure(&blocks, &mut probe, &mut near);
    let top = near.first().map(|best| best.score);
    near.truncate(keep);
    let question = Question::new(query.text, &blocks);
    let ranked = if options.hybrid {
        let worded = question.rank(&blocks, keep);
        fused(near, worded, &blocks, &mut probe)
    } else {
        near.into_iter().map(|near| (near, f64::from(near.score))).collect()
    };
    let checked = ranked.into_iter().map(|(candidate, rank_score)| {
        let known = index.check(grant, candidate.chunk).map_err(Refused::Disagreement)?;
        let hit = Hit {
            chunk: known.id,
            score: candidate.score,
            rank_score,
            tokens: known.tokens,
            clearance: known.clearance,
        };
        Ok((candidate, hit))
    });
    // All of them, before any is left out: also what is not given had a part in the evidence.
    let checked = checked.collect::<Result<Vec<_>, Refused>>()?;
    let (mut hits, mut places, mut tokens) = (Vec::new(), Vec::new(), 0u32);
    for (candidate, hit) in checked {
        let sum = tokens.saturating_add(hit.tokens);
        if hits.len() < top_k && hit.score >= options.min_score && sum <= options.max_context_tokens {
            tokens = sum;
            places.push(candidate);
            hits.push(hit);
        }
    }
    let evidence = Evidence {
        top: top.unwrap_or(0.0),
        margin: top.map_or(0.0, |top| spread.margin(top)),
        coverage: question.coverage(&blocks, &places),
    };
    Ok(Found { hits, evidence })
}

/// Refuses grants that do not let anybody search this index.
pub(crate) fn admit(index: &Index, grant: &Grant, now: Instant, verbs: &[Verb]) -> Result<(), Refused> {
    if grant.has_expired(now) {
        Err(Refused::Expired)
    } else if grant.room() != index.room() {
        Err(Refused::OtherRoom)
    } else if !verbs.contains(&grant.verb()) {
        Err(Refused::Verb(grant.verb()))
    } else {
        Ok(())
    }
}

/// How many of the best by a look have to be measured, so that the best `keep` by their cosines are among them.
pub(crate) fn candidates(keep: usize) -> usize {
    MEASURED.max(4 * keep)
}

/// Two rankings as one, with cosines for scores.
fn fused(
    near: Vec<Candidate>,
    mut worded: Vec<Candidate>,
    blocks: &[&Block],
    probe: &mut Probe,
) -> Vec<(Candidate, f64)> {
    let rankings = [&near, &worded].map(|ranking| ranking.iter().map(|candidate| candidate.chunk).collect());
    measure(blocks, probe, &mut worded);
    let of_chunk: BTreeMap<_, _> = near.into_iter().chain(worded).map(|one| (one.chunk, one)).collect();
    let fused = reciprocal_ranks(&rankings).into_iter();
    fused
        .filter_map(|(chunk, sum)| Some((*of_chunk.get(&chunk)?, sum)))
        .collect()
}
