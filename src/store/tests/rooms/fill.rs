//! Generations: what makes one whole, whose it is, and which answers.

use rooms::{Acl, index::Embedding};
use store::rooms::{
    Error, Known, NewChunk, Placed, State, Unfit, Verified, Writer, generations, known, load, load_shadow, moment,
    roll_back, sweep, texts,
};

use super::support::{Doc, aside, doc, open_doc, piece, put, recipe, room, vector, visible, within};

#[tokio::test]
async fn what_was_written_is_found_and_cited() {
    let room = room().await;
    let written = doc("a.pdf", &["the pump", "a valve"], 1, super::support::acl(&["group:hr"]));
    let published = room.fill(&[written.clone(), open_doc("b.pdf", &["the sea"])]).await;
    assert_eq!((published.live, published.expired), (1, vec![]));
    let jane = room.jane(1);
    assert_eq!(room.finds(&jane).await, ["a valve", "the pump", "the sea"]);

    let loaded = load(room.database(), &jane).await.unwrap().unwrap();
    assert_eq!((loaded.head.live, loaded.index.generation()), (Some(1), 1));
    assert!(loaded.head.rights_age.is_some());
    let hits = visible(&loaded.index, &jane);
    let texts = texts(room.database(), &jane, 1, Some(loaded.head.revision), &hits)
        .await
        .unwrap();
    let ids: Vec<_> = texts.iter().map(|text| text.chunk.id).collect();
    assert_eq!(ids, hits, "in the order in which they were asked for");
    let pump = texts.iter().find(|text| text.chunk.text == "the pump").unwrap();
    assert_eq!((&*pump.chunk.source, &*pump.chunk.document), ("files", "a.pdf"));
    assert_eq!(pump.chunk.place, piece("", &written.new).place);
    assert_eq!((pump.tokens, pump.pages), (2, Some(2)));
    assert_eq!(pump.title.as_deref(), Some("Title of a.pdf"));
    assert_eq!(pump.origin.as_deref(), Some("/files/a.pdf"));
    // JSON readers keep 53 bits.
    assert!(ids.iter().all(|id| id.0 > 0 && id.0 < 1 << 53));
}

#[tokio::test]
async fn only_what_is_whole_is_published() {
    let room = room().await;
    let (database, ingest) = (room.database(), room.ingest());
    let writer = Writer::begin(database, &ingest, recipe()).await.unwrap();
    assert!(matches!(writer.publish(&ingest, 1).await, Err(Error::Unverified)));
    let mut short = open_doc("a", &["one", "two"]);
    short.new.chunks = 3;
    put(&writer, database, &ingest, &[short.clone(), open_doc("b", &["three"])]).await;
    let refused = writer.verify(&ingest).await;
    assert!(
        matches!(
            refused,
            Err(Error::Incomplete {
                documents: 1,
                vectors: 0
            })
        ),
        "{refused:?}"
    );
    assert!(matches!(writer.publish(&ingest, 1).await, Err(Error::Unverified)));

    // Placed anew, it begins anew.
    short.new.chunks = 1;
    short.texts.truncate(1);
    put(&writer, database, &ingest, &[short]).await;
    put(&writer, database, &ingest, &[aside("c", "Unreadable", 0)]).await;
    let verified = writer.verify(&ingest).await.unwrap();
    let expected = Verified {
        documents: 2,
        quarantined: 1,
        chunks: 2,
    };
    assert_eq!(verified, expected);
    put(&writer, database, &ingest, &[open_doc("d", &["four"])]).await;
    let refused = writer.publish(&ingest, 1).await;
    assert!(matches!(refused, Err(Error::Unverified)), "something was written since");
    writer.verify(&ingest).await.unwrap();
    writer.publish(&ingest, 1).await.unwrap();
    assert_eq!(room.finds(&room.jane(0)).await, ["four", "one", "three"]);
}

