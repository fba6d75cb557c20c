//! Searches while rights, documents and generations change: none of them sees too much, and no net raises an alarm.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::json;

use super::support::{House, JOB, doc, spec};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_hold_while_everything_changes() {
    let house = Arc::new(House::build().await);
    house.room("hr", spec());
    house.let_in("jane", &["search"], "hr");
    let documents = [
        doc("open", &["apples for everyone"]),
        doc("turns", &["apples that come and go"]),
    ];
    house.fill("hr", &documents).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let searching: Vec<_> = (0..3)
        .map(|_| {
            let (house, is_over) = (house.clone(), is_over.clone());
            tokio::spawn(async move {
                let mut searches = 0;
                while !is_over.load(Ordering::Relaxed) {
                    let told = house.search("jane", "hr", "apples").await;
                    assert_eq!(told.status, 200, "{}", told.text);
                    assert!(told.text.contains("apples for everyone"), "{}", told.text);
                    searches += 1;
                }
                searches
            })
        })
        .collect();
    for turn in 0..20 {
        let is_hidden = turn % 2 == 0;
        let writer = house.begin("hr", false).await;
        let acl = if is_hidden { json!([]) } else { json!(null) };
        let rights = json!({"source": "files", "read": writer.now, "documents": [{"name": "turns", "acl": acl}]});
        let told = house.post(JOB, "hr/rights", &rights).await;
        assert_eq!(told.status, 200, "{}", told.text);
        // From the next search on.
        let found = house.finds("jane", "hr", "apples").await;
        assert_eq!(found.len(), if is_hidden { 1 } else { 2 }, "turn {turn}: {found:?}");
        if turn % 5 == 4 {
            house.fill("hr", &documents).await;
        }
    }
    is_over.store(true, Ordering::Relaxed);
    for searching in searching {
        assert!(searching.await.unwrap() > 0);
    }
    let families = house.gateway.metrics.registry.gather();
    let alarms = families
        .iter()
        .find(|family| family.name() == "atelier_rooms_disagreements_total")
        .unwrap();
    assert_eq!(alarms.get_metric()[0].get_counter().get_value(), 0.0);
}
