//! How much of the best a search finds that looks at bytes first.

use std::time::Instant;

use super::{Candidate, Index, Probe, look, measure};
use crate::grant::{Grant, Verb};
use crate::search::{Refused, admit, candidates};

/// Recall at `k` of the vectors of an index: of the `k` nearest of all that the grant sees, measured one by one, the
/// share that is also found by a look at bytes, from 0 to 1. It is the mean over `sample` visible chunks whose vectors
/// are asked for, evenly spaced; the chunk itself counts on neither side. 1 where nothing is visible.
///
/// It takes as long as `sample` searches that measure everything.
///
/// # Errors
/// A grant that [`crate::search::search`] would refuse; here [`Verb::Ingest`] will do as well.
pub fn recall(index: &Index, grant: &Grant, sample: usize, k: usize, now: Instant) -> Result<f64, Refused> {
    admit(
        index,
        grant,
        now,
        &[Verb::Search, Verb::Ask, Verb::RedTeam, Verb::Ingest],
    )?;
    let blocks = index.blocks_seen(grant);
    let all: Vec<Candidate> = (blocks.iter().enumerate())
        .flat_map(|(number, block)| {
            (0..block.len() as u32).map(move |row| Candidate {
                score: 0.0,
                chunk: block.chunk(row),
                block: number as u32,
                row,
            })
        })
        .collect();
    let (mut found, mut wanted) = (0, 0);
    for one in all.iter().step_by(all.len().div_ceil(sample.max(1)).max(1)) {
        let mut vector = vec![0.0; index.dimension()];
        super::embedding::widen(blocks[one.block as usize].halves(one.row as usize), &mut vector);
        let mut probe = Probe::new(&vector, index.dimension())?;
        let mut exact = all.clone();
        measure(&blocks, &mut probe, &mut exact);
        let (mut looked, _) = look(&blocks, &probe, candidates(k));
        measure(&blocks, &mut probe, &mut looked);
        exact.retain(|candidate| candidate.chunk != one.chunk);
        exact.truncate(k);
        wanted += exact.len();
        // What is as near as the last of the best is as good as it.
        let bar = exact.last().map_or(f32::INFINITY, |last| last.score);
        let others = looked.iter().filter(|candidate| candidate.chunk != one.chunk);
        found += others.take_while(|candidate| candidate.score >= bar).take(k).count();
    }
    Ok(if wanted == 0 { 1.0 } else { found as f64 / wanted as f64 })
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;
    use crate::index::testing::{acl, chunk, grant, grant_to, room};
    use crate::index::{Builder, Embedding};
    use crate::search::{Options, Query, search};

    const DIMENSION: usize = 96;

    /// Vectors around few centres, as texts of few subjects have them: neighbours are near to each other.
    fn vectors(count: usize) -> Vec<Vec<f32>> {
        let mut random = StdRng::seed_from_u64(8);
        let mut draw =
            |width: f32| -> Vec<f32> { (0..DIMENSION).map(|_| random.random_range(-width..width)).collect() };
        let centres: Vec<_> = (0..20).map(|_| draw(1.0)).collect();
        let near = |number: usize| {
            draw(0.4)
                .iter()
                .zip(&centres[number % 20])
                .map(|(a, b)| a + b)
                .collect()
        };
        (0..count).map(near).collect()
    }

    fn index(vectors: &[Vec<f32>]) -> Index {
        let mut builder = Builder::new(room(), 1, DIMENSION);
        for (id, vector) in (0..).zip(vectors) {
            let embedding = Embedding::new(vector).unwrap();
            builder.push(&chunk(id, "", 0, acl(0)), 1, embedding).unwrap();
        }
        builder.finish().unwrap()
    }

    #[test]
    fn almost_all_of_the_nearest_are_found() {
        let index = index(&vectors(1500));
        let share = recall(&index, &grant(0, 0, 0), 30, 10, Instant::now()).unwrap();
        assert!(share >= 0.999, "{share}");
    }

    /// Against vectors as they came, in single precision.
    #[test]
    fn halves_are_as_good_as_what_they_were_made_from() {
        let vectors = vectors(1500);
        let index = index(&vectors);
        let options = Options {
            top_k: 10,
            hybrid: false,
            min_score: -1.0,
            max_context_tokens: 100,
        };
        let mut found = 0;
        for asked in &vectors[..50] {
            let cosine = |other: &Vec<f32>| {
                let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
                dot(asked, other) / (dot(asked, asked) * dot(other, other)).sqrt()
            };
            let mut exact: Vec<_> = vectors.iter().map(cosine).zip(0i64..).collect();
            exact.sort_by(|a, b| b.0.total_cmp(&a.0));
            let query = Query {
                vector: asked,
                text: "",
            };
            let hits = search(&index, &grant(0, 0, 0), query, &options, Instant::now())
                .unwrap()
                .hits;
            found += hits
                .iter()
                .filter(|hit| exact[..10].iter().any(|best| best.1 == hit.chunk.0))
                .count();
            assert!((f64::from(hits[0].score) - exact[0].0).abs() < 1e-3);
        }
        assert!(found >= 495, "{found} of 500");
    }

    #[test]
    fn a_sample_is_of_what_is_visible_and_spread_over_it() {
        let index = {
            let mut builder = Builder::new(room(), 1, DIMENSION);
            for (id, vector) in (0..).zip(&vectors(100)) {
                // Every second one is for nobody.
                let chunk = chunk(id, "", 0, acl(usize::from(id % 2 == 1)));
                builder.push(&chunk, 1, Embedding::new(vector).unwrap()).unwrap();
            }
            builder.finish().unwrap()
        };
        let sample = |most, offset| -> Vec<i64> {
            let chunks = index.sample(&grant(0, 0, 0), most, offset);
            chunks.into_iter().map(|chunk| chunk.0).collect()
        };
        assert_eq!(sample(5, 0), [0, 20, 40, 60, 80]);
        assert_eq!(sample(5, 13), [6, 26, 46, 66, 86]);
        assert_eq!(sample(1000, 7).len(), 50);
        assert_eq!(sample(0, 0).len(), 1);
        let other = crate::grant::RoomKey {
            uid: "other".into(),
            ..room()
        };
        assert!(index.sample(&grant_to(other, Verb::RedTeam), 5, 0).is_empty());
    }

    #[test]
    fn it_is_of_what_is_visible_and_needs_a_grant() {
        let empty = index(&[]);
        assert_eq!(recall(&empty, &grant(0, 0, 0), 5, 10, Instant::now()), Ok(1.0));
        let few = index(&vectors(3));
        for (verb, expected) in [(Verb::Ingest, Ok(1.0)), (Verb::Audit, Err(Refused::Verb(Verb::Audit)))] {
            assert_eq!(recall(&few, &grant_to(room(), verb), 5, 10, Instant::now()), expected);
        }
    }
}
