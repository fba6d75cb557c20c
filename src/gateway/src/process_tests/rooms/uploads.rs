//! Documents that people upload, and what curators do with documents.

use protocol::rooms::{document_id, documents as wire, ingest, state::State, uploads::Uploads};
use reqwest::Method;
use serde_json::{Value, json};

use super::support::{Doc, House, JOB, doc, spec};

fn members() -> Value {
    let mut spec = spec();
    spec["members"] = json!([
        {"kind": "User", "name": "jane", "role": "Contributor", "clearance": 1},
        {"kind": "User", "name": "cara", "role": "Curator", "clearance": 1},
    ]);
    spec
}

async fn upload(house: &House, user: &str, query: &str, body: Vec<u8>) -> super::support::Told {
    let request = house.request(user, Method::POST, &format!("hr/documents?{query}"));
    house
        .tell(request.header("content-type", "text/plain").body(body))
        .await
}

#[tokio::test]
async fn what_is_uploaded_can_be_read_by_whoever_fills_the_room() {
    let house = House::build().await;
    house.room("hr", members());
    for user in ["jane", "joe"] {
        house.let_in(user, &["contribute", "search"], "hr");
    }
    // Somebody has to bring the first documents.
    let overview: protocol::rooms::search::Overview = house.get("jane", "hr").await.json();
    assert!(overview.empty && overview.documents == 0, "{overview:?}");
    let [source] = &overview.uploads[..] else {
        panic!("{overview:?}")
    };
    assert_eq!(
        (&*source.name, source.max_bytes, source.clearance),
        ("people", 9 << 20, 1)
    );
    // More than one part, and no text.
    let bytes: Vec<u8> = (0..(5 << 20)).map(|byte: u32| byte as u8).collect();
    let kept: wire::Uploaded = upload(&house, "jane", "source=people&file=a%20b.bin", bytes.clone())
        .await
        .json();
    assert_eq!((kept.bytes, &*kept.file, kept.clearance), (5 << 20, "a b.bin", 1));
    let mine: wire::Mine = house.get("jane", "hr/documents?mine=true").await.json();
    assert_eq!(mine.uploads, std::slice::from_ref(&kept));
    let told: State = house.get(JOB, "hr/state").await.json();
    assert!(told.newest_upload_seconds.is_some(), "{told:?}");
    let listed: Uploads = house.get(JOB, "hr/uploads?source=people").await.json();
    assert_eq!(listed.uploads[0].digest, kept.digest);
    let path = format!("hr/uploads/{}", listed.uploads[0].id);
    let response = house.request(JOB, Method::GET, &path).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/octet-stream");
    assert_eq!(response.bytes().await.unwrap(), bytes);
    // Nobody adds what they would not see, nor more than the source takes.
    upload(&house, "joe", "source=people&file=x", b"x".to_vec())
        .await
        .refused(400, "invalid_field");
    upload(&house, "jane", "source=files&file=x", b"x".to_vec())
        .await
        .refused(400, "invalid_field");
    upload(&house, "jane", "source=people", b"x".to_vec())
        .await
        .refused(400, "missing_field");
    upload(&house, "jane", "source=people&file=x", vec![0; (9 << 20) + 1])
        .await
        .refused(413, "request_too_large");
    house
        .get(JOB, "hr/uploads/7")
        .await
        .refused(404, "room_content_not_found");
}

#[tokio::test]
async fn a_source_takes_no_more_than_all_of_it_may_have() {
    let house = House::build().await;
    let mut spec = members();
    spec["sources"][1]["upload"] = json!({"maxSize": "9Mi", "maxTotalSize": "10Mi"});
    house.room("hr", spec);
    house.let_in("jane", &["contribute", "curate", "search"], "hr");
    let megabytes = |count: usize| vec![b'x'; count << 20];
    upload(&house, "jane", "source=people&file=a", megabytes(6))
        .await
        .json::<wire::Uploaded>();
    let full = upload(&house, "jane", "source=people&file=b", megabytes(5)).await;
    full.refused(507, "room_source_full");
    // What did not arrive is not listed.
    let mine: wire::Mine = house.get("jane", "hr/documents?mine=true").await.json();
    assert_eq!(mine.uploads.len(), 1);
}