#[tokio::test]
async fn vectors_of_another_dimension_are_refused() {
    let room = room().await;
    let (database, ingest) = (room.database(), room.ingest());
    let writer = Writer::begin(database, &ingest, recipe()).await.unwrap();
    let one = open_doc("a", &["one"]);
    let placed = put(
        &writer,
        database,
        &ingest,
        &[Doc {
            texts: vec![],
            ..one.clone()
        }],
    )
    .await;
    let Placed::Here(id) = placed[0] else {
        panic!("{placed:?}")
    };
    let short = Embedding::new(&[1.0, 2.0]).unwrap();
    let chunk = NewChunk::new((id, &one.new), 0, piece("one", &one.new), 1, short).unwrap();
    let refused = writer.add(&ingest, &[chunk]).await;
    assert!(matches!(refused, Err(Error::Vector { .. })), "{refused:?}");
    // Whoever gets it past that is found out.
    let embedding = || Embedding::new(&vector("one")).unwrap();
    let chunk = NewChunk::new((id, &one.new), 0, piece("one", &one.new), 1, embedding()).unwrap();
    writer.add(&ingest, &[chunk]).await.unwrap();
    room.test.tamper("UPDATE room_chunk SET embedding = '\\x01'").await;
    let refused = writer.verify(&ingest).await;
    assert!(
        matches!(
            refused,
            Err(Error::Incomplete {
                documents: 0,
                vectors: 1
            })
        ),
        "{refused:?}"
    );

    let behind = NewChunk::new((id, &one.new), 1, piece("two", &one.new), 1, embedding());
    assert!(matches!(behind, Err(Error::Unfit(Unfit::Stranger(_)))));
    let mut narrower = piece("one", &one.new);
    narrower.clearance = rooms::Clearance(1);
    let refused = NewChunk::new((id, &one.new), 0, narrower, 1, embedding());
    assert!(
        matches!(refused, Err(Error::Unfit(Unfit::Rights))),
        "rights that would be lost"
    );
    let mut listed = piece("one", &one.new);
    listed.acl = Acl::of(["user:jane".to_owned()]);
    let refused = NewChunk::new((id, &one.new), 0, listed, 1, embedding());
    assert!(matches!(refused, Err(Error::Unfit(Unfit::Rights))));
}

#[tokio::test]
async fn the_writer_that_began_last_goes_on() {
    let room = room().await;
    let (database, ingest) = (room.database(), room.ingest());
    let old = Writer::begin(database, &ingest, recipe()).await.unwrap();
    put(&old, database, &ingest, &[open_doc("a", &["old"])]).await;
    old.verify(&ingest).await.unwrap();
    let new = Writer::begin(database, &ingest, recipe()).await.unwrap();
    assert!(new.generation() > old.generation());
    let read = moment(database, &ingest).await.unwrap();
    assert!(matches!(old.place(&ingest, read, &[]).await, Err(Error::Fenced)));
    assert!(matches!(old.add(&ingest, &[]).await, Err(Error::Fenced)));
    assert!(matches!(old.carry(&ingest, "files", &[]).await, Err(Error::Fenced)));
    assert!(matches!(old.verify(&ingest).await, Err(Error::Fenced)));
    assert!(matches!(old.publish(&ingest, 1).await, Err(Error::Fenced)));
    put(&new, database, &ingest, &[open_doc("a", &["new"])]).await;
    new.verify(&ingest).await.unwrap();
    new.publish(&ingest, 1).await.unwrap();
    assert_eq!(room.finds(&room.jane(0)).await, ["new"]);
    assert!(
        matches!(new.add(&ingest, &[]).await, Err(Error::Fenced)),
        "what answers is not written"
    );
    let swept = sweep(database, &ingest, std::time::Duration::from_secs(3600))
        .await
        .unwrap();
    assert_eq!((swept.generations, swept.chunks), (1, 1));
}

