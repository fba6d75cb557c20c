//! The plan: whether it makes sense, and what of it decides about chunks.

use std::collections::BTreeSet;

use protocol::ingest::{IngestPlan, Ocr};
use rooms::chunking;
use serde::Serialize;

use crate::failure::{Result, invalid};

/// Goes up when the same document would give other chunks than before.
const REVISION: u32 = 1;
const MAX_SOURCES: usize = 32;

/// Refuses a plan that cannot be carried out.
///
/// # Errors
/// What is wrong with it.
pub fn check(plan: &IngestPlan) -> Result<()> {
    let count = plan.sources.len();
    if count > MAX_SOURCES {
        return Err(invalid(format!(
            "spec.sources has {count} entries; give up to {MAX_SOURCES}"
        )));
    }
    let mut names = BTreeSet::new();
    for source in &plan.sources {
        if !names.insert(&source.name) {
            return Err(invalid(format!(
                "spec.sources has two entries with the name {:?}",
                source.name
            )));
        }
        if source.clearance > 100 {
            return Err(invalid(format!(
                "spec.sources[{}].clearance is {}; give 0 to 100",
                source.name, source.clearance
            )));
        }
    }
    let (tokens, overlap) = (plan.chunks.tokens, plan.chunks.overlap);
    if (tokens as usize) < chunking::MIN_TOKENS || overlap >= tokens {
        return Err(invalid(format!(
            "spec.ingestion.chunk has {tokens} tokens and an overlap of {overlap}; give {} tokens or more, and an overlap of less",
            chunking::MIN_TOKENS
        )));
    }
    if let Some(minhash) = &plan.cleaning.dedup.minhash {
        return Err(invalid(format!(
            "spec.ingestion.dedup.minhash (threshold {}) is not built for Rooms: leave it out, equal documents are left out \
             anyway",
            minhash.threshold
        )));
    }
    Ok(())
}

/// Everything but the model that decides what chunks are made of a document.
///
/// # Panics
/// Never: it is representable as JSON.
pub fn settings(plan: &IngestPlan) -> String {
    #[derive(Serialize)]
    struct Settings<'a> {
        revision: u32,
        clean: bool,
        pii: protocol::tune::PersonalData,
        tokens: u32,
        overlap: u32,
        /// Of sources that have some: another language gives another text.
        ocr: Vec<(&'a str, &'a Ocr)>,
    }
    let ocr = plan
        .sources
        .iter()
        .filter_map(|source| Some((source.name.as_str(), source.ocr.as_ref()?)));
    let mut ocr: Vec<_> = ocr.collect();
    ocr.sort_by_key(|(name, _)| *name);
    let settings = Settings {
        revision: REVISION,
        clean: plan.cleaning.clean,
        pii: plan.cleaning.pii,
        tokens: plan.chunks.tokens,
        overlap: plan.chunks.overlap,
        ocr,
    };
    serde_json::to_string(&settings).expect("our own types are representable as JSON")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::ingest::testing::plan;

    #[rstest]
    #[case(|plan: &mut IngestPlan| plan.sources.push(plan.sources[0].clone()), "two entries")]
    #[case(|plan: &mut IngestPlan| plan.sources[0].clearance = 101, "clearance")]
    #[case(|plan: &mut IngestPlan| plan.chunks.tokens = 3, "chunk")]
    #[case(|plan: &mut IngestPlan| plan.chunks.overlap = 512, "overlap")]
    #[case(|plan: &mut IngestPlan| plan.cleaning.dedup.minhash = Some(protocol::tune::MinHash { threshold: 0.8, shingle: 5 }), "minhash")]
    fn plans_without_sense_are_refused(#[case] change: fn(&mut IngestPlan), #[case] says: &str) {
        let mut plan = plan();
        check(&plan).unwrap();
        change(&mut plan);
        let failure = check(&plan).unwrap_err();
        assert!(failure.message.contains(says) && !failure.retryable, "{failure}");
    }

    #[test]
    fn what_changes_chunks_changes_the_settings() {
        let mut other = plan();
        other.sources[0].clearance = 7;
        other.keep = 9;
        assert_eq!(settings(&plan()), settings(&other));
        other.chunks.overlap = 0;
        assert_ne!(settings(&plan()), settings(&other));
        let mut other = plan();
        other.sources[0].ocr = Some(Ocr {
            languages: vec!["pol".into()],
            min_confidence: 75,
        });
        assert_ne!(settings(&plan()), settings(&other));
    }
}
