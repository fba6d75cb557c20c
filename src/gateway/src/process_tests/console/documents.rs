//! Uploading, listing, removing and releasing documents.

use std::path::PathBuf;

use protocol::rooms::documents as wire;
use serde_json::json;

use super::{super::rooms::support::Doc, Browser, all_well, doc, fees, fill, handbook, house, open};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_uploaded_and_each_says_how_it_went() {
    let (house, browser) = (house().await, Browser::start().await);
    let mut small = handbook();
    small["sources"][1]["upload"]["maxSize"] = json!("64Ki");
    house.room("handbook", small);
    // Nothing was published yet: somebody has to bring the first documents.
    open(&house, &browser, "cora", "documents").await;
    browser.says("This Room is still empty").await;
    browser.says("up to 64 KiB each").await;
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, size: usize| -> PathBuf {
        let path = directory.path().join(name);
        std::fs::write(&path, vec![b'x'; size]).unwrap();
        path
    };
    let files = [
        file("plan b.txt", 4000),
        file("ä & ü?#.md", 64 << 10),
        file("large.bin", (64 << 10) + 1),
        file("empty.txt", 0),
    ];
    browser.choose(&files).await;
    browser
        .until("document.querySelectorAll('.transfers > li[data-outcome]').length === 4")
        .await;
    let outcomes = "[...document.querySelectorAll('.transfers > li')].map((one) => [one.dataset.outcome, one.innerText].join(': '))";
    let outcomes = browser.eval(outcomes).await;
    let outcomes: Vec<_> = outcomes
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one.as_str().unwrap())
        .collect();
    for (outcome, what, how) in [
        ("kept: plan b.txt", "Uploaded", outcomes[0]),
        ("kept: ä & ü?#.md", "Uploaded, 64 KiB", outcomes[1]),
        (
            "failed: large.bin",
            "it has 65,537 bytes, and 65,536 bytes is the limit",
            outcomes[2],
        ),
        ("kept: empty.txt", "Uploaded", outcomes[3]),
    ] {
        assert!(how.starts_with(outcome) && how.contains(what), "{how}");
    }
    browser
        .until("document.getElementById('status').textContent === '3 files uploaded. 1 file not uploaded.'")
        .await;
    let bars = "[...document.querySelectorAll('.transfers progress')].map((one) => one.value).join()";
    assert_eq!(browser.eval(bars).await, "1,1,1");
    browser.keep_picture("upload-light", true).await;
    let mine: wire::Mine = house.get("cora", "handbook/documents?mine=true").await.json();
    let mut names: Vec<_> = mine.uploads.iter().map(|one| (&*one.file, one.bytes)).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [("empty.txt", 0), ("plan b.txt", 4000), ("ä & ü?#.md", 64 << 10)]
    );
    let listed = browser
        .eval("document.querySelector('#view-documents').parentElement.innerText")
        .await;
    assert!(listed.as_str().unwrap().contains("What you have uploaded"), "{listed}");
    // What the gateway says against one is told.
    house.gateway.reviewer.revoke("cora");
    house.gateway.gateway.rooms.authorizer().forget_rooms();
    browser.choose(&files[..1]).await;
    browser
        .says("There is no such Room, or you may not do this in it.")
        .await;
    all_well(&house, &browser);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curators_remove_what_they_see_after_they_were_asked() {
    let (house, browser) = (house().await, Browser::start().await);
    let many: Vec<Doc> = (0..60)
        .map(|number| doc(&format!("{number:02}.txt"), &["text"]))
        .collect();
    fill(&house, &browser, &many).await;
    open(&house, &browser, "jane", "documents").await;
    browser.says("50 of 60 documents").await;
    assert!(!browser.text().await.contains("Remove"), "readers remove nothing");
    browser.click("Show more").await;
    browser
        .until("document.querySelectorAll('.rows > li').length === 60")
        .await;
    // Whoever goes by keys goes on with the first one that is new.
    browser
        .until("document.activeElement.textContent.includes('50.txt')")
        .await;
    open(&house, &browser, "cara", "documents").await;
    browser.says("50 of 60 documents").await;
    browser.click("Remove Title of 07.txt").await;
    browser.says("Remove this document?").await;
    browser.until("document.activeElement.textContent === 'Cancel'").await;
    browser.press("Enter").await;
    browser.until("!document.querySelector('dialog')").await;
    assert!(browser.text().await.contains("Title of 07.txt"));
    browser.click("Remove Title of 07.txt").await;
    browser.click("Remove for good").await;
    browser
        .until("![...document.querySelectorAll('.row-title')].some((one) => one.textContent === 'Title of 07.txt')")
        .await;
    browser.says("49 of 59 documents").await;
    browser
        .until("document.activeElement.textContent.includes('08.txt')")
        .await;
    let left: wire::Documents = house.get("jane", "handbook/documents").await.json();
    assert_eq!(left.total, Some(59));
    assert!(left.documents.iter().all(|one| one.name != "07.txt"));
    browser.click("Pages of Title of 00.txt").await;
    browser
        .until("document.querySelector('dialog img')?.naturalWidth > 100")
        .await;
    all_well(&house, &browser);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_set_aside_says_why_and_is_let_in() {
    let (house, browser) = (house().await, Browser::start().await);
    let aside = |name: &str, reason: &str| Doc {
        quarantined: Some(reason.into()),
        ..doc(name, &[])
    };
    fill(
        &house,
        &browser,
        &[
            fees(),
            aside("blurred.png", "BadScan"),
            aside("locked.pdf", "Encrypted"),
        ],
    )
    .await;
    open(&house, &browser, "jane", "about").await;
    assert!(!browser.text().await.contains("Quarantine"));
    open(&house, &browser, "cara", "quarantine").await;
    browser.says("2 documents set aside").await;
    let text = browser.text().await;
    assert!(
        text.contains("Bad scan: scan it again, or correct its text and give it as a text file."),
        "{text}"
    );
    assert!(text.contains("Encrypted: save it without a password."), "{text}");
    let release = "[...document.querySelectorAll('button')].filter((one) => one.textContent === 'Release').length";
    assert_eq!(
        browser.eval(release).await,
        1,
        "there is no text of the other one to be had"
    );
    browser.keep_picture("quarantine-light", true).await;
    browser.click("Pages of Title of blurred.png").await;
    browser
        .until("document.querySelector('dialog img')?.naturalWidth > 100")
        .await;
    browser.press("Escape").await;
    browser.until("!document.querySelector('dialog')").await;
    browser.click("Release Title of blurred.png").await;
    browser.says("Release this document?").await;
    browser.click("Release").await;
    browser.says("Released: it comes with the next synchronization.").await;
    let seen: wire::Documents = house.get("cara", "handbook/documents?quarantined=true").await.json();
    let released: Vec<_> = seen
        .documents
        .iter()
        .map(|one| (&*one.name, one.released, one.releasable))
        .collect();
    assert_eq!(released, [("blurred.png", true, true), ("locked.pdf", false, false)]);
    all_well(&house, &browser);
}
