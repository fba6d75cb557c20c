//! How well a Room's detectors do, measured by its red team.

use protocol::rooms::redteam::Detectors;
use reqwest::Method;
use rooms::Acl;
use serde_json::json;

use super::{
    redteam::{ACCOUNT, TESTER, as_, canaries, house, planted, set, tested},
    support::{Doc, House, spec},
};

/// Documents with sentences that something can be changed in.
fn handbook() -> Vec<Doc> {
    [
        "The deposit for a flat is 450 EUR and is paid by bank transfer. Pets are not allowed in furnished flats of the city.",
        "Employees have 26 days of paid leave in each calendar year. Overtime may be taken as leave until the end of spring.",
        "Invoices above 10000 EUR need the signature of Maria Rossi. The archive keeps signed invoices for 10 years.",
        "The contract with the cleaning company was signed by Jane Miller on 3 May 2024. Keys are kept by the janitor.",
    ]
    .iter()
    .zip(["flats", "leave", "invoices", "contracts"])
    .map(|(text, name)| planted(name, text, 0, &Acl::everyone()))
    .collect()
}

#[tokio::test]
async fn detectors_are_measured_and_nothing_of_the_documents_is_told() {
    let house = house(|_| handbook()).await;
    let report = tested(&house, &["direct"], 0).await;
    let [citations, overlap] = &report.detectors[..] else {
        panic!("{report:?}")
    };
    assert_eq!((&*citations.name, &*overlap.name), ("Citations", "Overlap"));
    assert!(
        citations.samples() > 20 && citations.samples() == overlap.samples(),
        "{report:?}"
    );
    assert_eq!((citations.precision(), overlap.precision()), (Some(1.0), Some(1.0)));
    assert!(
        overlap.recall() >= Some(0.8) && citations.recall() < Some(0.5),
        "{report:?}"
    );
    // Each run measures the same.
    let again = tested(&house, &["direct"], 0).await;
    assert_eq!(again.detectors, report.detectors);
    let told = house
        .tell(as_(&house, TESTER, "stranger", Method::GET, "hr/redteam/detectors"))
        .await;
    let measured: Detectors = told.json();
    assert_eq!((measured.generation, measured.detectors.len()), (1, 2));
    for word in ["deposit", "Miller", "450", "flat", &canaries(1)[0].topic] {
        assert!(!told.text.contains(word), "{}", told.text);
    }
    assert!(house.audited("event ->> 'operation' = 'room_detectors'").await >= 3);
}

#[tokio::test]
async fn detectors_are_measured_for_whoever_may_test_on_what_they_see() {
    let mut hidden = handbook();
    for doc in &mut hidden {
        doc.clearance = 5;
    }
    let house = house(move |_| hidden.clone()).await;
    let samples = async |token: &str, role: Option<&str>| {
        let path = "hr/redteam/detectors";
        let request = match role {
            Some(role) => as_(&house, token, role, Method::GET, path),
            None => house.request(token, Method::GET, path),
        };
        let measured: Detectors = house.tell(request).await.json();
        measured.detectors[0].samples
    };
    // Jane has the clearance; whoever is below it has less to go by, and what was planted is nobody's.
    let all = samples("jane", None).await;
    assert!(all > 20 && samples("jane", Some("below=5")).await < all / 2);
    house
        .get("joe", "hr/redteam/detectors")
        .await
        .refused(404, "room_not_found");
    // Nobody who reads may measure, nor while nothing is there.
    let empty = House::build().await;
    set(&empty, Some("True"));
    empty.gateway.reviewer.know(TESTER, ACCOUNT);
    empty.gateway.reviewer.allow_in(ACCOUNT, "redteam", "ns", "hr");
    empty.gateway.gateway.rooms.authorizer().forget_rooms();
    let told = empty
        .tell(as_(&empty, TESTER, "stranger", Method::GET, "hr/redteam/detectors"))
        .await;
    told.refused(503, "room_empty");
}

#[tokio::test]
async fn entailment_is_measured_by_the_rooms_reranker_on_fewer_sentences() {
    let house = house(|_| {
        (0..40)
            .map(|number| {
                let text = format!(
                    "Shelf {number} of the archive keeps signed invoices for {} years. Visitors may not open its heavy doors.",
                    100 + number
                );
                planted(&format!("shelf {number}"), &text, 0, &Acl::everyone())
            })
            .collect()
    })
    .await;
    let mut spec = spec();
    spec["sources"][0]["clearance"] = 2.into();
    spec["reranker"] = json!({"name": "rerank"});
    spec["answer"] = json!({"detectors": ["Overlap", "Entailment", "Confidence"]});
    house.room("hr", spec);
    let told = house
        .tell(as_(&house, TESTER, "stranger", Method::GET, "hr/redteam/detectors"))
        .await;
    let measured: Detectors = told.json();
    let [overlap, entailment] = &measured.detectors[..] else {
        panic!("{measured:?}")
    };
    assert_eq!((&*overlap.name, &*entailment.name), ("Overlap", "Entailment"));
    assert!(
        (50..=70).contains(&entailment.samples) && overlap.samples > 200,
        "{measured:?}"
    );
    // The stand-in hears what was put in, and not what was taken out.
    assert!(
        entailment.found > 10 && entailment.missed > 0 && entailment.falsely == 0,
        "{measured:?}"
    );
}
