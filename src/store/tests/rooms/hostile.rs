//! Names and texts of strangers.

use rooms::{Acl, Clearance, index::Embedding};
use store::rooms::{
    Error, NewChunk, Picture, Placed, Unfit, Upload, Writer, document, documents, moment, quarantine, remove,
};

use super::support::{Room, acl, doc, grant_to, open_doc, piece, put, recipe, room, vector};

const NAMES: [&str; 14] = [
    "'; DROP TABLE room_chunk; --",
    "\"quoted\" and \\back\\slashed\\u0000",
    "$1 $2 {0} %s %",
    "a\nb\r\tc",
    "../../etc/passwd",
    "NULL",
    "{NULL,\"a\"}",
    "e\u{301}\u{202e}\u{200b}\u{e0041}",
    "\u{1f600}\u{10ffff}",
    "[\"json\"]",
    " ",
    "user:jane",
    "a_b",
    "a%b",
];

#[tokio::test]
async fn names_and_texts_stay_what_they_are() {
    let room = room().await;
    let database = room.database();
    let long = "x".repeat(2048);
    let mut names = NAMES.to_vec();
    names.push(&long);
    let titled = |name: &&str| {
        let mut doc = doc(name, &[name, "second"], 0, acl(&[name, "group:hr"]));
        doc.new.title = Some((*name).chars().take(100).collect());
        doc
    };
    let all: Vec<_> = names.iter().map(titled).collect();
    room.fill(&all).await;
    let jane = room.jane(0);
    let mut expected: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    expected.extend(names.iter().map(|_| "second".to_owned()));
    expected.sort();
    assert_eq!(room.finds(&jane).await, expected);
    for name in &names {
        let found = document(database, &jane, "files", name).await.unwrap().unwrap();
        assert_eq!(&found.name, name);
        assert!(name.starts_with(&found.title.unwrap()));
        // Whoever is called as a name is spelled is not meant by it.
        let stranger = grant_to(&room.key, rooms::Verb::Search, name, &[name], 0);
        let sees = document(database, &stranger, "files", name).await.unwrap().is_some();
        assert_eq!(sees, stranger.sees(Clearance(0), &acl(&[name, "group:hr"])), "{name}");
        assert!(!sees);
    }
    let listing = documents(database, &jane, None, 100).await.unwrap();
    assert_eq!(listing.total, Some(names.len() as u64));
    let removed = remove(database, &room.ingest(), "files", &["a_b"]).await.unwrap();
    assert_eq!(removed, 1, "a name is no pattern");
    for name in NAMES {
        let curator = room.grant(rooms::Verb::Curate, 0);
        assert_eq!(
            quarantine(database, &curator, "files", name, name).await.unwrap(),
            name != "a_b"
        );
    }
}

