//! Who is let in, until when, and what the others are told.

use serde_json::{Value, json};

use super::support::{House, doc, spec};
use crate::process_tests::within;

fn with(spec: Value, field: &str, value: Value) -> Value {
    let mut spec = spec;
    spec[field] = value;
    spec
}

fn members(entries: &[(&str, &str, u8)]) -> Value {
    let member = |(kind, name, clearance): &(&str, &str, u8)| json!({"kind": kind, "name": name, "role": "Reader", "clearance": clearance});
    with(spec(), "members", entries.iter().map(member).collect())
}

#[tokio::test]
async fn clearance_and_lists_of_names_decide_what_is_found() {
    let house = House::build().await;
    house.room("hr", members(&[("User", "jane", 3), ("Group", "board", 5)]));
    let mut listed = doc("listed", &["apples for the board alone"]);
    listed.acl = Some(vec!["group:board".into()]);
    let mut secret = doc("secret", &["apples that are secret"]);
    secret.clearance = 4;
    house
        .fill("hr", &[doc("open", &["apples for everyone"]), secret, listed])
        .await;
    for user in ["jane", "joe", "ann"] {
        house.let_in(user, &["search"], "hr");
    }
    house.gateway.reviewer.join("ann", "board");
    let expected = [
        ("jane", vec!["apples for everyone"]),
        ("joe", vec!["apples for everyone"]),
        (
            "ann",
            vec![
                "apples for everyone",
                "apples for the board alone",
                "apples that are secret",
            ],
        ),
    ];
    for (user, texts) in expected {
        let mut found = house.finds(user, "hr", "apples").await;
        found.sort();
        assert_eq!(found, texts, "{user}");
    }
    // Lowered in the spec, it holds with the next request.
    house.room("hr", members(&[("Group", "board", 0)]));
    let mut found = house.finds("ann", "hr", "apples").await;
    found.sort();
    assert_eq!(found, ["apples for everyone", "apples for the board alone"]);
    // Raised for a source, it holds for all that came from it.
    let mut raised = members(&[("Group", "board", 0)]);
    raised["sources"][0]["clearance"] = 2.into();
    house.room("hr", raised);
    assert!(house.finds("ann", "hr", "apples").await.is_empty());
}

#[tokio::test]
async fn what_is_absent_and_what_is_forbidden_are_the_same_bytes() {
    let house = House::build().await;
    house.room("hr", spec());
    house.fill("hr", &[doc("open", &["apples"])]).await;
    house.let_in("jane", &["search"], "hr");
    house.let_in("joe", &["search"], "other");
    let calls: [(&str, Option<Value>); 8] = [
        ("search", Some(json!({"query": "apples"}))),
        ("ask", Some(json!({"question": "apples?"}))),
        ("documents", None),
        ("history", None),
        ("audit", None),
        ("state", None),
        ("feedback", Some(json!({"id": "x", "kind": "thumbs", "value": "up"}))),
        ("", None),
    ];
    for (call, body) in calls {
        let tell = async |room: &str| {
            let path = format!("{room}/{call}");
            let path = path.trim_end_matches('/');
            let told = match &body {
                Some(body) => house.post("joe", path, body).await,
                None => house.get("joe", path).await,
            };
            told.refused(404, "room_not_found");
            told.text.replace(&format!("ns/{room}"), "ROOM")
        };
        assert_eq!(tell("hr").await, tell("none").await, "{call}");
        // One that is allowed by name and is not there.
        assert_eq!(tell("hr").await, tell("other").await, "{call}");
    }
    house
        .search("nobody", "hr", "apples")
        .await
        .refused(401, "invalid_api_key");
    assert!(
        house
            .audited("kind = 'refused' AND event ->> 'decision' = 'denied' AND subject = 'joe'")
            .await
            >= 20
    );
}

