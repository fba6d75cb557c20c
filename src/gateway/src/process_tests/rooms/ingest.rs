//! How Rooms are filled over the wire: what is kept, what is refused, and what nobody sees before it is whole.

use protocol::rooms::{TOKEN_HEADER, ingest as wire, state::State};
use reqwest::Method;
use serde_json::json;

use super::support::{House, JOB, digest, doc, spec};

#[tokio::test]
async fn nothing_is_seen_of_a_generation_before_it_is_published() {
    let house = House::build().await;
    house.room("hr", spec());
    house.let_in("jane", &["search"], "hr");
    house.fill("hr", &[doc("a", &["apples one"])]).await;
    let writer = house.begin("hr", false).await;
    house.put("hr", &writer, &[doc("b", &["apples two"])]).await;
    assert_eq!(house.finds("jane", "hr", "apples").await, ["apples one"]);
    // What did not change is taken over.
    let path = format!("hr/generations/{}", writer.generation);
    let same = json!({"source": "files", "documents": {
        "a": digest(&["apples one".to_owned()]), "c": digest(&["other".to_owned()]),
    }});
    let carried: wire::Carried = house.job(&writer, &format!("{path}/carry"), &same).await.json();
    assert_eq!(carried.documents, ["a"]);
    let _: wire::Published = house.publish("hr", &writer).await.json();
    let mut found = house.finds("jane", "hr", "apples").await;
    found.sort();
    assert_eq!(found, ["apples one", "apples two"]);
    // Another replica's writer would go on by its token as well; nobody does after the end.
    house
        .job(&writer, &format!("{path}/carry"), &same)
        .await
        .refused(409, "generation_fenced");
    let back = house.post(JOB, "hr/generations/1/live", &json!({})).await;
    assert_eq!(back.status, 200, "{}", back.text);
    assert_eq!(house.finds("jane", "hr", "apples").await, ["apples one"]);
}

