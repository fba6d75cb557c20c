//! What is refused, and what is found.

use rstest::rstest;

use super::*;
use crate::grant::{LIFETIME, Principal, RoomKey};
use crate::index::testing::{acl, chunk, grant, grant_to, index, room, vector};

fn ids(found: &Found) -> Vec<i64> {
    found.hits.iter().map(|hit| hit.chunk.0).collect()
}

fn find(text: &str, options: &Options) -> Found {
    let texts = [
        "the pump",
        "a valve of the pump",
        "trees",
        "pump error E4711",
        "the sea",
    ];
    let chunks: Vec<_> = (1..).zip(texts).map(|(id, text)| chunk(id, text, 0, acl(0))).collect();
    let vector = vector(text);
    search(
        &index(&chunks),
        &grant(0, 0, 0),
        Query { vector: &vector, text },
        options,
        Instant::now(),
    )
    .unwrap()
}

#[test]
fn words_find_what_vectors_do_not() {
    let options = Options {
        top_k: 2,
        min_score: -1.0,
        ..Options::default()
    };
    let found = find("E4711", &options);
    assert_eq!(ids(&found)[0], 4);
    assert_eq!(found.evidence.coverage, Some(1.0));
    let near = find(
        "E4711",
        &Options {
            hybrid: false,
            ..options.clone()
        },
    );
    assert!(near.hits.is_sorted_by(|a, b| a.score >= b.score) && near.hits.len() == 2);
    assert_eq!(near.hits[0].rank_score, f64::from(near.hits[0].score));
    assert_eq!(ids(&find("a valve of the pump", &options))[0], 2);
}

#[test]
fn hits_are_held_against_the_options() {
    let all = Options {
        top_k: 9,
        min_score: -1.0,
        ..Options::default()
    };
    let found = find("the pump", &all);
    assert_eq!(found.hits.len(), 5);
    // In these tests a chunk has a token for each word.
    let few = find(
        "the pump",
        &Options {
            max_context_tokens: 4,
            ..all.clone()
        },
    );
    assert!(few.hits.iter().map(|hit| hit.tokens).sum::<u32>() <= 4);
    assert_eq!((few.hits[0], few.evidence.top), (found.hits[0], found.evidence.top));
    let near = find(
        "the pump",
        &Options {
            min_score: 0.99,
            ..all.clone()
        },
    );
    assert_eq!(ids(&near), [1]);
    let none = find("the pump", &Options { top_k: 0, ..all });
    assert!(none.hits.is_empty() && none.evidence.coverage == Some(0.0));
}

#[test]
fn weak_evidence_is_told_from_good() {
    let good = find("the pump", &Options::default()).evidence;
    assert!(
        good.top > 0.99 && good.margin > 1.0 && good.coverage == Some(1.0),
        "{good:?}"
    );
    let weak = find("volcano eruption", &Options::default()).evidence;
    assert!(weak.top < good.top && weak.coverage == Some(0.0), "{weak:?}");
}

fn refused(grant: &Grant, length: usize, now: Instant) -> Option<Refused> {
    let index = index(&[chunk(1, "one", 0, acl(0))]);
    let vector = vec![1.0; length];
    search(
        &index,
        grant,
        Query {
            vector: &vector,
            text: "one",
        },
        &Options::default(),
        now,
    )
    .err()
}

#[rstest]
#[case(Verb::Search, None)]
#[case(Verb::Ask, None)]
#[case(Verb::RedTeam, None)]
#[case(Verb::Contribute, Some(Refused::Verb(Verb::Contribute)))]
#[case(Verb::Curate, Some(Refused::Verb(Verb::Curate)))]
#[case(Verb::Ingest, Some(Refused::Verb(Verb::Ingest)))]
#[case(Verb::Feedback, Some(Refused::Verb(Verb::Feedback)))]
#[case(Verb::Audit, Some(Refused::Verb(Verb::Audit)))]
fn grants_are_for_a_purpose(#[case] verb: Verb, #[case] expected: Option<Refused>) {
    let (grant, now) = (grant_to(room(), verb), Instant::now());
    assert_eq!(refused(&grant, crate::index::testing::DIMENSION, now), expected);
}

#[test]
fn grants_are_for_a_time_and_a_room() {
    let length = crate::index::testing::DIMENSION;
    let now = Instant::now();
    assert_eq!(
        refused(&grant(0, 0, 0), length, now + LIFETIME * 2),
        Some(Refused::Expired)
    );
    // Made again by the same name.
    let again = RoomKey {
        uid: "another".into(),
        ..room()
    };
    assert_eq!(
        refused(&grant_to(again, Verb::Search), length, now),
        Some(Refused::OtherRoom)
    );
    let wrong = VectorError::Dimension {
        expected: length,
        found: 3,
    };
    assert_eq!(refused(&grant(0, 0, 0), 3, now), Some(Refused::Vector(wrong)));
}

#[test]
fn somebody_without_any_chunk_gets_an_answer() {
    let index = index(&[chunk(1, "one", 3, acl(0))]);
    let principal = Principal {
        user: "nobody".into(),
        groups: Default::default(),
    };
    let grant = Grant::issue(room(), Verb::Search, principal, Clearance(2), Instant::now());
    let vector = vector("one");
    let query = Query {
        vector: &vector,
        text: "one",
    };
    let found = search(&index, &grant, query, &Options::default(), Instant::now()).unwrap();
    let evidence = Evidence {
        coverage: Some(0.0),
        ..Evidence::default()
    };
    assert_eq!(found, Found { hits: vec![], evidence });
}