#[tokio::test]
async fn curators_release_and_remove_what_they_see() {
    let house = House::build().await;
    house.room("hr", members());
    house.let_in("cara", &["curate", "search"], "hr");
    house.let_in("jane", &["search"], "hr");
    let aside = |name: &str, clearance| Doc {
        quarantined: Some("LowConfidence".into()),
        clearance,
        ..doc(name, &[])
    };
    house
        .fill(
            "hr",
            &[doc("open", &["apples"]), aside("blurred", 0), aside("secret", 2)],
        )
        .await;
    let listed: wire::Documents = house.get("cara", "hr/documents?quarantined=true").await.json();
    let listed: Vec<_> = listed
        .documents
        .iter()
        .map(|one| (&*one.name, one.quarantined.as_deref()))
        .collect();
    assert_eq!(listed, [("blurred", Some("LowConfidence"))]);
    house
        .get("jane", "hr/documents?quarantined=true")
        .await
        .refused(404, "room_not_found");
    let release = async |user: &str, name: &str| {
        let path = format!("hr/documents/{}/release", document_id("files", name));
        house.post(user, &path, &json!({})).await
    };
    let hidden = release("cara", "secret").await;
    hidden.refused(404, "room_content_not_found");
    assert_eq!(hidden, release("cara", "none").await);
    release("jane", "blurred").await.refused(404, "room_not_found");
    let done: wire::Done = release("cara", "blurred").await.json();
    assert!(done.released);
    let writer = house.begin("hr", false).await;
    let path = format!("hr/generations/{}/known?source=files", writer.generation);
    let known = house
        .request(JOB, Method::GET, &path)
        .header(protocol::rooms::TOKEN_HEADER, &writer.token);
    let known: ingest::Known = house.tell(known).await.json();
    assert!(
        known
            .documents
            .iter()
            .any(|one| one.name == "blurred" && one.released.is_some())
    );
    let one: wire::Document = house
        .get("jane", &format!("hr/documents/{}", document_id("files", "open")))
        .await
        .json();
    assert_eq!((&*one.name, one.chunks), ("open", Some(1)));
    let overview: protocol::rooms::search::Overview = house.get("jane", "hr").await.json();
    assert_eq!(
        (overview.documents, overview.members.len(), overview.answers),
        (1, 0, true)
    );
    let overview: protocol::rooms::search::Overview = house.get("cara", "hr").await.json();
    assert_eq!((overview.members.len(), overview.clearance), (2, 1));
    assert_eq!((&*overview.user, overview.empty), ("cara", false));
    // Auditors see who is in it, and count nothing.
    house.let_in("ann", &["audit"], "hr");
    let overview: protocol::rooms::search::Overview = house.get("ann", "hr").await.json();
    assert_eq!((overview.members.len(), overview.documents), (2, 0));
    assert_eq!((overview.verbs, overview.uploads), (vec!["audit".to_owned()], vec![]));
    house.let_in("test", &["redteam"], "hr");
    house.get("test", "hr").await.refused(404, "room_not_found");
}

#[tokio::test]
async fn a_picture_of_a_page_is_shown_to_whoever_sees_its_document() {
    let house = House::build().await;
    house.room("hr", members());
    house.let_in("jane", &["search"], "hr");
    let writer = house.begin("hr", false).await;
    let mut secret = doc("secret", &["pears"]);
    secret.clearance = 2;
    let placed = house.put("hr", &writer, &[doc("open", &["apples"]), secret]).await;
    for placed in &placed {
        let ingest::Placed::Here { id } = placed else { panic!() };
        let path = format!("hr/generations/{}/documents/{id}/pages/1", writer.generation);
        let page = house
            .request(JOB, Method::PUT, &path)
            .header(protocol::rooms::TOKEN_HEADER, &writer.token);
        let told = house
            .tell(page.header("content-type", "image/png").body("\u{1}PNG"))
            .await;
        assert_eq!(told.status, 200, "{}", told.text);
    }
    let _: ingest::Published = house.publish("hr", &writer).await.json();
    let page = |name: &str, page: u32| format!("hr/documents/{}/pages/{page}", document_id("files", name));
    assert_eq!(house.get("jane", &page("open", 1)).await.text, "\u{1}PNG");
    let hidden = house.get("jane", &page("secret", 1)).await;
    hidden.refused(404, "room_content_not_found");
    for other in [
        page("none", 1),
        page("open", 2),
        page("secret", 2),
        "hr/documents/%21/pages/1".into(),
    ] {
        assert_eq!(house.get("jane", &other).await, hidden, "{other}");
    }
}