/// Refused before anything is written, with a name.
#[tokio::test]
async fn what_postgres_would_not_keep_is_refused() {
    let room = room().await;
    let (database, ingest) = (room.database(), room.ingest());
    let writer = Writer::begin(database, &ingest, recipe()).await.unwrap();
    let read = moment(database, &ingest).await.unwrap();
    let place = async |change: &dyn Fn(&mut store::rooms::NewDocument)| {
        let mut document = open_doc("a", &["one"]).new;
        change(&mut document);
        let good = open_doc("good", &["one"]).new;
        match writer.place(&ingest, read, &[good, document]).await {
            Err(Error::Unfit(unfit)) => unfit,
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(place(&|d| d.name = "a\0".into()).await, Unfit::Nul(_)));
    assert!(matches!(place(&|d| d.name = String::new()).await, Unfit::Empty(_)));
    assert!(matches!(
        place(&|d| d.name = "x".repeat(2049)).await,
        Unfit::Long {
            found: 2049,
            most: 2048,
            ..
        }
    ));
    assert!(matches!(
        place(&|d| d.source = "x".repeat(64)).await,
        Unfit::Long { .. }
    ));
    assert!(matches!(place(&|d| d.title = Some("\0".into())).await, Unfit::Nul(_)));
    assert!(matches!(
        place(&|d| d.origin = Some("x".repeat(5000))).await,
        Unfit::Long { .. }
    ));
    assert!(matches!(place(&|d| d.acl = acl(&["user:\0"])).await, Unfit::Nul(_)));
    assert!(matches!(
        place(&|d| d.clearance = Clearance(101)).await,
        Unfit::Stranger(_)
    ));
    assert!(matches!(place(&|d| d.chunks = 1 << 21).await, Unfit::Many { .. }));
    assert!(matches!(
        place(&|d| d.quarantined = Some("why".into())).await,
        Unfit::Stranger(_)
    ));
    assert!(matches!(place(&|d| d.name = "good".into()).await, Unfit::Twice(_)));
    let many: Vec<_> = (0..1001).map(|n| open_doc(&n.to_string(), &[]).new).collect();
    let refused = writer.place(&ingest, read, &many).await;
    assert!(
        matches!(refused, Err(Error::Unfit(Unfit::Many { found: 1001, .. }))),
        "{refused:?}"
    );
    assert_eq!(room.test.number("SELECT count(*) FROM room_document").await, 0);

    let one = open_doc("a", &["one"]);
    let placed = writer
        .place(&ingest, read, std::slice::from_ref(&one.new))
        .await
        .unwrap();
    let Placed::Here(id) = placed[0] else {
        panic!("{placed:?}")
    };
    let chunk = |text: &str, heading: &str| {
        let mut piece = piece(text, &one.new);
        piece.place.headings = vec![heading.into()];
        NewChunk::new((id, &one.new), 0, piece, 1, Embedding::new(&vector("x")).unwrap())
    };
    assert!(matches!(chunk("a\0b", ""), Err(Error::Unfit(Unfit::Nul(_)))));
    assert!(matches!(chunk("", "a\0b"), Err(Error::Unfit(Unfit::Nul(_)))));
    assert!(matches!(
        chunk(&"x".repeat((1 << 20) + 1), ""),
        Err(Error::Unfit(Unfit::Long { .. }))
    ));
    let long = chunk(&"\"'\\x".repeat(1 << 18), "h").unwrap();
    let twice = writer.add(&ingest, &[long.clone(), long.clone()]).await;
    assert!(matches!(twice, Err(Error::Unfit(Unfit::Twice(_)))), "{twice:?}");
    assert_eq!(writer.add(&ingest, &[long]).await.unwrap(), 1);
    writer.verify(&ingest).await.unwrap();
    writer.publish(&ingest, 1).await.unwrap();
    assert_eq!(room.finds(&room.jane(0)).await, ["\"'\\x".repeat(1 << 18)]);

    for (media_type, bytes) in [("image/svg+xml", 1), ("text/html", 1), ("image/png", (4 << 20) + 1)] {
        let picture = Picture {
            media_type: media_type.into(),
            bytes: vec![0; bytes],
        };
        let writer = Writer::begin(database, &ingest, recipe()).await.unwrap();
        let refused = writer.add_picture(&ingest, id, 1, &picture).await;
        assert!(matches!(refused, Err(Error::Unfit(_))), "{refused:?}");
    }
    // Asked for, they are not there.
    let jane = room.jane(0);
    assert!(document(database, &jane, "files", "a\0").await.unwrap().is_none());
    assert!(document(database, &jane, "\0", "a").await.unwrap().is_none());
    assert!(
        store::rooms::picture(database, &jane, "files", "a", u32::MAX)
            .await
            .unwrap()
            .is_none()
    );
    refuses_uploads(&room).await;
}

async fn refuses_uploads(room: &Room) {
    let contributor = room.grant(rooms::Verb::Contribute, 1);
    let upload = |file: &str, clearance: u8| Upload {
        source: "files".into(),
        file: file.into(),
        media_type: "text/plain".into(),
        clearance: Clearance(clearance),
        acl: Acl::everyone(),
        most_of_all: u64::MAX,
    };
    for upload in [
        upload("a\0", 0),
        upload("", 0),
        upload(&"x".repeat(1025), 0),
        upload("a", 2),
    ] {
        let refused = upload.begin(room.database(), &contributor).await;
        assert!(matches!(refused, Err(Error::Unfit(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn many_small_documents_fit_one_batch() {
    let room = room().await;
    let (database, ingest) = (room.database(), room.ingest());
    let writer = Writer::begin(database, &ingest, recipe()).await.unwrap();
    let all: Vec<_> = (0..1000).map(|n| open_doc(&format!("d{n:04}"), &[])).collect();
    let placed = put(&writer, database, &ingest, &all).await;
    let ids: std::collections::BTreeSet<_> = placed
        .iter()
        .map(|placed| match placed {
            Placed::Here(id) => *id,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ids.len(), 1000);
    // Numbers do not tell how many there are.
    let spread = "SELECT (max(id) - min(id)) / 1000000000 FROM room_document";
    assert!(room.test.number(spread).await >= 4);
    writer.verify(&ingest).await.unwrap();
    writer.publish(&ingest, 1).await.unwrap();
    assert_eq!(
        documents(database, &room.jane(0), None, 1).await.unwrap().total,
        Some(1000)
    );
}
