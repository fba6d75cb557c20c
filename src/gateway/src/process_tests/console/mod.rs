//! The console as people meet it: its pages in a headless Chromium, at a gateway with real Rooms.

mod asking;
mod browser;
mod documents;
mod hostile;
mod looks;
mod session;

use protocol::rooms::{TOKEN_HEADER, ingest};
use serde_json::{Value, json};

use super::rooms::support::{Doc, House, doc, spec};
use browser::Browser;

const PAGE: &str = "/console/rooms/ns/handbook";

/// What the documents of the handbook say.
fn fees() -> Doc {
    doc(
        "fees.pdf",
        &[
            "The deposit is 50 EUR. Cards work.",
            "Guests pay on the day that they leave.",
        ],
    )
}

/// A house with one Room that has documents, one of them set aside, and somebody for each role.
async fn house() -> House {
    let house = House::build().await;
    house.room("handbook", handbook());
    for (user, verbs) in [
        ("jane", &["search", "ask", "feedback"][..]),
        ("finn", &["search"]),
        ("cora", &["search", "ask", "feedback", "contribute"]),
        ("cara", &["search", "ask", "feedback", "contribute", "curate"]),
        ("ann", &["audit"]),
        ("dora", &["search", "ask", "feedback", "contribute", "curate", "audit"]),
    ] {
        house.let_in(user, verbs, "handbook");
    }
    house
}

fn handbook() -> Value {
    let mut spec = spec();
    let member = |name: &str, role: &str, clearance: u8| json!({"kind": "User", "name": name, "role": role, "clearance": clearance});
    spec["members"] = json!([
        member("jane", "Reader", 1),
        member("finn", "Reader", 1),
        member("cora", "Contributor", 1),
        member("cara", "Curator", 2),
        member("ann", "Auditor", 2),
        member("dora", "Curator", 2),
    ]);
    spec
}

/// A page with a document's text, as a scanner would see it.
async fn drawn(browser: &Browser, doc: &Doc) -> Vec<u8> {
    browser.open("about:blank").await;
    let text = json!([doc.called(), doc.texts]);
    let draw = format!(
        "(([title, texts]) => {{
            document.body.style.cssText = 'font: 20px/1.6 serif; margin: 60px; color: #222';
            for (const [tag, text] of [['h1', title], ...texts.map((text) => ['p', text])]) {{
                const element = document.createElement(tag);
                element.textContent = text;
                document.body.append(element);
            }}
        }})({text})"
    );
    browser.eval(&draw).await;
    browser.picture(false).await
}

/// Fills the handbook, with a picture of each document's first page. Of many, all have the first one's.
async fn fill(house: &House, browser: &Browser, documents: &[Doc]) {
    browser.resize(700, 900).await;
    let mut pictures = Vec::new();
    for doc in documents.iter().take(4) {
        pictures.push(drawn(browser, doc).await);
    }
    browser.resize(1100, 900).await;
    let writer = house.begin("handbook", true).await;
    let placed = house.put("handbook", &writer, documents).await;
    for (place, placed) in placed.iter().enumerate() {
        let ingest::Placed::Here { id } = placed else {
            panic!("{placed:?}")
        };
        let picture = pictures.get(place).unwrap_or(&pictures[0]);
        let path = format!("handbook/generations/{}/documents/{id}/pages/1", writer.generation);
        let request = house.request(super::rooms::support::JOB, reqwest::Method::PUT, &path);
        let request = request
            .header(TOKEN_HEADER, &writer.token)
            .header("content-type", "image/png");
        let told = house.tell(request.body(picture.clone())).await;
        assert_eq!(told.status, 200, "{}", told.text);
    }
    let _: ingest::Published = house.publish("handbook", &writer).await.json();
}

/// The handbook, opened by somebody.
async fn open(house: &House, browser: &Browser, user: &str, view: &str) {
    let origin = format!("http://{}", house.gateway.address);
    // Whoever was here is gone, and the page is loaded anew.
    browser.open(&format!("{origin}/openapi.json")).await;
    browser.eval("sessionStorage.clear()").await;
    browser.open(&format!("{origin}{PAGE}#token={user}")).await;
    browser.says(&format!("Signed in as {user}")).await;
    browser.eval(&format!("location.hash = {}", json!(view))).await;
    browser
        .until(&format!("document.querySelector('#view-{view}')?.checkVisibility()"))
        .await;
}

/// Nothing was forbidden, thrown or asked of anybody else, and no token stands in an address.
fn all_well(house: &House, browser: &Browser) {
    assert_eq!(browser.complaints(), Vec::<String>::new());
    let origin = format!("http://{}/", house.gateway.address);
    let asked = browser.asked();
    let pages: Vec<_> = asked.iter().filter(|(_, url)| url.starts_with(&origin)).collect();
    assert!(pages.len() > 10, "{asked:?}");
    for (_, url) in &asked {
        let is_own = url.starts_with(&origin) || url.starts_with(&format!("blob:{origin}"));
        assert!(is_own || url == "about:blank", "{url}");
        assert!(!url.contains("token="), "{url}");
    }
}