#[tokio::test]
async fn of_two_writers_the_last_goes_on() {
    let house = House::build().await;
    house.room("hr", spec());
    let first = house.begin("hr", false).await;
    assert!(!first.resumed);
    house.put("hr", &first, &[doc("a", &["apples"])]).await;
    let second = house.begin("hr", false).await;
    assert!(second.resumed && second.generation == first.generation && second.token != first.token);
    let path = format!("hr/generations/{}", first.generation);
    let nothing = json!({"source": "files", "documents": {}});
    house
        .job(&first, &format!("{path}/carry"), &nothing)
        .await
        .refused(409, "generation_fenced");
    let untold = house.request(JOB, Method::POST, &format!("{path}/verify"));
    house.tell(untold.body("{}")).await.refused(409, "generation_fenced");
    house.put("hr", &second, &[doc("b", &["pears"])]).await;
    let body = json!({"keep": 0});
    house
        .job(&second, &format!("{path}/publish"), &body)
        .await
        .refused(409, "generation_unverified");
    let _: wire::Published = house.publish("hr", &second).await.json();
    let state: State = house.get(JOB, "hr/state").await.json();
    assert_eq!(
        (state.documents, state.chunks, state.generation),
        (2, 2, Some(first.generation))
    );
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused_by_name() {
    let house = House::build().await;
    house.room("hr", spec());
    let writer = house.begin("hr", false).await;
    let path = format!("hr/generations/{}", writer.generation);
    let place = |source: &str, digest: &str, read: i64| {
        let document = json!({"name": "a", "digest": digest, "chunks": 2, "bytes": 1});
        json!({"source": source, "read": read, "documents": [document]})
    };
    let good = "00".repeat(32);
    let documents = format!("{path}/documents");
    house
        .job(&writer, &documents, &place("none", &good, writer.now))
        .await
        .refused(422, "unfit");
    house
        .job(&writer, &documents, &place("files", "00", writer.now))
        .await
        .refused(400, "invalid_field");
    // What will be read tomorrow would stand against all that is read today.
    let tomorrow = writer.now + 86_400_000_000;
    house
        .job(&writer, &documents, &place("files", &good, tomorrow))
        .await
        .refused(422, "unfit");
    let placed: wire::PlacedDocuments = house
        .job(&writer, &documents, &place("files", &good, writer.now))
        .await
        .json();
    let wire::Placed::Here { id } = placed.documents[0] else {
        panic!("{placed:?}");
    };
    let chunk = |document: i64, ordinal: u32, vector: &[f32]| {
        let vector = protocol::rooms::vector::encode(vector);
        json!({"chunks": [{"document": document, "ordinal": ordinal, "text": "t", "vector": vector, "tokens": 1}]})
    };
    let chunks = format!("{path}/chunks");
    house
        .job(&writer, &chunks, &chunk(id, 0, &[0.0; 64]))
        .await
        .refused(422, "unfit");
    house
        .job(&writer, &chunks, &chunk(id, 0, &[1.0; 3]))
        .await
        .refused(422, "unfit");
    house
        .job(&writer, &chunks, &chunk(-1, 0, &[1.0; 64]))
        .await
        .refused(422, "unfit");
    // Neither a chunk behind the last nor one of another's document is kept.
    for (document, ordinal) in [(id, 2), (id ^ 1, 0)] {
        let added: wire::Added = house
            .job(&writer, &chunks, &chunk(document, ordinal, &[1.0; 64]))
            .await
            .json();
        assert_eq!(added.chunks, 0);
    }
    let added: wire::Added = house.job(&writer, &chunks, &chunk(id, 0, &[1.0; 64])).await.json();
    assert_eq!(added.chunks, 1);
    house
        .job(&writer, &format!("{path}/verify"), &json!({}))
        .await
        .refused(409, "generation_incomplete");
    let page = house.request(JOB, Method::PUT, &format!("{path}/documents/{id}/pages/1"));
    let page = page
        .header(TOKEN_HEADER, &writer.token)
        .header("content-type", "text/html")
        .body("<script>");
    house.tell(page).await.refused(422, "unfit");
}

#[tokio::test]
async fn rights_and_removals_hold_at_once() {
    let house = House::build().await;
    house.room("hr", spec());
    house.let_in("jane", &["search", "curate"], "hr");
    house
        .fill(
            "hr",
            &[
                doc("a", &["apples one"]),
                doc("b", &["apples two"]),
                doc("c", &["apples three"]),
            ],
        )
        .await;
    assert_eq!(house.finds("jane", "hr", "apples").await.len(), 3);
    let writer = house.begin("hr", false).await;
    let path = format!("hr/generations/{}/known?source=files", writer.generation);
    let known = house
        .request(JOB, Method::GET, &path)
        .header(TOKEN_HEADER, &writer.token);
    let known: wire::Known = house.tell(known).await.json();
    assert_eq!(known.documents.len(), 3);
    assert!(
        known
            .documents
            .iter()
            .all(|one| one.digest.is_some() && !one.barred && !one.deleted)
    );
    let rights = json!({"source": "files", "read": known.now, "documents": [{"name": "a", "acl": ["user:joe"]}]});
    let changed: wire::Changed = house.post(JOB, "hr/rights", &rights).await.json();
    assert_eq!(changed.documents, 1);
    assert_eq!(house.finds("jane", "hr", "apples").await.len(), 2);
    // What was read before does not widen it again.
    let stale = json!({"source": "files", "read": writer.now - 1_000_000, "documents": [{"name": "a"}]});
    let changed: wire::Changed = house.post(JOB, "hr/rights", &stale).await.json();
    assert_eq!(changed.documents, 0);
    let gone = json!({"source": "files", "documents": ["b", "none"]});
    let changed: wire::Changed = house.post(JOB, "hr/removed", &gone).await.json();
    assert_eq!(changed.documents, 1);
    assert_eq!(house.finds("jane", "hr", "apples").await, ["apples three"]);
    // A curator's removal is for good.
    let id = protocol::rooms::document_id("files", "c");
    let told = house
        .tell(house.request("jane", Method::DELETE, &format!("hr/documents/{id}")))
        .await;
    assert_eq!(told.status, 200, "{}", told.text);
    let placed = house.put("hr", &writer, &[doc("c", &["apples three"])]).await;
    assert_eq!(placed, [wire::Placed::Barred]);
    assert!(house.finds("jane", "hr", "apples").await.is_empty());
}

#[tokio::test]
async fn a_source_that_leaves_the_spec_takes_its_documents_along() {
    let house = House::build().await;
    house.room("hr", spec());
    house.let_in("jane", &["search"], "hr");
    house.fill("hr", &[doc("a", &["apples"])]).await;
    assert_eq!(house.finds("jane", "hr", "apples").await, ["apples"]);
    let mut without = spec();
    without["sources"].as_array_mut().unwrap().remove(0);
    house.room("hr", without);
    assert!(house.finds("jane", "hr", "apples").await.is_empty());
    let state: State = house.get(JOB, "hr/state").await.json();
    assert_eq!((state.documents, state.sources.len()), (0, 1));
}

#[tokio::test]
async fn only_who_may_fill_a_room_does() {
    let house = House::build().await;
    house.room("hr", spec());
    house.let_in(
        "jane",
        &["search", "ask", "contribute", "curate", "feedback", "audit", "redteam"],
        "hr",
    );
    let recipe = json!({"recipe": {"model": "e", "digest": "d", "dimension": 64, "settings": ""}});
    let calls = [
        (Method::POST, "generations", recipe),
        (Method::GET, "generations/1/known?source=files", json!({})),
        (
            Method::POST,
            "generations/1/carry",
            json!({"source": "files", "documents": {}}),
        ),
        (
            Method::POST,
            "generations/1/documents",
            json!({"source": "files", "read": 0, "documents": []}),
        ),
        (Method::POST, "generations/1/chunks", json!({"chunks": []})),
        (Method::PUT, "generations/1/documents/1/pages/1", json!({})),
        (Method::POST, "generations/1/verify", json!({})),
        (Method::POST, "generations/1/publish", json!({})),
        (Method::POST, "generations/1/live", json!({})),
        (
            Method::POST,
            "rights",
            json!({"source": "files", "read": 0, "documents": []}),
        ),
        (Method::POST, "removed", json!({"source": "files", "documents": []})),
        (Method::GET, "uploads?source=people", json!({})),
        (Method::GET, "uploads/1", json!({})),
        (Method::GET, "state", json!({})),
    ];
    for (method, path, body) in calls {
        let request = house.request("jane", method, &format!("hr/{path}"));
        let request = request.header(TOKEN_HEADER, "1").body(body.to_string());
        house.tell(request).await.refused(404, "room_not_found");
    }
}