#[tokio::test]
async fn a_room_is_entered_from_its_networks_only() {
    let house = House::build().await;
    let network = |cidr: &str| with(spec(), "access", json!({"network": {"cidrs": [cidr]}}));
    house.room("hr", network("127.0.0.0/8"));
    house.fill("hr", &[doc("open", &["apples"])]).await;
    house.let_in("jane", &["search"], "hr");
    assert_eq!(house.finds("jane", "hr", "apples").await, ["apples"]);
    house.room("hr", network("10.0.0.0/8"));
    house
        .search("jane", "hr", "apples")
        .await
        .refused(404, "room_not_found");
    // Nobody is believed who says that they come from there.
    let request = house.request("jane", reqwest::Method::POST, "hr/search");
    let request = request
        .header("x-forwarded-for", "10.1.2.3")
        .body(r#"{"query":"apples"}"#);
    house.tell(request).await.refused(404, "room_not_found");
    // Jobs are in the cluster.
    house.fill("hr", &[doc("open", &["pears"])]).await;
}

#[tokio::test]
async fn rights_that_are_too_old_let_nobody_in() {
    let house = House::build().await;
    house.room("hr", spec());
    house.let_in("jane", &["search", "ask", "curate"], "hr");
    house.search("jane", "hr", "apples").await.refused(503, "room_empty");
    house.fill("hr", &[doc("open", &["apples"])]).await;
    assert_eq!(house.finds("jane", "hr", "apples").await, ["apples"]);
    let old = "UPDATE room SET rights_read_at = now() - interval '25 hours'";
    house.test.tamper(old).await;
    for (path, body) in [
        ("search", json!({"query": "apples"})),
        ("ask", json!({"question": "apples?"})),
    ] {
        house
            .post("jane", &format!("hr/{path}"), &body)
            .await
            .refused(503, "room_access_stale");
    }
    for path in ["hr", "hr/documents", "hr/documents?quarantined=true", "hr/history"] {
        house.get("jane", path).await.refused(503, "room_access_stale");
    }
    house.room("hr", with(spec(), "access", json!({"maxStaleness": "2d"})));
    assert_eq!(house.finds("jane", "hr", "apples").await, ["apples"]);
}

#[tokio::test]
async fn nobody_enters_without_the_database_or_the_api_server() {
    let house = House::build().await;
    house.room("hr", spec());
    house.fill("hr", &[doc("open", &["apples"])]).await;
    house.let_in("jane", &["search"], "hr");
    assert_eq!(house.finds("jane", "hr", "apples").await, ["apples"]);
    house.gateway.reviewer.set_down(true);
    house.gateway.gateway.rooms.authorizer().forget_rooms();
    house
        .search("jane", "hr", "apples")
        .await
        .refused(503, "authorization_unavailable");
    house.gateway.reviewer.set_down(false);
    assert_eq!(house.finds("jane", "hr", "apples").await, ["apples"]);
    // What is in memory is shown to nobody when the database cannot say whether it still holds.
    std::fs::write(house.test.url_file.path(), "postgres://postgres@127.0.0.1:9/none").unwrap();
    house.test.database.pool().close().await;
    house
        .search("jane", "hr", "apples")
        .await
        .refused(503, "rooms_unavailable");
}

#[tokio::test]
async fn a_gateway_without_a_database_has_no_rooms() {
    let gateway = crate::testing::TestGateway::with_workers(&[]).await;
    gateway.reviewer.allow_in("jane", "search", "ns", "hr");
    gateway
        .gateway
        .rooms
        .catalog
        .apply(crate::rooms::room::testing::watched("hr", "1", spec()).into());
    let request = gateway.request(reqwest::Method::POST, "/v1/rooms/ns/hr/search");
    let response = within(request.body(r#"{"query":"x"}"#).send()).await.unwrap();
    crate::process_tests::refused(response, 501, "rooms_off").await;
}

#[tokio::test]
async fn a_deleted_room_is_gone_and_can_be_purged() {
    let house = House::build().await;
    house.room("hr", spec());
    house.fill("hr", &[doc("open", &["apples"])]).await;
    house.let_in("jane", &["search"], "hr");
    let delete = || house.request(super::support::JOB, reqwest::Method::DELETE, "hr");
    house.tell(delete()).await.refused(409, "room_not_deleted");
    let mut room = crate::rooms::room::testing::watched("hr", "uid-hr", spec());
    room.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
    house.gateway.gateway.rooms.catalog.apply(room.into());
    house
        .search("jane", "hr", "apples")
        .await
        .refused(404, "room_not_found");
    let purged: protocol::rooms::state::Purged = house.tell(delete()).await.json();
    assert_eq!((purged.documents, purged.chunks), (1, 1));
    let again: protocol::rooms::state::Purged = house.tell(delete()).await.json();
    assert_eq!(again, Default::default());
    assert_eq!(house.test.number("SELECT count(*) FROM room").await, 0);
}