#[tokio::test]
async fn one_resumes_what_another_left() {
    let room = room().await;
    let (database, ingest) = (room.database(), room.ingest());
    assert!(Writer::resume(database, &ingest, recipe()).await.unwrap().is_none());
    let first = Writer::begin(database, &ingest, recipe()).await.unwrap();
    put(&first, database, &ingest, &[open_doc("a", &["one"])]).await;
    let mut half = open_doc("b", &["two", "three"]);
    half.texts.truncate(1);
    put(&first, database, &ingest, &[half]).await;

    let mut other = recipe();
    other.settings = "256/32".into();
    assert!(Writer::resume(database, &ingest, other).await.unwrap().is_none());
    put(&first, database, &ingest, &[]).await;
    let second = Writer::resume(database, &ingest, recipe()).await.unwrap().unwrap();
    assert_eq!(second.generation(), first.generation());
    assert!(matches!(first.add(&ingest, &[]).await, Err(Error::Fenced)));
    let wanted: Vec<_> = [open_doc("a", &["one"]), open_doc("b", &["two", "three"])]
        .map(|doc| (doc.new.name, doc.new.digest))
        .into();
    let have = second.carry(&ingest, "files", &wanted).await.unwrap();
    assert_eq!(
        have.into_iter().collect::<Vec<_>>(),
        ["a"],
        "the other one is not whole"
    );
    put(&second, database, &ingest, &[open_doc("b", &["two", "three"])]).await;
    second.verify(&ingest).await.unwrap();
    second.publish(&ingest, 1).await.unwrap();
    assert_eq!(room.finds(&room.jane(0)).await, ["one", "three", "two"]);
}

#[tokio::test]
async fn back_to_a_generation_that_is_kept() {
    let room = room().await;
    let (database, ingest) = (room.database(), room.ingest());
    for text in ["one", "two", "three"] {
        room.fill(&[open_doc("a", &[text]), open_doc(text, &[text])]).await;
    }
    let states =
        |all: Vec<store::rooms::Generation>| all.into_iter().map(|one| (one.number, one.state)).collect::<Vec<_>>();
    let expected = [(3, State::Live), (2, State::Retired), (1, State::Expired)];
    assert_eq!(states(generations(database, &ingest).await.unwrap()), expected);
    assert!(matches!(
        roll_back(database, &ingest, 1).await,
        Err(Error::NoGeneration(1))
    ));
    assert!(matches!(
        roll_back(database, &ingest, 3).await,
        Err(Error::NoGeneration(3))
    ));
    let jane = room.jane(0);
    assert_eq!(room.finds(&jane).await, ["three", "three"]);
    roll_back(database, &ingest, 2).await.unwrap();
    assert_eq!(room.finds(&jane).await, ["two", "two"]);
    assert!(matches!(
        texts(database, &jane, 1, None, &[]).await,
        Err(Error::NoGeneration(1))
    ));
    let swept = sweep(database, &ingest, std::time::Duration::from_secs(3600))
        .await
        .unwrap();
    // Of "one" there is nothing in another generation.
    assert_eq!((swept.generations, swept.chunks, swept.documents), (1, 2, 1));
    // What is measured before it answers.
    let shadow = load_shadow(database, &ingest, 3).await.unwrap();
    assert_eq!(shadow.index.generation(), 3);
    assert!(matches!(
        load_shadow(database, &ingest, 1).await,
        Err(Error::NoGeneration(1))
    ));
    roll_back(database, &ingest, 3).await.unwrap();
    assert_eq!(room.finds(&jane).await, ["three", "three"]);
    // The one that answered last is kept, whatever its number.
    room.fill(&[open_doc("a", &["four"])]).await;
    let expected = [(4, State::Live), (3, State::Retired), (2, State::Expired)];
    assert_eq!(states(generations(database, &ingest).await.unwrap()), expected);
}

#[tokio::test]
async fn what_is_known_of_a_source() {
    let room = room().await;
    let (database, ingest) = (room.database(), room.ingest());
    room.fill(&[
        open_doc("a", &["one"]),
        doc("b", &["two"], 3, super::support::acl(&["user:joe"])),
        aside("c", "Blurred", 0),
    ])
    .await;
    let all = within(known(database, &ingest, "files", "")).await.unwrap();
    let names: Vec<_> = all.iter().map(|known| &*known.name).collect();
    assert_eq!(names, ["a", "b", "c"]);
    let expected = Known {
        name: "b".into(),
        clearance: rooms::Clearance(3),
        acl: super::support::acl(&["user:joe"]),
        live: Some(super::support::digest("two")),
        quarantined: None,
        released: None,
        is_barred: false,
        is_deleted: false,
    };
    assert_eq!(all[1], expected);
    assert_eq!(all[2].quarantined.as_deref(), Some("Blurred"));
    assert_eq!(known(database, &ingest, "files", "b").await.unwrap().len(), 1);
    assert!(known(database, &ingest, "wiki", "").await.unwrap().is_empty());
}
